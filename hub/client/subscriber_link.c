/*
 * subscriber_link: the sockets of a subscriber, and its questions to the hub.
 *
 * Breaks, for a filtered stream: an event can only be lost between hub and us when the connection
 * broke, or when a queue was full. Ours was full only if it held queue_events unread messages, and
 * those all stand before the first one behind the loss. So whoever reads less than that without
 * seeing the queue empty has lost nothing; after half of it we take a break for granted and replay.
 * Queues that fill up on the way (a slow network) are found by counting, a little later.
 */
#include "client/subscriber.h"

#include "base/clock.h"
#include "client/answer.h"
#include "client/logger.h"
#include "wire/request.h"

#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH               64
#define REQUEST_TIMEOUT_MS  3000
#define HISTORY_PAGE_EVENTS 1000
/* The hub reads at most 1024 patterns in a request; some room is left for reserved types. */
#define PREFIXES_MAX 1000
/* libzmq loses subscriptions beyond this mark when it connects again (libzmq #2258). */
#define SUBSCRIPTIONS_HWM (FILTERS_MAX + 1024)
/* Requests without an answer before the connections are taken for dead: a cut cable tells nobody.
 */
#define TIMEOUTS_MAX 2

/* Sockets. */

static nhub_err subscribe_all(struct nhub_subscriber *s, struct zsock *sub)
{
    const char **prefixes = NULL;
    size_t count = 0;
    nhub_err err = filters_prefixes(s->filters, &prefixes, &count);

    for (size_t i = 0; err == NHUB_OK && i < count; i++) {
        err = zsock_subscribe(sub, prefixes[i], strlen(prefixes[i]));
    }
    if (err == NHUB_OK && s->is_whole_stream && count > 0) {
        err = zsock_subscribe(sub, "", 0);
    }
    free(prefixes);
    return err;
}

static void close_sub(struct nhub_subscriber *s)
{
    if (s->sub) {
        wakeup_unwatch(s->wakeup, zsock_fd(s->sub));
    }
    if (s->monitor) {
        wakeup_unwatch(s->wakeup, zsock_fd(s->monitor));
    }
    zsock_destroy(&s->sub);
    zsock_destroy(&s->monitor);
}

static nhub_err open_sub(struct nhub_subscriber *s)
{
    const struct zsock_options options = {
        .sndhwm = SUBSCRIPTIONS_HWM, .rcvhwm = (int)s->queue_events, .max_msg_bytes = -1};
    nhub_err err = zsock_create(&s->sub, s->ctx, ZSOCK_SUB, &options);

    if (err == NHUB_OK) {
        err = zsock_monitor(s->sub, s->ctx, &s->monitor);
    }
    if (err == NHUB_OK) {
        err = subscribe_all(s, s->sub);
    }
    if (err == NHUB_OK) {
        err = zsock_connect(s->sub, s->host, s->publisher_port);
    }
    if (err == NHUB_OK) {
        err = wakeup_watch(s->wakeup, zsock_fd(s->sub));
    }
    if (err == NHUB_OK) {
        err = wakeup_watch(s->wakeup, zsock_fd(s->monitor));
    }
    return err;
}

nhub_err link_open(struct nhub_subscriber *s)
{
    nhub_err err = open_sub(s);

    if (err == NHUB_OK && s->has_recovery) {
        err = requester_create(&s->requester, s->ctx, s->host, s->requests_port, 2);
        if (err == NHUB_OK) {
            err = wakeup_watch(s->wakeup, requester_fd(s->requester));
        }
    }
    wakeup_kick(s->wakeup);
    return err;
}

void link_close(struct nhub_subscriber *s)
{
    if (s->wakeup) {
        close_sub(s);
    }
    requester_destroy(&s->requester);
}

/* Both connections anew. The events that wait in the old socket are read before by the caller. */
static void reconnect(struct nhub_subscriber *s, int64_t now_ms)
{
    logger_write(NHUB_LOG_WARN, "hub_silent", "timeouts=%u", s->timeouts);
    s->timeouts = 0;
    wakeup_unwatch(s->wakeup, requester_fd(s->requester));
    if (requester_reconnect(s->requester) != NHUB_OK ||
        wakeup_watch(s->wakeup, requester_fd(s->requester)) != NHUB_OK) {
        s->fatal = NHUB_ESYS;
    }
    /* Events that come say that their connection is fine, whatever the other one does. */
    if (!s->is_heard) {
        close_sub(s);
        if (open_sub(s) != NHUB_OK) {
            s->fatal = NHUB_ESYS;
        }
        s->stats.is_connected = false;
        gap_detector_break(s->detector, now_ms);
    }
}

