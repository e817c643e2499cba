/*
 * link_publish: jobs wait in a list linked by their letters; a request in flight sits in a slot,
 * and its key is the slot's index with the request's running number above, so that a late answer
 * finds nobody.
 */
#include "gateway/link_publish.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MERGE_EVENTS = 512, MERGE_BYTES = 1 << 20, SLOT_BITS = 16 };

/* A request in flight. jobs[i] is NULL once it was answered; its index still counts. */
struct slot {
    struct publish_job **jobs; /* cap of them */
    size_t cap, count;
    size_t open;         /* jobs not answered yet */
    uint64_t number;     /* grows with each request */
    int64_t deadline_ms; /* the earliest of its jobs */
    bool is_used;
    bool atomic;
};

struct job_list {
    struct publish_job *first, *last;
};

struct link_publish {
    struct link_publish_options options;
    struct link_publish_hub hub;
    bool is_up;
    struct slot *slots; /* window of them */
    size_t in_flight;
    size_t slot_hint;
    uint64_t last_number;
    struct job_list waiting;
    size_t waiting_jobs, waiting_bytes;
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
}

static void finish(struct publish_job *job, enum publish_outcome outcome)
{
    job->outcome = outcome;
    job->done(job);
}

static void refuse(struct publish_job *job, const char *code, const char *error, uint64_t index,
                   uint64_t offset)
{
    NHUB_IGNORE(snprintf(job->code, sizeof job->code, "%s", code) < 0);
    NHUB_IGNORE(snprintf(job->error, sizeof job->error, "%s", error) < 0);
    job->index = (size_t)index;
    job->offset = (size_t)offset;
    finish(job, PUBLISH_REFUSED);
}

/* No answer will come: whether that leaves a doubt depends on whether it ever went out. */
static void finish_unanswered(struct publish_job *job)
{
    finish(job, job->link.was_sent ? PUBLISH_UNKNOWN : PUBLISH_UNAVAILABLE);
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

static void wait_in(struct link_publish *p, struct publish_job *job)
{
    append(&p->waiting, job);
    p->waiting_jobs++;
    p->waiting_bytes += job->link.bytes;
    if (job->deadline_ms < p->waiting_deadline_ms) {
        p->waiting_deadline_ms = job->deadline_ms;
    }
}

static struct publish_job *wait_out(struct link_publish *p)
{
    struct publish_job *job = p->waiting.first;

    p->waiting.first = next_of(job);
    if (!p->waiting.first) {
        p->waiting.last = NULL;
    }
    job->letter.next = NULL;
    p->waiting_jobs--;
    p->waiting_bytes -= job->link.bytes;
    return job;
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
        finish(job, PUBLISH_UNAVAILABLE);
        return;
    }
    if (job->count == 0) {
        refuse(job, "no_events", "there is no event", 0, 0);
        return;
    }
    too_big = first_too_big(p, job);
    if (too_big < job->count) {
        refuse(job, "too_big", "the event is larger than the hub takes", too_big, 0);
        return;
    }
    if (p->waiting_jobs >= p->options.max_waiting_jobs ||
        job->link.bytes > p->options.max_waiting_bytes ||
        p->waiting_bytes > p->options.max_waiting_bytes - job->link.bytes) {
        finish(job, PUBLISH_OVERLOADED);
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
}

static void mark_sent(const struct link_publish *p, struct slot *slot, struct publish_job *job)
{
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

bool link_publish_next(struct link_publish *p, struct link_publish_request *out)
{
    struct slot *slot = p->is_up && p->waiting.first ? free_slot(p) : NULL;
    struct publish_job *first = p->waiting.first;
    size_t bytes = 0;

    if (!slot || !slot_push(slot, first)) {
        return false;
    }
    wait_out(p);
    slot->deadline_ms = INT64_MAX;
    slot->atomic = first->count != 1;
    mark_sent(p, slot, first);
    bytes = first->link.bytes;
    while (!slot->atomic && can_join(p->waiting.first, first, slot->count, bytes) &&
           slot_push(slot, p->waiting.first)) {
        struct publish_job *job = wait_out(p);

        bytes += job->link.bytes;
        mark_sent(p, slot, job);
    }
    if (!p->waiting.first) {
        p->waiting_deadline_ms = INT64_MAX;
    }
    slot->number = ++p->last_number;
    slot->is_used = true;
    slot->open = slot->count;
    p->in_flight++;
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
        finish(slot->jobs[i], PUBLISH_UNAVAILABLE);
    }
    if (slot) {
        slot_release(p, slot);
    }
}

/* ---- answers ---- */

static void accept(struct publish_job *job, const struct link_answer *answer, uint64_t first_seq,
                   uint64_t last_seq, uint64_t accepted)
{
    memcpy(job->epoch, answer->head.epoch, sizeof job->epoch);
    job->durability_got = answer->durability;
    job->first_seq = first_seq;
    job->last_seq = last_seq;
    job->accepted = accepted;
    job->duplicates = job->count - accepted;
    finish(job, PUBLISH_ACCEPTED);
}

/* The hub refused the whole request. */
static void refuse_slot(struct slot *slot, const struct link_answer *answer)
{
    for (size_t i = 0; i < slot->count; i++) {
        if (!slot->jobs[i]) {
            continue;
        }
        /* Nothing was numbered, and a hub that stops will be back: that is "unavailable". */
        if (strcmp(answer->code, "shutting_down") == 0) {
            finish(slot->jobs[i], PUBLISH_UNAVAILABLE);
        } else {
            refuse(slot->jobs[i], answer->code[0] ? answer->code : "bad_request", answer->error,
                   answer->index, answer->offset);
        }
    }
}

static void answer_atomic(struct slot *slot, const struct link_answer *answer)
{
    struct publish_job *job = slot->jobs[0];
    struct link_result result;
    uint64_t first_seq = answer->first_seq;
    uint64_t last_seq = answer->last_seq;
    size_t pos = 0;

    if (!job) {
        return;
    }
    /* Only repeats: their own numbers are the answer. */
    while (!answer->has_seqs && link_answer_result(&answer->results, &pos, &result) == NHUB_OK) {
        first_seq = first_seq == 0 ? result.seq : first_seq;
        last_seq = result.seq;
    }
    accept(job, answer, first_seq, last_seq,
           answer->count <= job->count ? answer->count : job->count);
}

/* Each event for itself: the hub names those that it did not simply number. The others have
 * first_seq, first_seq + 1, … in the order of the request; that of a job whose deadline is over
 * (NULL) counts as well. */
static void answer_merged(struct slot *slot, const struct link_answer *answer)
{
    bool is_named[MERGE_EVENTS] = {false};
    struct link_result result;
    uint64_t seq = answer->first_seq;
    size_t pos = 0;

    while (link_answer_result(&answer->results, &pos, &result) == NHUB_OK) {
        struct publish_job *job = NULL;

        if (result.index >= slot->count || is_named[result.index]) {
            continue;
        }
        is_named[result.index] = true;
        job = slot->jobs[result.index];
        slot->jobs[result.index] = NULL;
        if (job && result.is_duplicate) {
            accept(job, answer, result.seq, result.seq, 0);
        } else if (job) {
            refuse(job, result.code[0] ? result.code : "bad_request", result.error, 0,
                   result.offset);
        }
    }
    for (size_t i = 0; i < slot->count; i++) {
        if (!is_named[i]) {
            struct publish_job *job = slot->jobs[i];

            /* An answer that counts fewer than it leaves unnamed contradicts itself. */
            if (job && (!answer->has_seqs || seq > answer->last_seq)) {
                finish(job, PUBLISH_UNKNOWN);
            } else if (job) {
                accept(job, answer, seq, seq, 1);
            }
            seq++;
        }
    }
}

void link_publish_answer(struct link_publish *p, uint64_t key, const struct link_answer *answer)
{
    struct slot *slot = slot_of(p, key);

    if (!slot) {
        return;
    }
    if (!answer->success) {
        refuse_slot(slot, answer);
    } else if (slot->atomic) {
        answer_atomic(slot, answer);
    } else {
        answer_merged(slot, answer);
    }
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
            finish(job, PUBLISH_UNKNOWN);
        } else if (job && job->deadline_ms < slot->deadline_ms) {
            slot->deadline_ms = job->deadline_ms;
        }
    }
    if (slot->open == 0) {
        slot_release(p, slot);
    }
}

