/*
 * publish: check all, number all, answer once.
 */
#include "daemon/publish.h"

#include "base/log.h"
#include "daemon/dedup.h"
#include "daemon/envelope.h"
#include "daemon/publish_answer.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(PUBLISH_MAX_EVENTS <= DEDUP_UNDO_MAX, "a refused batch leaves ids behind");

/* A request that waits for room in the journal. */
struct held {
    struct held *next;
    struct call call;
    struct publish_batch batch;
    uint64_t memory;
};

struct publish {
    struct publish_parts parts;
    struct publish_batch batch; /* of the request that is being read or carried out */
    struct held *first_held, *last_held;
    uint64_t held_memory;
    struct log_limit held_limit;
};

nhub_err publish_create(struct publish **out, const struct publish_parts *parts)
{
    struct publish *p = calloc(1, sizeof *p);

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->parts = *parts;
    p->held_limit = (struct log_limit){.burst = 1, .window_ms = 10000};
    *out = p;
    return NHUB_OK;
}

static struct held *pop_held(struct publish *p)
{
    struct held *h = p->first_held;

    p->first_held = h->next;
    if (!p->first_held) {
        p->last_held = NULL;
    }
    p->held_memory -= h->memory;
    return h;
}

static void free_held(struct held *h)
{
    call_fini(&h->call);
    publish_batch_fini(&h->batch);
    free(h);
}

void publish_destroy(struct publish **p_p)
{
    struct publish *p = *p_p;

    if (p) {
        while (p->first_held) {
            free_held(pop_held(p));
        }
        publish_batch_fini(&p->batch);
        free(p);
        *p_p = NULL;
    }
}

void publish_reset(struct publish *p)
{
    publish_batch_reset(&p->batch);
}

void publish_add(struct publish *p, const char *text, size_t len)
{
    publish_batch_add(&p->batch, text, len, publish_max_bytes(p->parts.settings));
}

void publish_add_packed(struct publish *p, const struct packed_reader *rest)
{
    publish_batch_add_packed(&p->batch, rest, publish_max_bytes(p->parts.settings));
}

size_t publish_count(const struct publish *p)
{
    return p->batch.count;
}

/* ---- checking ---- */

static void check_item(struct publish *p, struct publish_batch *b, size_t index, uint64_t pending)
{
    struct publish_item *item = &b->items[index];

    intake_check(p->parts.intake, item->text, item->len, pending, publish_batch_note_ignored, b,
                 &item->event);
}

/* Checks all events; returns the index of the first bad one, or count. *out_added: ids remembered.
 */
static size_t check_all(struct publish *p, struct publish_batch *b, uint64_t *out_added)
{
    uint64_t pending = 0;

    *out_added = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct intake_event *e = &b->items[i].event;

        check_item(p, b, i, pending);
        *out_added += e->was_added ? 1 : 0;
        if (e->outcome == INTAKE_CONFLICT || e->outcome == INTAKE_REFUSED) {
            return i;
        }
        pending += e->outcome == INTAKE_NEW ? 1 : 0;
    }
    return b->count;
}

/* ---- answering ---- */

static void refuse_batch(const struct publish_batch *b, struct call *call, size_t index)
{
    struct buf answer;

    call->stats->requests_refused++;
    buf_init(&answer);
    publish_write_refusal(&answer, b, index);
    envelope_end(&answer, &call->request);
    call_answer(call, &answer, NULL);
}

/* How well the event with this number, which is not lost, is kept now. */
static int kept_now(const struct journal *journal, uint64_t seq)
{
    struct journal_state state;

    journal_state(journal, &state);
    return seq <= state.synced      ? DURABILITY_SYNCED
           : seq <= state.journaled ? DURABILITY_JOURNALED
                                    : DURABILITY_MEMORY;
}

/* How well all of the batch is kept before the journal has done anything more. */
static int kept_already(const struct publish *p, const struct publish_tally *tally, int durability)
{
    if (tally->fresh > 0 || (tally->lost > 0 && !tally->tells_each)) {
        return DURABILITY_MEMORY;
    }
    /* Where there is nothing to keep, nothing is missing. */
    return tally->newest_dup > 0 ? kept_now(p->parts.journal, tally->newest_dup) : durability;
}

/* Duplicates whose first one is lost make the answer of a request that stands or falls as a whole,
 * or that has nothing else. Otherwise they are told one by one: many publishers may share a request
 * of events that stand each for itself, and the others have what they asked for. Returns whether
 * the answer as a whole tells it. */
