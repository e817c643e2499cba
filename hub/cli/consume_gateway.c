/*
 * consume_gateway: deliveries from a gateway, by POST /groups/{group}/fetch.
 *
 * A fetch that waits can be ended at any time: the gateway gives back what did not reach us. While
 * gateway or hub are away it tries again each second.
 */
#include "base/clock.h"
#include "cli/consume.h"
#include "cli/gateway.h"
#include "wire/json_scan.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MAX_MS   20000
#define ANSWER_MS     10000 /* beyond the wait */
#define RETRY_MS      1000
#define SETTLE_TRY_MS 10000

enum answer_member { ANSWER_EVENTS, ANSWER_VISIBILITY, ANSWER_GAP, ANSWER_MEMBERS };

struct gateway_source {
    struct consume_source source;
    struct consume_job *job;
    struct http_client *client;
    struct http_answer answer; /* of the last fetch; its events are read from it */
    struct json_span events;
    size_t at;                 /* in the array */
    int visibility_ms;         /* of the answer */
    nhub_event *event;         /* the one that is lent */
    char member[64];           /* when the user named none */
    char epoch[EPOCH_LEN + 1]; /* of the hub that has the group, "" = not made yet */
    bool is_made;
    bool is_renewed; /* the hub forgot the group: it begins with the earliest event */
    bool is_told;    /* that nobody answers */
};

static struct gateway_source *self(struct consume_source *source)
{
    return (struct gateway_source *)(void *)source;
}

static bool should_stop(void *context)
{
    const struct gateway_source *s = context;

    return consume_is_over(s->job);
}

static void group_path(const struct gateway_source *s, const char *below, struct buf *out)
{
    buf_add_str(out, "/groups/");
    buf_add_str(out, s->job->group); /* names need no encoding */
    buf_add_str(out, below);
}

/* A call that may wait; *out is to be freed. */
static nhub_err call(struct gateway_source *s, const char *method, struct buf *path,
                     struct buf *body, int timeout_ms, bool may_stop, struct http_answer *out)
{
    const struct http_request request = {.path = buf_cstr(path),
                                         .method = method,
                                         .body = body ? buf_cstr(body) : NULL,
                                         .body_len = body ? body->len : 0,
                                         .content_type = "application/json",
                                         .accept = "application/json",
                                         .timeout_ms = timeout_ms,
                                         .should_stop = may_stop ? should_stop : NULL,
                                         .stop_context = s};

    return http_call(s->client, &request, out);
}

/* Whether another try may help. */
static bool is_passing(nhub_err err, const struct http_answer *answer)
{
    return err != NHUB_OK || answer->status == 429 || answer->status == 408 ||
           answer->status >= 500;
}

static void pause_ms(const struct gateway_source *s, int64_t ms)
{
    const int64_t until_ms = clock_mono_ms() + ms;

    while (!consume_is_over(s->job) && clock_mono_ms() < until_ms) {
        (void)poll(NULL, 0, 50);
    }
}

/* A call that failed for now: says so once. Returns CONSUME_NOTHING after a pause. */
static int try_later(struct gateway_source *s, nhub_err err, const struct http_answer *answer)
{
    if (!s->is_told && !consume_is_over(s->job)) {
        s->is_told = true;
        NHUB_IGNORE(gateway_fail(s->job->cli, "consume", s->client, err, answer) == CLI_OK);
        cli_note(s->job->cli, "trying again");
    }
    pause_ms(s, answer->retry_after_s > 0 && answer->retry_after_s < 10
                    ? (int64_t)answer->retry_after_s * 1000
                    : RETRY_MS);
    return CONSUME_NOTHING;
}

/* The member of a JSON body as text, "" when it is not there. */
static void member_of(const struct http_answer *answer, const char *name, char *out, size_t size)
{
    gateway_problem(answer, name, out, size); /* reads any object */
}

/* The group. */

