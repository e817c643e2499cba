/*
 * history: prints what the hub keeps, page by page.
 */
#include "cli/args.h"
#include "cli/gateway.h"
#include "cli/out.h"
#include "wire/json_scan.h"

#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000
#define PAGE_EVENTS        1000

static const struct command_help help = {
    .name = "history",
    .usage = "[PATTERN]...",
    .about = "Prints the events that the hub keeps, oldest first, and ends. A PATTERN is an event "
             "type,\n"
             "or holds * ? [a-z] [!a-z]. With --next the position to go on from is printed on "
             "stderr at\n"
             "the end, for the next --since.",
    .examples = "  notifyhub history\n"
                "  notifyhub history 'sensor.*' --limit 10\n"
                "  notifyhub history --since 2026-03-01T12:00:00Z --json | jq -r .event_type\n"
                "  notifyhub history --gateway http://localhost:8080 --limit 100\n",
    .exits =
        "  0 told, also when there was nothing · 2 wrong usage · 3 nobody answers · 4 refused ·\n"
        "  5 events behind --since are missing\n",
};

struct job {
    const struct cli *cli;
    struct cli_list patterns;
    const char *since;
    uint64_t limit; /* 0 = none */
    bool tells_next;
    int timeout_ms;
    enum out_format format;
    bool has_gap;
    char next[64];
};

static void tell_gap(struct job *job, nhub_history *history)
{
    nhub_position from, to;
    const char *reason = NULL;
    char from_text[NHUB_POSITION_TEXT_MAX] = "";
    char to_text[NHUB_POSITION_TEXT_MAX] = "";

    while (nhub_history_take_gap(history, &from, &to, &reason)) {
        from_text[0] = '\0';
        to_text[0] = '\0';
        if (from.epoch[0] != '\0') {
            (void)nhub_position_format(&from, from_text);
        }
        if (to.epoch[0] != '\0') {
            (void)nhub_position_format(&to, to_text);
        }
        job->has_gap = true;
        (void)out_gap(job->cli,
                      strcmp(reason, OUT_UNKNOWN) == 0 && job->since ? job->since : from_text,
                      to_text, reason, 0);
    }
}

static nhub_err print_all(struct job *job, nhub_history *history)
{
    nhub_position position;
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK && !interrupt_seen()) {
        const nhub_event *event = NULL;

        err = nhub_history_next(history, job->timeout_ms, &event);
        tell_gap(job, history);
        if (err == NHUB_OK && !out_event(job->cli, job->format, event)) {
            return NHUB_ECLOSED;
        }
    }
    position = nhub_history_position(history);
    if (position.epoch[0] != '\0') {
        (void)nhub_position_format(&position, job->next);
    }
    return err == NHUB_ENOTFOUND ? NHUB_OK : err;
}

static int from_hub(struct job *job)
{
    const nhub_client_options options = {.host = job->cli->host,
                                         .requests_port = job->cli->requests_port};
    /* As everywhere, the statistics event and hub.* come only to those who name them. */
    static const char *const everything[] = {"*"};
    const bool has_patterns = job->patterns.count > 0;
    const nhub_history_query query = {.since = job->since,
                                      .patterns = has_patterns ? job->patterns.items : everything,
                                      .pattern_count = has_patterns ? job->patterns.count : 1,
                                      .limit = job->limit,
                                      .page = PAGE_EVENTS};
    nhub_client *client = NULL;
    nhub_history *history = NULL;
    int status = CLI_OK;
    nhub_err err = nhub_client_create(&client, &options);

    if (err == NHUB_OK) {
        err = nhub_history_create(&history, client, &query);
    }
    if (err == NHUB_OK) {
        err = print_all(job, history);
    }
    if (err != NHUB_OK && err != NHUB_ECLOSED) {
        status =
            cli_fail(job->cli, "read the history", err, client ? nhub_client_error(client) : NULL);
    }
    nhub_history_destroy(&history);
    nhub_client_destroy(&client);
    return status;
}

/* From a gateway. */

/* A page as the gateway sends it; the spans point into its body, so that events keep their bytes.
 */
enum page_member { PAGE_EVENTS_LIST, PAGE_NEXT, PAGE_MORE, PAGE_GAP, PAGE_RESULT, PAGE_MEMBERS };

struct page {
    struct http_answer answer;
    struct json_span members[PAGE_MEMBERS];
    uint64_t count;
};

