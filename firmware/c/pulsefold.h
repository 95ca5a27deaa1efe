/* Host side of the protocol of firmware/PROTOCOL.md: a board, its tensors, and batches of images through it.

   C99, no heap, nothing but <stdbool.h>, <stddef.h>, <stdint.h> and four functions of <string.h>. Everything lives in one struct pf_board that
   the caller provides, 2.5 KiB or less, and in the caller's arrays of images and results. The port is a struct of function
   pointers; pulsefold_posix.h has one for serial lines of Linux and macOS.

       pf_port port;
       pf_board board;
       if (!(error = pf_posix_open(&port, "/dev/ttyUSB0", 1000000)))
           error = pf_open(&board, pf_posix_transport(&port), 5000, NULL);
       if (!error)
           error = pf_infer(&board, images, inputs, outputs);

   Every call returns within the time-out of the last progress, and none accepts a result that the board did not send in answer to
   these very images. A pf_board is used by one thread at a time. */
#ifndef PULSEFOLD_H
#define PULSEFOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the protocol. */
#define PF_VERSION 1

/* DATA frames that may be under way, 2 to 64, at 2 words each. As many as the largest board offers that is to be used: pf_open
   refuses one with more. Those in boards/ have 8 at most; 64 is what the protocol allows. */
#ifndef PF_SLOTS
#define PF_SLOTS 64
#endif
#if PF_SLOTS < 2 || PF_SLOTS > 64
#error "PF_SLOTS must be 2 to 64"
#endif

/* Bytes read from the port at once. */
#ifndef PF_ARRIVED
#define PF_ARRIVED 256
#endif

/* How long the line may be quiet before the board is asked how things stand: longer than the way there and back, and than half
   of the board's input slots take on the line, as every question takes room from the data; and how long at the most, as each
   time without an answer doubles it. */
#ifndef PF_RETRY_MS
#define PF_RETRY_MS 100
#endif
#ifndef PF_LONGEST_RETRY_MS
#define PF_LONGEST_RETRY_MS 2000
#endif

/* Times that a board may be reset in the middle of one batch. */
#ifndef PF_RESETS
#define PF_RESETS 3
#endif

/* Inputs and outputs of a board together: as many as the protocol has room for. */
#define PF_TENSORS 13

#define PF_MAX_RAW 254
#define PF_OVERHEAD 7
#define PF_MAX_PAYLOAD (PF_MAX_RAW - PF_OVERHEAD)
#define PF_MAX_LINE (PF_MAX_RAW + 2)

typedef enum {
    PF_OK = 0,
    PF_GONE,     /* the port cannot be opened, read or written */
    PF_SILENT,   /* nothing moved for the time-out */
    PF_STRANGE,  /* something answers, but not in this version of this protocol */
    PF_DESIGN,   /* the board runs another design */
    PF_RESET,    /* the board was reset again and again */
    PF_EXCESS,   /* the board sends more results than it was given images for */
    PF_ARGUMENT, /* a value or size that cannot be */
    PF_ABSENT,   /* the board has no such counters, or its weights cannot be written */
    PF_DIFFERS   /* a self-test: a result is not the expected one */
} pf_error;

/* What an error means and what to do about it, as a line of English. */
const char *pf_message(pf_error error);

/* How bytes get to a board and back. */
typedef struct {
    /* Given to each function. */
    void *context;
    /* Take up to `size` bytes (1 or more) that arrived, and wait at most `wait_ms` for the first. Returns how many, 0 for none in that
       time, less than 0 if the port is gone. */
    int (*read)(void *context, uint8_t *into, size_t size, uint32_t wait_ms);
    /* Send up to `size` bytes (1 or more). Returns how many were taken, 0 if there is no room just now, less than 0 if the port is
       gone. Must not wait long where arriving bytes are lost meanwhile. */
    int (*write)(void *context, const uint8_t *from, size_t size);
    /* Milliseconds since any one time; runs over at 2^32. */
    uint32_t (*clock_ms)(void *context);
    /* A number for sessions, best a random one; NULL if there is none: the clock is used. */
    uint32_t (*random)(void *context);
} pf_transport;

typedef enum { PF_UNSIGNED = 0, PF_SIGNED = 1, PF_BIPOLAR = 2, PF_TERNARY = 3 } pf_kind;

