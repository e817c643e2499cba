/* ws_consume: consumers, their fetches, and the deliveries on their way to the client. */
#include "gateway/protocols/ws_consume.h"

#include "base/clock.h"
#include "gateway/client_id.h"
#include "gateway/fanout/consume.h"
#include "gateway/fanout/render.h"
#include "gateway/memory_ceiling.h"
#include "gateway/protocols/ws_consume_private.h"
#include "gateway/protocols/ws_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS        25000 /* at the hub, and … */
#define WAIT_SPREAD_MS 10000 /* … up to this much more, so that they do not all end together */
#define RETRY_MS       250   /* while the hub is away */
#define CROWD_MS       5000  /* while too many others wait */
#define BYTES_MAX      (1024u * 1024u)

/* One fetch, from its request to the last of its events. */
struct ws_fetch {
    struct ws_group_job j;        /* first: found from it */
    struct ws_consumer *consumer; /* NULL: it is gone, everything goes back */
    struct group_answer answer;
    size_t pos; /* in answer.deliveries, of the next one */
    size_t at;  /* in job.events */
    size_t max; /* events that it asked for */
    int64_t due_ms;
    struct list orphan; /* among those without a consumer */
    bool has_own_name;
    char member[GROUP_MEMBER_MAX + 1]; /* who fetches, as the hub knows it */
};

/* ---- texts ---- */

static void tell_consuming(struct ws_consumer *w)
{
    struct buf json;

    ws_group_open(&json, "consuming", w->id, w->id_len, w->group);
    buf_add_str(&json, ",\"credit\":");
    buf_add_u64(&json, w->credit);
    buf_add_str(&json, ",\"member\":");
    buf_add_json_cstr(&json, w->member);
    buf_add_char(&json, '}');
    w->is_told = true;
    ws_conn_send_json(w->owner->conn, &json);
}

static void tell_gap(const struct ws_consumer *w, const struct json_span *gap)
{
    struct buf json;

    ws_group_open(&json, "group_gap", NULL, 0, w->group);
    group_text_add(&json, "gap", gap);
    buf_add_char(&json, '}');
    ws_conn_send_json(w->owner->conn, &json);
}

/* ---- consumers ---- */

struct ws_consumer *ws_consumer_find(const struct ws_consumers *c, const char *group)
{
    for (struct list *at = c->list.next; at != &c->list; at = at->next) {
        struct ws_consumer *w = list_entry(at, struct ws_consumer, link);

        if (strcmp(w->group, group) == 0) {
            return w;
        }
    }
    return NULL;
}

/* Gives back what is left of a fetch, which nobody has seen, and frees it. gap: its own, that
 * nobody was told of; NULL = none. */
static void drop_unseen(struct ws_fetch *f, const struct json_span *gap)
{
    struct group_delivery d;
    struct buf names;

    buf_init(&names);
    while (f->j.job.err == NHUB_OK && group_answer_delivery(&f->answer, &f->pos, &d) == NHUB_OK) {
        if (names.len > 0) {
            buf_add_char(&names, ',');
        }
        buf_add_json_cstr(&names, d.name);
    }
    group_give_back(f->j.env->link, f->j.env->query, f->j.group, &names, true, gap);
    list_remove(&f->orphan);
    ws_group_job_fini(&f->j);
    free(f);
}

static void drop_fetch(struct ws_fetch *f)
{
    drop_unseen(f, NULL);
}

static void drop_consumer(struct ws_consumer *w)
{
    struct ws_env *env = w->owner->env;
    struct buf names;

    buf_init(&names);
    ws_held_names(&w->held, &names);
    group_give_back(env->link, env->query, w->group, &names, false, NULL);
    if (w->pending) {
        drop_fetch(w->pending);
    }
    if (w->fetch) {
        w->fetch->consumer = NULL;
        w->fetch->j.conn = NULL;
        list_append(&env->orphans, &w->fetch->orphan);
    }
    list_remove(&w->link);
    w->owner->count--;
    ws_held_fini(&w->held);
    free(w);
}

