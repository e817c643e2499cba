/*
 * stop: asks the hub to end, and waits until it is gone.
 */
#include "base/clock.h"
#include "cli/args.h"

#include <poll.h>

#define DEFAULT_TIMEOUT_MS 10000
#define PROBE_MS           200

static const struct command_help help = {
    .name = "stop",
    .usage = "",
    .about =
        "Ends the hub in an orderly way and waits until it is gone. A hub obeys only programs on\n"
        "its own machine unless hub.allow_terminate says otherwise.",
    .examples = "  notifyhub stop\n"
                "  notifyhub stop --requests-port 6127 --timeout 3\n",
    .exits =
        "  0 it is gone · 1 it agreed, but was still there at --timeout (10 s) · 2 wrong usage\n"
        "  · 3 there was none · 4 refused\n",
};

/* Whether somebody answers; asked over a connection of its own, which an ending hub does not
 * accept any more. */
static bool is_there(const struct cli *cli)
{
    const nhub_client_options options = {.host = cli->host, .requests_port = cli->requests_port};
    nhub_client *client = NULL;
    nhub_err err = nhub_client_create(&client, &options);

    if (err == NHUB_OK) {
        err = nhub_client_health(client, PROBE_MS);
    }
    nhub_client_destroy(&client);
    return err != NHUB_EUNAVAIL;
}

static int wait_gone(const struct cli *cli, int64_t until_ms)
{
    while (is_there(cli)) {
        if (clock_mono_ms() >= until_ms) {
            cli_error(cli, "the hub agreed to end, but it is still there");
            return CLI_NEGATIVE;
        }
        (void)poll(NULL, 0, 20);
    }
    if (cli->is_json) {
        (void)puts("{\"stopped\":true}");
    } else if (!cli->is_quiet) {
        (void)puts("stopped");
    }
    return cli_flush() ? CLI_OK : CLI_NEGATIVE;
}

int cmd_stop(struct cli *cli, int argc, char **argv)
{
    const struct arg args[] = {{.name = NULL}};
    nhub_client_options options = {0};
    nhub_client *client = NULL;
    int64_t until_ms = 0;
    int status = CLI_OK;
    int timeout_ms = 0;
    nhub_err err = NHUB_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > 0 || cli->gateway) {
        return args_mistake(cli, &help, "%s",
                            argc > 0 ? "takes no arguments"
                                     : "ends the hub, not a gateway; end that with SIGTERM");
    }
    timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    until_ms = clock_mono_ms() + timeout_ms;
    options.host = cli->host;
    options.requests_port = cli->requests_port;
    err = nhub_client_create(&client, &options);
    if (err == NHUB_OK) {
        err = nhub_client_terminate(client, timeout_ms);
    }
    status = err == NHUB_OK
                 ? CLI_OK
                 : cli_fail(cli, "stop the hub", err, client ? nhub_client_error(client) : NULL);
    nhub_client_destroy(&client);
    return status == CLI_OK ? wait_gone(cli, until_ms) : status;
}
