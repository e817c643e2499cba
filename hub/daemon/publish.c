/*
 * publish: check all, number all, answer once.
 */
#include "daemon/publish.h"

#include "daemon/envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define IGNORED_NAMES_MAX 16
#define IGNORED_NAME_LEN  256
/* After a request with more events than this its memory is given back. */
#define KEEP_CAP 256

struct item {
    struct zframe frame;
    struct intake_event event;
};

/* Names of unknown fields, as they stand in the frames of the batch. */
struct ignored {
    struct json_span names[IGNORED_NAMES_MAX];
    size_t count;
};

struct publish {
    struct intake *intake;
    struct journal *journal;
    const struct settings *settings;
    struct item *items;
    size_t cap;
    size_t count;
    uint64_t bytes;
    enum publish_overflow overflow;
    bool no_memory;
    struct ignored ignored;
};

/* What became of a batch. */
struct tally {
    uint64_t fresh; /* numbered */
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t special; /* duplicates and refused ones */
};

nhub_err publish_create(struct publish **out, struct intake *intake, struct journal *journal,
                        const struct settings *settings)
{
    struct publish *p = calloc(1, sizeof *p);

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->intake = intake;
    p->journal = journal;
    p->settings = settings;
    *out = p;
    return NHUB_OK;
}

void publish_destroy(struct publish **p_p)
{
    if (*p_p) {
        publish_reset(*p_p);
        free((*p_p)->items);
        free(*p_p);
        *p_p = NULL;
    }
}

uint64_t publish_max_bytes(const struct settings *settings)
{
    return settings->hub.max_event_bytes > PUBLISH_MAX_BYTES ? settings->hub.max_event_bytes
                                                             : PUBLISH_MAX_BYTES;
}

/* ---- receiving ---- */

void publish_reset(struct publish *p)
{
    for (size_t i = 0; i < p->count; i++) {
        zframe_close(&p->items[i].frame);
    }
    p->count = 0;
    p->bytes = 0;
    p->overflow = PUBLISH_FITS;
    p->no_memory = false;
    p->ignored.count = 0;
    if (p->cap > KEEP_CAP) {
        free(p->items);
        p->items = NULL;
        p->cap = 0;
    }
}

/* Frames may not be moved by copying their bytes, so growing moves them by the library's means. */
static bool grow(struct publish *p)
{
    const size_t cap = p->cap == 0 ? 16 : p->cap * 2;
    struct item *items = malloc(cap * sizeof *items);

    if (!items) {
        return false;
    }
    for (size_t i = 0; i < p->count; i++) {
        zframe_init(&items[i].frame);
        NHUB_IGNORE(zframe_share(&items[i].frame, &p->items[i].frame)); /* both are initialised */
        zframe_close(&p->items[i].frame);
    }
    free(p->items);
    p->items = items;
    p->cap = cap;
    return true;
}

static void drop_frame(struct zframe *frame)
{
    zframe_close(frame);
    zframe_init(frame);
}

void publish_add_frame(struct publish *p, struct zframe *frame)
{
    const uint64_t max_bytes = publish_max_bytes(p->settings);
    const size_t len = zframe_size(frame);

    if (p->overflow != PUBLISH_FITS || p->no_memory) {
        drop_frame(frame);
        return;
    }
    if (p->count == PUBLISH_MAX_EVENTS) {
        p->overflow = PUBLISH_TOO_MANY;
    } else if (p->bytes > max_bytes || len > max_bytes - p->bytes) {
        p->overflow = PUBLISH_TOO_BIG;
    } else if (p->count == p->cap && !grow(p)) {
        p->no_memory = true;
    } else {
        zframe_init(&p->items[p->count].frame);
        NHUB_IGNORE(zframe_share(&p->items[p->count].frame, frame)); /* both are initialised */
        p->count++;
        p->bytes += len;
    }
    drop_frame(frame);
}

/* ---- checking ---- */

static void note_ignored(void *context, const struct json_span *name)
{
    struct ignored *ignored = context;

    if (ignored->count == IGNORED_NAMES_MAX || name->len > IGNORED_NAME_LEN) {
        return;
    }
    for (size_t i = 0; i < ignored->count; i++) {
        if (ignored->names[i].len == name->len &&
            memcmp(ignored->names[i].p, name->p, name->len) == 0) {
            return;
        }
    }
    ignored->names[ignored->count++] = *name;
}

