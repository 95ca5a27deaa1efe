/* A board that says anything: every call ends in time, and none writes outside of the caller's arrays.

   The input is what the board says, and when: raw bytes; frames with a check sum that agrees, with the host's own session and numbers where the
   input wants that; silence; a port that takes nothing, or is gone. */
#include "port.h"

enum { TIMEOUT_MS = 3000, MOST_OUT = 600, IMAGES = 3, GUARD = 64 };

typedef struct {
    script from;
    uint32_t now, calls;
    uint8_t out[MOST_OUT];
    size_t at, size;
    pf_decoder heard; /* what the host said */
    uint8_t session[2], next, results, tag;
    uint8_t hello[PF_MAX_PAYLOAD];
    size_t hello_size;
    bool deaf, gone;
} talker;

static void reply(talker *t, uint8_t type, uint8_t number, uint8_t extra, const uint8_t *payload, size_t size)
{
    uint8_t line[PF_MAX_LINE];
    const size_t length = pf_encode(line, type, number, extra, payload, size);
    if (t->size + length <= sizeof t->out) {
        memcpy(t->out + t->size, line, length);
        t->size += length;
    }
}

static void state(talker *t, uint8_t next, uint8_t limit, uint8_t extra)
{
    const uint8_t payload[4] = {limit, t->results, t->session[0], t->session[1]};
    reply(t, PF_STATUS, next, extra, payload, sizeof payload);
}

/* What the board says next. */
static void speak(talker *t)
{
    uint8_t bytes[PF_MAX_PAYLOAD];
    const uint8_t what = next_byte(&t->from);
    const uint8_t a = next_byte(&t->from), b = next_byte(&t->from);
    switch (what % 10) {
    case 0:
        for (unsigned k = 0; k < a % 32u && t->size < sizeof t->out; k++)
            t->out[t->size++] = next_byte(&t->from);
        break;
    case 1:
        reply(t, PF_HELLO, (uint8_t)(1 + (a == 7)), 0, t->hello, t->hello_size - (b == 9));
        break;
    case 2: /* the truth */
        state(t, t->next, (uint8_t)(t->next + t->hello[0]), (uint8_t)(a << 4 | t->tag << 2));
        break;
    case 3: /* or not */
        state(t, a, b, next_byte(&t->from));
        break;
    case 4: /* the next result, of any size */
        memset(bytes, a, sizeof bytes);
        reply(t, PF_RESULT, t->results++, b % 16, bytes, a % (PF_MAX_PAYLOAD + 1u));
        break;
    case 5:
        memset(bytes, a, sizeof bytes);
        reply(t, PF_RESULT, a, b % 4, bytes, b % (PF_MAX_PAYLOAD + 1u));
        break;
    case 6:
        reply(t, PF_COUNTS, a % 4, 0, t->hello, b % 32u);
        break;
    case 7:
        t->now += (uint32_t)a * b % 2000u;
        break;
    case 8:
        t->deaf = a & 1;
        t->gone = a == 222;
        break;
    default:
        t->session[0] ^= a == 1;
        t->results = (uint8_t)(t->results - (a == 2));
        t->next = (uint8_t)(t->next + (a == 3));
    }
}

static pf_board board;

static uint32_t clock_ms(void *context)
{
    talker *t = context;
    /* No loop of the library is without end, and no number that is told makes frames that were never cut. */
    MUST(++t->calls < 1000000);
    MUST(board.sender.sent <= board.sender.cut && board.sender.cut <= PF_SLOTS);
    return t->now;
}

static int read_some(void *context, uint8_t *into, size_t size, uint32_t wait_ms)
{
    talker *t = context;
    if (t->gone)
        return -1;
    if (t->at == t->size) {
        t->at = t->size = 0;
        if (t->from.left)
            speak(t);
    }
    size_t count = t->size - t->at;
    if (!count) {
        t->now += wait_ms;
        return 0;
    }
    count = count < size ? count : size;
    memcpy(into, t->out + t->at, count);
    t->at += count;
    return (int)count;
}

