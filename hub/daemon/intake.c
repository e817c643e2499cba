/*
 * intake: check, de-duplicate, number, keep, publish.
 */
#include "daemon/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dedup.h"

#include <stdlib.h>
#include <string.h>

/* A longer source_service takes part in the key with its undecoded text. */
#define SOURCE_DECODED_MAX 1024

struct intake {
    struct intake_parts parts;
    struct dedup *dedup;       /* NULL = off */
    char epoch[EPOCH_LEN + 1]; /* of the numbers that ids have */
    struct log_limit refused_limit;
    struct log_limit unnumbered_limit;
    intake_numbered_fn *numbered; /* NULL = nobody listens */
    void *context;
};

/* Ids of before, newest first. */
struct known_ids {
    struct buf ids; /* struct journal_id each */
};

static void note_id(void *context, const struct journal_id *id)
{
    struct known_ids *known = context;

    buf_add(&known->ids, id, sizeof *id);
}

/* Takes over the ids that the journal remembers; their age goes by the wall clock, because no other
 * clock survives a restart. */
static nhub_err load_ids(struct intake *in, uint64_t max_ids, uint64_t window_ms)
{
    const int64_t now_us = clock_wall_us();
    const int64_t now_ms = clock_mono_ms();
    struct known_ids known;
    nhub_err err;

    buf_init(&known.ids);
    err = journal_each_id(in->parts.journal, max_ids, now_us - (int64_t)window_ms * 1000, note_id,
                          &known);
    if (!err && known.ids.failed) {
        err = NHUB_ENOMEM;
    }
    for (size_t i = known.ids.len / sizeof(struct journal_id); !err && i > 0; i--) {
        const struct journal_id *id =
            (const struct journal_id *)(const void *)known.ids.data + (i - 1);
        const int64_t age_ms = id->arrival_us < now_us ? (now_us - id->arrival_us) / 1000 : 0;
        uint64_t seq;

        (void)dedup_check(in->dedup, &id->key, id->content, id->seq, now_ms - age_ms, &seq);
    }
    buf_fini(&known.ids);
    return err;
}

static nhub_err create_dedup(struct intake *in, uint64_t ids, uint64_t window_ms)
{
    struct hash_key secret;
    nhub_err err;

    memcpy(&secret, in->parts.journal->id_seed, sizeof secret);
    memcpy(in->epoch, in->parts.journal->epoch, sizeof in->epoch);
    err = dedup_create(&in->dedup, ids, window_ms, &secret);
    return err ? err : load_ids(in, ids, window_ms);
}

nhub_err intake_create(struct intake **out, const struct intake_parts *parts)
{
    const uint64_t ids = parts->settings->hub.dedup_ids;
    const uint64_t window_ms = parts->settings->hub.dedup_window_s * 1000;
    struct intake *in = calloc(1, sizeof *in);
    nhub_err err = NHUB_OK;

    if (!in) {
        return NHUB_ENOMEM;
    }
    in->parts = *parts;
    in->refused_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    in->unnumbered_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    if (ids > 0 && window_ms > 0) {
        err = create_dedup(in, ids, window_ms);
    }
    if (err) {
        intake_destroy(&in);
        return err;
    }
    *out = in;
    return NHUB_OK;
}

void intake_destroy(struct intake **in_p)
{
    if (*in_p) {
        dedup_destroy(&(*in_p)->dedup);
        free(*in_p);
        *in_p = NULL;
    }
}

static struct hash128 key_of(const struct dedup *d, const struct event *e)
{
    const struct json_span *span = &e->field[EVENT_SOURCE];
    char decoded[SOURCE_DECODED_MAX];
    char id[EVENT_ID_MAX];
    const char *source = decoded;
    size_t source_len = 0;
    size_t id_len = 0;

    if (event_string(e, EVENT_SOURCE, decoded, sizeof decoded, &source_len) != NHUB_OK) {
        source = span->p;
        source_len = span->len;
    }
    /* The parser has seen that the id fits. */
    NHUB_IGNORE(event_string(e, EVENT_ID, id, sizeof id, &id_len));
    return dedup_key(d, source, source_len, id, id_len);
}

/* The numbers that ids have are of one epoch: in a new one they would name other events. */
static void follow_epoch(struct intake *in)
{
    const struct journal *journal = in->parts.journal;

    if (memcmp(in->epoch, journal->epoch, sizeof in->epoch) != 0) {
        memcpy(in->epoch, journal->epoch, sizeof in->epoch);
        dedup_clear(in->dedup);
    }
}

