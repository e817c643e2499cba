/* stream_history: one struct for a question of either kind, in a queue until its turn comes. */
#include "gateway/stream_history.h"

#include "base/mailbox.h"
#include "gateway/fanout/fanout.h"
#include "gateway/fanout/list.h"
#include "gateway/fanout/pattern_set.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define UNDER_WAY_MAX 8

struct question {
    struct query_job job; /* first: found from its letter */
    struct list link;
    struct stream_history *owner;
    struct fetch *fetch;      /* for a session, or */
    struct history_job *page; /* for the history door */
    char since[64];
};

struct stream_history {
    struct stream_history_options options;
    struct mailbox *answers;
    struct list waiting;
    size_t under_way;
    bool is_closed;
};

nhub_err stream_history_create(struct stream_history **out,
                               const struct stream_history_options *options)
{
    struct stream_history *h = calloc(1, sizeof *h);
    nhub_err err = NHUB_OK;

    if (!h) {
        return NHUB_ENOMEM;
    }
    h->options = *options;
    list_init(&h->waiting);
    err = mailbox_create(&h->answers);
    if (err != NHUB_OK) {
        free(h);
        return err;
    }
    *out = h;
    return NHUB_OK;
}

void stream_history_destroy(struct stream_history **h_p)
{
    struct stream_history *h = *h_p;

    *h_p = NULL;
    if (!h) {
        return;
    }
    stream_history_close(h);
    stream_history_take(h);
    mailbox_destroy(&h->answers);
    free(h);
}

int stream_history_fd(const struct stream_history *h)
{
    return mailbox_fd(h->answers);
}

enum answer_member { RESULT, EPOCH, SEQ, FROM, NEXT, MORE, GAP, ANSWER_MEMBERS };

static const struct json_key answer_keys[ANSWER_MEMBERS] = {
    [RESULT] = JSON_KEY("result"), [EPOCH] = JSON_KEY("epoch"), [SEQ] = JSON_KEY("seq"),
    [FROM] = JSON_KEY("from"),     [NEXT] = JSON_KEY("next"),   [MORE] = JSON_KEY("more"),
    [GAP] = JSON_KEY("gap"),
};

static const struct json_scan_options scan_options = {0};

static bool read_position(const struct json_span *span, struct position *out)
{
    return span->kind == JSON_STRING && span->len > 2 &&
           position_parse(span->p + 1, span->len - 2, out) == NHUB_OK;
}

static bool read_word(const struct json_span *span, char *out, size_t size)
{
    size_t len = 0;

    if (span->kind != JSON_STRING || json_decode_string(span, out, size - 1, &len) != NHUB_OK) {
        return false;
    }
    out[len] = '\0';
    return true;
}

static bool read_gap(const struct json_span *span, struct gap *out)
{
    static const struct json_key keys[] = {JSON_KEY("from"), JSON_KEY("to"), JSON_KEY("reason")};
    struct json_span f[3];
    struct json_report report;
    char reason[32] = "";

    if (span->kind != JSON_OBJECT ||
        json_scan_object(span->p, span->len, keys, 3, &scan_options, f, &report) != NHUB_OK ||
        !read_position(&f[0], &out->from) || !read_position(&f[1], &out->to)) {
        return false;
    }
    (void)read_word(&f[2], reason, sizeof reason);
    out->reason = gap_reason_parse(reason);
    return true;
}

