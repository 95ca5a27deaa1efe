/* What the fuzzers share: an input that is read byte by byte, and what must hold. */
#ifndef PULSEFOLD_FUZZ_PORT_H
#define PULSEFOLD_FUZZ_PORT_H

#include "../link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input; sanitizers and fuzzers take abort() as a crash. */
#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

typedef struct {
    const uint8_t *data;
    size_t left;
} script;

/* The next byte of the input, 0 behind its end. */
static inline uint8_t next_byte(script *from)
{
    if (!from->left)
        return 0;
    from->left--;
    return *from->data++;
}

/* A description of tensors that the input chooses, as the payload of a HELLO; its size. Images are small. */
static inline size_t describe(script *from, uint8_t *payload, uint8_t inputs, uint8_t outputs)
{
    memset(payload, 0, 28);
    payload[0] = (uint8_t)(2u << next_byte(from) % 6);
    payload[1] = (uint8_t)(2u + 2u * (next_byte(from) % 32));
    payload[2] = 3;
    payload[3] = 4;
    payload[24] = inputs;
    payload[25] = outputs;
    size_t size = 28;
    for (uint8_t k = 0; k < inputs + outputs; k++, size += 16) {
        uint8_t *tensor = payload + size;
        const uint8_t beats = (uint8_t)(1 + next_byte(from) % 40), lanes = (uint8_t)(1 + next_byte(from) % 9);
        memset(tensor, 0, 16);
        tensor[7] = next_byte(from) % 4;
        const uint8_t bits = (uint8_t)(1 + next_byte(from) % 64);
        tensor[6] = (uint8_t)(tensor[7] == PF_BIPOLAR ? 1 : tensor[7] == PF_TERNARY ? 2 : bits);
        tensor[0] = tensor[8] = beats;
        tensor[4] = tensor[12] = lanes;
        tensor[10] = 1;
    }
    return size;
}

#endif
