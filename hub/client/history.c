/*
 * history: an iterator over the hub's history: one page of events at a time, kept as its frames.
 */
#include "client/client.h"
#include "client/event_view.h"
#include "client/position_public.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SINCE_TEXT_MAX 64
#define PAGE_DEFAULT   1000
#define PAGE_MAX       10000

struct nhub_history {
    struct nhub_client *client; /* lent */
    char **patterns;            /* owned */
    size_t pattern_count;
    uint64_t left; /* events still wanted; UINT64_MAX without a limit */
    uint32_t page;
    char since[SINCE_TEXT_MAX]; /* for the next page */
    struct nhub_answer *answer; /* the page */
    size_t next;                /* frame in it */
    bool has_more;
    struct nhub_event event; /* the one that is lent */
    struct position done;
    bool has_gap;
    struct position gap_from, gap_to;
    char gap_reason[32];
};

static nhub_err copy_patterns(struct nhub_history *h, const nhub_history_query *query)
{
    h->patterns = calloc(query->pattern_count + 1, sizeof *h->patterns);
    if (!h->patterns) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < query->pattern_count; i++) {
        h->patterns[i] = strdup(query->patterns[i]);
        if (!h->patterns[i]) {
            return NHUB_ENOMEM;
        }
        h->pattern_count++;
    }
    return NHUB_OK;
}

nhub_err nhub_history_create(nhub_history **out, nhub_client *client,
                             const nhub_history_query *query)
{
    const char *since = query->since ? query->since : "earliest";
    struct nhub_history *h = NULL;
    struct since parsed;
    nhub_err err = since_parse(since, strlen(since), &parsed);

    if (err != NHUB_OK || strlen(since) >= SINCE_TEXT_MAX || query->page > PAGE_MAX) {
        return NHUB_EINVAL;
    }
    h = calloc(1, sizeof *h);
    if (!h) {
        return NHUB_ENOMEM;
    }
    err = copy_patterns(h, query);
    if (err != NHUB_OK) {
        nhub_history_destroy(&h);
        return err;
    }
    h->client = client;
    h->left = query->limit ? query->limit : UINT64_MAX;
    h->page = query->page ? query->page : PAGE_DEFAULT;
    h->has_more = true;
    memcpy(h->since, since, strlen(since));
    *out = h;
    return NHUB_OK;
}

void nhub_history_destroy(nhub_history **history_p)
{
    struct nhub_history *h = *history_p;

    if (!h) {
        return;
    }
    for (size_t i = 0; i < h->pattern_count; i++) {
        free(h->patterns[i]);
    }
    free(h->patterns);
    nhub_answer_destroy(&h->answer);
    free(h);
    *history_p = NULL;
}

static nhub_err request_page(struct nhub_history *h, int timeout_ms)
{
    const uint64_t limit = h->left < h->page ? h->left : h->page;
    struct nhub_answer *answer = NULL;
    struct buf json;
    uint64_t id = 0;
    nhub_err err = client_next_id(h->client, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    request_write_history(&json, id, h->since, (const char *const *)h->patterns, h->pattern_count,
                          limit);
    err = client_call(h->client, id, &json, timeout_ms, &answer);
    buf_fini(&json);
    if (err != NHUB_OK) {
        nhub_answer_destroy(&answer);
        return err;
    }
    nhub_answer_destroy(&h->answer);
    h->answer = answer;
    h->next = 0;
    return NHUB_OK;
}

static void note_gap(struct nhub_history *h)
{
    const struct json_t *json = h->answer->json;
    const struct json_t *gap = answer_object(json, "gap");
    const bool is_unknown = strcmp(answer_text(json, "result", ""), "unknown") == 0;

    if (!gap && !is_unknown) {
        return;
    }
    h->has_gap = true;
    h->gap_from = is_unknown ? h->done : answer_position(gap, "from");
    h->gap_to = is_unknown ? answer_position(json, "next") : answer_position(gap, "to");
    (void)snprintf(h->gap_reason, sizeof h->gap_reason, "%s",
                   is_unknown ? "unknown" : answer_text(gap, "reason", "retention"));
}

static nhub_err fetch(struct nhub_history *h, int timeout_ms)
{
    struct position next;
    const nhub_err err = request_page(h, timeout_ms);

    if (err != NHUB_OK) {
        return err;
    }
    next = answer_position(h->answer->json, "next");
    if (next.epoch[0] == '\0') {
        return NHUB_EPROTO;
    }
    note_gap(h);
    (void)position_format(&next, h->since);
    h->has_more = answer_bool(h->answer->json, "more");
    /* A page without events is a position all the same: what was scanned holds nothing for us. */
    if (h->answer->frame_count == 0) {
        h->done = next;
    }
    return NHUB_OK;
}

nhub_err nhub_history_next(nhub_history *history, int timeout_ms, const nhub_event **out)
{
    struct nhub_history *h = history;
    nhub_bytes line;

    while (h->left > 0 && (!h->answer || h->next == h->answer->frame_count)) {
        nhub_err err = NHUB_OK;

        if (h->answer && !h->has_more) {
            h->has_more = true; /* a later call looks for what is new */
            return NHUB_ENOTFOUND;
        }
        err = fetch(h, timeout_ms);
        if (err != NHUB_OK) {
            return err;
        }
    }
    if (h->left == 0) {
        return NHUB_ENOTFOUND;
    }
    line = nhub_answer_frame(h->answer, h->next++);
    if (event_view_init(&h->event, line.p, line.len) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    h->left--;
    h->done = position_from_public(&h->event.position);
    *out = &h->event;
    return NHUB_OK;
}

bool nhub_history_take_gap(nhub_history *history, nhub_position *out_from, nhub_position *out_to,
                           const char **out_reason)
{
    if (!history->has_gap) {
        return false;
    }
    history->has_gap = false;
    *out_from = position_to_public(&history->gap_from);
    *out_to = position_to_public(&history->gap_to);
    *out_reason = history->gap_reason;
    return true;
}

nhub_position nhub_history_position(const nhub_history *history)
{
    return position_to_public(&history->done);
}
