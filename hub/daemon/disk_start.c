/*
 * disk_start: the start of a run on a journal.
 */
#include "daemon/disk_start.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct loading {
    struct disk_voids *voids;
    nhub_err err;
};

static void note_void(void *context, uint64_t from, uint64_t to, enum store_void why)
{
    struct loading *l = context;

    if (!l->err) {
        l->err = disk_voids_add(l->voids, from, to, store_void_name(why));
    }
}

/* Numbers from..to may have been given out, and the journal has nothing of them. */
static void lost_range(const struct disk_start *s, uint64_t *out_from, uint64_t *out_to)
{
    const uint64_t known =
        s->figures.newest > s->meta.last_seq ? s->figures.newest : s->meta.last_seq;

    *out_from = known + 1;
    *out_to = s->meta.was_clean ? known : s->meta.reserved_to;
}

static nhub_err begin_run(struct store *store, uint64_t reservation, struct disk_start *s)
{
    uint64_t from, to;
    nhub_err err;

    lost_range(s, &from, &to);
    err = store_begin(store);
    if (!err && from <= to) {
        err = store_put_void(store, from, to, STORE_VOID_UNCLEAN_STOP);
    }
    s->meta.was_clean = false;
    s->meta.last_seq = to;
    if (to > STORE_SEQ_MAX - reservation) { /* the numbers of this epoch are used up */
        epoch_random(s->meta.epoch);
        s->meta.last_seq = 0;
    }
    s->meta.reserved_to = s->meta.last_seq + reservation;
    if (!err) {
        err = store_put_meta(store, &s->meta);
    }
    if (err) {
        const int saved = errno;

        store_abort(store);
        errno = saved;
        return err;
    }
    err = store_commit(store);
    if (!err) {
        err = store_sync(store);
    }
    if (!err && from <= to) {
        log_warn("unclean_stop", log_str("epoch", s->meta.epoch), log_uint("void_from", from),
                 log_uint("void_to", to));
    }
    return err;
}

static void look(struct store *store, struct disk_start *out)
{
    store_get_meta(store, &out->meta);
    store_figures(store, &out->figures);
}

nhub_err disk_start(struct store *store, uint64_t reservation, struct disk_voids *voids,
                    struct disk_start *out, struct buf *error)
{
    struct loading loading = {.voids = voids};
    nhub_err err;

    look(store, out);
    err = begin_run(store, reservation, out);
    if (err == NHUB_EFULL && store_use_reserve(store)) {
        look(store, out);
        err = begin_run(store, reservation, out);
    }
    if (!err) {
        err = store_each_void(store, note_void, &loading);
    }
    if (!err) {
        err = loading.err;
    }
    if (err) {
        buf_printf(error, "cannot begin to write the journal: %s",
                   err == NHUB_ESYS    ? strerror(errno)
                   : err == NHUB_EFULL ? "the disk is full; make room on it"
                                       : nhub_strerror(err));
        return err;
    }
    look(store, out);
    return NHUB_OK;
}
