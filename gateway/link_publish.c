/*
 * link_publish: jobs wait in a list for each lane, linked by their letters; a request in flight
 * sits in a slot, and its key is the slot's index with the request's running number above, so that
 * a late answer finds nobody.
 */
#include "gateway/link_publish.h"

#include "gateway/link_verdict.h"
#include "wire/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MERGE_EVENTS = LINK_VERDICT_JOBS, MERGE_BYTES = 1 << 20, SLOT_BITS = 16 };

/* A request in flight. jobs[i] is NULL once it was answered; its index still counts. */
struct slot {
    struct publish_job **jobs; /* cap of them */
    size_t cap, count;
    size_t open;         /* jobs not answered yet */
    size_t bytes;        /* of all jobs */
    uint64_t number;     /* grows with each request */
    int64_t deadline_ms; /* the earliest of its jobs */
    bool is_used;
    bool atomic;
    bool is_kept; /* of the kept lane */
};

struct job_list {
    struct publish_job *first, *last;
    size_t count;
};

enum lane { LANE_QUICK, LANE_KEPT, LANES };

struct link_publish {
    struct link_publish_options options;
    struct link_publish_hub hub;
    bool is_up;
    struct slot *slots; /* window of them */
    size_t in_flight;
    size_t kept_in_flight; /* of these, requests of the kept lane */
    size_t slot_hint;
    uint64_t last_number;
    struct job_list waiting[LANES];
    enum lane turn; /* the lane that is looked at first */
    size_t waiting_bytes, in_flight_bytes;
    int64_t waiting_deadline_ms;
};

nhub_err link_publish_create(struct link_publish **out, const struct link_publish_options *options)
{
    struct link_publish *p = calloc(1, sizeof *p);

    assert(options->window >= 1 && options->window <= (size_t)1 << SLOT_BITS);
    if (!p) {
        return NHUB_ENOMEM;
    }
    p->options = *options;
    p->waiting_deadline_ms = INT64_MAX;
    p->slots = calloc(options->window, sizeof *p->slots);
    if (!p->slots) {
        free(p);
        return NHUB_ENOMEM;
    }
    *out = p;
    return NHUB_OK;
}

/* ---- jobs ---- */

static struct publish_job *next_of(const struct publish_job *job)
{
    return (struct publish_job *)(void *)job->letter.next;
}

static void append(struct job_list *list, struct publish_job *job)
{
    job->letter.next = NULL;
    if (list->last) {
        list->last->letter.next = &job->letter;
    } else {
        list->first = job;
    }
    list->last = job;
    list->count++;
}

static struct publish_job *take_first(struct job_list *list)
{
    struct publish_job *job = list->first;

    list->first = next_of(job);
    if (!list->first) {
        list->last = NULL;
    }
    list->count--;
    job->letter.next = NULL;
    return job;
}

static size_t waiting_jobs(const struct link_publish *p)
{
    return p->waiting[LANE_QUICK].count + p->waiting[LANE_KEPT].count;
}

/* No answer will come: whether that leaves a doubt depends on whether it ever went out. */
static void finish_unanswered(struct publish_job *job)
{
    link_verdict_finish(job, job->link.was_sent ? PUBLISH_UNKNOWN : PUBLISH_UNAVAILABLE);
}

static bool all_have_ids(const struct publish_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        if (!link_line_has_id(job->events[i].line, job->events[i].len)) {
            return false;
        }
    }
    return true;
}

static enum lane lane_of(const struct publish_job *job)
{
    return job->link.is_kept ? LANE_KEPT : LANE_QUICK;
}

static void wait_in(struct link_publish *p, struct publish_job *job)
{
    append(&p->waiting[lane_of(job)], job);
    p->waiting_bytes += job->link.bytes;
    if (job->deadline_ms < p->waiting_deadline_ms) {
        p->waiting_deadline_ms = job->deadline_ms;
    }
}

static struct publish_job *wait_out(struct link_publish *p, enum lane lane)
{
    struct publish_job *job = take_first(&p->waiting[lane]);

    p->waiting_bytes -= job->link.bytes;
    return job;
}

/* Goes once through all that wait: those for which keep() says no are its business, the others wait
 * on in the same order. */
static void sift(struct link_publish *p, bool (*keep)(void *context, struct publish_job *job),
                 void *context)
{
    p->waiting_deadline_ms = INT64_MAX;
    for (int lane = 0; lane < LANES; lane++) {
        for (size_t left = p->waiting[lane].count; left > 0; left--) {
            struct publish_job *job = wait_out(p, (enum lane)lane);

            if (keep(context, job)) {
                wait_in(p, job);
            }
        }
    }
}

