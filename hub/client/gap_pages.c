/*
 * gap_pages: what a page of the hub's history does to the stream; gap_state.h has the picture.
 */
#include "client/gap_state.h"

#include <string.h>

/* Whether a waiting event stands in (covered, to], where another epoch is beyond all of ours. */
static bool is_before(const struct gap_detector *d, const struct held_event *event,
                      const struct position *to)
{
    return event && gap_same_epoch(&event->position, &d->covered) &&
           (!gap_same_epoch(to, &d->covered) || event->position.seq <= to->seq);
}

/* In a filtered stream a run that waits may have lost something in its middle. Where history cannot
 * tell any more, every range between two events is a gap. */
static void tell_around_held(struct gap_detector *d, const struct position *to, const char *reason)
{
    const struct held_event *event = NULL;

    for (size_t i = 0; is_before(d, event = held_at(d->held, i), to); i++) {
        if (event->position.seq > d->covered.seq) {
            NHUB_IGNORE(
                received_add(d->received, event->position.seq)); /* else told in one piece */
        }
    }
    gap_tell(d, to, reason);
    while (is_before(d, held_front(d->held), to)) {
        gap_pop_front(d);
    }
    gap_cover(d, to);
}

/* The first waiting event of another epoch than what is covered. */
static const struct held_event *first_of_next_epoch(const struct gap_detector *d)
{
    const struct held_event *event = NULL;

    for (size_t i = 0; (event = held_at(d->held, i)); i++) {
        if (!gap_same_epoch(&event->position, &d->covered)) {
            return event;
        }
    }
    return NULL;
}

static void leave_epoch_filtered(struct gap_detector *d, const struct gap_page *page,
                                 const struct position *to)
{
    const struct held_event *event = NULL;

    while ((event = first_of_next_epoch(d)) && !gap_same_epoch(&event->position, &page->next)) {
        struct position before = event->position;

        before.seq--;
        tell_around_held(d, &before, "epoch_changed");
    }
    tell_around_held(d, to, "epoch_changed");
}

/* Everything of another epoch than the answer's that still waits is all there will ever be of it.
 */
static void leave_epoch(struct gap_detector *d, const struct gap_page *page)
{
    const struct held_event *front = NULL;
    struct position to = page->has_gap ? page->gap_to : page->next;

    if (!gap_same_epoch(&to, &page->next)) {
        to = page->next;
    }
    if (d->options.is_filtered && d->covered.epoch[0] != '\0') {
        leave_epoch_filtered(d, page, &to);
        return;
    }
    while ((front = held_front(d->held)) && !gap_same_epoch(&front->position, &page->next)) {
        gap_skip_to_front(d, "epoch_changed");
    }
    if (d->covered.epoch[0] != '\0' && !gap_same_epoch(&d->covered, &to)) {
        gap_tell(d, &to, "epoch_changed");
    }
    gap_cover(d, &to);
}

/* Whether all live events up to `to` are here, as far as they will ever be. */
static bool has_all_live(const struct gap_detector *d, const struct gap_page *page)
{
    const struct held_event *back = held_back(d->held);

    return page->is_drained || (back && gap_same_epoch(&back->position, &page->gap_to) &&
                                back->position.seq > page->gap_to.seq);
}

/* The hub cannot give (covered, to]. What waits in that range is here all the same. */
static void cross_gap(struct gap_detector *d, const struct gap_page *page)
{
    const struct position *to = &page->gap_to;
    const struct held_event *front = NULL;

    if (d->options.is_filtered) {
        if (d->covered.seq < to->seq && has_all_live(d, page)) {
            tell_around_held(d, to, page->gap_reason);
        }
        return;
    }
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
        d->verified = page->gap_from.seq;
        d->resume.from = page->gap_from;
        gap_tell(d, &page->gap_to, page->gap_reason);
        gap_cover(d, &page->gap_to);
        return;
    }
    gap_cover(d, &page->next);
    d->covered.seq = page->count > 0 ? page->items[0].position.seq - 1 : page->next.seq;
    d->verified = d->covered.seq;
    d->resume.from = d->covered;
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
            d->resume.count++;
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
    d->failures = 0;
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
            /* Live events of that range may still be on their way; the next one decides, or, where
             * no number shows a hole, the next page. */
            discard_items(d, page);
            if (d->options.is_filtered) {
                d->not_before_ms = now_ms + d->options.retry_ms;
            } else {
                gap_go_live(d, now_ms);
            }
            return;
        }
    }
    take_items(d, page);
    if (page->next.seq > d->covered.seq) {
        gap_cover(d, &page->next);
    }
    /* The page began at `verified` or before it, and history leaves nothing out. */
    gap_verify_to(d, page->next.seq);
    gap_drop_covered(d);
    if (!d->options.is_filtered || !page->has_more) {
        gap_release(d);
    }
    go_on(d, page, !gap_same_epoch(&before, &d->covered) || d->covered.seq > before.seq, now_ms);
}
