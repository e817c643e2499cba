/*
 * health: a yes or no for probes, quickly.
 */
#include "cli/args.h"
#include "cli/gateway.h"

#include <jansson.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

static const struct command_help help = {
    .name = "health",
    .usage = "",
    .about =
        "Asks whether the hub is well, or, with --gateway, whether the gateway's process is;\n"
        "--ready asks whether that gateway also has a working link to the hub. For probes: the\n"
        "exit status is the answer.",
    .examples = "  notifyhub health --timeout 1\n"
                "  notifyhub health --gateway http://localhost:8080 --ready\n",
    .exits = "  0 healthy · 1 not healthy, or no answer in time (5 s) · 2 wrong usage\n",
};

/* degraded: why the journal keeps nothing now, "" when it does; healthy all the same. */
static int tell(const struct cli *cli, bool is_healthy, const char *reason, const char *degraded)
{
    struct buf line;

    if (cli->is_json) {
        buf_init(&line);
        buf_printf(&line, "{\"healthy\":%s", is_healthy ? "true" : "false");
        if (!is_healthy) {
            buf_add_str(&line, ",\"reason\":");
            buf_add_json_cstr(&line, reason);
        }
        if (*degraded) {
            buf_add_str(&line, ",\"degraded\":");
            buf_add_json_cstr(&line, degraded);
        }
        buf_add_char(&line, '}');
        (void)puts(buf_cstr(&line));
        buf_fini(&line);
    } else if (is_healthy && !cli->is_quiet) {
        (void)printf("healthy%s%s\n", *degraded ? ", but degraded: " : "", degraded);
    } else if (!is_healthy) {
        cli_error(cli, "not healthy: %s", reason);
    }
    (void)cli_flush();
    return is_healthy ? CLI_OK : CLI_NEGATIVE;
}

static int ask_hub(const struct cli *cli, int timeout_ms)
{
    const nhub_client_options options = {.host = cli->host, .requests_port = cli->requests_port};
    nhub_client *client = NULL;
    nhub_hub_position position = {.journal = ""};
    char reason[320];
    nhub_err err = nhub_client_create(&client, &options);

    if (err != NHUB_OK) {
        return tell(cli, false, nhub_strerror(err), "");
    }
    err = nhub_client_health(client, timeout_ms);
    if (err == NHUB_EREFUSED) {
        (void)snprintf(reason, sizeof reason, "%s", nhub_client_error(client));
    } else {
        (void)snprintf(reason, sizeof reason, "%s at %s, port %u",
                       err == NHUB_EUNAVAIL   ? "no hub answers"
                       : err == NHUB_ETIMEOUT ? "no answer"
                                              : nhub_strerror(err),
                       cli->host, (unsigned)cli->requests_port);
    }
    if (err == NHUB_OK) {
        /* A hub of the original kind knows no positions, and has no journal either. */
        NHUB_IGNORE(nhub_client_position(client, NULL, timeout_ms, &position));
    }
    nhub_client_destroy(&client);
    return tell(cli, err == NHUB_OK, reason,
                strcmp(position.journal, "degraded") == 0 ? position.journal_why : "");
}

/* {"status":…,"journal":{"state":"degraded","why":"…"}} */
static void read_degraded(const struct http_answer *answer, char out[200])
{
    json_error_t error;
    json_t *json =
        answer->body.len > 0 ? json_loadb(answer->body.data, answer->body.len, 0, &error) : NULL;
    const char *why = json_string_value(json_object_get(json_object_get(json, "journal"), "why"));

    (void)snprintf(out, 200, "%s", why ? why : "");
    json_decref(json);
}

static int ask_gateway(const struct cli *cli, int timeout_ms, bool is_ready)
{
    const struct http_request request = {.path = is_ready ? "/health/ready" : "/health",
                                         .timeout_ms = timeout_ms};
    struct http_answer answer = {0};
    struct http_client *client = NULL;
    char reason[HTTP_REASON_MAX];
    char detail[200];
    char degraded[200];
    nhub_err err = NHUB_OK;

    if (!gateway_open(cli, &client)) {
        return CLI_USAGE;
    }
    err = http_call(client, &request, &answer);
    if (err != NHUB_OK) {
        (void)snprintf(reason, sizeof reason, "%s", http_client_reason(client));
    } else {
        gateway_problem(&answer, "reason", detail, sizeof detail);
        if (!*detail) {
            gateway_problem(&answer, "detail", detail, sizeof detail);
        }
        (void)snprintf(reason, sizeof reason, "the gateway answers %ld%s%s", answer.status,
                       *detail ? ": " : "", detail);
    }
    read_degraded(&answer, degraded);
    buf_fini(&answer.body);
    http_client_destroy(&client);
    return tell(cli, err == NHUB_OK && answer.status == 200, reason, degraded);
}

int cmd_health(struct cli *cli, int argc, char **argv)
{
    bool is_ready = false;
    const struct arg args[] = {{"ready", 'r', ARG_FLAG, &is_ready, NULL,
                                "with --gateway: is it also ready for clients?", 0, 0},
                               {.name = NULL}};
    int timeout_ms = 0;
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > 0 || (is_ready && !cli->gateway)) {
        return args_mistake(cli, &help, "%s",
                            argc > 0 ? "takes no arguments" : "--ready needs --gateway");
    }
    timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    return cli->gateway ? ask_gateway(cli, timeout_ms, is_ready) : ask_hub(cli, timeout_ms);
}
