// libs: nhub_store
/*
 * fuzz_store: whatever is in the files of a journal, looking at it ends well.
 *
 * The first byte says what the rest is:
 *     0  eight bytes of key, then a record or any other value of the tables
 *     1  a whole file, for the check of pages alone
 *     2  changes to a good file, four bytes each (offset, 3 bytes; new byte); then it is opened as
 *        a hub does. What store_open() accepts, LMDB follows: all of it is read and written to
 *     3  the same, and the first three bytes say where the file is cut off
 */
#include "store/store_file.h"
#include "store/store_private.h"
#include "store/store_salvage.h"
#include "store/store_verify.h"
#include "tests/support/scratch.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_BYTES (32 * 4096)

static struct {
    char folder[SCRATCH_BYTES], data[SCRATCH_BYTES + 32];
    unsigned char good[IMAGE_BYTES], image[IMAGE_BYTES];
} base;

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void ignore_problem(void *context, const char *text)
{
    must(text[0] != '\0');
    ++*(uint64_t *)context;
}

static bool ignore_record(void *context, const struct store_record *record)
{
    uint64_t *sum = context;

    for (size_t i = 0; i < record->len; i++) { /* all of it can be read */
        *sum += (unsigned char)record->line[i];
    }
    return true;
}

static void ignore_void(void *context, uint64_t from, uint64_t to, enum store_void why)
{
    must(from <= to && (why == STORE_VOID_NOT_STORED || why == STORE_VOID_UNCLEAN_STOP));
    ++*(uint64_t *)context;
}

static void ignore_id(void *context, const struct store_id *id)
{
    *(uint64_t *)context += id->content;
}

static void ignore_note(void *context, const void *key, size_t key_len, const void *value,
                        size_t len)
{
    uint64_t *sum = context;

    *sum += key_len > 0 ? *(const unsigned char *)key : 0;
    *sum += len > 0 ? *(const unsigned char *)value : 0;
}

/* ---- the good file ---- */

static void clean_up(void)
{
    scratch_remove(base.folder);
}

static struct store *open_store(void)
{
    const struct store_options options = {.mode = STORE_WRITE, .max_bytes = 1 << 20};
    struct store *s = NULL;
    struct buf error;
    nhub_err err = NHUB_OK;

    buf_init(&error);
    err = store_open(&s, base.folder, &options, &error);
    must(err == NHUB_OK || error.len > 0); /* a refusal has words */
    buf_fini(&error);
    return s;
}

static void fill(struct store *s)
{
    static char line[6000];
    struct store_meta meta;
    size_t count = 0;
    int64_t us = 0;

    store_get_meta(s, &meta);
    meta.reserved_to = 1000;
    must(!store_begin(s) && !store_put_meta(s, &meta));
    for (uint64_t seq = 1; seq <= 60; seq++) {
        const struct store_id id = {seq, (int64_t)seq, {seq, seq}, seq};

        memset(line, 'x', sizeof line);
        must(!store_put_event(s, seq, (int64_t)seq, "type", 4, line, seq == 30 ? 6000 : 200));
        must(!store_put_id(s, &id));
    }
    must(!store_put_void(s, 61, 70, STORE_VOID_NOT_STORED) && !store_put_note(s, "key", 3, "v", 1));
    must(!store_commit(s) && !store_begin(s));
    must(!store_trim(s, 0, 0, 0, 10, &count, &us) && !store_commit(s));
}

static void make_good(void)
{
    struct store *s = NULL;
    FILE *file = NULL;

    must(scratch_folder(base.folder, "fuzz-store"));
    (void)snprintf(base.data, sizeof base.data, "%s/" FOLDER_DATA, base.folder);
    must(atexit(clean_up) == 0);
    s = open_store();
    must(s);
    fill(s);
    store_close(&s);
    file = fopen(base.data, "rb");
    /* It ends with its last page; behind it are zeros, as a stop that was not orderly leaves. */
    must(file && fread(base.good, 1, sizeof base.good, file) > 0 && feof(file));
    (void)fclose(file);
}

/* ---- what is done with it ---- */

