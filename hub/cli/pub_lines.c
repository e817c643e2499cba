/*
 * pub_lines: events from stdin, in batches of what is there: a slow producer's event goes out at
 * once, a file in large pieces.
 *
 * Without --keep-going a batch is all or nothing. When the hub refuses it because of line k, the
 * lines before k are sent again by themselves (nothing of the batch was numbered), and that is the
 * end: exactly the lines before the bad one are accepted.
 *
 * A gateway takes batches as a whole only. So that one bad line does not make all of its batch
 * travel again, lines for a gateway are checked here first, with the rules of its door; and after a
 * refusal for what only the other side knows (an id that is taken, its limits) batches are small,
 * and grow again with each one that is accepted.
 */
#include "base/buf.h"
#include "cli/gateway.h"
#include "cli/pub.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_LINES         1000
#define BATCH_BYTES         (1u << 20)
#define BATCH_AFTER_REFUSAL 8
#define OUTCOME_REASON      320
#define READ_BYTES          65536
#define LINE_MAX_BYTES      (64u << 20)
#define EXAMPLES_TOLD       20 /* lines refused, or not kept, that are told one by one */

struct source {
    struct buf bytes; /* read and not yet taken */
    size_t at;        /* the first byte that was not taken */
    uint64_t line;    /* number of the last line taken */
    bool is_ended;
};

struct batch {
    nhub_bytes lines[BATCH_LINES];
    uint64_t numbers[BATCH_LINES];
    size_t count;
    size_t bytes;
};

struct total {
    uint64_t accepted, duplicates, refused;
    uint64_t lost; /* of the duplicates: not kept as safely as asked for */
    nhub_position first, last;
};

struct sender {
    size_t batch_max; /* lines of the next batch */
    const struct cli *cli;
    const struct pub_options *options;
    nhub_publisher *publisher;  /* to the hub, or */
    struct http_client *client; /* to a gateway */
    struct total total;
};

/* Lines. */

/* The next line that is not blank; false when there is none in hand. */
static bool next_line(struct source *s, nhub_bytes *out)
{
    while (s->at < s->bytes.len) {
        const char *start = s->bytes.data + s->at;
        const size_t left = s->bytes.len - s->at;
        const char *end = memchr(start, '\n', left);
        size_t len = end ? (size_t)(end - start) : left;

        if (!end && !s->is_ended) {
            return false;
        }
        s->at += end ? len + 1 : len;
        s->line++;
        while (len > 0 && (start[len - 1] == '\r' || start[len - 1] == ' ')) {
            len--;
        }
        if (len > 0) {
            *out = (nhub_bytes){.p = start, .len = len};
            return true;
        }
    }
    return false;
}

/* Takes lines that are in hand into the batch. The bytes stay until the next read. */
static void fill_batch(struct source *s, struct batch *b)
{
    b->count = 0;
    b->bytes = 0;
    while (b->count < BATCH_LINES && b->bytes < BATCH_BYTES && next_line(s, &b->lines[b->count])) {
        b->numbers[b->count] = s->line;
        b->bytes += b->lines[b->count].len;
        b->count++;
    }
}

static bool read_more(const struct cli *cli, struct source *s)
{
    ssize_t count = 0;

    buf_consume(&s->bytes, s->at);
    s->at = 0;
    if (s->bytes.len > LINE_MAX_BYTES || buf_reserve(&s->bytes, READ_BYTES) != NHUB_OK) {
        cli_error(cli, "line %llu is larger than 64 MiB", (unsigned long long)s->line + 1);
        return false;
    }
    count = read(STDIN_FILENO, s->bytes.data + s->bytes.len, READ_BYTES);
    if (count < 0 && errno == EINTR && interrupt_seen()) {
        count = 0;
    }
    if (count < 0) {
        cli_error(cli, "cannot read stdin: %s", strerror(errno));
        return false;
    }
    s->is_ended = count == 0;
    s->bytes.len += (size_t)count;
    return true;
}

/* What became of a batch. */
struct outcome {
    int status;      /* CLI_OK, or why all of it failed */
    bool is_refused; /* because of line `index`; nothing was numbered */
    size_t index;
    char reason[OUTCOME_REASON];
};

static void add_range(struct total *t, const nhub_position *first, const nhub_position *last,
                      uint64_t accepted)
{
    if (accepted > 0) {
        t->first = t->first.epoch[0] ? t->first : *first;
        t->last = *last;
        t->accepted += accepted;
    }
}

