/*
 * hub: create, turn, stop.
 */
#include "daemon/hub.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "base/service.h"
#include "daemon/disk.h"
#include "daemon/intake.h"
#include "daemon/publish.h"
#include "daemon/publisher.h"
#include "daemon/ring.h"
#include "daemon/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Frames read of a socket in a turn: enough to pay for the wake-up (twice the rate of one at a
 * time), few enough that the others wait less than a millisecond. */
#define TURN_BUDGET 256
#define TICK_MS     1000
/* How soon full peers are tried again. */
#define RETRY_MS 5
/* At the end publishers' events that are under way are taken for so long: enough for all that the
 * kernel's and our own queues can hold, also on a slow machine; … */
#define DRAIN_MAX_MS 2000
/* … but not longer than this after the last one came. */
#define DRAIN_QUIET_MS 50
/* At the very end peers have so long to take what waits for them. */
#define LINGER_MS      1000
#define LINGER_LOOK_MS 2
/* Descriptors that the hub asks for: one a connection. */
#define FDS_WANTED 65536

struct hub {
    struct settings *settings;
    struct zserver *collector;
    struct publisher *publisher;
    struct requests *requests;
    struct journal *journal;
    const struct journal *ring; /* the newest events: the journal itself, or a part of it */
    struct intake *intake;
    struct stats stats;
    struct hub_ports ports;
    int signal_fd;
    bool is_stopping;
    int64_t next_tick_ms;
    int64_t next_stats_ms; /* 0 = never */
    int64_t next_watchdog_ms;
    int64_t watchdog_ms; /* 0 = none */
};

/* ---- create ---- */

static void count_connections(const struct hub *h, struct stats_connections *out)
{
    const struct zserver_counts *collector = zserver_counts(h->collector);
    const struct zserver_counts *publisher = zserver_counts(publisher_server(h->publisher));
    const struct zserver_counts *requests = zserver_counts(requests_server(h->requests));

    *out = (struct stats_connections){.collector = collector->connections,
                                      .publisher = publisher->connections,
                                      .requests = requests->connections,
                                      .refused = collector->refused + publisher->refused +
                                                 requests->refused};
}

static void gauges(void *context, struct stats_gauges *out)
{
    const struct hub *h = context;

    journal_state(h->journal, &out->journal);
    journal_state(h->ring, &out->ring);
    journal_figures(h->journal, &out->disk);
    out->waiting_acks = h->requests ? requests_waiting(h->requests) : 0;
    out->epoch = h->journal->epoch;
    out->dedup_ids = intake_dedup_ids(h->intake);
    out->groups = (struct stats_groups){0};
    out->connections = (struct stats_connections){0};
    if (h->requests) {
        count_connections(h, &out->connections);
        requests_groups(h->requests, &out->groups);
    }
}

static nhub_err create_journal(struct hub *h, struct buf *error)
{
    const uint64_t max_record = h->settings->hub.max_event_bytes + INTAKE_RENDER_EXTRA;
    const struct ring_limits limits = {
        .max_events = h->settings->hub.history_events,
        .max_bytes = h->settings->hub.history_bytes,
        .max_record_bytes = max_record,
    };
    struct disk_options options = disk_options_of(h->settings, max_record);
    struct journal *ring = NULL;
    nhub_err err = ring_create(&ring, &limits);

    if (err) {
        buf_printf(error, "cannot start: %s", nhub_strerror(err));
        return err;
    }
    h->ring = ring;
    options.holds_at_start = true; /* consumer groups have not been asked yet */
    if (!h->settings->hub.journal.enabled) {
        h->journal = ring;
        return NHUB_OK;
    }
    err = disk_create(&h->journal, &ring, &options, error);
    journal_destroy(&ring); /* only what was not taken */
    return err;
}

static nhub_err open_collector(struct hub *h)
{
    const struct zserver_options options = {
        .type = ZSERVER_PULL,
        .host = h->settings->hub.bind,
        .port = (uint16_t)h->settings->hub.collector_port,
        .message_max = 2 * publish_max_bytes(h->settings),
        .block_bytes = 1024, /* handshakes */
        .queue_max = 16,     /* and answers to heartbeats */
    };

    return zserver_create(&h->collector, &options, &h->ports.collector);
}

static nhub_err open_publisher(struct hub *h)
{
    return publisher_create(&h->publisher, h->settings->hub.bind,
                            (uint16_t)h->settings->hub.publisher_port, &h->stats,
                            &h->ports.publisher);
}

