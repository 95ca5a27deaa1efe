/* An honest board behind a line that the input damages: no wrong result is ever accepted, and once the damage ends the batch is done.

   The board is that of firmware/PROTOCOL.md in a few lines. The input says what befalls the bytes each way: flipped, lost, doubled, invented,
   held back, cut off; the reset button; and how large the pieces are in which they arrive. */
#include "port.h"

enum { TIMEOUT_MS = 20000, HEALED_MS = 10000, LINE = 2048, MOST_SLOTS = 64, NUMBERS = 256, MOST_IMAGES = 12 };

typedef struct {
    uint8_t bytes[LINE];
    size_t at, size;
    uint8_t pass;  /* bytes until the next damage */
    uint8_t piece; /* bytes that move at a time */
    uint16_t lost; /* bytes still to be lost */
} way;

typedef struct {
    uint8_t size, tensor, payload[PF_MAX_PAYLOAD];
} slot;

typedef struct {
    script from;
    uint32_t now, calls, healed; /* when the damage ended */
    way up, down;
    /* The board. */
    pf_decoder decoder;
    pf_hello hello;
    uint8_t description[PF_MAX_PAYLOAD];
    size_t description_size;
    uint8_t session[2];
    slot in[MOST_SLOTS], out[NUMBERS]; /* results by number, as their slots need not divide the numbers */
    uint8_t next, taken, told;          /* DATA: next, given to the network up to, limit in the last STATUS */
    uint8_t acknowledged, closed, sent; /* RESULT: kept from, closed up to, next to send */
    uint8_t attempt, flags, tag;
    bool say_status, say_hello, say_counts;
    /* The network: sums of an image's bytes, and what is left of its results. */
    uint32_t sums[2];
    size_t fed[PF_TENSORS], given;
    uint8_t giving;
    bool full;
} world;

/* What the network makes of an image: byte n of output k. */
static uint8_t made(const uint32_t *sums, unsigned k, size_t n)
{
    return (uint8_t)((sums[0] + sums[1] * (n + 1 + 31 * k)) >> (n % 3 * 8));
}

static void feed(uint32_t *sums, unsigned input, size_t place, uint8_t byte)
{
    sums[0] += (uint32_t)(place + 1) * (byte + 7u * input + 1u);
    sums[1] = sums[1] * 31 + byte;
}

static void power_up(world *w)
{
    w->session[0] = w->session[1] = 0;
    w->next = w->taken = w->told = w->acknowledged = w->closed = w->sent = 0;
    w->attempt = w->flags = w->tag = 0;
    w->say_status = w->say_hello = w->say_counts = w->full = false;
    memset(w->fed, 0, sizeof w->fed);
    w->sums[0] = w->sums[1] = 0;
    w->given = 0;
    w->giving = 0;
    w->up.size = w->up.at = 0;
    pf_decoder_begin(&w->decoder);
}

static uint8_t limit(const world *w)
{
    return (uint8_t)(w->taken + w->hello.input_slots);
}

static void compute(world *w)
{
    for (;;) {
        /* Results first: the network waits while no slot is free. */
        while (w->full) {
            if ((uint8_t)(w->closed - w->acknowledged) == w->hello.result_slots)
                return;
            const pf_tensor *tensor = &w->hello.tensors[w->hello.inputs + w->giving];
            slot *s = &w->out[w->closed++];
            s->tensor = w->giving;
            for (s->size = 0; s->size < PF_MAX_PAYLOAD && w->given < tensor->image_bytes; s->size++, w->given++)
                s->payload[s->size] = made(w->sums, w->giving, w->given);
            if (w->given == tensor->image_bytes) {
                w->given = 0;
                w->full = ++w->giving < w->hello.outputs;
            }
            if (!w->full) {
                memset(w->fed, 0, sizeof w->fed);
                w->sums[0] = w->sums[1] = 0;
            }
        }
        if (w->taken == w->next)
            return;
        /* A frame's bytes are fed until an image is whole. */
        slot *s = &w->in[w->taken % w->hello.input_slots];
        const size_t size = w->hello.tensors[s->tensor].image_bytes;
        uint8_t n = 0;
        while (n < s->size && w->fed[s->tensor] < size)
            feed(w->sums, s->tensor, w->fed[s->tensor]++, s->payload[n++]);
        s->size = (uint8_t)(s->size - n);
        memmove(s->payload, s->payload + n, s->size);
        if (s->size == 0)
            w->taken++;
        w->full = true;
        for (uint8_t k = 0; k < w->hello.inputs; k++)
            w->full = w->full && w->fed[k] == w->hello.tensors[k].image_bytes;
        w->giving = 0;
        /* A frame of another image than the others is at: no host that keeps order sends it. */
        MUST(w->full || s->size == 0 || w->taken != w->next);
        MUST(w->full || n > 0);
    }
}