/* The other side speaks of "event 3" of the batch; the line's number says it better. */
static const char *without_index(const char *error)
{
    const char *colon = strncmp(error, "event ", 6) == 0 ? strstr(error, ": ") : NULL;

    return colon ? colon + 2 : error;
}

static void tell_refused(struct sender *s, uint64_t line, const char *reason)
{
    s->total.refused++;
    if (s->total.refused + s->total.lost <= EXAMPLES_TOLD) {
        cli_note(s->cli, "line %llu: refused: %s", (unsigned long long)line, reason);
    }
}

static void tell_lost(struct sender *s, uint64_t line, const nhub_position *position,
                      const char *reason)
{
    char text[NHUB_POSITION_TEXT_MAX];

    s->total.lost++;
    if (s->total.refused + s->total.lost <= EXAMPLES_TOLD) {
        (void)nhub_position_format(position, text);
        cli_note(s->cli, "line %llu: accepted as %s, but not kept as safely as asked for: %s",
                 (unsigned long long)line, text, reason);
    }
}

/* To the hub. */

/* Which lines an answer that was no success is about. */
static void tell_lines(const struct sender *s, const struct batch *b, nhub_err err)
{
    const char *what = err == NHUB_ETIMEOUT || err == NHUB_ECLOSED ? "may be accepted or not"
                       : err == NHUB_ENOTKEPT                      ? "are accepted, and may be lost"
                                                                   : "are not accepted";

    cli_note(s->cli, "lines %llu to %llu %s", (unsigned long long)b->numbers[0],
             (unsigned long long)b->numbers[b->count - 1], what);
}

static void count_items(struct sender *s, const struct batch *b, const nhub_ack *ack)
{
    char reason[320];

    for (size_t i = 0; i < ack->item_count; i++) {
        const nhub_item *item = &ack->items[i];
        nhub_position position = ack->first; /* for its epoch */

        if (!item->code || item->index >= b->count) {
            continue;
        }
        (void)snprintf(reason, sizeof reason, "%s: %s", item->code,
                       item->error ? without_index(item->error) : "");
        position.seq = item->seq;
        if (item->is_duplicate) {
            tell_lost(s, b->numbers[item->index], &position, reason);
        } else {
            tell_refused(s, b->numbers[item->index], reason);
        }
    }
    s->total.duplicates += ack->duplicates;
}

static void send_to_hub(struct sender *s, const struct batch *b, struct outcome *out)
{
    const int mode = s->options->keeps_going ? NHUB_PUBLISH_EACH : NHUB_PUBLISH_ATOMIC;
    nhub_ack ack = {0};
    const nhub_err err = nhub_publisher_publish_lines(s->publisher, b->lines, b->count, mode,
                                                      s->options->timeout_ms, &ack);

    if (err == NHUB_OK) {
        add_range(&s->total, &ack.first, &ack.last, ack.accepted);
        count_items(s, b, &ack);
        return;
    }
    if (err == NHUB_EREFUSED && ack.has_index && ack.index < b->count) {
        out->is_refused = true;
        out->index = ack.index;
        (void)snprintf(out->reason, sizeof out->reason, "%s: %s", ack.code,
                       without_index(ack.error));
        return;
    }
    if (err == NHUB_ENOTKEPT) {
        add_range(&s->total, &ack.first, &ack.last, ack.accepted);
    }
    out->status = pub_fail(s->cli, s->publisher, err, &ack);
    tell_lines(s, b, err);
}

/* Fire and forget: only what is no event at all is noticed, here. */
static void forget_batch(struct sender *s, const struct batch *b, struct outcome *out)
{
    for (size_t i = 0; i < b->count && !out->is_refused && out->status == CLI_OK; i++) {
        nhub_err err = nhub_publisher_send_line(s->publisher, b->lines[i]);

        if (err == NHUB_EAGAIN) {
            NHUB_IGNORE(nhub_publisher_flush(s->publisher, s->options->timeout_ms));
            err = nhub_publisher_send_line(s->publisher, b->lines[i]);
        }
        if (err == NHUB_EAGAIN) {
            err = NHUB_EUNAVAIL;
        }
        if (err == NHUB_OK) {
            s->total.accepted++;
        } else if ((err == NHUB_EINVAL || err == NHUB_ETOOBIG) && s->options->keeps_going) {
            tell_refused(s, b->numbers[i], nhub_publisher_error(s->publisher));
        } else if (err == NHUB_EINVAL || err == NHUB_ETOOBIG) {
            tell_refused(s, b->numbers[i], nhub_publisher_error(s->publisher));
            out->status = CLI_REFUSED;
        } else {
            out->status = cli_fail(s->cli, "publish", err, NULL);
        }
    }
}

