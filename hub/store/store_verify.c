/*
 * store_verify: one pass over each table.
 *
 * Each pass goes on from key to key over many short transactions, as store_read() does. A hub
 * beside it may trim and append in between: what was looked at stays true, and a question about two
 * tables (is this hole a void?) is asked within one transaction.
 */
#include "store/store_verify.h"

#include "store/store_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TURN_RECORDS   4096
#define PROGRESS_TURNS 16

struct verifier {
    struct store *s;
    struct store_verify *v;
    MDB_txn *txn;
    struct store_meta meta; /* of the transaction */
    uint64_t previous;      /* key of the record before, 0 = none */
    int64_t previous_us;
    uint64_t first; /* key of the first record that was met */
    uint64_t bytes, others;
};

/* The names of a key for people. */
static void describe(struct verifier *r, uint64_t key, char *out, size_t size)
{
    char name[STORE_EPOCH_KEY_SIZE];
    const void *epoch = NULL;
    size_t len = 0;

    store_epoch_key(store_key_epoch(key), name);
    if (store_meta_get(r->s, r->txn, name, &epoch, &len) || !epoch_valid(epoch, len)) {
        (void)snprintf(out, size, "%" PRIu64 " of an epoch without a name (number %u)",
                       store_key_seq(key), (unsigned)store_key_epoch(key));
    } else {
        (void)snprintf(out, size, "%.*s-%" PRIu64, EPOCH_LEN, (const char *)epoch,
                       store_key_seq(key));
    }
}

NHUB_PRINTF(2, 3) static void tell(struct verifier *r, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->v->problems++;
    r->v->problem(r->v->context, text);
}

static void tell_key(struct verifier *r, const char *what, uint64_t key, const char *is)
{
    char where[80];

    describe(r, key, where, sizeof where);
    tell(r, "%s %s %s", what, where, is);
}

/* ---- holes ---- */

/* The end of the void that covers the number of key; 0 when none does. */
static uint64_t void_end(MDB_cursor *voids, uint64_t key)
{
    struct store_void_value record;
    const void *bytes = NULL;
    size_t len = 0;
    MDB_val found = store_key_val(&key);
    MDB_val value;
    uint64_t from = 0;
    int code = mdb_cursor_get(voids, &found, &value, MDB_SET_RANGE);

    /* The void that begins at the number or, more often, the last one that begins before it. */
    if (!code) {
        memcpy(&from, found.mv_data, sizeof from);
    }
    if (code || from > key) {
        code = mdb_cursor_get(voids, &found, &value, code ? MDB_LAST : MDB_PREV);
    }
    if (code) {
        return 0;
    }
    memcpy(&from, found.mv_data, sizeof from);
    if (store_key_epoch(from) != store_key_epoch(key) ||
        store_unseal(MARK_VOID, &from, sizeof from, value.mv_data, value.mv_size, &bytes, &len) ||
        store_void_read(store_key_seq(from), bytes, len, &record) ||
        record.to < store_key_seq(key)) {
        return 0;
    }
    return record.to;
}

/* Numbers between two records have to lie in voids. */
static void check_hole(struct verifier *r, MDB_cursor *voids, uint64_t from, uint64_t to)
{
    char first[80];

    while (from <= to) {
        const uint64_t end = void_end(voids, from);

        if (end == 0) {
            describe(r, from, first, sizeof first);
            tell(r, "events are missing from %s on, %" PRIu64 " numbers, and no void says why",
                 first, to - from + 1);
            return;
        }
        from = store_key(store_key_epoch(from), end) + 1;
    }
}

/* ---- records ---- */

static void check_place(struct verifier *r, MDB_cursor *voids, const struct store_record *record,
                        uint64_t key)
{
    const bool is_same_epoch = store_key_epoch(r->previous) == record->epoch_no;

    if (record->epoch_no > r->meta.epoch_no ||
        (record->epoch_no == r->meta.epoch_no && record->seq > r->meta.reserved_to)) {
        tell_key(r, "event", key, "has a number that was never reserved");
    }
    if (void_end(voids, key) != 0) {
        tell_key(r, "event", key, "lies in a void");
    }
    if (r->previous != 0 && is_same_epoch && key > r->previous + 1) {
        check_hole(r, voids, r->previous + 1, key - 1);
    }
    if (record->line && record->arrival_us < r->previous_us) {
        tell_key(r, "event", key, "has arrived before the one in front of it");
    }
}