static int fetch(struct job *job, struct http_client *client, uint64_t limit, struct page *out)
{
    static const struct json_key keys[PAGE_MEMBERS] = {JSON_KEY("events"), JSON_KEY("next"),
                                                       JSON_KEY("more"), JSON_KEY("gap"),
                                                       JSON_KEY("result")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct http_request request = {.accept = "application/json", .timeout_ms = job->timeout_ms};
    struct json_report report;
    struct buf path;
    nhub_err err = NHUB_OK;
    int status = CLI_OK;

    buf_init(&path);
    buf_printf(&path, "/events?limit=%llu", (unsigned long long)limit);
    gateway_add_query(&path, &job->patterns, job->next);
    request.path = buf_cstr(&path);
    err = http_call(client, &request, &out->answer);
    if (err != NHUB_OK || out->answer.status != 200) {
        status = gateway_fail(job->cli, "read the history", client, err, &out->answer);
    } else if (json_scan_object(out->answer.body.data, out->answer.body.len, keys, PAGE_MEMBERS,
                                &options, out->members, &report) != NHUB_OK) {
        cli_error(job->cli, "cannot read the history: the gateway's page is no JSON object");
        status = CLI_NEGATIVE;
    }
    buf_fini(&path);
    return status;
}

/* A string member as text, "" when it is none. */
static void text_of(const struct json_span *span, char *out, size_t size)
{
    size_t len = 0;

    if (json_decode_string(span, out, size - 1, &len) != NHUB_OK) {
        len = 0;
    }
    out[len] = '\0';
}

static void tell_page_gap(struct job *job, const struct json_span *gap)
{
    static const struct json_key keys[] = {JSON_KEY("from"), JSON_KEY("to"), JSON_KEY("reason")};
    const struct json_scan_options options = {.allow_nonfinite = false};
    struct json_span members[3];
    struct json_report report;
    char texts[3][64];

    if (json_scan_object(gap->p ? gap->p : "", gap->len, keys, 3, &options, members, &report) !=
        NHUB_OK) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        text_of(&members[i], texts[i], sizeof texts[i]);
    }
    job->has_gap = true;
    (void)out_gap(job->cli, texts[0], texts[1], texts[2][0] ? texts[2] : OUT_UNSAID, 0);
}

/* The hub never gave out what --since names: as to a stream, that is told as a gap from there. */
static void tell_unknown(struct job *job, const struct page *page)
{
    char result[16];
    char next[64];

    text_of(&page->members[PAGE_RESULT], result, sizeof result);
    if (strcmp(result, OUT_UNKNOWN) == 0) {
        text_of(&page->members[PAGE_NEXT], next, sizeof next);
        job->has_gap = true;
        (void)out_gap(job->cli, job->next, next, result, 0);
    }
}

/* Prints a page; false when nobody reads on. */
static bool print_page(struct job *job, struct page *page)
{
    const struct json_scan_options options = {.allow_nonfinite = false};
    const struct json_span *events = &page->members[PAGE_EVENTS_LIST];
    struct json_report report;
    struct json_span element;
    bool is_read = true;
    size_t at = 0;

    if (page->members[PAGE_GAP].kind == JSON_OBJECT) {
        tell_page_gap(job, &page->members[PAGE_GAP]);
    }
    tell_unknown(job, page);
    text_of(&page->members[PAGE_NEXT], job->next, sizeof job->next);
    while (is_read && events->kind == JSON_ARRAY &&
           json_scan_element(events->p, events->len, &at, &options, &element, &report) == NHUB_OK) {
        nhub_event *event = NULL;

        page->count++;
        if (nhub_event_create(&event, (nhub_bytes){.p = element.p, .len = element.len}) ==
            NHUB_OK) {
            is_read = out_event(job->cli, job->format, event);
        }
        nhub_event_destroy(&event);
    }
    return is_read;
}

static int from_gateway(struct job *job)
{
    uint64_t left = job->limit ? job->limit : UINT64_MAX;
    struct http_client *client = NULL;
    bool goes_on = true;
    int status = CLI_OK;

    if (!gateway_open(job->cli, &client)) {
        return CLI_USAGE;
    }
    (void)snprintf(job->next, sizeof job->next, "%s", job->since ? job->since : "earliest");
    while (goes_on && left > 0 && !interrupt_seen()) {
        struct page page = {.count = 0};

        status = fetch(job, client, left < PAGE_EVENTS ? left : PAGE_EVENTS, &page);
        goes_on = status == CLI_OK && print_page(job, &page) &&
                  page.members[PAGE_MORE].kind == JSON_TRUE && job->next[0] != '\0';
        left -= page.count < left ? page.count : left;
        buf_fini(&page.answer.body);
    }
    http_client_destroy(&client);
    return status;
}

int cmd_history(struct cli *cli, int argc, char **argv)
{
    struct job job = {.cli = cli};
    const struct arg args[] = {
        {"since", 's', ARG_TEXT, &job.since, "WHEN",
         "begin behind a position (epoch-seq), a number of this epoch,\nor at a time (RFC 3339); "
         "earliest without it",
         0, 0},
        {"limit", 'l', ARG_NUMBER, &job.limit, "N", "at most N events", 1, 0},
        {"next", 0, ARG_FLAG, &job.tells_next, NULL, "tell the position to go on from", 0, 0},
        {"human", 0, ARG_FLAG, &cli->is_human, NULL, "the readable form, also in a pipe", 0, 0},
        {.name = NULL}};
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > CLI_LIST_MAX) {
        return args_mistake(cli, &help, "at most %d patterns", CLI_LIST_MAX);
    }
    for (int i = 0; i < argc; i++) {
        job.patterns.items[job.patterns.count++] = argv[i];
    }
    status = args_check_reading(cli, &help, job.since, &job.patterns);
    if (status != CLI_OK) {
        return status;
    }
    job.timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    job.format = out_format_of(cli);
    interrupt_install();
    status = cli->gateway ? from_gateway(&job) : from_hub(&job);
    if (status == CLI_OK && job.tells_next) {
        cli_note(cli, "next: %s", job.next);
    }
    return status == CLI_OK && job.has_gap ? CLI_GAP : status;
}
