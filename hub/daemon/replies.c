/*
 * replies: direct sending, queues for full peers, batches of a turn.
 *
 * A peer has an entry only while something waits for it or is being batched, so the usual answer
 * costs neither a look-up nor memory.
 */
#include "daemon/replies.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

/* A batch is sent early when it has grown to this. */
#define BATCH_MAX_BYTES (1u << 20)

struct answer {
    struct answer *next;
    struct reply_frames *frames;
    int64_t since_ms;
    size_t len;
    size_t charged; /* bytes counted against the limits */
    char json[];
};

struct peer {
    struct answer *first, *last;
    size_t answers;
    size_t bytes;
    struct buf batch; /* objects with commas between */
    size_t batched;
    uint64_t id;
};

struct replies {
    struct reply_sink sink;
    struct replies_limits limits;
    struct stats *stats;
    struct map *peers;
    size_t batching;  /* peers with an open batch */
    struct buf spare; /* memory of a batch that was sent */
    struct log_limit drop_limit;
};

static nhub_err server_send(void *context, uint64_t peer, const char *json, size_t len,
                            struct block *frames)
{
    return zserver_answer(context, peer, "RESPONSE", json, len, frames);
}

struct reply_sink reply_sink_server(struct zserver *server)
{
    return (struct reply_sink){.send = server_send, .context = server};
}

nhub_err reply_frames_create(struct reply_frames **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? NHUB_OK : NHUB_ENOMEM;
}

void reply_frames_destroy(struct reply_frames **frames_p)
{
    struct reply_frames *f = *frames_p;

    if (f) {
        *frames_p = NULL;
        block_unref(&f->block);
        if (f->gone) {
            f->gone(f->context, f->was_sent);
        }
        free(f);
    }
}

nhub_err replies_create(struct replies **out, const struct reply_sink *sink,
                        const struct replies_limits *limits, struct stats *stats)
{
    struct replies *r = calloc(1, sizeof *r);
    nhub_err err;

    if (!r) {
        return NHUB_ENOMEM;
    }
    r->sink = *sink;
    r->limits = *limits;
    r->stats = stats;
    r->drop_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    err = map_create(&r->peers);
    if (err) {
        free(r);
        return err;
    }
    *out = r;
    return NHUB_OK;
}

/* ---- entries ---- */

static void free_answer(struct answer *a)
{
    reply_frames_destroy(&a->frames);
    free(a);
}

static void pop_answer(struct replies *r, struct peer *p)
{
    struct answer *a = p->first;

    p->first = a->next;
    if (!p->first) {
        p->last = NULL;
    }
    p->answers--;
    p->bytes -= a->charged;
    r->stats->waiting_answers--;
    r->stats->waiting_bytes -= a->charged;
    free_answer(a);
}

static void drop_answers(struct replies *r, struct peer *p, uint64_t *counter)
{
    while (p->first) {
        pop_answer(r, p);
        (*counter)++;
    }
}

/* Frees the entry when nothing needs it. */
static void release_peer(struct replies *r, struct peer *p)
{
    if (!p->first && p->batched == 0) {
        (void)map_remove(r->peers, &p->id, sizeof p->id);
        buf_fini(&p->batch);
        free(p);
        r->stats->waiting_peers = map_count(r->peers);
    }
}

static struct peer *find_peer(const struct replies *r, uint64_t id)
{
    return map_count(r->peers) == 0 ? NULL : map_get(r->peers, &id, sizeof id);
}

static struct peer *find_or_add_peer(struct replies *r, uint64_t id)
{
    struct peer *p = find_peer(r, id);

    if (p) {
        return p;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        return NULL;
    }
    p->id = id;
    if (map_put(r->peers, &id, sizeof id, p, NULL) != NHUB_OK) {
        free(p);
        return NULL;
    }
    r->stats->waiting_peers = map_count(r->peers);
    return p;
}

void replies_destroy(struct replies **r_p)
{
    struct replies *r = *r_p;
    struct map_iter it = {0};
    struct peer *p;

    if (!r) {
        return;
    }
    while ((p = map_next(r->peers, &it, NULL, NULL)) != NULL) {
        drop_answers(r, p, &r->stats->answers_dropped);
        p->batched = 0;
        release_peer(r, p);
    }
    map_destroy(&r->peers);
    buf_fini(&r->spare);
    free(r);
    *r_p = NULL;
}

/* ---- sending ---- */

static void note_drop(struct replies *r, const char *why)
{
    uint64_t suppressed;

    r->stats->answers_dropped++;
    if (log_limit_pass(&r->drop_limit, &suppressed)) {
        log_warn("answer_dropped", log_str("reason", why),
                 log_uint("dropped_total", r->stats->answers_dropped),
                 log_uint("suppressed", suppressed));
    }
}

/* NHUB_EAGAIN: the peer's queue is full. Other failures are counted here. */
static nhub_err try_send(struct replies *r, uint64_t peer, const char *json, size_t len,
                         struct reply_frames *frames)
{
    const nhub_err err =
        r->sink.send(r->sink.context, peer, json, len, frames ? frames->block : NULL);

    if (err == NHUB_ENOTFOUND) {
        r->stats->answers_unroutable++;
    } else if (!err) {
        r->stats->answers_sent++;
        if (frames) {
            frames->was_sent = true;
        }
    } else if (err != NHUB_EAGAIN) {
        note_drop(r, nhub_strerror(err));
    }
    return err;
}