/* A tensor's stream: an image is `beats` beats of `lanes` elements of `bits` bits; see docs/host-link.md. */
typedef struct {
    uint32_t beats;
    uint16_t lanes;
    uint8_t bits; /* 1 to 64 */
    uint8_t kind; /* of pf_kind */
    uint16_t height, width;
    uint32_t channels;
    size_t beat_bytes;  /* ceil(lanes * bits / 8) */
    size_t image_bytes; /* beats * beat_bytes */
    size_t elements;    /* height * width * channels = beats * lanes */
} pf_tensor;

/* What a board says of itself. */
typedef struct {
    uint8_t input_slots, result_slots;
    uint8_t features; /* bit 0: counters, bit 1: counters of units, bit 2: probe, bit 3: weights that can be written */
    uint8_t units;
    uint8_t design_id[16];
    uint32_t clock_hz;
    uint8_t inputs, outputs;
    pf_tensor tensors[PF_TENSORS]; /* inputs, then outputs */
} pf_hello;

/* ---- The library's own, here only so that the compiler knows its size ---- */

/* A frame that arrived; `payload` points into the decoder and lasts until the next byte. */
typedef struct {
    uint8_t type, number, extra, size;
    const uint8_t *payload;
} pf_frame;

typedef struct {
    uint8_t raw[PF_MAX_RAW];
    uint16_t size; /* of raw */
    uint8_t left;  /* bytes of the COBS run that are still to come */
    bool begun, wrong;
    uint32_t bad; /* frames that were none */
} pf_decoder;

typedef struct {
    size_t at; /* in that input's bytes */
    uint8_t input, size;
} pf_cut;

typedef struct {
    const uint8_t *const *inputs;
    const pf_tensor *tensors;
    size_t images, run_images; /* of the batch, and those that follow one another in one tensor's bytes */
    size_t image, within;      /* where the next frame is cut: first image of the run, and byte of the run */
    uint8_t count, input;      /* inputs, and the one of the run */
    uint8_t channel;           /* number of the first input on the line */
    pf_cut cuts[PF_SLOTS];     /* frames cut and not acknowledged; a ring */
    uint8_t first, cut, sent;  /* index of the oldest, how many there are, how many of them were sent */
    uint8_t base, limit;       /* number of the oldest, first number that may not be sent */
    uint8_t attempt, size, luck, tag;
    bool asking;               /* a POLL has not been answered */
    uint8_t asked;             /* frames that were sent before it and not acknowledged since */
    uint32_t resent;
} pf_sender;

typedef struct {
    uint8_t slots, next, unacknowledged;
    int16_t beyond; /* while results are sent again: how far beyond the missing one the last was; or -1 */
    uint32_t asked_again;
} pf_receiver;

/* ---- A board ---- */

typedef struct {
    pf_hello hello; /* read it at will */
    pf_transport transport;
    uint32_t timeout_ms;
    bool ready; /* a session is open and nothing went wrong in it */
    uint16_t session;
    uint32_t chance;
    pf_decoder decoder;
    pf_sender sender;
    pf_receiver receiver;
    uint8_t arrived[PF_ARRIVED];
    size_t arrived_at, arrived_size;
    uint8_t line[PF_MAX_LINE]; /* what is being sent */
    uint16_t line_at, line_size;
} pf_board;

/* Ask who is there. `design_id`: 16 bytes of the design that is meant, or NULL for any. `timeout_ms`: without progress after
   which a call gives up, 1 to 2^31 - 1. PF_GONE, PF_SILENT, PF_STRANGE, PF_DESIGN, PF_ARGUMENT. */
pf_error pf_open(pf_board *board, pf_transport transport, uint32_t timeout_ms, const uint8_t *design_id);

/* Run a batch; images of a batch follow one another through the network without a pause. `inputs`: for each input tensor the
   bytes of its images, image_bytes of that tensor each (pf_pack makes them); `outputs` likewise, for results; both stay the
   caller's. Where it fails, what is in `outputs` means nothing, and the next call begins in a new session.
   A board that is reset meanwhile is given again what it had not answered. PF_GONE, PF_SILENT, PF_STRANGE, PF_RESET, PF_EXCESS, PF_ARGUMENT. */