void ws_consumers_init(struct ws_consumers *c, struct ws_conn *conn, struct ws_env *env,
                       struct session *session)
{
    *c = (struct ws_consumers){.conn = conn, .env = env, .session = session};
    list_init(&c->list);
    list_init(&c->changes);
    if (!env->orphans.next) {
        list_init(&env->orphans); /* the first connection */
    }
}

void ws_consumers_end(struct ws_consumers *c)
{
    while (!list_empty(&c->list)) {
        drop_consumer(list_entry(c->list.next, struct ws_consumer, link));
    }
    ws_changes_abandon(c);
}

/* ---- deliveries ---- */

static bool add_delivery(const struct ws_fetch *f, const struct group_delivery *d,
                         const struct session *s, struct buf *json)
{
    buf_reset(json);
    buf_add_str(json, "{\"op\":\"delivery\",\"group\":");
    buf_add_json_cstr(json, f->j.group);
    buf_add_str(json, ",\"delivery\":");
    buf_add_json_cstr(json, d->name);
    buf_add_str(json, ",\"attempt\":");
    buf_add_u64(json, d->id.attempt);
    buf_add_str(json, ",\"event\":");
    if (render_json(f->j.job.events[f->at], session_shows_cloudevents(s), json) != NHUB_OK) {
        return false;
    }
    buf_add_char(json, '}');
    return !json->failed;
}

static bool has_credit(const struct ws_consumer *w)
{
    return w->held.count < w->credit;
}

/* Fills `out` with frames of at most CONSUME_BATCH bytes together, or with one that is longer.
 * Each is the client's from here on. False: out of memory. */
static bool gather(struct ws_consumer *w, struct ws_fetch *f, struct buf *out, uint64_t *out_count)
{
    struct group_delivery d;
    struct buf json;
    bool is_good = true;

    buf_init(&json);
    while (is_good && f->at < f->j.job.event_count && has_credit(w)) {
        size_t pos = f->pos;

        is_good = group_answer_delivery(&f->answer, &pos, &d) == NHUB_OK &&
                  add_delivery(f, &d, w->owner->session, &json);
        if (is_good && out->len > 0 && out->len + ws_message_size(json.len) > CONSUME_BATCH) {
            break; /* it is made again for the next batch */
        }
        is_good = is_good && ws_held_add(&w->held, &d.id, f->due_ms) == NHUB_OK;
        if (is_good) {
            ws_message_add(out, json.data, json.len);
            f->pos = pos;
            feed_event_unref(&f->j.job.events[f->at++]);
            (*out_count)++;
        }
    }
    buf_fini(&json);
    return is_good && !out->failed;
}

/* One batch; false when there was none to be sent. */
static bool send_batch(struct ws_consumer *w)
{
    struct session *s = w->owner->session;
    struct ws_fetch *f = w->pending;
    struct buf frames;
    uint64_t count = 0;
    bool is_good = false;

    buf_init(&frames);
    is_good = gather(w, f, &frames, &count);
    if (is_good && frames.len > 0) {
        is_good = session_deliver(s, frames.data, frames.len, count) == NHUB_OK;
    }
    buf_fini(&frames);
    if (!is_good) {
        session_close(s, SESSION_END_FAILED); /* and with it all goes back */
        return false;
    }
    counter_add(&w->owner->env->counters->group_deliveries_total, count);
    if (f->at == f->j.job.event_count) {
        w->pending = NULL;
        drop_fetch(f);
    }
    return count > 0;
}

void ws_consume_writable(struct ws_consumers *c)
{
    for (struct list *at = c->list.next; at != &c->list; at = at->next) {
        struct ws_consumer *w = list_entry(at, struct ws_consumer, link);

        if (!session_takes(c->session)) {
            return;
        }
        if (w->pending && send_batch(w)) {
            list_move(&c->list, &w->link); /* each group has its turn */
            return;
        }
    }
}

static void send_pending(struct ws_consumer *w)
{
    const struct session *s = w->owner->session;

    while (w->pending && !w->owner->is_ending && !session_is_blocked(s) && session_takes(s) &&
           send_batch(w)) {
    }
    ws_consumer_want(w);
}

