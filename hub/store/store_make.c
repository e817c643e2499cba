/*
 * store_make: the birth of an environment.
 *
 * It is made under another name and gets its own by rename(2) when it is complete and on the disk.
 * So whatever stops the first start, a power cut too, leaves either no journal or a whole one, and
 * a file under the final name that is not whole is damaged, never half-made. The one exception is a
 * file to which nothing was ever committed, as LMDB's own tools make it: it is replaced, since it
 * has nothing to lose.
 */
#include "store/store_private.h"

#include "base/clock.h"
#include "base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_MAP (UINT64_C(1) << 20)

void store_epoch_key(uint16_t epoch_no, char out[STORE_EPOCH_KEY_SIZE])
{
    (void)snprintf(out, STORE_EPOCH_KEY_SIZE, "epoch.%05u", (unsigned)epoch_no);
}

int store_open_tables(struct store *s, MDB_txn *txn, unsigned flags)
{
    const struct {
        const char *name;
        unsigned flags;
        MDB_dbi *out;
    } tables[] = {
        {"meta", 0, &s->meta_table},      {"events", MDB_INTEGERKEY, &s->events},
        {"ids", MDB_INTEGERKEY, &s->ids}, {"voids", MDB_INTEGERKEY, &s->voids},
        {"notes", 0, &s->notes},
    };
    int code = 0;

    for (size_t i = 0; !code && i < sizeof tables / sizeof tables[0]; i++) {
        unsigned found = 0;

        code = mdb_dbi_open(txn, tables[i].name, tables[i].flags | flags, tables[i].out);
        if (!code) {
            code = mdb_dbi_flags(txn, *tables[i].out, &found);
        }
        if (!code && found != tables[i].flags) {
            code = MDB_INCOMPATIBLE;
        }
    }
    return code;
}

static int put_first_values(struct store *s, MDB_txn *txn)
{
    struct store_meta meta = {.epoch_no = 1, .was_clean = true};
    const struct store_totals totals = {0};
    unsigned char state[STORE_STATE_SIZE], counts[STORE_TOTALS_SIZE];
    char format[40], created[24], name[STORE_EPOCH_KEY_SIZE];
    int code = 0;

    epoch_random(meta.epoch);
    random_bytes(meta.id_seed, sizeof meta.id_seed);
    store_state_write(state, &meta);
    store_totals_write(counts, &totals);
    store_epoch_key(meta.epoch_no, name);
    (void)snprintf(format, sizeof format, "%s%d", STORE_FORMAT_WORD, STORE_FORMAT);
    (void)snprintf(created, sizeof created, "%lld", (long long)clock_wall_us());
    const struct {
        const char *name;
        const void *value;
        size_t len;
    } values[] = {
        {STORE_META_FORMAT, format, strlen(format)},
        {STORE_META_CREATED, created, strlen(created)},
        {STORE_META_ID_SEED, meta.id_seed, sizeof meta.id_seed},
        {"state", state, sizeof state},
        {"totals", counts, sizeof counts},
        {name, meta.epoch, EPOCH_LEN},
    };

    for (size_t i = 0; !code && i < sizeof values / sizeof values[0]; i++) {
        code = store_meta_put(s, txn, values[i].name, values[i].value, values[i].len);
    }
    if (!code && s->options.is_import) {
        code = store_meta_put(s, txn, STORE_META_IMPORT, "1", 1);
    }
    return code;
}

/* Makes the environment at path, with everything a journal has, and closes it. */
static int make_environment(struct store *s, const char *path)
{
    MDB_txn *txn = NULL;
    MDB_env *env = NULL;
    int code = mdb_env_create(&env);

    if (code) {
        return code;
    }
    code = mdb_env_set_mapsize(env, FIRST_MAP);
    if (!code) {
        code = mdb_env_set_maxdbs(env, STORE_TABLES);
    }
    if (!code) {
        code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, 0640);
    }
    if (!code) {
        code = mdb_txn_begin(env, NULL, 0, &txn);
    }
    if (!code) {
        code = store_open_tables(s, txn, MDB_CREATE);
    }
    if (!code) {
        code = put_first_values(s, txn);
    }
    if (!code) {
        code = mdb_txn_commit(txn);
        txn = NULL;
    }
    mdb_txn_abort(txn); /* copes with NULL */
    mdb_env_close(env);
    return code;
}

/* A lock file that belonged to a data file that is gone. */
static void remove_old_lock(const struct store *s)
{
    (void)unlinkat(s->folder.fd, FOLDER_LMDB_LOCK, 0); /* mostly there is none */
}

nhub_err store_make(struct store *s, struct buf *error)
{
    nhub_err status = NHUB_OK;
    char *path = folder_file(&s->folder, FOLDER_NEW_DATA);

    if (!path) {
        return NHUB_ENOMEM;
    }
    (void)unlink(path); /* of a start that did not come to its end; nothing was ever stored in it */
    status = store_status(s, make_environment(s, path));
    if (!status) {
        remove_old_lock(s);
        if (renameat(s->folder.fd, FOLDER_NEW_DATA, s->folder.fd, FOLDER_DATA) != 0) {
            status = NHUB_ESYS;
        }
    }
    if (!status) {
        status = folder_sync(&s->folder);
    }
    if (status) {
        buf_printf(error, "cannot make a journal in %s: %s", s->folder.path,
                   status == NHUB_ESYS    ? strerror(errno)
                   : status == NHUB_EFULL ? "the disk is full; make room on it"
                                          : nhub_strerror(status));
    }
    free(path);
    return status;
}
