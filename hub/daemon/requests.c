/*
 * requests: from frames to actions.
 *
 * frames: message type, JSON, then events of a publish; what follows another request is ignored.
 * All of it may be packed into one frame.
 */
#include "daemon/requests.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "daemon/acks.h"
#include "daemon/call.h"
#include "daemon/envelope.h"
#include "daemon/groups.h"
#include "daemon/history.h"
#include "daemon/lookup.h"
#include "daemon/publish.h"
#include "wire/packed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Answers of a peer that the socket holds; more wait in replies, whose queues are bounded by bytes.
 */
#define SEND_HWM 1000
/* Answers are gathered in blocks of so many bytes; one that waits for a peer keeps its block. */
#define BLOCK_BYTES (8u << 10)

#define PEER_MAX 64

/* The message that is being read. */
struct reading {
    size_t frames; /* read so far */
    enum message_type type;
    size_t type_len;
    struct call call;
    bool is_parsed;      /* the JSON was readable */
    char peer[PEER_MAX]; /* its address, where the action depends on it; "" = unknown */
};

struct requests {
    struct requests_parts parts;
    struct zserver *server;
    struct replies *replies;
    struct order *order;
    struct acks *acks;
    struct publish *publish;
    struct history *history;
    struct groups *groups;
    struct reading reading;
    struct log_limit noise_limit;
    struct log_limit bad_limit;
    bool is_stopping;
    bool wants_stop;
};

static nhub_err open_socket(struct requests *r, const char *host, uint16_t port, uint16_t *out_port)
{
    const struct zserver_options options = {
        .type = ZSERVER_ROUTER,
        .host = host,
        .port = port,
        .message_max = 2 * publish_max_bytes(r->parts.settings),
        .block_bytes = BLOCK_BYTES,
        .queue_max = SEND_HWM,
    };

    return zserver_create(&r->server, &options, out_port);
}

static nhub_err create_publish(struct requests *r)
{
    const struct publish_parts parts = {.intake = r->parts.intake,
                                        .journal = r->parts.journal,
                                        .acks = r->acks,
                                        .server = r->server,
                                        .settings = r->parts.settings};

    return publish_create(&r->publish, &parts);
}

/* Tells those who wait that more is kept now (journal_kept_fn). */
static void kept(void *context, int durability, uint64_t seq, uint64_t batch, nhub_err status)
{
    struct requests *r = context;

    (void)seq;
    acks_kept(r->acks, durability, batch, status);
    groups_kept(r->groups, batch, status);
}

static nhub_err create_groups(struct requests *r)
{
    const struct groups_parts parts = {.settings = r->parts.settings,
                                       .journal = r->parts.journal,
                                       .intake = r->parts.intake,
                                       .acks = r->acks};

    return groups_create(&r->groups, &parts);
}

static nhub_err create_parts(struct requests *r)
{
    const struct replies_limits limits = REPLIES_LIMITS;
    const struct reply_sink sink = reply_sink_server(r->server);
    nhub_err err = replies_create(&r->replies, &sink, &limits, r->parts.stats);

    if (!err) {
        err = order_create(&r->order, r->replies, r->parts.stats);
    }
    if (!err) {
        err = acks_create(&r->acks, r->parts.journal);
    }
    if (!err) {
        err = create_publish(r);
    }
    if (!err) {
        err = history_create(&r->history, r->parts.journal, r->parts.settings);
    }
    if (!err) {
        err = create_groups(r);
    }
    if (!err) {
        journal_set_listener(r->parts.journal, kept, r);
    }
    return err;
}

nhub_err requests_create(struct requests **out, const char *host, uint16_t port,
                         const struct requests_parts *parts, uint16_t *out_port)
{
    struct requests *r = calloc(1, sizeof *r);
    nhub_err err;
    int saved;

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->parts = *parts;
    r->noise_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    r->bad_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    err = open_socket(r, host, port, out_port);
    if (!err) {
        err = create_parts(r);
    }
    if (err) {
        saved = errno;
        requests_destroy(&r);
        errno = saved;
        return err;
    }
    *out = r;
    return NHUB_OK;
}

/* Ends the message being read: frees what was gathered of it. */
static void end_reading(struct requests *r)
{
    if (r->reading.frames > 0) {
        call_fini(&r->reading.call);
    }
    publish_reset(r->publish);
    r->reading = (struct reading){.frames = 0};
}

void requests_close(struct requests *r)
{
    if (r->publish) {
        end_reading(r);
    }
    journal_set_listener(r->parts.journal, NULL, NULL);
    publish_destroy(&r->publish);
    if (r->groups) {
        groups_close(r->groups);
    }
    acks_destroy(&r->acks);
    order_destroy(&r->order);
    replies_destroy(&r->replies);
}

