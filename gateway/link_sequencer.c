/*
 * link_sequencer: one number, `next`, is the whole promise: everything below it was told, as an
 * event or inside a gap. `highest` is the last number known to be out; next <= highest is a hole,
 * and a page of history is wanted for what lies between next and the first held event.
 */
#include "gateway/link_sequencer.h"

#include "gateway/link_epochs.h"
#include "gateway/link_held.h"
#include "gateway/link_outbox.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE_LIMIT = 5000,
    PAGE_PAUSE_MS = 100,     /* after a page that brought nothing */
    TAIL_GRACE_MS = 500,     /* design section 3.5 */
    TAIL_LATE_MS = 100,      /* an answer does not overtake the events by as much */
    NEW_LINK_MS = 1000,      /* so long after a connect … */
    NEW_LINK_GRACE_MS = 100, /* … the subscription may have come late */
    CAUGHT_UP_MS = 500,
    BACKFILL_WAIT_MS = 2000, /* at least: live is not delayed by much when a gateway starts */
    AWAY_ANSWER_MS = 1000,   /* an answer of this age was given after we came back */
    PAST_EPOCHS = 4
};

enum phase { PHASE_BLANK, PHASE_BACKFILL, PHASE_LIVE };

struct link_sequencer {
    struct link_sequencer_options options;
    enum phase phase;
    bool is_linked; /* a position answer came since the last loss */
    bool told_any;  /* BACKFILL: something went out, so a hole behind it has to be told */
    bool page_under_way;
    bool head_wanted;
    char epoch[EPOCH_LEN + 1];
    uint64_t next;
    uint64_t highest;
    uint64_t live_after; /* BACKFILL: the last number before live */
    struct link_voids voids;
    struct link_held held; /* of this epoch, behind a hole */
    struct link_epochs epochs;
    uint64_t tail_seq; /* named by a position answer, not seen yet; 0 = none */
    int64_t tail_ms;   /* when it was named */
    int64_t tail_due_ms;
    int64_t linked_ms;
    int64_t hole_ms;     /* when the hole opened, 0 = none */
    int64_t progress_ms; /* when it last became smaller */
    int64_t page_after_ms;
    int64_t away_ms;     /* when we or the hub came back, 0 = that is over */
    uint64_t overdue_to; /* the head as that was over */
    struct link_outbox outbox;
};

nhub_err link_sequencer_create(struct link_sequencer **out,
                               const struct link_sequencer_options *options)
{
    struct link_sequencer *s = calloc(1, sizeof *s);

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->options = *options;
    link_held_init(&s->held, options->max_held_bytes);
    link_epochs_init(&s->epochs, options->max_held_bytes);
    *out = s;
    return NHUB_OK;
}

void link_sequencer_destroy(struct link_sequencer **s_p)
{
    struct link_sequencer *s = *s_p;

    if (!s) {
        return;
    }
    link_outbox_fini(&s->outbox);
    link_held_fini(&s->held);
    link_epochs_fini(&s->epochs);
    free(s);
    *s_p = NULL;
}

/* ---- telling: each returns false when there is no memory, and nothing has changed then ---- */

static void set_position(struct position *p, const char *epoch, uint64_t seq)
{
    memset(p, 0, sizeof *p);
    memcpy(p->epoch, epoch, EPOCH_LEN + 1);
    p->seq = seq;
}

static bool tell_link(struct link_sequencer *s, bool is_up)
{
    struct position position;

    set_position(&position, s->epoch, s->next - 1);
    return link_outbox_link(&s->outbox, is_up, s->phase != PHASE_BLANK ? &position : NULL);
}

static bool go_live(struct link_sequencer *s)
{
    if (s->phase != PHASE_BACKFILL || s->next <= s->live_after) {
        return true;
    }
    if (!tell_link(s, true)) {
        return false;
    }
    s->phase = PHASE_LIVE;
    return true;
}

/* Tells the event numbered `next`, which is taken on success. */
static bool tell_event(struct link_sequencer *s, struct feed_event **event_p)
{
    (*event_p)->is_overdue = s->hole_ms != 0 || s->away_ms != 0 || !s->is_linked ||
                             s->next <= s->overdue_to || s->next <= s->tail_seq;
    if (!go_live(s) ||
        !link_outbox_event(&s->outbox, s->phase == PHASE_BACKFILL ? FEED_BACKFILL : FEED_EVENT,
                           event_p)) {
        return false;
    }
    s->told_any = true;
    s->next++;
    return true;
}

