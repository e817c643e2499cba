/*
 * groups: shows, makes and deletes consumer groups.
 */
#include "base/buf.h"
#include "cli/gateway.h"
#include "cli/group_settings.h"

#include <jansson.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

static const struct command_help help = {
    .name = "groups",
    .usage = "[[show] NAME]\n"
             "       notifyhub groups create NAME [OPTION]... [PATTERN]...\n"
             "       notifyhub groups delete NAME",
    .about = "Without arguments lists all consumer groups with their figures; with a NAME tells "
             "all about\n"
             "one, its members too. create makes one for all events or those of the PATTERNs; the "
             "same\n"
             "settings again are fine. delete forgets it, and what it has not acknowledged.\n"
             "lag: numbers that the group has not looked at · pending: deliveries that members "
             "hold ·\n"
             "delayed: events that wait for their next attempt.",
    .examples = "  notifyhub groups create mail 'order.*' --since earliest --visibility 1m\n"
                "  notifyhub groups\n"
                "  notifyhub groups mail --json\n"
                "  notifyhub groups --gateway http://localhost:8080\n"
                "  notifyhub groups delete mail\n",
    .exits = "  0 done · 1 there is no such group · 2 wrong usage · 3 nobody answers · 4 refused\n",
};

enum verb { VERB_LIST, VERB_SHOW, VERB_CREATE, VERB_DELETE };

struct job {
    const struct cli *cli;
    enum verb verb;
    const char *name; /* NULL for VERB_LIST */
    struct group_settings settings;
    int timeout_ms;
};

/* Printing. */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : "";
}

static json_int_t number_of(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static void print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    (void)puts(text ? text : "{}");
    free(text);
}

static void print_row(const json_t *group)
{
    (void)printf("%-24s %10" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT
                 " %12" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
                 "\n",
                 text_of(group, "group"), number_of(group, "lag"), number_of(group, "pending"),
                 number_of(group, "delayed"), number_of(group, "acked"),
                 number_of(group, "dead_letters"), number_of(group, "lost"));
}

static void print_list(const struct cli *cli, const json_t *answer)
{
    const json_t *groups = json_object_get(answer, "groups");
    size_t index = 0;
    json_t *group = NULL;

    if (cli->is_json) {
        json_array_foreach(groups, index, group)
        {
            print_json(group);
        }
        return;
    }
    if (json_array_size(groups) == 0) {
        if (!cli->is_quiet) {
            (void)puts("no groups");
        }
        return;
    }
    (void)printf("%-24s %10s %8s %8s %12s %6s %6s\n", "GROUP", "LAG", "PENDING", "DELAYED", "ACKED",
                 "DEAD", "LOST");
    json_array_foreach(groups, index, group)
    {
        print_row(group);
    }
}

static void print_value(const char *key, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    (void)printf("%-15s %s\n", key, text ? text : json_string_value(value));
    free(text);
}

static void print_group(const struct cli *cli, const json_t *group)
{
    json_t *members = json_object_get(group, "members");
    const char *key = NULL;
    json_t *value = NULL;
    size_t index = 0;

    if (cli->is_json) {
        print_json(group);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)group, key, value)
    {
        if (strcmp(key, "success") != 0 && strcmp(key, "request_id") != 0 &&
            strcmp(key, "members") != 0) {
            print_value(key, value);
        }
    }
    json_array_foreach(members, index, value)
    {
        (void)printf("member          %s: pending %" JSON_INTEGER_FORMAT ", seen %.1f s ago\n",
                     text_of(value, "member"), number_of(value, "pending"),
                     json_number_value(json_object_get(value, "last_seen_s")));
    }
}

static void print_created(const struct cli *cli, const json_t *answer)
{
    if (cli->is_json) {
        print_json(answer);
    } else if (!cli->is_quiet) {
        (void)printf("%s %s\n",
                     json_is_true(json_object_get(answer, "created")) ? "created" : "exists",
                     text_of(answer, "position"));
    }
}

static void print_answer(const struct job *job, const json_t *answer)
{
    switch (job->verb) {
    case VERB_LIST:
        print_list(job->cli, answer);
        break;
    case VERB_SHOW:
        print_group(job->cli, answer);
        break;
    case VERB_CREATE:
        print_created(job->cli, answer);
        break;
    case VERB_DELETE:
        if (!job->cli->is_quiet && !job->cli->is_json) {
            (void)puts("deleted");
        }
        break;
    }
}

static int no_such_group(const struct job *job)
{
    cli_error(job->cli, "there is no group \"%s\"", job->name);
    return CLI_NEGATIVE;
}

/* The hub. */

static void write_request(const struct job *job, struct buf *out)
{
    static const char *const actions[] = {"groups", "group", "group_create", "group_delete"};

    buf_printf(out, "{\"action\":\"%s\"", actions[job->verb]);
    if (job->name) {
        buf_printf(out, ",\"group\":\"%s\"", job->name);
    }
    if (job->verb == VERB_CREATE) {
        group_settings_write(&job->settings, NULL, out);
    }
    buf_add_char(out, '}');
}

/* What the hub's answer adds for programs that ask is of no use to people and scripts. */
static json_t *read_json(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);

    (void)json_object_del(json, "success");
    (void)json_object_del(json, "request_id");
    return json;
}

