/*
 * client_driver: makes libnotifyhub do what a test says: one command a line on stdin, one JSON
 * object a line on stdout. It links the shared library, so it sees what programs see.
 *
 *     client_driver HOST COLLECTOR PUBLISHER REQUESTS
 *
 *   publisher WINDOW ACK_TIMEOUT_MS QUEUE     send TYPE DATA        publish TIMEOUT_MS ID TYPE DATA
 *   durability NUMBER (of the publishes that follow)
 *   submit COUNT TYPE ID_PREFIX     poll MS     flush MS     close LINGER_MS
 *   client     health MS     info MS     request MS JSON     history SINCE PAGE PATTERN
 *   resume
 *   subscriber SINCE WHOLE QUEUE REFILL_MS     on PATTERN     off PATTERN     prefix TEXT     many
 * COUNT run MS COUNT (polls the descriptor only)     position     stats     unsubscribe
 *
 * "-" stands for nothing. Events that come are printed by `run` as {"event":…} lines before its
 * own.
 */
#include "driver.h"

#include <notifyhub/notifyhub.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *host;
    uint16_t collector, publisher, requests;
    nhub_publisher *out;
    nhub_client *client;
    nhub_subscriber *in;
    unsigned long long acks_ok, acks_refused, acks_unknown, acks_resent, acks_duplicate;
    unsigned long long last_seq, submitted, events, defaulted;
    nhub_durability durability;
    bool acks_in_order;
    size_t max_in_flight;
} d;

static void print_err(nhub_err err)
{
    printf("{\"err\":%d,\"text\":\"%s\"}\n", (int)err, nhub_strerror(err));
}

/* Publisher. */

static void on_ack(void *context, const nhub_ack *ack)
{
    (void)context;
    d.acks_resent += ack->was_resent ? 1 : 0;
    if (ack->result == NHUB_OK) {
        d.acks_duplicate += ack->is_duplicate ? 1 : 0;
        d.acks_ok++;
        d.acks_in_order = d.acks_in_order && ack->first.seq > d.last_seq;
        d.last_seq = ack->first.seq;
    } else if (ack->result == NHUB_EREFUSED || ack->result == NHUB_ENODURABILITY) {
        d.acks_refused++;
    } else {
        d.acks_unknown++;
    }
}

static void do_publisher(char *line)
{
    nhub_publisher_options options = {.host = d.host,
                                      .collector_port = d.collector,
                                      .requests_port = d.requests,
                                      .source_service = "driver"};

    options.window = (uint32_t)atoi(driver_word(&line));
    options.ack_timeout_ms = (uint32_t)atoi(driver_word(&line));
    options.queue_events = (uint32_t)atoi(driver_word(&line));
    d.acks_in_order = true;
    print_err(nhub_publisher_create(&d.out, &options));
}

static void do_send(char *line)
{
    const char *type = driver_word(&line);
    const nhub_err err = nhub_publisher_send(d.out, type, driver_nothing(line));

    printf("{\"err\":%d,\"error\":\"%s\",\"queued\":%zu}\n", (int)err,
           err == NHUB_EINVAL ? "invalid" : "", nhub_publisher_queued(d.out));
}

static void do_publish(char *line)
{
    const int timeout_ms = atoi(driver_word(&line));
    nhub_draft draft = {.id = driver_nothing(driver_word(&line)), .durability = d.durability};
    nhub_ack ack = {0};
    nhub_err err = NHUB_OK;

    draft.event_type = driver_word(&line);
    draft.data = driver_nothing(line);
    err = nhub_publisher_publish(d.out, &draft, timeout_ms, &ack);
    printf("{\"err\":%d,\"seq\":%llu,\"epoch\":\"%s\",\"duplicate\":%s,\"code\":\"%s\","
           "\"durability\":%d,\"resent\":%s,\"text\":\"%s\"}\n",
           (int)err, (unsigned long long)ack.first.seq, ack.first.epoch,
           ack.is_duplicate ? "true" : "false", ack.code ? ack.code : "", (int)ack.durability,
           ack.was_resent ? "true" : "false", ack.error ? ack.error : "");
}