static bool tell_gap(struct link_sequencer *s, const char *to_epoch, uint64_t to_seq,
                     enum gap_reason reason)
{
    struct gap gap = {.reason = reason};

    /* Before the first event nobody has anything that a gap could follow. */
    if (s->phase == PHASE_BACKFILL && !s->told_any) {
        return true;
    }
    set_position(&gap.from, s->epoch, s->next - 1);
    set_position(&gap.to, to_epoch, to_seq);
    return link_outbox_gap(&s->outbox, &gap);
}

/* One gap from next on, at most to end, that does not mix reasons or backfill with live. */
static bool tell_missing(struct link_sequencer *s, uint64_t end, enum gap_reason reason)
{
    const struct link_void *hollow = link_voids_at(&s->voids, s->next);

    if (!go_live(s)) {
        return false;
    }
    if (s->phase == PHASE_BACKFILL && end > s->live_after) {
        end = s->live_after;
    }
    if (hollow) {
        end = hollow->to < end ? hollow->to : end;
        reason = hollow->reason;
    } else {
        end = link_voids_before_next(&s->voids, s->next, end);
    }
    if (!tell_gap(s, s->epoch, end, reason)) {
        return false;
    }
    s->next = end + 1;
    return true;
}

/* ---- moving on ---- */

static bool has_hole(const struct link_sequencer *s)
{
    return s->phase != PHASE_BLANK && s->next <= s->highest;
}

/* The void at next, if its events do not come any more: what was sent live before it became a void
 * may still be on its way. */
static const struct link_void *void_ahead(const struct link_sequencer *s)
{
    return s->voids.count > 0 && has_hole(s) ? link_voids_at(&s->voids, s->next) : NULL;
}

/* Tells what can be told now: held events that begin at next, and voids. */
static bool advance(struct link_sequencer *s)
{
    for (;;) {
        struct feed_event *first = link_held_first(&s->held);
        const struct link_void *hollow = NULL;

        if (!go_live(s)) {
            return false;
        }
        hollow = void_ahead(s);
        if (first && first->position.seq < s->next) {
            first = link_held_pop(&s->held);
            feed_event_unref(&first);
        } else if (first && first->position.seq == s->next) {
            struct feed_event *told = first;

            if (!tell_event(s, &told)) {
                return false;
            }
            /* The reference has gone into the item; popping only takes it off the array. */
            link_held_pop(&s->held);
        } else if (hollow) {
            uint64_t end = hollow->to;

            if (first && first->position.seq - 1 < end) {
                end = first->position.seq - 1; /* it came although its number is void */
            }
            if (!tell_missing(s, end, hollow->reason)) {
                return false;
            }
        } else {
            return true;
        }
    }
}

/* Everything up to and including seq that is not held is not to be had. */
static bool give_up_until(struct link_sequencer *s, uint64_t seq, enum gap_reason reason)
{
    for (;;) {
        const struct feed_event *first = NULL;
        uint64_t end = seq;

        if (!advance(s)) {
            return false;
        }
        if (s->next > seq) {
            return true;
        }
        first = link_held_first(&s->held);
        if (first && first->position.seq - 1 < end) {
            end = first->position.seq - 1;
        }
        if (!tell_missing(s, end, reason)) {
            return false;
        }
    }
}

static uint64_t hole_end(const struct link_sequencer *s)
{
    const struct feed_event *first = link_held_first(&s->held);
    uint64_t end = first ? first->position.seq - 1 : s->highest;

    /* Giving up a backfill must not give up live events with it. */
    if (s->phase == PHASE_BACKFILL && end > s->live_after && s->next <= s->live_after) {
        end = s->live_after;
    }
    return end;
}

/* Closes each turn of input: opens or closes the clock of the hole. */
static void note_hole(struct link_sequencer *s, uint64_t next_before, int64_t now_ms)
{
    if (!has_hole(s)) {
        if (s->hole_ms != 0 && s->phase == PHASE_LIVE) {
            link_sequencer_away(s, now_ms); /* what was held up on the way may still come */
        }
        s->hole_ms = 0;
        s->page_after_ms = 0;
    } else if (s->hole_ms == 0) {
        s->hole_ms = now_ms;
        s->progress_ms = now_ms;
    } else if (s->next != next_before) {
        s->progress_ms = now_ms;
    }
    if (s->tail_seq != 0 && s->tail_seq < s->next) {
        s->tail_seq = 0;
    }
}

