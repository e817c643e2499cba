/*
 * bench_publish: a publisher's thread: fire and forget, acknowledged with a window, or POST.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/gateway.h"

#include <poll.h>
#include <string.h>
#include <time.h>

void bench_write_data(const struct bench *b, unsigned publisher, uint64_t n, struct buf *out)
{
    const size_t start = out->len;

    buf_printf(out, "{\"p\":%u,\"n\":%llu,\"t\":%lld", publisher, (unsigned long long)n,
               (long long)clock_mono_ns());
    if (b->size > out->len - start + 8) {
        buf_add_str(out, ",\"x\":\"");
        while (out->len - start + 2 < b->size && !out->failed) {
            const size_t left = b->size - 2 - (out->len - start);

            buf_add(out, "0123456789abcdef", left < 16 ? left : 16);
        }
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

/* Waits until it is time for event n of this worker. */
static void pace(const struct bench_worker *w, int64_t start_ns, uint64_t n)
{
    const struct bench *b = w->bench;
    double due_ns = 0;
    int64_t left_ns = 0;

    if (b->rate == 0) {
        return;
    }
    due_ns = (double)n * 1e9 * (double)b->publishers / (double)b->rate;
    left_ns = start_ns + (int64_t)due_ns - clock_mono_ns();
    if (left_ns > 0) {
        const struct timespec wait = {.tv_sec = (time_t)(left_ns / 1000000000),
                                      .tv_nsec = (long)(left_ns % 1000000000)};

        (void)nanosleep(&wait, NULL);
    }
}

static void fail(struct bench_worker *w, const char *what, const char *reason)
{
    (void)snprintf(w->error, sizeof w->error, "%s: %s", what, reason);
}

/* An acknowledged publish and when it was sent. The hub answers a connection's requests in order,
 * so the answers' times stand in a ring. */
struct sent_times {
    struct bench_worker *worker;
    int64_t ns[NHUB_WINDOW_MAX];
    uint64_t head, tail;
};

static void on_ack(void *context, const nhub_ack *ack)
{
    struct sent_times *times = context;
    struct bench *b = times->worker->bench;
    const int64_t sent_ns = times->ns[times->head++ % NHUB_WINDOW_MAX];

    if (ack->result == NHUB_OK) {
        counter_add(&b->acked, ack->accepted);
        histogram_add(&times->worker->latencies, (uint64_t)(clock_mono_ns() - sent_ns));
        return;
    }
    counter_add(&b->refused, 1);
    fail(times->worker, "publish",
         ack->result == NHUB_EREFUSED ? ack->error : nhub_strerror(ack->result));
}

/* Sends one event, waiting for room. */
static nhub_err send_one(struct bench_worker *w, nhub_publisher *p, const nhub_draft *draft,
                         struct sent_times *times)
{
    struct bench *b = w->bench;
    nhub_err err = NHUB_OK;

    do {
        if (!b->is_acked) {
            err = nhub_publisher_send_draft(p, draft);
            if (err == NHUB_EAGAIN) {
                (void)poll(NULL, 0, 1);
            }
            continue;
        }
        times->ns[times->tail % NHUB_WINDOW_MAX] = clock_mono_ns();
        err = nhub_publisher_submit(p, draft, on_ack, times);
        if (err == NHUB_OK) {
            times->tail++;
        }
        /* A full window waits for an answer; otherwise answers are only collected. */
        if (err == NHUB_EFULL || err == NHUB_EAGAIN || times->tail % 16 == 0) {
            const int wait_ms = err == NHUB_EFULL ? 100 : err == NHUB_EAGAIN ? 1 : 0;

            NHUB_IGNORE(nhub_publisher_poll(p, wait_ms, NULL)); /* the next turn sees it again */
        }
    } while ((err == NHUB_EAGAIN || err == NHUB_EFULL) && !atomic_load(&b->is_over));
    return err;
}

