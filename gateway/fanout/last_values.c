/* last_values: a map of nodes that also stand in a list, the newest at its end. */
#include "gateway/fanout/last_values.h"

#include "base/map.h"
#include "gateway/fanout/list.h"
#include "gateway/fanout/roster.h"

#include <stdlib.h>

struct node {
    struct list link;
    struct feed_event *event;
    struct type_figures figures;
};

struct last_values {
    struct map *by_type;
    struct list order;
    size_t max_types, max_bytes, bytes;
    uint64_t evicted;
    struct roster numbers; /* nodes by the order in which their types were seen */
    uint64_t last_number;
};

nhub_err last_values_create(struct last_values **out, size_t max_types, size_t max_bytes)
{
    struct last_values *l = NULL;

    if (max_types == 0 || max_bytes == 0) {
        return NHUB_EINVAL;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NHUB_ENOMEM;
    }
    list_init(&l->order);
    l->max_types = max_types;
    l->max_bytes = max_bytes;
    if (map_create(&l->by_type) != NHUB_OK) {
        free(l);
        return NHUB_ENOMEM;
    }
    *out = l;
    return NHUB_OK;
}

static void drop(struct last_values *l, struct node *node)
{
    (void)map_remove(l->by_type, node->event->type, node->event->type_len);
    list_remove(&node->link);
    roster_remove(&l->numbers, node->figures.number);
    l->bytes -= feed_event_size(node->event) + type_figures_fini(&node->figures);
    feed_event_unref(&node->event);
    free(node);
}

static struct node *oldest(struct last_values *l)
{
    return list_empty(&l->order) ? NULL : list_entry(l->order.next, struct node, link);
}

void last_values_destroy(struct last_values **l_p)
{
    struct last_values *l = *l_p;
    struct node *node = NULL;

    *l_p = NULL;
    if (!l) {
        return;
    }
    while ((node = oldest(l)) != NULL) {
        drop(l, node);
    }
    map_destroy(&l->by_type);
    roster_fini(&l->numbers);
    free(l);
}

static nhub_err add(struct last_values *l, struct feed_event *event, struct node **out)
{
    struct node *node = calloc(1, sizeof *node);

    if (!node) {
        return NHUB_ENOMEM;
    }
    if (map_put(l->by_type, event->type, event->type_len, node, NULL) != NHUB_OK) {
        free(node);
        return NHUB_ENOMEM;
    }
    node->figures.number = ++l->last_number;
    if (roster_add(&l->numbers, node->figures.number, node) != NHUB_OK) {
        (void)map_remove(l->by_type, event->type, event->type_len);
        free(node);
        return NHUB_ENOMEM;
    }
    *out = node;
    node->event = feed_event_ref(event);
    list_init(&node->link);
    list_append(&l->order, &node->link);
    return NHUB_OK;
}

/* live_ms: when it happened, negative = long ago. */
static nhub_err put(struct last_values *l, struct feed_event *event, int64_t live_ms)
{
    struct node *node = map_get(l->by_type, event->type, event->type_len);
    nhub_err err = NHUB_OK;

    if (node) {
        l->bytes -= feed_event_size(node->event);
        feed_event_unref(&node->event);
        node->event = feed_event_ref(event);
        list_move(&l->order, &node->link);
    } else {
        err = add(l, event, &node);
    }
    if (err != NHUB_OK) {
        return err;
    }
    l->bytes += feed_event_size(event);
    if (live_ms >= 0) {
        l->bytes += (size_t)type_figures_note(&node->figures, event, live_ms);
    }
    while (map_count(l->by_type) > l->max_types || l->bytes > l->max_bytes) {
        drop(l, oldest(l));
        l->evicted++;
    }
    return NHUB_OK;
}

nhub_err last_values_put(struct last_values *l, struct feed_event *event)
{
    return put(l, event, -1);
}

nhub_err last_values_put_live(struct last_values *l, struct feed_event *event, int64_t now_ms)
{
    return put(l, event, now_ms);
}

const struct type_figures *last_values_figures(const struct last_values *l, uint64_t after,
                                               struct feed_event **out_event)
{
    uint64_t number = 0;
    const struct node *node = roster_next(&l->numbers, after, &number);

    if (!node) {
        return NULL;
    }
    *out_event = node->event;
    return &node->figures;
}

struct feed_event *last_values_next(const struct last_values *l, const void **iter)
{
    const struct list *at = *iter;

    at = at ? at->next : l->order.next;
    if (at == &l->order) {
        return NULL;
    }
    *iter = at;
    return ((const struct node *)(const void *)((const char *)at - offsetof(struct node, link)))
        ->event;
}

size_t last_values_count(const struct last_values *l)
{
    return map_count(l->by_type);
}

uint64_t last_values_evicted(const struct last_values *l)
{
    return l->evicted;
}