void ws_consume_flush(struct ws_consumers *c)
{
    for (struct list *at = c->list.next; at != &c->list; at = at->next) {
        send_pending(list_entry(at, struct ws_consumer, link));
    }
}

/* ---- fetching ---- */

/* From 0 to below `range`, evenly enough. */
static int64_t spread(struct ws_env *env, uint32_t range)
{
    env->spread = env->spread * 1103515245U + 12345U;
    return env->spread / 65536U % range;
}

/* What goes away by itself: the next try may do better. */
static bool is_passing(enum reject_reason reason)
{
    return reason == REJECT_HUB_UNAVAILABLE || reason == REJECT_OUTCOME_UNKNOWN ||
           reason == REJECT_OVERLOADED || reason == REJECT_JOURNAL ||
           reason == REJECT_TOO_MANY_WAITING;
}

/* At a tick of the clock after so long, not together with all others. */
static void try_later(struct ws_consumer *w, int64_t after_ms)
{
    w->retry_ms = clock_mono_ms() + after_ms + spread(w->owner->env, (uint32_t)after_ms);
}

/* The fetch brought no answer that can be used. */
static void fetch_failed(struct ws_consumer *w, struct ws_fetch *f)
{
    struct ws_consumers *c = w->owner;
    char detail[200];
    const enum reject_reason reason = ws_group_why(&f->j, detail, sizeof detail);

    drop_fetch(f);
    if (w->is_told && is_passing(reason)) {
        try_later(w, reason == REJECT_TOO_MANY_WAITING ? CROWD_MS : RETRY_MS);
        return;
    }
    ws_group_error(c->conn, c->env, w->id, w->id_len, w->group, reason, detail);
    drop_consumer(w);
}

/* True when there is a delivery for each event. */
static bool read_answer(struct ws_fetch *f)
{
    struct group_delivery d;
    uint64_t visibility_ms = GROUP_VISIBILITY_MS;
    size_t pos = 0;
    size_t count = 0;
    nhub_err err = group_answer_read(f->j.job.answer.data, f->j.job.answer.len, &f->answer);

    if (err != NHUB_OK) {
        f->j.job.err = err;
        return false;
    }
    while ((err = group_answer_delivery(&f->answer, &pos, &d)) == NHUB_OK) {
        count++;
    }
    if (json_span_u64(&f->answer.visibility_ms, &visibility_ms) != NHUB_OK ||
        visibility_ms > GROUP_VISIBILITY_MAX_MS) {
        visibility_ms = GROUP_VISIBILITY_MS;
    }
    f->due_ms = clock_mono_ms() + (int64_t)visibility_ms;
    return err == NHUB_ENOTFOUND && (count == f->j.job.event_count || f->j.is_too_much);
}

static void finish_fetch(struct ws_group_job *j)
{
    struct ws_fetch *f = (struct ws_fetch *)(void *)j;
    struct ws_consumer *w = f->consumer;
    const bool is_good = j->job.err == NHUB_OK && read_answer(f);

    if (w) {
        w->fetch = NULL;
    }
    if (!w || (is_good && session_has_ended(w->owner->session))) {
        drop_unseen(f, is_good ? &f->answer.gap : NULL);
        return;
    }
    if (!is_good) {
        fetch_failed(w, f);
        return;
    }
    w->visibility_ms = f->due_ms - clock_mono_ms();
    if (!w->is_told) {
        tell_consuming(w);
    }
    if (f->answer.gap.kind == JSON_OBJECT) {
        tell_gap(w, &f->answer.gap);
    }
    if (j->is_too_much || w->credit == 0 || j->job.event_count == 0) {
        if (j->is_too_much) {
            try_later(w, RETRY_MS);
        }
        drop_fetch(f);
        ws_consumer_want(w);
        return;
    }
    w->pending = f;
    send_pending(w);
}