static void data(world *w, const pf_frame *frame)
{
    const bool open = w->session[0] || w->session[1];
    const bool room = (uint8_t)(w->next - w->taken) < w->hello.input_slots;
    w->attempt = frame->extra >> 4;
    if (open && frame->number == w->next && room && (frame->extra & 15) < w->hello.inputs) {
        slot *s = &w->in[w->next++ % w->hello.input_slots];
        s->size = frame->size;
        s->tensor = frame->extra & 15;
        memcpy(s->payload, frame->payload, frame->size);
    } else {
        const uint8_t behind = (uint8_t)(w->next - frame->number);
        if (!open || behind == 0 || behind > 128)
            w->flags |= PF_FLAG_REFUSED;
        w->say_status = true;
    }
}

static void take(world *w, uint8_t byte)
{
    pf_frame frame;
    const pf_decoded found = pf_decode(&w->decoder, byte, &frame);
    if (found == PF_BAD) {
        w->flags |= PF_FLAG_BAD;
        w->say_status = true;
    }
    if (found != PF_FRAME)
        return;
    const uint8_t kept = (uint8_t)(w->closed - w->acknowledged), ahead = (uint8_t)(frame.number - w->acknowledged);
    switch (frame.type) {
    case PF_DATA:
        if (frame.size)
            data(w, &frame);
        break;
    case PF_ACK:
    case PF_RESEND:
        if (frame.size || ahead > kept)
            break;
        if (frame.type == PF_RESEND || (uint8_t)(w->sent - w->acknowledged) < ahead)
            w->sent = frame.number;
        w->acknowledged = frame.number;
        break;
    case PF_POLL:
        w->tag = frame.number & 3;
        w->say_status = true;
        break;
    case PF_IDENTIFY:
        w->say_hello = true;
        break;
    case PF_COUNT:
        w->say_counts = frame.number == 0;
        break;
    case PF_OPEN:
        if (frame.size != 2)
            break;
        power_up(w);
        memcpy(w->session, frame.payload, 2);
        w->up.bytes[w->up.size++] = 0;
        w->say_status = true;
        break;
    default:
        break;
    }
    compute(w);
    if ((uint8_t)(limit(w) - w->told) >= w->hello.input_slots / 2)
        w->say_status = w->say_status || w->session[0] || w->session[1];
}

/* The next frame of the board, if it has one and its end of the line has room. */
static void speak(world *w)
{
    if (w->up.at)
        memmove(w->up.bytes, w->up.bytes + w->up.at, w->up.size - w->up.at);
    w->up.size -= w->up.at;
    w->up.at = 0;
    while (w->up.size + PF_MAX_LINE <= LINE) {
        uint8_t *line = w->up.bytes + w->up.size;
        if (w->say_hello) {
            w->say_hello = false;
            w->up.size += pf_encode(line, PF_HELLO, PF_VERSION, 0, w->description, w->description_size);
        } else if (w->say_counts) {
            w->say_counts = false;
            w->up.size += pf_encode(line, PF_COUNTS, 0, 0, w->description, 20);
        } else if (w->say_status) {
            const uint8_t payload[4] = {limit(w), w->closed, w->session[0], w->session[1]};
            w->up.size += pf_encode(line, PF_STATUS, w->next, (uint8_t)(w->attempt << 4 | w->tag << 2 | w->flags), payload, 4);
            w->told = limit(w);
            w->flags = w->tag = 0;
            w->say_status = false;
        } else if (w->sent != w->closed) {
            const slot *s = &w->out[w->sent];
            w->up.size += pf_encode(line, PF_RESULT, w->sent++, s->tensor, s->payload, s->size);
        } else {
            return;
        }
    }
}

/* What comes out for a byte that goes in, 0 to 2 bytes. */
static unsigned damage(world *w, way *line, uint8_t byte, uint8_t *out)
{
    out[0] = byte;
    if (line->lost) {
        line->lost--;
        return 0;
    }
    if (!w->from.left)
        return 1;
    if (line->pass) {
        line->pass--;
        return 1;
    }
    const uint8_t what = next_byte(&w->from);
    line->pass = next_byte(&w->from);
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        out[0] ^= (uint8_t)(1u << (what >> 4) % 8);
        return 1;
    case 4:
        return 0;
    case 5:
        out[1] = byte;
        return 2;
    case 6:
        out[1] = what >> 4 & 1 ? 0 : next_byte(&w->from);
        return 2;
    case 7:
        line->lost = (uint16_t)(next_byte(&w->from) * (1 + (what >> 4)));
        return 0;
    case 8:
        line->piece = (uint8_t)(1 + next_byte(&w->from) % 255);
        return 1;
    case 9:
        w->now += 1u + next_byte(&w->from);
        return 1;
    case 10:
        if (what >> 4 == 3)
            power_up(w);
        return 1;
    case 11:
        out[0] = 0;
        return 1;
    default:
        return 1;
    }
}

static uint32_t clock_ms(void *context)
{
    world *w = context;
    MUST(++w->calls < 4000000);
    if (w->from.left || w->up.lost || w->down.lost)
        w->healed = w->now;
    return w->now;
}

