/*
 * consumer_driver: makes a consumer of libnotifyhub do what a test says, as client_driver does for
 * the rest of the library: one command a line on stdin, one JSON object a line on stdout.
 *
 *     consumer_driver HOST REQUESTS
 *
 *   consumer GROUP PREFETCH VISIBILITY_MS ATTEMPTS ORDERED SINCE PATTERN   ("-": none; a PATTERN
 *            makes the group, "*" too)
 *   next MS            the next delivery          take MS COUNT      by the descriptor only
 *   ack MS ID…         nack MS DELAY ID…          extend MS VISIBILITY ID…
 *   settle ID          acknowledges without waiting; settled MS: waits for those, by the descriptor
 *   member   destroy
 *
 * Gaps are printed as {"gap":…} lines, deliveries of `take` as {"delivery":…} lines before its own.
 */
#include "driver.h"

#include <notifyhub/notifyhub.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *host;
    uint16_t requests;
    nhub_consumer *consumer;
    unsigned long long submitted, settled, settled_well;
} d;

static void on_gap(void *context, const nhub_gap *gap)
{
    (void)context;
    printf("{\"gap\":{\"from_epoch\":\"%s\",\"from\":%llu,\"to_epoch\":\"%s\",\"to\":%llu,"
           "\"reason\":\"%s\"}}\n",
           gap->from.epoch, (unsigned long long)gap->from.seq, gap->to.epoch,
           (unsigned long long)gap->to.seq, gap->reason);
}

static void print_err(nhub_err err)
{
    printf("{\"err\":%d,\"error\":\"%s\",\"code\":\"%s\"}\n", (int)err,
           d.consumer ? nhub_consumer_error(d.consumer) : "",
           d.consumer ? nhub_consumer_error_code(d.consumer) : "");
}

static void do_consumer(char *line)
{
    nhub_consumer_options options = {.host = d.host, .requests_port = d.requests, .on_gap = on_gap};
    const char *pattern = NULL;

    options.group = driver_word(&line);
    options.prefetch = (uint32_t)atoi(driver_word(&line));
    options.visibility_ms = (uint32_t)atoi(driver_word(&line));
    options.max_attempts = atoi(driver_word(&line));
    options.ordered = atoi(driver_word(&line)) != 0;
    options.since = driver_nothing(driver_word(&line));
    pattern = driver_nothing(driver_word(&line));
    options.patterns = &pattern;
    options.pattern_count = pattern ? 1 : 0;
    options.create = pattern != NULL;
    print_err(nhub_consumer_create(&d.consumer, &options));
}

static void print_delivery(const nhub_delivery *delivery)
{
    const nhub_bytes json = nhub_event_json(delivery->event);

    printf("\"id\":\"%s\",\"attempt\":%llu,\"visibility_ms\":%llu,\"event\":%.*s", delivery->id,
           (unsigned long long)delivery->attempt, (unsigned long long)delivery->visibility_ms,
           (int)json.len, json.p);
}

static void do_next(char *line)
{
    const nhub_delivery *delivery = NULL;
    const nhub_err err = nhub_consumer_next(d.consumer, atoi(line), &delivery);

    if (err != NHUB_OK) {
        print_err(err);
        return;
    }
    printf("{\"err\":0,");
    print_delivery(delivery);
    printf("}\n");
}

static bool wait_readable(long long until_ms)
{
    struct pollfd item = {.fd = nhub_consumer_fd(d.consumer), .events = POLLIN};

    return poll(&item, 1, driver_left_ms(until_ms)) > 0;
}

static void do_take(char *line)
{
    const long long until_ms = driver_now_ms() + atoi(driver_word(&line));
    const int wanted = atoi(driver_word(&line));
    int count = 0;
    unsigned wakeups = 0;
    nhub_err err = NHUB_EAGAIN;

    while (count < wanted && (err == NHUB_EAGAIN || err == NHUB_OK) && driver_now_ms() < until_ms) {
        const nhub_delivery *delivery = NULL;

        err = nhub_consumer_next(d.consumer, 0, &delivery);
        if (err == NHUB_OK) {
            printf("{\"delivery\":{");
            print_delivery(delivery);
            printf("}}\n");
            count++;
        } else if (err == NHUB_EAGAIN) {
            wakeups++;
            (void)wait_readable(until_ms);
        }
    }
    printf("{\"err\":%d,\"count\":%d,\"wakeups\":%u}\n", (int)err, count, wakeups);
}

