/*
 * notifyhub-gateway: the gateway daemon. Settings, signals, start, drain, stop, the exit status.
 *
 * Exit status: 0 after an orderly end, 1 when it cannot start, 2 for a bad configuration or command
 * line. SIGTERM and SIGINT begin the drain; a second one ends it. SIGHUP reads the settings again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "base/service.h"
#include "gateway/gateway.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/front_door.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

enum { LOOK_MS = 250, HUB_WAIT_MS = 1000, HUB_LOOK_MS = 10, DRAIN_LOOK_MS = 20 };

static const char about[] =
    "The gateway of Notification Hub: HTTP, Server-Sent Events and WebSocket on one port, for one "
    "hub.\nThe hub may be absent at start, go away and come back.";

static bool wait_signal(int signal_fd, int64_t timeout_ms)
{
    struct pollfd item = {.fd = signal_fd, .events = POLLIN};

    return poll(&item, 1, (int)timeout_ms) > 0;
}

static bool is_connected(struct gateway *g)
{
    struct hub_link_status status;

    hub_link_status(g->link, &status);
    return status.connected;
}

/* Most often the hub is there; then the ready line says so. */
static void announce(struct gateway *g, int signal_fd)
{
    const int64_t give_up_ms = clock_mono_ms() + HUB_WAIT_MS;
    const unsigned port = front_door_port(g->door);
    const char *hub = NULL;
    char line[64];

    while (!is_connected(g) && clock_mono_ms() < give_up_ms &&
           !wait_signal(signal_fd, HUB_LOOK_MS)) {
    }
    hub = is_connected(g) ? "connected" : "waiting";
    NHUB_IGNORE(snprintf(line, sizeof line, "ready gateway http=%u hub=%s", port, hub) < 0);
    log_info("started", log_str("listen", g->settings->gateway.listen), log_uint("port", port),
             log_str("hub", hub), log_str("version", NHUB_VERSION));
    service_ready(line);
}

static void reload(struct settings *settings)
{
    service_reloading();
    NHUB_IGNORE(settings_reload(settings)); /* it logs what it did, and what it could not do */
    service_reloaded();
}

/* The supervisor's watchdog hears from us only while every loop of the process turns. */
static void watch_loops(struct gateway *g, int64_t *watchdog_due_ms, bool *is_stuck)
{
    const int64_t interval_ms = service_watchdog_interval_ms();
    const char *stuck = gateway_stuck_loop(g);

    if (stuck && !*is_stuck) {
        log_error("loop_stuck", log_str("loop", stuck));
    }
    *is_stuck = stuck != NULL;
    if (!stuck && interval_ms > 0 && clock_mono_ms() >= *watchdog_due_ms) {
        service_watchdog();
        *watchdog_due_ms = clock_mono_ms() + interval_ms / 2;
    }
}

static bool is_end(int number)
{
    return number == SIGTERM || number == SIGINT;
}

/* Serves until the end is asked for and the drain is over. */
static void serve(struct gateway *g, struct settings *settings, int signal_fd)
{
    int64_t watchdog_due_ms = 0;
    bool is_stuck = false;
    bool is_draining = false;

    while (!is_draining || !gateway_drained(g)) {
        int number = 0;

        watch_loops(g, &watchdog_due_ms, &is_stuck);
        if (!wait_signal(signal_fd, is_draining ? DRAIN_LOOK_MS : LOOK_MS)) {
            continue;
        }
        number = service_next_signal(signal_fd);
        if (number == SIGHUP) {
            reload(settings);
        } else if (is_end(number) && is_draining) {
            log_warn("drain_cut_short", log_int("signal", number));
            return;
        } else if (is_end(number)) {
            log_info("draining", log_int("signal", number),
                     log_uint("over_s", settings->gateway.drain_s));
            service_stopping();
            is_draining = true;
            gateway_drain(g);
        }
    }
}

static int run(struct settings *settings, int signal_fd)
{
    struct gateway g;
    const nhub_err err = gateway_start(&g, settings);

    if (err != NHUB_OK) {
        return err == NHUB_ECONFIG ? 2 : 1;
    }
    announce(&g, signal_fd);
    serve(&g, settings, signal_fd);
    gateway_stop(&g);
    log_info("stopped", log_int("exit_status", 0));
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const sections[] = {"hub", "gateway", "log", NULL};
    static const struct program program = {.name = "notifyhub-gateway",
                                           .log_name = "gateway",
                                           .about = about,
                                           .sections = sections,
                                           .run = run};

    return program_main(&program, argc, argv);
}