bool link_is_filtered(const struct nhub_subscriber *s)
{
    return !s->is_whole_stream && !filters_take_everything(s->filters);
}

nhub_err link_refilter(struct nhub_subscriber *s, const struct filter_change *change)
{
    nhub_err err = NHUB_OK;

    if (!change->is_changed) {
        return NHUB_OK;
    }
    if (change->is_added) {
        err = zsock_subscribe(s->sub, change->prefix, change->prefix_len);
    } else {
        err = zsock_unsubscribe(s->sub, change->prefix, change->prefix_len);
    }
    if (err == NHUB_OK && s->requester && !s->is_whole_stream &&
        filters_prefix_count(s->filters) > PREFIXES_MAX) {
        s->is_whole_stream = true;
    }
    /* The whole stream is asked for once there is something to select from it. */
    if (err == NHUB_OK && s->is_whole_stream && change->is_added &&
        (filters_prefix_count(s->filters) == 1 ||
         filters_prefix_count(s->filters) == PREFIXES_MAX + 1)) {
        err = zsock_subscribe(s->sub, "", 0);
    }
    gap_detector_refilter(s->detector, link_is_filtered(s), clock_mono_ms());
    wakeup_kick(s->wakeup);
    return err;
}

/* Events. */

static void read_monitor(struct nhub_subscriber *s, int64_t now_ms)
{
    enum zmonitor_event event = ZMONITOR_OTHER;

    while (zmonitor_next(s->monitor, &event) == NHUB_OK) {
        if (event == ZMONITOR_OTHER) {
            continue;
        }
        s->stats.is_connected = event == ZMONITOR_CONNECTED;
        s->stats.disconnects += event == ZMONITOR_DISCONNECTED ? 1 : 0;
        logger_write(NHUB_LOG_INFO, s->stats.is_connected ? "hub_connected" : "hub_lost",
                     "host=%s port=%u", s->host, (unsigned)s->publisher_port);
        gap_detector_break(s->detector, now_ms);
    }
}

void ready_item_destroy(struct ready_item **item_p)
{
    if (*item_p) {
        zframe_close(&(*item_p)->frame);
        free(*item_p);
        *item_p = NULL;
    }
}

/* One message: [type, line]. *out is NULL when it was malformed (counted). Errors: NHUB_EAGAIN. */
static nhub_err receive(struct nhub_subscriber *s, struct ready_item **out)
{
    struct ready_item *item = calloc(1, sizeof *item);
    struct zframe type;
    nhub_err err = NHUB_OK;

    *out = NULL;
    if (!item) {
        return NHUB_ENOMEM;
    }
    zframe_init(&type);
    zframe_init(&item->frame);
    err = zsock_recv(s->sub, &type);
    if (err == NHUB_OK && zframe_more(&type)) {
        err = zsock_recv(s->sub, &item->frame);
        if (err == NHUB_OK && zframe_more(&item->frame)) {
            zsock_skip_message(s->sub, &item->frame);
        }
        if (err == NHUB_OK) {
            *out = item;
            item = NULL;
        }
    } else if (err == NHUB_OK) {
        s->stats.malformed++;
    }
    zframe_close(&type);
    ready_item_destroy(&item);
    return err;
}

static void feed(struct nhub_subscriber *s, struct ready_item *item, int64_t now_ms)
{
    const char *line = zframe_data(&item->frame);
    const size_t len = zframe_size(&item->frame);
    struct position position = {0};

    if (event_tail_position(line, len, &position) != NHUB_OK) {
        position = (struct position){0};
    }
    item->to = position;
    gap_detector_event(s->detector, item, &position, len + sizeof *item, now_ms);
}

/* Reads a batch, then looks whether the connection broke meanwhile, and only then believes that the
 * batch follows what was there before. */
