/* service: signals as a descriptor, and the datagrams of sd_notify(3) without its library. */
#include "base/service.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

nhub_err service_signals(int *out_fd)
{
    sigset_t set;
    int fd = -1;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return NHUB_ESYS;
    }
    errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (errno != 0) {
        return NHUB_ESYS;
    }
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return NHUB_ESYS;
    }
    *out_fd = fd;
    return NHUB_OK;
}

int service_next_signal(int fd)
{
    struct signalfd_siginfo info = {0};
    ssize_t n = 0;

    do {
        n = read(fd, &info, sizeof info);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

/* Sends one notification. A supervisor that does not listen is its own affair: nothing to do here
 * could help it, so failures are ignored on purpose. */
static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    int fd = -1;

    if (len < 2 || len >= sizeof addr.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(addr.sun_path, path, len);
    if (path[0] == '@') {
        addr.sun_path[0] = '\0'; /* the abstract namespace */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    while (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&addr,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0 &&
           errno == EINTR) {
    }
    (void)close(fd);
}

void service_ready(const char *line)
{
    (void)puts(line);
    (void)fflush(stdout);
    notify("READY=1");
}

void service_reloading(void)
{
    char text[64];

    /* Type=notify-reload of systemd 253 and later wants the time of the reload. */
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   clock_mono_ns() / 1000);
    notify(text);
}

void service_reloaded(void)
{
    notify("READY=1");
}

void service_stopping(void)
{
    notify("STOPPING=1");
}

void service_watchdog(void)
{
    notify("WATCHDOG=1");
}

void service_status(const char *text)
{
    char line[256];
    char *newline = NULL;

    (void)snprintf(line, sizeof line, "STATUS=%s", text);
    /* A line feed would begin another assignment. */
    while ((newline = strchr(line, '\n')) != NULL) {
        *newline = ' ';
    }
    notify(line);
}

int64_t service_watchdog_interval_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    char *end = NULL;
    long long interval_us = 0;

    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid())) {
        return 0;
    }
    errno = 0;
    interval_us = strtoll(usec, &end, 10);
    if (errno != 0 || end == usec || *end != '\0' || interval_us <= 0) {
        return 0;
    }
    return interval_us / 2000 > 0 ? interval_us / 2000 : 1;
}
