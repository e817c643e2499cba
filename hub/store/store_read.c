/*
 * store_read: everything that only looks. Each call is one short read transaction: pages that a
 * transaction can see are not used again before it ends, so a long one would make the file grow.
 */
#include "store/store_private.h"

#include "base/clock.h"

#include <string.h>
#include <sys/stat.h>

#define TURNS_PER_CLOCK 64 /* records between two looks at the clock */

nhub_err store_reader_begin(struct store *s, MDB_txn **out)
{
    int code = 0;

    if (pthread_rwlock_rdlock(&s->env_lock) != 0) {
        return NHUB_EUNAVAIL; /* more readers than the lock can count */
    }
    if (!s->env) {
        (void)pthread_rwlock_unlock(&s->env_lock);
        return NHUB_ESTATE;
    }
    code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, out);
    if (code == MDB_MAP_RESIZED && s->options.mode == STORE_READ) {
        /* The hub beside us was started again with a larger map. Only one thread reads here. */
        code = mdb_env_set_mapsize(s->env, 0);
        if (!code) {
            code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, out);
        }
    }
    if (code) {
        (void)pthread_rwlock_unlock(&s->env_lock);
    }
    return store_status(s, code);
}

void store_reader_end(struct store *s, MDB_txn *txn)
{
    mdb_txn_abort(txn); /* copes with NULL */
    (void)pthread_rwlock_unlock(&s->env_lock);
}

nhub_err store_meta_get(const struct store *s, MDB_txn *txn, const char *name, const void **out,
                        size_t *out_len)
{
    MDB_val key = store_val(name, strlen(name));
    MDB_val value;
    const int code = mdb_get(txn, s->meta_table, &key, &value);

    if (code) {
        return store_status(s, code);
    }
    return store_unseal(MARK_META, name, strlen(name), value.mv_data, value.mv_size, out, out_len);
}

nhub_err store_get_totals(const struct store *s, MDB_txn *txn, struct store_totals *out)
{
    const void *bytes = NULL;
    size_t len = 0;
    const nhub_err status = store_meta_get(s, txn, "totals", &bytes, &len);

    return status ? status : store_totals_read(bytes, len, out);
}

nhub_err store_get_state(const struct store *s, MDB_txn *txn, struct store_meta *out)
{
    const void *bytes = NULL;
    size_t len = 0;
    const nhub_err status = store_meta_get(s, txn, "state", &bytes, &len);

    return status ? status : store_state_read(bytes, len, out);
}

/* A read transaction with a cursor on one table, and the epoch that is current in it. */
struct walk {
    struct store *s;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct store_meta meta;
};

static void walk_end(struct walk *w)
{
    if (w->cursor) {
        mdb_cursor_close(w->cursor);
    }
    store_reader_end(w->s, w->txn);
}

static nhub_err walk_begin(struct walk *w, struct store *s, MDB_dbi table)
{
    nhub_err status = NHUB_OK;

    *w = (struct walk){.s = s};
    status = store_reader_begin(s, &w->txn);
    if (status) {
        return status;
    }
    status = store_get_state(s, w->txn, &w->meta);
    if (!status) {
        status = store_status(s, mdb_cursor_open(w->txn, table, &w->cursor));
    }
    if (status) {
        walk_end(w);
    }
    return status;
}

/* Moves to the first key that is not smaller than *key, which becomes that one's.
 * Errors: NHUB_ENOTFOUND. */
static nhub_err walk_seek(struct walk *w, uint64_t *key, MDB_val *value)
{
    MDB_val key_val = store_key_val(key);
    const int code = mdb_cursor_get(w->cursor, &key_val, value, MDB_SET_RANGE);

    if (!code) {
        memcpy(key, key_val.mv_data, sizeof *key);
    }
    return store_status(w->s, code);
}

/* MDB_FIRST, MDB_LAST, MDB_NEXT or MDB_PREV. Errors: NHUB_ENOTFOUND. */
static nhub_err walk_move(struct walk *w, MDB_cursor_op op, uint64_t *key, MDB_val *value)
{
    MDB_val key_val;
    const int code = mdb_cursor_get(w->cursor, &key_val, value, op);

    if (!code) {
        memcpy(key, key_val.mv_data, sizeof *key);
    }
    return store_status(w->s, code);
}

/* Counts records and looks at the clock now and then. */
struct budget {
    size_t max_records;
    size_t count;
    int64_t until_ns; /* 0 = no end */
};

