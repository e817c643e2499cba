/*
 * request_group: the fields of requests that concern consumer groups (PROTOCOL.md, "Consumer
 * groups"), and the writers of such requests.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_REQUEST_GROUP_H
#define NHUB_WIRE_REQUEST_GROUP_H

#include "base/buf.h"
#include "wire/delivery.h"

#define GROUP_NAME_MAX          64
#define GROUP_MEMBER_MAX        128   /* bytes of UTF-8 without control characters */
#define GROUP_PATTERN_BYTES_MAX 65536 /* of all patterns of a group together */
#define GROUP_VISIBILITY_MIN_MS 100
#define GROUP_VISIBILITY_MAX_MS 43200000
#define GROUP_VISIBILITY_MS     30000 /* default */
#define GROUP_ATTEMPTS          5     /* default */
#define GROUP_ATTEMPTS_MAX      1000000
#define GROUP_FETCH_MAX         1000
#define GROUP_FETCH_BYTES_MAX   (4 * 1024 * 1024)
#define GROUP_FETCH_WAIT_MAX_MS 60000
#define GROUP_DELAY_MAX_MS      43200000
#define GROUP_DELIVERIES_MAX    1000

/* In a request; members that its action does not have keep their defaults. */
struct request_group {
    const char *name;       /* inside the request's json; NULL only where the action has no group */
    const char *member;     /* fetch; inside json, without NUL bytes */
    uint32_t visibility_ms; /* group_create; extend: 0 = the group's */
    uint32_t max_attempts;  /* group_create; 0 = for ever */
    bool ordered, hold;     /* group_create */
    uint32_t max;           /* fetch */
    uint32_t max_bytes;     /* fetch */
    uint32_t wait_ms;       /* fetch */
    uint32_t delay_ms;      /* nack */
    bool release;           /* nack: the attempt does not count */
    const char
        *gap_reason; /* nack: nobody was told of this gap after all; inside json, NULL = none */
    struct position gap_from, gap_to;
    struct delivery *deliveries; /* ack, nack, extend; owned */
    size_t delivery_count;
};

/* 1 to 64 of A-Za-z0-9_.- */
bool request_group_name_valid(const char *name, size_t len);

/* What a group is made with. */
struct group_options {
    const char *const *patterns; /* event_type; pattern_count may be 0: everything */
    size_t pattern_count;
    const char *since;      /* a text of `since`, or NULL = latest */
    uint32_t visibility_ms; /* 0 = the default */
    int64_t max_attempts;   /* negative = the default; 0 = for ever */
    bool ordered, hold;
};

void request_write_group_create(struct buf *out, uint64_t request_id, const char *group,
                                const struct group_options *options);
/* action: "group" or "group_delete". ("groups" has no fields: request_write_simple().) */
void request_write_group(struct buf *out, const char *action, uint64_t request_id,
                         const char *group);
/* max_bytes 0: the default. */
void request_write_fetch(struct buf *out, uint64_t request_id, const char *group,
                         const char *member, uint32_t max, uint32_t max_bytes, uint32_t wait_ms);
/* deliveries: texts as the answer to fetch has them. */
void request_write_ack(struct buf *out, uint64_t request_id, const char *group,
                       const char *const *deliveries, size_t count);
void request_write_nack(struct buf *out, uint64_t request_id, const char *group,
                        const char *const *deliveries, size_t count, uint32_t delay_ms,
                        bool release);
/* visibility_ms 0: the group's. */
void request_write_extend(struct buf *out, uint64_t request_id, const char *group,
                          const char *const *deliveries, size_t count, uint32_t visibility_ms);

#endif
