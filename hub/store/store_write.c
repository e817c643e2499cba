/*
 * store_write: transactions that change the store.
 *
 * The file is kept longer than any page that LMDB may use (a sparse tail, which takes no room): the
 * end of the file is set before the commit that needs it. So a file that is shorter than its meta
 * page says was cut off by somebody else, and can be refused before it is mapped. Without the tail
 * a sound file could be short too, since LMDB does not write pages that it took and gave back in
 * one transaction.
 */
#include "store/store_private.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROW_STEP   (UINT64_C(4) << 20)
#define READERS_NS  INT64_C(60000000000)
#define SPARE_PAGES 256  /* branches, the list of free pages, the table meta */
#define TRIM_PAGES  2048 /* kept free for trimming */
#define NODE_BYTES  32   /* what a page has for an entry besides its key and value, at most */
#define RANDOM_PUT  16   /* pages that one put at any place may take: two for each level */

static nhub_err put_result(struct store *s, int code)
{
    if (code) {
        s->txn_failed = true;
    }
    return store_status(s, code);
}

static nhub_err refuse_put(struct store *s)
{
    if (s->txn) {
        s->txn_failed = true;
    }
    return s->txn ? NHUB_EINVAL : NHUB_ESTATE;
}

/* A value and its key of so many bytes come in behind others, or anywhere. */
static void count_bytes(struct store *s, uint64_t bytes)
{
    s->txn_new_bytes += bytes + NODE_BYTES;
    if (bytes > s->page_bytes / 4) { /* has pages of its own, and ends anywhere in the last one */
        s->txn_new_pages++;
    }
}

/* The pages that the transaction takes at most: pages may stay half empty. */
static uint64_t new_pages(const struct store *s)
{
    return s->txn_new_pages + 2 * s->txn_new_bytes / s->page_bytes;
}

nhub_err store_grow(struct store *s, uint64_t pages)
{
    const uint64_t wanted = pages * s->page_bytes;
    const uint64_t size = (wanted + GROW_STEP - 1) / GROW_STEP * GROW_STEP;

    if (wanted <= s->file_size) {
        return NHUB_OK;
    }
    if (ftruncate(s->data_fd, (off_t)size) != 0) {
        return store_status(s, errno);
    }
    s->file_size = size;
    return NHUB_OK;
}

/* A command that was killed while it read has left its place in LMDB's table of readers, and the
 * pages that it saw would not be used again. */
static void forget_dead_readers(struct store *s)
{
    const int64_t now_ns = clock_mono_ns();
    int dead = 0;

    if (now_ns - s->readers_checked_ns >= READERS_NS) {
        s->readers_checked_ns = now_ns;
        (void)mdb_reader_check(s->env, &dead); /* looked for again in a minute */
    }
}

nhub_err store_begin(struct store *s)
{
    if (!s->env || s->txn || s->options.mode != STORE_WRITE) {
        return NHUB_ESTATE;
    }
    forget_dead_readers(s);
    s->txn_failed = false;
    s->totals_changed = false;
    s->txn_trims = false;
    s->txn_new_pages = SPARE_PAGES;
    s->txn_new_bytes = 0;
    s->txn_meta = s->meta;
    s->txn_totals = s->totals;
    return store_status(s, mdb_txn_begin(s->env, NULL, 0, &s->txn));
}

nhub_err store_put_event(struct store *s, uint64_t seq, int64_t arrival_us, const char *type,
                         size_t type_len, const char *line, size_t len)
{
    const uint64_t key = store_key(s->txn_meta.epoch_no, seq);
    const size_t size = store_record_size(type_len, len);
    MDB_val key_val = store_key_val(&key);
    MDB_val value = {size, NULL};
    int code = 0;

    if (!s->txn || seq == 0 || seq > s->txn_meta.reserved_to || type_len == 0 || type_len > 255 ||
        size > STORE_RECORD_MAX) {
        return refuse_put(s);
    }
    code = mdb_put(s->txn, s->events, &key_val, &value, MDB_APPEND | MDB_RESERVE);
    if (code) {
        return put_result(s, code);
    }
    store_record_write(value.mv_data, key, arrival_us, type, type_len, line, len);
    s->txn_totals.bytes += size;
    s->totals_changed = true;
    count_bytes(s, size);
    return NHUB_OK;
}

