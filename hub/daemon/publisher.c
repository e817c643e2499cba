/*
 * publisher: events out, subscriptions in.
 */
#include "daemon/publisher.h"

#include "base/log.h"

#include <stdlib.h>

struct publisher {
    struct zserver *server;
    struct stats *stats;
    struct log_limit failure_limit;
};

nhub_err publisher_create(struct publisher **out, const char *host, uint16_t port,
                          struct stats *stats, uint16_t *out_port)
{
    const struct zserver_options options = {
        .type = ZSERVER_PUB,
        .host = host,
        .port = port,
        .message_max = PUBLISHER_SUBSCRIPTION_MAX,
        .block_bytes = PUBLISHER_BLOCK_BYTES,
        .held_max = PUBLISHER_HELD_BYTES,
        .queue_max = PUBLISHER_HWM,
    };
    struct publisher *p = calloc(1, sizeof *p);
    nhub_err err;

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->stats = stats;
    p->failure_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    err = zserver_create(&p->server, &options, out_port);
    if (err) {
        free(p);
        return err;
    }
    *out = p;
    return NHUB_OK;
}

void publisher_destroy(struct publisher **p_p)
{
    if (*p_p) {
        zserver_destroy(&(*p_p)->server);
        free(*p_p);
        *p_p = NULL;
    }
}

static void note_failure(struct publisher *p)
{
    uint64_t suppressed;

    if (log_limit_pass(&p->failure_limit, &suppressed)) {
        log_error("publish_failed", log_str("error", nhub_strerror(NHUB_ENOMEM)),
                  log_uint("failures_total", p->stats->send_failures),
                  log_uint("suppressed", suppressed));
    }
}

/* The socket counts; the hub's figures are read from stats. */
static void take_counts(struct publisher *p)
{
    const struct zserver_counts *counts = zserver_counts(p->server);
    const bool has_failed = counts->failed > p->stats->send_failures;

    p->stats->subscribes = counts->subscribed;
    p->stats->unsubscribes = counts->unsubscribed;
    p->stats->long_subscriptions = counts->too_long;
    p->stats->upstream_noise = counts->noise;
    p->stats->send_failures = counts->failed;
    p->stats->not_sent = counts->dropped;
    if (has_failed) {
        note_failure(p);
    }
}

void publisher_send(struct publisher *p, const char *type, size_t type_len, const char *line,
                    size_t len)
{
    zserver_publish(p->server, type, type_len, line, len);
}

bool publisher_read(struct publisher *p, unsigned budget)
{
    struct zpeer *peer = NULL;
    struct zmtp_frame frame;
    unsigned i = 0;

    while (i < budget && zserver_next(p->server, &peer, &frame) == NHUB_OK) {
        i++;
    }
    take_counts(p);
    return zserver_is_busy(p->server);
}

void publisher_end_turn(struct publisher *p)
{
    zserver_flush(p->server);
    take_counts(p);
}

struct zserver *publisher_server(struct publisher *p)
{
    return p->server;
}