/* Follows the host, so that what is said can make sense. */
static int write_some(void *context, const uint8_t *from, size_t size)
{
    talker *t = context;
    pf_frame frame;
    if (t->gone)
        return -1;
    if (t->deaf)
        return 0;
    for (size_t k = 0; k < size; k++) {
        const pf_decoded found = pf_decode(&t->heard, from[k], &frame);
        if (found != PF_FRAME)
            continue;
        if (frame.type == PF_OPEN) {
            memcpy(t->session, frame.payload, 2);
            t->next = t->results = 0;
        } else if (frame.type == PF_DATA && frame.number == t->next) {
            t->next++;
        } else if (frame.type == PF_POLL) {
            t->tag = frame.number & 3;
        }
    }
    return (int)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static talker t;
    memset(&t, 0, sizeof t);
    t.from = (script){data, size};
    const uint8_t how = next_byte(&t.from);
    const uint8_t inputs = (uint8_t)(1 + how % 3), outputs = (uint8_t)(1 + how / 3 % 3);
    t.hello_size = describe(&t.from, t.hello, inputs, outputs);
    pf_decoder_begin(&t.heard);
    reply(&t, PF_HELLO, PF_VERSION, 0, t.hello, t.hello_size);
    /* It says who it is after the time that the host waits for quiet. */
    const size_t ready = t.size;
    t.size = 0;
    const pf_transport transport = {&t, read_some, write_some, clock_ms, NULL};
    const script rest = t.from;
    t.from.left = 0;
    t.now = 0xFFFFF000u; /* the clock runs over */
    uint32_t begun = t.now;
    if (how & 128) {
        /* A board that has never heard of it. */
        t.from = rest;
        const pf_error error = pf_open(&board, transport, TIMEOUT_MS, NULL);
        MUST(t.now - begun <= 2 * TIMEOUT_MS + 4000u * (uint32_t)size);
        if (error)
            return 0;
    } else {
        memset(&board, 0, sizeof board);
        board.transport = transport;
        board.timeout_ms = TIMEOUT_MS;
        pf_decoder_begin(&board.decoder);
        t.size = ready;
        pf_frame frame;
        while (pf_hear(&board, 0, &frame) == PF_HEARD_PART) {
        }
        MUST(pf_read_hello(&frame, &board.hello));
        t.from = rest;
    }
    uint8_t *given[PF_TENSORS] = {0}, *taken[PF_TENSORS] = {0};
    for (uint8_t k = 0; k < board.hello.inputs; k++) {
        given[k] = calloc(IMAGES, pf_input(&board, k)->image_bytes);
        MUST(given[k] || pf_input(&board, k)->image_bytes > 1u << 20);
    }
    for (uint8_t k = 0; k < board.hello.outputs; k++) {
        taken[k] = calloc(IMAGES, pf_output(&board, k)->image_bytes);
        MUST(taken[k] || pf_output(&board, k)->image_bytes > 1u << 20);
    }
    bool room = true;
    for (uint8_t k = 0; k < PF_TENSORS; k++) {
        room = room && (given[k] || k >= board.hello.inputs) && (taken[k] || k >= board.hello.outputs);
    }
    uint32_t counters[8];
    size_t count;
    pf_figures figures;
    pf_unit_figures unit;
    for (unsigned times = 0; room && times < 3; times++) {
        begun = t.now;
        const size_t before = t.from.left;
        (void)pf_infer(&board, IMAGES, (const uint8_t *const *)given, taken);
        (void)pf_counters(&board, next_byte(&t.from) % 3, counters, 8, &count);
        (void)pf_statistics(&board, &figures);
        (void)pf_unit_statistics(&board, next_byte(&t.from), &unit);
        /* Each thing said may be progress, each of up to four sessions has its time-outs. */
        MUST(t.now - begun <= (4u * 3 + 4 + (uint32_t)(before - t.from.left) / 3 + 1) * (TIMEOUT_MS + 2500u));
    }
    pf_close(&board);
    for (uint8_t k = 0; k < PF_TENSORS; k++) {
        free(given[k]);
        free(taken[k]);
    }
    return 0;
}
