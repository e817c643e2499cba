/*
 * subscriber_requests: a subscriber's questions to the hub, and the answers: position, count,
 * history.
 */
#include "base/clock.h"
#include "client/answer.h"
#include "client/logger.h"
#include "client/subscriber.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_TIMEOUT_MS 3000

/* Answers. */

/* It says how the hub is at this moment: another try may be good. */
static bool is_of_the_moment(const char *code)
{
    static const char *const codes[] = {"busy", "journal_unavailable", "no_memory", "shutting_down",
                                        "unavailable"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(code, codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_failure(struct nhub_subscriber *s, const struct requester_answer *answer)
{
    bool is_refused = answer->err == NHUB_OK;

    if (is_refused) {
        logger_write(NHUB_LOG_WARN, "request_refused", "error=\"%s\"",
                     answer_text(answer->json, "error", ""));
        if (is_of_the_moment(answer_text(answer->json, "code", ""))) {
            is_refused = false;
            gap_detector_heard(s->detector, clock_mono_ms());
        }
    } else {
        /* A connection that broke is no sign of a hub that is silent. */
        s->timeouts += answer->err == NHUB_ETIMEOUT ? 1 : 0;
    }
    gap_detector_failed(s->detector, is_refused, clock_mono_ms());
}

/* True when the answer is a success; everything else is handled here. */
static bool is_good(struct nhub_subscriber *s, const struct requester_answer *answer)
{
    if (answer->err == NHUB_OK) {
        s->timeouts = 0;
        s->is_heard = false;
    }
    if (answer->err != NHUB_OK || !answer_bool(answer->json, "success")) {
        on_failure(s, answer);
        return false;
    }
    return true;
}

static void read_head(const struct json_t *json, struct gap_head *out)
{
    const size_t void_count = answer_count(json, "voids");

    *out = (struct gap_head){.newest = {.seq = answer_u64(json, "seq")}};
    (void)snprintf(out->newest.epoch, sizeof out->newest.epoch, "%s",
                   answer_text(json, "epoch", ""));
    if (void_count > 0) {
        out->void_to = answer_u64(answer_element(json, "voids", void_count - 1), "to");
    }
    out->is_degraded =
        strcmp(answer_text(answer_object(json, "journal"), "state", ""), "degraded") == 0;
}

static void on_position(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_subscriber *s = context;
    struct gap_head head;

    (void)id;
    if (!is_good(s, answer)) {
        return;
    }
    if (answer_u64(answer->json, "protocol") != REQUEST_PROTOCOL_VERSION) {
        logger_write(NHUB_LOG_ERROR, "unknown_protocol", "version=%llu",
                     (unsigned long long)answer_u64(answer->json, "protocol"));
        s->fatal = NHUB_ESTATE;
    }
    s->stats.checks++;
    (void)snprintf(s->stats_event, sizeof s->stats_event, "%s",
                   answer_text(answer->json, "stats_event", ""));
    read_head(answer->json, &head);
    gap_detector_position(s->detector, &head, clock_mono_ms());
}

static void on_count(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_subscriber *s = context;

    (void)id;
    if (is_good(s, answer)) {
        gap_detector_count(s->detector, answer_u64(answer->json, "count"),
                           answer_bool(answer->json, "complete"), clock_mono_ms());
    }
}

/* The page's events as items; those that cannot be made are left out, and a page that has none of
 * its frames left is asked for again. Errors: NHUB_ENOMEM, NHUB_EPROTO. */
static nhub_err make_items(const struct requester_answer *answer, struct gap_page *page)
{
    page->items = calloc(answer->frame_count + 1, sizeof *page->items);
    if (!page->items) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < answer->frame_count; i++) {
        struct zframe *frame = &answer->frames[i];
        struct ready_item *item = NULL;
        struct position position;

        if (event_tail_position(zframe_data(frame), zframe_size(frame), &position) != NHUB_OK) {
            return NHUB_EPROTO;
        }
        item = calloc(1, sizeof *item);
        if (!item) {
            return NHUB_ENOMEM;
        }
        zframe_init(&item->frame);
        if (zframe_share(&item->frame, frame) != NHUB_OK) {
            ready_item_destroy(&item);
            return NHUB_ENOMEM;
        }
        item->to = position;
        page->items[page->count++] = (struct gap_item){.item = item, .position = position};
    }
    return NHUB_OK;
}

static void read_gap(const struct nhub_subscriber *s, const struct json_t *json,
                     struct gap_page *page)
{
    const struct json_t *gap = answer_object(json, "gap");

    if (gap) {
        page->has_gap = true;
        page->gap_from = answer_position(gap, "from");
        page->gap_to = answer_position(gap, "to");
        page->gap_reason = answer_text(gap, "reason", "retention");
    } else if (strcmp(answer_text(json, "result", ""), "unknown") == 0) {
        page->has_gap = true;
        page->gap_from = s->since;
        page->gap_to = page->next;
        page->gap_reason = "unknown";
    }
}

/* A page that is too long for the time, on a slow network, would be so again: the next one is
 * shorter. */
static void fit_page(struct nhub_subscriber *s, nhub_err err)
{
    if (err == NHUB_ETIMEOUT && s->page_events > 1) {
        s->page_events /= 2;
    } else if (err == NHUB_OK && s->page_events < HISTORY_PAGE_EVENTS) {
        s->page_events += s->page_events / 8 + 1;
    }
}

static void on_history(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_subscriber *s = context;
    struct gap_page page = {0};
    nhub_err err = NHUB_OK;

    (void)id;
    fit_page(s, answer->err);
    if (!is_good(s, answer)) {
        return;
    }
    page.next = answer_position(answer->json, "next");
    page.has_more = answer_bool(answer->json, "more");
    read_gap(s, answer->json, &page);
    err = page.next.epoch[0] == '\0' ? NHUB_EPROTO : make_items(answer, &page);
    if (err != NHUB_OK) {
        logger_write(NHUB_LOG_WARN, "bad_history", "error=\"%s\"", nhub_strerror(err));
        for (size_t i = 0; i < page.count; i++) {
            struct ready_item *item = page.items[i].item;

            ready_item_destroy(&item);
        }
        /* What cannot be read now cannot be read later; for memory it is worth another try. */
        gap_detector_failed(s->detector, err == NHUB_EPROTO, clock_mono_ms());
    } else {
        /* What has arrived live is taken into account before anything is called missing. */
        do {
            (void)link_read_events(s, clock_mono_ms());
        } while (!s->is_drained && !gap_detector_is_full(s->detector) && s->ready_count == 0);
        page.is_drained = s->is_drained;
        gap_detector_page(s->detector, &page, clock_mono_ms());
    }
    free(page.items);
}

/* Questions. */

/* A prefix as a pattern: what is special in patterns stands in a set of its own, and * follows. */
static void add_pattern(struct buf *out, const char *prefix)
{
    for (const char *p = prefix; *p; p++) {
        if (*p == '*' || *p == '?' || *p == '[') {
            buf_add_char(out, '[');
            buf_add_char(out, *p);
            buf_add_char(out, ']');
        } else {
            buf_add_char(out, *p);
        }
    }
    buf_add_char(out, '*');
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The patterns that select what the prefixes receive. Reserved types have to be named. */
static void write_patterns(const struct nhub_subscriber *s, const char *const *prefixes,
                           size_t count, struct buf *out, size_t *out_count)
{
    bool has_stats = false;
    bool has_hub = false;

    for (size_t i = 0; i < count; i++) {
        add_pattern(out, prefixes[i]);
        buf_add_char(out, '\0');
        has_stats |= s->stats_event[0] && begins_with(s->stats_event, prefixes[i]);
        has_hub |= begins_with("hub.", prefixes[i]);
    }
    *out_count = count;
    if (has_stats) {
        buf_add(out, s->stats_event, strlen(s->stats_event) + 1);
        ++*out_count;
    }
    if (has_hub) {
        buf_add(out, "hub.*", sizeof "hub.*");
        ++*out_count;
    }
}

static void write_history(const struct nhub_subscriber *s, uint64_t id,
                          const struct gap_request *request, const char *const *prefixes,
                          size_t count, struct buf *out)
{
    const char **patterns = NULL;
    struct buf texts;
    size_t pattern_count = 0;
    size_t at = 0;

    if (!link_is_filtered(s)) {
        request_write_history(out, id, request->since, NULL, 0, s->page_events);
        return;
    }
    buf_init(&texts);
    write_patterns(s, prefixes, count, &texts, &pattern_count);
    patterns = calloc(pattern_count + 1, sizeof(const char *));
    for (size_t i = 0; patterns && !texts.failed && i < pattern_count; i++) {
        patterns[i] = texts.data + at;
        at += strlen(patterns[i]) + 1;
    }
    if (patterns && !texts.failed) {
        request_write_history(out, id, request->since, patterns, pattern_count, s->page_events);
    } else {
        out->failed = true;
    }
    free(patterns);
    buf_fini(&texts);
}

static nhub_err send_request(struct nhub_subscriber *s, const struct gap_request *request,
                             int64_t now_ms)
{
    requester_fn *fn = on_position;
    const char **prefixes = NULL;
    struct buf json;
    size_t count = 0;
    uint64_t id = 0;
    nhub_err err = requester_next_id(s->requester, &id);

    if (err == NHUB_OK) {
        err = filters_prefixes(s->filters, &prefixes, &count);
    }
    if (err != NHUB_OK) {
        return err;
    }
    buf_init(&json);
    if (request->kind == GAP_REQUEST_POSITION) {
        request_write_simple(&json, "position", id);
    } else if (request->kind == GAP_REQUEST_COUNT) {
        fn = on_count;
        request_write_count(&json, id, &request->from, request->to_seq, prefixes, count);
    } else {
        fn = on_history;
        write_history(s, id, request, prefixes, count, &json);
    }
    err = requester_send(s->requester, id, &json, NULL, now_ms + REQUEST_TIMEOUT_MS, fn, s);
    buf_fini(&json);
    free(prefixes);
    return err;
}

void link_ask(struct nhub_subscriber *s, int64_t now_ms)
{
    const struct gap_request request = gap_detector_next_request(s->detector, now_ms);

    if (request.kind == GAP_REQUEST_NONE) {
        return;
    }
    if (send_request(s, &request, now_ms) != NHUB_OK) {
        gap_detector_unsent(s->detector, now_ms);
    }
}