static bool settle_lost(struct call *call, struct publish_tally *tally, int durability)
{
    const bool has_others = tally->fresh > 0 || tally->newest_dup > 0;

    if (tally->lost == 0 || durability <= DURABILITY_MEMORY) {
        return false;
    }
    tally->tells_each = !call->request.atomic && has_others;
    call->stats->durability_lost += tally->tells_each ? tally->lost : 0;
    return !tally->tells_each;
}

/* Answers now or when the events are kept as well as asked for. */
static void answer_batch(struct publish *p, const struct publish_batch *b, struct call *call,
                         struct publish_tally *tally, int durability)
{
    const bool is_lost = settle_lost(call, tally, durability);
    const int kept = kept_already(p, tally, durability);
    struct buf members;
    struct buf tail;

    buf_init(&members);
    buf_init(&tail);
    publish_write_members(&members, tally, p->parts.journal->epoch);
    publish_write_tail(&tail, b, tally);
    if (kept >= durability || (is_lost && tally->fresh == 0) || !call->wants_answer) {
        acks_answer(call, kept, &members, &tail, is_lost);
    } else {
        acks_wait(p->parts.acks, call, durability, &members, &tail, is_lost);
    }
}

/* ---- carrying out ---- */

static void count_outcome(const struct journal *journal, struct publish_tally *tally,
                          struct publish_item *item)
{
    const struct intake_event *e = &item->event;

    if (e->outcome != INTAKE_NEW) {
        tally->special++;
        item->is_lost = e->outcome == INTAKE_DUPLICATE && journal_is_lost(journal, e->seq);
        tally->lost += item->is_lost ? 1 : 0;
        if (e->outcome == INTAKE_DUPLICATE && !item->is_lost && e->seq > tally->newest_dup) {
            tally->newest_dup = e->seq;
        }
        return;
    }
    if (tally->fresh == 0) {
        tally->first_seq = e->seq;
    }
    tally->last_seq = e->seq;
    tally->fresh++;
}

/* Room for the answer and for the numbers; comes before the check, which remembers ids with the
 * numbers that they will have. Returns false when the request was refused. */
static bool reserve(struct publish *p, struct call *call, size_t count, int durability)
{
    const bool may_wait = call->wants_answer && durability > DURABILITY_MEMORY;
    const nhub_err err = may_wait ? acks_reserve(p->parts.acks) : NHUB_OK;

    if (err == NHUB_ENOMEM) {
        call_refuse(call, "out of memory", "no_memory");
    } else if (err) {
        call_refuse(call, "too many publishers wait for the disk already", "unavailable");
    } else if (journal_reserve(p->parts.journal, count) != NHUB_OK) {
        call_refuse(call, "the hub cannot number events now", "unavailable");
    } else {
        return true;
    }
    return false;
}

static void run_atomic(struct publish *p, struct publish_batch *b, struct call *call,
                       int durability)
{
    const struct intake_origin origin = {.server = p->parts.server, .peer = call->peer};
    struct publish_tally tally = {0};
    uint64_t added;
    size_t bad;

    if (!reserve(p, call, b->count, durability)) {
        return;
    }
    bad = check_all(p, b, &added);
    if (bad < b->count) {
        intake_undo(p->parts.intake, added);
        intake_count_refused(p->parts.intake, &b->items[bad].event, &origin);
        refuse_batch(b, call, bad);
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        struct intake_event *e = &b->items[i].event;

        NHUB_IGNORE(intake_finish(p->parts.intake, e, &origin)); /* the numbers are reserved */
        count_outcome(p->parts.journal, &tally, &b->items[i]);
    }
    answer_batch(p, b, call, &tally, durability);
}

static void run_each(struct publish *p, struct publish_batch *b, struct call *call, int durability)
{
    const struct intake_origin origin = {.server = p->parts.server, .peer = call->peer};
    struct publish_tally tally = {0};

    if (!reserve(p, call, b->count, durability)) {
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        struct intake_event *e = &b->items[i].event;

        check_item(p, b, i, 0);
        NHUB_IGNORE(intake_finish(p->parts.intake, e, &origin)); /* the numbers are reserved */
        count_outcome(p->parts.journal, &tally, &b->items[i]);
    }
    answer_batch(p, b, call, &tally, durability);
}

