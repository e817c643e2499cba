/*
 * memory_ceiling: what this gateway can come to need, by part, from its settings: printed at the
 * start and shown in /stats, so that a container's limit is a sum and not a guess.
 *
 * Each part is an upper bound that its owner keeps; the figure of a part is usually far above what
 * is used. Kernel buffers are not in the process's resident size, but in the machine's memory.
 *
 * Threads: any; a plain value.
 */
#ifndef GATEWAY_MEMORY_CEILING_H
#define GATEWAY_MEMORY_CEILING_H

#include "base/settings.h"

#define MEMORY_PARTS(X)                                                                            \
    X(MEMORY_PROGRAM, "program")            /* code, libraries, stacks */                          \
    X(MEMORY_CACHE, "cache")                /* gateway.cache_bytes, last values, indices */        \
    X(MEMORY_STREAMS, "streams")            /* gateway.streams_max_bytes, and closing sessions */  \
    X(MEMORY_LINK, "link")                  /* events on their way in, pages on their way back */  \
    X(MEMORY_PUBLISHES, "publishes")        /* on their way to the hub */                          \
    X(MEMORY_GROUPS, "groups")              /* fetched for consumers, not yet sent */              \
    X(MEMORY_BODIES, "bodies")              /* bodies of requests, pages of history going out */   \
    X(MEMORY_MESSAGES, "messages")          /* of WebSocket clients, that are not whole yet */     \
    X(MEMORY_CONNECTIONS, "connections")    /* gateway.max_connections, idle */                    \
    X(MEMORY_ALLOCATOR, "allocator")        /* what free memory is lost in pieces */               \
    X(MEMORY_KERNEL, "kernel_send_buffers") /* of streams; not resident */

enum memory_part {
#define MEMORY_ROW(name, text) name,
    MEMORY_PARTS(MEMORY_ROW)
#undef MEMORY_ROW
        MEMORY_PART_COUNT
};
const char *memory_part_name(enum memory_part part);

struct memory_ceiling {
    uint64_t part[MEMORY_PART_COUNT];
    uint64_t resident; /* all but the kernel's */
    uint64_t total;
};

void memory_ceiling_compute(struct memory_ceiling *out, const struct settings *settings,
                            uint64_t max_connections);

/* The bounds that are no settings. */
#define MEMORY_FEED_BYTES    ((uint64_t)64 << 20) /* from the link to the stream loop */
#define MEMORY_PUBLISH_BYTES ((uint64_t)64 << 20) /* jobs that wait or are in flight */
#define MEMORY_BODIES_COUNT  32                   /* bodies of the largest size at once */
/* Messages of the largest size at once, with an op around each event, in buffers that have doubled
 * up to it. */
#define MEMORY_MESSAGES_COUNT    32
#define MEMORY_MESSAGE_MAX(s)    ((s)->gateway.max_event_bytes + (uint64_t)4096)
#define MEMORY_MESSAGES_BYTES(s) (2 * MEMORY_MESSAGES_COUNT * MEMORY_MESSAGE_MAX(s))
/* What all fetches under way may bring together, if each asks for no less than … */
#define MEMORY_FETCHES_BYTES ((uint64_t)64 << 20)
#define MEMORY_FETCH_MIN     ((uint64_t)64 * 1024)
/* Of streams_max_bytes: what consumers have fetched may hold one part of … */
#define MEMORY_GROUPS_SHARE 4
/* … closing sessions of clients that do not read may hold one part of … */
#define MEMORY_CLOSING_SHARE 8
/* … and the send buffers of all streams one part of this, besides a least one for each. */
#define MEMORY_BUFFERS_SHARE   2
#define MEMORY_SEND_BUFFER_MIN ((size_t)16 * 1024)

#endif
