/*
 * publish_batch: events in a growing array.
 */
#include "daemon/publish_batch.h"

#include <stdlib.h>
#include <string.h>

#define IGNORED_NAME_LEN 256
/* After a request with more events than this its memory is given back. */
#define KEEP_CAP 256

uint64_t publish_max_bytes(const struct settings *settings)
{
    return request_events_bytes(settings->hub.max_event_bytes);
}

void publish_batch_reset(struct publish_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        zframe_close(&b->items[i].frame);
    }
    b->count = 0;
    b->bytes = 0;
    b->memory = 0;
    b->is_packed = false;
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
    return b->memory + b->cap * sizeof b->items[0];
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
        items[i].offset = b->items[i].offset;
        items[i].len = b->items[i].len;
        zframe_init(&items[i].frame);
        zframe_move(&items[i].frame, &b->items[i].frame);
    }
    free(b->items);
    b->items = items;
    b->cap = cap;
    return true;
}

/* Takes a text of len bytes as the next event, its frame is still to be filled. False when it is
 * over a limit, or an earlier one was. */
static bool add_item(struct publish_batch *b, size_t offset, size_t len, uint64_t max_bytes)
{
    if (b->overflow != PUBLISH_FITS || b->no_memory) {
        return false;
    }
    if (b->count == PUBLISH_MAX_EVENTS) {
        b->overflow = PUBLISH_TOO_MANY;
    } else if (b->bytes > max_bytes || len > max_bytes - b->bytes) {
        b->overflow = PUBLISH_TOO_BIG;
    } else if (b->count == b->cap && !grow(b)) {
        b->no_memory = true;
    } else {
        zframe_init(&b->items[b->count].frame);
        b->items[b->count].offset = offset;
        b->items[b->count].len = len;
        b->count++;
        b->bytes += len;
        return true;
    }
    return false;
}

/* Lets the item hold the frame. */
static void hold_frame(struct publish_batch *b, size_t index, struct zframe *frame)
{
    b->memory += zframe_size(frame);
    zframe_move(&b->items[index].frame, frame);
}

static void drop_frame(struct zframe *frame)
{
    zframe_close(frame);
    zframe_init(frame);
}

void publish_batch_add(struct publish_batch *b, struct zframe *frame, uint64_t max_bytes)
{
    if (add_item(b, 0, zframe_size(frame), max_bytes)) {
        hold_frame(b, b->count - 1, frame);
    } else {
        drop_frame(frame);
    }
}

void publish_batch_add_packed(struct publish_batch *b, struct zframe *frame,
                              const struct packed_reader *rest, uint64_t max_bytes)
{
    struct packed_reader reader = *rest;
    const void *text = NULL;
    size_t len = 0;

    /* Where a short frame keeps its bytes changes when it is moved: offsets are kept instead. */
    while (packed_next(&reader, &text, &len) &&
           add_item(b, (size_t)((const unsigned char *)text - reader.begin), len, max_bytes)) {
    }
    b->is_packed = b->count > 0;
    if (b->is_packed) {
        hold_frame(b, 0, frame);
    } else {
        drop_frame(frame);
    }
}

const char *publish_batch_text(struct publish_batch *b, size_t i)
{
    struct zframe *frame = &b->items[b->is_packed ? 0 : i].frame;

    return (const char *)zframe_data(frame) + b->items[i].offset;
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
