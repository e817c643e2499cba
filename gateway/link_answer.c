/*
 * link_answer: a row for each member of the answers that we read; those of other requests are
 * passed over.
 */
#include "gateway/link_answer.h"

#include "base/settings.h"
#include "wire/event.h"
#include "wire/request.h"

#include <string.h>

enum answer_key {
    KEY_REQUEST_ID,
    KEY_SUCCESS,
    KEY_CODE,
    KEY_ERROR,
    KEY_FIRST_SEQ,
    KEY_LAST_SEQ,
    KEY_COUNT,
    KEY_INDEX,
    KEY_OFFSET,
    KEY_DURABILITY,
    KEY_RESULTS,
    KEY_EPOCH,
    KEY_SEQ,
    KEY_OLDEST,
    KEY_PROTOCOL,
    KEY_DEDUP,
    KEY_MAX_EVENT_BYTES,
    KEY_VOIDS,
    KEY_NEXT,
    KEY_GAP,
    KEY_DURABILITY_MAX,
    KEY_JOURNAL,
    ANSWER_KEYS
};

static const struct json_key answer_keys[ANSWER_KEYS] = {
    [KEY_REQUEST_ID] = JSON_KEY("request_id"),
    [KEY_SUCCESS] = JSON_KEY("success"),
    [KEY_CODE] = JSON_KEY("code"),
    [KEY_ERROR] = JSON_KEY("error"),
    [KEY_FIRST_SEQ] = JSON_KEY("first_seq"),
    [KEY_LAST_SEQ] = JSON_KEY("last_seq"),
    [KEY_COUNT] = JSON_KEY("count"),
    [KEY_INDEX] = JSON_KEY("index"),
    [KEY_OFFSET] = JSON_KEY("offset"),
    [KEY_DURABILITY] = JSON_KEY("durability"),
    [KEY_RESULTS] = JSON_KEY("results"),
    [KEY_EPOCH] = JSON_KEY("epoch"),
    [KEY_SEQ] = JSON_KEY("seq"),
    [KEY_OLDEST] = JSON_KEY("oldest"),
    [KEY_PROTOCOL] = JSON_KEY("protocol"),
    [KEY_DEDUP] = JSON_KEY("dedup"),
    [KEY_MAX_EVENT_BYTES] = JSON_KEY("max_event_bytes"),
    [KEY_VOIDS] = JSON_KEY("voids"),
    [KEY_NEXT] = JSON_KEY("next"),
    [KEY_GAP] = JSON_KEY("gap"),
    [KEY_DURABILITY_MAX] = JSON_KEY("durability_max"),
    [KEY_JOURNAL] = JSON_KEY("journal"),
};

static const struct json_scan_options strict = {0};

/* A number, or 0 when it is absent or no unsigned integer. */
static uint64_t number_of(const struct json_span *span)
{
    uint64_t value = 0;

    if (span->kind != JSON_NUMBER || json_span_u64(span, &value) != NHUB_OK) {
        return 0;
    }
    return value;
}

/* The decoded text with a NUL, cut to what fits; "" when absent. */
static void text_of(const struct json_span *span, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    if (span->kind != JSON_STRING) {
        return;
    }
    if (json_decode_string(span, out, size - 1, &len) == NHUB_OK) {
        out[len] = '\0';
    } else if (!span->has_escape && span->len > size) {
        memcpy(out, span->p + 1, size - 1);
        out[size - 1] = '\0';
    }
}

static bool position_of(const struct json_span *span, struct position *out)
{
    return span->kind == JSON_STRING && span->len > 2 &&
           position_parse(span->p + 1, span->len - 2, out) == NHUB_OK;
}