static void do_submit(char *line)
{
    const int count = atoi(driver_word(&line));
    nhub_draft draft = {.event_type = driver_word(&line)};
    const char *prefix = driver_nothing(line);
    int sent = 0;
    int tries = 0;
    nhub_err err = NHUB_OK;

    while (sent < count && err == NHUB_OK) {
        char id[64];
        char data[24];

        (void)snprintf(id, sizeof id, "%s%llu", prefix ? prefix : "", d.submitted);
        (void)snprintf(data, sizeof data, "%llu", d.submitted);
        draft.id = prefix && *prefix ? id : NULL;
        draft.data = data;
        draft.durability = d.durability;
        err = nhub_publisher_submit(d.out, &draft, on_ack, NULL);
        if (err == NHUB_OK) {
            d.submitted++;
            sent++;
        } else if (err == NHUB_EAGAIN && sent == 0 && tries++ < 100) {
            err = nhub_publisher_poll(d.out, 10, NULL); /* not connected yet */
        }
        if (nhub_publisher_in_flight(d.out) > d.max_in_flight) {
            d.max_in_flight = nhub_publisher_in_flight(d.out);
        }
    }
    printf("{\"err\":%d,\"sent\":%d,\"in_flight\":%zu}\n", (int)err, sent,
           nhub_publisher_in_flight(d.out));
}

static void print_acks(nhub_err err)
{
    printf("{\"err\":%d,\"ok\":%llu,\"refused\":%llu,\"unknown\":%llu,\"in_order\":%s,"
           "\"max_in_flight\":%zu,\"resent\":%llu,\"duplicates\":%llu}\n",
           (int)err, d.acks_ok, d.acks_refused, d.acks_unknown, d.acks_in_order ? "true" : "false",
           d.max_in_flight, d.acks_resent, d.acks_duplicate);
}

/* By the descriptor alone, as in a loop of one's own. */
static void do_poll(char *line)
{
    const long long until_ms = driver_now_ms() + atoi(line);
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK && nhub_publisher_in_flight(d.out) > 0 && driver_now_ms() < until_ms) {
        struct pollfd item = {.fd = nhub_publisher_fd(d.out), .events = POLLIN};

        if (poll(&item, 1, driver_left_ms(until_ms)) > 0) {
            err = nhub_publisher_poll(d.out, 0, NULL);
        }
    }
    print_acks(err);
}

static void do_close(char *line)
{
    nhub_close_report report = {0};
    const nhub_err err = nhub_publisher_close(&d.out, atoi(line), &report);

    printf("{\"err\":%d,\"unsent\":%llu,\"unacked\":%llu,\"unknown\":%llu}\n", (int)err,
           (unsigned long long)report.unsent, (unsigned long long)report.unacked, d.acks_unknown);
}

/* Client. */

static void do_client(void)
{
    const nhub_client_options options = {.host = d.host, .requests_port = d.requests};

    print_err(nhub_client_create(&d.client, &options));
}

static void do_info(char *line)
{
    nhub_info info = {0};
    const nhub_err err = nhub_client_info(d.client, atoi(line), &info);

    printf("{\"err\":%d,\"collector\":%u,\"publisher\":%u,\"requests\":%u,\"received\":%llu}\n",
           (int)err, info.collector_port, info.publisher_port, info.requests_port,
           (unsigned long long)info.events_received);
}

static void do_request(char *line)
{
    const int timeout_ms = atoi(driver_word(&line));
    nhub_answer *answer = NULL;
    const nhub_err err = nhub_client_request(d.client, line, timeout_ms, &answer);

    printf("{\"err\":%d,\"error\":\"%s\",\"frames\":%zu,\"answer\":%s}\n", (int)err,
           nhub_client_error(d.client), answer ? nhub_answer_frame_count(answer) : 0,
           answer ? nhub_answer_json(answer) : "null");
    nhub_answer_destroy(&answer);
}

