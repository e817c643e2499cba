/*
 * store: opening and closing.
 *
 * LMDB trusts its file: it maps it and follows what it finds, and a page that lies, or a file that
 * is shorter than it should be, would end the process by a signal. Therefore store_file.h looks at
 * the file with plain reads first, and LMDB gets only what passed.
 *
 * Flags: MDB_NOSUBDIR, since the folder is ours and has other files too. MDB_NOTLS ties a read
 * transaction to its object rather than to its thread: one thread may read while it writes.
 * MDB_NORDAHEAD is not set: what reads here walks along the numbers, which lie along the file.
 * MDB_NOSYNC is never set: a power cut could then break the whole file, not only the last commits.
 */
#include "store/store_private.h"

#include "store/store_file.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_SPARE   (UINT64_C(64) << 20)
#define MAX_READERS 126   /* LMDB's own default: the hub's threads and commands beside it */
#define END_RECORDS 64    /* checked at each end when a journal is opened */
#define OPEN_PAGES  16384 /* 64 MiB: smaller journals are looked at as a whole, in about 0.05 s */
#define PIN_TRIES   1000

nhub_err store_status(const struct store *s, int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return NHUB_OK;
    case MDB_NOTFOUND:
        return NHUB_ENOTFOUND;
    case MDB_KEYEXIST: /* a number that is not behind the last one */
    case MDB_BAD_VALSIZE:
        return NHUB_EINVAL;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NHUB_EFULL;
    case ENOMEM:
        return NHUB_ENOMEM;
    case MDB_READERS_FULL:
        return NHUB_EUNAVAIL;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return NHUB_EPROTO;
    case EIO: /* LMDB says this of short writes too, and a full disk makes writes short */
        if (folder_is_full(&s->folder)) {
            return NHUB_EFULL;
        }
        break;
    default:
        break;
    }
    errno = code > 0 ? code : EIO; /* MDB_PANIC: an earlier write failed half-way */
    return NHUB_ESYS;
}

/* Appends why a journal is refused, and what can be done about it. */
static nhub_err damaged(const struct store *s, struct buf *error, const char *what)
{
    buf_printf(error,
               "the journal %s/" FOLDER_DATA " is damaged: %s; it is left as it is. Put a copy in "
               "its place, or save the events that are whole with 'notifyhub journal export "
               "--salvage --path %s > events.ndjson', move the folder away, and bring them back "
               "with 'notifyhub journal import --path %s events.ndjson'",
               s->folder.path, what, s->folder.path, s->folder.path);
    return NHUB_EPROTO;
}

/* ---- the environment ---- */

static uint64_t wanted_map(const struct store *s, const struct store_file *file)
{
    const uint64_t max = s->options.max_bytes;
    const uint64_t used = file->pages * file->page_bytes;
    uint64_t wanted = max / 4 * 5 + MAP_SPARE;

    /* A journal that is larger than its limit now allows needs free pages to be trimmed. */
    if (wanted < used + MAP_SPARE) {
        wanted = used + MAP_SPARE;
    }
    return (wanted + file->page_bytes - 1) / file->page_bytes * file->page_bytes;
}

static int open_environment(struct store *s, const char *path, const struct store_file *file)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
    int code = mdb_env_create(&s->env);
    int dead = 0;

    if (code) {
        return code;
    }
    if (s->options.mode == STORE_READ) {
        flags |= MDB_RDONLY;
    } else if (!s->options.sync_on_commit) {
        flags |= MDB_NOMETASYNC;
    }
    /* A reader takes the size that the owner has chosen, which stands in the file. */
    if (s->options.mode == STORE_WRITE) {
        code = mdb_env_set_mapsize(s->env, wanted_map(s, file));
    }
    if (!code) {
        code = mdb_env_set_maxdbs(s->env, STORE_TABLES);
    }
    if (!code) {
        code = mdb_env_set_maxreaders(s->env, MAX_READERS);
    }
    if (!code) {
        code = mdb_env_open(s->env, path, flags, 0640);
    }
    if (!code && s->options.mode == STORE_WRITE) {
        code = mdb_reader_check(s->env, &dead); /* places of commands that were killed */
        s->readers_checked_ns = clock_mono_ns();
    }
    return code;
}

static void close_environment(struct store *s)
{
    store_abort(s);
    if (s->env) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
}

/* Tables are opened in a read transaction and stay open when it ends well. */
static int open_tables(struct store *s)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    if (!code) {
        code = store_open_tables(s, txn, 0);
    }
    if (!code) {
        return mdb_txn_commit(txn);
    }
    mdb_txn_abort(txn);
    return code;
}