static bool is_spent(struct budget *b)
{
    b->count++;
    if (b->max_records != 0 && b->count >= b->max_records) {
        return true;
    }
    return b->until_ns != 0 && b->count % TURNS_PER_CLOCK == 0 && clock_mono_ns() >= b->until_ns;
}

nhub_err store_read(struct store *s, const struct store_scan *scan, uint64_t *out_scanned_to)
{
    const uint64_t to = scan->to < STORE_SEQ_MAX ? scan->to : STORE_SEQ_MAX;
    struct budget budget = {.max_records = scan->max_records};
    uint64_t scanned = scan->after;
    nhub_err status = NHUB_OK;
    struct walk w;
    uint64_t key = 0;
    MDB_val value;

    if (scan->after >= to) {
        *out_scanned_to = scan->after;
        return NHUB_OK;
    }
    if (scan->max_us > 0) {
        budget.until_ns = clock_mono_ns() + scan->max_us * 1000;
    }
    status = walk_begin(&w, s, s->events);
    if (status) {
        return status;
    }
    key = store_key(w.meta.epoch_no, scan->after + 1);
    for (status = walk_seek(&w, &key, &value); !status;
         status = walk_move(&w, MDB_NEXT, &key, &value)) {
        struct store_record record;

        if (key > store_key(w.meta.epoch_no, to)) {
            status = NHUB_ENOTFOUND;
            break;
        }
        status = store_record_read(key, value.mv_data, value.mv_size, &record);
        scanned = record.seq - 1;
        if (status || !scan->visit(scan->context, &record)) {
            break;
        }
        scanned = record.seq;
        if (is_spent(&budget)) {
            break;
        }
    }
    if (status == NHUB_ENOTFOUND) { /* the end of the range, or of what is there */
        scanned = to;
        status = NHUB_OK;
    }
    walk_end(&w);
    *out_scanned_to = scanned;
    return status;
}

/* First and last number of the current epoch. Errors: NHUB_ENOTFOUND it has none. */
static nhub_err epoch_ends(struct walk *w, uint64_t *out_first, uint64_t *out_last)
{
    uint64_t first = store_key(w->meta.epoch_no, 0);
    uint64_t last = 0;
    MDB_val value;
    nhub_err status = walk_seek(w, &first, &value);

    if (!status) {
        status = walk_move(w, MDB_LAST, &last, &value);
    }
    if (!status && store_key_epoch(last) != w->meta.epoch_no) {
        status = NHUB_EPROTO; /* records of an epoch that has not begun */
    }
    if (!status) {
        *out_first = store_key_seq(first);
        *out_last = store_key_seq(last);
    }
    return status;
}

nhub_err store_find_time(struct store *s, int64_t time_us, uint64_t *out_after)
{
    uint64_t low = 0; /* all before it arrived earlier */
    uint64_t high = 0;
    nhub_err status = NHUB_OK;
    struct walk w;

    status = walk_begin(&w, s, s->events);
    if (status) {
        return status;
    }
    status = epoch_ends(&w, &low, &high);
    high++; /* it and all behind it did not */
    while (!status && low < high) {
        struct store_record record;
        uint64_t key = store_key(w.meta.epoch_no, low + (high - low) / 2);
        const uint64_t middle = store_key_seq(key);
        MDB_val value;

        status = walk_seek(&w, &key, &value); /* behind a void that may be a later number */
        if (!status) {
            status = store_record_read(key, value.mv_data, value.mv_size, &record);
        }
        if (!status && record.arrival_us >= time_us) {
            high = middle;
        } else if (!status) {
            low = record.seq + 1;
        }
    }
    if (status == NHUB_ENOTFOUND) { /* no record at all: before the next one */
        *out_after = w.meta.last_seq;
        status = NHUB_OK;
    } else if (!status) {
        *out_after = low - 1;
    }
    walk_end(&w);
    return status;
}