static void check_item(struct publish *p, struct item *item, uint64_t pending)
{
    intake_check(p->intake, zframe_data(&item->frame), zframe_size(&item->frame), pending,
                 note_ignored, &p->ignored, &item->event);
}

/* ---- answering ---- */

static bool has_offset(const struct intake_event *e)
{
    return e->outcome == INTAKE_REFUSED &&
           (e->error.reason == EVENT_BAD_JSON || e->error.reason == EVENT_NONFINITE ||
            e->error.reason == EVENT_NOT_OBJECT);
}

static void write_refusal_details(struct buf *out, const struct intake_event *e, size_t index)
{
    buf_printf(out, ",\"index\":%zu", index);
    if (has_offset(e)) {
        buf_printf(out, ",\"offset\":%zu", e->error.offset);
    }
    if (e->outcome == INTAKE_REFUSED && e->error.field) {
        buf_add_str(out, ",\"field\":");
        buf_add_json_cstr(out, e->error.field);
    }
    if (e->outcome == INTAKE_CONFLICT) {
        buf_printf(out, ",\"seq\":%" PRIu64, e->seq);
    }
}

static void refuse_batch(struct publish *p, struct call *call, size_t index)
{
    const struct intake_event *e = &p->items[index].event;
    struct buf text;
    struct buf answer;

    call->stats->requests_refused++;
    buf_init(&text);
    buf_init(&answer);
    if (p->count > 1) {
        buf_printf(&text, "event %zu: ", index);
    }
    buf_add_str(&text, intake_detail(e));
    envelope_error(&answer, buf_cstr(&text), intake_code(e));
    write_refusal_details(&answer, e, index);
    envelope_end(&answer, &call->request);
    call_answer(call, &answer, NULL);
    buf_fini(&text);
}

static void write_result(struct buf *out, const struct intake_event *e, size_t index)
{
    if (e->outcome == INTAKE_DUPLICATE) {
        buf_printf(out, "{\"index\":%zu,\"seq\":%" PRIu64 ",\"duplicate\":true}", index, e->seq);
        return;
    }
    buf_add_str(out, "{\"code\":");
    buf_add_json_cstr(out, intake_code(e));
    buf_add_str(out, ",\"error\":");
    buf_add_json_cstr(out, intake_detail(e));
    write_refusal_details(out, e, index);
    buf_add_char(out, '}');
}

static void write_results(const struct publish *p, struct buf *out)
{
    bool is_first = true;

    buf_add_str(out, ",\"results\":[");
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].event.outcome != INTAKE_NEW) {
            buf_add_str(out, is_first ? "" : ",");
            write_result(out, &p->items[i].event, i);
            is_first = false;
        }
    }
    buf_add_char(out, ']');
}

static void write_ignored(const struct publish *p, struct buf *out)
{
    buf_add_str(out, ",\"ignored\":[");
    for (size_t i = 0; i < p->ignored.count; i++) {
        buf_add_str(out, i == 0 ? "" : ",");
        buf_add(out, p->ignored.names[i].p, p->ignored.names[i].len);
    }
    buf_add_char(out, ']');
}

/* The correlation id of the only event, which the hub may have given. */
static void write_correlation(const struct publish *p, struct buf *out)
{
    const struct intake_event *e = &p->items[0].event;

    if (e->has_correlation) {
        buf_printf(out, ",\"correlation_id\":\"%.*s\"", UUID_TEXT_LEN, e->correlation);
    } else if (e->outcome == INTAKE_NEW) {
        buf_add_str(out, ",\"correlation_id\":");
        buf_add(out, e->event.field[EVENT_CORRELATION].p, e->event.field[EVENT_CORRELATION].len);
    }
}

