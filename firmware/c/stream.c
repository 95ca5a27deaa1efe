/* A batch through a session: the line is kept busy both ways until all results are there. */
#include "link.h"

#include <string.h>

typedef struct {
    pf_board *board;
    const pf_streams *streams;
    uint8_t *const *outputs;
    size_t *missing; /* bytes of each output */
    size_t images;
    uint32_t moved, heard, wait; /* when something last counted, when something last came, and when to ask */
    uint16_t unanswered;         /* DATA frames since the last ACK */
    bool resend, acknowledge, poll;
    bool quiet, behind;
} stream;

static bool complete(const stream *s)
{
    for (uint8_t k = 0; k < s->streams->output_count; k++) {
        if (s->missing[k])
            return false;
    }
    return true;
}

/* Put what is to be said next into the line, if there is anything. */
static void speak(stream *s)
{
    pf_board *board = s->board;
    pf_receiver *receiver = &board->receiver;
    const bool idle = pf_sender_finished(&board->sender) || s->unanswered >= board->hello.input_slots;
    if (s->resend) {
        receiver->asked_again++;
        receiver->unacknowledged = 0;
        s->resend = s->acknowledge = false;
        pf_say(board, PF_RESEND, receiver->next, NULL, 0);
    } else if (s->acknowledge || pf_receiver_due(receiver, idle)) {
        receiver->unacknowledged = 0;
        s->acknowledge = false;
        s->unanswered = 0;
        pf_say(board, PF_ACK, receiver->next, NULL, 0);
    } else if (s->poll) {
        s->poll = false;
        pf_say(board, PF_POLL, pf_sender_poll(&board->sender), NULL, 0);
    } else if (pf_sender_frame(&board->sender, board->line, &board->line_size)) {
        board->line_at = 0;
        s->unanswered++;
    }
}

static pf_error status(stream *s, const pf_frame *frame)
{
    pf_sender *sender = &s->board->sender;
    pf_status told;
    if (!pf_read_status(frame, &told) || told.session != s->board->session)
        return PF_RESET;
    const uint8_t before = sender->cut;
    const bool answered = pf_sender_answered(sender, &told);
    if (!pf_sender_status(sender, &told))
        return PF_RESET;
    if (answered) {
        s->wait = PF_RETRY_MS;
        /* Answers overtake results: those under way are waited for once more. */
        s->behind = s->quiet && told.results != s->board->receiver.next;
    }
    if (sender->cut < before)
        s->moved = s->heard;
    return PF_OK;
}

static pf_error result(stream *s, const pf_frame *frame)
{
    const pf_streams *streams = s->streams;
    bool again;
    s->quiet = s->behind = false;
    const bool mine = pf_receiver_result(&s->board->receiver, frame->number, &again);
    s->resend = s->resend || again;
    if (!mine)
        return PF_OK;
    s->moved = s->heard;
    const unsigned output = (unsigned)frame->extra - streams->channel;
    if (output >= streams->output_count || frame->size > s->missing[output])
        return PF_EXCESS;
    const size_t total = s->images * streams->outputs[output].image_bytes;
    memcpy(s->outputs[output] + (total - s->missing[output]), frame->payload, frame->size);
    s->missing[output] -= frame->size;
    return PF_OK;
}

/* Whatever arrived up to the next frame. */
static pf_error listen(stream *s, uint32_t wait_ms)
{
    pf_frame frame;
    const pf_heard heard = pf_hear(s->board, wait_ms, &frame);
    if (heard == PF_HEARD_END)
        return PF_GONE;
    if (heard == PF_HEARD_NOTHING)
        return PF_OK;
    s->heard = pf_now(s->board);
    if (heard == PF_HEARD_BAD)
        s->resend = pf_receiver_damaged(&s->board->receiver) || s->resend;
    if (heard == PF_HEARD_FRAME && frame.type == PF_STATUS)
        return status(s, &frame);
    /* An empty result is none: it could go on for ever. */
    if (heard == PF_HEARD_FRAME && frame.type == PF_RESULT && frame.size)
        return result(s, &frame);
    return PF_OK;
}

pf_error pf_stream(pf_board *board, const pf_streams *streams, size_t images, size_t done, const uint8_t *const *inputs,
                   uint8_t *const *outputs, size_t *missing)
{
    const uint32_t begun = pf_now(board);
    stream s = {.board = board, .streams = streams, .outputs = outputs, .missing = missing, .images = images};
    s.moved = s.heard = begun;
    s.wait = PF_RETRY_MS;
    pf_error error = PF_OK;
    pf_sender_begin(&board->sender, streams, images, done, inputs);
    board->receiver.beyond = -1;
    /* Results of an earlier batch: the board does not tell a lone new one while it keeps half of its slots. */
    s.acknowledge = board->receiver.unacknowledged != 0;
    /* Until it is over and went well. */
    board->ready = false;
    while (!error && !complete(&s)) {
        const uint32_t now = pf_now(board);
        const uint32_t still = now - s.moved, silent = now - s.heard;
        if (still >= board->timeout_ms)
            return PF_SILENT;
        if (silent >= s.wait) {
            s.resend = s.resend || s.behind;
            s.acknowledge = s.poll = s.quiet = true;
            s.behind = false;
            s.heard = now;
            s.wait = 2 * s.wait < PF_LONGEST_RETRY_MS ? 2 * s.wait : PF_LONGEST_RETRY_MS;
        }
        if (pf_idle(board))
            speak(&s);
        const bool spoke = !pf_idle(board);
        if (!pf_pump(board))
            return PF_GONE;
        uint32_t wait_ms = silent >= s.wait ? 0 : s.wait - silent;
        if (board->timeout_ms - still < wait_ms)
            wait_ms = board->timeout_ms - still;
        if (!pf_idle(board))
            wait_ms = PF_NAP_MS;
        else if (spoke)
            wait_ms = 0;
        error = listen(&s, wait_ms);
    }
    if (error)
        return error;
    /* All results are there, so all data was taken, whether the board has said so or not. */
    board->sender.base = (uint8_t)(board->sender.base + board->sender.cut);
    board->sender.limit = (uint8_t)(board->sender.base + board->hello.input_slots);
    board->ready = true;
    return PF_OK;
}