/* To a gateway. */

static void read_accepted(struct sender *s, const struct http_answer *answer)
{
    json_error_t error;
    json_t *json =
        json_loadb(answer->body.data ? answer->body.data : "", answer->body.len, 0, &error);
    const char *epoch = json_string_value(json_object_get(json, "epoch"));
    nhub_position first = {.seq = (uint64_t)json_integer_value(json_object_get(json, "first_seq"))};
    nhub_position last = {.seq = (uint64_t)json_integer_value(json_object_get(json, "last_seq"))};

    (void)snprintf(first.epoch, sizeof first.epoch, "%s", epoch ? epoch : "");
    memcpy(last.epoch, first.epoch, sizeof last.epoch);
    add_range(&s->total, &first, &last,
              (uint64_t)json_integer_value(json_object_get(json, "accepted")));
    s->total.duplicates += (uint64_t)json_integer_value(json_object_get(json, "duplicates"));
    json_decref(json);
}

static void send_to_gateway(struct sender *s, const struct batch *b, struct outcome *out)
{
    struct http_answer answer = {0};
    struct http_request request = {.content_type = "application/x-ndjson",
                                   .timeout_ms = s->options->timeout_ms};
    struct buf path, body;
    nhub_err err = NHUB_OK;

    buf_init(&path);
    buf_init(&body);
    pub_add_path(&path, s->options);
    for (size_t i = 0; i < b->count; i++) {
        buf_add(&body, b->lines[i].p, b->lines[i].len);
        buf_add_char(&body, '\n');
    }
    request.path = buf_cstr(&path);
    request.body = buf_cstr(&body);
    request.body_len = body.len;
    err = http_call(s->client, &request, &answer);
    if (err == NHUB_OK && answer.status / 100 == 2) {
        read_accepted(s, &answer);
    } else {
        char index[24];
        char code[64];
        char detail[220];

        gateway_problem(&answer, "index", index, sizeof index);
        gateway_problem(&answer, "code", code, sizeof code);
        gateway_problem(&answer, "detail", detail, sizeof detail);
        out->is_refused = err == NHUB_OK && answer.status / 100 == 4 && *index;
        out->index = strtoul(index, NULL, 10);
        (void)snprintf(out->reason, sizeof out->reason, "%s: %s", code, without_index(detail));
        if (!out->is_refused || out->index >= b->count) {
            out->is_refused = false;
            out->status = gateway_fail(s->cli, "publish", s->client, err, &answer);
        }
    }
    buf_fini(&answer.body);
    buf_fini(&body);
    buf_fini(&path);
}

static void send_batch(struct sender *s, const struct batch *b, struct outcome *out)
{
    *out = (struct outcome){.status = CLI_OK};
    if (b->count == 0) {
        return;
    }
    if (s->client) {
        send_to_gateway(s, b, out);
        s->batch_max = out->is_refused ? BATCH_AFTER_REFUSAL : s->batch_max * 2;
        s->batch_max = s->batch_max < BATCH_LINES ? s->batch_max : BATCH_LINES;
    } else if (s->options->is_forgotten) {
        forget_batch(s, b, out);
    } else {
        send_to_hub(s, b, out);
    }
}

/* A part of a batch. */
static void slice(const struct batch *from, size_t at, size_t count, struct batch *out)
{
    out->count = count;
    memcpy(out->lines, from->lines + at, count * sizeof *out->lines);
    memcpy(out->numbers, from->numbers + at, count * sizeof *out->numbers);
}

/* How many lines from the first on can be sent; 0 with the reason why the first one cannot. */
static size_t count_good(const struct sender *s, const struct batch *b, char *reason, size_t size)
{
    char unused[OUTCOME_REASON];
    size_t count = 0;

    while (count < b->count &&
           (!s->client || pub_check_line(b->lines[count], count ? unused : reason,
                                         count ? sizeof unused : size))) {
        count++;
    }
    return count;
}

/* The other side refused a line of the piece, and nothing of it was numbered: the lines before it
 * go by themselves. Returns the exit status so far. */
static int pass_over(struct sender *s, struct batch *piece, const struct outcome *refused)
{
    struct outcome rest;

    tell_refused(s, piece->numbers[refused->index], refused->reason);
    piece->count = refused->index;
    send_batch(s, piece, &rest);
    if (rest.status != CLI_OK) {
        return rest.status;
    }
    return rest.is_refused || !s->options->keeps_going ? CLI_REFUSED : CLI_OK;
}