/* The hub's header (PROTOCOL.md, "history") as the fan-out takes it. */
static nhub_err read_answer(const struct buf *text, struct fetch_result *out)
{
    struct json_span f[ANSWER_MEMBERS];
    struct json_report report;
    char word[32] = "";

    if (text->len == 0 ||
        json_scan_object(text->data, text->len, answer_keys, ANSWER_MEMBERS, &scan_options, f,
                         &report) != NHUB_OK ||
        !read_word(&f[RESULT], word, sizeof word) || !read_position(&f[NEXT], &out->next) ||
        json_span_u64(&f[SEQ], &out->head.seq) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    out->result = resume_result_parse(word);
    if (out->result == RESUME_NONE || !read_word(&f[EPOCH], word, sizeof word) ||
        !epoch_valid(word, strlen(word))) {
        return NHUB_EPROTO;
    }
    memcpy(out->head.epoch, word, EPOCH_LEN + 1);
    if (!read_position(&f[FROM], &out->from)) {
        out->from = out->next;
    }
    out->more = f[MORE].kind == JSON_TRUE;
    out->has_gap = read_gap(&f[GAP], &out->gap);
    return NHUB_OK;
}

/* In the link's thread. */
static void on_done(struct query_job *job)
{
    struct question *q = (struct question *)(void *)job;

    mailbox_post(q->owner->answers, &job->letter);
}

static void drop_events(struct query_job *job)
{
    for (size_t i = 0; i < job->event_count; i++) {
        feed_event_unref(&job->events[i]);
    }
    free(job->events);
    job->events = NULL;
    job->event_count = 0;
}

static void answer_page(struct stream_history *h, struct question *q, struct fetch_result *result)
{
    struct history_job *page = q->page;

    if (result->err == NHUB_OK) {
        page->err = fanout_history_answer(result, page->query.cloudevents, &page->page);
    } else {
        page->err = fanout_history(h->options.fanout, &page->query, true, &page->page);
        if (page->err == NHUB_EUNAVAIL && result->err == NHUB_ETIMEOUT) {
            page->err = NHUB_ETIMEOUT;
        }
    }
    page->done(page);
}

static void finish(struct stream_history *h, struct question *q)
{
    struct fetch_result result = {.err = q->job.err};

    if (result.err == NHUB_OK) {
        result.err = read_answer(&q->job.answer, &result);
    }
    result.events = q->job.events;
    result.event_count = q->job.event_count;
    if (q->fetch) {
        fanout_fetched(h->options.fanout, &q->fetch, &result);
    } else {
        answer_page(h, q, &result);
        drop_events(&q->job);
    }
    buf_fini(&q->job.answer);
    free(q);
}

static void send_next(struct stream_history *h)
{
    while (h->under_way < UNDER_WAY_MAX && !list_empty(&h->waiting)) {
        struct question *q = list_entry(h->waiting.next, struct question, link);

        list_remove(&q->link);
        if (h->is_closed || (q->fetch && !q->fetch->session)) {
            q->job.err = NHUB_EUNAVAIL; /* nobody waits for it any more */
            finish(h, q);
            continue;
        }
        h->under_way++;
        h->options.query(h->options.link, &q->job);
    }
}

void stream_history_take(struct stream_history *h)
{
    struct letter *letter = mailbox_take_all(h->answers);

    while (letter) {
        struct question *q = (struct question *)(void *)letter;

        letter = letter->next;
        h->under_way--;
        finish(h, q);
    }
    send_next(h);
}

void stream_history_close(struct stream_history *h)
{
    h->is_closed = true;
    while (!list_empty(&h->waiting)) {
        struct question *q = list_entry(h->waiting.next, struct question, link);

        list_remove(&q->link);
        q->job.err = NHUB_EUNAVAIL;
        finish(h, q);
    }
}

static struct question *ask(struct stream_history *h, const char *const *patterns, size_t count,
                            uint64_t limit)
{
    struct question *q = calloc(1, sizeof *q);

    if (q) {
        list_init(&q->link);
        q->owner = h;
        q->job.kind = QUERY_HISTORY;
        q->job.since = q->since;
        q->job.patterns = patterns;
        q->job.pattern_count = count;
        q->job.limit = limit;
        q->job.done = on_done;
        buf_init(&q->job.answer);
        list_append(&h->waiting, &q->link);
    }
    return q;
}

void stream_history_fetch(struct stream_history *h, struct fetch *fetch)
{
    struct question *q = h->is_closed ? NULL
                                      : ask(h, (const char *const *)fetch->set->patterns,
                                            fetch->set->count, fetch->limit);

    if (!q) {
        struct fetch_result result = {.err = NHUB_EUNAVAIL};

        fanout_fetched(h->options.fanout, &fetch, &result);
        return;
    }
    q->fetch = fetch;
    memcpy(q->since, fetch->since, sizeof q->since);
    send_next(h);
}

void stream_history_page(struct stream_history *h, struct history_job *job)
{
    struct question *q = NULL;

    job->err = fanout_history(h->options.fanout, &job->query, h->is_closed, &job->page);
    if (job->err == NHUB_EAGAIN) {
        q = ask(h, (const char *const *)job->query.patterns, job->query.pattern_count,
                job->query.limit ? job->query.limit : HISTORY_LIMIT_DEFAULT);
        job->err = NHUB_ENOMEM;
    }
    if (!q) {
        job->done(job);
        return;
    }
    q->page = job;
    since_text(&job->query.since, q->since);
    send_next(h);
}
