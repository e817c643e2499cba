/*
 * sub: prints events as they come.
 */
#include "base/clock.h"
#include "cli/sub.h"

#include <string.h>

#define STEP_MS     200 /* how soon a signal is noticed at the latest */
#define PATIENCE_MS 2000

static const struct command_help help = {
    .name = "sub",
    .usage = "[PATTERN]...",
    .about =
        "Prints events as they come, one line each: JSON in a pipe, a readable form at a "
        "terminal.\n"
        "A PATTERN is an event type, or holds * ? [a-z] [!a-z]; without one every event is "
        "printed.\n"
        "What was lost on the way is fetched again; what cannot be had any more is told on stderr\n"
        "(with --json also on stdout, as {\"op\":\"gap\",…}). Waits for a hub that is not there, "
        "and\n"
        "connects again by itself. Ends with ctrl-C.",
    .examples = "  notifyhub sub\n"
                "  notifyhub sub new_setup 'sensor.*' --json | jq .data\n"
                "  notifyhub sub --since earliest --timeout 1\n"
                "  notifyhub sub --since 2026-03-01T12:00:00Z 'order.*' --count 10\n"
                "  notifyhub sub --gateway http://localhost:8080 'alarm*'\n",
    .exits = "  0 ended by ctrl-C, --timeout, or after --count events · 1 --timeout came before\n"
             "  --count events · 2 wrong usage · 3 nobody answered before --timeout · 4 refused ·\n"
             "  5 a gap was told, or that the hub never gave out what --since names\n",
};

bool sub_is_over(const struct sub_state *s)
{
    return interrupt_seen() || s->is_closed || (s->wanted > 0 && s->seen >= s->wanted) ||
           clock_mono_ms() >= s->until_ms;
}

void sub_event(struct sub_state *s, const nhub_event *event)
{
    if (s->is_closed || (s->wanted > 0 && s->seen >= s->wanted)) {
        return;
    }
    s->seen++;
    s->is_closed = !out_event(s->cli, s->format, event);
}

void sub_gap(struct sub_state *s, const char *from, const char *to, const char *reason,
             uint64_t delivered)
{
    if (s->is_closed || (s->wanted > 0 && s->seen >= s->wanted)) {
        return;
    }
    s->gaps++;
    s->is_closed = !out_gap(s->cli, from, to, reason, delivered);
}

static void on_event(void *context, const nhub_event *event)
{
    sub_event(context, event);
}

static void on_gap(void *context, const nhub_gap *gap)
{
    struct sub_state *s = context;
    char from[NHUB_POSITION_TEXT_MAX] = "";
    char to[NHUB_POSITION_TEXT_MAX] = "";
    bool is_since;

    if (gap->from.epoch[0] != '\0') {
        (void)nhub_position_format(&gap->from, from);
    }
    if (gap->to.epoch[0] != '\0') {
        (void)nhub_position_format(&gap->to, to);
    }
    /* A bare number that the hub never gave out is no position: it is told as it was asked for. */
    is_since = from[0] == '\0' && s->since && strcmp(gap->reason, OUT_UNKNOWN) == 0;
    sub_gap(s, is_since ? s->since : from, to, gap->reason, gap->delivered);
}

/* The statistics event and hub.* come only to those who name them, so "*" is everything else. */
static nhub_err subscribe(struct sub_state *s, nhub_subscriber *subscriber)
{
    if (s->patterns.count == 0) {
        return nhub_subscriber_on(subscriber, "*", on_event, s);
    }
    for (size_t i = 0; i < s->patterns.count; i++) {
        const nhub_err err = nhub_subscriber_on(subscriber, s->patterns.items[i], on_event, s);

        if (err != NHUB_OK) {
            return err;
        }
    }
    return NHUB_OK;
}

static int poll_ms(const struct sub_state *s, int64_t now_ms)
{
    const int64_t left = s->until_ms - now_ms;

    if (left <= 0) {
        return 0;
    }
    return left < STEP_MS ? (int)left : STEP_MS;
}