/* ---- what is in it ---- */

static nhub_err check_format(const struct store *s, MDB_txn *txn, struct buf *error)
{
    const size_t word_len = strlen(STORE_FORMAT_WORD);
    const char *text = NULL;
    const void *bytes = NULL;
    char number[12] = "";
    size_t len = 0;
    long found = 0;

    if (store_meta_get(s, txn, STORE_META_FORMAT, &bytes, &len)) {
        return damaged(s, error, "it does not say which format it has");
    }
    text = bytes;
    if (len <= word_len || len - word_len >= sizeof number ||
        memcmp(text, STORE_FORMAT_WORD, word_len) != 0) {
        return damaged(s, error, "it has a format of something else");
    }
    memcpy(number, text + word_len, len - word_len);
    found = strtol(number, NULL, 10);
    if (found != STORE_FORMAT) {
        buf_printf(error,
                   "the journal in %s has format %ld, and this program knows format %d: use the "
                   "%s program; to change over, export with the program that wrote it "
                   "('notifyhub journal export') and import with this one",
                   s->folder.path, found, STORE_FORMAT, found > STORE_FORMAT ? "newer" : "older");
        return NHUB_EPROTO;
    }
    return NHUB_OK;
}

static nhub_err check_import(const struct store *s, MDB_txn *txn, struct buf *error)
{
    const void *bytes = NULL;
    size_t len = 0;

    if (s->options.is_import ||
        store_meta_get(s, txn, STORE_META_IMPORT, &bytes, &len) == NHUB_ENOTFOUND) {
        return NHUB_OK;
    }
    buf_printf(error,
               "an import into %s did not come to its end; delete the folder and import again",
               s->folder.path);
    return NHUB_EPROTO;
}

static nhub_err load_meta(struct store *s, MDB_txn *txn, struct buf *error)
{
    const void *bytes = NULL;
    size_t len = 0;
    char created[24] = "";
    nhub_err status = check_format(s, txn, error);

    if (!status) {
        status = check_import(s, txn, error);
    }
    if (status) {
        return status;
    }
    if (store_get_state(s, txn, &s->meta)) {
        return damaged(s, error, "its state cannot be read");
    }
    if (store_get_totals(s, txn, &s->totals)) {
        return damaged(s, error, "its totals cannot be read");
    }
    if (store_meta_get(s, txn, STORE_META_ID_SEED, &bytes, &len) || len != sizeof s->meta.id_seed) {
        return damaged(s, error, "the key of its ids cannot be read");
    }
    memcpy(s->meta.id_seed, bytes, sizeof s->meta.id_seed);
    if (store_meta_get(s, txn, STORE_META_CREATED, &bytes, &len) || len >= sizeof created) {
        return damaged(s, error, "it does not say when it was made");
    }
    memcpy(created, bytes, len);
    s->created_us = strtoll(created, NULL, 10);
    return NHUB_OK;
}

/* Looks at the first or last records (op: MDB_NEXT or MDB_PREV). */
static nhub_err check_end(const struct store *s, MDB_cursor *cursor, MDB_cursor_op op,
                          struct buf *error)
{
    char what[120];
    MDB_val key, value;
    int code = mdb_cursor_get(cursor, &key, &value, op == MDB_NEXT ? MDB_FIRST : MDB_LAST);

    for (int i = 0; !code && i < END_RECORDS; i++) {
        struct store_record record;
        uint64_t number = 0;

        memcpy(&number, key.mv_data, sizeof number);
        if (store_record_read(number, value.mv_data, value.mv_size, &record) ||
            record.epoch_no > s->meta.epoch_no ||
            (record.epoch_no == s->meta.epoch_no && record.seq > s->meta.reserved_to)) {
            (void)snprintf(what, sizeof what,
                           "record %" PRIu64 " of epoch number %u has a wrong checksum or place",
                           record.seq, (unsigned)record.epoch_no);
            return damaged(s, error, what);
        }
        code = mdb_cursor_get(cursor, &key, &value, op);
    }
    return code && code != MDB_NOTFOUND ? damaged(s, error, mdb_strerror(code)) : NHUB_OK;
}

