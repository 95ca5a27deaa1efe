/* Bytes to frames, frames to descriptions, elements to bytes: whatever comes, what is accepted is what was sent.

   The first byte of the input chooses: arbitrary bytes of the line, or a frame with a check sum that agrees. */
#include "port.h"

static void elements(const pf_tensor *tensor, script *from)
{
    if (tensor->image_bytes > 4096 || tensor->elements > 4096)
        return;
    uint8_t *image = malloc(tensor->image_bytes), *again = malloc(tensor->image_bytes);
    int64_t *values = malloc(tensor->elements * sizeof *values);
    MUST(image && again && values);
    for (size_t k = 0; k < tensor->image_bytes; k++)
        image[k] = next_byte(from);
    pf_unpack(tensor, 1, image, values);
    MUST(pf_best(tensor, image) < tensor->elements);
    /* Any pattern but one is an element's; ternary ones have three. */
    const pf_error error = pf_pack(tensor, 1, values, again);
    MUST(error == PF_OK || tensor->kind == PF_TERNARY || (tensor->kind == PF_UNSIGNED && tensor->bits == 64));
    for (size_t n = 0; !error && n < tensor->elements; n++)
        MUST(pf_get(tensor, again, n) == values[n]);
    free(image);
    free(again);
    free(values);
}

static void one_frame(script *from)
{
    static const uint8_t types[] = {PF_HELLO, PF_STATUS, PF_RESULT, PF_COUNTS};
    uint8_t payload[PF_MAX_PAYLOAD], line[PF_MAX_LINE];
    const uint8_t type = types[next_byte(from) % sizeof types], how = next_byte(from);
    const uint8_t number = next_byte(from) % 3, extra = next_byte(from);
    size_t size;
    if (how & 1) {
        const uint8_t inputs = (uint8_t)(1 + (how >> 1) % 6);
        size = describe(from, payload, inputs, (uint8_t)(1 + (how >> 4) % (13 - inputs)));
        for (unsigned k = 0; k < 3 && how & 2; k++)
            payload[next_byte(from) % size] = next_byte(from);
    } else {
        for (size = 0; size < sizeof payload && from->left; size++)
            payload[size] = next_byte(from);
    }
    pf_decoder decoder;
    pf_frame frame;
    pf_decoder_begin(&decoder);
    const size_t length = pf_encode(line, type, number, extra, payload, size);
    MUST(length == size + PF_OVERHEAD + 2);
    for (size_t k = 0; k + 1 < length; k++)
        MUST(line[k] && pf_decode(&decoder, line[k], &frame) == PF_PENDING);
    MUST(pf_decode(&decoder, line[length - 1], &frame) == PF_FRAME);
    MUST(frame.type == type && frame.number == number && frame.extra == extra && frame.size == size);
    MUST(memcmp(frame.payload, payload, size) == 0);
    pf_hello hello;
    pf_status status;
    (void)pf_read_status(&frame, &status);
    if (!pf_read_hello(&frame, &hello))
        return;
    MUST(hello.inputs && hello.outputs && hello.inputs + hello.outputs <= PF_TENSORS);
    for (unsigned k = 0; k < (unsigned)hello.inputs + hello.outputs; k++)
        elements(&hello.tensors[k], from);
}

static void stream(script *from)
{
    pf_decoder decoder;
    pf_frame frame;
    uint8_t line[PF_MAX_LINE], again[PF_MAX_LINE];
    size_t size = 0;
    uint32_t bad = 0;
    pf_decoder_begin(&decoder);
    while (from->left) {
        const uint8_t byte = next_byte(from);
        if (size < sizeof line)
            line[size] = byte;
        size++;
        const pf_decoded found = pf_decode(&decoder, byte, &frame);
        MUST(byte == 0 || found == PF_PENDING);
        MUST(byte || (found == PF_PENDING) == (size == 1));
        bad += found == PF_BAD;
        if (found == PF_FRAME) {
            MUST(pf_encode(again, frame.type, frame.number, frame.extra, frame.payload, frame.size) == size);
            MUST(size <= sizeof line && memcmp(line, again, size) == 0);
        }
        if (byte == 0)
            size = 0;
    }
    MUST(decoder.bad == bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script from = {data, size};
    if (next_byte(&from) & 1)
        stream(&from);
    else
        one_frame(&from);
    return 0;
}
