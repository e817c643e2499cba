/*
 * order: a queue of tickets for each peer that has some.
 */
#include "daemon/order.h"

#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

struct line {
    struct ticket *first, *last;
    size_t tickets;
    uint64_t bytes; /* of kept answers */
    uint64_t peer;
};

struct ticket {
    struct ticket *next;
    struct line *line;
    bool is_settled; /* answered or dropped; goes when it is its turn */
    bool is_batched;
    struct reply_frames *frames;
    char *json; /* NULL = nothing to send */
    size_t len;
};

struct order {
    struct replies *replies;
    struct stats *stats;
    struct map *lines;
    struct log_limit drop_limit;
};

nhub_err order_create(struct order **out, struct replies *replies, struct stats *stats)
{
    struct order *o = calloc(1, sizeof *o);
    nhub_err err;

    if (!o) {
        return NHUB_ENOMEM;
    }
    o->replies = replies;
    o->stats = stats;
    o->drop_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    err = map_create(&o->lines);
    if (err) {
        free(o);
        return err;
    }
    *out = o;
    return NHUB_OK;
}

static void pop_ticket(struct line *l)
{
    struct ticket *t = l->first;

    l->first = t->next;
    if (!l->first) {
        l->last = NULL;
    }
    l->tickets--;
    if (t->json) {
        l->bytes -= t->len;
        free(t->json);
    }
    reply_frames_destroy(&t->frames);
    free(t);
}

static void remove_line(struct order *o, struct line *l)
{
    (void)map_remove(o->lines, &l->peer, sizeof l->peer);
    free(l);
}

void order_destroy(struct order **o_p)
{
    struct order *o = *o_p;
    struct map_iter it = {0};
    struct line *l;

    if (!o) {
        return;
    }
    while ((l = map_next(o->lines, &it, NULL, NULL)) != NULL) {
        while (l->first) {
            pop_ticket(l);
        }
        remove_line(o, l);
    }
    map_destroy(&o->lines);
    free(o);
    *o_p = NULL;
}

static struct line *find_line(const struct order *o, uint64_t peer)
{
    return map_count(o->lines) == 0 ? NULL : map_get(o->lines, &peer, sizeof peer);
}

bool order_has(const struct order *o, uint64_t peer)
{
    return find_line(o, peer) != NULL;
}

static struct line *find_or_add_line(struct order *o, uint64_t peer)
{
    struct line *l = find_line(o, peer);

    if (l) {
        return l;
    }
    l = calloc(1, sizeof *l);
    if (!l) {
        return NULL;
    }
    l->peer = peer;
    if (map_put(o->lines, &peer, sizeof peer, l, NULL) != NHUB_OK) {
        free(l);
        return NULL;
    }
    return l;
}

nhub_err order_take(struct order *o, uint64_t peer, struct ticket **out)
{
    struct line *l = find_or_add_line(o, peer);
    struct ticket *t;

    if (!l) {
        return NHUB_ENOMEM;
    }
    if (l->tickets >= ORDER_TICKETS_MAX) {
        return NHUB_EFULL;
    }
    t = calloc(1, sizeof *t);
    if (!t) {
        if (!l->first) {
            remove_line(o, l);
        }
        return NHUB_ENOMEM;
    }
    t->line = l;
    if (l->last) {
        l->last->next = t;
    } else {
        l->first = t;
    }
    l->last = t;
    l->tickets++;
    *out = t;
    return NHUB_OK;
}

static void send(struct order *o, struct line *l, const char *json, size_t len, bool is_batched,
                 struct reply_frames **frames_p)
{
    if (is_batched) {
        replies_add_batched(o->replies, l->peer, json, len);
    } else {
        replies_send(o->replies, l->peer, json, len, frames_p);
    }
}

/* Sends all answers whose turn has come. */
static void advance(struct order *o, struct line *l)
{
    while (l->first && l->first->is_settled) {
        struct ticket *t = l->first;

        if (t->json) {
            send(o, l, t->json, t->len, t->is_batched, &t->frames);
        }
        pop_ticket(l);
    }
    if (!l->first) {
        remove_line(o, l);
    }
}

static void note_drop(struct order *o, const char *why)
{
    uint64_t suppressed;

    o->stats->answers_dropped++;
    if (log_limit_pass(&o->drop_limit, &suppressed)) {
        log_warn("answer_dropped", log_str("reason", why),
                 log_uint("dropped_total", o->stats->answers_dropped),
                 log_uint("suppressed", suppressed));
    }
}

/* Keeps the answer until its turn comes. */
static void keep(struct order *o, struct ticket *t, const char *json, size_t len,
                 struct reply_frames **frames_p)
{
    struct line *l = t->line;

    if (len > ORDER_BYTES_MAX || l->bytes > ORDER_BYTES_MAX - len) {
        note_drop(o, "too many answers wait for an earlier one");
        return;
    }
    t->json = malloc(len > 0 ? len : 1);
    if (!t->json) {
        note_drop(o, "out of memory");
        return;
    }
    memcpy(t->json, json, len);
    t->len = len;
    l->bytes += len;
    if (frames_p) {
        t->frames = *frames_p;
        *frames_p = NULL;
    }
}

void order_answer(struct order *o, struct ticket **t_p, const char *json, size_t len,
                  bool is_batched, struct reply_frames **frames_p)
{
    struct ticket *t = *t_p;
    struct line *l = t->line;

    *t_p = NULL;
    t->is_settled = true;
    if (t == l->first) {
        send(o, l, json, len, is_batched, frames_p);
        advance(o, l);
    } else {
        t->is_batched = is_batched;
        keep(o, t, json, len, frames_p);
    }
    if (frames_p) {
        reply_frames_destroy(frames_p);
    }
}

void order_drop(struct order *o, struct ticket **t_p)
{
    struct ticket *t = *t_p;

    if (t) {
        *t_p = NULL;
        t->is_settled = true;
        advance(o, t->line);
    }
}