static void do_history(char *line)
{
    nhub_history_query query = {.since = driver_nothing(driver_word(&line))};
    const char *pattern = NULL;
    nhub_history *history = NULL;
    unsigned long long count = 0, first = 0, last = 0;
    nhub_err err = NHUB_OK;

    query.page = (uint32_t)atoi(driver_word(&line));
    pattern = driver_nothing(line);
    query.patterns = &pattern;
    query.pattern_count = pattern ? 1 : 0;
    err = nhub_history_create(&history, d.client, &query);
    while (err == NHUB_OK) {
        const nhub_event *event = NULL;

        err = nhub_history_next(history, 2000, &event);
        if (err == NHUB_OK) {
            last = nhub_event_position(event).seq;
            first = first ? first : last;
            count++;
        }
    }
    printf("{\"err\":%d,\"count\":%llu,\"first\":%llu,\"last\":%llu}\n", (int)err, count, first,
           last);
    nhub_history_destroy(&history);
}

/* Subscriber. */

static void on_event(void *context, const nhub_event *event)
{
    const nhub_bytes json = nhub_event_json(event);

    d.events++;
    printf("{\"event\":%.*s,\"handler\":\"%s\",\"late\":%s}\n", (int)json.len, json.p,
           (const char *)context, nhub_event_is_late(event) ? "true" : "false");
}

static void on_gap(void *context, const nhub_gap *gap)
{
    (void)context;
    printf("{\"gap\":{\"from_epoch\":\"%s\",\"from\":%llu,\"to_epoch\":\"%s\",\"to\":%llu,"
           "\"delivered\":%llu,\"reason\":\"%s\"}}\n",
           gap->from.epoch, (unsigned long long)gap->from.seq, gap->to.epoch,
           (unsigned long long)gap->to.seq, (unsigned long long)gap->delivered, gap->reason);
}

static void do_subscriber(char *line)
{
    nhub_subscriber_options options = {.host = d.host,
                                       .publisher_port = d.publisher,
                                       .requests_port = d.requests,
                                       .on_gap = on_gap};

    options.since = driver_nothing(driver_word(&line));
    options.whole_stream = atoi(driver_word(&line)) != 0;
    options.queue_events = (uint32_t)atoi(driver_word(&line));
    options.refill_wait_ms = (uint32_t)atoi(driver_word(&line));
    print_err(nhub_subscriber_create(&d.in, &options));
}

static void do_on(char *line)
{
    static char names[16][64];
    static size_t count;
    char *name = names[count++ % 16];

    (void)snprintf(name, sizeof names[0], "%s", line);
    print_err(nhub_subscriber_on(d.in, line, on_event, name));
}

static void do_many(char *line)
{
    const int count = atoi(line);
    static char name[] = "many";
    nhub_err err = NHUB_OK;

    for (int i = 0; i < count && err == NHUB_OK; i++) {
        char type[32];

        (void)snprintf(type, sizeof type, "many.%05d", i);
        err = nhub_subscriber_on(d.in, type, on_event, name);
    }
    print_err(err);
}

static void do_prefix(char *line)
{
    static char name[] = "default";

    nhub_subscriber_default(d.in, on_event, name);
    print_err(nhub_subscriber_prefix(d.in, driver_nothing(line) ? line : ""));
}

/* Waits on the descriptor only: whatever the subscriber needs to do must make it readable. */
static void do_run(char *line)
{
    const long long until_ms = driver_now_ms() + atoi(driver_word(&line));
    const unsigned long long wanted = d.events + strtoull(line, NULL, 10);
    unsigned wakeups = 0;
    nhub_err err = NHUB_OK;

    while (err == NHUB_OK && d.events < wanted && driver_now_ms() < until_ms) {
        struct pollfd item = {.fd = nhub_subscriber_fd(d.in), .events = POLLIN};

        if (poll(&item, 1, driver_left_ms(until_ms)) > 0) {
            wakeups++;
            err = nhub_subscriber_poll(d.in, 0, 100, NULL);
        }
    }
    printf("{\"err\":%d,\"events\":%llu,\"wakeups\":%u}\n", (int)err, d.events, wakeups);
}