int store_put_sealed(MDB_txn *txn, MDB_dbi table, enum store_mark mark, const void *key,
                     size_t key_len, const void *value, size_t len, unsigned flags)
{
    MDB_val key_val = store_val(key, key_len);
    MDB_val room = {STORE_SEAL_SIZE + len, NULL};
    const int code = mdb_put(txn, table, &key_val, &room, MDB_RESERVE | flags);

    if (!code) {
        if (len > 0) {
            memcpy((unsigned char *)room.mv_data + STORE_SEAL_SIZE, value, len);
        }
        store_seal(room.mv_data, mark, key, key_len, len);
    }
    return code;
}

nhub_err store_put_id(struct store *s, const struct store_id *id)
{
    const uint64_t key = store_key(s->txn_meta.epoch_no, id->seq);
    unsigned char value[STORE_ID_SIZE];
    int code = 0;

    if (!s->txn || id->seq == 0 || id->seq > STORE_SEQ_MAX) {
        return refuse_put(s);
    }
    store_id_write(value, id);
    code = store_put_sealed(s->txn, s->ids, MARK_ID, &key, sizeof key, value, sizeof value,
                            MDB_APPEND);
    if (code == MDB_KEYEXIST) { /* not behind all others: slower, and as good */
        code = store_put_sealed(s->txn, s->ids, MARK_ID, &key, sizeof key, value, sizeof value, 0);
    }
    count_bytes(s, STORE_SEAL_SIZE + sizeof value);
    return put_result(s, code);
}

nhub_err store_put_void(struct store *s, uint64_t from, uint64_t to, enum store_void why)
{
    return store_put_void_range(
        s, &(struct store_void_range){
               .from = from, .to = to, .why = why, .noted_us = clock_wall_us()});
}

nhub_err store_put_void_range(struct store *s, const struct store_void_range *range)
{
    const uint64_t key = store_key(s->txn_meta.epoch_no, range->from);
    const struct store_void_value record = {range->to, range->why, range->noted_us};
    unsigned char value[STORE_VOID_SIZE];

    if (!s->txn || range->from == 0 || range->from > range->to || range->to > STORE_SEQ_MAX) {
        return refuse_put(s);
    }
    store_void_write(value, &record);
    s->txn_new_pages += RANDOM_PUT;
    return put_result(
        s, store_put_sealed(s->txn, s->voids, MARK_VOID, &key, sizeof key, value, sizeof value, 0));
}

nhub_err store_put_note(struct store *s, const void *key, size_t key_len, const void *value,
                        size_t len)
{
    if (!s->txn || key_len == 0 || key_len > STORE_NOTE_KEY_MAX || len > STORE_RECORD_MAX / 2) {
        return refuse_put(s);
    }
    s->txn_new_pages += RANDOM_PUT;
    count_bytes(s, key_len + STORE_SEAL_SIZE + len);
    return put_result(s,
                      store_put_sealed(s->txn, s->notes, MARK_NOTE, key, key_len, value, len, 0));
}

nhub_err store_del_note(struct store *s, const void *key, size_t key_len)
{
    MDB_val key_val = store_val(key, key_len);
    int code = 0;

    if (!s->txn || key_len == 0 || key_len > STORE_NOTE_KEY_MAX) {
        return refuse_put(s);
    }
    s->txn_new_pages += RANDOM_PUT;
    code = mdb_del(s->txn, s->notes, &key_val, NULL);
    return put_result(s, code == MDB_NOTFOUND ? 0 : code);
}

int store_meta_put(const struct store *s, MDB_txn *txn, const char *name, const void *value,
                   size_t len)
{
    return store_put_sealed(txn, s->meta_table, MARK_META, name, strlen(name), value, len, 0);
}

/* A new epoch begins: its number and its name, and what was current becomes one of the others. */
static int next_epoch(struct store *s, const char *epoch)
{
    char name[STORE_EPOCH_KEY_SIZE];
    MDB_stat stat;
    const int code = mdb_stat(s->txn, s->events, &stat);

    if (code) {
        return code;
    }
    s->txn_meta.epoch_no++;
    memcpy(s->txn_meta.epoch, epoch, EPOCH_LEN + 1);
    s->txn_totals.others = stat.ms_entries;
    s->totals_changed = true;
    store_epoch_key(s->txn_meta.epoch_no, name);
    return store_meta_put(s, s->txn, name, epoch, EPOCH_LEN);
}

