/* Serial lines of Linux and macOS. Nothing here waits but poll(), and that with a limit. */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE
#else
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "pulsefold_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)

/* The kernel's own structures: the C library's name only some rates. */
#include <asm/termbits.h>
#include <linux/serial.h>
#if !defined(TCGETS2)
/* musl names only what POSIX has, and its ioctl() takes an int. */
#include <asm/ioctls.h>
#endif
#if defined(__GLIBC__)
#define REQUEST(number) (number)
#else
#define REQUEST(number) ((int)(number))
#endif

static int set_line(int descriptor, uint32_t baud)
{
    struct termios2 line;
    if (ioctl(descriptor, REQUEST(TCGETS2), &line))
        return -1;
    line.c_iflag = 0;
    line.c_oflag = 0;
    line.c_lflag = 0;
    line.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | BOTHER << IBSHIFT;
    line.c_cc[VMIN] = 0;
    line.c_cc[VTIME] = 0;
    line.c_ispeed = line.c_ospeed = baud;
    if (ioctl(descriptor, REQUEST(TCSETS2), &line))
        return -1;
    /* USB bridges otherwise collect bytes for up to 16 ms; not every driver knows the request. */
    struct serial_struct driver;
    if (!ioctl(descriptor, REQUEST(TIOCGSERIAL), &driver)) {
        driver.flags |= (int)ASYNC_LOW_LATENCY;
        (void)ioctl(descriptor, REQUEST(TIOCSSERIAL), &driver);
    }
    return 0;
}

#else

#include <termios.h>

#if defined(__APPLE__) && !defined(IOSSIOSPEED)
/* Of IOKit/serial/ioss.h: any rate, after the rest is set. */
#define IOSSIOSPEED _IOW('T', 2, speed_t)
#endif

static int set_line(int descriptor, uint32_t baud)
{
    struct termios line;
    if (tcgetattr(descriptor, &line))
        return -1;
    cfmakeraw(&line);
    line.c_cflag |= CS8 | CREAD | CLOCAL;
    line.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | CRTSCTS);
    line.c_cc[VMIN] = 0;
    line.c_cc[VTIME] = 0;
#if defined(__APPLE__)
    /* A pseudo-terminal knows no rates beyond the usual, and has none in truth. */
    const speed_t rate = baud;
    return tcsetattr(descriptor, TCSANOW, &line) || (ioctl(descriptor, IOSSIOSPEED, &rate) && errno != ENOTTY) ? -1 : 0;
#else
    /* Where speed_t is the rate itself, as in the BSDs. */
    return cfsetspeed(&line, baud) || tcsetattr(descriptor, TCSANOW, &line) ? -1 : 0;
#endif
}

#endif

static uint32_t clock_ms(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static int read_some(void *context, uint8_t *into, size_t size, uint32_t wait_ms)
{
    const pf_port *port = context;
    struct pollfd ready = {.fd = port->descriptor, .events = POLLIN};
    const int found = poll(&ready, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
    if (found <= 0)
        return found < 0 && errno != EINTR ? -1 : 0;
    const ssize_t count = read(port->descriptor, into, size);
    if (count > 0)
        return (int)count;
    /* Readable and nothing there: the other end is gone. */
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int write_some(void *context, const uint8_t *from, size_t size)
{
    const pf_port *port = context;
    const ssize_t count = write(port->descriptor, from, size);
    if (count >= 0)
        return (int)count;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static uint32_t random_number(void *context)
{
    uint32_t number = 0;
    const int source = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (source < 0 || read(source, &number, sizeof number) != (ssize_t)sizeof number)
        number = clock_ms(context) ^ (uint32_t)getpid() << 16;
    if (source >= 0)
        close(source);
    return number;
}

pf_error pf_posix_open(pf_port *port, const char *path, uint32_t baud)
{
    if (baud == 0)
        return PF_ARGUMENT;
    port->descriptor = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->descriptor < 0)
        return PF_GONE;
    if (flock(port->descriptor, LOCK_EX | LOCK_NB) || set_line(port->descriptor, baud)) {
        const int reason = errno;
        close(port->descriptor);
        port->descriptor = -1;
        errno = reason;
        return PF_GONE;
    }
    return PF_OK;
}

pf_transport pf_posix_transport(pf_port *port)
{
    const pf_transport transport = {port, read_some, write_some, clock_ms, random_number};
    return transport;
}

void pf_posix_close(pf_port *port)
{
    if (port->descriptor >= 0)
        close(port->descriptor);
    port->descriptor = -1;
}