static void raise_highest(struct link_sequencer *s, uint64_t seq)
{
    if (seq > s->highest) {
        s->highest = seq;
    }
}

/* ---- epochs ---- */

/* Where the backfill begins: so many events back, whatever voids lie between. */
static uint64_t backfill_start(const struct link_sequencer *s, const struct link_head *head)
{
    const uint64_t start = link_voids_back(&head->voids, head->seq, s->options.backfill_events);

    return start > head->oldest ? start : head->oldest;
}

/* Ends the epoch that was: what is held goes out with its gaps, then the gap to the new one. */
static bool leave_epoch(struct link_sequencer *s, const char *epoch, uint64_t new_next)
{
    const struct feed_event *last = link_held_last(&s->held);

    if (s->phase == PHASE_LIVE && last && !give_up_until(s, last->position.seq, GAP_NOT_STORED)) {
        return false;
    }
    if (!tell_gap(s, epoch, new_next - 1, GAP_EPOCH_CHANGED)) {
        return false;
    }
    link_held_clear(&s->held);
    link_epochs_leave(&s->epochs, s->epoch);
    return true;
}

static bool enter_epoch(struct link_sequencer *s, const struct link_head *head, int64_t now_ms)
{
    const uint64_t start = s->phase == PHASE_LIVE ? head->oldest : backfill_start(s, head);
    struct feed_event *early = NULL;

    if (s->phase != PHASE_BLANK && !leave_epoch(s, head->epoch, start)) {
        return false;
    }
    if (s->phase == PHASE_BLANK) {
        s->phase = PHASE_BACKFILL;
    }
    memcpy(s->epoch, head->epoch, EPOCH_LEN + 1);
    s->next = start;
    s->highest = head->seq;
    s->live_after = head->seq;
    s->voids = head->voids;
    s->tail_seq = 0;
    s->hole_ms = 0;
    s->page_after_ms = 0;
    s->overdue_to = 0;
    /* A page under way belongs to the old epoch and is known by that when it comes. */
    while ((early = link_epochs_release(&s->epochs, s->epoch)) != NULL) {
        link_sequencer_event(s, &early, now_ms);
    }
    return true;
}

/* ---- input ---- */

void link_sequencer_event(struct link_sequencer *s, struct feed_event **event_p, int64_t now_ms)
{
    struct feed_event *const event = *event_p;
    const uint64_t before = s->next;

    if (s->phase == PHASE_BLANK || memcmp(event->position.epoch, s->epoch, EPOCH_LEN) != 0) {
        if (link_epochs_is_past(&s->epochs, event->position.epoch)) {
            counter_bump(&s->options.counters->events_duplicate_total, 1);
            feed_event_unref(event_p);
        } else if (link_epochs_hold(&s->epochs, event_p)) {
            s->head_wanted = true;
        }
        return;
    }
    raise_highest(s, event->position.seq);
    if (s->tail_seq != 0 && now_ms - s->tail_ms > TAIL_LATE_MS) {
        link_sequencer_away(s, now_ms); /* not lost, but the way was blocked for a while */
    }
    if (event->position.seq == s->next && tell_event(s, event_p)) {
        counter_bump(&s->options.counters->events_in_total, 1);
    } else if (event->position.seq > s->next) {
        const nhub_err err = link_held_add(&s->held, event_p);

        if (err == NHUB_OK) {
            counter_bump(&s->options.counters->events_in_total, 1);
        } else if (err == NHUB_EEXIST) {
            counter_bump(&s->options.counters->events_duplicate_total, 1);
        }
    } else if (event->position.seq < s->next) {
        counter_bump(&s->options.counters->events_duplicate_total, 1);
    }
    if (*event_p) {
        feed_event_unref(event_p);
    }
    if (s->held.count > 0 || s->voids.count > 0) {
        NHUB_IGNORE(!advance(s)); /* without memory the rest stays held */
    }
    note_hole(s, before, now_ms);
}

