/*
 * store_private: what the files of this room share, LMDB's types among it. Included by hub/store/
 * only.
 */
#ifndef NHUB_STORE_STORE_PRIVATE_H
#define NHUB_STORE_STORE_PRIVATE_H

#include "store/store_folder.h"
#include "store/store_pages.h"
#include "store/store_record.h"

#include <lmdb.h>
#include <pthread.h>

_Static_assert(sizeof(size_t) == 8, "keys are 64 bits wide, as LMDB's integer keys then are");

struct store {
    struct folder folder;
    struct store_options options;
    MDB_env *env; /* NULL after a failed store_reopen() */
    MDB_dbi meta_table, events, ids, voids, notes;
    int data_fd; /* LMDB's own */
    size_t page_bytes;
    int64_t created_us;
    struct store_meta meta; /* as of the last commit, as the next two */
    struct store_totals totals;
    uint64_t file_size; /* of events.mdb; all pages that LMDB may use lie in it (store_write.c) */

    int64_t readers_checked_ns; /* when places of dead readers were last looked for */
    bool disk_failed;           /* in the last commit, of which it may have more than we know */

    MDB_txn *txn;           /* between begin and commit; the rest belongs to it */
    bool txn_failed;        /* can only be aborted */
    bool totals_changed;    /* are to be written */
    bool txn_trims;         /* may use what is kept free for it */
    uint64_t txn_new_pages; /* that it takes at most, besides those for the next one */
    uint64_t txn_new_bytes; /* of keys and values */
    struct store_meta txn_meta;
    struct store_totals txn_totals;

    /* Readers hold it while they use the environment; store_reopen() to replace it. */
    pthread_rwlock_t env_lock;
};

/* The result of a call of LMDB in our words; sets errno for NHUB_ESYS. */
NHUB_MUST_USE nhub_err store_status(const struct store *s, int code);

/* A read transaction, with the lock on the environment. Errors: NHUB_ESTATE the store is not open;
 * NHUB_EUNAVAIL no reader's place is free; others as LMDB has them. */
NHUB_MUST_USE nhub_err store_reader_begin(struct store *s, MDB_txn **out);
void store_reader_end(struct store *s, MDB_txn *txn);

/* Begins a read transaction and reads the meta page that belongs to it by plain reads: the pages of
 * that snapshot stay as they are until the transaction is aborted. Errors: NHUB_EAGAIN commits
 * come too fast; others as store_status(). */
NHUB_MUST_USE nhub_err store_pin(struct store *s, MDB_txn **out_txn, struct store_bytes *out_bytes,
                                 struct store_snapshot *out);

/* The value of a text key of the table meta, without its seal. Errors: NHUB_ENOTFOUND,
 * NHUB_EPROTO. */
NHUB_MUST_USE nhub_err store_meta_get(const struct store *s, MDB_txn *txn, const char *name,
                                      const void **out, size_t *out_len);
NHUB_MUST_USE nhub_err store_get_state(const struct store *s, MDB_txn *txn, struct store_meta *out);
NHUB_MUST_USE nhub_err store_get_totals(const struct store *s, MDB_txn *txn,
                                        struct store_totals *out);
/* Errors: LMDB's codes. */
NHUB_MUST_USE int store_meta_put(const struct store *s, MDB_txn *txn, const char *name,
                                 const void *value, size_t len);
/* Puts value sealed under the key. Errors: LMDB's codes. */
NHUB_MUST_USE int store_put_sealed(MDB_txn *txn, MDB_dbi table, enum store_mark mark,
                                   const void *key, size_t key_len, const void *value, size_t len,
                                   unsigned flags);

/* Pages that the tables use as the transaction sees them, with LMDB's two of its own. */
uint64_t store_pages_in_use(const struct store *s, MDB_txn *txn);

/* Makes events.mdb long enough for `pages` pages. Errors: NHUB_ESYS, NHUB_EFULL. */
NHUB_MUST_USE nhub_err store_grow(struct store *s, uint64_t pages);

/* Makes a new environment in the folder, under its name only when it is complete.
 * Errors: as store_status(). */
NHUB_MUST_USE nhub_err store_make(struct store *s, struct buf *error);

/* Opens the five tables in a transaction; flags: MDB_CREATE or 0. Errors: LMDB's codes. */
NHUB_MUST_USE int store_open_tables(struct store *s, MDB_txn *txn, unsigned flags);

/* The texts in the table meta. */
#define STORE_META_FORMAT    "format"
#define STORE_META_CREATED   "created"
#define STORE_META_ID_SEED   "id_seed"
#define STORE_META_IMPORT    "import"             /* is there while an import is unfinished */
#define STORE_FORMAT_WORD    "notifyhub journal " /* and the number */
#define STORE_TABLES         8                    /* places for tables: five, and some to come */
#define STORE_EPOCH_KEY_SIZE 16
void store_epoch_key(uint16_t epoch_no, char out[STORE_EPOCH_KEY_SIZE]);

static inline MDB_val store_val(const void *bytes, size_t len)
{
    /* LMDB's type has no const; it does not write through keys and values that are put. */
    union {
        const void *in;
        void *out;
    } both = {bytes};
    const MDB_val val = {len, both.out};

    return val;
}

static inline MDB_val store_key_val(const uint64_t *key)
{
    return store_val(key, sizeof *key);
}

#endif
