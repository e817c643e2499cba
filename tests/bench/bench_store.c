/*
 * The store alone, in one thread: appending in batches, reading all of it, finding a time,
 * trimming. Beside it stands what the disk gives: a write and an fdatasync of a file of one's own.
 *
 * Prints name, value, unit and workload. Usage: bench_store FOLDER [seconds for each measurement]
 * FOLDER is made, lies on the disk to be measured, and is removed.
 */
#include "store/store.h"

#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 200
#define MAX_BYTES  (UINT64_C(4) << 30)

static void check(nhub_err err)
{
    if (err != NHUB_OK) {
        (void)fprintf(stderr, "bench_store: %s\n", nhub_strerror(err));
        exit(1);
    }
}

static void clean(const char *folder)
{
    static const char *const names[] = {"events.mdb", "events.mdb-lock", "hub.lock", "plain"};
    char path[4096];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static struct store *open_store(const char *folder, bool sync_on_commit)
{
    const struct store_options options = {
        .mode = STORE_WRITE, .max_bytes = MAX_BYTES, .sync_on_commit = sync_on_commit};
    struct store_meta meta;
    struct store *s = NULL;
    struct buf error;

    buf_init(&error);
    if (store_open(&s, folder, &options, &error) != NHUB_OK) {
        (void)fprintf(stderr, "bench_store: %s\n", buf_cstr(&error));
        exit(1);
    }
    buf_fini(&error);
    store_get_meta(s, &meta);
    meta.reserved_to = STORE_SEQ_MAX;
    check(store_begin(s));
    check(store_put_meta(s, &meta));
    check(store_commit(s));
    return s;
}

static void put_batch(struct store *s, uint64_t *seq, uint64_t count, const char *line)
{
    check(store_begin(s));
    for (uint64_t i = 0; i < count; i++, ++*seq) {
        check(store_put_event(s, *seq, (int64_t)*seq, "bench.type", 10, line, LINE_BYTES));
    }
    check(store_commit(s));
}

/* A plain file with as many bytes and a sync for each batch: what the disk itself gives. */
static void bench_disk(const char *folder, uint64_t batch, int64_t run_ns)
{
    const size_t size = (size_t)batch * (LINE_BYTES + 26);
    char *bytes = calloc(1, size);
    char path[4096];
    int fd = -1;
    uint64_t count = 0;
    int64_t begin = 0, end = 0;

    (void)snprintf(path, sizeof path, "%s/plain", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !bytes) {
        perror(path);
        exit(1);
    }
    begin = clock_mono_ns();
    do {
        if (write(fd, bytes, size) != (ssize_t)size || fdatasync(fd) != 0) {
            perror(path);
            exit(1);
        }
        count += batch;
        end = clock_mono_ns();
    } while (end - begin < run_ns);
    (void)printf("%-22s %12.0f events/s  batches of %" PRIu64 ", %.0f fdatasync/s\n", "plain file",
                 (double)count * 1e9 / (double)(end - begin), batch,
                 (double)count / (double)batch * 1e9 / (double)(end - begin));
    (void)close(fd);
    (void)unlink(path);
    free(bytes);
}

static uint64_t bench_append(const char *folder, bool sync_on_commit, uint64_t batch,
                             int64_t run_ns)
{
    struct store *s = open_store(folder, sync_on_commit);
    char line[LINE_BYTES];
    struct store_figures figures;
    uint64_t seq = 0, first = 0;
    int64_t begin = 0, end = 0, worst = 0;

    memset(line, 'x', sizeof line);
    store_figures(s, &figures);
    first = seq = figures.newest + 1;
    begin = end = clock_mono_ns();
    do {
        const int64_t before = end;

        put_batch(s, &seq, batch, line);
        end = clock_mono_ns();
        worst = end - before > worst ? end - before : worst;
    } while (end - begin < run_ns);
    store_figures(s, &figures);
    (void)printf("%-22s %12.0f events/s  batches of %" PRIu64
                 " of %d bytes, worst commit %.1f ms\n",
                 sync_on_commit ? "append, synced" : "append, journaled",
                 (double)(seq - first) * 1e9 / (double)(end - begin), batch, LINE_BYTES,
                 (double)worst / 1e6);
    store_close(&s);
    return seq - 1;
}

static bool add(void *context, const struct store_record *record)
{
    *(uint64_t *)context += record->len;
    return true;
}

static void bench_replay(struct store *s, uint64_t last)
{
    uint64_t bytes = 0, scanned = 0;
    const int64_t begin = clock_mono_ns();
    int64_t end = 0;

    while (scanned < last) {
        const struct store_scan scan = {.after = scanned,
                                        .to = last,
                                        .max_records = 4096,
                                        .max_us = 5000,
                                        .visit = add,
                                        .context = &bytes};

        check(store_read(s, &scan, &scanned));
    }
    end = clock_mono_ns();
    (void)printf("%-22s %12.0f events/s  %" PRIu64 " events, %.0f MB/s, checksums checked\n",
                 "replay", (double)last * 1e9 / (double)(end - begin), last,
                 (double)bytes * 1e3 / (double)(end - begin));
}

static void bench_find(struct store *s, uint64_t last)
{
    const uint64_t rounds = 20000;
    uint64_t after = 0, sum = 0;
    const int64_t begin = clock_mono_ns();

    for (uint64_t i = 0; i < rounds; i++) {
        check(store_find_time(s, (int64_t)(i * 7919 % last), &after));
        sum += after;
    }
    (void)printf("%-22s %12.2f us         of %" PRIu64 " events (%" PRIu64 ")\n", "find a time",
                 (double)(clock_mono_ns() - begin) / 1e3 / (double)rounds, last, sum % 10);
}

static void bench_trim(struct store *s, uint64_t count)
{
    uint64_t done = 0;
    const int64_t begin = clock_mono_ns();

    while (done < count) {
        size_t trimmed = 0;
        int64_t us = 0;

        check(store_begin(s));
        check(store_trim(s, 0, 0, 0, 1024, &trimmed, &us));
        check(store_commit(s));
        done += trimmed;
    }
    (void)printf("%-22s %12.0f events/s  1024 a commit, journaled\n", "trim",
                 (double)done * 1e9 / (double)(clock_mono_ns() - begin));
}

int main(int argc, char **argv)
{
    static const uint64_t batches[] = {1024, 64, 1};
    const int64_t run_ns = (int64_t)((argc > 2 ? atof(argv[2]) : 2.0) * 1e9);
    struct store *s = NULL;
    uint64_t last = 0;

    if (argc < 2) {
        (void)fputs("usage: bench_store FOLDER [seconds]\n", stderr);
        return 2;
    }
    store_close(&(struct store *){open_store(argv[1], true)}); /* makes the folder */
    for (size_t i = 0; i < 3; i++) {
        bench_disk(argv[1], batches[i], run_ns);
        last = bench_append(argv[1], true, batches[i], run_ns);
        last = bench_append(argv[1], false, batches[i], run_ns);
    }
    s = open_store(argv[1], false);
    bench_replay(s, last);
    bench_find(s, last);
    bench_trim(s, last / 10);
    store_close(&s);
    clean(argv[1]);
    return 0;
}
