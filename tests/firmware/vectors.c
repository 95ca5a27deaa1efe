/* The C library's frames, descriptions and packing for the tests: a command a line, an answer a line.

     encode TYPE NUMBER EXTRA HEX    the line of a frame
     decode HEX                      what is in bytes of the line: bad, or TYPE NUMBER EXTRA HEX, each in parentheses
     hello NUMBER HEX                a HELLO's fields, or strange
     status NUMBER EXTRA HEX         a STATUS's fields, or strange
     pack HEX VALUE...               integers of the first input of a HELLO's payload as bytes, or unfit
     unpack HEX HEX                  and back; the best element's index in front */
#include "link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 1 << 20 };

static char text[LINE];
static uint8_t bytes[LINE], packed[LINE];

static size_t from_hex(const char *word, uint8_t *into)
{
    size_t count = 0;
    unsigned value;
    while (word && sscanf(word + 2 * count, "%2x", &value) == 1)
        into[count++] = (uint8_t)value;
    return count;
}

static void to_hex(const uint8_t *from, size_t size)
{
    if (!size)
        printf("-");
    for (size_t k = 0; k < size; k++)
        printf("%02x", from[k]);
}

static uint8_t small(void)
{
    const char *word = strtok(NULL, " \n");
    return (uint8_t)(word ? atoi(word) : 0);
}

static const char *word(void)
{
    const char *found = strtok(NULL, " \n");
    return found && *found != '-' ? found : NULL;
}

static bool described(pf_hello *hello, uint8_t number)
{
    static uint8_t payload[LINE];
    const size_t size = from_hex(word(), payload);
    const pf_frame frame = {PF_HELLO, number, 0, (uint8_t)size, payload};
    return pf_read_hello(&frame, hello);
}

static void hello_fields(const pf_hello *h)
{
    printf("%u %u %u %u ", (unsigned)h->input_slots, (unsigned)h->result_slots, (unsigned)h->features, (unsigned)h->units);
    to_hex(h->design_id, sizeof h->design_id);
    printf(" %" PRIu32 " %u %u", h->clock_hz, (unsigned)h->inputs, (unsigned)h->outputs);
    for (unsigned k = 0; k < (unsigned)h->inputs + h->outputs; k++) {
        const pf_tensor *t = &h->tensors[k];
        printf(" %" PRIu32 " %u %u %u %u %u %" PRIu32 " %zu", t->beats, (unsigned)t->lanes, (unsigned)t->bits, (unsigned)t->kind,
               (unsigned)t->height, (unsigned)t->width, t->channels, t->image_bytes);
    }
}

static void decode(void)
{
    pf_decoder decoder;
    pf_frame frame;
    const size_t size = from_hex(word(), bytes);
    pf_decoder_begin(&decoder);
    for (size_t k = 0; k < size; k++) {
        const pf_decoded found = pf_decode(&decoder, bytes[k], &frame);
        if (found == PF_BAD)
            printf("(bad)");
        if (found == PF_FRAME) {
            printf("(%u %u %u ", (unsigned)frame.type, (unsigned)frame.number, (unsigned)frame.extra);
            to_hex(frame.payload, frame.size);
            printf(")");
        }
    }
}

static void status(void)
{
    uint8_t number = small(), extra = small();
    const pf_frame frame = {PF_STATUS, number, extra, (uint8_t)from_hex(word(), bytes), bytes};
    pf_status s;
    if (pf_read_status(&frame, &s))
        printf("%u %u %u %u %u %u %u %u", (unsigned)s.next, (unsigned)s.limit, (unsigned)s.results, (unsigned)s.session,
               (unsigned)s.attempt, (unsigned)s.refused, (unsigned)s.bad, (unsigned)s.poll);
    else
        printf("strange");
}

static void pack(const pf_tensor *tensor)
{
    static int64_t values[LINE];
    for (size_t n = 0; n < tensor->elements; n++) {
        const char *value = strtok(NULL, " \n");
        values[n] = value ? strtoll(value, NULL, 10) : 0;
    }
    if (pf_pack(tensor, 1, values, packed))
        printf("unfit");
    else
        to_hex(packed, tensor->image_bytes);
}

static void unpack(const pf_tensor *tensor)
{
    static int64_t values[LINE];
    (void)from_hex(word(), packed);
    pf_unpack(tensor, 1, packed, values);
    printf("%zu", pf_best(tensor, packed));
    for (size_t n = 0; n < tensor->elements; n++)
        printf(" %" PRId64, values[n]);
}

int main(void)
{
    while (fgets(text, sizeof text, stdin)) {
        const char *command = strtok(text, " \n");
        pf_hello hello;
        if (!strcmp(command, "encode")) {
            const uint8_t type = small(), number = small(), extra = small();
            uint8_t line[PF_MAX_LINE];
            const size_t size = from_hex(word(), bytes);
            to_hex(line, pf_encode(line, type, number, extra, bytes, size));
        } else if (!strcmp(command, "decode")) {
            decode();
        } else if (!strcmp(command, "status")) {
            status();
        } else if (!strcmp(command, "hello")) {
            if (described(&hello, small()))
                hello_fields(&hello);
            else
                printf("strange");
        } else if (!described(&hello, PF_VERSION)) {
            printf("strange");
        } else if (!strcmp(command, "pack")) {
            pack(&hello.tensors[0]);
        } else {
            unpack(&hello.tensors[0]);
        }
        printf("\n");
        (void)fflush(stdout);
    }
    return 0;
}
