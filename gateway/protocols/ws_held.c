/* ws_held: a map of entries that also stand in a list. */
#include "gateway/protocols/ws_held.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct list link;
    struct delivery id;
    int64_t due_ms;
};

/* A key without padding. */
struct key {
    char bytes[EPOCH_LEN + sizeof(uint64_t) + sizeof(uint32_t)];
};

static struct key key_of(const struct delivery *d)
{
    struct key key;

    memcpy(key.bytes, d->position.epoch, EPOCH_LEN);
    memcpy(key.bytes + EPOCH_LEN, &d->position.seq, sizeof d->position.seq);
    memcpy(key.bytes + EPOCH_LEN + sizeof d->position.seq, &d->attempt, sizeof d->attempt);
    return key;
}

void ws_held_init(struct ws_held *h)
{
    *h = (struct ws_held){.due_ms = INT64_MAX};
    list_init(&h->all);
}

static struct entry *find(const struct ws_held *h, const struct delivery *d)
{
    const struct key key = key_of(d);

    return h->by_id ? map_get(h->by_id, &key, sizeof key) : NULL;
}

static void drop(struct ws_held *h, struct entry *e)
{
    const struct key key = key_of(&e->id);

    (void)map_remove(h->by_id, &key, sizeof key);
    list_remove(&e->link);
    h->count--;
    free(e);
}

void ws_held_fini(struct ws_held *h)
{
    while (!list_empty(&h->all)) {
        drop(h, list_entry(h->all.next, struct entry, link));
    }
    map_destroy(&h->by_id);
}

nhub_err ws_held_add(struct ws_held *h, const struct delivery *d, int64_t due_ms)
{
    const struct key key = key_of(d);
    struct entry *e = find(h, d);

    if (!h->by_id && map_create(&h->by_id) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e || map_put(h->by_id, &key, sizeof key, e, NULL) != NHUB_OK) {
            free(e);
            return NHUB_ENOMEM;
        }
        e->id = *d;
        list_init(&e->link);
        list_append(&h->all, &e->link);
        h->count++;
    }
    e->due_ms = due_ms;
    h->due_ms = due_ms < h->due_ms ? due_ms : h->due_ms;
    return NHUB_OK;
}

bool ws_held_remove(struct ws_held *h, const struct delivery *d)
{
    struct entry *e = find(h, d);

    if (e) {
        drop(h, e);
    }
    return e != NULL;
}

void ws_held_extend(struct ws_held *h, const struct delivery *d, int64_t due_ms)
{
    struct entry *e = find(h, d);

    if (e) {
        e->due_ms = due_ms;
        h->due_ms = due_ms < h->due_ms ? due_ms : h->due_ms;
    }
}

void ws_held_expire(struct ws_held *h, int64_t now_ms)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    if (h->due_ms > now_ms) {
        return;
    }
    h->due_ms = INT64_MAX;
    list_foreach (pos, tmp, &h->all) {
        struct entry *e = list_entry(pos, struct entry, link);

        if (e->due_ms <= now_ms) {
            drop(h, e);
        } else if (e->due_ms < h->due_ms) {
            h->due_ms = e->due_ms;
        }
    }
}

void ws_held_names(const struct ws_held *h, struct buf *out)
{
    char name[DELIVERY_TEXT_MAX];

    for (const struct list *at = h->all.next; at != &h->all; at = at->next) {
        const struct entry *e =
            (const struct entry *)(const void *)((const char *)at - offsetof(struct entry, link));

        if (out->len > 0) {
            buf_add_char(out, ',');
        }
        (void)delivery_format(&e->id, name);
        buf_add_json_cstr(out, name);
    }
}