void requests_destroy(struct requests **r_p)
{
    struct requests *r = *r_p;

    if (r) {
        requests_close(r);
        zserver_destroy(&r->server);
        history_destroy(&r->history);
        groups_destroy(&r->groups);
        free(r);
        *r_p = NULL;
    }
}

/* ---- actions ---- */

static bool may_terminate(const struct requests *r, const char *peer)
{
    struct net_address address;

    switch (r->parts.settings->hub.allow_terminate) {
    case TERMINATE_ANY:
        return true;
    case TERMINATE_LOOPBACK:
        return net_parse_address(peer, &address) == NHUB_OK && net_is_loopback(address.host);
    default:
        return false;
    }
}

static void terminate(struct requests *r, struct call *call, const char *peer)
{
    struct buf out;

    if (!may_terminate(r, peer)) {
        log_warn("terminate_refused", log_str("peer", peer));
        call_refuse(call, "terminate is not allowed from here (hub.allow_terminate)",
                    "terminate_refused");
        return;
    }
    log_info("terminate_requested", log_str("peer", peer));
    r->wants_stop = true;
    buf_init(&out);
    answer_terminating(&out, &call->request, clock_wall_us());
    call_answer(call, &out, NULL);
}

static void note_unknown_action(struct requests *r, const char *action)
{
    uint64_t suppressed;

    if (log_limit_pass(&r->bad_limit, &suppressed)) {
        log_warn("unknown_action", log_str("action", action), log_uint("suppressed", suppressed));
    }
}

/* The actions whose answer is at hand. */
static void answer_figures(struct requests *r, struct call *call)
{
    const struct requests_parts *parts = &r->parts;
    const struct request *request = &call->request;
    struct stats_gauges gauges;
    struct journal_state state;
    struct buf out;

    buf_init(&out);
    switch (request->action) {
    case ACTION_HEALTH:
        journal_state(parts->journal, &state);
        answer_health(&out, request, &state, clock_wall_us());
        break;
    case ACTION_INFO:
        answer_info(&out, request, parts->ports, parts->stats, parts->journal->epoch,
                    clock_wall_us());
        break;
    case ACTION_STATS:
        parts->gauges(parts->context, &gauges);
        answer_stats(&out, request, parts->stats, &gauges);
        break;
    default:
        note_unknown_action(r, request->action_name);
        answer_unknown_action(&out, request);
        break;
    }
    call_answer(call, &out, NULL);
}

static void run_action(struct requests *r, struct reading *reading)
{
    struct call *call = &reading->call;

    r->parts.stats->requests[call->request.action]++;
    switch (call->request.action) {
    case ACTION_TERMINATE:
        terminate(r, call, reading->peer);
        break;
    case ACTION_PUBLISH:
        publish_run(r->publish, call, r->is_stopping);
        break;
    case ACTION_POSITION:
        lookup_position(r->parts.journal, r->parts.settings, call);
        break;
    case ACTION_HISTORY:
        history_run(r->history, call);
        break;
    case ACTION_COUNT:
        lookup_count(r->parts.journal, call);
        break;
    case ACTION_HEALTH:
    case ACTION_INFO:
    case ACTION_STATS:
    case ACTION_UNKNOWN:
        answer_figures(r, call);
        break;
    case ACTION_GROUP_CREATE:
    case ACTION_GROUP_DELETE:
    case ACTION_GROUPS:
    case ACTION_GROUP:
    case ACTION_FETCH:
    case ACTION_ACK:
    case ACTION_NACK:
    case ACTION_EXTEND:
        groups_run(r->groups, call);
        break;
    }
}

/* ---- reading ---- */

static void refuse_unreadable(struct requests *r, struct call *call, struct buf *error_text)
{
    struct buf out;
    uint64_t suppressed;

    r->parts.stats->requests_bad++;
    if (log_limit_pass(&r->bad_limit, &suppressed)) {
        log_warn("bad_request", log_str("error", buf_cstr(error_text)),
                 log_uint("bad_total", r->parts.stats->requests_bad),
                 log_uint("suppressed", suppressed));
    }
    buf_init(&out);
    envelope_error(&out, buf_cstr(error_text), call->request.error_code);
    envelope_end(&out, &call->request);
    call_answer(call, &out, NULL);
}

static void take_json(struct requests *r, const void *text, size_t len)
{
    struct reading *reading = &r->reading;
    struct buf error_text;

    if (reading->type == MESSAGE_UNKNOWN) {
        return;
    }
    buf_init(&error_text);
    reading->call.replies = r->replies;
    reading->call.order = r->order;
    reading->call.stats = r->parts.stats;
    reading->call.wants_answer = reading->type == MESSAGE_REQ;
    reading->is_parsed = request_parse(text, len, &reading->call.request, &error_text) == NHUB_OK;
    if (reading->is_parsed && reading->call.request.action == ACTION_TERMINATE) {
        zserver_address(r->server, reading->call.peer, reading->peer, sizeof reading->peer);
    }
    call_begin(&reading->call);
    if (!reading->is_parsed) {
        refuse_unreadable(r, &reading->call, &error_text);
    }
    buf_fini(&error_text);
}