void link_publish_expire(struct link_publish *p, int64_t now_ms)
{
    for (size_t i = 0; p->in_flight > 0 && i < p->options.window; i++) {
        if (p->slots[i].is_used && p->slots[i].deadline_ms <= now_ms) {
            expire_slot(p, &p->slots[i], now_ms);
        }
    }
    if (p->waiting_deadline_ms <= now_ms) {
        size_t left = p->waiting_jobs;

        /* Once round the list: what is not due goes to its end again, so order is kept. */
        p->waiting_deadline_ms = INT64_MAX;
        for (; left > 0; left--) {
            struct publish_job *job = wait_out(p);

            if (job->deadline_ms <= now_ms) {
                finish_unanswered(job);
            } else {
                wait_in(p, job);
            }
        }
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
            finish(job, PUBLISH_UNKNOWN);
        }
    }
    slot_release(p, slot);
}

void link_publish_lost(struct link_publish *p)
{
    size_t left = p->waiting_jobs;

    p->is_up = false;
    for (; left > 0; left--) {
        struct publish_job *job = wait_out(p);

        if (job->link.was_sent) {
            wait_in(p, job); /* it waits since an earlier loss */
        } else {
            finish(job, PUBLISH_UNAVAILABLE);
        }
    }
    while (p->in_flight > 0) {
        abandon(p, oldest_slot(p));
    }
}

void link_publish_up(struct link_publish *p, const struct link_publish_hub *hub)
{
    const bool is_changed =
        !p->is_up || memcmp(p->hub.epoch, hub->epoch, EPOCH_LEN) != 0 || !hub->has_dedup;
    size_t left = is_changed ? p->waiting_jobs : 0;

    p->hub = *hub;
    p->is_up = true;
    for (; left > 0; left--) {
        struct publish_job *job = wait_out(p);

        if (job->link.was_sent &&
            (!hub->has_dedup || memcmp(job->link.sent_epoch, hub->epoch, EPOCH_LEN) != 0)) {
            finish(job, PUBLISH_UNKNOWN);
        } else {
            wait_in(p, job);
        }
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
    return p->waiting_jobs;
}

void link_publish_destroy(struct link_publish **p_p)
{
    struct link_publish *p = *p_p;

    if (!p) {
        return;
    }
    p->hub.has_dedup = false;
    link_publish_lost(p);
    while (p->waiting.first) {
        finish_unanswered(wait_out(p));
    }
    for (size_t i = 0; i < p->options.window; i++) {
        free(p->slots[i].jobs);
    }
    free(p->slots);
    free(p);
    *p_p = NULL;
}
