/* Serial lines of Linux and macOS for pulsefold.h; pseudo-terminals as well. */
#ifndef PULSEFOLD_POSIX_H
#define PULSEFOLD_POSIX_H

#include "pulsefold.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int descriptor;
} pf_port;

/* Open a device for this process alone (others that ask for the same, as the Python driver does, are refused): 8 data bits, no parity, one stop bit, no flow control, at any
   rate the device has. PF_GONE with errno set, or PF_ARGUMENT for a rate of 0. */
pf_error pf_posix_open(pf_port *port, const char *path, uint32_t baud);

/* Lasts as long as the port. */
pf_transport pf_posix_transport(pf_port *port);

void pf_posix_close(pf_port *port);

#ifdef __cplusplus
}
#endif

#endif
