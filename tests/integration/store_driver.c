/*
 * store_driver: does to a store what its arguments say, and tells what it has done.
 *
 *     store_driver FOLDER commit|interval|read[:MIB] WORD...
 *
 * MIB is max_bytes of the store, 64 without it.
 * A FOLDER of "-" reads folders from stdin, one a line, and does the same to each; then a line
 * "folder FOLDER" comes before what is said of it.
 *
 *     reserve N     N further numbers may be given out; synced
 *     batch N SIZE  N events with SIZE bytes of padding, one commit
 *     id            the next batches have ids
 *     sync          everything is synced
 *     trim BYTES    the oldest events, at most 1024, go until so many bytes are left, one commit
 *     trimall BYTES the same again and again until nothing is left to do
 *     void N        the next N numbers are a void
 *     note KEY TEXT
 *     epoch NAME    a new epoch begins, with nothing reserved
 *     resume        what a hub does at its start: behind an unclean stop a void, then on from there
 *     clean         marks the stop as clean
 *     keep, give    makes the reserve file; gives it up
 *     reopen
 *     dump          prints all events of all epochs
 *     list          the same, only "number EPOCH-SEQ" of each
 *     verify        looks at everything; "verified N" with the number of problems
 *     make FILE TEXT, remove FILE   for control files of the faults library
 *     fill N SIZE   such batches until there is no room
 *
 * Each line on stdout is a fact when it is printed: "committed N", "synced N", "reserved N" … name
 * the largest number that is covered. A word that fails prints "failed WORD: why" and the rest goes
 * on; the exit status is then 1. Lines are written at once, so that they survive a kill.
 */
#include "store/store.h"
#include "store/store_verify.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_RECORDS 1024

struct driver {
    struct store *store;
    struct store_options options;
    uint64_t last; /* number given out */
    bool has_ids;
    bool has_failed;
};

static void say(const char *what, uint64_t number)
{
    (void)printf("%s %" PRIu64 "\n", what, number);
    (void)fflush(stdout);
}

static bool check(struct driver *d, const char *what, nhub_err err)
{
    if (err != NHUB_OK) {
        (void)printf("failed %s: %s%s%s\n", what, nhub_strerror(err), err == NHUB_ESYS ? ", " : "",
                     err == NHUB_ESYS ? strerror(errno) : "");
        (void)fflush(stdout);
        store_abort(d->store);
        d->has_failed = true;
    }
    return err == NHUB_OK;
}

static nhub_err put_event(struct driver *d, const char *epoch, uint64_t seq, size_t padding)
{
    const int64_t now_us = clock_wall_us();
    const char type[] = {'c', 'o', 'u', 'n', 't', '.', (char)('0' + seq % 3)};
    struct buf line;
    nhub_err err = NHUB_OK;

    buf_init(&line);
    buf_printf(&line,
               "{\"event_type\":\"%.7s\",\"source_service\":\"driver\",\"data\":{\"n\":%" PRIu64
               ",\"pad\":\"",
               type, seq);
    for (size_t i = 0; i < padding; i++) {
        buf_add_char(&line, (char)('a' + (seq + i) % 26));
    }
    buf_printf(&line,
               "\"},\"timestamp\":%" PRId64 ".%06d,\"correlation_id\":\"c-%" PRIu64
               "\",\"seq\":%" PRIu64 ",\"epoch\":\"%s\"}",
               now_us / 1000000, (int)(now_us % 1000000), seq, seq, epoch);
    err = line.failed
              ? NHUB_ENOMEM
              : store_put_event(d->store, seq, now_us, type, sizeof type, line.data, line.len);
    if (err == NHUB_OK && d->has_ids) {
        const struct store_id id = {seq, now_us, {seq, ~seq}, seq};

        err = store_put_id(d->store, &id);
    }
    buf_fini(&line);
    return err;
}

static bool batch(struct driver *d, uint64_t count, size_t padding)
{
    struct store_meta meta;
    nhub_err err = store_begin(d->store);

    store_get_meta(d->store, &meta);
    for (uint64_t seq = d->last + 1; err == NHUB_OK && seq <= d->last + count; seq++) {
        err = put_event(d, meta.epoch, seq, padding);
    }
    if (err == NHUB_OK) {
        err = store_commit(d->store);
    }
    if (!check(d, "batch", err)) {
        return false;
    }
    d->last += count;
    say("committed", d->last);
    if (d->options.sync_on_commit) {
        say("synced", d->last);
    }
    return true;
}

static bool put_meta(struct driver *d, const char *what, const struct store_meta *meta)
{
    nhub_err err = store_begin(d->store);

    if (err == NHUB_OK) {
        err = store_put_meta(d->store, meta);
    }
    if (err == NHUB_OK) {
        err = store_commit(d->store);
    }
    if (err == NHUB_OK) {
        err = store_sync(d->store);
    }
    return check(d, what, err);
}

