/* The host's half of the way to the board: what is sent, what is acknowledged, what is sent again.

   A frame is a cut of the caller's own bytes, so what a number stands for stays as it was sent. New frames are as long as the
   protocol allows; each loss halves them and long luck doubles them, so that a line with many errors still gets some through. */
#include "link.h"

/* Frames acknowledged without a loss before larger ones are tried again. */
enum { CONFIDENCE = 64, SMALLEST = 16 };

void pf_sender_begin(pf_sender *sender, const pf_streams *streams, size_t images, size_t done, const uint8_t *const *inputs)
{
    sender->inputs = inputs;
    sender->tensors = streams->inputs;
    sender->count = streams->input_count;
    sender->channel = streams->channel;
    sender->images = images;
    sender->image = done;
    sender->within = 0;
    sender->input = 0;
    /* With several tensors the host sends image by image. */
    sender->run_images = streams->input_count == 1 ? images - done : 1;
    sender->first = sender->cut = sender->sent = 0;
    sender->attempt = 0;
    sender->size = PF_MAX_PAYLOAD;
    sender->luck = 0;
    sender->asking = false;
    sender->asked = 0;
}

static size_t run_bytes(const pf_sender *sender)
{
    return sender->run_images * sender->tensors[sender->input].image_bytes;
}

static void cut(pf_sender *sender)
{
    const size_t left = run_bytes(sender) - sender->within;
    const uint8_t size = left < sender->size ? (uint8_t)left : sender->size;
    pf_cut *made = &sender->cuts[(sender->first + sender->cut) % PF_SLOTS];
    made->at = sender->image * sender->tensors[sender->input].image_bytes + sender->within;
    made->input = sender->input;
    made->size = size;
    sender->cut++;
    sender->within += size;
    if (sender->within == run_bytes(sender)) {
        sender->within = 0;
        if (++sender->input == sender->count) {
            sender->input = 0;
            sender->image += sender->run_images;
        }
    }
}

bool pf_sender_frame(pf_sender *sender, uint8_t *line, uint16_t *size)
{
    const uint8_t number = (uint8_t)(sender->base + sender->sent);
    if (number == sender->limit)
        return false;
    if (sender->sent == sender->cut) {
        if (sender->cut == PF_SLOTS || sender->image == sender->images)
            return false;
        cut(sender);
    }
    const pf_cut *sent = &sender->cuts[(sender->first + sender->sent) % PF_SLOTS];
    const uint8_t extra = (uint8_t)(sender->attempt << 4 | (sender->channel + sent->input));
    *size = (uint16_t)pf_encode(line, PF_DATA, number, extra, sender->inputs[sent->input] + sent->at, sent->size);
    sender->sent++;
    return true;
}

bool pf_sender_finished(const pf_sender *sender)
{
    return sender->image == sender->images && sender->sent == sender->cut;
}

uint8_t pf_sender_poll(pf_sender *sender)
{
    sender->asking = true;
    sender->asked = sender->sent;
    sender->tag = (uint8_t)(sender->tag % 3 + 1);
    return sender->tag;
}

bool pf_sender_answered(const pf_sender *sender, const pf_status *status)
{
    return sender->asking && status->poll == sender->tag;
}

bool pf_sender_status(pf_sender *sender, const pf_status *status)
{
    const uint8_t taken = (uint8_t)(status->next - sender->base);
    if (taken > sender->cut)
        return false;
    sender->first = (uint8_t)((sender->first + taken) % PF_SLOTS);
    sender->cut = (uint8_t)(sender->cut - taken);
    sender->sent = (uint8_t)(sender->sent > taken ? sender->sent - taken : 0);
    sender->base = status->next;
    sender->limit = status->limit;
    sender->luck = (uint8_t)(sender->luck + taken);
    if (sender->luck >= CONFIDENCE) {
        sender->luck = 0;
        sender->size = sender->size > PF_MAX_PAYLOAD / 2 ? PF_MAX_PAYLOAD : (uint8_t)(2 * sender->size);
    }
    bool lost = (status->refused || status->bad) && status->attempt == sender->attempt;
    if (sender->asking) {
        sender->asked = (uint8_t)(sender->asked > taken ? sender->asked - taken : 0);
        if (status->poll == sender->tag) {
            lost = lost || sender->asked > 0;
            sender->asking = false;
        }
    }
    if (lost && sender->sent) {
        sender->resent += sender->sent;
        sender->sent = 0;
        sender->attempt = (sender->attempt + 1) & 15;
        sender->luck = 0;
        sender->size = sender->size / 2 > SMALLEST ? sender->size / 2 : SMALLEST;
    }
    return true;
}