static void note_unknown_message(struct requests *r)
{
    uint64_t suppressed;

    r->parts.stats->unknown_messages++;
    if (log_limit_pass(&r->noise_limit, &suppressed)) {
        log_warn("unknown_message_type", log_uint("type_bytes", r->reading.type_len),
                 log_uint("unknown_total", r->parts.stats->unknown_messages),
                 log_uint("suppressed", suppressed));
    }
}

static void note_short_message(struct requests *r)
{
    uint64_t suppressed;

    r->parts.stats->short_messages++;
    if (log_limit_pass(&r->noise_limit, &suppressed)) {
        log_warn("short_message", log_uint("short_total", r->parts.stats->short_messages),
                 log_uint("suppressed", suppressed));
    }
}

static void take_type(struct reading *reading, const void *type, size_t len)
{
    reading->type = message_type_parse(type, len);
    reading->type_len = len;
}

static bool carries_events(const struct reading *reading)
{
    return reading->is_parsed && reading->call.request.action == ACTION_PUBLISH;
}

/* Everything at once. */
static void take_packed(struct requests *r, struct packed_reader *parts)
{
    struct reading *reading = &r->reading;
    const void *part = NULL;
    size_t len = 0;

    if (!packed_next(parts, &part, &len)) {
        return;
    }
    take_type(reading, part, len);
    if (!packed_next(parts, &part, &len)) {
        return;
    }
    reading->frames++;
    take_json(r, part, len);
    if (carries_events(reading)) {
        publish_add_packed(r->publish, parts);
    }
}

static void take_frame(struct requests *r, const struct zmtp_frame *frame)
{
    struct reading *reading = &r->reading;
    struct packed_reader parts;

    switch (reading->frames++) {
    case 0:
        if (!frame->more && packed_open(&parts, frame->bytes, frame->len)) {
            take_packed(r, &parts);
        } else {
            take_type(reading, frame->bytes, frame->len);
        }
        break;
    case 1:
        take_json(r, frame->bytes, frame->len);
        break;
    default:
        if (carries_events(reading)) {
            publish_add(r->publish, frame->bytes, frame->len);
        }
        break;
    }
}

static void finish_message(struct requests *r)
{
    struct reading *reading = &r->reading;

    if (reading->frames < 2) {
        note_short_message(r);
    } else if (reading->type == MESSAGE_UNKNOWN) {
        note_unknown_message(r);
    } else if (reading->is_parsed) {
        run_action(r, reading);
    }
    end_reading(r);
}

/* A request that came packed has all its events in one frame. */
bool requests_read(struct requests *r, unsigned budget)
{
    struct zpeer *peer = NULL;
    struct zmtp_frame frame;
    size_t used = 0;

    while (used < budget && zserver_next(r->server, &peer, &frame) == NHUB_OK) {
        const size_t before = publish_count(r->publish);
        size_t events;

        r->reading.call.peer = zpeer_id(peer);
        take_frame(r, &frame);
        events = publish_count(r->publish) - before;
        used += events > 1 ? events : 1;
        if (!frame.more) {
            finish_message(r);
        }
    }
    return zserver_is_busy(r->server);
}

void requests_begin_turn(struct requests *r)
{
    publish_turn(r->publish);
}

bool requests_is_holding(const struct requests *r)
{
    return publish_is_holding(r->publish);
}

uint64_t requests_waiting(const struct requests *r)
{
    return acks_count(r->acks);
}

bool requests_work(struct requests *r, bool is_busy)
{
    return groups_work(r->groups, is_busy);
}

void requests_groups(const struct requests *r, struct stats_groups *out)
{
    groups_figures(r->groups, out);
}

int requests_wait_ms(const struct requests *r, int64_t now_ms)
{
    return groups_wait_ms(r->groups, now_ms);
}

bool requests_end_turn(struct requests *r)
{
    bool is_waiting;

    replies_end_turn(r->replies);
    is_waiting = replies_retry(r->replies);
    zserver_flush(r->server);
    return is_waiting;
}

void requests_set_stopping(struct requests *r)
{
    r->is_stopping = true;
    groups_set_stopping(r->groups);
}

bool requests_wants_stop(const struct requests *r)
{
    return r->wants_stop;
}

struct zserver *requests_server(struct requests *r)
{
    return r->server;
}
