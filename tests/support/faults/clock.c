/*
 * clock: the hooks on calls that ask for the time of day. What measures durations stays as it is,
 * as it does when an operator sets the clock.
 */
#include "faults.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS INT64_C(10000000)
#define SECOND  INT64_C(1000000000)

typedef int clock_gettime_fn(clockid_t clock, struct timespec *out);

/* libc's own, which asks the kernel's shared page rather than the kernel. */
static _Atomic(clock_gettime_fn *) real;
static _Atomic int64_t shift_ns;
static _Atomic int64_t next_look_ns;
static const char *control;

__attribute__((constructor)) static void set_up(void)
{
    control = getenv("NHUB_FAULTS_CLOCK");
    /* POSIX's own way to make a function of what dlsym() returns. */
    union {
        void *object;
        clock_gettime_fn *function;
    } found = {dlsym(RTLD_NEXT, "clock_gettime")};
    atomic_store(&real, found.function);
}

static int ask(clockid_t clock, struct timespec *out)
{
    clock_gettime_fn *function = atomic_load(&real);

    return function ? function(clock, out) : (int)syscall(SYS_clock_gettime, clock, out);
}

static int64_t shift(void)
{
    struct timespec now = {0};
    char text[64];
    int64_t now_ns = 0;

    if (!control) {
        return 0;
    }
    (void)ask(CLOCK_MONOTONIC, &now);
    now_ns = now.tv_sec * SECOND + now.tv_nsec;
    if (now_ns >= atomic_load(&next_look_ns)) {
        atomic_store(&next_look_ns, now_ns + LOOK_NS);
        atomic_store(&shift_ns, fault_control(control, text, sizeof text)
                                    ? (int64_t)(strtod(text, NULL) * (double)SECOND)
                                    : 0);
    }
    return atomic_load(&shift_ns);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out)
{
    const int result = ask(clock, out);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        const int64_t ns = out->tv_sec * SECOND + out->tv_nsec + shift();

        out->tv_sec = ns / SECOND;
        out->tv_nsec = ns % SECOND;
    }
    return result;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict out,
                                                        void *restrict zone)
{
    struct timespec now = {0};

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

__attribute__((visibility("default"))) time_t time(time_t *out)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
