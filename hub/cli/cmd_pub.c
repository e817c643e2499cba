/*
 * pub: publishes one event from the command line, or hands over to pub_lines.
 */
#include "base/settings.h"
#include "cli/gateway.h"
#include "cli/pub.h"
#include "client/draft.h"
#include "wire/position.h"
#include "wire/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 5000
#define STDIN_MAX_BYTES    (64u << 20)

const struct command_help pub_help = {
    .name = "pub",
    .usage = "TYPE [JSON | -]\n       notifyhub pub [OPTION]... --ndjson < FILE",
    .about =
        "Publishes an event of the TYPE with the JSON value as its data ({} when there is none,\n"
        "\"-\" reads it from stdin), and prints the position that the hub gave it. With --ndjson\n"
        "each line of stdin is a whole event; they are sent in batches as they come, each\n"
        "acknowledged. It stops at the first line that is refused: all before it are accepted, "
        "none\n"
        "behind it. --keep-going passes over refused lines. An event with an --id is sent again by "
        "itself\n"
        "when the connection breaks before its answer; it is numbered once.",
    .examples =
        "  notifyhub pub new_setup '{\"setup_id\":\"0001234\"}' --source cm\n"
        "  echo '{\"temp\":21.5}' | notifyhub pub sensor.lab -\n"
        "  notifyhub pub order '{}' --id order-17        # again: same position, \"duplicate\"\n"
        "  printf '%s\\n' '{\"event_type\":\"a\",\"source_service\":\"s\",\"data\":1}' | "
        "notifyhub pub --ndjson\n"
        "  notifyhub pub tick --fire-and-forget\n",
    .exits =
        "  0 accepted and kept as --durability says · 2 wrong usage, or not a valid event ·\n"
        "  3 no answer: it is not known whether the event was accepted, or (the message says so)\n"
        "  surely not · 4 refused: not accepted · 6 accepted, numbered and sent to subscribers, "
        "but\n"
        "  the disk failed before it was kept: publishing it again does not change that\n",
};

/* The timestamp as microseconds: seconds since 1970, or RFC 3339. */
static bool read_timestamp(const char *text, int64_t *out_us)
{
    char *end = NULL;
    double seconds = 0;

    if (time_parse_rfc3339(text, strlen(text), out_us) == NHUB_OK) {
        return true;
    }
    errno = 0;
    seconds = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(seconds > 0 && seconds < 9e12)) {
        return false;
    }
    *out_us = (int64_t)(seconds * 1e6 + 0.5);
    return true;
}

/* All of stdin, NUL-terminated in *out. */
static bool read_stdin(const struct cli *cli, struct buf *out)
{
    for (;;) {
        ssize_t count = 0;

        if (out->len > STDIN_MAX_BYTES || buf_reserve(out, 65536) != NHUB_OK) {
            cli_error(cli, "the data on stdin is larger than 64 MiB");
            return false;
        }
        count = read(STDIN_FILENO, out->data + out->len, 65536);
        if (count < 0) {
            cli_error(cli, "cannot read stdin: %s", strerror(errno));
            return false;
        }
        if (count == 0) {
            break;
        }
        out->len += (size_t)count;
    }
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r')) {
        out->len--;
    }
    return true;
}

/* "key=value" to pairs; the texts of items are cut in place, in copies that *out_text owns. */
static bool read_metadata(const struct cli *cli, const struct cli_list *list, nhub_pair *pairs,
                          struct buf *out_text)
{
    size_t at = 0;

    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');

        if (!equals || equals == list->items[i]) {
            NHUB_IGNORE(
                args_mistake(cli, &pub_help, "--meta %s: allowed is key=value", list->items[i]));
            return false;
        }
        buf_add(out_text, list->items[i], (size_t)(equals - list->items[i]));
        buf_add(out_text, "", 1);
        buf_add(out_text, equals + 1, strlen(equals + 1) + 1);
    }
    for (size_t i = 0; i < list->count && !out_text->failed; i++) {
        pairs[i].name = out_text->data + at;
        at += strlen(pairs[i].name) + 1;
        pairs[i].value = out_text->data + at;
        at += strlen(pairs[i].value) + 1;
    }
    return !out_text->failed;
}

