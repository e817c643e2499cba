/*
 * group_parcel: the answer to a fetch: what it says, the lines behind it, and a slip that says what
 * was in it in case that it comes back.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUP_PARCEL_H
#define NHUB_DAEMON_GROUP_PARCEL_H

#include "daemon/call.h"
#include "daemon/group.h"
#include "daemon/lines.h"

struct group_parcel_item {
    uint64_t seq;
    uint32_t attempt;
};

/* What was in an answer that did not reach its peer. */
struct group_parcel_slip {
    uint64_t serial; /* of the group */
    char epoch[EPOCH_LEN + 1];
    const struct group_parcel_item *items;
    size_t count;
    bool has_gap;
    struct group_gap gap;
};
typedef void group_parcel_fn(void *context, const struct group_parcel_slip *slip);

/* An answer that is being put together. */
struct group_parcel_draft {
    struct lines lines;
    struct buf items; /* struct group_parcel_item each */
    size_t count;
};
void group_parcel_init(struct group_parcel_draft *d);
void group_parcel_fini(struct group_parcel_draft *d);
void group_parcel_add(struct group_parcel_draft *d, uint64_t seq, uint32_t attempt,
                      const char *line, size_t len);

struct group_parcel_address {
    uint64_t serial;
    const char *name;
    const struct position *cursor; /* its epoch is that of the deliveries */
    uint32_t visibility_ms;
    const struct group_gap *gap; /* NULL = none */
    uint64_t *in_flight;
    group_parcel_fn *undelivered; /* called when it is sure that the answer does not arrive */
    void *context;
};
/* Answers the call with the draft, which is empty afterwards. */
void group_parcel_send(struct group_parcel_draft *d, struct call *call,
                       const struct group_parcel_address *address);

/* ,"gap":{"from":…,"to":…,"reason":…} */
void group_write_gap(struct buf *out, const struct group_gap *gap);

#endif
