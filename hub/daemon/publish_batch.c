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
    free(b->own);
    b->own = NULL;
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

static bool grow(struct publish_batch *b)
{
    const size_t cap = b->cap == 0 ? 16 : b->cap * 2;
    struct publish_item *items = realloc(b->items, cap * sizeof *items);

    if (!items) {
        return false;
    }
    b->items = items;
    b->cap = cap;
    return true;
}

/* Returns false when the event is over a limit, or an earlier one was. */
static bool add_item(struct publish_batch *b, const char *text, size_t len, uint64_t max_bytes)
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
        b->items[b->count].text = text;
        b->items[b->count].len = len;
        b->count++;
        b->bytes += len;
        return true;
    }
    return false;
}

void publish_batch_add(struct publish_batch *b, const char *text, size_t len, uint64_t max_bytes)
{
    (void)add_item(b, text, len, max_bytes); /* what is left out is told by `overflow` */
}

void publish_batch_add_packed(struct publish_batch *b, const struct packed_reader *rest,
                              uint64_t max_bytes)
{
    struct packed_reader reader = *rest;
    const void *text = NULL;
    size_t len = 0;

    while (packed_next(&reader, &text, &len) && add_item(b, text, len, max_bytes)) {
    }
}

nhub_err publish_batch_keep(struct publish_batch *b)
{
    char *own = malloc(b->bytes > 0 ? b->bytes : 1);
    size_t at = 0;

    if (!own) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].len > 0) {
            memcpy(own + at, b->items[i].text, b->items[i].len);
        }
        b->items[i].text = own + at;
        at += b->items[i].len;
    }
    free(b->own);
    b->own = own;
    return NHUB_OK;
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