static void use(struct store *s)
{
    struct store_meta meta;
    uint64_t sum = 0, seq = 0, after = 0;
    uint16_t epoch_no = 0;
    size_t count = 0;
    int64_t us = 0;
    bool more = false;
    struct store_verify verify = {.problem = ignore_problem, .context = &sum};

    store_get_meta(s, &meta);
    NHUB_IGNORE(store_verify(s, &verify)); /* any result: it comes to an end */
    NHUB_IGNORE(store_read_all(s, &epoch_no, &seq, 0, ignore_record, &sum, &more));
    NHUB_IGNORE(store_find_time(s, 40, &after));
    NHUB_IGNORE(store_each_void(s, ignore_void, &sum));
    NHUB_IGNORE(store_each_id(s, 1000, 0, ignore_id, &sum));
    NHUB_IGNORE(store_each_note(s, "k", 1, ignore_note, &sum));
    for (uint64_t next = 100; next < 104; next++) { /* allocates, splits and frees pages */
        if (store_begin(s) == NHUB_OK) {
            NHUB_IGNORE(store_put_event(s, next, 1, "t", 1, "{}", 2));
            NHUB_IGNORE(store_put_note(s, &next, sizeof next, &next, sizeof next));
            NHUB_IGNORE(store_trim(s, 0, 0, 0, 10, &count, &us));
            NHUB_IGNORE(store_commit(s));
        }
    }
}

static void salvage(void)
{
    uint64_t sum = 0;
    struct store_salvage what = {.visit = ignore_record, .context = &sum};
    struct buf error;

    buf_init(&error);
    must(store_salvage(base.folder, &what, &error) == NHUB_OK);
    buf_fini(&error);
}

static void open_changed(const uint8_t *data, size_t size, size_t len)
{
    const int fd = open(base.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct store *s = NULL;

    memcpy(base.image, base.good, sizeof base.image);
    for (; size >= 4; data += 4, size -= 4) {
        const size_t at = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;

        base.image[at % sizeof base.image] = data[3];
    }
    must(fd >= 0 && write(fd, base.image, len) == (ssize_t)len);
    (void)close(fd);
    salvage();
    s = open_store();
    if (s) {
        use(s);
        store_close(&s);
    }
}

/* ---- parts alone ---- */

struct bytes {
    const uint8_t *p;
    size_t size;
};

static bool read_bytes(void *context, uint64_t offset, void *out, size_t n)
{
    const struct bytes *b = context;

    if (offset > b->size || n > b->size - offset) {
        return false;
    }
    memcpy(out, b->p + offset, n);
    return true;
}

static void check_pages(const uint8_t *data, size_t size)
{
    struct bytes context = {data, size};
    const struct store_bytes bytes = {size, read_bytes, &context};
    struct store_page_check check = {.max_pages = 0};
    struct store_snapshot snapshot;

    if (!store_snapshot_newest(&bytes, &snapshot)) {
        must(store_pages_check(&bytes, &snapshot, &check) != NHUB_EPROTO || check.why[0]);
        check.max_pages = 2;
        NHUB_IGNORE(store_pages_check(&bytes, &snapshot, &check)); /* with a limit too */
    }
}

static void read_values(const uint8_t *data, size_t size)
{
    struct store_record record;
    struct store_meta meta;
    struct store_totals totals;
    struct store_id id;
    struct store_void_value range;
    const void *value = NULL;
    size_t len = 0;
    uint64_t key = 0;

    if (size < sizeof key) {
        return;
    }
    memcpy(&key, data, sizeof key);
    data += sizeof key;
    size -= sizeof key;
    must(store_record_read(key, data, size, &record) == NHUB_OK || !record.line);
    NHUB_IGNORE(store_unseal(MARK_NOTE, &key, sizeof key, data, size, &value, &len));
    NHUB_IGNORE(store_state_read(data, size, &meta)); /* any result, as all that follow */
    NHUB_IGNORE(store_totals_read(data, size, &totals));
    NHUB_IGNORE(store_id_read(key, data, size, &id));
    NHUB_IGNORE(store_void_read(key, data, size, &range));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!base.folder[0]) {
        make_good();
    }
    if (size < 4) {
        return 0;
    }
    if (data[0] % 4 == 0) {
        read_values(data + 1, size - 1);
    } else if (data[0] % 4 == 1) {
        check_pages(data + 1, size - 1);
    } else if (data[0] % 4 == 2) {
        open_changed(data + 1, size - 1, sizeof base.image);
    } else {
        open_changed(data + 4, size - 4,
                     ((size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16) %
                         sizeof base.image);
    }
    return 0;
}