pf_error pf_infer(pf_board *board, size_t images, const uint8_t *const *inputs, uint8_t *const *outputs);

/* Put the network into the state after power-up and the counters to 0. PF_GONE, PF_SILENT, PF_STRANGE. */
pf_error pf_reset(pf_board *board);

/* Counters of the session: page 0 the board's, page k + 1 those of unit k. `room`: how many `counters` takes; `count`: how many
   there are. PF_ABSENT, PF_ARGUMENT if there are more than `room`, PF_GONE, PF_SILENT. */
pf_error pf_counters(pf_board *board, uint8_t page, uint32_t *counters, size_t room, size_t *count);

/* What the host saw since pf_open, and the board's own counters since the session began. */
typedef struct {
    uint32_t resent;      /* DATA frames sent again */
    uint32_t asked_again; /* times that results were asked for again */
    uint32_t bad;         /* bad frames that came */
    bool counted;         /* whether the board counts; the rest is 0 if not */
    uint32_t cycles, waiting_for_input, not_taking_input, waiting_for_link, bad_frames;
} pf_figures;
pf_error pf_statistics(pf_board *board, pf_figures *figures);

/* Of unit `unit`, 0 to hello.units - 1 in the order of the plan, since the session's first input: cycles of the network's clock, those in
   which it had no input, those in which its output was not taken, and the others. They run over at 2^32. Unit 0 takes a snapshot
   that the others are read from, so ask in their order. PF_ABSENT if the design has no such counters, PF_STRANGE, PF_GONE, PF_SILENT. */
typedef struct {
    uint32_t cycles, starved, stalled, busy;
} pf_unit_figures;
pf_error pf_unit_statistics(pf_board *board, uint8_t unit, pf_unit_figures *figures);

/* Where a self-test found the first difference. */
typedef struct {
    size_t image, element;
    uint8_t output;
    int64_t board, expected;
} pf_mismatch;

/* Run a batch and compare it with what the golden model made of it; `outputs` takes the board's own results.
   PF_DIFFERS if an element differs; then `mismatch`, if not NULL, says which. Else as pf_infer. */
pf_error pf_selftest(pf_board *board, size_t images, const uint8_t *const *inputs, const uint8_t *const *expected,
                     uint8_t *const *outputs, pf_mismatch *mismatch);

/* Digest of what the memories of constants of a design with writable weights hold, 16 bytes, zeros where they were loaded in part. Whoever used the
   board before may have left others: compare, or call pf_load, before the first batch. PF_ABSENT, PF_GONE, PF_SILENT, PF_STRANGE, PF_RESET. */
enum { PF_DIGEST = 16 };
pf_error pf_loaded(pf_board *board, uint8_t *digest);

/* Load the weights of a design, the bytes of its folder's weights.bin, where the board has others. PF_ARGUMENT if they can't be
   those, PF_STRANGE if the board did not take them, else as pf_loaded. */
pf_error pf_load(pf_board *board, const uint8_t *weights, size_t size);

/* End the session without waiting for an answer; what the port needs is the caller's to close. */
void pf_close(pf_board *board);

/* ---- Elements and bytes ---- */

/* Inputs, outputs of a board. */
const pf_tensor *pf_input(const pf_board *board, uint8_t index);
const pf_tensor *pf_output(const pf_board *board, uint8_t index);

/* Whether a tensor's elements can have this value. */
bool pf_fits(const pf_tensor *tensor, int64_t value);

/* Element `index` of an image, counted in the order height, width, channel, channels innermost. */
int64_t pf_get(const pf_tensor *tensor, const uint8_t *image, size_t index);
void pf_set(const pf_tensor *tensor, uint8_t *image, size_t index, int64_t value);

/* Integers [images, height, width, channels] to bytes and back. pf_pack: PF_ARGUMENT if a value does not fit. */
pf_error pf_pack(const pf_tensor *tensor, size_t images, const int64_t *elements, uint8_t *bytes);
void pf_unpack(const pf_tensor *tensor, size_t images, const uint8_t *bytes, int64_t *elements);

/* Index of the greatest element of an image, the first of several: the class, where all scores have one scale. */
size_t pf_best(const pf_tensor *tensor, const uint8_t *image);

#ifdef __cplusplus
}
#endif

#endif