static int run(struct sub_state *s, nhub_subscriber *subscriber)
{
    const int64_t start_ms = clock_mono_ms();
    bool is_told = false;

    while (!sub_is_over(s)) {
        const int64_t now_ms = clock_mono_ms();
        const uint64_t left = s->wanted > 0 ? s->wanted - s->seen : 0;
        const nhub_err err = nhub_subscriber_poll(subscriber, poll_ms(s, now_ms),
                                                  left < 1000 ? (size_t)left : 0, NULL);

        if (err == NHUB_ESTATE) {
            cli_error(s->cli, "the hub speaks a protocol version that this program does not know");
            return CLI_REFUSED;
        }
        if (err != NHUB_OK) {
            return cli_fail(s->cli, "subscribe", err, NULL);
        }
        s->was_connected |= nhub_subscriber_position(subscriber).epoch[0] != '\0';
        if (!s->was_connected && !is_told && now_ms - start_ms > PATIENCE_MS) {
            is_told = true;
            cli_note(s->cli, "waiting for a hub at %s, ports %u and %u", s->cli->host,
                     (unsigned)s->cli->publisher_port, (unsigned)s->cli->requests_port);
        }
    }
    return CLI_OK;
}

static int sub_hub(struct sub_state *s)
{
    const nhub_subscriber_options options = {
        .host = s->cli->host,
        .publisher_port = s->cli->publisher_port,
        .requests_port = s->cli->requests_port,
        .since = s->since,
        .on_gap = on_gap,
        .gap_context = s,
    };
    nhub_subscriber *subscriber = NULL;
    int status = CLI_OK;
    nhub_err err = nhub_subscriber_create(&subscriber, &options);

    if (err != NHUB_OK) {
        return cli_fail(s->cli, "subscribe", err, NULL);
    }
    err = subscribe(s, subscriber);
    status = err == NHUB_OK ? run(s, subscriber) : cli_fail(s->cli, "subscribe", err, NULL);
    nhub_subscriber_destroy(&subscriber);
    return status;
}

/* What the end means. */
static int conclude(const struct sub_state *s)
{
    if (s->gaps > 0) {
        return CLI_GAP;
    }
    if (interrupt_seen() || s->is_closed) {
        return CLI_OK;
    }
    if (!s->was_connected) {
        cli_error(s->cli, "nobody answered in time");
        return CLI_UNREACHABLE;
    }
    return s->wanted > 0 && s->seen < s->wanted ? CLI_NEGATIVE : CLI_OK;
}

int cmd_sub(struct cli *cli, int argc, char **argv)
{
    struct sub_state s = {.cli = cli, .until_ms = INT64_MAX};
    const struct arg args[] = {
        {"since", 's', ARG_TEXT, &s.since, "WHEN",
         "begin behind a position (epoch-seq), a number of this epoch,\nat a time (RFC 3339), or "
         "at the earliest event",
         0, 0},
        {"count", 'n', ARG_NUMBER, &s.wanted, "N", "end after N events", 1, 0},
        {"timeout", 't', ARG_TIME, &cli->timeout_ms, "TIME", "end after this time", 0, 0},
        {"human", 0, ARG_FLAG, &cli->is_human, NULL, "the readable form, also in a pipe", 0, 0},
        {.name = NULL}};
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > CLI_LIST_MAX) {
        return args_mistake(cli, &help, "at most %d patterns", CLI_LIST_MAX);
    }
    for (int i = 0; i < argc; i++) {
        s.patterns.items[s.patterns.count++] = argv[i];
    }
    status = args_check_reading(cli, &help, s.since, &s.patterns);
    if (status != CLI_OK) {
        return status;
    }
    s.format = out_format_of(cli);
    if (cli->timeout_ms > 0) {
        s.until_ms = clock_mono_ms() + cli->timeout_ms;
    }
    interrupt_install();
    status = cli->gateway ? sub_stream(&s) : sub_hub(&s);
    return status == CLI_OK ? conclude(&s) : status;
}
