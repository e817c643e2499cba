/*
 * feed: an event and its texts are one allocation, so that a cache of many thousands is cheap to
 * fill and to trim.
 */
#include "gateway/feed.h"

#include "base/blob.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const gap_names[GAP_REASONS] = {
    [GAP_RETENTION] = "retention",
    [GAP_UNCLEAN_STOP] = "unclean_stop",
    [GAP_EPOCH_CHANGED] = "epoch_changed",
    [GAP_NOT_STORED] = "not_stored",
    [GAP_SLOW] = "slow",
};

const char *gap_reason_name(enum gap_reason reason)
{
    return (unsigned)reason < GAP_REASONS ? gap_names[reason] : "retention";
}

enum gap_reason gap_reason_parse(const char *name)
{
    for (int i = 0; i < GAP_REASONS; i++) {
        if (strcmp(name, gap_names[i]) == 0) {
            return (enum gap_reason)i;
        }
    }
    return GAP_RETENTION; /* a reason of a newer hub: what is missing is missing */
}

nhub_err feed_event_create(struct feed_event **out, const struct position *position,
                           const void *type, size_t type_len, const void *line, size_t line_len)
{
    struct feed_event *e = NULL;
    char *text = NULL;

    if (type_len > SIZE_MAX / 4 || line_len > SIZE_MAX / 4) {
        return NHUB_ENOMEM;
    }
    e = malloc(sizeof *e + type_len + line_len + 2);
    if (!e) {
        return NHUB_ENOMEM;
    }
    memset(e, 0, sizeof *e);
    text = e->bytes;
    if (type_len > 0) {
        memcpy(text, type, type_len);
    }
    text[type_len] = '\0';
    if (line_len > 0) {
        memcpy(text + type_len + 1, line, line_len);
    }
    text[type_len + 1 + line_len] = '\0';
    e->refs = 1;
    e->position = *position;
    e->type = text;
    e->type_len = type_len;
    e->line = text + type_len + 1;
    e->line_len = line_len;
    *out = e;
    return NHUB_OK;
}

nhub_err feed_gap_create(struct feed_event **out, const struct gap *gap)
{
    const size_t head = (sizeof(struct feed_event) + alignof(struct gap) - 1) /
                        alignof(struct gap) * alignof(struct gap);
    char *memory = calloc(1, head + sizeof *gap + 1);
    struct feed_event *e = (struct feed_event *)(void *)memory;

    if (!e) {
        return NHUB_ENOMEM;
    }
    memcpy(memory + head, gap, sizeof *gap);
    e->refs = 1;
    e->position = gap->to;
    e->gap = (const struct gap *)(const void *)(memory + head);
    e->type = memory + head + sizeof *gap; /* an empty text */
    e->line = e->type;
    *out = e;
    return NHUB_OK;
}

size_t feed_event_size(const struct feed_event *e)
{
    return sizeof *e + e->type_len + e->line_len + 2 + (e->gap ? sizeof *e->gap : 0);
}

struct feed_event *feed_event_ref(struct feed_event *e)
{
    e->refs++;
    return e;
}

void feed_event_unref(struct feed_event **e_p)
{
    struct feed_event *e = *e_p;

    *e_p = NULL;
    if (!e || --e->refs > 0) {
        return;
    }
    for (int i = 0; i < FORMATS; i++) {
        blob_unref(&e->rendered[i]);
    }
    free(e);
}

enum { BATCH_ITEMS = 64, CACHE_LINE = 64 };

/* `used` is the maker's, `left` whoever frees': on lines of their own, they do not wait for each
 * other's. */
struct feed_batch {
    size_t used;
    char apart_from_left[CACHE_LINE];
    atomic_size_t left; /* not freed yet, those not made yet among them */
    char apart_from_items[CACHE_LINE];
    struct feed_item items[BATCH_ITEMS];
};

static void batch_less(struct feed_batch *batch, size_t count)
{
    if (atomic_fetch_sub_explicit(&batch->left, count, memory_order_acq_rel) == count) {
        free(batch);
    }
}

struct feed_item *feed_item_take(struct feed_batch **batch_p)
{
    struct feed_batch *batch = *batch_p;
    struct feed_item *item = NULL;

    if (!batch) {
        batch = malloc(sizeof *batch);
        if (!batch) {
            return NULL;
        }
        batch->used = 0;
        atomic_init(&batch->left, BATCH_ITEMS);
    }
    item = &batch->items[batch->used++];
    *batch_p = batch->used < BATCH_ITEMS ? batch : NULL;
    *item = (struct feed_item){.batch = batch};
    return item;
}

void feed_batch_end(struct feed_batch **batch_p)
{
    struct feed_batch *batch = *batch_p;

    *batch_p = NULL;
    if (batch) {
        batch_less(batch, BATCH_ITEMS - batch->used);
    }
}

void feed_item_free(struct feed_item **item_p)
{
    struct feed_item *item = *item_p;

    *item_p = NULL;
    if (!item) {
        return;
    }
    if (item->waiting) {
        counter_sub(item->waiting, item->weight);
    }
    feed_event_unref(&item->event);
    if (item->batch) {
        batch_less(item->batch, 1);
    } else {
        free(item);
    }
}