static nhub_err open_requests(struct hub *h)
{
    const struct requests_parts parts = {
        .settings = h->settings,
        .stats = &h->stats,
        .journal = h->journal,
        .intake = h->intake,
        .ports = &h->ports,
        .gauges = gauges,
        .context = h,
    };

    return requests_create(&h->requests, h->settings->hub.bind,
                           (uint16_t)h->settings->hub.requests_port, &parts, &h->ports.requests);
}

static nhub_err create_intake(struct hub *h)
{
    const struct intake_parts parts = {.settings = h->settings,
                                       .stats = &h->stats,
                                       .journal = h->journal,
                                       .publisher = h->publisher};

    return intake_create(&h->intake, &parts);
}

static void explain(struct buf *error, const struct hub *h, const char *key, const char *flag,
                    uint64_t port, nhub_err err)
{
    const char *host = h->settings->hub.bind;

    if (err == NHUB_EINVAL) {
        buf_printf(error, "hub.bind: cannot listen on %s: no such address or interface", host);
        return;
    }
    buf_printf(error, "%s: cannot listen on %s port %" PRIu64 ": %s; choose another port with %s",
               key, host, port, err == NHUB_ESYS ? strerror(errno) : nhub_strerror(err), flag);
}

static nhub_err open_all(struct hub *h, struct buf *error)
{
    const struct settings *s = h->settings;
    nhub_err err = create_journal(h, error);

    if (err) {
        return err;
    }
    err = open_collector(h);
    if (err) {
        explain(error, h, "hub.collector_port", "--hub-collector-port", s->hub.collector_port, err);
        return err;
    }
    err = open_publisher(h);
    if (err) {
        explain(error, h, "hub.publisher_port", "--hub-publisher-port", s->hub.publisher_port, err);
        return err;
    }
    err = create_intake(h);
    if (err) {
        buf_printf(error, "cannot start: %s", nhub_strerror(err));
        return err;
    }
    err = open_requests(h);
    if (err) {
        explain(error, h, "hub.requests_port", "--hub-requests-port", s->hub.requests_port, err);
    }
    return err;
}

nhub_err hub_create(struct hub **out, struct settings *settings, int signal_fd, struct buf *error)
{
    struct hub *h = calloc(1, sizeof *h);
    const int64_t now_ms = clock_mono_ms();
    nhub_err err;

    if (!h) {
        buf_add_str(error, "cannot start: out of memory");
        return NHUB_ENOMEM;
    }
    (void)net_raise_fd_limit(FDS_WANTED);
    h->settings = settings;
    h->signal_fd = signal_fd;
    stats_init(&h->stats, clock_wall_us(), now_ms);
    err = open_all(h, error);
    if (err) {
        hub_destroy(&h);
        return err;
    }
    h->next_tick_ms = now_ms + TICK_MS;
    h->watchdog_ms = service_watchdog_interval_ms();
    h->next_watchdog_ms = now_ms;
    *out = h;
    return NHUB_OK;
}

/* Lets peers take what waits for them. What they send is not read any more, and would wake us again
 * and again, so this looks from time to time. */
static void linger(struct hub *h)
{
    const int64_t end_ms = clock_mono_ms() + LINGER_MS;
    struct zserver *const sockets[] = {h->publisher ? publisher_server(h->publisher) : NULL,
                                       h->requests ? requests_server(h->requests) : NULL};
    bool is_writing = true;

    while (is_writing && clock_mono_ms() < end_ms) {
        is_writing = false;
        for (size_t i = 0; i < 2; i++) {
            if (sockets[i]) {
                zserver_turn(sockets[i]);
                zserver_flush(sockets[i]);
                is_writing = zserver_is_writing(sockets[i]) || is_writing;
            }
        }
        if (is_writing) {
            (void)poll(NULL, 0, LINGER_LOOK_MS);
        }
    }
}

void hub_destroy(struct hub **h_p)
{
    struct hub *h = *h_p;

    if (!h) {
        return;
    }
    if (h->journal) {
        journal_stop(h->journal); /* before those are gone who wait for it */
    }
    if (h->requests) {
        requests_close(h->requests);
    }
    linger(h);
    publisher_destroy(&h->publisher);
    zserver_destroy(&h->collector);
    requests_destroy(&h->requests);
    intake_destroy(&h->intake);
    journal_destroy(&h->journal);
    free(h);
    *h_p = NULL;
}