static int make_group(struct gateway_source *s)
{
    struct http_answer answer = {0};
    struct buf path, body;
    char position[64];
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    buf_init(&path);
    buf_init(&body);
    group_path(s, "", &path);
    group_settings_write(&s->job->settings, s->is_renewed ? "earliest" : NULL, &body);
    /* The members begin with commas; the first one's place is the brace's. */
    if (body.len > 0 && !body.failed) {
        body.data[0] = '{';
    } else {
        buf_add_char(&body, '{');
    }
    buf_add_char(&body, '}');
    err = call(s, "PUT", &path, &body, ANSWER_MS, true, &answer);
    if (err == NHUB_OK && answer.status / 100 == 2) {
        member_of(&answer, "position", position, sizeof position);
        (void)snprintf(s->epoch, sizeof s->epoch, "%.8s", position);
        s->is_made = true;
        s->is_renewed = false;
        s->job->was_connected = true;
    } else if (err == NHUB_OK && answer.status == 0) {
        status = CONSUME_NOTHING;
    } else if (is_passing(err, &answer)) {
        status = try_later(s, err, &answer);
    } else {
        status = gateway_fail(s->job->cli, "make the group", s->client, err, &answer);
    }
    buf_fini(&answer.body);
    buf_fini(&body);
    buf_fini(&path);
    return status;
}

/* The group is gone. The same hub: somebody deleted it. Another epoch: the hub forgot it, and it is
 * made anew for all that this one has. */
static int look_for_hub(struct gateway_source *s, const struct http_answer *gone)
{
    struct http_answer answer = {0};
    char epoch[EPOCH_LEN + 1];
    struct buf path;
    nhub_err err = NHUB_OK;
    int status = CONSUME_NOTHING;

    if (!s->job->creates || s->epoch[0] == '\0') {
        return gateway_fail(s->job->cli, "consume", s->client, NHUB_OK, gone);
    }
    buf_init(&path);
    buf_add_str(&path, "/events?since=latest&limit=1");
    err = call(s, NULL, &path, NULL, ANSWER_MS, true, &answer);
    member_of(&answer, "epoch", epoch, sizeof epoch);
    if (err == NHUB_OK && answer.status == 200 && strcmp(epoch, s->epoch) != 0) {
        char from[NHUB_POSITION_TEXT_MAX];
        char to[NHUB_POSITION_TEXT_MAX];

        (void)snprintf(from, sizeof from, "%s-0", s->epoch);
        (void)snprintf(to, sizeof to, "%s-0", epoch);
        consume_gap(s->job, from, to, "epoch_changed");
        s->is_made = false;
        s->is_renewed = true;
    } else if (err == NHUB_OK && answer.status == 200) {
        status = gateway_fail(s->job->cli, "consume", s->client, NHUB_OK, gone);
    } else if (err != NHUB_OK || answer.status != 0) {
        status = try_later(s, err, &answer);
    }
    buf_fini(&answer.body);
    buf_fini(&path);
    return status;
}

/* Deliveries. */

static void text_of(const struct json_span *span, char *out, size_t size)
{
    size_t len = 0;

    if (json_decode_string(span, out, size - 1, &len) != NHUB_OK) {
        len = 0;
    }
    out[len] = '\0';
}

static void tell_gap(struct gateway_source *s, const struct json_span *gap)
{
    static const struct json_key keys[] = {JSON_KEY("from"), JSON_KEY("to"), JSON_KEY("reason")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span members[3];
    struct json_report report;
    char texts[3][64];

    if (gap->kind != JSON_OBJECT ||
        json_scan_object(gap->p, gap->len, keys, 3, &options, members, &report) != NHUB_OK) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        text_of(&members[i], texts[i], sizeof texts[i]);
    }
    consume_gap(s->job, texts[0], texts[1], texts[2][0] ? texts[2] : "retention");
}

