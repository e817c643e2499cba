/*
 * roster: things by ascending numbers, so that they can be listed page by page without walking over
 * those before.
 *
 * A number is added once and only behind all others; adding and removing cost a constant amount on
 * average, looking up log n.
 * Threads: none inside.
 */
#ifndef GATEWAY_FANOUT_ROSTER_H
#define GATEWAY_FANOUT_ROSTER_H

#include <notifyhub/error.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. */
struct roster {
    struct roster_entry {
        uint64_t number;
        void *thing; /* NULL = removed */
    } * entries;     /* by number, ascending */
    size_t used, cap, removed;
};

void roster_fini(struct roster *r); /* the things stay the caller's */
/* number is above all that were added before. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err roster_add(struct roster *r, uint64_t number, void *thing);
void roster_remove(struct roster *r, uint64_t number); /* not there: fine */
void *roster_find(const struct roster *r, uint64_t number);
/* The first one with a number above `after`, and its number; NULL at the end. */
void *roster_next(const struct roster *r, uint64_t after, uint64_t *out_number);
size_t roster_count(const struct roster *r);

#endif
