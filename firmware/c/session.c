/* Questions to a board: who it is, a new session, its counters. Every loop ends with the time-out, whatever arrives. */
#include "link.h"

/* How long the line must be quiet before a conversation begins, and how many times as long it is waited for at most. */
enum { QUIET_MS = 20, QUIET_TIMES = 10 };

uint32_t pf_now(const pf_board *board)
{
    return board->transport.clock_ms(board->transport.context);
}

bool pf_idle(const pf_board *board)
{
    return board->line_at == board->line_size;
}

void pf_say(pf_board *board, uint8_t type, uint8_t number, const uint8_t *payload, size_t size)
{
    board->line_at = 0;
    board->line_size = (uint16_t)pf_encode(board->line, type, number, 0, payload, size);
}

bool pf_pump(pf_board *board)
{
    while (!pf_idle(board)) {
        const size_t left = (size_t)(board->line_size - board->line_at);
        const int taken = board->transport.write(board->transport.context, board->line + board->line_at, left);
        if (taken < 0 || (size_t)taken > left)
            return false;
        if (taken == 0)
            break;
        board->line_at = (uint16_t)(board->line_at + taken);
    }
    return true;
}

pf_heard pf_hear(pf_board *board, uint32_t wait_ms, pf_frame *frame)
{
    if (board->arrived_at == board->arrived_size) {
        const int count =
            board->transport.read(board->transport.context, board->arrived, sizeof board->arrived, wait_ms);
        if (count < 0 || (size_t)count > sizeof board->arrived)
            return PF_HEARD_END;
        board->arrived_at = 0;
        board->arrived_size = (size_t)count;
        if (count == 0)
            return PF_HEARD_NOTHING;
    }
    while (board->arrived_at < board->arrived_size) {
        const pf_decoded found = pf_decode(&board->decoder, board->arrived[board->arrived_at++], frame);
        if (found != PF_PENDING)
            return found == PF_FRAME ? PF_HEARD_FRAME : PF_HEARD_BAD;
    }
    return PF_HEARD_PART;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Ask until an answer of a type comes, and with it PF_OK; twice as patiently each time. A SESSION answer is a STATUS of the board's
   session. */
typedef struct {
    uint8_t type, number, payload[2], size, answer;
    bool session;
} question;

static bool answers(const pf_board *board, const question *asked, const pf_frame *frame, pf_error *error)
{
    pf_status status;
    if (frame->type != asked->answer)
        return false;
    if (asked->answer == PF_COUNTS)
        return frame->number == asked->number && frame->size % 4 == 0;
    if (asked->answer == PF_STATUS && !pf_read_status(frame, &status)) {
        *error = PF_STRANGE;
        return true;
    }
    return !asked->session || status.session == board->session;
}

static pf_error ask(pf_board *board, const question *asked, uint32_t timeout, pf_frame *frame)
{
    const uint32_t begun = pf_now(board);
    uint32_t said = begun, wait = least(PF_RETRY_MS, timeout);
    bool told = false;
    for (;;) {
        const uint32_t now = pf_now(board);
        if (now - begun >= timeout)
            return PF_SILENT;
        /* The rest of an earlier line goes first. */
        if (pf_idle(board) && (!told || now - said >= wait)) {
            if (told)
                wait = least(2 * wait, PF_LONGEST_RETRY_MS);
            pf_say(board, asked->type, asked->number, asked->payload, asked->size);
            said = now;
            told = true;
        }
        if (!pf_pump(board))
            return PF_GONE;
        const uint32_t left = least(timeout - (now - begun), now - said < wait ? wait - (now - said) : 0);
        switch (pf_hear(board, pf_idle(board) ? left : PF_NAP_MS, frame)) {
        case PF_HEARD_END:
            return PF_GONE;
        case PF_HEARD_FRAME: {
            pf_error error = PF_OK;
            if (told && answers(board, asked, frame, &error))
                return error;
            break;
        }
        default:
            break;
        }
    }
}

static pf_error discard(pf_board *board)
{
    const uint32_t begun = pf_now(board);
    while (pf_now(board) - begun < QUIET_TIMES * QUIET_MS) {
        if (!pf_pump(board))
            return PF_GONE;
        const int count =
            board->transport.read(board->transport.context, board->arrived, sizeof board->arrived, QUIET_MS);
        if (count < 0 || (size_t)count > sizeof board->arrived)
            return PF_GONE;
        if (count == 0 && pf_idle(board))
            break;
    }
    return PF_OK;
}

pf_error pf_session_identify(pf_board *board)
{
    const question who = {.type = PF_IDENTIFY, .answer = PF_HELLO};
    pf_frame frame;
    /* The empty frame ends whatever half frame the board has. */
    board->line[0] = 0;
    board->line_at = 0;
    board->line_size = 1;
    pf_error error = discard(board);
    if (!error)
        error = ask(board, &who, board->timeout_ms, &frame);
    if (!error && !pf_read_hello(&frame, &board->hello))
        error = PF_STRANGE;
    return error;
}

/* A session that neither the board nor an earlier try named. */
static uint16_t fresh(pf_board *board, uint16_t before, uint16_t taken)
{
    const pf_transport *port = &board->transport;
    board->chance = board->chance * 1664525u + 1013904223u + (port->random ? port->random(port->context) : pf_now(board));
    uint16_t session = (uint16_t)(board->chance >> 16 ^ board->chance);
    while (session == 0 || session == before || session == taken)
        session++;
    return session;
}

pf_error pf_session_open(pf_board *board)
{
    const question how = {.type = PF_POLL, .number = 1, .answer = PF_STATUS};
    pf_frame frame;
    pf_status status;
    board->ready = false;
    pf_error error = ask(board, &how, board->timeout_ms, &frame);
    if (error)
        return error;
    pf_read_status(&frame, &status);
    const uint16_t before = status.session;
    const uint32_t begun = pf_now(board);
    uint16_t taken = 0;
    for (uint32_t wait = PF_RETRY_MS;; wait *= 2) {
        const uint32_t past = pf_now(board) - begun;
        if (past >= board->timeout_ms)
            return PF_SILENT;
        board->session = taken = fresh(board, before, taken);
        const question open = {.type = PF_OPEN,
                               .payload = {(uint8_t)board->session, (uint8_t)(board->session >> 8)},
                               .size = 2,
                               .answer = PF_STATUS,
                               .session = true};
        error = ask(board, &open, least(wait, board->timeout_ms - past), &frame);
        if (!error)
            break;
        if (error != PF_SILENT)
            return error;
    }
    pf_read_status(&frame, &status);
    board->sender.base = status.next;
    board->sender.limit = status.limit;
    board->receiver.slots = board->hello.result_slots;
    board->receiver.next = 0;
    board->receiver.unacknowledged = 0;
    board->receiver.beyond = -1;
    board->ready = true;
    return PF_OK;
}

void pf_session_close(pf_board *board)
{
    const uint8_t none[2] = {0, 0};
    const uint32_t begun = pf_now(board);
    bool told = false;
    pf_frame frame;
    for (;;) {
        if (pf_idle(board)) {
            if (told)
                return;
            pf_say(board, PF_OPEN, 0, none, sizeof none);
            told = true;
        }
        if (!pf_pump(board) || pf_now(board) - begun >= board->timeout_ms)
            return;
        if (!pf_idle(board) && pf_hear(board, PF_NAP_MS, &frame) == PF_HEARD_END)
            return;
    }
}

pf_error pf_session_count(pf_board *board, uint8_t page, pf_frame *answer)
{
    const question count = {.type = PF_COUNT, .number = page, .answer = PF_COUNTS};
    return ask(board, &count, board->timeout_ms, answer);
}