/* Finds the events in the answer of a fetch. */
static int read_answer(struct gateway_source *s)
{
    static const struct json_key keys[ANSWER_MEMBERS] = {
        JSON_KEY("events"), JSON_KEY("visibility_ms"), JSON_KEY("gap")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span members[ANSWER_MEMBERS];
    struct json_report report;
    double visibility_ms = 0;

    if (json_scan_object(s->answer.body.data, s->answer.body.len, keys, ANSWER_MEMBERS, &options,
                         members, &report) != NHUB_OK) {
        cli_error(s->job->cli, "cannot consume: the gateway's answer is no JSON object");
        return CLI_NEGATIVE;
    }
    tell_gap(s, &members[ANSWER_GAP]);
    s->events = members[ANSWER_EVENTS];
    s->at = 0;
    s->visibility_ms = json_span_double(&members[ANSWER_VISIBILITY], &visibility_ms) == NHUB_OK
                           ? (int)visibility_ms
                           : 0;
    s->job->was_connected = true;
    s->is_told = false;
    return CONSUME_NOTHING;
}

static int fetch(struct gateway_source *s, int wait_ms)
{
    struct buf path, body;
    nhub_err err = NHUB_OK;
    int status = CONSUME_NOTHING;

    wait_ms = wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
    buf_init(&path);
    buf_init(&body);
    group_path(s, "/fetch?", &path);
    buf_printf(&path, "max=%llu&wait_ms=%d&member=", (unsigned long long)s->job->prefetch, wait_ms);
    http_add_encoded(&path, s->job->member ? s->job->member : s->member);
    buf_fini(&s->answer.body);
    err = call(s, "POST", &path, &body, wait_ms + ANSWER_MS, true, &s->answer);
    if (err == NHUB_OK && s->answer.status == 200) {
        status = read_answer(s);
    } else if (err == NHUB_OK && s->answer.status == 404) {
        status = look_for_hub(s, &s->answer);
    } else if (is_passing(err, &s->answer)) {
        status = try_later(s, err, &s->answer);
    } else if (s->answer.status != 0) {
        status = gateway_fail(s->job->cli, "consume", s->client, err, &s->answer);
    }
    buf_fini(&body);
    buf_fini(&path);
    return status;
}

/* Takes the next delivery of the answer; false at its end. */
static bool take(struct gateway_source *s, struct consumed *out)
{
    static const struct json_key keys[] = {JSON_KEY("delivery"), JSON_KEY("attempt"),
                                           JSON_KEY("event")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span element;
    struct json_span members[3];
    struct json_report report;
    double attempt = 0;

    nhub_event_destroy(&s->event);
    while (s->events.kind == JSON_ARRAY &&
           json_scan_element(s->events.p, s->events.len, &s->at, &options, &element, &report) ==
               NHUB_OK) {
        if (json_scan_object(element.p, element.len, keys, 3, &options, members, &report) !=
                NHUB_OK ||
            nhub_event_create(&s->event, (nhub_bytes){.p = members[2].p, .len = members[2].len}) !=
                NHUB_OK) {
            cli_note(s->job->cli, "not a delivery: %.*s",
                     element.len < 200 ? (int)element.len : 200, element.p);
            continue;
        }
        *out = (struct consumed){.event = s->event, .visibility_ms = s->visibility_ms};
        text_of(&members[0], out->id, sizeof out->id);
        out->attempt = json_span_double(&members[1], &attempt) == NHUB_OK ? (uint64_t)attempt : 0;
        return true;
    }
    s->events.kind = JSON_ABSENT;
    return false;
}

static int gateway_next(struct consume_source *source, int wait_ms, struct consumed *out)
{
    struct gateway_source *s = self(source);
    int status = CONSUME_NOTHING;

    if (take(s, out)) {
        return CLI_OK;
    }
    if (wait_ms == 0) {
        return CONSUME_NOTHING;
    }
    if (s->job->creates && !s->is_made) {
        status = make_group(s);
        if (status != CLI_OK) {
            return status;
        }
    }
    status = fetch(s, wait_ms);
    return status == CONSUME_NOTHING && take(s, out) ? CLI_OK : status;
}

/* Settling. */

static void write_ids(const char *const *ids, size_t count, enum consume_settle what, int ms,
                      struct buf *out)
{
    buf_add_str(out, "{\"deliveries\":[");
    for (size_t i = 0; i < count; i++) {
        buf_add_str(out, i ? "," : "");
        buf_add_json_cstr(out, ids[i]);
    }
    buf_add_char(out, ']');
    if (what == CONSUME_NACK) {
        buf_printf(out, ",\"delay_ms\":%d", ms);
    }
    buf_add_char(out, '}');
}

/* Tells those that the answer names; returns how many. */
static size_t tell_failed(const struct gateway_source *s, const struct http_answer *answer,
                          bool is_second)
{
    static const struct json_key key = JSON_KEY("failed");
    static const struct json_key keys[] = {JSON_KEY("delivery"), JSON_KEY("code")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span failed, element, members[2];
    struct json_report report;
    size_t count = 0;
    size_t at = 0;

    if (json_scan_object(answer->body.data, answer->body.len, &key, 1, &options, &failed,
                         &report) != NHUB_OK ||
        failed.kind != JSON_ARRAY) {
        return 0;
    }
    while (json_scan_element(failed.p, failed.len, &at, &options, &element, &report) == NHUB_OK &&
           json_scan_object(element.p, element.len, keys, 2, &options, members, &report) ==
               NHUB_OK) {
        char id[DELIVERY_TEXT_MAX];
        char code[48];

        text_of(&members[0], id, sizeof id);
        text_of(&members[1], code, sizeof code);
        cli_note(s->job->cli, "%s was not settled: %s%s", id, code,
                 is_second ? " (asked twice, as the connection broke)" : "");
        count += is_second ? 0 : 1;
    }
    return count;
}

static size_t gateway_settle(struct consume_source *source, enum consume_settle what,
                             const char *const *ids, size_t count, int ms)
{
    static const char *const actions[] = {"/ack", "/nack", "/extend"};
    struct gateway_source *s = self(source);
    const int64_t until_ms = clock_mono_ms() + SETTLE_TRY_MS;
    struct http_answer answer = {0};
    struct buf path, body;
    bool is_second = false;
    size_t failed = 0;
    nhub_err err = NHUB_OK;

    buf_init(&path);
    buf_init(&body);
    group_path(s, actions[what], &path);
    write_ids(ids, count, what, ms, &body);
    for (;; is_second = true) {
        buf_fini(&answer.body);
        err = call(s, "POST", &path, &body, ANSWER_MS, false, &answer);
        if (!is_passing(err, &answer) || clock_mono_ms() >= until_ms || what == CONSUME_EXTEND) {
            break;
        }
        (void)poll(NULL, 0, RETRY_MS / 4);
    }
    if (err == NHUB_OK && answer.status == 200) {
        failed = what == CONSUME_EXTEND ? 0 : tell_failed(s, &answer, is_second);
    } else if (what != CONSUME_EXTEND) {
        NHUB_IGNORE(gateway_fail(s->job->cli, "settle", s->client, err, &answer) == CLI_OK);
        cli_note(s->job->cli, "%s and %zu more may come again", ids[0], count - 1);
        failed = count;
    }
    buf_fini(&answer.body);
    buf_fini(&body);
    buf_fini(&path);
    return failed;
}

/* What was fetched and not taken goes back, to be delivered at once. */
static void give_back(struct gateway_source *s)
{
    char ids[CONSUME_BATCH][DELIVERY_TEXT_MAX];
    const char *pointers[CONSUME_BATCH];
    struct consumed delivery;
    size_t count = 0;

    do {
        for (count = 0; count < CONSUME_BATCH && take(s, &delivery); count++) {
            memcpy(ids[count], delivery.id, sizeof delivery.id);
            pointers[count] = ids[count];
        }
        if (count > 0) {
            (void)gateway_settle(&s->source, CONSUME_NACK, pointers, count, 0);
        }
    } while (count == CONSUME_BATCH);
}

static void gateway_destroy(struct consume_source *source)
{
    struct gateway_source *s = self(source);

    give_back(s);
    nhub_event_destroy(&s->event);
    buf_fini(&s->answer.body);
    http_client_destroy(&s->client);
    free(s);
}

static const struct consume_source_ops ops = {
    .next = gateway_next, .settle = gateway_settle, .destroy = gateway_destroy};

bool consume_open_gateway(struct consume_job *job, struct consume_source **out, int *out_status)
{
    struct gateway_source *s = calloc(1, sizeof *s);

    if (!s) {
        *out_status = cli_fail(job->cli, "consume", NHUB_ENOMEM, NULL);
        return false;
    }
    if (!gateway_open(job->cli, &s->client)) {
        free(s);
        *out_status = CLI_USAGE;
        return false;
    }
    s->source.ops = &ops;
    s->job = job;
    (void)snprintf(s->member, sizeof s->member, "notifyhub-%ld", (long)getpid());
    *out = &s->source;
    return true;
}