/* A piece of what the host sent reaches the board. */
static void deliver(world *w)
{
    uint8_t bytes[2];
    for (unsigned k = 0; k < w->down.piece && w->down.at < w->down.size; k++) {
        const unsigned count = damage(w, &w->down, w->down.bytes[w->down.at++], bytes);
        for (unsigned n = 0; n < count; n++)
            take(w, bytes[n]);
    }
    if (w->down.at == w->down.size)
        w->down.at = w->down.size = 0;
    compute(w);
    speak(w);
}

static int write_some(void *context, const uint8_t *from, size_t size)
{
    world *w = context;
    if (w->down.size == LINE)
        deliver(w);
    const size_t room = LINE - w->down.size, count = size < room ? size : room;
    memcpy(w->down.bytes + w->down.size, from, count);
    w->down.size += count;
    return (int)count;
}

static int read_some(void *context, uint8_t *into, size_t size, uint32_t wait_ms)
{
    world *w = context;
    size_t count = 0;
    deliver(w);
    for (unsigned k = 0; k < w->up.piece && w->up.at < w->up.size && count + 2 <= size; k++)
        count += damage(w, &w->up, w->up.bytes[w->up.at++], into + count);
    if (!count && !w->down.size && w->up.at == w->up.size)
        w->now += wait_ms;
    else if (!count)
        w->now += wait_ms ? 1 : 0;
    return (int)count;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static world w;
    static pf_board board;
    memset(&w, 0, sizeof w);
    w.from = (script){input, size};
    const uint8_t how = next_byte(&w.from);
    const uint8_t inputs = (uint8_t)(1 + how % 3), outputs = (uint8_t)(1 + how / 3 % 3);
    const size_t images = 1 + next_byte(&w.from) % MOST_IMAGES;
    w.description_size = describe(&w.from, w.description, inputs, outputs);
    const pf_frame frame = {PF_HELLO, PF_VERSION, 0, (uint8_t)w.description_size, w.description};
    MUST(pf_read_hello(&frame, &w.hello));
    power_up(&w);
    w.up.piece = w.down.piece = 255;

    uint8_t *given[PF_TENSORS] = {0}, *taken[PF_TENSORS] = {0}, *meant[PF_TENSORS] = {0};
    for (uint8_t k = 0; k < inputs; k++) {
        given[k] = malloc(images * w.hello.tensors[k].image_bytes);
        MUST(given[k]);
        for (size_t n = 0; n < images * w.hello.tensors[k].image_bytes; n++)
            given[k][n] = (uint8_t)((n * 0x9E3779B1u + k) >> 13);
    }
    for (uint8_t k = 0; k < outputs; k++) {
        taken[k] = calloc(images, w.hello.tensors[inputs + k].image_bytes);
        meant[k] = malloc(images * w.hello.tensors[inputs + k].image_bytes);
        MUST(taken[k] && meant[k]);
    }
    for (size_t image = 0; image < images; image++) {
        uint32_t sums[2] = {0, 0};
        /* The board feeds each tensor's bytes as they come: tensor by tensor. */
        for (uint8_t k = 0; k < inputs; k++) {
            for (size_t n = 0; n < w.hello.tensors[k].image_bytes; n++)
                feed(sums, k, n, given[k][image * w.hello.tensors[k].image_bytes + n]);
        }
        for (uint8_t k = 0; k < outputs; k++) {
            const size_t bytes = w.hello.tensors[inputs + k].image_bytes;
            for (size_t n = 0; n < bytes; n++)
                meant[k][image * bytes + n] = made(sums, k, n);
        }
    }
    const pf_transport transport = {&w, read_some, write_some, clock_ms, NULL};
    bool good = false;
    /* Two batches in the damage, and one behind it. */
    for (unsigned batch = 0; batch < 3; batch++) {
        if (batch == 2)
            w.from.left = w.up.lost = w.down.lost = 0;
        const bool clean = w.from.left == 0 && !w.up.lost && !w.down.lost;
        const uint32_t begun = w.now;
        w.healed = begun;
        pf_error error = PF_OK;
        if (!good)
            error = pf_open(&board, transport, TIMEOUT_MS, NULL);
        good = !error;
        if (good) {
            for (uint8_t k = 0; k < outputs; k++)
                memset(taken[k], 0, images * w.hello.tensors[inputs + k].image_bytes);
            error = pf_infer(&board, images, (const uint8_t *const *)given, taken);
        }
        MUST(!clean || error == PF_OK);
        MUST(error == PF_OK || error == PF_SILENT || error == PF_RESET);
        /* Nobody gives up in the middle of a line that has become good. */
        MUST(error != PF_SILENT || w.now - w.healed < HEALED_MS);
        MUST(w.now - begun <= 40u * TIMEOUT_MS);
        for (uint8_t k = 0; !error && k < outputs; k++)
            MUST(memcmp(taken[k], meant[k], images * w.hello.tensors[inputs + k].image_bytes) == 0);
    }
    for (uint8_t k = 0; k < PF_TENSORS; k++) {
        free(given[k]);
        free(taken[k]);
        free(meant[k]);
    }
    return 0;
}