static void look_up_id(struct intake *in, uint64_t pending, struct intake_event *out)
{
    const struct event *e = &out->event;
    const struct json_span *data = &e->field[EVENT_DATA];
    struct journal_state journal;

    if (!in->dedup || e->field[EVENT_ID].kind == JSON_ABSENT) {
        return;
    }
    /* The id is remembered with the number that the event will have, so an epoch that ends does it
     * now. A failure shows when the event is numbered. */
    NHUB_IGNORE(journal_reserve(in->parts.journal, pending + 1));
    follow_epoch(in);
    journal_state(in->parts.journal, &journal);
    out->key = key_of(in->dedup, e);
    out->content = dedup_content(in->dedup, e->type, e->type_len, data->p, data->len);
    switch (dedup_check(in->dedup, &out->key, out->content, journal.last + pending + 1,
                        clock_mono_ms(), &out->seq)) {
    case DEDUP_NEW:
        out->was_added = true;
        break;
    case DEDUP_DUPLICATE:
        out->outcome = INTAKE_DUPLICATE;
        break;
    case DEDUP_CONFLICT:
        out->outcome = INTAKE_CONFLICT;
        break;
    }
}

void intake_check(struct intake *in, const char *text, size_t len, uint64_t pending,
                  json_unknown_fn *unknown, void *context, struct intake_event *out)
{
    const struct settings *settings = in->parts.settings;

    out->error = (struct event_error){.reason = EVENT_OK};
    out->outcome = INTAKE_NEW;
    out->text_len = len;
    out->seq = 0;
    out->was_added = false;
    out->has_correlation = false;
    if (len > settings->hub.max_event_bytes) {
        out->outcome = INTAKE_REFUSED;
        out->error = (struct event_error){.reason = EVENT_TOO_BIG,
                                          .detail = "the event is larger than hub.max_event_bytes"};
        return;
    }
    if (event_parse(text, len, EVENT_DOOR_ZEROMQ, settings->hub.stats_event, unknown, context,
                    &out->event, &out->error) != NHUB_OK) {
        out->outcome = INTAKE_REFUSED;
        return;
    }
    look_up_id(in, pending, out);
}

void intake_undo(struct intake *in, uint64_t count)
{
    if (in->dedup) {
        dedup_undo(in->dedup, count);
    }
}

/* What became of an event. */
struct numbered {
    uint64_t seq;
    size_t line_len;
    int64_t arrival_us;
};

/* Renders the event into the journal's memory and sends it from there. id: has the key of its id,
 * if it has one. */
static nhub_err number_event(struct intake *in, const struct event *e, size_t text_len,
                             const char *correlation, const struct intake_event *id,
                             struct numbered *out)
{
    struct journal *journal = in->parts.journal;
    const struct event_fill fill = {.now_us = clock_wall_us(), .correlation_id = correlation};
    struct journal_slot slot;
    const nhub_err err = journal_open_slot(journal, e->type, e->type_len,
                                           event_render_max(e, &fill, text_len), &slot);

    if (err) {
        return err;
    }
    out->arrival_us = fill.now_us;
    out->seq = slot.position.seq;
    out->line_len = event_render(e, &fill, &slot.position, slot.line);
    if (id && id->was_added) {
        journal_add_id(journal, &id->key, id->content);
    }
    journal_close_slot(journal, out->line_len, fill.now_us);
    publisher_send(in->parts.publisher, e->type, e->type_len, slot.line, out->line_len);
    if (in->numbered) {
        in->numbered(in->context, e->type, e->type_len, slot.position.seq);
    }
    return NHUB_OK;
}

static void count_received(struct stats *stats, const struct intake_event *e, int64_t now_us)
{
    stats->events_received++;
    stats->received_bytes += e->text_len;
    stats->ignored_fields += e->event.ignored;
    stats->last_message_us = now_us;
}

/* The text of an address. */
struct address {
    char text[64];
};

/* Asked for by the log only. */
static struct address address_of(const struct intake_origin *from)
{
    struct address address = {.text = "-"};

    if (from->server) {
        zserver_address(from->server, from->peer, address.text, sizeof address.text);
    }
    return address;
}