static void do_position(void)
{
    const nhub_position position = nhub_subscriber_position(d.in);

    printf("{\"epoch\":\"%s\",\"seq\":%llu}\n", position.epoch, (unsigned long long)position.seq);
}

static void do_resume(void)
{
    static const char *const words[] = {"none", "caught_up", "replayed", "gap", "unknown"};
    nhub_resume resume;

    nhub_subscriber_get_resume(d.in, &resume);
    printf("{\"result\":\"%s\",\"running\":%s,\"from\":%llu,\"to\":%llu,\"count\":%llu}\n",
           words[resume.result], resume.is_running ? "true" : "false",
           (unsigned long long)resume.from.seq, (unsigned long long)resume.to.seq,
           (unsigned long long)resume.count);
}

static void do_stats(void)
{
    nhub_subscriber_stats s;

    nhub_subscriber_get_stats(d.in, &s);
    printf("{\"delivered\":%llu,\"unselected\":%llu,\"refilled\":%llu,\"late\":%llu,"
           "\"duplicates\":%llu,\"gaps\":%llu,\"malformed\":%llu,\"disconnects\":%llu,"
           "\"unverified\":%llu,\"checks\":%llu,\"missed\":%llu,\"connected\":%s}\n",
           (unsigned long long)s.delivered, (unsigned long long)s.unselected,
           (unsigned long long)s.refilled, (unsigned long long)s.late,
           (unsigned long long)s.duplicates, (unsigned long long)s.gaps,
           (unsigned long long)s.malformed, (unsigned long long)s.disconnects,
           (unsigned long long)s.unverified, (unsigned long long)s.checks,
           (unsigned long long)s.missed, s.is_connected ? "true" : "false");
}

static bool obey(const char *name, char *line)
{
    if (strcmp(name, "publisher") == 0) {
        do_publisher(line);
    } else if (strcmp(name, "send") == 0) {
        do_send(line);
    } else if (strcmp(name, "publish") == 0) {
        do_publish(line);
    } else if (strcmp(name, "durability") == 0) {
        d.durability = (nhub_durability)atoi(line);
        print_err(NHUB_OK);
    } else if (strcmp(name, "submit") == 0) {
        do_submit(line);
    } else if (strcmp(name, "poll") == 0) {
        do_poll(line);
    } else if (strcmp(name, "flush") == 0) {
        print_acks(nhub_publisher_flush(d.out, atoi(line)));
    } else if (strcmp(name, "close") == 0) {
        do_close(line);
    } else if (strcmp(name, "client") == 0) {
        do_client();
    } else if (strcmp(name, "health") == 0) {
        print_err(nhub_client_health(d.client, atoi(line)));
    } else if (strcmp(name, "info") == 0) {
        do_info(line);
    } else if (strcmp(name, "request") == 0) {
        do_request(line);
    } else if (strcmp(name, "history") == 0) {
        do_history(line);
    } else if (strcmp(name, "subscriber") == 0) {
        do_subscriber(line);
    } else if (strcmp(name, "on") == 0) {
        do_on(line);
    } else if (strcmp(name, "off") == 0) {
        print_err(nhub_subscriber_off(d.in, line));
    } else if (strcmp(name, "prefix") == 0) {
        do_prefix(line);
    } else if (strcmp(name, "many") == 0) {
        do_many(line);
    } else if (strcmp(name, "run") == 0) {
        do_run(line);
    } else if (strcmp(name, "position") == 0) {
        do_position();
    } else if (strcmp(name, "resume") == 0) {
        do_resume();
    } else if (strcmp(name, "stats") == 0) {
        do_stats();
    } else if (strcmp(name, "unsubscribe") == 0) {
        nhub_subscriber_destroy(&d.in);
        print_err(NHUB_OK);
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    d.host = argv[1];
    d.collector = (uint16_t)atoi(argv[2]);
    d.publisher = (uint16_t)atoi(argv[3]);
    d.requests = (uint16_t)atoi(argv[4]);
    driver_run(obey);
    nhub_subscriber_destroy(&d.in);
    nhub_publisher_destroy(&d.out);
    nhub_client_destroy(&d.client);
    return 0;
}
