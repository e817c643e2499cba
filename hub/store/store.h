/*
 * store: the events on disk: one LMDB environment in one folder, and the only room that knows LMDB.
 *
 *     <folder>/events.mdb       the environment (MDB_NOSUBDIR), its lock file beside it
 *     <folder>/hub.lock         flock()ed by the hub that owns the folder; says its pid and host
 *     <folder>/reserve          disk space that is given up when the disk is full, for trimming
 *
 * Tables; STORE_FORMAT says which layout (store_record.h):
 *     meta      text -> value: format, created, state (epoch, reservation, …), totals, id_seed,
 *               and epoch.<no> with the name of each epoch
 *     events    key -> record: CRC-32C, flags, type length, arrival, type, line
 *     ids       key -> hash of the id, hash of the content, arrival; only of events with an id
 *     voids     key of the first number -> last number, reason, when
 *     notes     bytes -> bytes, for consumer groups
 *
 * A key is epoch_no << 48 | seq as MDB_INTEGERKEY, so that numbers of a new epoch stand behind all
 * of the old one and appending stays appending. All values carry a checksum, since LMDB has none.
 *
 * Writing is one transaction at a time: store_begin … store_commit. A commit that fails leaves the
 * store as it was before begin. After a failed sync the environment is not to be trusted any more:
 * store_reopen() reads what the disk has.
 *
 * What opening looks at, by plain reads before LMDB follows anything: both meta pages and that the
 * file is as long as they say; every page in journals of up to 64 MiB, in larger ones the list of
 * free pages and both ends of each table; format, state and totals; a hub also looks at the
 * checksums of the first and last 64 records. Each record is checked again whenever it is read.
 * What is left: damage inside a table of a larger journal is met when LMDB follows it, and may end
 * the process, as may a disk that cannot read a mapped page (SIGBUS). store_verify() looks at all
 * pages and values without that risk.
 *
 * The map is 1.25 times max_bytes and 64 MiB, or more when the file needs it, and is chosen anew
 * whenever the environment is opened. 8 MiB of it are kept for trimming.
 *
 * Threads: one thread writes; any number of others may read at the same time (each store_read is a
 * short read transaction of its own). Everything else belongs to the writer. A process opens a
 * folder once at a time: the locks that LMDB keeps on its lock file belong to the process.
 */
#ifndef NHUB_STORE_STORE_H
#define NHUB_STORE_STORE_H

#include "base/buf.h"
#include "base/hash.h"
#include "wire/position.h"

#include <notifyhub/error.h>

#define STORE_FORMAT       1
#define STORE_SEQ_MAX      ((UINT64_C(1) << 48) - 1)
#define STORE_RESERVATION  (UINT64_C(1) << 24)
#define STORE_NOTE_KEY_MAX 400 /* bytes; LMDB's keys end at 511 */

struct store;

enum store_mode {
    STORE_READ,  /* beside a running hub or alone; nothing is changed */
    STORE_WRITE, /* owns the folder: made when it is not there */
};

struct store_options {
    enum store_mode mode;
    uint64_t max_bytes;  /* of events, for the size of the map; it is the owner who trims */
    bool sync_on_commit; /* each commit is a full sync; false: MDB_NOMETASYNC, store_sync() syncs */
    uint64_t reserve_bytes; /* size of the reserve file; 0 = none */
    /* A new journal that counts as unfinished, and is opened by nobody, until
     * store_finish_import(). NHUB_ECONFLICT: there is a journal in the folder already. */
    bool is_import;
};

/* Why numbers in a range have no event. */
enum store_void { STORE_VOID_UNCLEAN_STOP = 1, STORE_VOID_NOT_STORED = 2 };
const char *store_void_name(enum store_void why); /* "unclean_stop" or "not_stored", static */

/* Numbers from..to of an epoch. */
struct store_void_range {
    uint16_t epoch_no;
    uint64_t from, to;
    enum store_void why;
    int64_t noted_us; /* when it was written down */
};

struct store_meta {
    char epoch[EPOCH_LEN + 1]; /* the current one */
    uint16_t epoch_no;
    uint64_t reserved_to; /* numbers up to this one may have been given out */
    bool was_clean; /* the last owner stopped in order; last_seq is the last number given out */
    uint64_t last_seq;
    unsigned char id_seed[16]; /* of the hashes of ids, for the life of the folder */
};

