/*
 * publisher: events out, subscriptions in.
 */
#include "daemon/publisher.h"

#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 1000
struct publisher {
    struct zsock *sock;
    struct stats *stats;
    struct log_limit long_limit;
    struct log_limit noise_limit;
    struct log_limit failure_limit;
    struct log_limit not_sent_limit;
};

nhub_err publisher_create(struct publisher **out, struct zctx *ctx, const char *host, uint16_t port,
                          struct stats *stats, uint16_t *out_port)
{
    const struct zsock_options options = {
        .sndhwm = PUBLISHER_HWM,
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
    p->long_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    p->noise_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    p->failure_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    p->not_sent_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
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

/* A large event's own memory; the line follows. */
struct large {
    size_t len;
    char line[];
};

/* The thread that gives a large event back reads this first, which makes what the loop has written
 * visible to it. One a process, because frames may outlive the publisher. */
static _Atomic uint64_t large_in_flight;

uint64_t publisher_large_in_flight(void)
{
    return atomic_load_explicit(&large_in_flight, memory_order_relaxed);
}

static void give_back(void *bytes, void *hint)
{
    struct large *large = hint;

    (void)bytes;
    (void)atomic_load_explicit(&large_in_flight, memory_order_acquire);
    atomic_fetch_sub_explicit(&large_in_flight, large->len, memory_order_acq_rel);
    free(large);
}

static nhub_err make_large(struct zframe *out, const char *line, size_t len)
{
    struct large *large = malloc(sizeof *large + len);
    nhub_err err;

    if (!large) {
        return NHUB_ENOMEM;
    }
    large->len = len;
    memcpy(large->line, line, len);
    err = zframe_init_foreign(out, large->line, len, give_back, large);
    if (err) {
        free(large);
        return err;
    }
    atomic_fetch_add_explicit(&large_in_flight, len, memory_order_acq_rel);
    return NHUB_OK;
}

static bool has_room(struct publisher *p, size_t len)
{
    uint64_t suppressed;

    if (publisher_large_in_flight() <= PUBLISHER_LARGE_BYTES) {
        return true;
    }
    p->stats->not_sent++;
    if (log_limit_pass(&p->not_sent_limit, &suppressed)) {
        log_warn("event_not_sent",
                 log_str("reason", "subscribers that do not read hold too many large events"),
                 log_uint("bytes", len), log_uint("held_bytes", publisher_large_in_flight()),
                 log_uint("not_sent_total", p->stats->not_sent),
                 log_uint("suppressed", suppressed));
    }
    return false;
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
    struct zframe large;
    const bool is_large = len > PUBLISHER_LARGE_EVENT;
    nhub_err err = NHUB_OK;

    /* The count of subscriptions is no reason to skip: a peer may unsubscribe prefixes that it
     * never had. That nobody ever subscribed is certain. */
    if (p->stats->subscribes == 0) {
        return;
    }
    if (is_large && !has_room(p, len)) {
        return;
    }
    zframe_init(&large);
    if (is_large) {
        err = make_large(&large, line, len);
    }
    if (!err) {
        err = zsock_send_bytes(p->sock, type, type_len, true);
    }
    if (!err) {
        err = is_large ? zsock_send(p->sock, &large, false)
                       : zsock_send_bytes(p->sock, line, len, false);
    }
    if (err) {
        count_failure(p, err);
    }
    zframe_close(&large);
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
