/*
 * consume_hub: deliveries from the hub, by libnotifyhub's consumer.
 */
#include "base/clock.h"
#include "cli/consume.h"

#include <stdlib.h>
#include <string.h>

#define STEP_MS       200 /* how soon a signal is noticed at the latest */
#define SETTLE_MS     10000
#define NOTE_AFTER_MS 2000

struct hub_source {
    struct consume_source source;
    struct consume_job *job;
    nhub_consumer *consumer;
    int64_t start_ms;
    bool is_told;
};

static void on_gap(void *context, const nhub_gap *gap)
{
    char from[NHUB_POSITION_TEXT_MAX] = "";
    char to[NHUB_POSITION_TEXT_MAX] = "";

    if (gap->from.epoch[0] != '\0') {
        (void)nhub_position_format(&gap->from, from);
    }
    if (gap->to.epoch[0] != '\0') {
        (void)nhub_position_format(&gap->to, to);
    }
    consume_gap(context, from, to, gap->reason);
}

static void note_waiting(struct hub_source *s)
{
    const struct cli *cli = s->job->cli;

    s->job->was_connected |= nhub_consumer_is_connected(s->consumer);
    if (!s->job->was_connected && !s->is_told && clock_mono_ms() - s->start_ms > NOTE_AFTER_MS) {
        s->is_told = true;
        cli_note(cli, "waiting for a hub at %s, port %u", cli->host, (unsigned)cli->requests_port);
    }
}

static int fail(const struct hub_source *s, nhub_err err)
{
    const char *reason = nhub_consumer_error(s->consumer);

    if (err == NHUB_ENOTFOUND || err == NHUB_ECONFLICT) {
        cli_error(s->job->cli, "cannot consume: %s", *reason ? reason : nhub_strerror(err));
        return CLI_REFUSED;
    }
    return cli_fail(s->job->cli, "consume", err, reason);
}

static int hub_next(struct consume_source *source, int wait_ms, struct consumed *out)
{
    struct hub_source *s = (struct hub_source *)(void *)source;
    const nhub_delivery *delivery = NULL;
    const nhub_err err =
        nhub_consumer_next(s->consumer, wait_ms < STEP_MS ? wait_ms : STEP_MS, &delivery);

    note_waiting(s);
    if (err == NHUB_ETIMEOUT || err == NHUB_EAGAIN) {
        return CONSUME_NOTHING;
    }
    if (err != NHUB_OK) {
        return fail(s, err);
    }
    *out = (struct consumed){.event = delivery->event,
                             .attempt = delivery->attempt,
                             .visibility_ms = (int)delivery->visibility_ms};
    (void)snprintf(out->id, sizeof out->id, "%s", delivery->id);
    return CLI_OK;
}

static nhub_err call(struct hub_source *s, enum consume_settle what, const char *const *ids,
                     size_t count, int ms, nhub_settled *out)
{
    if (what == CONSUME_ACK) {
        return nhub_consumer_ack(s->consumer, ids, count, SETTLE_MS, out);
    }
    if (what == CONSUME_NACK) {
        return nhub_consumer_nack(s->consumer, ids, count, (uint32_t)ms, SETTLE_MS, out);
    }
    return nhub_consumer_extend(s->consumer, ids, count, 0, SETTLE_MS, out);
}

static size_t hub_settle(struct consume_source *source, enum consume_settle what,
                         const char *const *ids, size_t count, int ms)
{
    struct hub_source *s = (struct hub_source *)(void *)source;
    nhub_settled settled = {.failed_count = 0};
    const nhub_err err = call(s, what, ids, count, ms, &settled);

    if (err == NHUB_OK || what == CONSUME_EXTEND) {
        return 0;
    }
    if (err != NHUB_ECONFLICT) {
        cli_error(s->job->cli, "%s and %zu more may come again: %s", ids[0], count - 1,
                  *nhub_consumer_error(s->consumer) ? nhub_consumer_error(s->consumer)
                                                    : nhub_strerror(err));
        return count;
    }
    for (size_t i = 0; i < settled.failed_count; i++) {
        cli_note(s->job->cli, "%s was not settled: %s%s", settled.failed[i].id,
                 settled.failed[i].code,
                 settled.was_resent ? " (asked twice, as the connection broke)" : "");
    }
    return settled.was_resent ? 0 : settled.failed_count;
}

static void hub_destroy(struct consume_source *source)
{
    struct hub_source *s = (struct hub_source *)(void *)source;

    nhub_consumer_destroy(&s->consumer);
    free(s);
}

static const struct consume_source_ops ops = {
    .next = hub_next, .settle = hub_settle, .destroy = hub_destroy};

static nhub_err open_consumer(struct hub_source *s)
{
    const struct consume_job *job = s->job;
    const struct group_settings *g = &job->settings;
    const nhub_consumer_options options = {
        .host = job->cli->host,
        .requests_port = job->cli->requests_port,
        .group = job->group,
        .member = job->member,
        .prefetch = (uint32_t)job->prefetch,
        .on_gap = on_gap,
        .gap_context = s->job,
        .create = job->creates,
        .patterns = g->patterns.items,
        .pattern_count = g->patterns.count,
        .since = g->since,
        .visibility_ms = (uint32_t)g->visibility_ms,
        .max_attempts = g->attempts == GROUP_ATTEMPTS_NONE ? 0
                        : g->attempts == 0                 ? -1
                                                           : (int32_t)g->attempts,
        .ordered = g->is_ordered,
        .hold = g->is_held,
    };

    return nhub_consumer_create(&s->consumer, &options);
}

bool consume_open_hub(struct consume_job *job, struct consume_source **out, int *out_status)
{
    struct hub_source *s = calloc(1, sizeof *s);
    nhub_err err = NHUB_ENOMEM;

    if (s) {
        s->source.ops = &ops;
        s->job = job;
        s->start_ms = clock_mono_ms();
        err = open_consumer(s);
    }
    if (err != NHUB_OK) {
        free(s);
        *out_status = cli_fail(job->cli, "consume", err, NULL);
        return false;
    }
    *out = &s->source;
    return true;
}
