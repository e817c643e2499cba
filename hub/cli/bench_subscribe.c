/*
 * bench_subscribe: a subscriber's thread: SUB with gap detection, or SSE.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/gateway.h"
#include "cli/sse_parser.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX_BYTES (64u << 20)

int64_t bench_read_time(const char *data, size_t len)
{
    static const char key[] = "\"t\":";
    const char *at = memmem(data, len, key, sizeof key - 1);
    int64_t time_ns = 0;

    if (!at) {
        return 0;
    }
    for (at += sizeof key - 1; at < data + len && *at >= '0' && *at <= '9'; at++) {
        time_ns = time_ns * 10 + (*at - '0');
    }
    return time_ns;
}

static void take(struct bench_worker *w, const char *data, size_t len)
{
    const int64_t sent_ns = bench_read_time(data, len);
    const int64_t now_ns = clock_mono_ns();

    counter_bump(&w->received, 1);
    if (sent_ns > 0 && now_ns >= sent_ns) {
        histogram_add(&w->latencies, (uint64_t)(now_ns - sent_ns));
    }
}

static void on_event(void *context, const nhub_event *event)
{
    const nhub_bytes data = nhub_event_data(event);

    take(context, data.p, data.len);
}

static void on_gap(void *context, const nhub_gap *gap)
{
    struct bench_worker *w = context;

    (void)gap;
    counter_bump(&w->gaps, 1);
}

/* Counts as ready once both connections work: what is published from then on has to arrive. */
static void note_ready(struct bench_worker *w, const nhub_subscriber *s, bool *is_ready)
{
    nhub_subscriber_stats stats;

    if (*is_ready) {
        return;
    }
    nhub_subscriber_get_stats(s, &stats);
    if (stats.is_connected && nhub_subscriber_position(s).epoch[0] != '\0') {
        *is_ready = true;
        atomic_fetch_add(&w->bench->ready, 1);
    }
}

static void subscribe_to_hub(struct bench_worker *w)
{
    const struct cli *cli = w->bench->cli;
    const nhub_subscriber_options options = {.host = cli->host,
                                             .publisher_port = cli->publisher_port,
                                             .requests_port = cli->requests_port,
                                             .queue_events = 100000,
                                             .on_gap = on_gap,
                                             .gap_context = w};
    nhub_subscriber *s = NULL;
    bool is_ready = false;
    nhub_err err = nhub_subscriber_create(&s, &options);

    if (err == NHUB_OK) {
        err = nhub_subscriber_on(s, w->bench->type, on_event, w);
    }
    while (err == NHUB_OK && !atomic_load(&w->bench->is_over)) {
        err = nhub_subscriber_poll(s, is_ready ? 100 : 5, 0, NULL);
        note_ready(w, s, &is_ready);
    }
    if (err != NHUB_OK) {
        (void)snprintf(w->error, sizeof w->error, "subscribe: %s", nhub_strerror(err));
    }
    nhub_subscriber_destroy(&s);
}

/* From a gateway. */

struct stream {
    struct bench_worker *worker;
    struct sse_parser *parser;
    bool is_ready;
};

static bool on_message(void *context, const struct sse_message *message)
{
    struct stream *stream = context;

    if (strcmp(message->name, "message") == 0) {
        take(stream->worker, message->data, message->data_len);
    } else if (strcmp(message->name, "hub.gap") == 0) {
        counter_bump(&stream->worker->gaps, 1);
    }
    return true;
}

static bool on_bytes(void *context, const char *bytes, size_t len)
{
    struct stream *stream = context;

    if (!stream->is_ready) {
        stream->is_ready = true;
        atomic_fetch_add(&stream->worker->bench->ready, 1);
    }
    return sse_parser_feed(stream->parser, bytes, len) == NHUB_OK;
}

static bool should_stop(void *context)
{
    const struct stream *stream = context;

    return atomic_load(&stream->worker->bench->is_over);
}

static void subscribe_to_gateway(struct bench_worker *w)
{
    struct stream stream = {.worker = w};
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct http_request request = {.accept = "text/event-stream",
                                   .timeout_ms = w->bench->timeout_ms,
                                   .should_stop = should_stop,
                                   .stop_context = &stream};
    struct buf path;
    nhub_err err = http_client_create(&client, w->bench->cli->gateway);

    buf_init(&path);
    buf_printf(&path, "/events/stream?event_type=%s", w->bench->type);
    request.path = buf_cstr(&path);
    if (err == NHUB_OK) {
        err = sse_parser_create(&stream.parser, MESSAGE_MAX_BYTES, on_message, &stream);
    }
    if (err == NHUB_OK) {
        err = http_stream(client, &request, on_bytes, &stream, &answer);
    }
    if (err != NHUB_OK || (answer.status != 200 && !atomic_load(&w->bench->is_over))) {
        (void)snprintf(w->error, sizeof w->error, "GET /events/stream: status %ld: %s",
                       answer.status, client ? http_client_reason(client) : nhub_strerror(err));
    }
    buf_fini(&answer.body);
    sse_parser_destroy(&stream.parser);
    buf_fini(&path);
    http_client_destroy(&client);
}

void *bench_subscribe(void *worker)
{
    struct bench_worker *w = worker;

    if (w->bench->cli->gateway) {
        subscribe_to_gateway(w);
    } else {
        subscribe_to_hub(w);
    }
    return NULL;
}
