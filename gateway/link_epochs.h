/*
 * link_epochs: the epochs besides the current one: a few that are over, whose late events are
 * known as such, and one that no `position` answer has named yet, whose events wait until one does.
 *
 * Threads: none inside; belongs to the hub link's thread.
 */
#ifndef GATEWAY_LINK_EPOCHS_H
#define GATEWAY_LINK_EPOCHS_H

#include "gateway/link_held.h"

#include <stdbool.h>

#define LINK_EPOCHS_PAST 4

struct link_epochs {
    struct link_held early;
    char early_epoch[EPOCH_LEN + 1];            /* "" = none waits */
    char past[LINK_EPOCHS_PAST][EPOCH_LEN + 1]; /* a ring */
    size_t past_at;
};

void link_epochs_init(struct link_epochs *e, size_t max_held_bytes);
void link_epochs_fini(struct link_epochs *e);

void link_epochs_leave(struct link_epochs *e, const char *epoch); /* it is over */
bool link_epochs_is_past(const struct link_epochs *e, const char *epoch);

/* Takes an event of an epoch that nobody named; one that does not fit is dropped, a hole for later.
 * True when it is the first of its epoch. */
bool link_epochs_hold(struct link_epochs *e, struct feed_event **event_p);
/* The events that waited for this epoch, one by one, lowest first; NULL when none is left, and
 * nothing waits for any epoch then. */
struct feed_event *link_epochs_release(struct link_epochs *e, const char *epoch);

#endif
