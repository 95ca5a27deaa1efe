/* What the files of the library share; not for its users. Each mirrors the module of firmware/ or hdl/link/ of its name. */
#ifndef PULSEFOLD_LINK_H
#define PULSEFOLD_LINK_H

#include "pulsefold.h"

enum {
    PF_DATA = 0x01,
    PF_ACK = 0x02,
    PF_RESEND = 0x03,
    PF_POLL = 0x04,
    PF_IDENTIFY = 0x05,
    PF_OPEN = 0x06,
    PF_COUNT = 0x07,
    PF_RESULT = 0x81,
    PF_STATUS = 0x82,
    PF_HELLO = 0x83,
    PF_COUNTS = 0x84
};

enum { PF_FLAG_REFUSED = 1, PF_FLAG_BAD = 2 };
enum { PF_FEATURE_COUNTS = 1, PF_FEATURE_UNIT_COUNTS = 2, PF_FEATURE_WEIGHTS = 8 };
/* Number of the tensor that weights and their digest travel as. */
enum { PF_WEIGHTS_TENSOR = 14 };

/* What goes through a session. */
typedef struct {
    const pf_tensor *inputs, *outputs;
    uint8_t input_count, output_count;
    uint8_t channel; /* number of the first of each on the line */
} pf_streams;

/* frame.c */

uint32_t pf_crc32(uint32_t crc, const uint8_t *data, size_t size);
/* A frame as it goes over the line, delimiter included; its size, at most PF_MAX_LINE. The payload has at most PF_MAX_PAYLOAD bytes. */
size_t pf_encode(uint8_t *line, uint8_t type, uint8_t number, uint8_t extra, const uint8_t *payload, size_t size);

typedef enum { PF_PENDING, PF_FRAME, PF_BAD } pf_decoded;
void pf_decoder_begin(pf_decoder *decoder);
/* The next byte; whether a frame or what was none ended with it. */
pf_decoded pf_decode(pf_decoder *decoder, uint8_t byte, pf_frame *frame);

/* description.c */

typedef struct {
    uint8_t next, limit, results, attempt, poll;
    bool refused, bad;
    uint16_t session;
} pf_status;

uint32_t pf_little(const uint8_t *bytes, unsigned count);
/* Whether the frame is one, and what it says. */
bool pf_read_status(const pf_frame *frame, pf_status *status);
bool pf_read_hello(const pf_frame *frame, pf_hello *hello);

/* sender.c */

void pf_sender_begin(pf_sender *sender, const pf_streams *streams, size_t images, size_t done, const uint8_t *const *inputs);
/* Whether there is a frame to send; if so it is taken as sent, and written to `line`. */
bool pf_sender_frame(pf_sender *sender, uint8_t *line, uint16_t *size);
bool pf_sender_finished(const pf_sender *sender);
/* The tag of a POLL that is about to be sent. */
uint8_t pf_sender_poll(pf_sender *sender);
bool pf_sender_answered(const pf_sender *sender, const pf_status *status);
/* Act on a STATUS of this session; whether it names numbers that were sent. */
bool pf_sender_status(pf_sender *sender, const pf_status *status);

/* receiver.c */

/* The frame's number: whether it is the next result, and whether to ask again (which the caller then does). */
bool pf_receiver_result(pf_receiver *receiver, uint8_t number, bool *again);
/* Whether a bad frame, which may have been a result, is reason to ask again. */
bool pf_receiver_damaged(pf_receiver *receiver);
bool pf_receiver_due(const pf_receiver *receiver, bool idle);

/* session.c */

pf_error pf_session_identify(pf_board *board);
pf_error pf_session_open(pf_board *board);
void pf_session_close(pf_board *board);
pf_error pf_session_count(pf_board *board, uint8_t page, pf_frame *answer);

/* stream.c */

/* Send the images from `done` on and take their results; PF_RESET if the board was reset. */
pf_error pf_stream(pf_board *board, const pf_streams *streams, size_t images, size_t done, const uint8_t *const *inputs, uint8_t *const *outputs,
                   size_t *missing);

/* The port, for both: session.c */

/* Milliseconds to wait for bytes while the port has no room for more. */
enum { PF_NAP_MS = 1 };

typedef enum { PF_HEARD_NOTHING, PF_HEARD_PART, PF_HEARD_FRAME, PF_HEARD_BAD, PF_HEARD_END } pf_heard;
uint32_t pf_now(const pf_board *board);
/* Whether the last line was sent as a whole, so that the next one may be put into `line`. */
bool pf_idle(const pf_board *board);
void pf_say(pf_board *board, uint8_t type, uint8_t number, const uint8_t *payload, size_t size);
/* Go on sending the line; false if the port is gone. */
bool pf_pump(pf_board *board);
/* Go on with what arrived up to the next frame, waiting for bytes if there are none; PF_HEARD_END: the port is gone. */
pf_heard pf_hear(pf_board *board, uint32_t wait_ms, pf_frame *frame);

#endif