bool pub_open(const struct cli *cli, const struct pub_options *o, nhub_publisher **out,
              int *out_exit)
{
    const nhub_publisher_options options = {
        .host = cli->host,
        .collector_port = cli->collector_port,
        .requests_port = cli->requests_port,
        .source_service = o->source,
        .durability = (nhub_durability)o->durability_value,
        .max_event_bytes = STDIN_MAX_BYTES, /* the hub knows its limit better */
    };
    const nhub_err err = nhub_publisher_create(out, &options);

    if (err != NHUB_OK) {
        *out_exit = cli_fail(cli, "publish", err, NULL);
    }
    return err == NHUB_OK;
}

void pub_add_path(struct buf *path, const struct pub_options *o)
{
    buf_add_str(path, "/events");
    if (o->durability_value != DURABILITY_DEFAULT) {
        buf_printf(path, "?durability=%s", durability_name(o->durability_value));
    }
}

/* Result of one event. */
static void print_result(const struct cli *cli, const nhub_position *position, bool is_duplicate,
                         const char *durability, const char *correlation_id)
{
    char text[NHUB_POSITION_TEXT_MAX];
    struct buf line;

    (void)nhub_position_format(position, text);
    if (cli->is_quiet) {
        return;
    }
    if (!cli->is_json) {
        (void)printf("%s%s\n", text, is_duplicate ? " duplicate" : "");
        return;
    }
    buf_init(&line);
    buf_printf(&line, "{\"position\":\"%s\",\"epoch\":\"%s\",\"seq\":%llu,\"duplicate\":%s", text,
               position->epoch, (unsigned long long)position->seq, is_duplicate ? "true" : "false");
    if (*durability) {
        buf_add_str(&line, ",\"durability\":");
        buf_add_json_cstr(&line, durability);
    }
    if (*correlation_id) {
        buf_add_str(&line, ",\"correlation_id\":");
        buf_add_json_cstr(&line, correlation_id);
    }
    buf_add_char(&line, '}');
    (void)puts(buf_cstr(&line));
    buf_fini(&line);
}

static int forget(const struct cli *cli, nhub_publisher **p, const nhub_draft *draft,
                  int timeout_ms)
{
    nhub_close_report report = {0};
    const nhub_err err = nhub_publisher_send_draft(*p, draft);

    if (err != NHUB_OK) {
        return cli_fail(cli, "publish", err, nhub_publisher_error(*p));
    }
    NHUB_IGNORE(nhub_publisher_close(p, timeout_ms, &report)); /* the report says it */
    if (report.unsent > 0) {
        cli_error(cli, "not sent: no hub at %s, port %u", cli->host, (unsigned)cli->collector_port);
        return CLI_UNREACHABLE;
    }
    return CLI_OK;
}

int pub_fail(const struct cli *cli, const nhub_publisher *p, nhub_err err, const nhub_ack *ack)
{
    char position[NHUB_POSITION_TEXT_MAX];

    if (err == NHUB_EREFUSED || err == NHUB_ENODURABILITY) {
        cli_error(cli, "refused: %s: %s", ack->code, ack->error);
        return CLI_REFUSED;
    }
    if (err == NHUB_ENOTKEPT) {
        (void)nhub_position_format(&ack->last, position);
        cli_error(cli, "accepted as %s, but not kept as safely as asked for: %s: %s", position,
                  ack->code, ack->error);
        return CLI_NOT_KEPT;
    }
    if (err == NHUB_ETIMEOUT || err == NHUB_ECLOSED) {
        cli_error(cli, "outcome unknown: sent to the hub at %s, port %u, but %s", cli->host,
                  (unsigned)cli->requests_port,
                  err == NHUB_ETIMEOUT ? "no answer came in time"
                                       : "the connection broke before the answer");
        return CLI_UNREACHABLE;
    }
    return cli_fail(cli, "publish", err, nhub_publisher_error(p));
}

