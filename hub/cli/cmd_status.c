/*
 * status: what the hub, or a gateway, tells about itself.
 */
#include "base/buf.h"
#include "cli/args.h"
#include "cli/gateway.h"

#include <string.h>
#include <time.h>

#define DEFAULT_TIMEOUT_MS 5000

static const struct command_help help = {
    .name = "status",
    .usage = "",
    .about =
        "Prints the hub's three ports, its counters, the time of its last event, and where it\n"
        "stands: epoch, newest and oldest number. With --gateway: the gateway's /stats.",
    .examples = "  notifyhub status\n"
                "  notifyhub status --json\n"
                "  notifyhub status --gateway http://localhost:8080\n",
    .exits = "  0 told · 2 wrong usage · 3 nobody answers · 4 refused\n",
};

static void format_time(double seconds, char out[40])
{
    const time_t whole = seconds > 0 && seconds < 4e10 ? (time_t)seconds : 0;
    struct tm parts = {0};

    (void)snprintf(out, 40, "never");
    if (whole > 0 && localtime_r(&whole, &parts)) {
        (void)strftime(out, 40, "%Y-%m-%d %H:%M:%S %z", &parts);
    }
}

static void print_text(const nhub_info *info, const nhub_hub_position *position)
{
    char last[40];
    char start[40];

    format_time(info->last_message_time, last);
    format_time(info->start_time, start);
    (void)printf("Notification Hub: running\n"
                 "  collector port:     %u\n"
                 "  publisher port:     %u\n"
                 "  requests port:      %u\n"
                 "  events received:    %llu\n"
                 "  events published:   %llu\n"
                 "  last message:       %s\n"
                 "  started:            %s\n",
                 (unsigned)info->collector_port, (unsigned)info->publisher_port,
                 (unsigned)info->requests_port, (unsigned long long)info->events_received,
                 (unsigned long long)info->events_published, last, start);
    if (position->newest.epoch[0] != '\0') {
        (void)printf("  epoch:              %s\n"
                     "  newest number:      %llu\n"
                     "  oldest kept number: %llu\n"
                     "  durability:         %s\n"
                     "  journal:            %s%s%s\n",
                     position->newest.epoch, (unsigned long long)position->newest.seq,
                     (unsigned long long)position->oldest_seq, position->durability,
                     *position->journal ? position->journal : "unknown",
                     *position->journal_why ? ": " : "", position->journal_why);
    }
}

static void print_json(const nhub_info *info, const nhub_hub_position *position)
{
    struct buf why;

    buf_init(&why);
    buf_add_json_cstr(&why, position->journal_why);
    (void)printf("{\"status\":\"ok\",\"collector_port\":%u,\"publisher_port\":%u,"
                 "\"requests_port\":%u,\"events_received\":%llu,\"events_published\":%llu,"
                 "\"last_message_time\":%.6f,\"start_time\":%.6f,\"epoch\":\"%s\",\"seq\":%llu,"
                 "\"oldest\":%llu,\"durability\":\"%s\",\"durability_max\":\"%s\","
                 "\"journal\":\"%s\",\"journal_why\":%s}\n",
                 (unsigned)info->collector_port, (unsigned)info->publisher_port,
                 (unsigned)info->requests_port, (unsigned long long)info->events_received,
                 (unsigned long long)info->events_published, info->last_message_time,
                 info->start_time, position->newest.epoch, (unsigned long long)position->newest.seq,
                 (unsigned long long)position->oldest_seq, position->durability,
                 position->durability_max, position->journal, buf_cstr(&why));
    buf_fini(&why);
}

static int ask_hub(const struct cli *cli, int timeout_ms)
{
    const nhub_client_options options = {.host = cli->host, .requests_port = cli->requests_port};
    nhub_client *client = NULL;
    nhub_hub_position position = {.newest = {.seq = 0}};
    nhub_info info = {0};
    int status = CLI_OK;
    nhub_err err = nhub_client_create(&client, &options);

    if (err == NHUB_OK) {
        err = nhub_client_info(client, timeout_ms, &info);
    }
    if (err == NHUB_OK) {
        err = nhub_client_position(client, NULL, timeout_ms, &position);
        /* A hub of the original kind knows no positions; the rest is still worth telling. */
        err = err == NHUB_EREFUSED ? NHUB_OK : err;
    }
    if (err != NHUB_OK) {
        status =
            cli_fail(cli, "ask for the status", err, client ? nhub_client_error(client) : NULL);
    } else {
        (cli->is_json ? print_json : print_text)(&info, &position);
        status = cli_flush() ? CLI_OK : CLI_NEGATIVE;
    }
    nhub_client_destroy(&client);
    return status;
}

static int ask_gateway(const struct cli *cli, int timeout_ms)
{
    const struct http_request request = {.path = "/stats", .timeout_ms = timeout_ms};
    struct http_answer answer = {0};
    struct http_client *client = NULL;
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    if (!gateway_open(cli, &client)) {
        return CLI_USAGE;
    }
    err = http_call(client, &request, &answer);
    if (err != NHUB_OK || answer.status != 200) {
        status = gateway_fail(cli, "ask for the status", client, err, &answer);
    } else {
        (void)fwrite(answer.body.data, 1, answer.body.len, stdout);
        (void)putchar('\n');
        status = cli_flush() ? CLI_OK : CLI_NEGATIVE;
    }
    buf_fini(&answer.body);
    http_client_destroy(&client);
    return status;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    const struct arg args[] = {{.name = NULL}};
    int timeout_ms = 0;
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > 0) {
        return args_mistake(cli, &help, "takes no arguments");
    }
    timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    return cli->gateway ? ask_gateway(cli, timeout_ms) : ask_hub(cli, timeout_ms);
}
