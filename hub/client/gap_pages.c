/*
 * gap_pages: what a page of the hub's history does to the stream; gap_state.h has the picture.
 */
#include "client/gap_state.h"

#include <string.h>

/* Everything of another epoch than the answer's that still waits is all there will ever be of it.
 */
static void leave_epoch(struct gap_detector *d, const struct gap_page *page)
{
    const struct held_event *front = NULL;
    struct position to = page->has_gap ? page->gap_to : page->next;

    while ((front = held_front(d->held)) && !gap_same_epoch(&front->position, &page->next)) {
        gap_skip_to_front(d, "epoch_changed");
    }
    if (!gap_same_epoch(&to, &page->next)) {
        to = page->next;
    }
    if (d->covered.epoch[0] != '\0' && !gap_same_epoch(&d->covered, &to)) {
        gap_tell(d, &to, "epoch_changed");
    }
    gap_cover(d, &to);
}

/* The hub cannot give (covered, to]. What waits in that range is here all the same. */
static void cross_gap(struct gap_detector *d, const struct gap_page *page)
{
    const struct position *to = &page->gap_to;
    const struct held_event *front = NULL;

    while ((front = held_front(d->held)) && gap_same_epoch(&front->position, to) &&
           front->position.seq <= to->seq) {
        gap_skip_to_front(d, page->gap_reason);
    }
    if (d->covered.seq < to->seq && (front || page->is_drained)) {
        gap_tell(d, to, page->gap_reason);
        gap_cover(d, to);
    }
}

/* The first page of a `since`: it says where the stream begins. */
static void begin_with(struct gap_detector *d, const struct gap_page *page)
{
    d->since[0] = '\0';
    if (page->has_gap) {
        d->covered = page->gap_from;
        if (!gap_same_epoch(&page->gap_from, &page->gap_to) ||
            page->gap_to.seq > page->gap_from.seq || strcmp(page->gap_reason, "unknown") == 0) {
            gap_tell(d, &page->gap_to, page->gap_reason);
        }
        gap_cover(d, &page->gap_to);
        return;
    }
    gap_cover(d, &page->next);
    d->covered.seq = page->count > 0 ? page->items[0].position.seq - 1 : page->next.seq;
    d->verified = d->covered.seq;
}

static void take_items(struct gap_detector *d, const struct gap_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct gap_item *it = &page->items[i];

        if (!gap_same_epoch(&it->position, &d->covered) || (it->position.seq <= d->covered.seq) ||
            received_has(d->received, it->position.seq)) {
            d->callbacks.discard(d->callbacks.context, it->item);
            continue;
        }
        if (it->position.seq < received_newest(d->received)) {
            NHUB_IGNORE(received_add(d->received, it->position.seq)); /* only saves a duplicate */
            gap_cover(d, &it->position);
            d->callbacks.deliver(d->callbacks.context, it->item, true, true);
        } else {
            gap_deliver(d, it->item, &it->position, true);
        }
    }
}

/* After a page: on with the next one, or live again. */
static void go_on(struct gap_detector *d, const struct gap_page *page, bool has_progress,
                  int64_t now_ms)
{
    if (!page->has_more && !held_front(d->held)) {
        gap_go_live(d, now_ms);
        return;
    }
    if (has_progress) {
        d->waiting_since_ms = now_ms;
    } else {
        d->not_before_ms = now_ms + d->options.retry_ms;
    }
}

static void discard_items(struct gap_detector *d, const struct gap_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        d->callbacks.discard(d->callbacks.context, page->items[i].item);
    }
}

void gap_detector_page(struct gap_detector *d, const struct gap_page *page, int64_t now_ms)
{
    const struct position before = d->covered;

    d->asked = GAP_REQUEST_NONE;
    if (d->state != GAP_REPLAY) {
        discard_items(d, page);
        return;
    }
    if (d->since[0] != '\0') {
        begin_with(d, page);
    } else if (!gap_same_epoch(&d->covered, &page->next)) {
        leave_epoch(d, page);
    } else if (page->has_gap) {
        cross_gap(d, page);
        if (d->covered.seq < page->gap_to.seq) {
            /* Live events of that range may still be on their way; the next one decides. */
            discard_items(d, page);
            gap_go_live(d, now_ms);
            return;
        }
    }
    take_items(d, page);
    if (page->next.seq > d->covered.seq) {
        gap_cover(d, &page->next);
    }
    gap_drop_covered(d);
    if (!d->options.is_filtered || !page->has_more) {
        gap_release(d);
    }
    go_on(d, page, !gap_same_epoch(&before, &d->covered) || d->covered.seq > before.seq, now_ms);
}
