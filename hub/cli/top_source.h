/*
 * top_source: reads the figures again and again in a thread of its own, so that the keyboard is
 * answered while a daemon is not.
 *
 * Threads: its own one makes the readings; all calls belong to the one that created it.
 */
#ifndef NHUB_CLI_TOP_SOURCE_H
#define NHUB_CLI_TOP_SOURCE_H

#include "cli/cli.h"
#include "cli/top_figures.h"

struct top_source;

/* Begins to read from cli->gateway, or from the hub when that is NULL, every interval_ms; a reading
 * may take timeout_ms. Errors: NHUB_EINVAL the URL is no good (told); NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err top_source_create(struct top_source **out, const struct cli *cli,
                                         int64_t interval_ms, int timeout_ms);
/* Waits for a reading under way. */
void top_source_destroy(struct top_source **s_p);

/* What came of readings. */
struct top_news {
    uint64_t number;            /* readings so far, good and bad ones */
    nhub_err err;               /* of the last one */
    char trouble[320];          /* why it failed */
    struct top_reading reading; /* the last good one */
    int64_t read_ms;            /* when it was made (monotonic), 0 = none yet */
};
void top_source_take(struct top_source *s, struct top_news *out);
/* The next reading comes at once, and later ones every interval_ms. */
void top_source_hurry(struct top_source *s, int64_t interval_ms);

#endif
