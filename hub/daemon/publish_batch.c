/*
 * publish_batch: frames in a growing array.
 */
#include "daemon/publish_batch.h"

#include <stdlib.h>
#include <string.h>

#define IGNORED_NAME_LEN 256
/* After a request with more events than this its memory is given back. */
#define KEEP_CAP 256

uint64_t publish_max_bytes(const struct settings *settings)
{
    return settings->hub.max_event_bytes > PUBLISH_MAX_BYTES ? settings->hub.max_event_bytes
                                                             : PUBLISH_MAX_BYTES;
}

void publish_batch_reset(struct publish_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        zframe_close(&b->items[i].frame);
    }
    b->count = 0;
    b->bytes = 0;
    b->overflow = PUBLISH_FITS;
    b->no_memory = false;
    b->ignored_count = 0;
    if (b->cap > KEEP_CAP) {
        free(b->items);
        b->items = NULL;
        b->cap = 0;
    }
}

void publish_batch_fini(struct publish_batch *b)
{
    publish_batch_reset(b);
    free(b->items);
    b->items = NULL;
    b->cap = 0;
}

uint64_t publish_batch_memory(const struct publish_batch *b)
{
    return b->bytes + b->cap * sizeof b->items[0];
}

/* Frames may not be moved by copying their bytes, so growing moves them by the library's means. */
static bool grow(struct publish_batch *b)
{
    const size_t cap = b->cap == 0 ? 16 : b->cap * 2;
    struct publish_item *items = malloc(cap * sizeof *items);

    if (!items) {
        return false;
    }
    for (size_t i = 0; i < b->count; i++) {
        zframe_init(&items[i].frame);
        NHUB_IGNORE(zframe_share(&items[i].frame, &b->items[i].frame)); /* both are initialised */
        zframe_close(&b->items[i].frame);
    }
    free(b->items);
    b->items = items;
    b->cap = cap;
    return true;
}

static void drop_frame(struct zframe *frame)
{
    zframe_close(frame);
    zframe_init(frame);
}

void publish_batch_add(struct publish_batch *b, struct zframe *frame, uint64_t max_bytes)
{
    const size_t len = zframe_size(frame);

    if (b->overflow != PUBLISH_FITS || b->no_memory) {
        drop_frame(frame);
        return;
    }
    if (b->count == PUBLISH_MAX_EVENTS) {
        b->overflow = PUBLISH_TOO_MANY;
    } else if (b->bytes > max_bytes || len > max_bytes - b->bytes) {
        b->overflow = PUBLISH_TOO_BIG;
    } else if (b->count == b->cap && !grow(b)) {
        b->no_memory = true;
    } else {
        zframe_init(&b->items[b->count].frame);
        NHUB_IGNORE(zframe_share(&b->items[b->count].frame, frame)); /* both are initialised */
        b->count++;
        b->bytes += len;
    }
    drop_frame(frame);
}

void publish_batch_note_ignored(void *context, const struct json_span *name)
{
    struct publish_batch *b = context;

    if (b->ignored_count == PUBLISH_IGNORED_MAX || name->len > IGNORED_NAME_LEN) {
        return;
    }
    for (size_t i = 0; i < b->ignored_count; i++) {
        if (b->ignored[i].len == name->len && memcmp(b->ignored[i].p, name->p, name->len) == 0) {
            return;
        }
    }
    b->ignored[b->ignored_count++] = *name;
}