/* What a session may hold, and less when many fetch at the same time. */
static uint32_t fetch_bytes(const struct ws_env *env)
{
    const uint64_t half = env->settings->gateway.session_max_bytes / 2;
    const uint64_t share = MEMORY_FETCHES_BYTES / (env->group_jobs + 1);
    uint64_t bytes = half < share ? half : share;

    bytes = bytes < MEMORY_FETCH_MIN ? MEMORY_FETCH_MIN : bytes;
    return (uint32_t)(bytes < BYTES_MAX ? bytes : BYTES_MAX);
}

/* The first one tells whether the group is there; the others wait at the hub. */
static int64_t wait_of(const struct ws_consumer *w)
{
    return w->is_told ? WAIT_MS + spread(w->owner->env, WAIT_SPREAD_MS) : 0;
}

/* Whether what the fetch brings may be shown as this consumer's. Names that we made up tell nobody
 * anything. */
static bool is_same_member(const struct ws_fetch *f, const struct ws_consumer *w)
{
    return f->has_own_name ? w->has_own_name && strcmp(f->member, w->member) == 0
                           : !w->has_own_name;
}

/* Clients that come back after a cut would otherwise stand in the hub's line behind the fetches of
 * their former selves, each of which gives back what it gets. */
static struct ws_fetch *adopt(struct ws_consumer *w)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &w->owner->env->orphans) {
        struct ws_fetch *f = list_entry(pos, struct ws_fetch, orphan);

        if (strcmp(f->j.group, w->group) == 0 && is_same_member(f, w) &&
            f->max <= w->credit - w->held.count) {
            list_remove(&f->orphan);
            f->consumer = w;
            f->j.conn = w->owner->conn;
            return f;
        }
    }
    return NULL;
}

void ws_consumer_want(struct ws_consumer *w)
{
    struct ws_consumers *c = w->owner;
    const int64_t wait_ms = wait_of(w);
    struct ws_fetch *f = NULL;

    if (w->fetch || w->pending || w->retry_ms != 0 || !has_credit(w) ||
        session_has_ended(c->session) || (w->is_told && session_is_blocked(c->session)) ||
        c->is_ending) {
        return;
    }
    w->fetch = w->is_told ? adopt(w) : NULL;
    if (w->fetch) {
        return;
    }
    f = calloc(1, sizeof *f);
    if (!f) {
        try_later(w, RETRY_MS);
        return;
    }
    list_init(&f->orphan);
    f->max = w->credit - w->held.count;
    f->j.env = c->env;
    f->j.finish = finish_fetch;
    f->j.job.is_fetch = true;
    f->consumer = w;
    f->has_own_name = w->has_own_name;
    memcpy(f->member, w->member, sizeof w->member);
    memcpy(f->j.group, w->group, sizeof w->group);
    group_text_open(&f->j.text, "fetch", w->group);
    buf_add_str(&f->j.text, ",\"member\":");
    buf_add_json_cstr(&f->j.text, w->member);
    buf_printf(&f->j.text, ",\"max\":%u,\"max_bytes\":%u,\"wait_ms\":%u", (unsigned)f->max,
               (unsigned)fetch_bytes(c->env), (unsigned)wait_ms);
    if (f->j.text.failed) {
        ws_group_job_fini(&f->j);
        free(f);
        try_later(w, RETRY_MS);
        return;
    }
    w->fetch = f;
    ws_group_ask(&f->j, wait_ms);
}

/* ---- consume ---- */

static void set_member(struct ws_consumer *w, const char *member)
{
    char id[CLIENT_ID_MAX];

    if (member[0] != '\0') {
        w->has_own_name = true;
        (void)snprintf(w->member, sizeof w->member, "%s", member);
    } else if (w->member[0] == '\0') {
        client_id_format(session_number(w->owner->session), id);
        (void)snprintf(w->member, sizeof w->member, "ws-%s", id);
    }
}

static void set_id(struct ws_consumer *w, const struct ws_op *op)
{
    w->id_len = op->id ? op->id_len : 0;
    memcpy(w->id, op->id ? op->id : "", w->id_len);
}

static struct ws_consumer *add_consumer(struct ws_consumers *c, const struct ws_op *op)
{
    struct ws_consumer *w = calloc(1, sizeof *w);