static int publish(const struct cli *cli, nhub_publisher *p, const nhub_draft *draft,
                   int timeout_ms)
{
    nhub_ack ack = {0};
    const nhub_err err = nhub_publisher_publish(p, draft, timeout_ms, &ack);

    if (err != NHUB_OK) {
        return pub_fail(cli, p, err, &ack);
    }
    print_result(cli, &ack.first, ack.is_duplicate, durability_name((int)ack.durability),
                 ack.correlation_id);
    return cli_flush() ? CLI_OK : CLI_NEGATIVE;
}

static int publish_to_hub(const struct cli *cli, const struct pub_options *o,
                          const nhub_draft *draft)
{
    nhub_publisher *p = NULL;
    int status = CLI_OK;

    if (!pub_open(cli, o, &p, &status)) {
        return status;
    }
    status = o->is_forgotten ? forget(cli, &p, draft, o->timeout_ms)
                             : publish(cli, p, draft, o->timeout_ms);
    nhub_publisher_destroy(&p);
    return status;
}

/* The gateway's 202. */
static int print_accepted(const struct cli *cli, const struct http_answer *answer)
{
    json_error_t error;
    json_t *json =
        json_loadb(answer->body.data ? answer->body.data : "", answer->body.len, 0, &error);
    const char *epoch = json_string_value(json_object_get(json, "epoch"));
    const char *durability = json_string_value(json_object_get(json, "durability"));
    const char *correlation = json_string_value(json_object_get(json, "correlation_id"));
    nhub_position position = {.seq = (uint64_t)json_integer_value(json_object_get(json, "seq"))};

    (void)snprintf(position.epoch, sizeof position.epoch, "%s", epoch ? epoch : "");
    print_result(cli, &position, json_is_true(json_object_get(json, "duplicate")),
                 durability ? durability : "", correlation ? correlation : "");
    json_decref(json);
    return cli_flush() ? CLI_OK : CLI_NEGATIVE;
}

static int publish_to_gateway(const struct cli *cli, const struct pub_options *o,
                              const nhub_draft *draft)
{
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct buf path, body, error;
    int status = CLI_USAGE;
    nhub_err err = NHUB_OK;

    if (!gateway_open(cli, &client)) {
        return CLI_USAGE;
    }
    buf_init(&path);
    buf_init(&body);
    buf_init(&error);
    pub_add_path(&path, o);
    err = draft_write(draft, o->source, STDIN_MAX_BYTES, &body, &error);
    if (err != NHUB_OK) {
        status = cli_fail(cli, "publish", err, buf_cstr(&error));
    } else {
        const struct http_request request = {.path = buf_cstr(&path),
                                             .body = body.data,
                                             .body_len = body.len,
                                             .content_type = "application/json",
                                             .timeout_ms = o->timeout_ms};

        err = http_call(client, &request, &answer);
        status = err == NHUB_OK && answer.status / 100 == 2
                     ? print_accepted(cli, &answer)
                     : gateway_fail(cli, "publish", client, err, &answer);
        buf_fini(&answer.body);
    }
    buf_fini(&error);
    buf_fini(&body);
    buf_fini(&path);
    http_client_destroy(&client);
    return status;
}

