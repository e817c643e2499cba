/*
 * gateway: each part is started after those that it uses, and stopped before them. The hub link is
 * the exception at the end: it is stopped early, so that every job is answered while those who wait
 * for the answers still turn, and freed late.
 */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/front_door.h"
#include "gateway/protocols/http_fetches.h"
#include "gateway/protocols/http_server.h"
#include "gateway/stream_loop.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    FDS_WANTED = 65536,
    STUCK_MS = 10000,
    DRAIN_GRACE_MS = 2000, /* behind gateway.drain_s */
    ANSWER_GRACE_MS = 500  /* for publishes that are under way when we stop */
};

static void say_failed(const char *part, nhub_err err)
{
    log_error("start_failed", log_str("part", part), log_str("error", nhub_strerror(err)));
}

static nhub_err start_link(struct gateway *g)
{
    nhub_err err = stream_loop_create(&g->streams, g->settings, &g->counters);

    if (err != NHUB_OK) {
        say_failed("stream loop", err);
        return err;
    }
    err = hub_link_create(&g->link, g->settings, &g->counters, stream_loop_feed(g->streams));
    if (err != NHUB_OK) {
        say_failed("hub link", err);
        return err;
    }
    err = stream_loop_start(g->streams, g->link);
    if (err != NHUB_OK) {
        say_failed("stream loop", err);
    }
    return err;
}

static void say_not_listening(const struct gateway *g, nhub_err err, int errnum)
{
    char text[256];

    NHUB_IGNORE(snprintf(text, sizeof text,
                         "gateway.listen %s: %s; choose another address with --gateway-listen "
                         "HOST:PORT",
                         g->settings->gateway.listen,
                         err == NHUB_ESYS ? strerror(errnum) : "no such address") < 0);
    log_error("start_failed", log_str("part", "front door"), log_str("error", text));
}

static nhub_err start_doors(struct gateway *g)
{
    nhub_err err = http_fetches_create(&g->fetches);

    if (err == NHUB_OK) {
        err = http_server_create(&g->http, g);
    }
    if (err != NHUB_OK) {
        say_failed("http server", err);
        return err;
    }
    err = front_door_create(&g->door, g->settings, &g->counters, g->http, g->streams);
    if (err != NHUB_OK) {
        say_not_listening(g, err, errno);
    }
    return err;
}

static void say_ceiling(const struct memory_ceiling *c)
{
    log_info("memory_ceiling", log_uint("bytes", c->total), log_uint("resident", c->resident),
             log_uint("cache", c->part[MEMORY_CACHE]), log_uint("streams", c->part[MEMORY_STREAMS]),
             log_uint("link", c->part[MEMORY_LINK]),
             log_uint("publishes", c->part[MEMORY_PUBLISHES]),
             log_uint("groups", c->part[MEMORY_GROUPS]), log_uint("bodies", c->part[MEMORY_BODIES]),
             log_uint("messages", c->part[MEMORY_MESSAGES]),
             log_uint("connections", c->part[MEMORY_CONNECTIONS]),
             log_uint("kernel_send_buffers", c->part[MEMORY_KERNEL]));
}

nhub_err gateway_start(struct gateway *g, const struct settings *settings)
{
    size_t fds = 0;
    nhub_err err = NHUB_OK;

    memset(g, 0, sizeof *g);
    g->settings = settings;
    g->start_mono_ms = clock_mono_ms();
    g->start_wall_us = clock_wall_us();
    /* Not those of an earlier life of this gateway: fewer than a million connect in a second. */
    counter_set(&g->counters.last_client, (uint64_t)g->start_wall_us);
    /* Before any library sizes its tables by the limit. */
    fds = net_raise_fd_limit(FDS_WANTED);
    net_reserve_fds(fds < FDS_WANTED ? fds : FDS_WANTED);
    /* The first JSON text would read the random device in some request otherwise. */
    json_object_seed(0);
    err = start_link(g);
    if (err == NHUB_OK) {
        memory_ceiling_compute(&g->ceiling, settings, front_door_limit(settings));
        say_ceiling(&g->ceiling);
        err = start_doors(g);
    }
    if (err != NHUB_OK) {
        gateway_stop(g);
    }
    return err;
}

void gateway_drain(struct gateway *g)
{
    const int64_t over_ms = (int64_t)g->settings->gateway.drain_s * 1000;

    g->drain_mono_ms = clock_mono_ms();
    atomic_store(&g->draining, true);
    front_door_drain(g->door);
    stream_loop_drain(g->streams, over_ms);
}

bool gateway_drained(struct gateway *g)
{
    const int64_t over_ms = (int64_t)g->settings->gateway.drain_s * 1000;

    return stream_loop_idle(g->streams) ||
           clock_mono_ms() - g->drain_mono_ms > over_ms + DRAIN_GRACE_MS;
}

void gateway_stop(struct gateway *g)
{
    atomic_store(&g->draining, true);
    if (g->door) {
        front_door_stop(g->door);
    }
    if (g->link) {
        hub_link_stop(g->link, ANSWER_GRACE_MS);
    }
    if (g->http) {
        http_server_finish(g->http);
    }
    if (g->streams) {
        stream_loop_stop(g->streams);
    }
    http_server_destroy(&g->http);
    front_door_destroy(&g->door); /* only now does nobody ask for its heartbeat any more */
    hub_link_destroy(&g->link);
    stream_loop_destroy(&g->streams);
    http_fetches_destroy(&g->fetches);
}

const char *gateway_stuck_loop(struct gateway *g)
{
    struct hub_link_status link;

    hub_link_status(g->link, &link);
    if (stream_loop_heartbeat_age_ms(g->streams) > STUCK_MS) {
        return "stream loop";
    }
    if (http_server_heartbeat_age_ms(g->http) > STUCK_MS) {
        return "http";
    }
    if (front_door_heartbeat_age_ms(g->door) > STUCK_MS) {
        return "front door";
    }
    return link.heartbeat_age_ms > STUCK_MS ? "hub link" : NULL;
}

const char *gateway_not_ready(struct gateway *g, char *text, size_t size)
{
    struct hub_link_status link;

    if (atomic_load(&g->draining)) {
        NHUB_IGNORE(snprintf(text, size, "draining: this gateway is going to stop") < 0);
        return text;
    }
    hub_link_status(g->link, &link);
    if (link.connected && link.caught_up) {
        return NULL;
    }
    NHUB_IGNORE(snprintf(text, size, "%s", link.reason[0] ? link.reason : "not connected") < 0);
    return text;
}