void link_sequencer_skip(struct link_sequencer *s, const struct position *position, int64_t now_ms)
{
    if (s->phase != PHASE_BLANK && memcmp(position->epoch, s->epoch, EPOCH_LEN) == 0) {
        raise_highest(s, position->seq);
        note_hole(s, s->next, now_ms);
    }
}

/* A position answer of the epoch that we are in. */
static void same_epoch(struct link_sequencer *s, const struct link_head *head, int64_t now_ms)
{
    s->voids = head->voids;
    if (!s->is_linked) {
        raise_highest(s, head->seq);
        return;
    }
    if (head->seq >= s->next && head->seq > s->highest && s->tail_seq == 0) {
        const bool is_new = now_ms - s->linked_ms < NEW_LINK_MS;

        s->tail_seq = head->seq;
        s->tail_ms = now_ms;
        s->tail_due_ms = now_ms + (is_new ? NEW_LINK_GRACE_MS : TAIL_GRACE_MS);
    }
}

void link_sequencer_head(struct link_sequencer *s, const struct link_head *given, int64_t now_ms)
{
    struct link_head head = *given;
    const uint64_t before = s->next;

    head.oldest = head.oldest < 1 ? 1 : head.oldest;
    head.oldest = head.oldest > head.seq + 1 ? head.seq + 1 : head.oldest;
    if (s->phase == PHASE_BLANK || memcmp(head.epoch, s->epoch, EPOCH_LEN) != 0) {
        if (!enter_epoch(s, &head, now_ms)) {
            return; /* the next answer tries again */
        }
    } else {
        same_epoch(s, &head, now_ms);
    }
    if (s->away_ms != 0 && now_ms - s->away_ms >= AWAY_ANSWER_MS) {
        s->away_ms = 0;
        s->overdue_to = head.seq;
    }
    if (!s->is_linked) {
        if (s->phase == PHASE_LIVE && !tell_link(s, true)) {
            return;
        }
        if (s->phase == PHASE_LIVE) {
            link_sequencer_away(s, now_ms); /* so was the hub, and what waited for it comes now */
        }
        s->is_linked = true;
        s->linked_ms = now_ms;
    }
    NHUB_IGNORE(!advance(s)); /* without memory: again with the next input */
    note_hole(s, before, now_ms);
}

/* The events of a page come in order and without omissions: what is missing between them is not to
 * be had. */
static bool take_page(struct link_sequencer *s, const struct link_page *page,
                      struct feed_event **events, size_t count)
{
    if (page->has_gap && memcmp(page->gap.to.epoch, s->epoch, EPOCH_LEN) == 0 &&
        page->gap.to.seq <= page->seq && !give_up_until(s, page->gap.to.seq, page->gap.reason)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t seq = events[i]->position.seq;

        if (memcmp(events[i]->position.epoch, s->epoch, EPOCH_LEN) != 0 || seq < s->next) {
            continue;
        }
        if (!give_up_until(s, seq - 1, GAP_NOT_STORED)) {
            return false;
        }
        if (seq == s->next) {
            const bool is_live = s->phase == PHASE_LIVE;

            if (!tell_event(s, &events[i])) {
                return false;
            }
            raise_highest(s, seq);
            counter_bump(&s->options.counters->refilled_total, is_live ? 1 : 0);
        }
    }
    return page->next.seq > page->seq || give_up_until(s, page->next.seq, GAP_NOT_STORED);
}

void link_sequencer_page(struct link_sequencer *s, const struct link_page *page,
                         struct feed_event **events, size_t count, int64_t now_ms)
{
    const uint64_t before = s->next;
    bool is_done = false;

    if (s->phase == PHASE_BLANK || memcmp(page->epoch, s->epoch, EPOCH_LEN) != 0 ||
        memcmp(page->next.epoch, s->epoch, EPOCH_LEN) != 0) {
        s->head_wanted = true;
    } else {
        if (page->voids.count > 0) {
            s->voids = page->voids;
        }
        is_done = take_page(s, page, events, count) && advance(s);
    }
    for (size_t i = 0; i < count; i++) {
        if (events[i]) {
            feed_event_unref(&events[i]);
        }
    }
    s->page_under_way = false;
    note_hole(s, before, now_ms);
    if (has_hole(s) && (!is_done || s->next == before)) {
        s->page_after_ms = now_ms + PAGE_PAUSE_MS;
    }
}