static size_t read_ids(char *line, const char *ids[NHUB_SETTLE_MAX])
{
    size_t count = 0;

    for (char *id = driver_word(&line); *id && count < NHUB_SETTLE_MAX; id = driver_word(&line)) {
        ids[count++] = id;
    }
    return count;
}

static void print_settled(nhub_err err, const nhub_settled *settled)
{
    printf("{\"err\":%d,\"done\":%zu,\"durability\":%d,\"resent\":%s,\"failed\":[", (int)err,
           settled->done, (int)settled->durability, settled->was_resent ? "true" : "false");
    for (size_t i = 0; i < settled->failed_count; i++) {
        printf("%s[\"%s\",\"%s\"]", i ? "," : "", settled->failed[i].id, settled->failed[i].code);
    }
    printf("]}\n");
}

static void do_settle_now(const char *name, char *line)
{
    const int timeout_ms = atoi(driver_word(&line));
    const uint32_t ms = strcmp(name, "ack") == 0 ? 0 : (uint32_t)atoi(driver_word(&line));
    const char *ids[NHUB_SETTLE_MAX];
    const size_t count = read_ids(line, ids);
    nhub_settled settled = {.failed_count = 0};
    nhub_err err = NHUB_OK;

    if (strcmp(name, "ack") == 0) {
        err = nhub_consumer_ack(d.consumer, ids, count, timeout_ms, &settled);
    } else if (strcmp(name, "nack") == 0) {
        err = nhub_consumer_nack(d.consumer, ids, count, ms, timeout_ms, &settled);
    } else {
        err = nhub_consumer_extend(d.consumer, ids, count, ms, timeout_ms, &settled);
    }
    print_settled(err, &settled);
}

static void on_settled(void *context, const nhub_settled *settled)
{
    (void)context;
    d.settled++;
    d.settled_well += settled->result == NHUB_OK ? 1 : 0;
}

static void do_settle(char *line)
{
    const char *id = driver_word(&line);
    const nhub_err err =
        nhub_consumer_settle(d.consumer, NHUB_SETTLE_ACK, &id, 1, 0, on_settled, NULL);

    d.submitted += err == NHUB_OK ? 1 : 0;
    print_err(err);
}

static void do_settled(char *line)
{
    const long long until_ms = driver_now_ms() + atoi(driver_word(&line));
    unsigned taken = 0;

    while (d.settled < d.submitted && driver_now_ms() < until_ms) {
        const nhub_delivery *delivery = NULL;

        if (wait_readable(until_ms)) {
            taken += nhub_consumer_next(d.consumer, 0, &delivery) == NHUB_OK ? 1 : 0;
        }
    }
    printf("{\"err\":0,\"settled\":%llu,\"well\":%llu,\"taken\":%u}\n", d.settled, d.settled_well,
           taken);
}

static bool obey(const char *name, char *line)
{
    if (strcmp(name, "consumer") == 0) {
        do_consumer(line);
    } else if (strcmp(name, "next") == 0) {
        do_next(line);
    } else if (strcmp(name, "take") == 0) {
        do_take(line);
    } else if (strcmp(name, "ack") == 0 || strcmp(name, "nack") == 0 ||
               strcmp(name, "extend") == 0) {
        do_settle_now(name, line);
    } else if (strcmp(name, "settle") == 0) {
        do_settle(line);
    } else if (strcmp(name, "settled") == 0) {
        do_settled(line);
    } else if (strcmp(name, "member") == 0) {
        printf("{\"member\":\"%s\",\"connected\":%s}\n", nhub_consumer_member(d.consumer),
               nhub_consumer_is_connected(d.consumer) ? "true" : "false");
    } else if (strcmp(name, "destroy") == 0) {
        nhub_consumer_destroy(&d.consumer);
        printf("{\"err\":0,\"settled\":%llu,\"well\":%llu}\n", d.settled, d.settled_well);
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    d.host = argv[1];
    d.requests = (uint16_t)atoi(argv[2]);
    driver_run(obey);
    nhub_consumer_destroy(&d.consumer);
    return 0;
}