nhub_err store_put_meta(struct store *s, const struct store_meta *meta)
{
    unsigned char value[STORE_STATE_SIZE];
    int code = 0;

    if (!s->txn || !epoch_valid(meta->epoch, strlen(meta->epoch)) ||
        meta->reserved_to > STORE_SEQ_MAX || meta->last_seq > meta->reserved_to) {
        return refuse_put(s);
    }
    if (strcmp(meta->epoch, s->txn_meta.epoch) != 0) {
        if (s->txn_meta.epoch_no == UINT16_MAX) { /* no further name for an epoch in keys */
            s->txn_failed = true;
            return NHUB_EFULL;
        }
        code = next_epoch(s, meta->epoch);
    }
    s->txn_meta.reserved_to = meta->reserved_to;
    s->txn_meta.was_clean = meta->was_clean;
    s->txn_meta.last_seq = meta->last_seq;
    if (!code) {
        store_state_write(value, &s->txn_meta);
        code = store_meta_put(s, s->txn, "state", value, sizeof value);
    }
    return put_result(s, code);
}

nhub_err store_finish_import(struct store *s)
{
    MDB_val key = store_val(STORE_META_IMPORT, strlen(STORE_META_IMPORT));

    if (!s->txn || !s->options.is_import) {
        return refuse_put(s);
    }
    return put_result(s, mdb_del(s->txn, s->meta_table, &key, NULL));
}

/* ---- trimming ---- */

struct trimming {
    int64_t before_us;
    uint64_t max_bytes;
    uint64_t keep_from;
    size_t max_records;
    size_t count;
    uint64_t last_key; /* of what was deleted */
    int64_t last_us;
};

/* Whether the record goes. A damaged one, whose age nobody knows, is as old as its neighbours. */
static bool goes(const struct store *s, const struct trimming *t, const struct store_record *record)
{
    if (record->epoch_no == s->txn_meta.epoch_no && t->keep_from != 0 &&
        record->seq >= t->keep_from) {
        return false;
    }
    return !record->line || record->arrival_us < t->before_us || s->txn_totals.bytes > t->max_bytes;
}

static void forget(struct store *s, struct trimming *t, const struct store_record *record,
                   size_t size)
{
    s->txn_totals.bytes -= size < s->txn_totals.bytes ? size : s->txn_totals.bytes;
    if (record->epoch_no != s->txn_meta.epoch_no && s->txn_totals.others > 0) {
        s->txn_totals.others--;
    }
    if (record->line) {
        t->last_us = record->arrival_us;
    }
    t->last_key = store_key(record->epoch_no, record->seq);
    t->count++;
}