static void answer_batch(const struct publish *p, struct call *call, const struct tally *tally,
                         int durability)
{
    struct buf out;

    buf_init(&out);
    envelope_success(&out);
    if (tally->fresh > 0) {
        buf_printf(&out, ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64, tally->first_seq,
                   tally->last_seq);
    }
    buf_printf(&out, ",\"count\":%" PRIu64 ",\"epoch\":\"%s\",\"durability\":\"%s\"", tally->fresh,
               p->journal->epoch, durability_name(durability));
    if (p->count == 1) {
        write_correlation(p, &out);
    }
    if (tally->special > 0) {
        write_results(p, &out);
    }
    if (p->ignored.count > 0) {
        write_ignored(p, &out);
    }
    envelope_end(&out, &call->request);
    call_answer(call, &out, NULL);
}

/* ---- carrying out ---- */

static void count_outcome(struct tally *tally, const struct intake_event *e)
{
    if (e->outcome != INTAKE_NEW) {
        tally->special++;
        return;
    }
    if (tally->fresh == 0) {
        tally->first_seq = e->seq;
    }
    tally->last_seq = e->seq;
    tally->fresh++;
}

/* Checks all events; returns the index of the first bad one, or count. *out_added: ids remembered.
 */
static size_t check_all(struct publish *p, uint64_t *out_added)
{
    uint64_t pending = 0;

    *out_added = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct intake_event *e = &p->items[i].event;

        check_item(p, &p->items[i], pending);
        *out_added += e->was_added ? 1 : 0;
        if (e->outcome == INTAKE_CONFLICT || e->outcome == INTAKE_REFUSED) {
            return i;
        }
        pending += e->outcome == INTAKE_NEW ? 1 : 0;
    }
    return p->count;
}

static void run_atomic(struct publish *p, struct call *call, const char *peer, int durability)
{
    struct tally tally = {0};
    uint64_t added;
    const size_t bad = check_all(p, &added);

    if (bad < p->count) {
        intake_undo(p->intake, added);
        intake_count_refused(p->intake, &p->items[bad].event, peer);
        refuse_batch(p, call, bad);
        return;
    }
    if (journal_reserve(p->journal, p->count) != NHUB_OK) {
        intake_undo(p->intake, added);
        call_refuse(call, "the hub cannot number events now", "unavailable");
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct intake_event *e = &p->items[i].event;

        NHUB_IGNORE(intake_finish(p->intake, e, peer)); /* the numbers are reserved */
        count_outcome(&tally, e);
    }
    answer_batch(p, call, &tally, durability);
}

static void run_each(struct publish *p, struct call *call, const char *peer, int durability)
{
    struct tally tally = {0};

    if (journal_reserve(p->journal, p->count) != NHUB_OK) {
        call_refuse(call, "the hub cannot number events now", "unavailable");
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct intake_event *e = &p->items[i].event;

        check_item(p, &p->items[i], 0);
        NHUB_IGNORE(intake_finish(p->intake, e, peer)); /* the numbers are reserved */
        count_outcome(&tally, e);
    }
    answer_batch(p, call, &tally, durability);
}

/* What is wrong with the request as a whole. Returns false when it was refused. */
static bool accept_request(struct publish *p, struct call *call, int durability, bool is_stopping)
{
    if (is_stopping) {
        call_refuse(call, "the hub is shutting down", "shutting_down");
    } else if (p->no_memory) {
        call_refuse(call, "out of memory", "no_memory");
    } else if (p->overflow == PUBLISH_TOO_MANY) {
        call_refuse(call, "a request carries at most 10000 events", "too_many_events");
    } else if (p->overflow == PUBLISH_TOO_BIG) {
        call_refuse(call, "the events of the request are too large together", "too_big");
    } else if (p->count == 0) {
        call_refuse(call, "the request carries no events: each is a frame behind the JSON",
                    "no_events");
    } else if (durability > p->journal->durability) {
        call_refuse(call, "this hub keeps events in memory only", "durability_unavailable");
    } else {
        return true;
    }
    return false;
}

void publish_run(struct publish *p, struct call *call, const char *peer, bool is_stopping)
{
    const int durability = call->request.durability == DURABILITY_DEFAULT
                               ? p->journal->durability
                               : call->request.durability;

    if (accept_request(p, call, durability, is_stopping)) {
        if (call->request.atomic) {
            run_atomic(p, call, peer, durability);
        } else {
            run_each(p, call, peer, durability);
        }
    }
    publish_reset(p);
}
