/* What STATUS and HELLO say. */
#include "link.h"

#include <string.h>

enum { HELLO_HEAD = 28, HELLO_TENSOR = 16 };

uint32_t pf_little(const uint8_t *bytes, unsigned count)
{
    uint32_t value = 0;
    while (count--)
        value = value << 8 | bytes[count];
    return value;
}

bool pf_read_status(const pf_frame *frame, pf_status *status)
{
    if (frame->type != PF_STATUS || frame->size != 4)
        return false;
    status->next = frame->number;
    status->limit = frame->payload[0];
    status->results = frame->payload[1];
    status->session = (uint16_t)pf_little(frame->payload + 2, 2);
    status->attempt = frame->extra >> 4;
    status->poll = frame->extra >> 2 & 3;
    status->refused = (frame->extra & PF_FLAG_REFUSED) != 0;
    status->bad = (frame->extra & PF_FLAG_BAD) != 0;
    return true;
}

/* Whether it is a tensor, and one that this machine can count the bytes of. */
static bool read_tensor(const uint8_t *bytes, pf_tensor *tensor)
{
    tensor->beats = pf_little(bytes, 4);
    tensor->lanes = (uint16_t)pf_little(bytes + 4, 2);
    tensor->bits = bytes[6];
    tensor->kind = bytes[7];
    tensor->height = (uint16_t)pf_little(bytes + 8, 2);
    tensor->width = (uint16_t)pf_little(bytes + 10, 2);
    tensor->channels = pf_little(bytes + 12, 4);
    if (tensor->beats == 0 || tensor->lanes == 0 || tensor->bits < 1 || tensor->bits > 64 || tensor->kind > PF_TERNARY)
        return false;
    if ((tensor->kind == PF_BIPOLAR && tensor->bits != 1) || (tensor->kind == PF_TERNARY && tensor->bits != 2))
        return false;
    const uint64_t elements = (uint64_t)tensor->beats * tensor->lanes;
    if (elements != (uint64_t)tensor->height * tensor->width * tensor->channels)
        return false;
    const uint32_t beat_bytes = ((uint32_t)tensor->lanes * tensor->bits + 7) / 8;
    const uint64_t image_bytes = (uint64_t)tensor->beats * beat_bytes;
    if (image_bytes > SIZE_MAX || elements > SIZE_MAX)
        return false;
    tensor->beat_bytes = beat_bytes;
    tensor->image_bytes = (size_t)image_bytes;
    tensor->elements = (size_t)elements;
    return true;
}

/* Numbers of slots that a board may have, each way. */
static bool slots(uint8_t inputs, uint8_t results)
{
    return inputs >= 2 && inputs <= 64 && (inputs & (inputs - 1)) == 0 && results >= 2 && results <= 64 && results % 2 == 0;
}

bool pf_read_hello(const pf_frame *frame, pf_hello *hello)
{
    const uint8_t *payload = frame->payload;
    if (frame->type != PF_HELLO || frame->number != PF_VERSION || frame->size < HELLO_HEAD)
        return false;
    hello->input_slots = payload[0];
    hello->result_slots = payload[1];
    hello->features = payload[2];
    hello->units = payload[3];
    memcpy(hello->design_id, payload + 4, sizeof hello->design_id);
    hello->clock_hz = pf_little(payload + 20, 4);
    hello->inputs = payload[24];
    hello->outputs = payload[25];
    const unsigned tensors = (unsigned)hello->inputs + hello->outputs;
    if (!slots(hello->input_slots, hello->result_slots))
        return false;
    if (hello->inputs == 0 || hello->outputs == 0 || tensors > PF_TENSORS)
        return false;
    if (frame->size != HELLO_HEAD + tensors * HELLO_TENSOR)
        return false;
    for (unsigned k = 0; k < tensors; k++) {
        if (!read_tensor(payload + HELLO_HEAD + k * HELLO_TENSOR, &hello->tensors[k]))
            return false;
    }
    return true;
}