static int ask_hub(const struct job *job)
{
    const nhub_client_options options = {.host = job->cli->host,
                                         .requests_port = job->cli->requests_port};
    nhub_client *client = NULL;
    nhub_answer *answer = NULL;
    struct buf request;
    int status = CLI_OK;
    nhub_err err = nhub_client_create(&client, &options);

    buf_init(&request);
    write_request(job, &request);
    if (err == NHUB_OK) {
        err = nhub_client_request(client, buf_cstr(&request), job->timeout_ms, &answer);
    }
    if (err == NHUB_OK) {
        json_t *json = read_json(nhub_answer_json(answer));

        print_answer(job, json);
        json_decref(json);
    } else if (err == NHUB_EREFUSED &&
               strcmp(nhub_client_error_code(client), "unknown_group") == 0) {
        status = no_such_group(job);
    } else {
        status = cli_fail(job->cli, "ask for groups", err, client ? nhub_client_error(client) : "");
    }
    nhub_answer_destroy(&answer);
    buf_fini(&request);
    nhub_client_destroy(&client);
    return status;
}

/* A gateway. */

static void write_body(const struct job *job, struct buf *out)
{
    group_settings_write(&job->settings, NULL, out);
    if (out->len > 0) {
        out->data[0] = '{'; /* in the place of the first comma */
    } else {
        buf_add_char(out, '{');
    }
    buf_add_char(out, '}');
}

static int tell_answer(const struct job *job, const struct http_client *client, nhub_err err,
                       struct http_answer *answer)
{
    if (err == NHUB_OK && answer->status / 100 == 2) {
        json_t *json = read_json(answer->body.len > 0 ? buf_cstr(&answer->body) : "{}");

        print_answer(job, json);
        json_decref(json);
        return CLI_OK;
    }
    if (err == NHUB_OK && answer->status == 404) {
        char code[64];

        gateway_problem(answer, "code", code, sizeof code);
        if (strcmp(code, "unknown_group") == 0) {
            return no_such_group(job);
        }
    }
    return gateway_fail(job->cli, "ask for groups", client, err, answer);
}

static int ask_gateway(const struct job *job)
{
    static const char *const methods[] = {NULL, NULL, "PUT", "DELETE"};
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct http_request request = {.method = methods[job->verb],
                                   .accept = "application/json",
                                   .content_type = "application/json",
                                   .timeout_ms = job->timeout_ms};
    struct buf path, body;
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    if (!gateway_open(job->cli, &client)) {
        return CLI_USAGE;
    }
    buf_init(&path);
    buf_init(&body);
    buf_printf(&path, "/groups%s%s", job->name ? "/" : "", job->name ? job->name : "");
    request.path = buf_cstr(&path);
    if (job->verb == VERB_CREATE) {
        write_body(job, &body);
        request.body = buf_cstr(&body);
        request.body_len = body.len;
    }
    err = http_call(client, &request, &answer);
    status = tell_answer(job, client, err, &answer);
    buf_fini(&answer.body);
    buf_fini(&body);
    buf_fini(&path);
    http_client_destroy(&client);
    return status;
}

/* The command line. */

static int read_arguments(struct job *job, int argc, char **argv)
{
    const char *mistake = NULL;
    int used = 0;

    job->verb = argc == 0 ? VERB_LIST : VERB_SHOW;
    if (argc > 1 && strcmp(argv[0], "create") == 0) {
        job->verb = VERB_CREATE;
    } else if (argc > 1 && strcmp(argv[0], "delete") == 0) {
        job->verb = VERB_DELETE;
    } else if (argc > 0 && (strcmp(argv[0], "create") == 0 || strcmp(argv[0], "delete") == 0)) {
        return args_mistake(job->cli, &help, "the group's NAME is missing");
    }
    used = job->verb == VERB_LIST                                                  ? 0
           : job->verb == VERB_SHOW && !(argc > 1 && strcmp(argv[0], "show") == 0) ? 1
                                                                                   : 2;
    job->name = used > 0 ? argv[used - 1] : NULL;
    if (job->name && !group_name_valid(job->name)) {
        return args_mistake(job->cli, &help, "a NAME is 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    if (argc - used > (job->verb == VERB_CREATE ? CLI_LIST_MAX : 0)) {
        return args_mistake(job->cli, &help, "too many arguments");
    }
    for (int i = used; i < argc; i++) {
        job->settings.patterns.items[job->settings.patterns.count++] = argv[i];
    }
    if (job->verb != VERB_CREATE && group_settings_given(&job->settings)) {
        return args_mistake(job->cli, &help, "settings only go with create");
    }
    mistake = group_settings_mistake(&job->settings);
    return mistake ? args_mistake(job->cli, &help, "%s", mistake) : CLI_OK;
}

int cmd_groups(struct cli *cli, int argc, char **argv)
{
    struct job job = {.cli = cli};
    struct arg args[GROUP_SETTINGS_ROWS + 1] = {{.name = NULL}};
    int status = CLI_OK;

    group_settings_init(&job.settings);
    group_settings_rows(&job.settings, args);
    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    job.timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    status = read_arguments(&job, argc, argv);
    if (status != CLI_OK) {
        return status;
    }
    status = cli->gateway ? ask_gateway(&job) : ask_hub(&job);
    return cli_flush() || status != CLI_OK ? status : CLI_NEGATIVE;
}