static void reserve(struct driver *d, uint64_t count)
{
    struct store_meta meta;

    store_get_meta(d->store, &meta);
    meta.reserved_to += count;
    meta.was_clean = false;
    if (put_meta(d, "reserve", &meta)) {
        say("reserved", meta.reserved_to);
    }
}

static void new_epoch(struct driver *d, const char *name)
{
    struct store_meta meta = {.was_clean = false};

    (void)snprintf(meta.epoch, sizeof meta.epoch, "%s", name);
    if (put_meta(d, "epoch", &meta)) {
        d->last = 0;
        say("epoch", 0);
    }
}

/* True when there was something to trim. */
static bool trim(struct driver *d, uint64_t bytes)
{
    size_t count = 0;
    int64_t us = 0;
    nhub_err err = store_begin(d->store);

    if (err == NHUB_OK) {
        err = store_trim(d->store, INT64_MIN, bytes, 0, TRIM_RECORDS, &count, &us);
    }
    if (err == NHUB_OK) {
        err = store_commit(d->store);
    }
    if (!check(d, "trim", err)) {
        return false;
    }
    say("trimmed", count);
    return count > 0;
}

static void put_void(struct driver *d, uint64_t count)
{
    nhub_err err = store_begin(d->store);

    if (err == NHUB_OK) {
        err = store_put_void(d->store, d->last + 1, d->last + count, STORE_VOID_NOT_STORED);
    }
    if (err == NHUB_OK) {
        err = store_commit(d->store);
    }
    if (check(d, "void", err)) {
        d->last += count;
        say("void", d->last);
    }
}

static void put_note(struct driver *d, const char *key, const char *text)
{
    nhub_err err = store_begin(d->store);

    if (err == NHUB_OK) {
        err = store_put_note(d->store, key, strlen(key), text, strlen(text));
    }
    if (err == NHUB_OK) {
        err = store_commit(d->store);
    }
    if (check(d, "note", err)) {
        say("note", 0);
    }
}

static void resume(struct driver *d)
{
    struct store_figures figures;
    struct store_meta meta;
    nhub_err err = NHUB_OK;

    store_get_meta(d->store, &meta);
    store_figures(d->store, &figures);
    if (meta.was_clean) {
        d->last = meta.last_seq;
    } else if (figures.newest < meta.reserved_to) {
        err = store_begin(d->store);
        if (err == NHUB_OK) {
            err = store_put_void(d->store, figures.newest + 1, meta.reserved_to,
                                 STORE_VOID_UNCLEAN_STOP);
        }
        if (err == NHUB_OK) {
            err = store_commit(d->store);
        }
        d->last = meta.reserved_to;
    } else {
        d->last = figures.newest;
    }
    if (check(d, "resume", err)) {
        say("resumed", d->last);
    }
}

static void mark_clean(struct driver *d)
{
    struct store_meta meta;

    store_get_meta(d->store, &meta);
    meta.was_clean = true;
    meta.last_seq = d->last;
    if (put_meta(d, "clean", &meta)) {
        say("clean", d->last);
    }
}

static void reopen(struct driver *d)
{
    struct store_figures figures;
    struct buf error;
    nhub_err err = NHUB_OK;

    buf_init(&error);
    err = store_reopen(d->store, &error);
    if (check(d, "reopen", err)) {
        store_figures(d->store, &figures);
        d->last = figures.newest;
        say("reopened", d->last);
    }
    buf_fini(&error);
}

static bool print_event(void *context, const struct store_record *record)
{
    (void)context;
    if (record->line) {
        (void)printf("event %.*s\n", (int)record->len, record->line);
    } else {
        (void)printf("damaged %" PRIu64 "\n", record->seq);
    }
    return true;
}

static void dump(struct driver *d)
{
    uint16_t epoch_no = 0;
    uint64_t seq = 0;
    bool more = false;

    NHUB_IGNORE(
        check(d, "dump", store_read_all(d->store, &epoch_no, &seq, 0, print_event, NULL, &more)));
    (void)fflush(stdout);
}

static bool print_number(void *context, const struct store_record *record)
{
    struct driver *d = context;
    char name[EPOCH_LEN + 1] = "?";

    NHUB_IGNORE(store_epoch_name(d->store, record->epoch_no, name)); /* "?" is said then */
    (void)printf("number %s-%" PRIu64 "\n", name, record->seq);
    return true;
}

static void list(struct driver *d)
{
    uint16_t epoch_no = 0;
    uint64_t seq = 0;
    bool more = false;

    NHUB_IGNORE(
        check(d, "list", store_read_all(d->store, &epoch_no, &seq, 0, print_number, d, &more)));
}

static void print_problem(void *context, const char *text)
{
    (void)context;
    (void)printf("problem %s\n", text);
}

static void verify(struct driver *d)
{
    struct store_verify v = {.problem = print_problem};

    if (check(d, "verify", store_verify(d->store, &v))) {
        say("verified", v.problems);
    }
}

static void make_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static const char *next(char ***words)
{
    return **words ? *(*words)++ : "0";
}

