/*
 * sub_stream: `notifyhub sub` from a gateway: SSE, resumed by Last-Event-ID after every break.
 */
#include "base/clock.h"
#include "cli/gateway.h"
#include "cli/sse_parser.h"
#include "cli/sub.h"

#include <jansson.h>
#include <poll.h>
#include <string.h>

#define OPEN_TIMEOUT_MS   10000
#define RETRY_DEFAULT_MS  1000
#define RETRY_MAX_MS      10000
#define MESSAGE_MAX_BYTES (64u << 20)

struct stream {
    struct sub_state *state;
    struct sse_parser *parser;
    char asked[64]; /* where this connection was to go on, "" = now */
};

static void tell_gap(struct sub_state *s, const char *text, size_t len)
{
    json_error_t error;
    json_t *json = json_loadb(text, len, 0, &error);
    const char *from = json_string_value(json_object_get(json, "from"));
    const char *to = json_string_value(json_object_get(json, "to"));
    const char *reason = json_string_value(json_object_get(json, "reason"));

    sub_gap(s, from ? from : "", to ? to : "", reason ? reason : OUT_UNSAID, 0);
    json_decref(json);
}

/* What lies behind a position that the hub never gave out cannot be told; a gap is told by itself.
 * The block before has said where the stream goes on. */
static void tell_resume(const struct stream *stream, const struct sse_message *message)
{
    json_error_t error;
    json_t *json = json_loadb(message->data, message->data_len, 0, &error);
    const char *result = json_string_value(json_object_get(json, "result"));

    if (result && strcmp(result, OUT_UNKNOWN) == 0) {
        sub_gap(stream->state, stream->asked, message->id, OUT_UNKNOWN, 0);
    }
    json_decref(json);
}

static bool on_message(void *context, const struct sse_message *message)
{
    struct stream *stream = context;
    struct sub_state *s = stream->state;
    const nhub_bytes line = {.p = message->data, .len = message->data_len};
    nhub_event *event = NULL;

    if (strcmp(message->name, "hub.gap") == 0) {
        tell_gap(s, message->data, message->data_len);
    } else if (strcmp(message->name, "hub.resume") == 0) {
        tell_resume(stream, message);
    } else if (strcmp(message->name, "message") == 0) {
        if (nhub_event_create(&event, line) == NHUB_OK) {
            sub_event(s, event);
        } else {
            cli_note(s->cli, "not an event: %.200s", message->data);
        }
        nhub_event_destroy(&event);
    }
    return !sub_is_over(s);
}

static bool on_bytes(void *context, const char *bytes, size_t len)
{
    struct stream *stream = context;

    stream->state->was_connected = true;
    return sse_parser_feed(stream->parser, bytes, len) == NHUB_OK;
}

static bool should_stop(void *context)
{
    const struct stream *stream = context;

    return sub_is_over(stream->state);
}

/* Waits before the next try; a signal ends it. */
static void wait_ms(const struct sub_state *s, int64_t ms)
{
    const int64_t until_ms = clock_mono_ms() + ms;

    while (!sub_is_over(s) && clock_mono_ms() < until_ms) {
        (void)poll(NULL, 0, 50);
    }
}

static int64_t retry_ms(const struct stream *stream, const struct http_answer *answer)
{
    int64_t ms = sse_parser_retry_ms(stream->parser);

    if (answer->retry_after_s > 0) {
        ms = (int64_t)answer->retry_after_s * 1000;
    }
    ms = ms < 0 ? RETRY_DEFAULT_MS : ms;
    return ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

/* Whether another try may help. */
static bool is_final(nhub_err err, const struct http_answer *answer)
{
    return (err == NHUB_OK || err == NHUB_ECLOSED) && answer->status / 100 == 4 &&
           answer->status != 408 && answer->status != 429;
}

static int read_on(struct stream *stream, struct http_client *client, const char *path)
{
    struct sub_state *s = stream->state;
    bool is_told = false;

    while (!sub_is_over(s)) {
        const char *last_id = sse_parser_last_id(stream->parser);
        struct http_answer answer = {0};
        const struct http_request request = {.path = path,
                                             .accept = "text/event-stream",
                                             .last_event_id = *last_id ? last_id : NULL,
                                             .timeout_ms = OPEN_TIMEOUT_MS,
                                             .should_stop = should_stop,
                                             .stop_context = stream};
        int64_t pause_ms = 0;
        int status = CLI_OK;
        nhub_err err = NHUB_OK;

        (void)snprintf(stream->asked, sizeof stream->asked, "%s",
                       *last_id   ? last_id
                       : s->since ? s->since
                                  : "");
        err = http_stream(client, &request, on_bytes, stream, &answer);
        pause_ms = retry_ms(stream, &answer);
        if (is_final(err, &answer)) {
            status = gateway_fail(s->cli, "subscribe", client, NHUB_OK, &answer);
        } else if (!sub_is_over(s) && !is_told && answer.status != 200) {
            is_told = true;
            NHUB_IGNORE(gateway_fail(s->cli, "subscribe", client, answer.status ? NHUB_OK : err,
                                     &answer) == CLI_OK);
            cli_note(s->cli, "trying again");
        } else if (answer.status == 200) {
            is_told = false;
        }
        buf_fini(&answer.body);
        if (status != CLI_OK) {
            return status;
        }
        sse_parser_reset(stream->parser);
        wait_ms(s, pause_ms);
    }
    return CLI_OK;
}

int sub_stream(struct sub_state *s)
{
    struct stream stream = {.state = s};
    struct http_client *client = NULL;
    struct buf path;
    int status = CLI_NEGATIVE;

    if (!gateway_open(s->cli, &client)) {
        return CLI_USAGE;
    }
    buf_init(&path);
    buf_add_str(&path, "/events/stream");
    gateway_add_query(&path, &s->patterns, s->since);
    if (sse_parser_create(&stream.parser, MESSAGE_MAX_BYTES, on_message, &stream) == NHUB_OK &&
        !path.failed) {
        status = read_on(&stream, client, buf_cstr(&path));
    } else {
        cli_error(s->cli, "%s", nhub_strerror(NHUB_ENOMEM));
    }
    sse_parser_destroy(&stream.parser);
    buf_fini(&path);
    http_client_destroy(&client);
    return status;
}