void link_sequencer_page_failed(struct link_sequencer *s, int64_t now_ms)
{
    s->page_under_way = false;
    s->page_after_ms = now_ms + PAGE_PAUSE_MS;
}

void link_sequencer_lost(struct link_sequencer *s, int64_t now_ms)
{
    const bool was_linked = s->is_linked;

    (void)now_ms;
    s->page_under_way = false;
    s->page_after_ms = 0;
    s->is_linked = false;
    s->tail_seq = 0;
    if (was_linked && s->phase == PHASE_LIVE) {
        NHUB_IGNORE(!tell_link(s, false)); /* without memory nobody hears it; up is told anyway */
    }
}

static int64_t wait_ms(const struct link_sequencer *s)
{
    if (s->phase == PHASE_BACKFILL && s->options.wait_ms < BACKFILL_WAIT_MS) {
        return BACKFILL_WAIT_MS;
    }
    return s->options.wait_ms;
}

void link_sequencer_tick(struct link_sequencer *s, int64_t now_ms)
{
    const uint64_t before = s->next;

    if (s->phase == PHASE_BLANK) {
        return;
    }
    if (s->tail_seq != 0 && now_ms >= s->tail_due_ms) {
        raise_highest(s, s->tail_seq);
        s->tail_seq = 0;
    }
    if (!advance(s)) {
        return;
    }
    note_hole(s, before, now_ms);
    if (!has_hole(s) || now_ms - s->progress_ms < wait_ms(s)) {
        return;
    }
    /* Without a link only events that are held back gain from giving up; a tail can wait. */
    if (s->is_linked || (s->phase == PHASE_LIVE && s->held.count > 0)) {
        NHUB_IGNORE(!give_up_until(s, hole_end(s), GAP_NOT_STORED));
        note_hole(s, before, now_ms);
    }
}

void link_sequencer_excuse(struct link_sequencer *s, int64_t now_ms)
{
    if (s->hole_ms != 0) {
        s->progress_ms = now_ms;
    }
}

void link_sequencer_away(struct link_sequencer *s, int64_t now_ms)
{
    s->away_ms = now_ms;
}

bool link_sequencer_wants_page(struct link_sequencer *s, int64_t now_ms, struct position *since,
                               uint64_t *limit)
{
    uint64_t missing = 0;

    if (!s->is_linked || s->page_under_way || !has_hole(s) || now_ms < s->page_after_ms) {
        return false;
    }
    missing = hole_end(s) - s->next + 1;
    set_position(since, s->epoch, s->next - 1);
    *limit = missing < PAGE_LIMIT ? missing : PAGE_LIMIT;
    s->page_under_way = *limit > 0;
    return s->page_under_way;
}

bool link_sequencer_wants_head(struct link_sequencer *s)
{
    const bool is_wanted = s->head_wanted;

    s->head_wanted = false;
    return is_wanted;
}

int64_t link_sequencer_deadline(const struct link_sequencer *s)
{
    int64_t due = INT64_MAX;

    if (s->tail_seq != 0) {
        due = s->tail_due_ms;
    }
    if (has_hole(s)) {
        const int64_t give_up = s->progress_ms + wait_ms(s);

        if (s->is_linked || (s->phase == PHASE_LIVE && s->held.count > 0)) {
            due = give_up < due ? give_up : due;
        }
        if (s->is_linked && !s->page_under_way) {
            due = s->page_after_ms < due ? s->page_after_ms : due;
        }
    }
    return due;
}

struct feed_item *link_sequencer_take(struct link_sequencer *s, struct feed_item **out_last)
{
    return link_outbox_take(&s->outbox, out_last);
}

bool link_sequencer_is_live(const struct link_sequencer *s)
{
    return s->is_linked && s->phase == PHASE_LIVE;
}

bool link_sequencer_is_caught_up(const struct link_sequencer *s, int64_t now_ms)
{
    return link_sequencer_is_live(s) && (s->hole_ms == 0 || now_ms - s->hole_ms < CAUGHT_UP_MS);
}

void link_sequencer_received(const struct link_sequencer *s, struct position *out)
{
    memset(out, 0, sizeof *out);
    if (s->phase != PHASE_BLANK) {
        set_position(out, s->epoch, s->next - 1);
    }
}
