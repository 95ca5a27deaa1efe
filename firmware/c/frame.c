/* Frames to bytes and back: CRC-32 and COBS. */
#include "link.h"

uint32_t pf_crc32(uint32_t crc, const uint8_t *data, size_t size)
{
    /* By half bytes: a table of 64 bytes, for processors with little of it. */
    static const uint32_t table[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                       0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                       0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    crc = ~crc;
    for (size_t k = 0; k < size; k++) {
        crc ^= data[k];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* COBS as it is written: the code of the run that has begun is filled in where the run ends. Frames are short enough that no run
   but a last one has 254 bytes. */
typedef struct {
    uint8_t *line;
    size_t code, at;
} cobs;

static void put(cobs *out, const uint8_t *bytes, size_t size)
{
    for (size_t k = 0; k < size; k++) {
        if (bytes[k]) {
            out->line[out->at++] = bytes[k];
        } else {
            out->line[out->code] = (uint8_t)(out->at - out->code);
            out->code = out->at++;
        }
    }
}

size_t pf_encode(uint8_t *line, uint8_t type, uint8_t number, uint8_t extra, const uint8_t *payload, size_t size)
{
    cobs out = {line, 0, 1};
    const uint8_t head[3] = {type, number, extra};
    const uint32_t crc = pf_crc32(pf_crc32(0, head, sizeof head), payload, size);
    const uint8_t tail[4] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24)};
    put(&out, head, sizeof head);
    put(&out, payload, size);
    put(&out, tail, sizeof tail);
    line[out.code] = (uint8_t)(out.at - out.code);
    line[out.at++] = 0;
    return out.at;
}

void pf_decoder_begin(pf_decoder *decoder)
{
    decoder->bad = 0;
    decoder->size = 0;
    decoder->left = 0;
    decoder->begun = decoder->wrong = false;
}

static void keep(pf_decoder *decoder, uint8_t byte)
{
    if (decoder->size < PF_MAX_RAW)
        decoder->raw[decoder->size++] = byte;
    else
        decoder->wrong = true;
}

static bool whole(const pf_decoder *decoder)
{
    if (decoder->wrong || decoder->left || decoder->size < PF_OVERHEAD)
        return false;
    const size_t body = decoder->size - 4u;
    return pf_crc32(0, decoder->raw, body) == pf_little(decoder->raw + body, 4);
}

pf_decoded pf_decode(pf_decoder *decoder, uint8_t byte, pf_frame *frame)
{
    if (byte) {
        if (decoder->left) {
            keep(decoder, byte);
            decoder->left--;
        } else {
            /* A code: the run before it, if there was one, ended in a zero. */
            if (decoder->begun)
                keep(decoder, 0);
            decoder->left = (uint8_t)(byte - 1);
        }
        decoder->begun = true;
        return PF_PENDING;
    }
    if (!decoder->begun)
        return PF_PENDING;
    const bool good = whole(decoder);
    if (good) {
        frame->type = decoder->raw[0];
        frame->number = decoder->raw[1];
        frame->extra = decoder->raw[2];
        frame->size = (uint8_t)(decoder->size - PF_OVERHEAD);
        frame->payload = decoder->raw + 3;
    } else {
        decoder->bad++;
    }
    decoder->size = 0;
    decoder->left = 0;
    decoder->begun = decoder->wrong = false;
    return good ? PF_FRAME : PF_BAD;
}
