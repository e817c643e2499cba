/* memory_ceiling: sums. The constants of the program and of a connection are measured, with room to
 * spare: an idle gateway has about 15 MiB, an idle connection of any door less than 10 KiB. */
#include "gateway/memory_ceiling.h"

#include <string.h>

#define MIB               ((uint64_t)1 << 20)
#define PROGRAM_BYTES     (32 * MIB)
#define CONNECTION_BYTES  ((uint64_t)16 * 1024)
#define PAGE_BYTES        (4 * MIB) /* of the hub, PROTOCOL.md, "history" */
#define PAGES_UNDER_WAY   9         /* eight questions and the link's own refill */
#define CACHE_INDEX_BYTES 16        /* for each event, while the index grows */
#define ALLOCATOR_SHARE   8

static const char *const names[MEMORY_PART_COUNT] = {
#define MEMORY_ROW(name, text) [name] = text,
    MEMORY_PARTS(MEMORY_ROW)
#undef MEMORY_ROW
};

const char *memory_part_name(enum memory_part part)
{
    return names[part];
}

/* Settings may be as large as 64 GiB, so none of these sums can wrap. */
void memory_ceiling_compute(struct memory_ceiling *out, const struct settings *settings,
                            uint64_t max_connections)
{
    const uint64_t cache = settings->gateway.cache_bytes;
    const uint64_t streams = settings->gateway.streams_max_bytes;

    memset(out, 0, sizeof *out);
    out->part[MEMORY_PROGRAM] = PROGRAM_BYTES;
    out->part[MEMORY_CACHE] =
        cache + cache / 4 + settings->gateway.cache_events * CACHE_INDEX_BYTES;
    out->part[MEMORY_STREAMS] = streams + streams / MEMORY_CLOSING_SHARE;
    /* Events behind a hole, and of an epoch that is not named yet: as much as the cache each. And
     * each connection receives a message whole. */
    out->part[MEMORY_LINK] = MEMORY_FEED_BYTES + 2 * settings->hub.max_event_bytes + 2 * cache +
                             PAGES_UNDER_WAY * PAGE_BYTES;
    /* The jobs, and what is being written of them. */
    out->part[MEMORY_PUBLISHES] = 2 * MEMORY_PUBLISH_BYTES;
    out->part[MEMORY_GROUPS] = streams / MEMORY_GROUPS_SHARE + MEMORY_FETCHES_BYTES;
    out->part[MEMORY_BODIES] = MEMORY_BODIES_COUNT * settings->gateway.max_body_bytes;
    out->part[MEMORY_MESSAGES] = MEMORY_MESSAGES_BYTES(settings);
    out->part[MEMORY_CONNECTIONS] = max_connections * CONNECTION_BYTES;
    for (int i = 0; i < MEMORY_ALLOCATOR; i++) {
        out->part[MEMORY_ALLOCATOR] += out->part[i] / ALLOCATOR_SHARE;
    }
    /* The kernel allows itself double of what SO_SNDBUF asks for (socket(7)). */
    out->part[MEMORY_KERNEL] =
        streams / MEMORY_BUFFERS_SHARE + 2 * max_connections * MEMORY_SEND_BUFFER_MIN;
    for (int i = 0; i < MEMORY_KERNEL; i++) {
        out->resident += out->part[i];
    }
    out->total = out->resident + out->part[MEMORY_KERNEL];
}
