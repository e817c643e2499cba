/*
 * bench_publish: acknowledged publishing with libnotifyhub, a window of publishes under way, and
 * what the disk alone can do.
 *
 *   bench_publish PORT WINDOW SECONDS SIZE DURABILITY      one event of SIZE bytes a publish
 *   bench_publish fdatasync FOLDER SECONDS BYTES           appends BYTES and syncs, again and again
 *
 * One line of JSON: acknowledged events a second with the quantiles of the time from submit to
 * answer; or syncs a second. A publish that is refused or not answered ends it with status 1.
 */
#include "base/buf.h"
#include "base/clock.h"

#include <fcntl.h>
#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_NS 1000
#define STEPS   1000000 /* of the histogram: up to one second */

static uint32_t histogram[STEPS];

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_publish: %s: %s\n", what, why);
    exit(1);
}

static void note(int64_t ns)
{
    const int64_t step = ns / STEP_NS;

    histogram[step < STEPS ? step : STEPS - 1]++;
}

/* The time in µs that this share of the notes does not exceed. */
static double quantile_us(double share, uint64_t count)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < STEPS; i++) {
        seen += histogram[i];
        if ((double)seen >= share * (double)count) {
            return (double)(i + 1) * STEP_NS / 1000.0;
        }
    }
    return 0;
}

/* What is under way: answers come in the order of the publishes. */
struct flight {
    int64_t *sent_ns; /* a ring of `window` times */
    uint64_t window, sent, answered;
};

static void on_ack(void *context, const nhub_ack *ack)
{
    struct flight *f = context;

    if (ack->result != NHUB_OK) {
        fail(nhub_strerror(ack->result), ack->error);
    }
    note(clock_mono_ns() - f->sent_ns[f->answered++ % f->window]);
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

static bool submit(nhub_publisher *p, struct flight *f, const nhub_bytes *line)
{
    nhub_err err = NHUB_OK;

    f->sent_ns[f->sent % f->window] = clock_mono_ns();
    err = nhub_publisher_submit_lines(p, line, 1, NHUB_PUBLISH_ATOMIC, on_ack, f);
    if (err == NHUB_OK) {
        f->sent++;
        return true;
    }
    if (err != NHUB_EFULL && err != NHUB_EAGAIN) {
        fail(nhub_strerror(err), nhub_publisher_error(p));
    }
    return false;
}

static void run(nhub_publisher *p, struct flight *f, const nhub_bytes *line, int64_t end_ns)
{
    while (clock_mono_ns() < end_ns) {
        while (f->sent - f->answered < f->window && submit(p, f, line)) {
        }
        if (nhub_publisher_poll(p, 100, NULL) != NHUB_OK) {
            fail("poll", "failed");
        }
    }
}

static void publish(char **argv)
{
    static const char *const words[] = {"default", "memory", "journaled", "synced"};
    const double seconds = atof(argv[3]);
    nhub_publisher_options options = {.requests_port = (uint16_t)atoi(argv[1]),
                                      .window = (uint32_t)atoi(argv[2])};
    struct flight flight = {.window = (uint64_t)atoi(argv[2])};
    nhub_publisher *p = NULL;
    struct buf event;
    nhub_bytes line;
    nhub_ack ack;
    int64_t start_ns = 0;
    double elapsed = 0;

    for (int i = 0; i < 4; i++) {
        options.durability =
            strcmp(argv[5], words[i]) == 0 ? (nhub_durability)i : options.durability;
    }
    buf_init(&event);
    write_event(&event, (size_t)atoi(argv[4]));
    line = (nhub_bytes){.p = event.data, .len = event.len};
    flight.sent_ns = calloc(flight.window, sizeof *flight.sent_ns);
    if (!flight.sent_ns || nhub_publisher_create(&p, &options) != NHUB_OK ||
        nhub_publisher_publish_lines(p, &line, 1, NHUB_PUBLISH_ATOMIC, 5000, &ack) != NHUB_OK) {
        fail("start", "no hub");
    }
    start_ns = clock_mono_ns();
    run(p, &flight, &line, start_ns + (int64_t)(seconds * 1e9));
    elapsed = (double)(clock_mono_ns() - start_ns) / 1e9;
    (void)printf("{\"per_s\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"count\":%llu}\n",
                 (double)flight.answered / elapsed, quantile_us(0.5, flight.answered),
                 quantile_us(0.99, flight.answered), (unsigned long long)flight.answered);
    /* What is still under way is answered, too: an answer that does not come is a failure. */
    if (nhub_publisher_flush(p, 20000) != NHUB_OK) {
        fail("the end", "not all publishes were answered");
    }
    nhub_publisher_destroy(&p);
    buf_fini(&event);
    free(flight.sent_ns);
}

/* The file is zero-filled before, as a journal that re-uses its pages finds it: an append that
 * extends the file would also pay for the file system's own journal. */
static void sync_only(char **argv)
{
    const double seconds = atof(argv[3]);
    const size_t size = (size_t)atol(argv[4]);
    const off_t file_size = 64 << 20;
    static const char zeros[1 << 20];
    char path[4096];
    char *bytes = malloc(size);
    uint64_t count = 0;
    int64_t start_ns = 0;
    int64_t last_ns = 0;
    int fd = -1;

    (void)snprintf(path, sizeof path, "%s/sync.tmp", argv[2]);
    fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !bytes) {
        fail(path, "cannot be made");
    }
    for (off_t at = 0; at < file_size; at += (off_t)sizeof zeros) {
        if (pwrite(fd, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros) {
            fail(path, "cannot be written");
        }
    }
    (void)fsync(fd);
    memset(bytes, 'x', size);
    start_ns = last_ns = clock_mono_ns();
    for (off_t at = 0; (double)(last_ns - start_ns) < seconds * 1e9; count++) {
        const int64_t before_ns = last_ns;

        at = at + 2 * (off_t)size <= file_size ? at + (off_t)size : 0;
        if (pwrite(fd, bytes, size, at) != (ssize_t)size || fdatasync(fd) != 0) {
            fail(path, "cannot be synced");
        }
        last_ns = clock_mono_ns();
        note(last_ns - before_ns);
    }
    (void)printf("{\"per_s\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"count\":%llu}\n",
                 (double)count / ((double)(last_ns - start_ns) / 1e9), quantile_us(0.5, count),
                 quantile_us(0.99, count), (unsigned long long)count);
    (void)close(fd);
    (void)unlink(path);
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "fdatasync") == 0) {
        sync_only(argv);
    } else if (argc == 6 && atoi(argv[2]) > 0) {
        publish(argv);
    } else {
        (void)fprintf(stderr, "usage: bench_publish PORT WINDOW SECONDS SIZE DURABILITY\n"
                              "       bench_publish fdatasync FOLDER SECONDS BYTES\n");
        return 2;
    }
    return 0;
}