nhub_err store_read_all(struct store *s, uint16_t *epoch_no, uint64_t *seq, size_t max_records,
                        bool (*visit)(void *context, const struct store_record *r), void *context,
                        bool *out_more)
{
    uint64_t key = store_key(*epoch_no, *seq) + 1;
    struct budget budget = {.max_records = max_records};
    bool more = false;
    nhub_err status = NHUB_OK;
    struct walk w;
    MDB_val value;

    status = walk_begin(&w, s, s->events);
    if (status) {
        return status;
    }
    for (status = walk_seek(&w, &key, &value); !status;
         status = walk_move(&w, MDB_NEXT, &key, &value)) {
        struct store_record record;

        NHUB_IGNORE(store_record_read(key, value.mv_data, value.mv_size, &record)); /* line NULL */
        if (!visit(context, &record)) {
            more = true;
            break;
        }
        *epoch_no = record.epoch_no;
        *seq = record.seq;
        if (is_spent(&budget)) {
            more = true;
            break;
        }
    }
    walk_end(&w);
    if (status == NHUB_ENOTFOUND) {
        status = NHUB_OK;
    }
    *out_more = more;
    return status;
}

/* Visits the voids from the key on. */
static nhub_err walk_voids(struct walk *w, uint64_t key,
                           void (*visit)(void *context, const struct store_void_range *range),
                           void *context)
{
    nhub_err status = NHUB_OK;
    MDB_val value;

    for (status = walk_seek(w, &key, &value); !status;
         status = walk_move(w, MDB_NEXT, &key, &value)) {
        struct store_void_value record;
        const void *bytes = NULL;
        size_t len = 0;

        status =
            store_unseal(MARK_VOID, &key, sizeof key, value.mv_data, value.mv_size, &bytes, &len);
        if (!status) {
            status = store_void_read(store_key_seq(key), bytes, len, &record);
        }
        if (status) {
            break;
        }
        visit(context, &(struct store_void_range){.epoch_no = store_key_epoch(key),
                                                  .from = store_key_seq(key),
                                                  .to = record.to,
                                                  .why = record.why,
                                                  .noted_us = record.when_us});
    }
    return status == NHUB_ENOTFOUND ? NHUB_OK : status;
}

nhub_err store_read_voids(struct store *s,
                          void (*visit)(void *context, const struct store_void_range *range),
                          void *context)
{
    struct walk w;
    nhub_err status = walk_begin(&w, s, s->voids);

    if (!status) {
        status = walk_voids(&w, 0, visit, context);
        walk_end(&w);
    }
    return status;
}

struct void_visit {
    void (*visit)(void *context, uint64_t from, uint64_t to, enum store_void why);
    void *context;
};

static void visit_range(void *context, const struct store_void_range *range)
{
    const struct void_visit *v = context;

    v->visit(v->context, range->from, range->to, range->why);
}

nhub_err store_each_void(struct store *s,
                         void (*visit)(void *context, uint64_t from, uint64_t to,
                                       enum store_void why),
                         void *context)
{
    struct void_visit v = {.visit = visit, .context = context};
    struct walk w;
    nhub_err status = walk_begin(&w, s, s->voids);

    if (!status) {
        status = walk_voids(&w, store_key(w.meta.epoch_no, 0), visit_range, &v);
        walk_end(&w);
    }
    return status;
}

nhub_err store_each_id(struct store *s, uint64_t max_ids, int64_t since_us,
                       void (*visit)(void *context, const struct store_id *id), void *context)
{
    uint64_t count = 0;
    nhub_err status = NHUB_OK;
    struct walk w;
    uint64_t key = 0;
    MDB_val value;

    status = walk_begin(&w, s, s->ids);
    if (status) {
        return status;
    }
    for (status = walk_move(&w, MDB_LAST, &key, &value); !status && count < max_ids;
         status = walk_move(&w, MDB_PREV, &key, &value)) {
        struct store_id id;
        const void *bytes = NULL;
        size_t len = 0;

        status =
            store_unseal(MARK_ID, &key, sizeof key, value.mv_data, value.mv_size, &bytes, &len);
        if (!status) {
            status = store_id_read(key, bytes, len, &id);
        }
        if (status || store_key_epoch(key) != w.meta.epoch_no || id.arrival_us < since_us) {
            break;
        }
        visit(context, &id);
        count++;
    }
    walk_end(&w);
    return status == NHUB_ENOTFOUND ? NHUB_OK : status;
}