static int trim_events(struct store *s, struct trimming *t)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code = mdb_cursor_open(s->txn, s->events, &cursor);

    while (!code && t->count < t->max_records) {
        struct store_record record;
        uint64_t number = 0;

        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (code) {
            break;
        }
        memcpy(&number, key.mv_data, sizeof number);
        NHUB_IGNORE(store_record_read(number, value.mv_data, value.mv_size, &record)); /* goes() */
        if (!goes(s, t, &record)) {
            break;
        }
        forget(s, t, &record, value.mv_size);
        code = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Voids that end in front of the oldest record say nothing any more. */
static int trim_voids(struct store *s, uint64_t last_key)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code = mdb_cursor_open(s->txn, s->voids, &cursor);

    while (!code) {
        struct store_void_value record = {0};
        uint64_t from = 0;
        const void *bytes = NULL;
        size_t len = 0;

        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (code) {
            break;
        }
        memcpy(&from, key.mv_data, sizeof from);
        if (store_unseal(MARK_VOID, &from, sizeof from, value.mv_data, value.mv_size, &bytes,
                         &len) ||
            store_void_read(store_key_seq(from), bytes, len, &record)) {
            record.to = store_key_seq(from); /* damaged: as if it had one number */
        }
        if (store_key(store_key_epoch(from), record.to) > last_key) {
            break;
        }
        s->txn_new_pages++;
        code = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

nhub_err store_trim(struct store *s, int64_t before_us, uint64_t max_bytes, uint64_t keep_from,
                    size_t max_records, size_t *out_count, int64_t *out_us)
{
    struct trimming t = {.before_us = before_us,
                         .max_bytes = max_bytes,
                         .keep_from = keep_from,
                         .max_records = max_records,
                         .last_us = s->totals.trimmed_us};
    int code = 0;

    if (!s->txn) {
        return NHUB_ESTATE;
    }
    t.last_us = s->txn_totals.trimmed_us;
    code = trim_events(s, &t);
    if (!code && t.count > 0) {
        code = trim_voids(s, t.last_key);
    }
    s->txn_new_pages += t.count;
    if (code) {
        return put_result(s, code);
    }
    if (t.count > 0) {
        s->txn_trims = true;
        s->txn_totals.trimmed_us = t.last_us;
        s->totals_changed = true;
    }
    *out_count = t.count;
    *out_us = t.last_us;
    return NHUB_OK;
}

/* Arrival of an id; a damaged one has arrived before all others. */
static int64_t id_arrival(const MDB_val *key, const MDB_val *value)
{
    struct store_id id;
    uint64_t number = 0;
    const void *bytes = NULL;
    size_t len = 0;

    memcpy(&number, key->mv_data, sizeof number);
    if (store_unseal(MARK_ID, &number, sizeof number, value->mv_data, value->mv_size, &bytes,
                     &len) ||
        store_id_read(number, bytes, len, &id)) {
        return INT64_MIN;
    }
    return id.arrival_us;
}

nhub_err store_trim_ids(struct store *s, int64_t before_us, uint64_t max_ids, size_t max_records)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    MDB_stat stat;
    uint64_t left = 0;
    int code = 0;

    if (!s->txn) {
        return NHUB_ESTATE;
    }
    code = mdb_stat(s->txn, s->ids, &stat);
    if (!code) {
        left = stat.ms_entries;
        code = mdb_cursor_open(s->txn, s->ids, &cursor);
    }
    for (size_t count = 0; !code && count < max_records; count++, left--) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (code || (left <= max_ids && id_arrival(&key, &value) >= before_us)) {
            break;
        }
        s->txn_new_pages++;
        code = mdb_cursor_del(cursor, 0);
    }
    if (cursor) {
        mdb_cursor_close(cursor);
    }
    return put_result(s, code == MDB_NOTFOUND ? 0 : code);
}

/* ---- the end of a transaction ---- */

static nhub_err prepare_commit(struct store *s)
{
    unsigned char value[STORE_TOTALS_SIZE];
    MDB_envinfo info;
    int code = 0;

    if (s->totals_changed) {
        store_totals_write(value, &s->txn_totals);
        code = store_meta_put(s, s->txn, "totals", value, sizeof value);
    }
    if (!code) {
        code = mdb_env_info(s->env, &info);
    }
    if (code) {
        return store_status(s, code);
    }
    /* Deleting takes pages before it gives some back. A map that events could fill to the last page
     * could never be trimmed again. */
    if (!s->txn_trims && store_pages_in_use(s, s->txn) + new_pages(s) + TRIM_PAGES >
                             info.me_mapsize / s->page_bytes) {
        return NHUB_EFULL;
    }
    return store_grow(s, info.me_last_pgno + 1 + new_pages(s));
}

nhub_err store_commit(struct store *s)
{
    nhub_err status = NHUB_OK;
    MDB_txn *txn = s->txn;

    if (!txn || s->txn_failed) {
        store_abort(s);
        return NHUB_ESTATE;
    }
    status = prepare_commit(s);
    if (status) {
        const int saved = errno;

        store_abort(s);
        errno = saved;
        return status;
    }
    s->txn = NULL; /* freed by LMDB, whatever comes out */
    status = store_status(s, mdb_txn_commit(txn));
    s->disk_failed = status != NHUB_OK;
    if (!status) {
        s->meta = s->txn_meta;
        s->totals = s->txn_totals;
    }
    return status;
}

void store_abort(struct store *s)
{
    if (s->txn) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
    }
}

nhub_err store_sync(struct store *s)
{
    nhub_err status;

    if (!s->env || s->options.mode != STORE_WRITE) {
        return NHUB_ESTATE;
    }
    status = store_status(s, mdb_env_sync(s->env, 1));
    s->disk_failed = s->disk_failed || status != NHUB_OK;
    return status;
}

bool store_use_reserve(struct store *s)
{
    return folder_use_reserve(&s->folder);
}

nhub_err store_make_reserve(struct store *s)
{
    return folder_make_reserve(&s->folder, s->options.reserve_bytes);
}