static nhub_err finish_new(struct intake *in, struct intake_event *e,
                           const struct intake_origin *from)
{
    struct stats *stats = in->parts.stats;
    struct numbered numbered;
    uint64_t suppressed;
    nhub_err err;

    if (e->event.field[EVENT_CORRELATION].kind == JSON_ABSENT) {
        uuid_v4(e->correlation);
        e->has_correlation = true;
    }
    err = number_event(in, &e->event, e->text_len, e->correlation, e, &numbered);
    if (err) {
        stats->not_numbered++;
        if (log_limit_pass(&in->unnumbered_limit, &suppressed)) {
            log_error("event_not_numbered", log_str("error", nhub_strerror(err)),
                      log_str("peer", address_of(from).text),
                      log_uint("not_numbered_total", stats->not_numbered),
                      log_uint("suppressed", suppressed));
        }
        return NHUB_EUNAVAIL;
    }
    e->seq = numbered.seq;
    count_received(stats, e, numbered.arrival_us);
    stats->events_published++;
    stats->published_bytes += numbered.line_len;
    stats->nonfinite += e->event.has_nonfinite ? 1 : 0;
    return NHUB_OK;
}

nhub_err intake_finish(struct intake *in, struct intake_event *e, const struct intake_origin *from)
{
    switch (e->outcome) {
    case INTAKE_NEW:
        return finish_new(in, e, from);
    case INTAKE_DUPLICATE:
        count_received(in->parts.stats, e, clock_wall_us());
        in->parts.stats->duplicates++;
        break;
    case INTAKE_CONFLICT:
    case INTAKE_REFUSED:
        intake_count_refused(in, e, from);
        break;
    }
    return NHUB_OK;
}

void intake_count_refused(struct intake *in, const struct intake_event *e,
                          const struct intake_origin *from)
{
    struct stats *stats = in->parts.stats;
    uint64_t suppressed;

    if (e->outcome == INTAKE_CONFLICT) {
        stats->conflicts++;
    } else {
        stats->rejected[e->error.reason]++;
    }
    if (log_limit_pass(&in->refused_limit, &suppressed)) {
        log_warn("event_refused", log_str("reason", intake_code(e)),
                 log_str("detail", intake_detail(e)), log_uint("offset", e->error.offset),
                 log_uint("bytes", e->text_len), log_str("peer", address_of(from).text),
                 log_uint("refused_total", stats_rejected_total(stats)),
                 log_uint("suppressed", suppressed));
    }
}

void intake_push(struct intake *in, const char *text, size_t len, const struct intake_origin *from)
{
    struct intake_event e;

    intake_check(in, text, len, 0, NULL, NULL, &e);
    if (intake_finish(in, &e, from) != NHUB_OK && e.was_added) {
        intake_undo(in, 1); /* counted and logged already; it may come again */
    }
}

void intake_set_listener(struct intake *in, intake_numbered_fn *numbered, void *context)
{
    in->numbered = numbered;
    in->context = context;
}

nhub_err intake_publish_own(struct intake *in, const char *type, const char *data, size_t len)
{
    struct buf text;
    struct event event;
    struct event_error error = {.detail = NULL};
    char correlation[UUID_TEXT_LEN];
    struct numbered numbered;
    nhub_err err = NHUB_ENOMEM;

    buf_init(&text);
    buf_add_str(&text, "{\"event_type\":");
    buf_add_json_cstr(&text, type);
    buf_add_str(&text, ",\"source_service\":");
    buf_add_json_cstr(&text, in->parts.settings->hub.source_service);
    buf_add_str(&text, ",\"data\":");
    buf_add(&text, data, len);
    buf_add_char(&text, '}');
    if (!text.failed) {
        err = event_parse_own(text.data, text.len, &event, &error);
    }
    if (!err) {
        uuid_v4(correlation);
        err = number_event(in, &event, text.len, correlation, NULL, &numbered);
    }
    if (!err) {
        in->parts.stats->own_events++;
    }
    buf_fini(&text);
    return err;
}

void intake_own_event(struct intake *in, const char *type, const char *data, size_t len)
{
    const nhub_err err = intake_publish_own(in, type, data, len);

    if (err) {
        log_error("own_event_failed", log_str("type", type), log_str("error", nhub_strerror(err)));
    }
}

uint64_t intake_dedup_ids(const struct intake *in)
{
    return in->dedup ? dedup_count(in->dedup) : 0;
}

const char *intake_code(const struct intake_event *e)
{
    return e->outcome == INTAKE_CONFLICT ? "duplicate_conflict"
                                         : event_reason_code(e->error.reason);
}

const char *intake_detail(const struct intake_event *e)
{
    return e->outcome == INTAKE_CONFLICT ? "an event with this id came before with other content"
                                         : e->error.detail;
}
