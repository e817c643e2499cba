/*
 * publisher: events out, subscriptions in.
 */
#include "daemon/publisher.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 1000
/* The high-water mark is looked at again after so many events or bytes. */
#define HWM_PERIOD_EVENTS 1024
#define HWM_PERIOD_BYTES  (UINT64_C(16) << 20)

struct publisher {
    struct zsock *sock;
    struct stats *stats;
    uint64_t period_events;
    uint64_t period_bytes;
    uint64_t hwm;
    struct log_limit long_limit;
    struct log_limit noise_limit;
    struct log_limit failure_limit;
};

nhub_err publisher_create(struct publisher **out, struct zctx *ctx, const char *host, uint16_t port,
                          struct stats *stats, uint16_t *out_port)
{
    const struct zsock_options options = {
        .sndhwm = PUBLISHER_HWM_MAX,
        .rcvhwm = 1000,
        .linger_ms = LINGER_MS,
        .max_msg_bytes = PUBLISHER_SUBSCRIPTION_MAX,
        .xpub_verboser = true,
    };
    struct publisher *p = calloc(1, sizeof *p);
    nhub_err err;
    int saved;

    if (!p) {
        return NHUB_ENOMEM;
    }
    p->stats = stats;
    p->hwm = PUBLISHER_HWM_MAX;
    stats->subscriber_hwm = p->hwm;
    p->long_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    p->noise_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    p->failure_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    err = zsock_create(&p->sock, ctx, ZSOCK_XPUB, &options);
    if (!err) {
        err = zsock_bind(p->sock, host, port, out_port);
    }
    if (err) {
        saved = errno;
        publisher_destroy(&p);
        errno = saved;
        return err;
    }
    *out = p;
    return NHUB_OK;
}

void publisher_destroy(struct publisher **p_p)
{
    if (*p_p) {
        zsock_destroy(&(*p_p)->sock);
        free(*p_p);
        *p_p = NULL;
    }
}

/* Follows the size of events: shrinks at once, grows by at most a factor of two a period, because
 * one burst of small events says little about what a stalled subscriber already holds. */
static void adapt_hwm(struct publisher *p)
{
    const uint64_t mean = p->period_bytes / p->period_events + 1;
    uint64_t wanted = PUBLISHER_BACKLOG_BYTES / mean;

    p->period_events = 0;
    p->period_bytes = 0;
    if (wanted > p->hwm * 2) {
        wanted = p->hwm * 2;
    }
    if (wanted < PUBLISHER_HWM_MIN) {
        wanted = PUBLISHER_HWM_MIN;
    }
    if (wanted > PUBLISHER_HWM_MAX) {
        wanted = PUBLISHER_HWM_MAX;
    }
    if (wanted != p->hwm && zsock_set_sndhwm(p->sock, (int)wanted) == NHUB_OK) {
        p->hwm = wanted;
        p->stats->subscriber_hwm = wanted;
    }
}

static void count_failure(struct publisher *p, nhub_err err)
{
    uint64_t suppressed;

    p->stats->send_failures++;
    if (log_limit_pass(&p->failure_limit, &suppressed)) {
        log_error("publish_failed", log_str("error", nhub_strerror(err)),
                  log_uint("failures_total", p->stats->send_failures),
                  log_uint("suppressed", suppressed));
    }
}

void publisher_send(struct publisher *p, const char *type, size_t type_len, const char *line,
                    size_t len)
{
    struct zframe frame;
    nhub_err err;

    /* The count of subscriptions is no reason to skip: a peer may unsubscribe prefixes that it
     * never had. That nobody ever subscribed is certain. */
    if (p->stats->subscribes == 0) {
        return;
    }
    err = zframe_init_copy(&frame, line, len);
    if (err) {
        count_failure(p, err);
        return;
    }
    err = zsock_send_bytes(p->sock, type, type_len, true);
    if (!err) {
        err = zsock_send(p->sock, &frame, false);
    }
    if (err) {
        count_failure(p, err);
    }
    zframe_close(&frame);
    p->period_events++;
    p->period_bytes += len;
    if (p->period_events >= HWM_PERIOD_EVENTS || p->period_bytes >= HWM_PERIOD_BYTES) {
        adapt_hwm(p);
    }
}

static void note_long(struct publisher *p, size_t len)
{
    uint64_t suppressed;

    p->stats->long_subscriptions++;
    if (log_limit_pass(&p->long_limit, &suppressed)) {
        log_warn("subscription_too_long", log_uint("prefix_bytes", len),
                 log_uint("max_bytes", EVENT_TYPE_MAX), log_uint("suppressed", suppressed));
    }
}

static void take_message(struct publisher *p, const unsigned char *bytes, size_t len)
{
    uint64_t suppressed;

    if (len == 0 || bytes[0] > 1) {
        p->stats->upstream_noise++;
        if (log_limit_pass(&p->noise_limit, &suppressed)) {
            log_warn("subscriber_noise", log_uint("bytes", len),
                     log_uint("suppressed", suppressed));
        }
        return;
    }
    if (bytes[0] == 1) {
        p->stats->subscribes++;
        if (len - 1 > EVENT_TYPE_MAX) {
            note_long(p, len - 1);
        }
    } else {
        p->stats->unsubscribes++;
    }
}

bool publisher_read(struct publisher *p, unsigned budget)
{
    struct zframe frame;
    unsigned i;

    zframe_init(&frame);
    for (i = 0; i < budget; i++) {
        if (zsock_recv(p->sock, &frame) != NHUB_OK) {
            break;
        }
        take_message(p, zframe_data(&frame), zframe_size(&frame));
    }
    zframe_close(&frame);
    return i == budget;
}

struct zsock *publisher_socket(struct publisher *p)
{
    return p->sock;
}
