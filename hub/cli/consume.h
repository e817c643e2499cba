/*
 * consume: the parts of `notifyhub consume`: cmd_consume.c (options, the loop), consume_hub.c and
 * consume_gateway.c (where deliveries come from), consume_exec.c (a command for each event).
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_CONSUME_H
#define NHUB_CLI_CONSUME_H

#include "cli/group_settings.h"
#include "cli/out.h"
#include "wire/delivery.h"

#define CONSUME_BATCH 100 /* deliveries that are acknowledged together */

struct consume_job {
    const struct cli *cli;
    enum out_format format;
    const char *group, *member, *command; /* member, command: NULL = none */
    bool creates;
    struct group_settings settings; /* with creates */
    uint64_t max;                   /* events, 0 = no limit */
    uint64_t prefetch;              /* events fetched at once */
    int delay_ms;                   /* before an event whose command failed comes again */
    int64_t until_ms;               /* clock_mono_ms() of the end, INT64_MAX = none */

    uint64_t done, failed_runs, unsettled, gaps;
    bool is_closed;     /* nobody reads stdout */
    bool was_connected; /* the other side answered at least once */
};

/* True when it is time to end. */
bool consume_is_over(const struct consume_job *job);
/* Tells a gap, and counts it. from, to: positions, or "". */
void consume_gap(struct consume_job *job, const char *from, const char *to, const char *reason);

/* One delivery; the event is lent until the next call on the source. */
struct consumed {
    const nhub_event *event;
    char id[DELIVERY_TEXT_MAX];
    uint64_t attempt;
    int visibility_ms;
};

enum consume_settle { CONSUME_ACK, CONSUME_NACK, CONSUME_EXTEND };

#define CONSUME_NOTHING (-1) /* beside enum cli_exit: nothing came */

/* Where deliveries come from. Statuses are those of enum cli_exit; what went wrong was told. */
struct consume_source {
    const struct consume_source_ops *ops;
};
struct consume_source_ops {
    /* Waits up to wait_ms. CLI_OK: *out is filled; CONSUME_NOTHING; or why there is an end. */
    int (*next)(struct consume_source *source, int wait_ms, struct consumed *out);
    /* ms: the delay of a nack. Returns how many could not be settled (told, but not for EXTEND). */
    size_t (*settle)(struct consume_source *source, enum consume_settle what,
                     const char *const *ids, size_t count, int ms);
    void (*destroy)(struct consume_source *source);
};

/* False with a status when it cannot be made. */
bool consume_open_hub(struct consume_job *job, struct consume_source **out, int *out_status);
bool consume_open_gateway(struct consume_job *job, struct consume_source **out, int *out_status);

/* Runs the job's command with the event on its stdin, extending the delivery meanwhile. True when
 * it exited with 0. */
bool consume_exec(struct consume_job *job, struct consume_source *source,
                  const struct consumed *delivery);

#endif