static void run(struct driver *d, char **words)
{
    while (*words) {
        const char *word = next(&words);

        if (strcmp(word, "reserve") == 0) {
            reserve(d, strtoull(next(&words), NULL, 10));
        } else if (strcmp(word, "batch") == 0) {
            const uint64_t count = strtoull(next(&words), NULL, 10);

            NHUB_IGNORE(!batch(d, count, strtoull(next(&words), NULL, 10))); /* said already */
        } else if (strcmp(word, "fill") == 0) {
            const uint64_t count = strtoull(next(&words), NULL, 10);
            const size_t size = strtoull(next(&words), NULL, 10);

            while (batch(d, count, size)) {
            }
        } else if (strcmp(word, "id") == 0) {
            d->has_ids = true;
        } else if (strcmp(word, "sync") == 0) {
            if (check(d, "sync", store_sync(d->store))) {
                say("synced", d->last);
            }
        } else if (strcmp(word, "trim") == 0) {
            NHUB_IGNORE(!trim(d, strtoull(next(&words), NULL, 10))); /* said already */
        } else if (strcmp(word, "trimall") == 0) {
            const uint64_t bytes = strtoull(next(&words), NULL, 10);

            while (trim(d, bytes)) {
            }
        } else if (strcmp(word, "void") == 0) {
            put_void(d, strtoull(next(&words), NULL, 10));
        } else if (strcmp(word, "note") == 0) {
            const char *key = next(&words);

            put_note(d, key, next(&words));
        } else if (strcmp(word, "epoch") == 0) {
            new_epoch(d, next(&words));
        } else if (strcmp(word, "resume") == 0) {
            resume(d);
        } else if (strcmp(word, "clean") == 0) {
            mark_clean(d);
        } else if (strcmp(word, "keep") == 0) {
            if (check(d, "keep", store_make_reserve(d->store))) {
                say("kept", d->options.reserve_bytes);
            }
        } else if (strcmp(word, "give") == 0) {
            say("given", store_use_reserve(d->store));
        } else if (strcmp(word, "reopen") == 0) {
            reopen(d);
        } else if (strcmp(word, "dump") == 0) {
            dump(d);
        } else if (strcmp(word, "list") == 0) {
            list(d);
        } else if (strcmp(word, "make") == 0) {
            const char *path = next(&words);

            make_file(path, next(&words));
        } else if (strcmp(word, "remove") == 0) {
            (void)remove(next(&words));
        } else if (strcmp(word, "verify") == 0) {
            verify(d);
        } else {
            (void)fprintf(stderr, "unknown word %s\n", word);
            exit(2);
        }
    }
}

static bool open_driver(struct driver *d, const char *folder)
{
    struct store_figures figures;
    struct store_meta meta;
    struct buf error;
    nhub_err err = NHUB_OK;

    buf_init(&error);
    err = store_open(&d->store, folder, &d->options, &error);
    if (err != NHUB_OK) {
        (void)fprintf(stderr, "%s: %s\n", nhub_strerror(err), buf_cstr(&error));
        buf_fini(&error);
        return false;
    }
    buf_fini(&error);
    store_get_meta(d->store, &meta);
    store_figures(d->store, &figures);
    d->last = figures.newest;
    (void)printf("opened %s %" PRIu64 " %d %" PRIu64 " %" PRIu64 "\n", meta.epoch, meta.reserved_to,
                 meta.was_clean, figures.oldest, figures.newest);
    (void)fflush(stdout);
    return true;
}

/* Returns the exit status. */
static int drive(const char *folder, const struct store_options *options, char **words)
{
    struct driver d = {.options = *options};

    if (!open_driver(&d, folder)) {
        return 3;
    }
    run(&d, words);
    store_close(&d.store);
    return d.has_failed ? 1 : 0;
}

static int drive_each(const struct store_options *options, char **words)
{
    char folder[4096];
    int worst = 0;

    while (fgets(folder, sizeof folder, stdin)) {
        int status = 0;

        folder[strcspn(folder, "\n")] = '\0';
        (void)printf("folder %s\n", folder);
        status = drive(folder, options, words);
        worst = status > worst ? status : worst;
    }
    return worst;
}

int main(int argc, char **argv)
{
    struct store_options options = {
        .mode = STORE_WRITE, .max_bytes = UINT64_C(64) << 20, .reserve_bytes = 2 << 20};

    if (argc < 3) {
        (void)fputs("usage: store_driver FOLDER commit|interval|read WORD...\n", stderr);
        return 2;
    }
    options.sync_on_commit = strncmp(argv[2], "commit", 6) == 0;
    options.mode = strncmp(argv[2], "read", 4) == 0 ? STORE_READ : STORE_WRITE;
    if (strchr(argv[2], ':')) {
        options.max_bytes = strtoull(strchr(argv[2], ':') + 1, NULL, 10) << 20;
    }
    return strcmp(argv[1], "-") == 0 ? drive_each(&options, argv + 3)
                                     : drive(argv[1], &options, argv + 3);
}
