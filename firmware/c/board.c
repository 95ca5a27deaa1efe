/* The calls of pulsefold.h. */
#include "link.h"

#include <string.h>

const char *pf_message(pf_error error)
{
    static const char *const texts[] = {
        "done",
        "the port cannot be opened or is gone: check that it is there and that no one else uses it",
        "nothing moved for the time-out: check cable, rate, power and bitstream, or give a slow network more time",
        "what answers does not speak this version of the protocol",
        "the board runs another design: load the one that is meant",
        "the board was reset again and again in the middle of a batch: check its power",
        "the board sends more results than it was given images for: check that the bitstream is that of this design",
        "an argument cannot be: a size, a time-out or a value that does not fit its tensor",
        "the design has no such counters, or its weights cannot be written: compile it with --counters or --writable-weights",
        "a result differs from the expected one",
    };
    return (unsigned)error < sizeof texts / sizeof *texts ? texts[error] : "an unknown error";
}

pf_error pf_open(pf_board *board, pf_transport transport, uint32_t timeout_ms, const uint8_t *design_id)
{
    memset(board, 0, sizeof *board);
    if (timeout_ms == 0 || timeout_ms > INT32_MAX || !transport.read || !transport.write || !transport.clock_ms)
        return PF_ARGUMENT;
    board->transport = transport;
    board->timeout_ms = timeout_ms;
    pf_decoder_begin(&board->decoder);
    const pf_error error = pf_session_identify(board);
    if (error)
        return error;
    if (board->hello.input_slots > PF_SLOTS)
        return PF_ARGUMENT;
    if (design_id && memcmp(design_id, board->hello.design_id, sizeof board->hello.design_id) != 0)
        return PF_DESIGN;
    return PF_OK;
}

const pf_tensor *pf_input(const pf_board *board, uint8_t index)
{
    return index < board->hello.inputs ? &board->hello.tensors[index] : NULL;
}

const pf_tensor *pf_output(const pf_board *board, uint8_t index)
{
    return index < board->hello.outputs ? &board->hello.tensors[board->hello.inputs + index] : NULL;
}

pf_error pf_infer(pf_board *board, size_t images, const uint8_t *const *inputs, uint8_t *const *outputs)
{
    const pf_hello *hello = &board->hello;
    for (unsigned k = 0; k < (unsigned)hello->inputs + hello->outputs; k++) {
        if (images > SIZE_MAX / hello->tensors[k].image_bytes)
            return PF_ARGUMENT;
    }
    if (hello->inputs == 0)
        return PF_ARGUMENT;
    const pf_streams streams = {.inputs = hello->tensors,
                                .outputs = hello->tensors + hello->inputs,
                                .input_count = hello->inputs,
                                .output_count = hello->outputs};
    unsigned resets = 0;
    for (size_t done = 0; done < images;) {
        pf_error error = board->ready ? PF_OK : pf_session_open(board);
        if (error)
            return error;
        size_t missing[PF_TENSORS];
        for (uint8_t k = 0; k < hello->outputs; k++)
            missing[k] = (images - done) * pf_output(board, k)->image_bytes;
        error = pf_stream(board, &streams, images, done, inputs, outputs, missing);
        if (error == PF_RESET && resets++ == PF_RESETS)
            return error;
        if (error && error != PF_RESET)
            return error;
        /* Whole images count, whatever became of the rest. */
        size_t whole = images;
        for (uint8_t k = 0; k < hello->outputs; k++) {
            const size_t size = pf_output(board, k)->image_bytes;
            const size_t left = missing[k] / size + (missing[k] % size != 0);
            if (images - left < whole)
                whole = images - left;
        }
        done = whole;
    }
    return PF_OK;
}

pf_error pf_reset(pf_board *board)
{
    return pf_session_open(board);
}

pf_error pf_counters(pf_board *board, uint8_t page, uint32_t *counters, size_t room, size_t *count)
{
    pf_frame frame;
    *count = 0;
    if (!(board->hello.features & (page ? PF_FEATURE_UNIT_COUNTS : PF_FEATURE_COUNTS)) || page > board->hello.units)
        return PF_ABSENT;
    const pf_error error = pf_session_count(board, page, &frame);
    if (error)
        return error;
    *count = frame.size / 4;
    if (*count > room)
        return PF_ARGUMENT;
    for (size_t k = 0; k < *count; k++)
        counters[k] = pf_little(frame.payload + 4 * k, 4);
    return PF_OK;
}