static size_t read_events(struct nhub_subscriber *s, int64_t now_ms)
{
    struct ready_item *batch[BATCH];
    size_t count = 0;
    size_t reads = 0;

    s->is_drained = false;
    for (; reads < BATCH && !gap_detector_is_full(s->detector); reads++) {
        const nhub_err err = receive(s, &batch[count]);

        if (err != NHUB_OK) {
            s->is_drained = err == NHUB_EAGAIN;
            break;
        }
        count += batch[count] ? 1 : 0;
    }
    read_monitor(s, now_ms);
    s->run = s->is_drained ? 0 : s->run + (uint32_t)reads;
    if (s->requester && link_is_filtered(s) && s->run >= s->queue_events / 2) {
        s->run = 0;
        gap_detector_break(s->detector, now_ms);
    }
    for (size_t i = 0; i < count; i++) {
        feed(s, batch[i], now_ms);
        s->is_heard = true;
    }
    return reads;
}

/* Answers. */

static void on_failure(struct nhub_subscriber *s, const struct requester_answer *answer)
{
    const bool is_refused = answer->err == NHUB_OK;

    if (is_refused) {
        logger_write(NHUB_LOG_WARN, "request_refused", "error=\"%s\"",
                     answer_text(answer->json, "error", ""));
    } else {
        s->timeouts++;
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

static void read_head(const struct json_t *json, struct position *out)
{
    *out = (struct position){.seq = answer_u64(json, "seq")};
    (void)snprintf(out->epoch, sizeof out->epoch, "%s", answer_text(json, "epoch", ""));
}

static void on_position(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_subscriber *s = context;
    struct position newest;

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
    read_head(answer->json, &newest);
    gap_detector_position(s->detector, &newest, clock_mono_ms());
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

static void on_history(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct nhub_subscriber *s = context;
    struct gap_page page = {0};
    nhub_err err = NHUB_OK;

    (void)id;
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
        gap_detector_failed(s->detector, false, clock_mono_ms());
    } else {
        /* What has arrived live is taken into account before anything is called missing. */
        do {
            NHUB_IGNORE(read_events(s, clock_mono_ms()) == 0);
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
        request_write_history(out, id, request->since, NULL, 0, HISTORY_PAGE_EVENTS);
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
        request_write_history(out, id, request->since, patterns, pattern_count,
                              HISTORY_PAGE_EVENTS);
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
    err = requester_send(s->requester, id, &json, NULL, 0, now_ms + REQUEST_TIMEOUT_MS, fn, s);
    buf_fini(&json);
    free(prefixes);
    return err;
}

static void ask(struct nhub_subscriber *s, int64_t now_ms)
{
    const struct gap_request request = gap_detector_next_request(s->detector, now_ms);

    if (request.kind == GAP_REQUEST_NONE) {
        return;
    }
    if (send_request(s, &request, now_ms) != NHUB_OK) {
        gap_detector_unsent(s->detector, now_ms);
    }
}

bool link_turn(struct nhub_subscriber *s)
{
    const int64_t now_ms = clock_mono_ms();
    const bool can_read = s->ready_count == 0;
    int64_t deadline_ms = INT64_MAX;

    wakeup_clear(s->wakeup);
    if (can_read && !gap_detector_is_full(s->detector)) {
        (void)read_events(s, now_ms);
    } else {
        /* Not read, but its wake-up has to be taken. */
        (void)zsock_readable(s->sub);
        read_monitor(s, now_ms);
        gap_detector_defer(s->detector, now_ms);
    }
    if (s->requester) {
        (void)requester_process(s->requester, now_ms);
        if (s->timeouts >= TIMEOUTS_MAX) {
            reconnect(s, now_ms);
        }
        gap_detector_tick(s->detector, now_ms);
        if (s->ready_count == 0) {
            ask(s, now_ms);
        }
        deadline_ms = requester_deadline_ms(s->requester);
    }
    if (gap_detector_deadline_ms(s->detector) < deadline_ms) {
        deadline_ms = gap_detector_deadline_ms(s->detector);
    }
    wakeup_set_deadline(s->wakeup, deadline_ms);
    return !s->is_drained && !gap_detector_is_full(s->detector);
}