static void check_record(struct verifier *r, MDB_cursor *voids, uint64_t key, const MDB_val *value)
{
    struct store_record record;

    if (store_record_read(key, value->mv_data, value->mv_size, &record)) {
        tell_key(r, "event", key, "is damaged: its checksum is wrong");
    }
    check_place(r, voids, &record, key);
    if (record.line) {
        r->previous_us = record.arrival_us;
    }
    if (r->first == 0) {
        r->first = key;
    }
    r->previous = key;
    r->bytes += value->mv_size;
    r->others += record.epoch_no != r->meta.epoch_no;
    r->v->records++;
}

/* ---- the other tables: each looks at one entry ---- */

static void check_void(struct verifier *r, uint64_t key, const MDB_val *value)
{
    struct store_void_value record;
    const void *bytes = NULL;
    size_t len = 0;

    r->v->voids++;
    if (store_unseal(MARK_VOID, &key, sizeof key, value->mv_data, value->mv_size, &bytes, &len) ||
        store_void_read(store_key_seq(key), bytes, len, &record)) {
        tell_key(r, "the void at", key, "is damaged");
    }
}

static void check_id(struct verifier *r, uint64_t key, const MDB_val *value)
{
    struct store_id id;
    const void *bytes = NULL;
    size_t len = 0;
    uint64_t number = key;
    MDB_val wanted = store_key_val(&number);
    MDB_val event;

    r->v->ids++;
    if (store_unseal(MARK_ID, &key, sizeof key, value->mv_data, value->mv_size, &bytes, &len) ||
        store_id_read(key, bytes, len, &id)) {
        tell_key(r, "the id of event", key, "is damaged");
    } else if (key > r->first && r->first != 0 && mdb_get(r->txn, r->s->events, &wanted, &event)) {
        tell_key(r, "there is an id of event", key, "and no such event");
    }
}

static void check_note(struct verifier *r, const MDB_val *key, const MDB_val *value)
{
    const void *bytes = NULL;
    size_t len = 0;

    r->v->notes++;
    if (store_unseal(MARK_NOTE, key->mv_data, key->mv_size, value->mv_data, value->mv_size, &bytes,
                     &len)) {
        tell(r, "the note %.*s is damaged", (int)key->mv_size, (const char *)key->mv_data);
    }
}

static void check_meta(struct verifier *r, const MDB_val *key, const MDB_val *value)
{
    const void *bytes = NULL;
    size_t len = 0;

    if (store_unseal(MARK_META, key->mv_data, key->mv_size, value->mv_data, value->mv_size, &bytes,
                     &len)) {
        tell(r, "the entry %.*s of the table meta is damaged", (int)key->mv_size,
             (const char *)key->mv_data);
    }
}

/* ---- walking ---- */

static void check_entry(struct verifier *r, MDB_dbi table, MDB_cursor *voids, const MDB_val *key,
                        const MDB_val *value)
{
    uint64_t number = 0;

    if (table == r->s->notes) {
        check_note(r, key, value);
        return;
    }
    if (table == r->s->meta_table) {
        check_meta(r, key, value);
        return;
    }
    memcpy(&number, key->mv_data, sizeof number); /* 8 bytes: the pages were checked */
    if (table == r->s->events) {
        check_record(r, voids, number, value);
    } else if (table == r->s->ids) {
        check_id(r, number, value);
    } else {
        check_void(r, number, value);
    }
}

/* Where a walk goes on in its next transaction. */
struct place {
    unsigned char key[512];
    size_t len;
};

/* When a hub has trimmed the record that was the last one of the turn before, what lies between it
 * and the next one is no hole. */
static void notice_trim(struct verifier *r, MDB_cursor *cursor)
{
    MDB_val key, value;
    uint64_t first = 0;

    if (mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == 0) {
        memcpy(&first, key.mv_data, sizeof first);
        if (first > r->previous) {
            r->previous = 0;
            r->first = first;
        }
    }
}