const struct hub_ports *hub_ports(const struct hub *h)
{
    return &h->ports;
}

const char *hub_epoch(const struct hub *h)
{
    return h->journal->epoch;
}

/* ---- timers ---- */

static void schedule_stats(struct hub *h, int64_t now_ms)
{
    const int64_t interval_ms = (int64_t)h->settings->hub.stats_interval_s * 1000;

    h->next_stats_ms = interval_ms > 0 ? now_ms + interval_ms : 0;
}

static void tell_stats(struct hub *h)
{
    const char *type = h->settings->hub.stats_event;
    struct stats_gauges now;
    struct buf data;

    gauges(h, &now);
    stats_log(&h->stats, &now);
    if (type[0] == '\0') {
        return;
    }
    buf_init(&data);
    stats_write(&h->stats, &now, &data);
    if (!data.failed) {
        intake_own_event(h->intake, type, data.data, data.len);
    }
    buf_fini(&data);
}

/* What is due; returns the time until the next. */
static int run_timers(struct hub *h)
{
    const int64_t now_ms = clock_mono_ms();
    int64_t next_ms;

    if (now_ms >= h->next_tick_ms) {
        stats_tick(&h->stats, now_ms);
        zserver_tick(h->collector, now_ms);
        zserver_tick(publisher_server(h->publisher), now_ms);
        zserver_tick(requests_server(h->requests), now_ms);
        h->next_tick_ms = now_ms + TICK_MS;
    }
    if (h->next_stats_ms > 0 && now_ms >= h->next_stats_ms) {
        tell_stats(h);
        schedule_stats(h, now_ms);
    }
    if (h->watchdog_ms > 0 && now_ms >= h->next_watchdog_ms) {
        service_watchdog();
        h->next_watchdog_ms = now_ms + h->watchdog_ms;
    }
    next_ms = h->next_tick_ms;
    if (h->next_stats_ms > 0 && h->next_stats_ms < next_ms) {
        next_ms = h->next_stats_ms;
    }
    if (h->watchdog_ms > 0 && h->next_watchdog_ms < next_ms) {
        next_ms = h->next_watchdog_ms;
    }
    return (int)(next_ms - now_ms);
}

/* ---- turn ---- */

static void reload(struct hub *h)
{
    service_reloading();
    if (settings_reload(h->settings) == NHUB_OK) {
        schedule_stats(h, clock_mono_ms());
    }
    service_reloaded();
}

static void take_signals(struct hub *h)
{
    int signal_number;

    while ((signal_number = service_next_signal(h->signal_fd)) != 0) {
        if (signal_number == SIGHUP) {
            reload(h);
        } else {
            log_info("signal", log_str("name", signal_number == SIGTERM ? "SIGTERM" : "SIGINT"));
            h->is_stopping = true;
        }
    }
}

/* Every frame is an event, also those of one message. */
static bool read_events(struct hub *h, unsigned budget)
{
    struct intake_origin origin = {.server = h->collector};
    struct zpeer *peer = NULL;
    struct zmtp_frame frame;
    unsigned i;

    for (i = 0; i < budget && !h->journal->is_full; i++) {
        if (zserver_next(h->collector, &peer, &frame) != NHUB_OK) {
            break;
        }
        origin.peer = zpeer_id(peer);
        intake_push(h->intake, frame.bytes, frame.len, &origin);
    }
    return !h->journal->is_full && zserver_is_busy(h->collector);
}

/* Reads a share of each socket. Sets *out_timeout_ms: how long the next wait may be. */
static void read_sockets(struct hub *h, int *out_timeout_ms)
{
    bool has_more = publisher_read(h->publisher, TURN_BUDGET);
    int wait_ms;

    requests_begin_turn(h->requests);
    has_more = requests_read(h->requests, TURN_BUDGET) || has_more;
    has_more = read_events(h, TURN_BUDGET) || has_more;
    has_more = requests_work(h->requests, has_more) || has_more;
    publisher_end_turn(h->publisher);
    journal_commit(h->journal);
    *out_timeout_ms = requests_end_turn(h->requests) ? RETRY_MS : INT32_MAX;
    wait_ms = requests_wait_ms(h->requests, clock_mono_ms());
    if (wait_ms < *out_timeout_ms) {
        *out_timeout_ms = wait_ms;
    }
    if (has_more) {
        *out_timeout_ms = 0;
    }
}