/* Sends a batch in pieces of batch_max; a refused line ends it, or is passed over. `piece` is room
 * for them. Returns the exit status so far. */
static int work_off(struct sender *s, const struct batch *b, struct batch *piece)
{
    int status = CLI_OK;

    for (size_t at = 0; at < b->count && status == CLI_OK;) {
        const size_t left = b->count - at;
        struct outcome outcome = {.status = CLI_OK};

        slice(b, at, left < s->batch_max ? left : s->batch_max, piece);
        piece->count = count_good(s, piece, outcome.reason, sizeof outcome.reason);
        if (piece->count == 0) {
            tell_refused(s, b->numbers[at++], outcome.reason);
            status = s->options->keeps_going ? CLI_OK : CLI_REFUSED;
            continue;
        }
        send_batch(s, piece, &outcome);
        status = outcome.status;
        if (outcome.is_refused) {
            at += outcome.index + 1;
            status = pass_over(s, piece, &outcome);
        } else {
            at += piece->count;
        }
    }
    return status;
}

static void print_total(const struct cli *cli, const struct total *t)
{
    char first[NHUB_POSITION_TEXT_MAX] = "";
    char last[NHUB_POSITION_TEXT_MAX] = "";

    if (cli->is_quiet) {
        return;
    }
    if (t->first.epoch[0] != '\0') {
        (void)nhub_position_format(&t->first, first);
        (void)nhub_position_format(&t->last, last);
    }
    if (cli->is_json) {
        (void)printf("{\"accepted\":%llu,\"duplicates\":%llu,\"refused\":%llu,\"first\":\"%s\","
                     "\"last\":\"%s\"}\n",
                     (unsigned long long)t->accepted, (unsigned long long)t->duplicates,
                     (unsigned long long)t->refused, first, last);
    } else {
        (void)printf("accepted %llu, duplicates %llu, refused %llu%s%s%s%s\n",
                     (unsigned long long)t->accepted, (unsigned long long)t->duplicates,
                     (unsigned long long)t->refused, *first ? ", from " : "", first,
                     *last ? " to " : "", last);
    }
}

static int finish(struct sender *s, int status)
{
    nhub_close_report report = {0};

    if (s->publisher) {
        NHUB_IGNORE(nhub_publisher_close(&s->publisher, s->options->timeout_ms, &report));
    }
    http_client_destroy(&s->client);
    s->total.accepted -= report.unsent < s->total.accepted ? report.unsent : s->total.accepted;
    if (report.unsent > 0) {
        cli_error(s->cli, "%llu events were not sent: no hub at %s, port %u",
                  (unsigned long long)report.unsent, s->cli->host,
                  (unsigned)s->cli->collector_port);
        status = CLI_UNREACHABLE;
    }
    if (s->total.refused + s->total.lost > EXAMPLES_TOLD) {
        cli_note(s->cli, "… and %llu more lines",
                 (unsigned long long)(s->total.refused + s->total.lost - EXAMPLES_TOLD));
    }
    print_total(s->cli, &s->total);
    if (status == CLI_OK && s->total.refused + s->total.lost > 0) {
        status = s->total.refused > 0 ? CLI_REFUSED : CLI_NOT_KEPT;
    }
    return cli_flush() || status != CLI_OK ? status : CLI_NEGATIVE;
}

int pub_lines(const struct cli *cli, const struct pub_options *o)
{
    struct sender sender = {.batch_max = BATCH_LINES, .cli = cli, .options = o};
    struct source source = {.at = 0};
    struct batch *batches = NULL; /* one that is read, one that is sent */
    int status = CLI_USAGE;

    if (cli->gateway ? !gateway_open(cli, &sender.client)
                     : !pub_open(cli, o, &sender.publisher, &status)) {
        return status;
    }
    interrupt_install();
    buf_init(&source.bytes);
    batches = calloc(2, sizeof *batches);
    status = batches ? CLI_OK : cli_fail(cli, "publish", NHUB_ENOMEM, NULL);
    while (status == CLI_OK && !source.is_ended && !interrupt_seen()) {
        if (!read_more(cli, &source)) {
            status = CLI_NEGATIVE;
        }
        do {
            fill_batch(&source, &batches[0]);
            status = status == CLI_OK ? work_off(&sender, &batches[0], &batches[1]) : status;
        } while (status == CLI_OK && batches[0].count > 0 && source.at < source.bytes.len);
    }
    free(batches);
    buf_fini(&source.bytes);
    return finish(&sender, status);
}
