/* last_values: a map of nodes that also stand in a list, the newest at its end. */
#include "gateway/fanout/last_values.h"

#include "base/map.h"
#include "gateway/fanout/list.h"

#include <stdlib.h>

struct node {
    struct list link;
    struct feed_event *event;
};

struct last_values {
    struct map *by_type;
    struct list order;
    size_t max_types, max_bytes, bytes;
    uint64_t evicted;
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
    l->bytes -= feed_event_size(node->event);
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
    free(l);
}

static nhub_err add(struct last_values *l, struct feed_event *event)
{
    struct node *node = calloc(1, sizeof *node);

    if (!node) {
        return NHUB_ENOMEM;
    }
    if (map_put(l->by_type, event->type, event->type_len, node, NULL) != NHUB_OK) {
        free(node);
        return NHUB_ENOMEM;
    }
    node->event = feed_event_ref(event);
    list_init(&node->link);
    list_append(&l->order, &node->link);
    return NHUB_OK;
}

nhub_err last_values_put(struct last_values *l, struct feed_event *event)
{
    struct node *node = map_get(l->by_type, event->type, event->type_len);
    nhub_err err = NHUB_OK;

    if (node) {
        l->bytes -= feed_event_size(node->event);
        feed_event_unref(&node->event);
        node->event = feed_event_ref(event);
        list_move(&l->order, &node->link);
    } else {
        err = add(l, event);
    }
    if (err != NHUB_OK) {
        return err;
    }
    l->bytes += feed_event_size(event);
    while (map_count(l->by_type) > l->max_types || l->bytes > l->max_bytes) {
        drop(l, oldest(l));
        l->evicted++;
    }
    return NHUB_OK;
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
