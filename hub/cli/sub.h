/*
 * sub: the parts of `notifyhub sub`: cmd_sub.c (options, the hub), sub_stream.c (a gateway's SSE).
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_SUB_H
#define NHUB_CLI_SUB_H

#include "cli/args.h"
#include "cli/out.h"

#include <stdint.h>

struct sub_state {
    const struct cli *cli;
    enum out_format format;
    struct cli_list patterns;
    const char *since;
    uint64_t wanted;    /* events, 0 = no limit */
    uint64_t seen;      /* events printed */
    uint64_t gaps;      /* told */
    int64_t until_ms;   /* clock_mono_ms() of the end, INT64_MAX = none */
    bool is_closed;     /* nobody reads stdout */
    bool was_connected; /* the other side answered at least once */
};

/* True when it is time to end. */
bool sub_is_over(const struct sub_state *s);
/* Prints an event or a gap, and counts it. */
void sub_event(struct sub_state *s, const nhub_event *event);
void sub_gap(struct sub_state *s, const char *from, const char *to, const char *reason,
             uint64_t delivered);

/* Reads a gateway's stream until it is over; returns an exit status other than CLI_OK when the
 * gateway refuses. */
int sub_stream(struct sub_state *s);

#endif