/* What the job is to get: its own word, else the operator's, not below the operator's minimum. */
static int settle_durability(const struct link_publish *p, int asked)
{
    const int minimum = p->options.min_durability;
    const int wanted = asked != DURABILITY_DEFAULT ? asked : p->options.default_durability;

    if (wanted != DURABILITY_DEFAULT) {
        return wanted < minimum ? minimum : wanted;
    }
    /* The journal's default may be enough already; if not, the hub says no to the minimum. */
    return minimum > DURABILITY_MEMORY && p->hub.durability < minimum ? minimum : wanted;
}

/* DURABILITY_DEFAULT waits for whatever the hub's mode is. */
static bool waits_for_disk(const struct link_publish *p, int durability)
{
    const int given = durability != DURABILITY_DEFAULT ? durability : p->hub.durability;

    return given > DURABILITY_MEMORY;
}

/* The first event that the hub would not take in any case; count when there is none. */
static size_t first_too_big(const struct link_publish *p, const struct publish_job *job)
{
    size_t i = 0;

    while (i < job->count &&
           (p->hub.max_event_bytes == 0 || job->events[i].len <= p->hub.max_event_bytes)) {
        i++;
    }
    return i;
}

/* All of them together are more than the hub takes in one request. */
static bool is_too_big(const struct link_publish *p, const struct publish_job *job)
{
    return job->link.bytes > request_events_bytes(p->hub.max_event_bytes);
}

void link_publish_add(struct link_publish *p, struct publish_job *job, int64_t now_ms)
{
    size_t too_big = 0;

    memset(&job->link, 0, sizeof job->link);
    for (size_t i = 0; i < job->count; i++) {
        job->link.bytes += job->events[i].len;
    }
    if (job->deadline_ms == 0) {
        job->deadline_ms = now_ms + p->options.ack_timeout_ms;
    }
    if (!p->is_up) {
        link_verdict_finish(job, PUBLISH_UNAVAILABLE);
        return;
    }
    if (job->count == 0) {
        link_verdict_refuse(job, "no_events", "there is no event", 0, 0);
        return;
    }
    too_big = first_too_big(p, job);
    if (too_big < job->count) {
        link_verdict_refuse(job, "too_big", "the event is larger than the hub takes", too_big, 0);
        return;
    }
    if (is_too_big(p, job)) {
        link_verdict_refuse(job, "too_big", "the events are too large together", 0, 0);
        return;
    }
    job->durability = settle_durability(p, job->durability);
    job->link.is_kept = waits_for_disk(p, job->durability);
    if (waiting_jobs(p) >= p->options.max_waiting_jobs ||
        job->link.bytes > p->options.max_waiting_bytes ||
        p->waiting_bytes + p->in_flight_bytes > p->options.max_waiting_bytes - job->link.bytes) {
        link_verdict_finish(job, PUBLISH_OVERLOADED);
        return;
    }
    wait_in(p, job);
}

/* ---- requests ---- */

static uint64_t key_of(const struct link_publish *p, const struct slot *slot)
{
    return slot->number << SLOT_BITS | (uint64_t)(slot - p->slots);
}

static struct slot *slot_of(const struct link_publish *p, uint64_t key)
{
    const size_t index = (size_t)(key & (((uint64_t)1 << SLOT_BITS) - 1));
    struct slot *slot = NULL;

    if (index >= p->options.window) {
        return NULL;
    }
    slot = &p->slots[index];
    return slot->is_used && slot->number == key >> SLOT_BITS ? slot : NULL;
}

/* How many requests of the kept lane may be in flight: a quarter of the window is not for them. */
static size_t kept_window(const struct link_publish *p)
{
    return p->options.window - p->options.window / 4;
}

static struct slot *free_slot(struct link_publish *p)
{
    if (p->in_flight >= p->options.window) {
        return NULL;
    }
    while (p->slots[p->slot_hint].is_used) {
        p->slot_hint = (p->slot_hint + 1) % p->options.window;
    }
    return &p->slots[p->slot_hint];
}

static bool slot_push(struct slot *slot, struct publish_job *job)
{
    if (slot->count == slot->cap) {
        const size_t cap = slot->cap ? slot->cap * 2 : 4;
        struct publish_job **grown = realloc(slot->jobs, cap * sizeof(struct publish_job *));

        if (!grown) {
            return false;
        }
        slot->jobs = grown;
        slot->cap = cap;
    }
    slot->jobs[slot->count++] = job;
    return true;
}

