/* Elements of a tensor and the bytes of its stream; see docs/host-link.md. */
#include "link.h"

#include <string.h>

static uint64_t mask(const pf_tensor *tensor)
{
    return UINT64_MAX >> (64 - tensor->bits);
}

bool pf_fits(const pf_tensor *tensor, int64_t value)
{
    switch (tensor->kind) {
    case PF_BIPOLAR:
        return value == 1 || value == -1;
    case PF_TERNARY:
        return value >= -1 && value <= 1;
    case PF_SIGNED: {
        const int64_t greatest = (int64_t)(mask(tensor) >> 1);
        return value >= -greatest - 1 && value <= greatest;
    }
    default:
        return value >= 0 && (uint64_t)value <= mask(tensor);
    }
}

/* First byte of an element, and how many of its bits belong to others before it. */
static size_t place(const pf_tensor *tensor, size_t index, unsigned *skip)
{
    const uint32_t bit = (uint32_t)(index % tensor->lanes) * tensor->bits;
    *skip = bit % 8;
    return index / tensor->lanes * tensor->beat_bytes + bit / 8;
}

int64_t pf_get(const pf_tensor *tensor, const uint8_t *image, size_t index)
{
    unsigned skip;
    const uint8_t *byte = image + place(tensor, index, &skip);
    uint64_t pattern = 0;
    for (unsigned have = 0; have < tensor->bits; have += 8 - skip, skip = 0)
        pattern |= (uint64_t)(*byte++ >> skip) << have;
    pattern &= mask(tensor);
    if (tensor->kind == PF_BIPOLAR)
        return pattern ? 1 : -1;
    const uint64_t sign = (uint64_t)1 << (tensor->bits - 1);
    if (tensor->kind == PF_UNSIGNED || !(pattern & sign))
        return (int64_t)pattern;
    /* -1 - ~pattern, where the complement is a small positive number: nothing here depends on the machine. */
    return -1 - (int64_t)(~pattern & mask(tensor));
}

void pf_set(const pf_tensor *tensor, uint8_t *image, size_t index, int64_t value)
{
    unsigned skip;
    uint8_t *byte = image + place(tensor, index, &skip);
    const uint64_t pattern = (tensor->kind == PF_BIPOLAR ? (uint64_t)(value > 0) : (uint64_t)value) & mask(tensor);
    for (unsigned done = 0; done < tensor->bits; byte++) {
        const uint64_t mine = mask(tensor) >> done << skip & 0xFF;
        *byte = (uint8_t)((*byte & ~mine) | (pattern >> done << skip & mine));
        done += 8 - skip;
        skip = 0;
    }
}

pf_error pf_pack(const pf_tensor *tensor, size_t images, const int64_t *elements, uint8_t *bytes)
{
    for (size_t image = 0; image < images; image++, bytes += tensor->image_bytes) {
        memset(bytes, 0, tensor->image_bytes);
        for (size_t n = 0; n < tensor->elements; n++, elements++) {
            if (!pf_fits(tensor, *elements))
                return PF_ARGUMENT;
            pf_set(tensor, bytes, n, *elements);
        }
    }
    return PF_OK;
}

void pf_unpack(const pf_tensor *tensor, size_t images, const uint8_t *bytes, int64_t *elements)
{
    for (size_t image = 0; image < images; image++, bytes += tensor->image_bytes) {
        for (size_t n = 0; n < tensor->elements; n++)
            *elements++ = pf_get(tensor, bytes, n);
    }
}

size_t pf_best(const pf_tensor *tensor, const uint8_t *image)
{
    size_t best = 0;
    int64_t greatest = pf_get(tensor, image, 0);
    for (size_t n = 1; n < tensor->elements; n++) {
        const int64_t value = pf_get(tensor, image, n);
        if (value > greatest) {
            greatest = value;
            best = n;
        }
    }
    return best;
}
