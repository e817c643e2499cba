/*
 * history: an iterator over the hub's history: one page of events at a time, kept as its frames.
 *
 * While a page is handed out, the next one is on its way: hub and reader work at the same time.
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
/* How long a page that was asked for ahead may wait at the hub; the reader's patience is shorter.
 */
#define AHEAD_MS 60000

struct gap {
    struct position from, to;
    char reason[32];
};

/* The page that was asked for ahead. */
struct ahead {
    uint64_t id; /* 0 = none */
    bool is_done;
    nhub_err err;
    struct nhub_answer *answer; /* owned */
};

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
    nhub_history_result result; /* of the last page */
    struct buf gaps;            /* struct gap each, those that were not asked for yet */
    size_t gaps_taken;
    struct ahead ahead;
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
    buf_init(&h->gaps);
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
    if (h->ahead.id != 0 && !h->ahead.is_done) {
        client_cancel(h->client, h->ahead.id);
    }
    nhub_answer_destroy(&h->ahead.answer);
    for (size_t i = 0; i < h->pattern_count; i++) {
        free(h->patterns[i]);
    }
    free(h->patterns);
    nhub_answer_destroy(&h->answer);
    buf_fini(&h->gaps);
    free(h);
    *history_p = NULL;
}

static void write_request(const struct nhub_history *h, uint64_t id, uint64_t left, struct buf *out)
{
    const uint64_t limit = left < h->page ? left : h->page;

    request_write_history(out, id, h->since, (const char *const *)h->patterns, h->pattern_count,
                          limit);
}

static void keep_ahead(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct ahead *ahead = context;

    (void)id;
    ahead->is_done = true;
    ahead->err = answer->err == NHUB_OK ? answer_keep(&ahead->answer, answer) : answer->err;
}

/* Asks for the page behind the one in hand. When that is not possible now, it is asked for when it
 * is needed. */
static void ask_ahead(struct nhub_history *h)
{
    struct buf json;
    uint64_t id = 0;

    if (!h->has_more || h->left <= h->answer->frame_count ||
        client_next_id(h->client, &id) != NHUB_OK) {
        return;
    }
    buf_init(&json);
    write_request(h, id, h->left - h->answer->frame_count, &json);
    h->ahead = (struct ahead){.id = id};
    if (client_send(h->client, id, &json, AHEAD_MS, keep_ahead, &h->ahead) != NHUB_OK) {
        h->ahead.id = 0;
    }
    buf_fini(&json);
}

/* The page that was asked for ahead. NHUB_ECLOSED: there is none, or it was lost. */
static nhub_err take_ahead(struct nhub_history *h, int timeout_ms, struct nhub_answer **out)
{
    nhub_err err = NHUB_ECLOSED;

    if (h->ahead.id == 0) {
        return NHUB_ECLOSED;
    }
    err = client_wait(h->client, &h->ahead.is_done, timeout_ms);
    if (err != NHUB_OK) {
        return err; /* it stays under way */
    }
    h->ahead.id = 0;
    *out = h->ahead.answer;
    h->ahead.answer = NULL;
    return h->ahead.err == NHUB_OK ? client_judge(h->client, *out) : h->ahead.err;
}

static nhub_err ask_now(struct nhub_history *h, int timeout_ms, struct nhub_answer **out)
{
    struct buf json;
    uint64_t id = 0;
    nhub_err err = client_next_id(h->client, &id);

    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    write_request(h, id, h->left, &json);
    err = client_ask(h->client, id, &json, timeout_ms, out);
    buf_fini(&json);
    return err;
}

static nhub_err request_page(struct nhub_history *h, int timeout_ms)
{
    struct nhub_answer *answer = NULL;
    nhub_err err = take_ahead(h, timeout_ms, &answer);

    if (err == NHUB_ECLOSED) {
        err = ask_now(h, timeout_ms, &answer);
    }
    if (err != NHUB_OK) {
        nhub_answer_destroy(&answer);
        return err;
    }
    nhub_answer_destroy(&h->answer);
    h->answer = answer;
    h->next = 0;
    return NHUB_OK;
}

static nhub_history_result result_of(const char *word)
{
    static const char *const words[] = {"", "caught_up", "replayed", "gap", "unknown"};

    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (nhub_history_result)i;
        }
    }
    return NHUB_HISTORY_NONE;
}

/* Several pages may have been looked at since the last event: each gap is kept. */
static nhub_err note_gap(struct nhub_history *h)
{
    const struct json_t *json = h->answer->json;
    const struct json_t *json_gap = answer_object(json, "gap");
    struct gap gap;

    h->result = result_of(answer_text(json, "result", ""));
    if (!json_gap && h->result != NHUB_HISTORY_UNKNOWN) {
        return NHUB_OK;
    }
    if (h->result == NHUB_HISTORY_UNKNOWN) {
        gap = (struct gap){.from = h->done, .to = answer_position(json, "next")};
        (void)snprintf(gap.reason, sizeof gap.reason, "unknown");
    } else {
        gap = (struct gap){.from = answer_position(json_gap, "from"),
                           .to = answer_position(json_gap, "to")};
        (void)snprintf(gap.reason, sizeof gap.reason, "%s",
                       answer_text(json_gap, "reason", "retention"));
    }
    buf_add(&h->gaps, &gap, sizeof gap);
    return h->gaps.failed ? NHUB_ENOMEM : NHUB_OK;
}

static nhub_err fetch(struct nhub_history *h, int timeout_ms)
{
    struct position next;
    nhub_err err = request_page(h, timeout_ms);

    if (err != NHUB_OK) {
        return err;
    }
    next = answer_position(h->answer->json, "next");
    if (next.epoch[0] == '\0') {
        return NHUB_EPROTO;
    }
    err = note_gap(h);
    if (err != NHUB_OK) {
        nhub_answer_destroy(&h->answer); /* the page is asked for again */
        buf_reset(&h->gaps);
        return err;
    }
    (void)position_format(&next, h->since);
    h->has_more = answer_bool(h->answer->json, "more");
    /* A page without events is a position all the same: what was scanned holds nothing for us. */
    if (h->answer->frame_count == 0) {
        h->done = next;
    }
    ask_ahead(h);
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
    const struct gap *gaps = (const struct gap *)(const void *)history->gaps.data;
    const struct gap *gap = NULL;

    if (history->gaps_taken == history->gaps.len / sizeof *gap) {
        history->gaps_taken = 0;
        buf_reset(&history->gaps);
        return false;
    }
    gap = &gaps[history->gaps_taken++];
    *out_from = position_to_public(&gap->from);
    *out_to = position_to_public(&gap->to);
    *out_reason = gap->reason;
    return true;
}

nhub_history_result nhub_history_get_result(const nhub_history *history)
{
    return history->result;
}

nhub_position nhub_history_position(const nhub_history *history)
{
    return position_to_public(&history->done);
}