/* Waits for the signal's descriptor, the sockets and the journal. *out_ready: something came. */
static nhub_err wait_for_work(struct hub *h, int timeout_ms, bool *out_is_signal, bool *out_ready)
{
    struct zserver *const sockets[] = {h->collector, publisher_server(h->publisher),
                                       requests_server(h->requests)};
    enum { SOCKETS = sizeof sockets / sizeof sockets[0], SIGNAL = SOCKETS, JOURNAL, ITEMS };
    struct pollfd items[ITEMS];
    int ready;

    publisher_end_turn(h->publisher); /* what timers have sent */
    for (size_t i = 0; i < SOCKETS; i++) {
        items[i] = (struct pollfd){.fd = zserver_fd(sockets[i]), .events = POLLIN};
    }
    if (h->journal->is_full) {
        /* What is not read now would wake us again at once; publishers wait in their own queues. */
        items[0].fd = -1;
    }
    items[SIGNAL] = (struct pollfd){.fd = h->signal_fd, .events = POLLIN};
    items[JOURNAL] = (struct pollfd){.fd = journal_fd(h->journal), .events = POLLIN};
    ready = poll(items, ITEMS, timeout_ms);
    if (ready < 0 && errno != EINTR) {
        return NHUB_ESYS;
    }
    *out_ready = ready > 0;
    *out_is_signal = ready > 0 && items[SIGNAL].revents != 0;
    for (size_t i = 0; ready > 0 && i < SOCKETS; i++) {
        if (items[i].revents != 0) {
            zserver_turn(sockets[i]);
        }
    }
    if (ready > 0 && items[JOURNAL].revents != 0) {
        journal_turn(h->journal);
    }
    return NHUB_OK;
}

static nhub_err turn(struct hub *h, int *timeout_ms)
{
    const int timer_ms = run_timers(h);
    bool is_signal;
    bool is_ready;
    const nhub_err err =
        wait_for_work(h, *timeout_ms < timer_ms ? *timeout_ms : timer_ms, &is_signal, &is_ready);

    if (err) {
        return err;
    }
    if (is_signal) {
        take_signals(h);
    }
    read_sockets(h, timeout_ms);
    if (requests_wants_stop(h->requests)) {
        h->is_stopping = true;
    }
    return NHUB_OK;
}

/* ---- stop ---- */

/* Takes what publishers have sent before they could know; waits for a disk that is behind. */
static void drain(struct hub *h)
{
    int64_t end_ms = clock_mono_ms() + DRAIN_MAX_MS;
    const uint64_t received = h->stats.events_received;
    int timeout_ms = DRAIN_QUIET_MS;
    bool is_signal;
    bool is_ready;

    requests_set_stopping(h->requests);
    while (clock_mono_ms() < end_ms) {
        if (wait_for_work(h, timeout_ms < DRAIN_QUIET_MS ? timeout_ms : DRAIN_QUIET_MS, &is_signal,
                          &is_ready) != NHUB_OK) {
            break;
        }
        if (is_signal) {
            while (service_next_signal(h->signal_fd) != 0) {
            }
        }
        if (h->journal->is_full || requests_is_holding(h->requests)) {
            end_ms = clock_mono_ms() + DRAIN_MAX_MS;
        } else if (!is_ready && timeout_ms >= DRAIN_QUIET_MS) {
            break;
        }
        read_sockets(h, &timeout_ms);
    }
    log_info("drained", log_uint("events", h->stats.events_received - received));
}

nhub_err hub_run(struct hub *h)
{
    int timeout_ms = INT32_MAX;
    nhub_err err = NHUB_OK;
    struct stats_gauges now;

    schedule_stats(h, clock_mono_ms());
    while (!err && !h->is_stopping) {
        err = turn(h, &timeout_ms);
    }
    service_stopping();
    if (err) {
        log_error("loop_failed", log_str("error", nhub_strerror(err)), log_errno(errno));
        return err;
    }
    drain(h);
    NHUB_IGNORE(requests_work(h->requests, false)); /* what groups have to write down */
    journal_commit(h->journal);
    journal_stop(h->journal); /* what waits is answered while it goes on */
    NHUB_IGNORE(requests_end_turn(h->requests));
    gauges(h, &now);
    stats_log(&h->stats, &now);
    return NHUB_OK;
}