/* More voids than we have room for: the oldest are left out, they come first. */
static void voids_of(const struct json_span *span, struct link_voids *out)
{
    static const struct json_key keys[] = {JSON_KEY("from"), JSON_KEY("to"), JSON_KEY("reason")};
    struct json_report report;
    struct json_span element;
    size_t pos = 0;

    out->count = 0;
    if (span->kind != JSON_ARRAY) {
        return;
    }
    while (json_scan_element(span->p, span->len, &pos, &strict, &element, &report) == NHUB_OK) {
        struct json_span f[3];
        struct link_void hollow;
        char reason[LINK_CODE_MAX];

        if (json_scan_object(element.p, element.len, keys, 3, &strict, f, &report) != NHUB_OK) {
            continue;
        }
        hollow.from = number_of(&f[0]);
        hollow.to = number_of(&f[1]);
        text_of(&f[2], reason, sizeof reason);
        hollow.reason = reason[0] ? gap_reason_parse(reason) : GAP_UNCLEAN_STOP;
        if (hollow.from == 0 || hollow.to < hollow.from || hollow.to == UINT64_MAX) {
            continue;
        }
        link_voids_add(out, &hollow);
    }
}

static bool gap_of(const struct json_span *span, struct gap *out)
{
    static const struct json_key keys[] = {JSON_KEY("from"), JSON_KEY("to"), JSON_KEY("reason")};
    struct json_report report;
    struct json_span f[3];
    char reason[LINK_CODE_MAX];

    if (span->kind != JSON_OBJECT ||
        json_scan_object(span->p, span->len, keys, 3, &strict, f, &report) != NHUB_OK ||
        !position_of(&f[0], &out->from) || !position_of(&f[1], &out->to)) {
        return false;
    }
    text_of(&f[2], reason, sizeof reason);
    out->reason = gap_reason_parse(reason);
    return true;
}

static void read_publish(const struct json_span *f, struct link_answer *out)
{
    char durability[16];

    out->has_seqs = f[KEY_FIRST_SEQ].kind == JSON_NUMBER && f[KEY_LAST_SEQ].kind == JSON_NUMBER;
    out->first_seq = number_of(&f[KEY_FIRST_SEQ]);
    out->last_seq = number_of(&f[KEY_LAST_SEQ]);
    out->count = number_of(&f[KEY_COUNT]);
    out->index = number_of(&f[KEY_INDEX]);
    out->offset = number_of(&f[KEY_OFFSET]);
    out->results = f[KEY_RESULTS];
    text_of(&f[KEY_DURABILITY], durability, sizeof durability);
    if (durability[0] == '\0' || durability_parse(durability, &out->durability) != NHUB_OK) {
        out->durability = DURABILITY_DEFAULT;
    }
}

static void read_journal(const struct json_span *f, struct link_journal *out)
{
    static const struct json_key keys[] = {JSON_KEY("state"), JSON_KEY("why")};
    struct json_report report;
    struct json_span member[2];

    memset(out, 0, sizeof *out);
    text_of(&f[KEY_DURABILITY_MAX], out->durability_max, sizeof out->durability_max);
    if (f[KEY_JOURNAL].kind == JSON_OBJECT &&
        json_scan_object(f[KEY_JOURNAL].p, f[KEY_JOURNAL].len, keys, 2, &strict, member, &report) ==
            NHUB_OK) {
        text_of(&member[0], out->state, sizeof out->state);
        text_of(&member[1], out->why, sizeof out->why);
    }
}

static void read_state(const struct json_span *f, struct link_answer *out)
{
    out->protocol = number_of(&f[KEY_PROTOCOL]);
    out->has_dedup = f[KEY_DEDUP].kind == JSON_TRUE;
    out->max_event_bytes = number_of(&f[KEY_MAX_EVENT_BYTES]);
    out->head.seq = number_of(&f[KEY_SEQ]);
    out->head.oldest = number_of(&f[KEY_OLDEST]);
    voids_of(&f[KEY_VOIDS], &out->head.voids);
    read_journal(f, &out->journal);
}

static void read_page(const struct json_span *f, struct link_answer *out)
{
    out->has_page = position_of(&f[KEY_NEXT], &out->page.next);
    if (!out->has_page) {
        return;
    }
    memcpy(out->page.epoch, out->head.epoch, sizeof out->page.epoch);
    out->page.seq = out->head.seq;
    out->page.voids = out->head.voids;
    out->page.has_gap = gap_of(&f[KEY_GAP], &out->page.gap);
}

