/*
 * clock: the two clocks of a process, and a source that tests can replace.
 *
 * Threads: any. clock_set_source() is for tests, before other threads start.
 */
#ifndef NHUB_BASE_CLOCK_H
#define NHUB_BASE_CLOCK_H

#include <stdint.h>

struct clock_source {
    int64_t (*mono_ns)(void); /* never goes back */
    int64_t (*wall_us)(
        void); /* microseconds since 1970-01-01T00:00:00Z; may be set by an operator */
};

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_us(void);

/* Replaces the clocks, NULL gives the system's back. The source must outlive its use. */
void clock_set_source(const struct clock_source *source);

#endif
