/* group_text: small texts, built member by member, and scans of answers. */
#include "gateway/protocols/group_text.h"

#include <stdlib.h>
#include <string.h>

static const struct json_scan_options strict = {0};

bool group_member_valid(const char *member, size_t len)
{
    if (len == 0 || len > GROUP_MEMBER_MAX || !utf8_valid(member, len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)member[i] < 0x20 || member[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

void group_text_open(struct buf *out, const char *action, const char *group)
{
    buf_printf(out, "{\"action\":\"%s\"", action);
    if (group) {
        buf_add_str(out, ",\"group\":");
        buf_add_json_cstr(out, group);
    }
}

void group_text_add(struct buf *out, const char *name, const struct json_span *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_add(out, value->p, value->len);
}

enum answer_member {
    CREATED,
    COUNT,
    FAILED,
    DURABILITY,
    DELIVERIES,
    VISIBILITY,
    GAP,
    CODE,
    ERROR_TEXT,
    ANSWER_MEMBERS
};

static const struct json_key answer_keys[ANSWER_MEMBERS] = {
    [CREATED] = JSON_KEY("created"),
    [COUNT] = JSON_KEY("count"),
    [FAILED] = JSON_KEY("failed"),
    [DURABILITY] = JSON_KEY("durability"),
    [DELIVERIES] = JSON_KEY("deliveries"),
    [VISIBILITY] = JSON_KEY("visibility_ms"),
    [GAP] = JSON_KEY("gap"),
    [CODE] = JSON_KEY("code"),
    [ERROR_TEXT] = JSON_KEY("error"),
};

nhub_err group_answer_read(const char *text, size_t len, struct group_answer *out)
{
    struct json_span f[ANSWER_MEMBERS];
    struct json_report report;

    if (len == 0 ||
        json_scan_object(text, len, answer_keys, ANSWER_MEMBERS, &strict, f, &report) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    out->created = f[CREATED].kind == JSON_TRUE;
    out->count = f[COUNT];
    out->failed = f[FAILED];
    out->durability = f[DURABILITY];
    out->deliveries = f[DELIVERIES];
    out->visibility_ms = f[VISIBILITY];
    out->gap = f[GAP];
    out->code = f[CODE];
    out->error = f[ERROR_TEXT];
    return NHUB_OK;
}

uint64_t group_answer_count(const struct group_answer *a)
{
    uint64_t count = 0;

    return json_span_u64(&a->count, &count) == NHUB_OK ? count : 0;
}

static void text_of(const struct json_span *span, const char *fallback, char *out, size_t size)
{
    size_t len = 0;

    if (span->kind != JSON_STRING || json_decode_string(span, out, size - 1, &len) != NHUB_OK ||
        len == 0) {
        len = strlen(fallback);
        len = len < size ? len : size - 1;
        memcpy(out, fallback, len);
    }
    out[len] = '\0';
}

enum reject_reason group_answer_refusal(const struct group_answer *a, char *code, size_t code_size,
                                        char *error, size_t error_size)
{
    static const struct {
        const char *code;
        enum reject_reason reason;
    } ours[] = {
        {"shutting_down", REJECT_HUB_UNAVAILABLE},
        {"unavailable", REJECT_HUB_UNAVAILABLE},
        {"no_memory", REJECT_OVERLOADED},
    };

    /* Without a code it is no answer about groups: an older hub, which does not know them. */
    text_of(&a->code, "hub_unavailable", code, code_size);
    text_of(&a->error, "refused by the hub", error, error_size);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(code, ours[i].code) == 0) {
            return ours[i].reason;
        }
    }
    return reject_reason_from_code(code);
}

enum reject_reason group_failure(const struct query_job *job, const char **out_detail)
{
    switch (job->err) {
    case NHUB_EFULL:
        *out_detail = "too many requests about groups are under way";
        return REJECT_OVERLOADED;
    case NHUB_ENOMEM:
        *out_detail = "out of memory";
        return REJECT_OVERLOADED;
    case NHUB_EUNAVAIL:
    case NHUB_ETIMEOUT:
        if (!job->was_sent || job->is_fetch) {
            *out_detail = "the hub is away; nothing was changed";
            return REJECT_HUB_UNAVAILABLE;
        }
        *out_detail = "no answer from the hub in time; it may or may not have been carried out, "
                      "and can safely be sent again";
        return REJECT_OUTCOME_UNKNOWN;
    default:
        *out_detail = "the hub's answer is not understood";
        return REJECT_HUB_UNAVAILABLE;
    }
}

static nhub_err read_name(const struct json_span *span, struct delivery *out)
{
    /* A name has no character that JSON needs to escape. */
    return span->kind == JSON_STRING && span->len > 2 &&
                   delivery_parse(span->p + 1, span->len - 2, out) == NHUB_OK
               ? NHUB_OK
               : NHUB_EPROTO;
}

/* f[0] its name, f[1] its attempt. */
static nhub_err next_fields(const struct json_span *array, size_t *pos, struct json_span f[2])
{
    static const struct json_key keys[] = {JSON_KEY("delivery"), JSON_KEY("attempt")};
    struct json_report report;
    nhub_err err = NHUB_ENOTFOUND;

    if (array->kind == JSON_ARRAY) {
        err = json_scan_element(array->p, array->len, pos, &strict, &f[0], &report);
    }
    if (err == NHUB_OK && f[0].kind == JSON_OBJECT) {
        const struct json_span element = f[0];

        err = json_scan_object(element.p, element.len, keys, 2, &strict, f, &report);
    }
    return err;
}

nhub_err group_delivery_next(const struct json_span *array, size_t *pos, struct delivery *out)
{
    struct json_span f[2];
    const nhub_err err = next_fields(array, pos, f);

    return err == NHUB_OK ? read_name(&f[0], out) : err;
}

nhub_err group_answer_delivery(const struct group_answer *a, size_t *pos,
                               struct group_delivery *out)
{
    const nhub_err err = group_delivery_next(&a->deliveries, pos, &out->id);

    if (err == NHUB_OK) {
        (void)delivery_format(&out->id, out->name);
    }
    return err;
}

static bool is_word(const struct json_span *name, const char *word)
{
    const size_t len = strlen(word);

    return name->len == len + 2 && memcmp(name->p + 1, word, len) == 0;
}

nhub_err group_answer_copy(const char *text, size_t len, bool has_failed, struct buf *out)
{
    struct json_report report;
    struct json_span name;
    struct json_span value;
    const size_t before = out->len;
    bool is_failed_there = false;
    size_t pos = 0;
    nhub_err err = NHUB_OK;

    buf_add_char(out, '{');
    while ((err = json_scan_member(text, len, &pos, &strict, &name, &value, &report)) == NHUB_OK) {
        if (is_word(&name, "success") || is_word(&name, "request_id")) {
            continue;
        }
        is_failed_there = is_failed_there || is_word(&name, "failed");
        if (out->len > before + 1) {
            buf_add_char(out, ',');
        }
        buf_add(out, name.p, name.len);
        buf_add_char(out, ':');
        buf_add(out, value.p, value.len);
    }
    if (has_failed && !is_failed_there) {
        buf_add_str(out, out->len > before + 1 ? ",\"failed\":[]" : "\"failed\":[]");
    }
    buf_add_char(out, '}');
    return err == NHUB_ENOTFOUND ? NHUB_OK : NHUB_EPROTO;
}

struct give_back {
    struct query_job job; /* first: found from it */
    struct buf text;
};

static void given_back(struct query_job *job)
{
    struct give_back *g = (struct give_back *)(void *)job;

    buf_fini(&job->answer);
    buf_fini(&g->text);
    free(g);
}

void group_give_back(struct hub_link *link,
                     void (*query)(struct hub_link *link, struct query_job *job), const char *group,
                     struct buf *names, bool is_unseen, const struct json_span *gap)
{
    const bool has_gap = gap && gap->kind == JSON_OBJECT;
    const bool is_due = link && !names->failed && (names->len > 0 || has_gap);
    struct give_back *g = is_due ? calloc(1, sizeof *g) : NULL;

    if (g) {
        group_text_open(&g->text, "nack", group);
        if (names->len > 0) {
            buf_add_str(&g->text, ",\"deliveries\":[");
            buf_add(&g->text, names->data, names->len);
            buf_add_char(&g->text, ']');
        }
        buf_add_str(&g->text, is_unseen ? ",\"release\":true" : "");
        if (has_gap) {
            group_text_add(&g->text, "gap", gap);
        }
        g->job = (struct query_job){
            .kind = QUERY_GROUP, .text = g->text.data, .text_len = g->text.len, .done = given_back};
        if (g->text.failed) {
            given_back(&g->job);
        } else {
            query(link, &g->job);
        }
    }
    buf_fini(names);
}