struct store_figures {
    uint64_t records, bytes;      /* of all epochs; bytes: types and lines and record heads */
    uint64_t oldest, newest;      /* of the current epoch; 0 when it has no record */
    int64_t oldest_us, newest_us; /* arrival times; 0 when there is none */
    uint64_t other_epochs;        /* records of earlier epochs */
    uint64_t ids, voids, notes;   /* entries in these tables */
    int64_t trimmed_us;           /* arrival of the youngest record ever trimmed; 0 = none */
    uint64_t file_bytes;          /* what events.mdb takes on the disk */
    uint64_t map_bytes;           /* what it can grow to */
    uint64_t used_bytes;          /* of pages in use */
    uint64_t free_bytes;          /* of pages in the file that can be used again */
};

struct store_record {
    uint16_t epoch_no;
    uint64_t seq;
    int64_t arrival_us;
    const char *type;
    size_t type_len;
    const char *line;
    size_t len;
};

struct store_id {
    uint64_t seq; /* of the current epoch */
    int64_t arrival_us;
    struct hash128 key;
    uint64_t content;
};

/* Opens or makes the environment. *error gets a text for people that says what is wrong and what to
 * do (another hub owns the folder and which; a newer or older format; damaged or truncated, with
 * the command that looks closer; a network file system; not enough room). Nothing is ever replaced.
 * Errors: NHUB_EEXIST owned by another hub; NHUB_EPROTO damaged or of another format;
 * NHUB_ENOTFOUND (STORE_READ) no journal there; NHUB_ENOMEM; NHUB_ESYS (errno). */
NHUB_MUST_USE nhub_err store_open(struct store **out, const char *folder,
                                  const struct store_options *options, struct buf *error);
void store_close(struct store **s_p);
/* After a failed commit or sync: closes and opens the environment anew, keeping the lock. Errors:
 * as store_open(); the store can only be re-opened again or closed then. Waits for readers. */
NHUB_MUST_USE nhub_err store_reopen(struct store *s, struct buf *error);

/* Closes an unfinished import and deletes it. */
void store_discard(struct store **s_p);

/* Who owns a folder: *out gets what is in the lock file of a hub that runs, "" when none does. */
void store_owner(const char *folder, struct buf *out);

/* As of the last commit. */
void store_get_meta(const struct store *s, struct store_meta *out);
int64_t store_created_us(const struct store *s); /* when the journal was made */
void store_figures(struct store *s, struct store_figures *out);

/* ---- writing ---- */

/* Errors of all of these: NHUB_EFULL no room (disk or map); NHUB_ESYS (errno); NHUB_ENOMEM;
 * NHUB_EINVAL an argument that cannot be, such as a number over the reservation or not behind the
 * last one; NHUB_ESTATE no transaction is open, or the store was opened for reading. After an error
 * the transaction can only be aborted; store_commit() does so by itself. */
NHUB_MUST_USE nhub_err store_begin(struct store *s);
NHUB_MUST_USE nhub_err store_put_event(struct store *s, uint64_t seq, int64_t arrival_us,
                                       const char *type, size_t type_len, const char *line,
                                       size_t len);
NHUB_MUST_USE nhub_err store_put_id(struct store *s, const struct store_id *id);
/* from and to are numbers of the current epoch. */
NHUB_MUST_USE nhub_err store_put_void(struct store *s, uint64_t from, uint64_t to,
                                      enum store_void why);
/* One that was noted at another time, of the current epoch whatever its epoch_no says. */
NHUB_MUST_USE nhub_err store_put_void_range(struct store *s, const struct store_void_range *range);
NHUB_MUST_USE nhub_err store_put_note(struct store *s, const void *key, size_t key_len,
                                      const void *value, size_t len);
NHUB_MUST_USE nhub_err store_del_note(struct store *s, const void *key, size_t key_len);
/* epoch, reserved_to, was_clean and last_seq of *meta; a new epoch gets the next epoch_no
 * (NHUB_EFULL after 65535 of them). A larger reservation may be used when it is synced. */