static nhub_err check_ends(const struct store *s, MDB_txn *txn, struct buf *error)
{
    MDB_cursor *cursor = NULL;
    nhub_err status = store_status(s, mdb_cursor_open(txn, s->events, &cursor));

    if (status) {
        return status;
    }
    status = check_end(s, cursor, MDB_NEXT, error);
    if (!status) {
        status = check_end(s, cursor, MDB_PREV, error);
    }
    mdb_cursor_close(cursor);
    return status;
}

static nhub_err check_content(struct store *s, struct buf *error)
{
    MDB_txn *txn = NULL;
    nhub_err status = store_status(s, mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));

    if (!status) {
        status = load_meta(s, txn, error);
    }
    /* Who only reads, to verify or to save what is there, meets bad records one by one. */
    if (!status && s->options.mode == STORE_WRITE) {
        status = check_ends(s, txn, error);
    }
    mdb_txn_abort(txn);
    return status;
}

/* ---- the pages ---- */

nhub_err store_pin(struct store *s, MDB_txn **out_txn, struct store_bytes *out_bytes,
                   struct store_snapshot *out)
{
    struct store_snapshot other;
    int code = 0;

    for (int i = 0; !code && i < PIN_TRIES; i++) {
        const char *why = NULL;

        code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, out_txn);
        if (code) {
            break;
        }
        *out_bytes = store_file_bytes(&s->data_fd);
        why = store_snapshot_read(out_bytes, 0, (uint32_t)s->page_bytes, out);
        if (!why) {
            why = store_snapshot_read(out_bytes, 1, (uint32_t)s->page_bytes, &other);
        }
        if (!why && out->txn != mdb_txn_id(*out_txn)) {
            *out = other;
        }
        if (!why && out->txn == mdb_txn_id(*out_txn)) {
            return NHUB_OK;
        }
        mdb_txn_abort(*out_txn); /* a hub has committed twice since; its next one is as good */
        *out_txn = NULL;
    }
    return code ? store_status(s, code) : NHUB_EAGAIN;
}

/* The snapshot is pinned by a read transaction, so that a hub beside us leaves its pages alone. */
static nhub_err check_pages(struct store *s, struct buf *error)
{
    struct store_page_check check = {.max_pages = OPEN_PAGES};
    struct store_snapshot snapshot;
    struct store_bytes bytes;
    MDB_txn *txn = NULL;
    nhub_err status = store_status(s, mdb_env_get_fd(s->env, &s->data_fd));

    if (!status) {
        status = store_pin(s, &txn, &bytes, &snapshot);
    }
    if (status) {
        buf_printf(error, "cannot look at the journal in %s: %s", s->folder.path,
                   nhub_strerror(status));
        return status;
    }
    status = store_pages_check(&bytes, &snapshot, &check);
    mdb_txn_abort(txn);
    return status == NHUB_EPROTO ? damaged(s, error, check.why) : status;
}

/* ---- opening ---- */

static nhub_err explain(const struct store *s, int code, struct buf *error)
{
    const nhub_err status = store_status(s, code);

    if (status == NHUB_EPROTO || code == MDB_NOTFOUND) {
        return damaged(s, error,
                       code == MDB_NOTFOUND ? "it has not the tables of a journal"
                                            : mdb_strerror(code));
    }
    buf_printf(error, "cannot open the journal %s/" FOLDER_DATA ": %s", s->folder.path,
               mdb_strerror(code));
    if (code == EACCES || code == EPERM) {
        buf_add_str(error, "; run as the user that the hub runs as (a reader, too, writes its "
                           "name into the lock file)");
    }
    return status;
}

static nhub_err open_checked(struct store *s, const char *path, struct buf *error)
{
    struct store_file file = {0};
    const char *why = NULL;
    nhub_err status = store_file_check(path, &file, &why);
    int code = 0;

    if (status == NHUB_EPROTO) {
        return damaged(s, error, why);
    }
    if (status) {
        return explain(s, errno, error);
    }
    s->page_bytes = file.page_bytes;
    s->file_size = file.size;
    code = open_environment(s, path, &file);
    if (!code) {
        status = check_pages(s, error);
        if (status) {
            return status;
        }
        code = open_tables(s);
    }
    if (code) {
        return explain(s, code, error);
    }
    status = check_content(s, error);
    if (!status && s->options.mode == STORE_WRITE) {
        status = store_grow(s, file.pages);
    }
    return status;
}

/* What stands under the name of the data. */
enum data { DATA_NONE, DATA_UNUSED, DATA_THERE };

static enum data look_at_data(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return errno == ENOENT ? DATA_NONE : DATA_THERE; /* opening it says what is wrong */
    }
    return store_file_is_unused(path) ? DATA_UNUSED : DATA_THERE;
}

