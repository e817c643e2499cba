/*
 * bench_replay: one client reads everything that the hub keeps, with libnotifyhub's history.
 *
 *   bench_replay fill PORT COUNT SIZE      publishes COUNT events of SIZE bytes in large batches
 *   bench_replay read PORT PAGE            reads from the earliest event to the end
 *
 * One line of JSON: events a second. Numbers that are not rising by 1, and gaps, end it with status
 * 1: a replay that loses something is no replay.
 */
#include "base/buf.h"
#include "base/clock.h"

#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 5000

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_replay: %s: %s\n", what, why);
    exit(1);
}

static void write_event(struct buf *event, size_t size)
{
    static const char head[] =
        "{\"event_type\":\"bench\",\"source_service\":\"bench\",\"timestamp\":1795225771.962952,"
        "\"correlation_id\":\"0f3a2b1c-5d6e-4f70-8a91-b2c3d4e5f607\",\"data\":\"";

    buf_add_str(event, head);
    while (event->len + 2 < size) {
        buf_add_char(event, 'x');
    }
    buf_add_str(event, "\"}");
}

static void print_rate(uint64_t count, int64_t start_ns)
{
    const double seconds = (double)(clock_mono_ns() - start_ns) / 1e9;

    (void)printf("{\"per_s\":%.0f,\"count\":%llu}\n", (double)count / seconds,
                 (unsigned long long)count);
}

static void fill(const char *port, uint64_t count, size_t size)
{
    const nhub_publisher_options options = {.requests_port = (uint16_t)atoi(port)};
    nhub_bytes *lines = calloc(BATCH, sizeof *lines);
    nhub_publisher *p = NULL;
    struct buf event;
    nhub_ack ack;
    const int64_t start_ns = clock_mono_ns();
    uint64_t done = 0;

    buf_init(&event);
    write_event(&event, size);
    if (!lines || nhub_publisher_create(&p, &options) != NHUB_OK) {
        fail("fill", "out of memory");
    }
    for (size_t i = 0; i < BATCH; i++) {
        lines[i] = (nhub_bytes){.p = event.data, .len = event.len};
    }
    while (done < count) {
        const uint64_t batch = count - done < BATCH ? count - done : BATCH;
        const nhub_err err =
            nhub_publisher_publish_lines(p, lines, batch, NHUB_PUBLISH_ATOMIC, 60000, &ack);

        if (err != NHUB_OK) {
            fail("publish", nhub_strerror(err));
        }
        done += batch;
    }
    print_rate(done, start_ns);
    nhub_publisher_destroy(&p);
    buf_fini(&event);
    free(lines);
}

static void read_all(const char *port, uint32_t page)
{
    static const char *const everything[] = {"*"};
    const nhub_client_options options = {.requests_port = (uint16_t)atoi(port)};
    const nhub_history_query query = {.patterns = everything, .pattern_count = 1, .page = page};
    nhub_client *client = NULL;
    nhub_history *history = NULL;
    nhub_position from, to;
    const char *reason = NULL;
    const nhub_event *event = NULL;
    uint64_t count = 0;
    uint64_t last = 0;
    int64_t start_ns = 0;
    nhub_err err = nhub_client_create(&client, &options);

    if (err != NHUB_OK || nhub_client_health(client, 5000) != NHUB_OK ||
        nhub_history_create(&history, client, &query) != NHUB_OK) {
        fail("read", "no hub");
    }
    start_ns = clock_mono_ns();
    while ((err = nhub_history_next(history, 20000, &event)) == NHUB_OK) {
        const uint64_t seq = nhub_event_position(event).seq;

        if (last != 0 && seq != last + 1) {
            fail("read", "a number is missing");
        }
        last = seq;
        count++;
    }
    if (err != NHUB_ENOTFOUND || nhub_history_take_gap(history, &from, &to, &reason)) {
        fail("read", err == NHUB_ENOTFOUND ? "a gap" : nhub_strerror(err));
    }
    print_rate(count, start_ns);
    nhub_history_destroy(&history);
    nhub_client_destroy(&client);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "fill") == 0) {
        fill(argv[2], strtoull(argv[3], NULL, 10), (size_t)atoi(argv[4]));
    } else if (argc == 4 && strcmp(argv[1], "read") == 0) {
        read_all(argv[2], (uint32_t)atoi(argv[3]));
    } else {
        (void)fprintf(stderr, "usage: bench_replay fill PORT COUNT SIZE | read PORT PAGE\n");
        return 2;
    }
    return 0;
}