static void slot_release(struct link_publish *p, struct slot *slot)
{
    slot->is_used = false;
    slot->count = 0;
    p->in_flight--;
    p->in_flight_bytes -= slot->bytes;
    p->kept_in_flight -= slot->is_kept ? 1 : 0;
}

static void mark_sent(const struct link_publish *p, struct slot *slot, struct publish_job *job)
{
    job->link.was_resent = job->link.was_sent;
    job->link.was_sent = true;
    memcpy(job->link.sent_epoch, p->hub.epoch, sizeof job->link.sent_epoch);
    if (job->deadline_ms < slot->deadline_ms) {
        slot->deadline_ms = job->deadline_ms;
    }
}

static bool can_join(const struct publish_job *job, const struct publish_job *first, size_t events,
                     size_t bytes)
{
    return job && job->count == 1 && job->durability == first->durability &&
           events < MERGE_EVENTS && job->link.bytes <= MERGE_BYTES &&
           bytes <= MERGE_BYTES - job->link.bytes;
}

static bool lane_is_open(const struct link_publish *p, enum lane lane)
{
    return p->waiting[lane].first && (lane == LANE_QUICK || p->kept_in_flight < kept_window(p));
}

/* The lanes take turns. */
static bool pick_lane(struct link_publish *p, enum lane *out)
{
    const enum lane other = p->turn == LANE_QUICK ? LANE_KEPT : LANE_QUICK;

    if (!p->is_up || (!lane_is_open(p, p->turn) && !lane_is_open(p, other))) {
        return false;
    }
    *out = lane_is_open(p, p->turn) ? p->turn : other;
    return true;
}

bool link_publish_next(struct link_publish *p, struct link_publish_request *out)
{
    enum lane lane = LANE_QUICK;
    struct slot *slot = pick_lane(p, &lane) ? free_slot(p) : NULL;
    struct publish_job *first = p->waiting[lane].first;
    size_t bytes = 0;

    if (!slot || !slot_push(slot, first)) {
        return false;
    }
    wait_out(p, lane);
    p->turn = lane == LANE_QUICK ? LANE_KEPT : LANE_QUICK;
    slot->deadline_ms = INT64_MAX;
    slot->atomic = first->count != 1;
    slot->is_kept = lane == LANE_KEPT;
    mark_sent(p, slot, first);
    bytes = first->link.bytes;
    while (!slot->atomic && can_join(p->waiting[lane].first, first, slot->count, bytes) &&
           slot_push(slot, p->waiting[lane].first)) {
        struct publish_job *job = wait_out(p, lane);

        bytes += job->link.bytes;
        mark_sent(p, slot, job);
    }
    if (waiting_jobs(p) == 0) {
        p->waiting_deadline_ms = INT64_MAX;
    }
    slot->number = ++p->last_number;
    slot->is_used = true;
    slot->open = slot->count;
    p->in_flight++;
    slot->bytes = bytes;
    p->in_flight_bytes += bytes;
    p->kept_in_flight += slot->is_kept ? 1 : 0;
    out->key = key_of(p, slot);
    out->durability = first->durability;
    out->atomic = slot->atomic;
    out->events = slot->atomic ? first->count : slot->count;
    return true;
}

const struct publish_event *link_publish_event(const struct link_publish *p, uint64_t key, size_t i)
{
    const struct slot *slot = slot_of(p, key);

    return slot->atomic ? &slot->jobs[0]->events[i] : &slot->jobs[i]->events[0];
}

void link_publish_unsent(struct link_publish *p, uint64_t key)
{
    struct slot *slot = slot_of(p, key);

    for (size_t i = 0; slot && i < slot->count; i++) {
        struct publish_job *job = slot->jobs[i];

        link_verdict_finish(job, job->link.was_resent ? PUBLISH_UNKNOWN : PUBLISH_UNAVAILABLE);
    }
    if (slot) {
        slot_release(p, slot);
    }
}

/* ---- answers ---- */

void link_publish_answer(struct link_publish *p, uint64_t key, const struct link_answer *answer)
{
    struct slot *slot = slot_of(p, key);

    if (!slot) {
        return;
    }
    link_verdict_give(slot->jobs, slot->count, slot->atomic, answer);
    slot_release(p, slot);
}

/* ---- time and loss ---- */

