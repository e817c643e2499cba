/*
 * notifyhub-hub: the hub daemon. Settings, signals, the loop, the exit status.
 *
 * Exit status: 0 after an orderly end, 1 when it cannot start or its loop fails, 2 for a bad
 * configuration or command line.
 */
#include "base/log.h"
#include "base/program.h"
#include "base/service.h"
#include "daemon/hub.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char about[] =
    "The hub of Notification Hub: takes events by ZeroMQ (PUSH or request), numbers them, keeps "
    "the last ones\nand sends them to all subscribers (SUB). Gateways connect to it and serve HTTP "
    "and WebSocket.";

static void announce(const struct hub *h)
{
    const struct hub_ports *ports = hub_ports(h);
    char line[128];

    (void)snprintf(line, sizeof line, "ready hub collector=%u publisher=%u requests=%u epoch=%s",
                   ports->collector, ports->publisher, ports->requests, hub_epoch(h));
    log_info("started", log_uint("collector_port", ports->collector),
             log_uint("publisher_port", ports->publisher),
             log_uint("requests_port", ports->requests), log_str("epoch", hub_epoch(h)),
             log_str("version", NHUB_VERSION));
    service_ready(line);
}

/* The journal is read through a memory map, and a page of it that the disk does not deliver is a
 * signal. LMDB cannot be left in the middle of what it does, so the end is not to be avoided; but
 * it can be explained. On return the read happens again, and the signal ends the process. */
static void explain_bus_error(int number)
{
    static const char text[] =
        "level=error process=hub event=journal_unreadable error=SIGBUS note=\"a page of the "
        "journal could not be read, or its file was cut: the hub ends. What was synced is safe as "
        "far as the disk is. Look at the disk (dmesg) and run 'notifyhub journal verify'\"\n";

    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        return; /* nobody reads it: nothing else can be done here */
    }
}

static void expect_bus_errors(void)
{
    struct sigaction action = {.sa_handler = explain_bus_error, .sa_flags = (int)SA_RESETHAND};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL); /* without it the end is the same, with fewer words */
}

static int run(struct settings *settings, int signal_fd)
{
    struct hub *h = NULL;
    struct buf error;
    nhub_err err;

    expect_bus_errors();
    buf_init(&error);
    err = hub_create(&h, settings, signal_fd, &error);
    if (err) {
        log_error("start_failed", log_str("error", buf_cstr(&error)));
        buf_fini(&error);
        return 1;
    }
    buf_fini(&error);
    announce(h);
    err = hub_run(h);
    hub_destroy(&h);
    log_info("stopped", log_int("exit_status", err ? 1 : 0));
    return err ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const char *const sections[] = {"hub", "log", NULL};
    static const struct program program = {.name = "notifyhub-hub",
                                           .log_name = "hub",
                                           .about = about,
                                           .sections = sections,
                                           .run = run};

    return program_main(&program, argc, argv);
}