/* One event: its data from an argument or stdin, the rest from options. */
static int pub_one(const struct cli *cli, const struct pub_options *o, int argc, char **argv)
{
    nhub_pair pairs[CLI_LIST_MAX];
    nhub_draft draft = {.event_type = argv[0],
                        .data = argc > 1 ? argv[1] : NULL,
                        .source_service = o->source,
                        .correlation_id = o->correlation_id,
                        .id = o->id,
                        .kind = o->kind,
                        .metadata = pairs,
                        .metadata_count = o->metadata.count};
    struct buf data, texts;
    int status = CLI_USAGE;

    if (o->timestamp && !read_timestamp(o->timestamp, &draft.timestamp_us)) {
        return args_mistake(cli, &pub_help,
                            "--timestamp %s: allowed are seconds since 1970 and RFC "
                            "3339 times",
                            o->timestamp);
    }
    buf_init(&data);
    buf_init(&texts);
    if (read_metadata(cli, &o->metadata, pairs, &texts) &&
        (!draft.data || strcmp(draft.data, "-") != 0 || read_stdin(cli, &data))) {
        if (draft.data && strcmp(draft.data, "-") == 0) {
            draft.data = buf_cstr(&data);
            draft.data_len = data.len;
        }
        status = cli->gateway ? publish_to_gateway(cli, o, &draft) : publish_to_hub(cli, o, &draft);
    }
    buf_fini(&texts);
    buf_fini(&data);
    return status;
}

static int check(const struct cli *cli, struct pub_options *o, int argc)
{
    if (o->durability && durability_parse(o->durability, &o->durability_value) != NHUB_OK) {
        return args_mistake(cli, &pub_help,
                            "--durability %s: allowed are memory, journaled, synced",
                            o->durability);
    }
    if (o->is_forgotten && (cli->gateway || o->durability)) {
        return args_mistake(cli, &pub_help,
                            "--fire-and-forget goes to the hub only, and nobody "
                            "answers how far the event is kept");
    }
    if (o->is_ndjson) {
        return argc == 0 ? CLI_OK
                         : args_mistake(cli, &pub_help,
                                        "--ndjson takes whole events from stdin, "
                                        "no arguments");
    }
    if (argc < 1 || argc > 2) {
        return args_mistake(cli, &pub_help, "%s",
                            argc < 1 ? "the event's TYPE is missing" : "too many arguments");
    }
    return CLI_OK;
}

int cmd_pub(struct cli *cli, int argc, char **argv)
{
    struct pub_options o = {.source = "notifyhub"};
    const struct arg args[] = {
        {"source", 's', ARG_TEXT, &o.source, "NAME", "source_service of the event (notifyhub)", 0,
         0},
        {"id", 'i', ARG_TEXT, &o.id, "ID",
         "identity of the event: published again with the same\nsource and id, it is not numbered "
         "a second time",
         0, 0},
        {"correlation-id", 'c', ARG_TEXT, &o.correlation_id, "ID", "correlation_id (a UUID)", 0, 0},
        {"kind", 'k', ARG_TEXT, &o.kind, "WORD",
         "created, updated, deleted, activated, deactivated, error\nor custom", 0, 0},
        {"meta", 'm', ARG_LIST, &o.metadata, "KEY=VALUE", "a header that travels along; repeatable",
         0, 0},
        {"timestamp", 0, ARG_TEXT, &o.timestamp, "WHEN",
         "seconds since 1970, or 2026-03-01T12:00:00Z (now)", 0, 0},
        {"durability", 'd', ARG_TEXT, &o.durability, "WORD",
         "answer when the event is kept: memory, journaled, synced", 0, 0},
        {"fire-and-forget", 'f', ARG_FLAG, &o.is_forgotten, NULL,
         "do not wait for an answer, only until it is sent", 0, 0},
        {"ndjson", 'n', ARG_FLAG, &o.is_ndjson, NULL, "read events from stdin, one a line", 0, 0},
        {"keep-going", 0, ARG_FLAG, &o.keeps_going, NULL, "with --ndjson: pass over refused lines",
         0, 0},
        {.name = NULL}};
    int status = CLI_OK;

    if (!args_parse(cli, &pub_help, args, &argc, &argv, &status)) {
        return status;
    }
    o.timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    status = check(cli, &o, argc);
    if (status != CLI_OK) {
        return status;
    }
    return o.is_ndjson ? pub_lines(cli, &o) : pub_one(cli, &o, argc, argv);
}