static void expire_slot(struct link_publish *p, struct slot *slot, int64_t now_ms)
{
    slot->deadline_ms = INT64_MAX;
    for (size_t i = 0; i < slot->count; i++) {
        struct publish_job *job = slot->jobs[i];

        if (job && job->deadline_ms <= now_ms) {
            slot->jobs[i] = NULL;
            slot->open--;
            link_verdict_finish(job, PUBLISH_UNKNOWN);
        } else if (job && job->deadline_ms < slot->deadline_ms) {
            slot->deadline_ms = job->deadline_ms;
        }
    }
    if (slot->open == 0) {
        slot_release(p, slot);
    }
}

static bool is_in_time(void *context, struct publish_job *job)
{
    const int64_t *now_ms = context;

    if (job->deadline_ms <= *now_ms) {
        finish_unanswered(job);
        return false;
    }
    return true;
}

void link_publish_expire(struct link_publish *p, int64_t now_ms)
{
    for (size_t i = 0; p->in_flight > 0 && i < p->options.window; i++) {
        if (p->slots[i].is_used && p->slots[i].deadline_ms <= now_ms) {
            expire_slot(p, &p->slots[i], now_ms);
        }
    }
    if (p->waiting_deadline_ms <= now_ms) {
        sift(p, is_in_time, &now_ms);
    }
}

static struct slot *oldest_slot(const struct link_publish *p)
{
    struct slot *oldest = NULL;

    for (size_t i = 0; i < p->options.window; i++) {
        struct slot *slot = &p->slots[i];

        if (slot->is_used && (!oldest || slot->number < oldest->number)) {
            oldest = slot;
        }
    }
    return oldest;
}

/* The jobs of a request whose answer is lost: those that may be sent again wait. */
static void abandon(struct link_publish *p, struct slot *slot)
{
    for (size_t i = 0; i < slot->count; i++) {
        struct publish_job *job = slot->jobs[i];

        if (job && p->hub.has_dedup && all_have_ids(job)) {
            wait_in(p, job);
        } else if (job) {
            link_verdict_finish(job, PUBLISH_UNKNOWN);
        }
    }
    slot_release(p, slot);
}

/* One that waits since an earlier loss waits on; the others never went out. */
static bool was_sent_before(void *context, struct publish_job *job)
{
    const bool was_sent = job->link.was_sent;

    (void)context;
    if (!was_sent) {
        link_verdict_finish(job, PUBLISH_UNAVAILABLE); /* and it is gone */
    }
    return was_sent;
}

void link_publish_lost(struct link_publish *p)
{
    p->is_up = false;
    sift(p, was_sent_before, NULL);
    while (p->in_flight > 0) {
        abandon(p, oldest_slot(p));
    }
}

/* A job that went out to a hub that does not know its ids any more is in doubt for good. */
static bool can_go_again(void *context, struct publish_job *job)
{
    const struct link_publish_hub *hub = context;

    if (job->link.was_sent &&
        (!hub->has_dedup || memcmp(job->link.sent_epoch, hub->epoch, EPOCH_LEN) != 0)) {
        link_verdict_finish(job, PUBLISH_UNKNOWN);
        return false;
    }
    return true;
}

void link_publish_up(struct link_publish *p, const struct link_publish_hub *hub)
{
    const bool is_changed =
        !p->is_up || memcmp(p->hub.epoch, hub->epoch, EPOCH_LEN) != 0 || !hub->has_dedup;

    p->hub = *hub;
    p->is_up = true;
    if (is_changed) {
        sift(p, can_go_again, &p->hub);
    }
}

int64_t link_publish_deadline(const struct link_publish *p)
{
    int64_t due = p->waiting_deadline_ms;

    for (size_t i = 0; p->in_flight > 0 && i < p->options.window; i++) {
        if (p->slots[i].is_used && p->slots[i].deadline_ms < due) {
            due = p->slots[i].deadline_ms;
        }
    }
    return due;
}

size_t link_publish_in_flight(const struct link_publish *p)
{
    return p->in_flight;
}

size_t link_publish_waiting(const struct link_publish *p)
{
    return waiting_jobs(p);
}

void link_publish_destroy(struct link_publish **p_p)
{
    struct link_publish *p = *p_p;

    if (!p) {
        return;
    }
    p->hub.has_dedup = false;
    link_publish_lost(p);
    for (int lane = 0; lane < LANES; lane++) {
        while (p->waiting[lane].first) {
            finish_unanswered(wait_out(p, (enum lane)lane));
        }
    }
    for (size_t i = 0; i < p->options.window; i++) {
        free(p->slots[i].jobs);
    }
    free(p->slots);
    free(p);
    *p_p = NULL;
}
