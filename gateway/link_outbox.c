/* link_outbox: a list with two ends. */
#include "gateway/link_outbox.h"

void link_outbox_fini(struct link_outbox *o)
{
    while (o->first) {
        struct feed_item *item = o->first;

        o->first = (struct feed_item *)(void *)item->letter.next;
        feed_item_free(&item);
    }
    o->last = NULL;
    feed_batch_end(&o->batch);
}

static struct feed_item *add(struct link_outbox *o, enum feed_kind kind)
{
    struct feed_item *item = feed_item_take(&o->batch);

    if (!item) {
        return NULL;
    }
    item->kind = kind;
    if (o->last) {
        o->last->letter.next = &item->letter;
    } else {
        o->first = item;
    }
    o->last = item;
    return item;
}

bool link_outbox_link(struct link_outbox *o, bool is_up, const struct position *position)
{
    struct feed_item *item = add(o, FEED_LINK);

    if (!item) {
        return false;
    }
    item->link_up = is_up;
    if (position) {
        item->position = *position;
    }
    return true;
}

bool link_outbox_event(struct link_outbox *o, enum feed_kind kind, struct feed_event **event_p)
{
    struct feed_item *item = add(o, kind);

    if (!item) {
        return false;
    }
    item->event = *event_p;
    *event_p = NULL;
    return true;
}

bool link_outbox_gap(struct link_outbox *o, const struct gap *gap)
{
    struct feed_item *item = add(o, FEED_GAP);

    if (!item) {
        return false;
    }
    item->gap = *gap;
    return true;
}

struct feed_item *link_outbox_take(struct link_outbox *o, struct feed_item **out_last)
{
    struct feed_item *const first = o->first;

    *out_last = o->last;
    o->first = o->last = NULL;
    return first;
}