/* Refuses a durability that is not to be had. */
static bool accept_durability(const struct journal *journal, struct call *call, int durability)
{
    struct journal_state state;
    struct buf text;

    if (durability > journal->durability_max) {
        call_refuse(call,
                    journal->durability_max <= DURABILITY_MEMORY
                        ? "this hub keeps events in memory only (hub.journal.enabled)"
                        : "this hub does not force events to the disk (hub.journal.sync)",
                    "durability_unavailable");
        return false;
    }
    if (durability > journal->durability_now) {
        journal_state(journal, &state);
        buf_init(&text);
        buf_printf(&text, "the journal takes nothing now: %s", state.why);
        call_refuse(call, buf_cstr(&text), "durability_unavailable");
        buf_fini(&text);
        return false;
    }
    return true;
}

/* What is wrong with the request as a whole. Returns false when it was refused. */
static bool accept_request(const struct publish_batch *b, struct call *call, bool is_stopping)
{
    if (is_stopping) {
        call_refuse(call, "the hub is shutting down", "shutting_down");
    } else if (b->no_memory) {
        call_refuse(call, "out of memory", "no_memory");
    } else if (b->overflow == PUBLISH_TOO_MANY) {
        call_refuse(call, "a request carries at most 10000 events", "too_many_events");
    } else if (b->overflow == PUBLISH_TOO_BIG) {
        call_refuse(call, "the events of the request are too large together", "too_big");
    } else if (b->count == 0) {
        call_refuse(call, "the request carries no events: each is a frame behind the JSON",
                    "no_events");
    } else {
        return true;
    }
    return false;
}

/* What is asked for; without a wish, what the journal gives now. */
static int wanted_durability(const struct journal *journal, const struct call *call)
{
    if (call->request.durability != DURABILITY_DEFAULT) {
        return call->request.durability;
    }
    return journal->durability < journal->durability_now ? journal->durability
                                                         : journal->durability_now;
}

static void carry_out(struct publish *p, struct publish_batch *b, struct call *call)
{
    const int durability = wanted_durability(p->parts.journal, call);

    if (!accept_durability(p->parts.journal, call, durability)) {
        return;
    }
    if (call->request.atomic) {
        run_atomic(p, b, call, durability);
    } else {
        run_each(p, b, call, durability);
    }
}

/* ---- holding back ---- */

/* False when the request is refused, as its memory is over the bound. */
static bool has_room_for(struct publish *p, struct call *call, uint64_t memory)
{
    uint64_t suppressed;

    if (memory <= PUBLISH_HELD_BYTES && p->held_memory <= PUBLISH_HELD_BYTES - memory) {
        return true;
    }
    if (log_limit_pass(&p->held_limit, &suppressed)) {
        log_warn("publish_refused", log_str("reason", "the disk is behind"),
                 log_uint("held_bytes", p->held_memory), log_uint("suppressed", suppressed));
    }
    call_refuse(call, "the disk is behind, and too many publishers wait for it already",
                "unavailable");
    return false;
}

static void hold(struct publish *p, struct call *call)
{
    const uint64_t memory = publish_batch_memory(&p->batch) + sizeof(struct held);
    struct held *h;

    if (!has_room_for(p, call, memory)) {
        return;
    }
    h = calloc(1, sizeof *h);
    if (!h || publish_batch_keep(&p->batch) != NHUB_OK) {
        free(h);
        call_refuse(call, "out of memory", "no_memory");
        return;
    }
    call_move(&h->call, call);
    h->batch = p->batch; /* the array changes hands */
    p->batch = (struct publish_batch){.items = NULL};
    h->memory = memory;
    if (p->last_held) {
        p->last_held->next = h;
    } else {
        p->first_held = h;
    }
    p->last_held = h;
    p->held_memory += memory;
}

void publish_run(struct publish *p, struct call *call, bool is_stopping)
{
    if (accept_request(&p->batch, call, is_stopping)) {
        if (p->parts.journal->is_full || p->first_held) {
            hold(p, call);
        } else {
            carry_out(p, &p->batch, call);
        }
    }
    publish_reset(p);
}

void publish_turn(struct publish *p)
{
    while (p->first_held && !p->parts.journal->is_full) {
        struct held *h = pop_held(p);

        carry_out(p, &h->batch, &h->call);
        free_held(h);
    }
}

bool publish_is_holding(const struct publish *p)
{
    return p->first_held != NULL;
}
