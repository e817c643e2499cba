/*
 * bench_fill: a journal with many events in it, made without a hub, as fast as the store takes
 * them.
 *
 *   bench_fill FOLDER COUNT SIZE MAX_BYTES
 *
 * Each record is an event of SIZE bytes as the hub writes it: all fields, number and epoch at the
 * end. They arrived just now, and the journal looks as if a hub had stopped in order, so that the
 * next one goes on with COUNT + 1. MAX_BYTES is what that hub will have as hub.journal.max_bytes.
 * A batch is synced before the next one begins: the page cache never holds more than one of them
 * that is not on the disk. One line of JSON: events a second.
 */
#include "base/clock.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH     4096
#define TYPE_TEXT "bench"

static void check(nhub_err err, const char *what)
{
    if (err != NHUB_OK) {
        (void)fprintf(stderr, "bench_fill: %s: %s\n", what, nhub_strerror(err));
        exit(1);
    }
}

static struct store *open_store(const char *folder, uint64_t max_bytes)
{
    const struct store_options options = {.mode = STORE_WRITE, .max_bytes = max_bytes};
    struct store *s = NULL;
    struct buf error;

    buf_init(&error);
    if (store_open(&s, folder, &options, &error) != NHUB_OK) {
        (void)fprintf(stderr, "bench_fill: %s\n", buf_cstr(&error));
        exit(1);
    }
    buf_fini(&error);
    return s;
}

/* What a hub writes at its start (all numbers may be used) and at its orderly end. */
static void put_meta(struct store *s, const struct store_meta *meta)
{
    check(store_begin(s), "begin");
    check(store_put_meta(s, meta), "put the state");
    check(store_commit(s), "commit");
    check(store_sync(s), "sync");
}

/* The line of one event; the padding in its data makes it `size` bytes long. */
static void write_line(struct buf *line, uint64_t seq, size_t size, const char *epoch,
                       int64_t now_us)
{
    char tail[256];
    const int tail_len =
        snprintf(tail, sizeof tail,
                 "\",\"timestamp\":%" PRId64 ".%06d,\"correlation_id\":\"c-%" PRIu64
                 "\",\"seq\":%" PRIu64 ",\"epoch\":\"%s\"}",
                 now_us / 1000000, (int)(now_us % 1000000), seq, seq, epoch);

    buf_reset(line);
    buf_add_str(line, "{\"event_type\":\"" TYPE_TEXT "\",\"source_service\":\"bench\",\"data\":\"");
    while (line->len + (size_t)tail_len < size) {
        buf_add_char(line, (char)('a' + (seq + line->len) % 26));
    }
    buf_add(line, tail, (size_t)tail_len);
    check(line->failed ? NHUB_ENOMEM : NHUB_OK, "write a line");
}

static void put_events(struct store *s, uint64_t first, uint64_t count, size_t size,
                       const char *epoch)
{
    const int64_t now_us = clock_wall_us();
    struct buf line;

    buf_init(&line);
    check(store_begin(s), "begin");
    for (uint64_t seq = first; seq < first + count; seq++) {
        write_line(&line, seq, size, epoch, now_us);
        check(store_put_event(s, seq, now_us, TYPE_TEXT, strlen(TYPE_TEXT), line.data, line.len),
              "put an event");
    }
    check(store_commit(s), "commit");
    buf_fini(&line);
}

int main(int argc, char **argv)
{
    const uint64_t count = argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
    const size_t size = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    struct store_meta meta;
    struct store_figures figures;

    if (count == 0 || count > STORE_SEQ_MAX || size == 0) {
        (void)fputs("usage: bench_fill FOLDER COUNT SIZE MAX_BYTES\n", stderr);
        return 2;
    }
    struct store *s = open_store(argv[1], strtoull(argv[4], NULL, 10));
    const int64_t start_ns = clock_mono_ns();

    store_get_meta(s, &meta);
    meta.was_clean = false;
    meta.reserved_to = count;
    put_meta(s, &meta);
    for (uint64_t done = 0; done < count; done += BATCH) {
        put_events(s, done + 1, count - done < BATCH ? count - done : BATCH, size, meta.epoch);
    }
    meta.was_clean = true;
    meta.last_seq = count;
    put_meta(s, &meta);
    store_figures(s, &figures);
    (void)printf("{\"events\":%" PRIu64 ",\"file_bytes\":%" PRIu64 ",\"per_s\":%.0f}\n",
                 figures.records, figures.file_bytes,
                 (double)count * 1e9 / (double)(clock_mono_ns() - start_ns));
    store_close(&s);
    return 0;
}