static bool has_room(const struct replies *r, const struct peer *p, size_t charged)
{
    return p->answers < r->limits.peer_answers && charged <= r->limits.peer_bytes &&
           p->bytes <= r->limits.peer_bytes - charged && charged <= r->limits.total_bytes &&
           r->stats->waiting_bytes <= r->limits.total_bytes - charged;
}

static void enqueue(struct replies *r, struct peer *p, const char *json, size_t len,
                    struct reply_frames **frames_p)
{
    const size_t charged = sizeof(struct answer) + len + (*frames_p ? (*frames_p)->bytes : 0);
    struct answer *a = has_room(r, p, charged) ? malloc(sizeof *a + len) : NULL;

    if (!a) {
        note_drop(r, "the peer does not read its answers");
        return;
    }
    *a = (struct answer){
        .frames = *frames_p, .since_ms = clock_mono_ms(), .len = len, .charged = charged};
    *frames_p = NULL;
    memcpy(a->json, json, len);
    if (p->last) {
        p->last->next = a;
    } else {
        p->first = a;
    }
    p->last = a;
    p->answers++;
    p->bytes += charged;
    r->stats->waiting_answers++;
    r->stats->waiting_bytes += charged;
    r->stats->answers_queued_total++;
}

/* To a peer by its id; p is its entry, or NULL. */
static void send_or_queue(struct replies *r, struct peer *p, uint64_t id, const char *json,
                          size_t len, struct reply_frames **frames_p)
{
    const bool is_known = p != NULL;

    if (p && p->first) {
        enqueue(r, p, json, len, frames_p);
        return;
    }
    if (try_send(r, id, json, len, *frames_p) != NHUB_EAGAIN) {
        return;
    }
    if (!is_known) {
        p = find_or_add_peer(r, id);
    }
    if (!p) {
        note_drop(r, "out of memory");
        return;
    }
    enqueue(r, p, json, len, frames_p);
    if (!is_known) {
        release_peer(r,
                     p); /* there may have been no room; a known entry is the caller's to release */
    }
}

/* Keeps the memory of a batch for the next one: growing it anew each turn costs more than what is
 * written into it. */
static void keep_spare(struct replies *r, struct buf *batch)
{
    if (!r->spare.data && !batch->failed && batch->cap <= BATCH_MAX_BYTES) {
        r->spare = *batch;
        buf_reset(&r->spare);
    } else {
        buf_fini(batch);
    }
}

/* Sends the peer's open batch. */
static void end_batch(struct replies *r, struct peer *p)
{
    struct buf batch = p->batch;
    struct reply_frames *none = NULL;
    const bool is_array = p->batched > 1;

    if (p->batched == 0) {
        return;
    }
    buf_init(&p->batch);
    p->batched = 0;
    r->batching--;
    if (is_array) {
        buf_add_char(&batch, ']');
    }
    if (batch.failed) {
        note_drop(r, "out of memory");
    } else {
        /* The bracket stands in front in any case; a single object goes without it. */
        send_or_queue(r, p, p->id, batch.data + (is_array ? 0 : 1), batch.len - (is_array ? 0 : 1),
                      &none);
    }
    keep_spare(r, &batch);
}

void replies_send(struct replies *r, uint64_t peer, const char *json, size_t len,
                  struct reply_frames **frames_p)
{
    struct reply_frames *frames = NULL;
    struct peer *p = find_peer(r, peer);

    if (frames_p) {
        frames = *frames_p;
        *frames_p = NULL;
    }
    if (p) {
        end_batch(r, p);
    }
    send_or_queue(r, p, peer, json, len, &frames);
    if (p) {
        release_peer(r, p);
    }
    reply_frames_destroy(&frames);
}

void replies_add_batched(struct replies *r, uint64_t peer, const char *json, size_t len)
{
    struct peer *p = find_or_add_peer(r, peer);

    if (!p) {
        note_drop(r, "out of memory");
        return;
    }
    if (p->batched > 0 && p->batch.len + len > BATCH_MAX_BYTES) {
        end_batch(r, p);
    }
    if (p->batched == 0) {
        r->batching++;
        buf_fini(&p->batch);
        p->batch = r->spare;
        buf_init(&r->spare);
    }
    buf_add_char(&p->batch, p->batched == 0 ? '[' : ',');
    buf_add(&p->batch, json, len);
    p->batched++;
}

void replies_end_turn(struct replies *r)
{
    struct map_iter it = {0};
    struct peer *p;

    while (r->batching > 0 && (p = map_next(r->peers, &it, NULL, NULL)) != NULL) {
        end_batch(r, p);
        release_peer(r, p);
    }
}

/* What the peer's queue takes now. */
static void retry_peer(struct replies *r, struct peer *p, int64_t now_ms)
{
    while (p->first) {
        struct answer *a = p->first;
        const nhub_err err = try_send(r, p->id, a->json, a->len, a->frames);

        if (err == NHUB_EAGAIN) {
            if (now_ms - a->since_ms <= r->limits.max_wait_ms) {
                return;
            }
            note_drop(r, "the peer read nothing for too long");
        }
        pop_answer(r, p);
        if (err == NHUB_ENOTFOUND) {
            drop_answers(r, p, &r->stats->answers_unroutable);
        }
    }
}

bool replies_retry(struct replies *r)
{
    const int64_t now_ms = clock_mono_ms();
    struct map_iter it = {0};
    struct peer *p;

    if (r->stats->waiting_answers == 0) {
        return false;
    }
    while ((p = map_next(r->peers, &it, NULL, NULL)) != NULL) {
        retry_peer(r, p, now_ms);
        release_peer(r, p);
    }
    return r->stats->waiting_answers > 0;
}