nhub_err store_each_note(struct store *s, const void *prefix, size_t prefix_len,
                         void (*visit)(void *context, const void *key, size_t key_len,
                                       const void *value, size_t len),
                         void *context)
{
    MDB_val key = store_val(prefix, prefix_len);
    MDB_cursor_op op = prefix_len > 0 ? MDB_SET_RANGE : MDB_FIRST;
    nhub_err status = NHUB_OK;
    struct walk w;
    MDB_val value;

    if (prefix_len > STORE_NOTE_KEY_MAX) {
        return NHUB_EINVAL;
    }
    status = walk_begin(&w, s, s->notes);
    if (status) {
        return status;
    }
    for (; !status; op = MDB_NEXT) {
        const void *bytes = NULL;
        size_t len = 0;

        status = store_status(s, mdb_cursor_get(w.cursor, &key, &value, op));
        if (status || key.mv_size < prefix_len ||
            (prefix_len > 0 && memcmp(key.mv_data, prefix, prefix_len) != 0)) {
            break;
        }
        status = store_unseal(MARK_NOTE, key.mv_data, key.mv_size, value.mv_data, value.mv_size,
                              &bytes, &len);
        if (!status) {
            visit(context, key.mv_data, key.mv_size, bytes, len);
        }
    }
    walk_end(&w);
    return status == NHUB_ENOTFOUND ? NHUB_OK : status;
}

nhub_err store_epoch_name(struct store *s, uint16_t epoch_no, char out[EPOCH_LEN + 1])
{
    char name[STORE_EPOCH_KEY_SIZE];
    const void *bytes = NULL;
    size_t len = 0;
    MDB_txn *txn = NULL;
    nhub_err status = store_reader_begin(s, &txn);

    if (status) {
        return status;
    }
    store_epoch_key(epoch_no, name);
    status = store_meta_get(s, txn, name, &bytes, &len);
    if (!status && !epoch_valid(bytes, len)) {
        status = NHUB_EPROTO;
    }
    if (!status) {
        memcpy(out, bytes, EPOCH_LEN);
        out[EPOCH_LEN] = '\0';
    }
    store_reader_end(s, txn);
    return status;
}

static int64_t arrival_of(struct walk *w, uint64_t seq)
{
    struct store_record record;
    uint64_t key = store_key(w->meta.epoch_no, seq);
    MDB_val value;

    if (walk_seek(w, &key, &value) ||
        store_record_read(key, value.mv_data, value.mv_size, &record)) {
        return 0;
    }
    return record.arrival_us;
}

uint64_t store_pages_in_use(const struct store *s, MDB_txn *txn)
{
    /* The first two are LMDB's list of free pages and its list of tables. */
    const MDB_dbi tables[] = {0, 1, s->meta_table, s->events, s->ids, s->voids, s->notes};
    uint64_t pages = 2;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        MDB_stat stat;

        if (mdb_stat(txn, tables[i], &stat) == 0) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        }
    }
    return pages;
}

static uint64_t entries(MDB_txn *txn, MDB_dbi table)
{
    MDB_stat stat;

    return mdb_stat(txn, table, &stat) == 0 ? stat.ms_entries : 0;
}

static void file_figures(const struct store *s, struct store_figures *out)
{
    MDB_envinfo info;
    struct stat st;

    if (mdb_env_info(s->env, &info) == 0) {
        const uint64_t all = (info.me_last_pgno + 1) * s->page_bytes;

        out->map_bytes = info.me_mapsize;
        out->free_bytes = all > out->used_bytes ? all - out->used_bytes : 0;
    }
    if (fstat(s->data_fd, &st) == 0) {
        out->file_bytes = (uint64_t)st.st_blocks * 512; /* what it takes: the tail takes nothing */
    }
}

void store_figures(struct store *s, struct store_figures *out)
{
    struct store_figures f = {0};
    struct store_totals totals = {0};
    struct walk w;

    *out = f;
    if (walk_begin(&w, s, s->events)) {
        return;
    }
    f.records = entries(w.txn, s->events);
    f.ids = entries(w.txn, s->ids);
    f.voids = entries(w.txn, s->voids);
    f.notes = entries(w.txn, s->notes);
    if (!store_get_totals(s, w.txn, &totals)) {
        f.bytes = totals.bytes;
        f.other_epochs = totals.others;
        f.trimmed_us = totals.trimmed_us;
    }
    if (!epoch_ends(&w, &f.oldest, &f.newest)) {
        f.oldest_us = arrival_of(&w, f.oldest);
        f.newest_us = arrival_of(&w, f.newest);
    }
    f.used_bytes = store_pages_in_use(s, w.txn) * s->page_bytes;
    file_figures(s, &f);
    walk_end(&w);
    *out = f;
}