static void publish_all(struct bench_worker *w, nhub_publisher *p)
{
    struct bench *b = w->bench;
    struct sent_times times = {.worker = w};
    const int64_t start_ns = clock_mono_ns();
    nhub_close_report report = {0};
    struct buf data;

    buf_init(&data);
    for (uint64_t n = 0; n < w->share && !atomic_load(&b->is_over); n++) {
        nhub_draft draft = {.event_type = b->type};
        nhub_err err = NHUB_OK;

        pace(w, start_ns, n);
        buf_reset(&data);
        bench_write_data(b, w->number, n, &data);
        draft.data = buf_cstr(&data);
        draft.data_len = data.len;
        err = send_one(w, p, &draft, &times);
        if (err != NHUB_OK) {
            fail(w, "publish", err == NHUB_EINVAL ? nhub_publisher_error(p) : nhub_strerror(err));
            break;
        }
        counter_add(&b->published, 1);
    }
    NHUB_IGNORE(nhub_publisher_close(&p, b->timeout_ms, &report)); /* the report says it */
    counter_add(&b->unsent, report.unsent);
    buf_fini(&data);
}

static void publish_to_hub(struct bench_worker *w)
{
    const struct cli *cli = w->bench->cli;
    const nhub_publisher_options options = {.host = cli->host,
                                            .collector_port = cli->collector_port,
                                            .requests_port = cli->requests_port,
                                            .source_service = "bench",
                                            .window = (uint32_t)w->bench->window,
                                            .queue_events = 10000};
    nhub_publisher *p = NULL;
    const nhub_err err = nhub_publisher_create(&p, &options);

    if (err != NHUB_OK) {
        fail(w, "publish", nhub_strerror(err));
        return;
    }
    publish_all(w, p);
}

static bool post_one(struct bench_worker *w, struct http_client *client, const struct buf *body)
{
    struct bench *b = w->bench;
    const struct http_request request = {.path = "/events",
                                         .body = body->data,
                                         .body_len = body->len,
                                         .content_type = "application/json",
                                         .timeout_ms = b->timeout_ms};
    const int64_t start_ns = clock_mono_ns();
    struct http_answer answer = {0};
    const nhub_err err = http_call(client, &request, &answer);
    const bool is_good = err == NHUB_OK && answer.status == 202;

    if (is_good) {
        counter_add(&b->acked, 1);
        histogram_add(&w->latencies, (uint64_t)(clock_mono_ns() - start_ns));
    } else if (err == NHUB_OK) {
        (void)snprintf(w->error, sizeof w->error, "POST /events: status %ld: %.200s", answer.status,
                       answer.body.len ? buf_cstr(&answer.body) : "");
    } else {
        fail(w, "POST /events", http_client_reason(client));
    }
    buf_fini(&answer.body);
    return is_good;
}

static void publish_to_gateway(struct bench_worker *w)
{
    struct bench *b = w->bench;
    const int64_t start_ns = clock_mono_ns();
    struct http_client *client = NULL;
    struct buf body;

    if (http_client_create(&client, b->cli->gateway) != NHUB_OK) {
        fail(w, "POST /events", "the URL is no good");
        return;
    }
    buf_init(&body);
    for (uint64_t n = 0; n < w->share && !atomic_load(&b->is_over); n++) {
        pace(w, start_ns, n);
        buf_reset(&body);
        buf_printf(&body, "{\"event_type\":\"%s\",\"source_service\":\"bench\",\"data\":", b->type);
        bench_write_data(b, w->number, n, &body);
        buf_add_char(&body, '}');
        if (!post_one(w, client, &body)) {
            counter_add(&b->refused, 1);
            break;
        }
        counter_add(&b->published, 1);
    }
    buf_fini(&body);
    http_client_destroy(&client);
}

void *bench_publish(void *worker)
{
    struct bench_worker *w = worker;
    struct bench *b = w->bench;

    while (!atomic_load(&b->is_started) && !atomic_load(&b->is_over)) {
        (void)poll(NULL, 0, 1);
    }
    if (b->cli->gateway) {
        publish_to_gateway(w);
    } else {
        publish_to_hub(w);
    }
    atomic_fetch_sub(&b->publishing, 1);
    return NULL;
}
