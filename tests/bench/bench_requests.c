/*
 * bench_requests: requests on a DEALER, a window of them under way, answered by a hub (publish,
 * acknowledged) or by an echo (bench_forward), with the same bytes.
 *
 *   bench_requests PORT WINDOW SECONDS SIZE PID [DURABILITY [batched|each]]
 *
 * Each message is one frame, as libnotifyhub sends it (wire/packed.h): REQ, the JSON of a publish,
 * an event of SIZE bytes. Acks are batched, as libnotifyhub and the gateway ask for (one RESPONSE
 * may answer many), or come each in a message of its own. One line of JSON: answers a second,
 * latency, bytes of a request and of an answer, and the server's CPU time for an answer. An answer
 * that is no success ends it with status 1. An echo's messages hold no answers and count as one
 * each.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/settings.h"
#include "base/zsock.h"
#include "wire/packed.h"
#include "wire/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define BUCKETS 65536 /* of 4 µs */

static uint64_t buckets[BUCKETS];
static uint64_t bytes_in;

static int64_t process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        (void)fputs("bench_requests: the server is gone\n", stderr);
        exit(2);
    }
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* All five fields, SIZE bytes. */
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

/* What is sent, and the room to write it in. */
struct outgoing {
    int durability;
    bool is_batched; /* the acks */
    struct buf event, json, packed;
};

static bool send_one(struct zsock *dealer, struct outgoing *r, uint64_t number)
{
    buf_reset(&r->json);
    buf_reset(&r->packed);
    if (r->is_batched) {
        request_write_publish_batched(&r->json, number, r->durability, true);
    } else {
        request_write_publish(&r->json, number, r->durability, true);
    }
    packed_begin(&r->packed);
    packed_add(&r->packed, "REQ", 3);
    packed_add(&r->packed, r->json.data, r->json.len);
    packed_add(&r->packed, r->event.data, r->event.len);
    return zsock_send_bytes(dealer, r->packed.data, r->packed.len, false) == NHUB_OK;
}

/* Answers in a message; an echo's event holds none and counts as one. */
static uint64_t count_answers(const char *bytes, size_t len)
{
    static const char mark[] = "{\"success\":";
    uint64_t count = 0;

    for (const char *p = bytes; (p = memmem(p, (size_t)(bytes + len - p), mark, sizeof mark - 1));
         p += sizeof mark) {
        if (memcmp(p + sizeof mark - 1, "true", 4) != 0) {
            (void)fprintf(stderr, "bench_requests: refused: %.*s\n", (int)len, bytes);
            exit(1);
        }
        count++;
    }
    return count > 0 ? count : 1;
}

/* Takes the messages that are there; latencies by the order of answers. */
static uint64_t receive(struct zsock *dealer, const int64_t *sent_ns, uint64_t window,
                        uint64_t answered)
{
    struct zframe frame;
    uint64_t count = 0;

    zframe_init(&frame);
    while (zsock_recv(dealer, &frame) == NHUB_OK) {
        bytes_in += zframe_size(&frame);
        if (!zframe_more(&frame)) {
            const uint64_t n = count_answers(zframe_data(&frame), zframe_size(&frame));
            const int64_t now = clock_mono_ns();

            for (uint64_t i = 0; i < n; i++, count++) {
                const int64_t late = now - sent_ns[(answered + count) % window];
                const uint64_t bucket = (uint64_t)late / 4000;

                buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
            }
        }
    }
    zframe_close(&frame);
    return count;
}

static double quantile_us(uint64_t total, double q)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (seen > (uint64_t)((double)total * q)) {
            return (double)i * 4;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct zsock_options options = {
        .sndhwm = 100000, .rcvhwm = 100000, .linger_ms = 0, .max_msg_bytes = -1};
    struct outgoing request = {.durability = DURABILITY_MEMORY, .is_batched = true};
    struct zctx *ctx = NULL;
    struct zsock *dealer = NULL;
    uint64_t sent = 0;
    uint64_t answered = 0;

    if (argc < 6) {
        (void)fputs("usage: bench_requests PORT WINDOW SECONDS SIZE PID "
                    "[DURABILITY [batched|each]]\n",
                    stderr);
        return 2;
    }
    const uint64_t window = strtoull(argv[2], NULL, 10);
    const int64_t span_ns = (int64_t)(strtod(argv[3], NULL) * 1e9);
    const pid_t pid = (pid_t)strtol(argv[5], NULL, 10);
    int64_t *sent_ns = calloc(window + 1, sizeof *sent_ns);

    if (argc > 6 && durability_parse(argv[6], &request.durability) != NHUB_OK) {
        (void)fputs("bench_requests: unknown durability\n", stderr);
        return 2;
    }
    request.is_batched = argc <= 7 || strcmp(argv[7], "each") != 0;
    buf_init(&request.event);
    buf_init(&request.json);
    buf_init(&request.packed);
    write_event(&request.event, strtoul(argv[4], NULL, 10));
    if (window == 0 || !sent_ns || zctx_create(&ctx) ||
        zsock_create(&dealer, ctx, ZSOCK_DEALER, &options) ||
        zsock_connect(dealer, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10))) {
        (void)fputs("bench_requests: cannot connect\n", stderr);
        return 2;
    }
    const int64_t cpu_ns = process_cpu_ns(pid);
    const int64_t start_ns = clock_mono_ns();
    int64_t moved_ns = start_ns;
    int64_t now = start_ns;

    while (now - start_ns < span_ns || answered < sent) {
        struct zpoll_item item = {.sock = dealer, .want_in = true};
        size_t ready;

        while (now - start_ns < span_ns && sent - answered < window) {
            sent_ns[sent % window] = clock_mono_ns();
            if (!send_one(dealer, &request, sent)) {
                break;
            }
            sent++;
        }
        const uint64_t got = receive(dealer, sent_ns, window, answered);

        answered += got;
        now = clock_mono_ns();
        if (got > 0) {
            moved_ns = now;
        } else if (now - moved_ns > 10000000000) {
            (void)fputs("bench_requests: no answers for 10 s\n", stderr);
            return 1;
        } else {
            NHUB_IGNORE(zpoll_wait(&item, 1, 100, &ready)); /* read in any case */
        }
    }
    const double seconds = (double)(now - start_ns) / 1e9;

    printf("{\"answered\":%" PRIu64 ",\"per_s\":%.0f,\"window\":%" PRIu64
           ",\"p50_us\":%.0f,\"p99_us\":%.0f,\"cpu_us_per_answer\":%.3f,\"request_bytes\":%zu,"
           "\"answer_bytes\":%.1f,\"seconds\":%.3f}\n",
           answered, (double)answered / seconds, window, quantile_us(answered, 0.5),
           quantile_us(answered, 0.99),
           answered ? (double)(process_cpu_ns(pid) - cpu_ns) / 1e3 / (double)answered : 0,
           request.packed.len, answered ? (double)bytes_in / (double)answered : 0, seconds);
    zsock_destroy(&dealer);
    zctx_destroy(&ctx);
    buf_fini(&request.event);
    buf_fini(&request.json);
    buf_fini(&request.packed);
    free(sent_ns);
    return 0;
}
