/*
 * group_settings: rows of options, their limits, and their JSON.
 */
#include "cli/group_settings.h"

#include "wire/pattern.h"
#include "wire/request_group.h"

#include <string.h>

void group_settings_init(struct group_settings *s)
{
    *s = (struct group_settings){.attempts = GROUP_ATTEMPTS_NONE};
}

void group_settings_rows(struct group_settings *s, struct arg rows[GROUP_SETTINGS_ROWS])
{
    const struct arg own[GROUP_SETTINGS_ROWS] = {
        {"since", 's', ARG_TEXT, &s->since, "WHEN",
         "where a new group begins: a position, a number of this\nepoch, a time (RFC 3339), "
         "earliest, latest (latest)",
         0, 0},
        {"visibility", 0, ARG_TIME, &s->visibility_ms, "TIME",
         "how long a delivery belongs to its member (30s)", 0, 0},
        {"attempts", 0, ARG_NUMBER, &s->attempts, "N",
         "deliveries of one event before hub.dead_letter, 0 = for\never (5)", 0,
         GROUP_ATTEMPTS_MAX},
        {"ordered", 0, ARG_FLAG, &s->is_ordered, NULL,
         "an event waits for the earlier ones of its type", 0, 0},
        {"hold", 0, ARG_FLAG, &s->is_held, NULL, "the journal keeps what is not acknowledged", 0,
         0},
    };

    memcpy(rows, own, sizeof own);
}

bool group_settings_given(const struct group_settings *s)
{
    return s->since || s->visibility_ms > 0 || s->attempts != GROUP_ATTEMPTS_NONE ||
           s->is_ordered || s->is_held || s->patterns.count > 0;
}

const char *group_settings_mistake(const struct group_settings *s)
{
    struct since since;

    if (s->since && since_parse(s->since, strlen(s->since), &since) != NHUB_OK) {
        return "--since: allowed are a position, a number, an RFC 3339 time, earliest, latest";
    }
    if (s->visibility_ms > 0 && (s->visibility_ms < GROUP_VISIBILITY_MIN_MS ||
                                 s->visibility_ms > GROUP_VISIBILITY_MAX_MS)) {
        return "--visibility: allowed is a time from 100ms to 12h";
    }
    for (size_t i = 0; i < s->patterns.count; i++) {
        if (pattern_check(s->patterns.items[i], strlen(s->patterns.items[i])) != NHUB_OK) {
            return "a PATTERN is an event type, or holds * ? [a-z] [!a-z], and is not empty";
        }
    }
    return NULL;
}

bool group_name_valid(const char *name)
{
    return request_group_name_valid(name, strlen(name));
}

void group_settings_write(const struct group_settings *s, const char *since, struct buf *out)
{
    since = since ? since : s->since;
    for (size_t i = 0; i < s->patterns.count; i++) {
        buf_add_str(out, i == 0 ? ",\"event_type\":[" : ",");
        buf_add_json_cstr(out, s->patterns.items[i]);
    }
    buf_add_str(out, s->patterns.count > 0 ? "]" : "");
    if (since) {
        buf_add_str(out, ",\"since\":");
        buf_add_json_cstr(out, since);
    }
    if (s->visibility_ms > 0) {
        buf_printf(out, ",\"visibility_ms\":%d", s->visibility_ms);
    }
    if (s->attempts != GROUP_ATTEMPTS_NONE) {
        buf_add_str(out, ",\"max_attempts\":");
        buf_add_u64(out, s->attempts);
    }
    buf_add_str(out, s->is_ordered ? ",\"ordered\":true" : "");
    buf_add_str(out, s->is_held ? ",\"hold\":true" : "");
}
