/* The network and the serial line as the processor sees them; see hdl/riscv/system.py. */
#ifndef PULSEFOLD_H
#define PULSEFOLD_H

#include <stdint.h>

/* Sizes of the network, its images and its ranking; written for each design. */
#include "network.h"

struct pf_port {
    volatile uint32_t data;   /* read: byte, and bit 8 where there was one; write: byte */
    volatile uint32_t status; /* bit 0: readable, bit 1: writable */
};

#define PF_NETWORK ((struct pf_port *)0x80000000u)
#define PF_SERIAL ((struct pf_port *)0xC0000000u)

/* Send a byte, waiting for room. */
static inline void pf_put(char c)
{
    while (!(PF_SERIAL->status & 2)) {
    }
    PF_SERIAL->data = (uint8_t)c;
}

static inline void pf_print(const char *text)
{
    while (*text)
        pf_put(*text++);
}

/* One image through the network: PF_IMAGE_BYTES in, PF_RESULT_BYTES out. Takes results while it feeds, as a network may
   have to give some before it can take all. */
static inline void pf_run(const uint8_t *image, uint8_t *result)
{
    const uint8_t *image_end = image + PF_IMAGE_BYTES;
    uint8_t *result_end = result + PF_RESULT_BYTES;
    while (result != result_end) {
        uint32_t status = PF_NETWORK->status;
        if ((status & 2) && image != image_end)
            PF_NETWORK->data = *image++;
        if (status & 1)
            *result++ = (uint8_t)PF_NETWORK->data;
    }
}

/* The class: the channel with the largest PF_SCALE[c] * q[c] + PF_OFFSET[c], the first one on ties. The integers order all
   results exactly as the network's own real scales do. */
static inline int pf_class(const uint8_t *result)
{
    int best = 0;
    int64_t best_value = 0;
    int channel = 0;
    for (int beat = 0; beat < PF_RESULT_BEATS; beat++) {
        uint32_t window = 0;
        int held = 0;
        const uint8_t *next = result;
        for (int lane = 0; lane < PF_RESULT_LANES; lane++) {
            while (held < PF_RESULT_BITS) {
                window |= (uint32_t)*next++ << held;
                held += 8;
            }
            int32_t q = (int32_t)(window & ((1u << PF_RESULT_BITS) - 1));
            if (PF_RESULT_SIGNED && q >> (PF_RESULT_BITS - 1))
                q -= (int32_t)(1u << PF_RESULT_BITS);
            window >>= PF_RESULT_BITS;
            held -= PF_RESULT_BITS;
            int64_t value = pf_scale[channel] * q + pf_offset[channel];
            if (channel == 0 || value > best_value) {
                best = channel;
                best_value = value;
            }
            channel++;
        }
        result += PF_RESULT_BEAT_BYTES;
    }
    return best;
}

#endif
