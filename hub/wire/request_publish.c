/*
 * request_publish: the request that carries events, read without a tree.
 *
 * A hub that acknowledges hundreds of thousands of events a second reads as many of these. What
 * holds nothing but the members of PROTOCOL.md in their usual form is read by the scanner that
 * reads events; whatever is not quite like that is left to the general reader, errors included.
 */
#include "wire/request_publish.h"
#include "wire/json_scan.h"

#include <string.h>

enum { KEY_ACTION, KEY_ID, KEY_DURABILITY, KEY_ATOMIC, KEY_ACKS, KEYS };

static bool is_text(const struct json_span *span, const char *quoted)
{
    return span->len == strlen(quoted) && memcmp(span->p, quoted, span->len) == 0;
}

static bool read_durability(const struct json_span *span, int *out)
{
    static const char *const words[] = {
        [DURABILITY_MEMORY] = "\"memory\"",
        [DURABILITY_JOURNALED] = "\"journaled\"",
        [DURABILITY_SYNCED] = "\"synced\"",
    };

    for (int i = DURABILITY_MEMORY; i <= DURABILITY_SYNCED; i++) {
        if (is_text(span, words[i])) {
            *out = i;
            return true;
        }
    }
    return span->kind == JSON_ABSENT;
}

static bool read_bool(const struct json_span *span, bool *out)
{
    *out = span->kind == JSON_ABSENT ? *out : span->kind == JSON_TRUE;
    return span->kind == JSON_ABSENT || span->kind == JSON_TRUE || span->kind == JSON_FALSE;
}

bool request_publish_scan(const char *text, size_t len, struct request_publish *out)
{
    static const struct json_key keys[KEYS] = {
        [KEY_ACTION] = JSON_KEY("action"),
        [KEY_ID] = JSON_KEY("request_id"),
        [KEY_DURABILITY] = JSON_KEY("durability"),
        [KEY_ATOMIC] = JSON_KEY("atomic"),
        [KEY_ACKS] = JSON_KEY("acks"),
    };
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span span[KEYS];
    struct json_report report;

    *out = (struct request_publish){.durability = DURABILITY_DEFAULT, .atomic = true};
    if (len > REQUEST_PUBLISH_MAX ||
        json_scan_object(text, len, keys, KEYS, &options, span, &report) != NHUB_OK ||
        report.unknown > 0 || !is_text(&span[KEY_ACTION], "\"publish\"")) {
        return false;
    }
    if (span[KEY_ID].kind != JSON_ABSENT) {
        out->has_id = true;
        if (json_span_u64(&span[KEY_ID], &out->id) != NHUB_OK || out->id > INT64_MAX) {
            return false;
        }
    }
    out->batched_acks = is_text(&span[KEY_ACKS], "\"batched\"");
    return read_durability(&span[KEY_DURABILITY], &out->durability) &&
           read_bool(&span[KEY_ATOMIC], &out->atomic) &&
           (out->batched_acks || span[KEY_ACKS].kind == JSON_ABSENT ||
            is_text(&span[KEY_ACKS], "\"each\""));
}
