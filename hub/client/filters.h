/*
 * filters: what a subscriber wants: handlers by pattern, and the byte prefixes that the SUB socket
 * has to subscribe to for them.
 *
 * An exact name needs its own prefix, a pattern that of its literal beginning. Prefixes are
 * counted, so that two patterns with the same beginning share one. Handlers may be added and
 * removed while an event is being handed out.
 *
 * Threads: none inside.
 */
#ifndef NHUB_CLIENT_FILTERS_H
#define NHUB_CLIENT_FILTERS_H

#include <notifyhub/subscriber.h>

#define FILTERS_MAX 65536

struct filters;

/* A change for the SUB socket. */
struct filter_change {
    bool is_changed;  /* false: nothing to do */
    bool is_added;    /* subscribe, or unsubscribe */
    char prefix[256]; /* prefix_len bytes */
    size_t prefix_len;
};

NHUB_MUST_USE nhub_err filters_create(struct filters **out); /* Errors: NHUB_ENOMEM */
void filters_destroy(struct filters **f_p);
/* Errors: NHUB_EINVAL, NHUB_EFULL, NHUB_ENOMEM; nothing is changed then. */
NHUB_MUST_USE nhub_err filters_add(struct filters *f, const char *pattern, nhub_event_fn *fn,
                                   void *context, struct filter_change *out);
NHUB_MUST_USE nhub_err filters_remove(struct filters *f, const char *pattern,
                                      struct filter_change *out); /* Errors: NHUB_ENOTFOUND */
NHUB_MUST_USE nhub_err filters_add_prefix(struct filters *f, const char *prefix,
                                          struct filter_change *out);
void filters_set_default(struct filters *f, nhub_event_fn *fn, void *context);

/* Calls the handlers that select the event; false when there was none. */
bool filters_dispatch(struct filters *f, const nhub_event *event, const char *stats_event);

/* True when the empty prefix is among them: every event is received. */
bool filters_take_everything(const struct filters *f);
size_t filters_prefix_count(const struct filters *f);
/* The prefixes as NUL-terminated texts; the array is the caller's to free, the texts are lent until
 * the next change. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err filters_prefixes(const struct filters *f, const char ***out,
                                        size_t *out_count);

#endif