    if (w) {
        w->owner = c;
        ws_held_init(&w->held);
        list_init(&w->link);
        list_append(&c->list, &w->link);
        c->count++;
        memcpy(w->group, op->group, sizeof w->group);
    }
    return w;
}

static void refuse(struct ws_consumers *c, const struct ws_op *op, enum reject_reason reason,
                   const char *detail)
{
    ws_group_error(c->conn, c->env, op->id, op->id ? op->id_len : 0, op->group, reason, detail);
}

/* The client names a new credit; 0 stops. */
static void change_credit(struct ws_consumer *w)
{
    if (w->credit == 0 && w->pending) {
        drop_fetch(w->pending);
        w->pending = NULL;
    }
    tell_consuming(w);
    send_pending(w);
}

static void do_consume(struct ws_consumers *c, const struct ws_op *op)
{
    struct ws_consumer *w = ws_consumer_find(c, op->group);
    const bool is_new = !w;

    if (w && !w->is_told) {
        refuse(c, op, REJECT_BAD_MESSAGE, "the last consume of this group is not answered yet");
        return;
    }
    if (!w && c->count == WS_GROUPS_MAX) {
        refuse(c, op, REJECT_TOO_MANY_GROUPS, "a connection consumes from at most 16 groups");
        return;
    }
    w = w ? w : add_consumer(c, op);
    if (!w) {
        refuse(c, op, REJECT_OVERLOADED, "out of memory");
        return;
    }
    w->credit = op->credit;
    set_id(w, op);
    set_member(w, op->member);
    if (!is_new || op->credit == 0) {
        change_credit(w);
        return;
    }
    ws_consumer_want(w);
    if (!w->fetch) {
        refuse(c, op, REJECT_OVERLOADED, "out of memory");
        drop_consumer(w);
    }
}

void ws_consume_op(struct ws_consumers *c, const struct ws_op *op)
{
    if (op->kind == WS_OP_CONSUME) {
        do_consume(c, op);
    } else {
        ws_consume_change(c, op);
    }
}

static void tick(struct ws_consumer *w, int64_t now_ms)
{
    ws_held_expire(&w->held, now_ms);
    if (w->pending && w->pending->due_ms <= now_ms) {
        drop_fetch(w->pending); /* others have these deliveries by now */
        w->pending = NULL;
    }
    if (w->credit == 0 && w->held.count == 0 && !w->pending) {
        drop_consumer(w);
        return;
    }
    if (w->retry_ms <= now_ms) {
        w->retry_ms = 0;
    }
    send_pending(w);
}

void ws_consume_tick(struct ws_consumers *c)
{
    const int64_t now_ms = clock_mono_ms();
    struct list *pos = NULL;
    struct list *tmp = NULL;

    if (session_has_ended(c->session)) {
        ws_consumers_end(c);
        return;
    }
    list_foreach (pos, tmp, &c->list) {
        tick(list_entry(pos, struct ws_consumer, link), now_ms);
    }
}

/* ---- figures ---- */

bool ws_consumers_next(const struct ws_consumers *c, const void **iter,
                       struct ws_consumer_figures *out)
{
    const struct list *at = *iter ? ((const struct list *)*iter)->next : c->list.next;
    const struct ws_consumer *w = NULL;

    if (at == &c->list) {
        return false;
    }
    *iter = at;
    w = (const struct ws_consumer *)(const void *)((const char *)at -
                                                   offsetof(struct ws_consumer, link));
    *out = (struct ws_consumer_figures){
        .group = w->group, .member = w->member, .credit = w->credit, .held = w->held.count};
    return true;
}

size_t ws_consumers_waiting_bytes(const struct ws_consumers *c)
{
    size_t bytes = 0;

    for (const struct list *at = c->list.next; at != &c->list; at = at->next) {
        const struct ws_consumer *w =
            (const struct ws_consumer *)(const void *)((const char *)at -
                                                       offsetof(struct ws_consumer, link));

        bytes += w->pending ? w->pending->j.bytes : 0;
    }
    return bytes;
}