/* Looks at up to TURN_RECORDS entries behind the place. */
static nhub_err turn(struct verifier *r, MDB_dbi table, struct place *place, bool *out_more)
{
    MDB_cursor *cursor = NULL, *voids = NULL;
    MDB_val key = store_val(place->key, place->len);
    MDB_val value;
    int code = mdb_cursor_open(r->txn, table, &cursor);

    *out_more = false;
    if (!code) {
        code = mdb_cursor_open(r->txn, r->s->voids, &voids);
    }
    if (!code && table == r->s->events && place->len) {
        notice_trim(r, cursor);
    }
    if (!code) {
        code = mdb_cursor_get(cursor, &key, &value, place->len ? MDB_SET_RANGE : MDB_FIRST);
    }
    if (!code && place->len && key.mv_size == place->len &&
        memcmp(key.mv_data, place->key, place->len) == 0) { /* not trimmed since: known */
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    for (size_t i = 0; !code && !*out_more; i++) {
        check_entry(r, table, voids, &key, &value);
        place->len = key.mv_size;
        memcpy(place->key, key.mv_data, key.mv_size); /* at most 511: the pages were checked */
        if (i + 1 == TURN_RECORDS) {
            *out_more = true;
        } else {
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    if (voids) {
        mdb_cursor_close(voids);
    }
    if (cursor) {
        mdb_cursor_close(cursor);
    }
    return store_status(r->s, code == MDB_NOTFOUND ? 0 : code);
}

static nhub_err begin(struct verifier *r)
{
    nhub_err status = store_reader_begin(r->s, &r->txn);

    if (!status) {
        status = store_get_state(r->s, r->txn, &r->meta);
        if (status) {
            store_reader_end(r->s, r->txn);
        }
    }
    return status;
}

static uint64_t entries(struct verifier *r, MDB_dbi table)
{
    MDB_stat stat;

    return mdb_stat(r->txn, table, &stat) == 0 ? stat.ms_entries : 0;
}

static nhub_err walk(struct verifier *r, MDB_dbi table)
{
    struct place place = {.len = 0};
    nhub_err status = NHUB_OK;
    bool more = true;

    for (unsigned turns = 1; !status && more; turns++) {
        uint64_t of = 0;

        status = begin(r);
        if (status) {
            break;
        }
        status = turn(r, table, &place, &more);
        of = entries(r, table);
        store_reader_end(r->s, r->txn);
        if (table == r->s->events && r->v->progress && (!more || turns % PROGRESS_TURNS == 0)) {
            r->v->progress(r->v->context, "events", r->v->records, of);
        }
    }
    return status;
}

/* ---- everything ---- */

static void page_progress(void *context, uint64_t pages, uint64_t of)
{
    struct store_verify *v = context;

    if (v->progress) {
        v->progress(v->context, "pages", pages, of);
    }
}

/* The transaction that was looked at is put into *out_txn; *out_good: everything holds together. */
static nhub_err verify_pages(struct verifier *r, uint64_t *out_txn, bool *out_good)
{
    struct store_page_check check = {.progress = page_progress, .context = r->v};
    struct store_snapshot snapshot;
    struct store_bytes bytes;
    MDB_txn *txn = NULL;
    nhub_err status = store_pin(r->s, &txn, &bytes, &snapshot);

    if (status) {
        return status;
    }
    *out_txn = snapshot.txn;
    status = store_pages_check(&bytes, &snapshot, &check);
    mdb_txn_abort(txn);
    r->v->pages = snapshot.last_page + 1;
    *out_good = !status;
    if (status == NHUB_EPROTO) {
        tell(r, "%s", check.why);
        status = NHUB_OK;
    }
    return status;
}

/* Sums say something only when nobody wrote since the pages were looked at. */
static nhub_err verify_sums(struct verifier *r, uint64_t txn)
{
    struct store_totals totals = {0};
    nhub_err status = begin(r);

    if (status) {
        return status;
    }
    if (mdb_txn_id(r->txn) == txn) {
        if (store_get_totals(r->s, r->txn, &totals) || totals.bytes != r->bytes ||
            totals.others != r->others) {
            tell(r, "the totals do not add up: %" PRIu64 " bytes are noted, %" PRIu64 " are there",
                 totals.bytes, r->bytes);
        }
    }
    store_reader_end(r->s, r->txn);
    return NHUB_OK;
}

nhub_err store_verify(struct store *s, struct store_verify *v)
{
    struct verifier r = {.s = s, .v = v};
    const MDB_dbi tables[] = {s->meta_table, s->voids, s->events, s->ids, s->notes};
    nhub_err status = NHUB_OK;
    uint64_t txn = 0;
    bool is_good = false;

    v->pages = v->records = v->ids = v->voids = v->notes = v->problems = 0;
    status = verify_pages(&r, &txn, &is_good);
    v->is_partial = !is_good;
    if (status || !is_good) {
        return status;
    }
    for (size_t i = 0; !status && i < sizeof tables / sizeof tables[0]; i++) {
        status = walk(&r, tables[i]);
    }
    return status ? status : verify_sums(&r, txn);
}