/* Makes the data where there is nothing, or nothing that was ever used. */
static nhub_err prepare_data(struct store *s, const char *path, bool may_make, struct buf *error)
{
    const enum data data = look_at_data(path);

    if (data == DATA_THERE) {
        if (s->options.is_import && may_make) {
            buf_printf(error,
                       "there is a journal in %s already; an import needs a folder without one, "
                       "and replaces nothing",
                       s->folder.path);
            return NHUB_ECONFLICT;
        }
        return NHUB_OK;
    }
    if (may_make) {
        return store_make(s, error);
    }
    buf_printf(error, "there is no journal in %s%s", s->folder.path,
               data == DATA_UNUSED ? ": nothing was ever stored in the file that is there" : "");
    return NHUB_ENOTFOUND;
}

static nhub_err open_data(struct store *s, bool may_make, struct buf *error)
{
    char *path = folder_file(&s->folder, FOLDER_DATA);
    nhub_err status = NHUB_OK;

    if (!path) {
        return NHUB_ENOMEM;
    }
    status = prepare_data(s, path, may_make, error);
    if (!status) {
        status = open_checked(s, path, error);
    }
    if (status) {
        const int saved = errno;

        close_environment(s);
        errno = saved;
    }
    free(path);
    return status;
}

static nhub_err init_lock(struct store *s)
{
    pthread_rwlockattr_t attributes;
    int code = pthread_rwlockattr_init(&attributes);

    if (code) {
        return NHUB_ENOMEM;
    }
    /* A steady stream of readers must not keep store_reopen() out for ever. */
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    code = pthread_rwlock_init(&s->env_lock, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
    return code ? NHUB_ENOMEM : NHUB_OK;
}

nhub_err store_open(struct store **out, const char *folder, const struct store_options *options,
                    struct buf *error)
{
    struct store *s = calloc(1, sizeof *s);
    nhub_err status = NHUB_OK;

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->options = *options;
    s->folder = (struct folder)FOLDER_CLOSED;
    status = init_lock(s);
    if (status) {
        free(s);
        return status;
    }
    status = folder_open(&s->folder, folder, options->mode == STORE_WRITE, error);
    if (!status) {
        status = open_data(s, options->mode == STORE_WRITE, error);
    }
    if (status) {
        const int saved = errno;

        store_close(&s);
        errno = saved;
        return status;
    }
    *out = s;
    return NHUB_OK;
}

/* The blank end that store_grow() keeps ahead of the writing goes with an orderly stop: then the
 * file ends with its last page, and whatever is cut off it until the next start is missed there.
 * Not behind a commit that failed: a meta page that the disk has after all may name that end. */
static void drop_blank_end(const struct store *s)
{
    MDB_envinfo info;

    if (s->env && s->options.mode == STORE_WRITE && s->meta.was_clean && !s->disk_failed &&
        mdb_env_info(s->env, &info) == MDB_SUCCESS) {
        const off_t size = (off_t)((info.me_last_pgno + 1) * s->page_bytes);

        NHUB_IGNORE(ftruncate(s->data_fd, size) != 0); /* with a blank end it is as good */
    }
}

void store_close(struct store **s_p)
{
    struct store *s = *s_p;

    if (!s) {
        return;
    }
    store_abort(s);
    drop_blank_end(s);
    close_environment(s);
    folder_close(&s->folder);
    (void)pthread_rwlock_destroy(&s->env_lock);
    free(s);
    *s_p = NULL;
}

void store_discard(struct store **s_p)
{
    struct store *s = *s_p;

    if (s && s->options.is_import) {
        close_environment(s);
        folder_remove_data(&s->folder);
    }
    store_close(s_p);
}

void store_owner(const char *folder, struct buf *out)
{
    folder_owner(folder, out);
}

nhub_err store_reopen(struct store *s, struct buf *error)
{
    nhub_err status = NHUB_OK;

    (void)pthread_rwlock_wrlock(&s->env_lock);
    close_environment(s);
    status = store_file_drop_cache(&s->folder);
    if (status) {
        buf_printf(error, "the disk under %s still fails: %s", s->folder.path, strerror(errno));
    } else {
        status = open_data(s, false, error);
    }
    (void)pthread_rwlock_unlock(&s->env_lock);
    return status;
}

int64_t store_created_us(const struct store *s)
{
    return s->created_us;
}

void store_get_meta(const struct store *s, struct store_meta *out)
{
    *out = s->meta;
}