nhub_err link_answer_parse(const char *text, size_t len, struct link_answer *out)
{
    struct json_span f[ANSWER_KEYS];
    struct json_report report;

    if (json_scan_object(text, len, answer_keys, ANSWER_KEYS, &strict, f, &report) != NHUB_OK ||
        f[KEY_REQUEST_ID].kind != JSON_NUMBER ||
        json_span_u64(&f[KEY_REQUEST_ID], &out->request_id) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    out->success = f[KEY_SUCCESS].kind == JSON_TRUE;
    text_of(&f[KEY_CODE], out->code, sizeof out->code);
    text_of(&f[KEY_ERROR], out->error, sizeof out->error);
    text_of(&f[KEY_EPOCH], out->head.epoch, sizeof out->head.epoch);
    if (!epoch_valid(out->head.epoch, strlen(out->head.epoch))) {
        out->head.epoch[0] = '\0';
    }
    read_publish(f, out);
    out->protocol = 0;
    out->has_page = false;
    /* A publish answer ends here: it is the hot one, and the rest is not in it. */
    if (f[KEY_SEQ].kind == JSON_NUMBER) {
        read_state(f, out);
        read_page(f, out);
    }
    return NHUB_OK;
}

nhub_err link_answer_result(const struct json_span *results, size_t *pos, struct link_result *out)
{
    static const struct json_key keys[] = {JSON_KEY("index"), JSON_KEY("duplicate"),
                                           JSON_KEY("seq"),   JSON_KEY("offset"),
                                           JSON_KEY("code"),  JSON_KEY("error")};
    struct json_report report;
    struct json_span element;
    struct json_span f[6];
    nhub_err err = NHUB_ENOTFOUND;

    if (results->kind != JSON_ARRAY) {
        return NHUB_ENOTFOUND;
    }
    err = json_scan_element(results->p, results->len, pos, &strict, &element, &report);
    if (err != NHUB_OK) {
        return err;
    }
    if (json_scan_object(element.p, element.len, keys, 6, &strict, f, &report) != NHUB_OK ||
        f[0].kind != JSON_NUMBER || json_span_u64(&f[0], &out->index) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    out->is_duplicate = f[1].kind == JSON_TRUE;
    out->seq = number_of(&f[2]);
    out->offset = number_of(&f[3]);
    text_of(&f[4], out->code, sizeof out->code);
    text_of(&f[5], out->error, sizeof out->error);
    return NHUB_OK;
}

/* The end of a JSON string that begins with a quote at p; NULL when it does not end. */
static const char *string_end(const char *p, const char *end, bool *out_has_escape)
{
    *out_has_escape = false;
    for (p++; p < end; p++) {
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            *out_has_escape = true;
            p++;
        }
    }
    return NULL;
}

nhub_err link_event_from_line(const char *line, size_t len, struct feed_event **out)
{
    static const char start[] = "{\"event_type\":";
    const size_t start_len = sizeof start - 1;
    struct json_span span = {.kind = JSON_STRING};
    char type[EVENT_TYPE_MAX];
    struct position position;
    const char *type_end = NULL;
    size_t type_len = 0;

    if (len <= start_len + 2 || memcmp(line, start, start_len) != 0 || line[start_len] != '"' ||
        event_tail_position(line, len, &position) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    type_end = string_end(line + start_len, line + len, &span.has_escape);
    if (!type_end) {
        return NHUB_EPROTO;
    }
    span.p = line + start_len;
    span.len = (size_t)(type_end - span.p);
    if (json_decode_string(&span, type, sizeof type, &type_len) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    return feed_event_create(out, &position, type, type_len, line, len);
}

bool link_line_has_id(const char *line, size_t len)
{
    static const struct json_key keys[] = {JSON_KEY("id")};
    struct json_report report;
    struct json_span id;

    return json_scan_object(line, len, keys, 1, &strict, &id, &report) == NHUB_OK &&
           id.kind == JSON_STRING;
}
