/*
 * The event path on bytes: scan, parse and render one event, again and again in one thread. Prints
 * name, value, unit and workload. Usage: bench_json_scan [rounds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/event.h"

static const char small_event[] =
    "{\"event_type\": \"new_setup\", \"source_service\": \"cm\", \"data\": {\"setup_id\": "
    "\"0001234\", \"site\": \"CSL\", \"values\": [1, 2.5, -3e10, true, null]}, \"timestamp\": "
    "1700000000.123456, \"correlation_id\": \"0f3a2b1c-5d6e\"}";

struct workload {
    const char *name;
    char *text;
    size_t len;
};

/* An event of about len bytes whose data repeats `piece`. */
static struct workload large(const char *name, const char *piece, size_t len)
{
    const char *head = "{\"event_type\":\"bulk\",\"source_service\":\"s\",\"data\":[";
    const char *tail = "0],\"timestamp\":1,\"correlation_id\":\"c\"}";
    struct workload w = {.name = name, .text = malloc(len + strlen(piece) + 128)};

    if (!w.text) {
        abort();
    }
    w.len = strlen(head);
    memcpy(w.text, head, w.len);
    while (w.len < len) {
        memcpy(w.text + w.len, piece, strlen(piece));
        w.len += strlen(piece);
    }
    memcpy(w.text + w.len, tail, strlen(tail));
    w.len += strlen(tail);
    return w;
}

static void print(const char *name, int64_t ns, size_t rounds, const struct workload *w)
{
    const double each = (double)ns / (double)rounds;

    printf("%-14s %10.1f ns/event %8.2f bytes/ns  %s, %zu bytes\n", name, each,
           (double)w->len / each, w->name, w->len);
}

static void check(nhub_err err)
{
    if (err != NHUB_OK) {
        abort();
    }
}

static void bench_scan(const struct workload *w, size_t rounds)
{
    static const struct json_key keys[] = {JSON_KEY("event_type"), JSON_KEY("source_service"),
                                           JSON_KEY("data"), JSON_KEY("timestamp"),
                                           JSON_KEY("correlation_id")};
    struct json_span out[5];
    struct json_report report;
    const int64_t start = clock_mono_ns();

    for (size_t i = 0; i < rounds; i++) {
        check(json_scan_object(w->text, w->len, keys, 5, NULL, out, &report));
    }
    print("scan", clock_mono_ns() - start, rounds, w);
}

static void bench_parse(const struct workload *w, size_t rounds)
{
    struct event event;
    struct event_error error;
    const int64_t start = clock_mono_ns();

    for (size_t i = 0; i < rounds; i++) {
        check(event_parse(w->text, w->len, EVENT_DOOR_ZEROMQ, "StatsEvent", NULL, NULL, &event,
                          &error));
    }
    print("parse", clock_mono_ns() - start, rounds, w);
}

static void bench_render(const struct workload *w, size_t rounds)
{
    const struct event_fill fill = {.correlation_id = "01234567-89ab-4def-8123-456789abcdef"};
    struct position position = {"abcdefgh", 1};
    struct event event;
    struct event_error error;
    char *line = NULL;

    check(event_parse(w->text, w->len, EVENT_DOOR_ZEROMQ, NULL, NULL, NULL, &event, &error));
    line = malloc(event_render_max(&event, &fill, w->len));
    if (!line) {
        abort();
    }
    const int64_t start = clock_mono_ns();

    for (size_t i = 0; i < rounds; i++) {
        position.seq += event_render(&event, &fill, &position, line);
    }
    print("render", clock_mono_ns() - start, rounds, w);
    free(line);
}

int main(int argc, char **argv)
{
    const size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    struct workload w[] = {
        {"Python's spacing", strdup(small_event), sizeof small_event - 1},
        large("long ASCII strings",
              "\"a string of plain text that is quite a bit longer than sixteen bytes\",", 65536),
        large("Cyrillic strings", "\"\xd1\x82\xd0\xb5\xd0\xba\xd1\x81\xd1\x82\",", 65536),
        large("numbers", "1.25,-3,1e5,1234567,", 65536),
    };

    for (size_t i = 0; i < sizeof w / sizeof w[0]; i++) {
        const size_t n = w[i].len < 1000 ? rounds : rounds / 100 + 1;

        bench_scan(&w[i], n);
        bench_parse(&w[i], n);
        bench_render(&w[i], n);
        free(w[i].text);
    }
    return 0;
}