NHUB_MUST_USE nhub_err store_put_meta(struct store *s, const struct store_meta *meta);
/* Deletes the oldest records (of any epoch), and voids that lie in front of them, as long as they
 * are older than before_us or the events have more than max_bytes, at most max_records; never one
 * with a number >= keep_from of the current epoch (0 = no such wish). *out_count: how many;
 * *out_us: arrival of the youngest record that was ever trimmed. Ids stay: de-duplication has its
 * own window. */
NHUB_MUST_USE nhub_err store_trim(struct store *s, int64_t before_us, uint64_t max_bytes,
                                  uint64_t keep_from, size_t max_records, size_t *out_count,
                                  int64_t *out_us);
/* Deletes ids that arrived before before_us, and the oldest beyond max_ids; at most max_records. */
NHUB_MUST_USE nhub_err store_trim_ids(struct store *s, int64_t before_us, uint64_t max_ids,
                                      size_t max_records);
/* The import is complete with this transaction. */
NHUB_MUST_USE nhub_err store_finish_import(struct store *s);
NHUB_MUST_USE nhub_err store_commit(struct store *s);
void store_abort(struct store *s);
/* Everything committed is safe from a power cut afterwards. */
NHUB_MUST_USE nhub_err store_sync(struct store *s);
/* Makes room by giving up the reserve file; true when it was there. store_make_reserve() makes it
 * again when there is room (NHUB_EFULL when not). */
bool store_use_reserve(struct store *s);
NHUB_MUST_USE nhub_err store_make_reserve(struct store *s);

/* ---- reading: any thread ---- */

/* Errors of all of these: NHUB_EPROTO something damaged was met; NHUB_ESTATE the last
 * store_reopen() failed; NHUB_EUNAVAIL no place for a further reader; NHUB_ENOMEM; NHUB_ESYS
 * (errno). */

/* Visits records of the current epoch with after < seq <= to in order, in one read transaction of
 * at most max_records or max_us; visit returns false to stop in front of a record. *out_scanned_to:
 * all up to here were visited (or are not there). A record whose checksum is wrong ends the call
 * with NHUB_EPROTO behind the ones before it (*out_scanned_to says where). */
struct store_scan {
    uint64_t after, to;
    size_t max_records;
    int64_t max_us;
    bool (*visit)(void *context, const struct store_record *record);
    void *context;
};
NHUB_MUST_USE nhub_err store_read(struct store *s, const struct store_scan *scan,
                                  uint64_t *out_scanned_to);
/* The number before the first record of the current epoch that arrived at or after time_us. */
NHUB_MUST_USE nhub_err store_find_time(struct store *s, int64_t time_us, uint64_t *out_after);
/* All epochs, oldest first, for export and verify; resume by *epoch_no and *seq (0, 0 = start). A
 * bad record is visited with record->line NULL. */
NHUB_MUST_USE nhub_err store_read_all(struct store *s, uint16_t *epoch_no, uint64_t *seq,
                                      size_t max_records,
                                      bool (*visit)(void *context, const struct store_record *r),
                                      void *context, bool *out_more);
NHUB_MUST_USE nhub_err store_each_void(struct store *s,
                                       void (*visit)(void *context, uint64_t from, uint64_t to,
                                                     enum store_void why),
                                       void *context); /* of the current epoch */
/* Those of all epochs, ascending. */
NHUB_MUST_USE nhub_err store_read_voids(struct store *s,
                                        void (*visit)(void *context,
                                                      const struct store_void_range *range),
                                        void *context);
/* Newest first, at most max_ids that arrived at or after since_us. */
NHUB_MUST_USE nhub_err store_each_id(struct store *s, uint64_t max_ids, int64_t since_us,
                                     void (*visit)(void *context, const struct store_id *id),
                                     void *context);
NHUB_MUST_USE nhub_err store_each_note(struct store *s, const void *prefix, size_t prefix_len,
                                       void (*visit)(void *context, const void *key, size_t key_len,
                                                     const void *value, size_t len),
                                       void *context);
NHUB_MUST_USE nhub_err store_epoch_name(struct store *s, uint16_t epoch_no,
                                        char out[EPOCH_LEN + 1]);

#endif
