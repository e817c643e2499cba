/*
 * interest: who subscribed to which prefix.
 *
 * An event's type is looked up once for each length that a prefix has, in a table, so what an event
 * costs does not grow with the number of prefixes or of those who do not want it.
 *
 * Threads: none inside.
 */
#ifndef NHUB_ZMTP_INTEREST_H
#define NHUB_ZMTP_INTEREST_H

#include <notifyhub/error.h>
#include <stddef.h>
#include <stdint.h>

/* Longer prefixes are refused: no event type is longer. */
#define INTEREST_PREFIX_MAX 255
/* Prefixes of one who subscribes. */
#define INTEREST_COUNT_MAX 100000

struct interest;

/* Whoever subscribes: lies in its owner's struct, all zero at first. `number` is its own, and not
 * given to another as long as it has subscriptions. */
struct interested {
    uint64_t number;
    struct subscription **subscriptions;
    size_t count, cap;
    uint64_t mark; /* of the search that found it last */
};

NHUB_MUST_USE nhub_err interest_create(struct interest **out); /* Errors: NHUB_ENOMEM */
void interest_destroy(struct interest **i_p);                  /* after all have been dropped */

/* Errors: NHUB_EEXIST it had subscribed to that; NHUB_ETOOBIG; NHUB_EFULL it has too
 * many; NHUB_ENOMEM, nothing changed. */
NHUB_MUST_USE nhub_err interest_add(struct interest *i, struct interested *who, const void *prefix,
                                    size_t len);
/* Errors: NHUB_ENOTFOUND it had not. */
NHUB_MUST_USE nhub_err interest_remove(struct interest *i, struct interested *who,
                                       const void *prefix, size_t len);
/* Removes all of its subscriptions; returns how many there were. */
size_t interest_drop(struct interest *i, struct interested *who);

/* Calls found() for each who subscribed to a prefix of the type, once, in no order. It must not
 * change subscriptions. */
void interest_search(struct interest *i, const void *type, size_t len,
                     void (*found)(void *context, struct interested *who), void *context);

#endif