pf_error pf_statistics(pf_board *board, pf_figures *figures)
{
    uint32_t counters[5];
    size_t count;
    memset(figures, 0, sizeof *figures);
    figures->resent = board->sender.resent;
    figures->asked_again = board->receiver.asked_again;
    const pf_error error = pf_counters(board, 0, counters, sizeof counters / sizeof *counters, &count);
    figures->bad = board->decoder.bad;
    if (error == PF_ABSENT)
        return PF_OK;
    if (error)
        return error == PF_ARGUMENT ? PF_STRANGE : error;
    if (count != sizeof counters / sizeof *counters)
        return PF_STRANGE;
    figures->counted = true;
    figures->cycles = counters[0];
    figures->waiting_for_input = counters[1];
    figures->not_taking_input = counters[2];
    figures->waiting_for_link = counters[3];
    figures->bad_frames = counters[4];
    return PF_OK;
}

pf_error pf_unit_statistics(pf_board *board, uint8_t unit, pf_unit_figures *figures)
{
    uint32_t counters[3];
    size_t count;
    if (unit >= board->hello.units)
        return PF_ABSENT;
    const pf_error error = pf_counters(board, (uint8_t)(unit + 1), counters, sizeof counters / sizeof *counters, &count);
    if (error)
        return error == PF_ARGUMENT ? PF_STRANGE : error;
    if (count != sizeof counters / sizeof *counters)
        return PF_STRANGE;
    figures->cycles = counters[0];
    figures->starved = counters[1];
    figures->stalled = counters[2];
    figures->busy = counters[0] - counters[1] - counters[2];
    return PF_OK;
}

pf_error pf_selftest(pf_board *board, size_t images, const uint8_t *const *inputs, const uint8_t *const *expected,
                     uint8_t *const *outputs, pf_mismatch *mismatch)
{
    const pf_error error = pf_infer(board, images, inputs, outputs);
    if (error)
        return error;
    for (uint8_t k = 0; k < board->hello.outputs; k++) {
        const pf_tensor *tensor = pf_output(board, k);
        for (size_t image = 0; image < images; image++) {
            const uint8_t *got = outputs[k] + image * tensor->image_bytes;
            const uint8_t *want = expected[k] + image * tensor->image_bytes;
            for (size_t n = 0; n < tensor->elements; n++) {
                const int64_t there = pf_get(tensor, got, n), meant = pf_get(tensor, want, n);
                if (there == meant)
                    continue;
                if (mismatch)
                    *mismatch = (pf_mismatch){.image = image, .element = n, .output = k, .board = there, .expected = meant};
                return PF_DIFFERS;
            }
        }
    }
    return PF_OK;
}

/* A message to the loader, in a session of its own, and the digest that answers it. */
static pf_error message(pf_board *board, const uint8_t *bytes, size_t size, uint8_t *digest)
{
    const pf_tensor sent = {.image_bytes = size}, answer = {.image_bytes = PF_DIGEST};
    const pf_streams streams = {
        .inputs = &sent, .outputs = &answer, .input_count = 1, .output_count = 1, .channel = PF_WEIGHTS_TENSOR};
    if (!(board->hello.features & PF_FEATURE_WEIGHTS))
        return PF_ABSENT;
    for (unsigned resets = 0;; resets++) {
        size_t missing = PF_DIGEST;
        pf_error error = pf_session_open(board);
        if (!error)
            error = pf_stream(board, &streams, 1, 0, &bytes, &digest, &missing);
        /* The loader takes one message a session. */
        board->ready = false;
        if (error != PF_RESET || resets == PF_RESETS)
            return error;
    }
}

pf_error pf_loaded(pf_board *board, uint8_t *digest)
{
    static const uint8_t ask[1] = {0};
    return message(board, ask, sizeof ask, digest);
}

pf_error pf_load(pf_board *board, const uint8_t *weights, size_t size)
{
    uint8_t digest[PF_DIGEST];
    if (size <= PF_DIGEST || weights[0] != 1)
        return PF_ARGUMENT;
    const uint8_t *meant = weights + (size - PF_DIGEST);
    pf_error error = pf_loaded(board, digest);
    if (error || !memcmp(digest, meant, PF_DIGEST))
        return error;
    error = message(board, weights, size, digest);
    return !error && memcmp(digest, meant, PF_DIGEST) != 0 ? PF_STRANGE : error;
}

void pf_close(pf_board *board)
{
    pf_session_close(board);
    board->ready = false;
}
