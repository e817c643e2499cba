/*
 * consumer_settle: ack, nack and extend: each is kept until it is answered, and sent again when its
 * connection broke. Repeating one does no harm: the hub knows deliveries by name.
 */
#include "client/consumer.h"

#include "base/clock.h"
#include "base/settings.h"
#include "base/zsock.h"
#include "wire/request.h"
#include "wire/request_group.h"

#include <stdlib.h>
#include <string.h>

enum settle_kind { KIND_ACK, KIND_NACK, KIND_EXTEND, KIND_RELEASE };

_Static_assert((int)KIND_ACK == (int)NHUB_SETTLE_ACK && (int)KIND_NACK == (int)NHUB_SETTLE_NACK &&
                   (int)KIND_EXTEND == (int)NHUB_SETTLE_EXTEND,
               "the public header has the first ones");

struct settle {
    struct settle *prev, *next;
    struct nhub_consumer *consumer;
    nhub_settled_fn *fn; /* NULL when a call waits for it, or nobody */
    void *context;
    nhub_settled *out; /* of a call that waits */
    bool *out_done;    /* the same */
    enum settle_kind kind;
    uint32_t ms;
    int64_t deadline_ms;
    bool is_sent, was_sent, was_resent;
    uint64_t id; /* of the request that is under way */
    char **ids;  /* NULL-terminated texts, in one block */
    size_t id_count;
};

static void remove_settle(struct settle *s)
{
    struct nhub_consumer *c = s->consumer;

    *(s->prev ? &s->prev->next : &c->first) = s->next;
    *(s->next ? &s->next->prev : &c->last) = s->prev;
    c->settle_count--;
}

static void add_settle(struct nhub_consumer *c, struct settle *s)
{
    s->prev = c->last;
    *(c->last ? &c->last->next : &c->first) = s;
    c->last = s;
    c->settle_count++;
}

static void free_settle(struct settle *s)
{
    free(s->ids);
    free(s);
}

/* Results. */

/* The deliveries that failed, as the caller of free() owns them. */
static nhub_err read_failed(const struct json_t *json, nhub_settled *out,
                            nhub_unsettled **out_failed)
{
    const size_t count = answer_count(json, "failed");

    if (count == 0) {
        return NHUB_OK;
    }
    *out_failed = calloc(count, sizeof **out_failed);
    if (!*out_failed) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct json_t *item = answer_element(json, "failed", i);

        (*out_failed)[i].id = answer_text(item, "delivery", "");
        (*out_failed)[i].code = answer_text(item, "code", "");
    }
    out->failed = *out_failed;
    out->failed_count = count;
    return NHUB_ECONFLICT;
}

static void read_settled(struct nhub_consumer *c, const struct requester_answer *answer,
                         nhub_settled *out, nhub_unsettled **out_failed)
{
    int durability = DURABILITY_DEFAULT;

    *out = (nhub_settled){.result = answer->err, .code = "", .error = ""};
    if (answer->err != NHUB_OK) {
        return;
    }
    if (!answer_bool(answer->json, "success")) {
        out->result = consumer_refused(c, answer->json);
        out->code = answer_text(answer->json, "code", "refused");
        out->error = answer_text(answer->json, "error", "the hub gave no reason");
        return;
    }
    out->done = (size_t)answer_u64(answer->json, "count");
    if (durability_parse(answer_text(answer->json, "durability", ""), &durability) == NHUB_OK) {
        out->durability = (nhub_durability)durability;
    }
    out->result = read_failed(answer->json, out, out_failed);
}

/* Ends it: the texts of the answer live on for a call that waits, else for the callback only. */
static void finish(struct settle *s, const struct requester_answer *answer)
{
    struct nhub_consumer *c = s->consumer;
    nhub_unsettled *failed = NULL;
    nhub_settled settled;

    remove_settle(s);
    if (s->out_done) {
        nhub_answer_destroy(&c->settled);
        free(c->failed);
        c->failed = NULL;
        read_settled(c, answer, s->out, &c->failed);
        s->out->was_resent = s->was_resent;
        if (answer->err == NHUB_OK && answer_keep(&c->settled, answer) != NHUB_OK) {
            *s->out = (nhub_settled){.result = NHUB_ENOMEM, .code = "", .error = ""};
        }
        *s->out_done = true;
    } else if (s->fn) {
        read_settled(c, answer, &settled, &failed);
        settled.was_resent = s->was_resent;
        c->callback_depth++;
        s->fn(s->context, &settled);
        c->callback_depth--;
        free(failed);
    }
    free_settle(s);
}

static void fail(struct settle *s, nhub_err err)
{
    const struct requester_answer answer = {.err = err};

    finish(s, &answer);
}

static void on_settled(void *context, uint64_t id, const struct requester_answer *answer)
{
    struct settle *s = context;

    (void)id;
    s->is_sent = false;
    /* After a broken connection the next turn sends it again, or finds that its time is over. */
    if (answer->err != NHUB_ECLOSED) {
        finish(s, answer);
    }
}

/* Sending. */

static void write_settle(const struct settle *s, uint64_t id, struct buf *out)
{
    const char *group = s->consumer->group;
    const char *const *ids = (const char *const *)s->ids;

    switch (s->kind) {
    case KIND_ACK:
        request_write_ack(out, id, group, ids, s->id_count);
        break;
    case KIND_NACK:
        request_write_nack(out, id, group, ids, s->id_count, s->ms, false);
        break;
    case KIND_EXTEND:
        request_write_extend(out, id, group, ids, s->id_count, s->ms);
        break;
    case KIND_RELEASE:
        request_write_nack(out, id, group, ids, s->id_count, 0, true);
        break;
    }
}

/* False when nothing can be sent now. */
static bool send_settle(struct settle *s)
{
    struct nhub_consumer *c = s->consumer;
    uint64_t id = 0;
    struct buf json;
    nhub_err err = requester_next_id(c->requester, &id);

    if (err != NHUB_OK) {
        return false;
    }
    buf_init(&json);
    write_settle(s, id, &json);
    err = requester_send(c->requester, id, &json, NULL, s->deadline_ms, on_settled, s);
    buf_fini(&json);
    if (err != NHUB_OK) {
        return false;
    }
    s->was_resent |= s->was_sent;
    s->is_sent = true;
    s->was_sent = true;
    s->id = id;
    wakeup_kick(c->wakeup); /* the send may have swallowed the socket's edge */
    return true;
}

void settle_turn(struct nhub_consumer *c, int64_t now_ms)
{
    struct settle *next = NULL;

    for (struct settle *s = c->first; s; s = next) {
        next = s->next;
        if (!s->is_sent && s->deadline_ms <= now_ms) {
            fail(s, s->was_sent ? NHUB_ETIMEOUT : NHUB_EUNAVAIL);
            next = c->first; /* the callback may have changed the list */
        } else if (!s->is_sent && !send_settle(s)) {
            return;
        }
    }
}

int64_t settle_deadline_ms(const struct nhub_consumer *c)
{
    int64_t deadline_ms = INT64_MAX;

    for (const struct settle *s = c->first; s; s = s->next) {
        if (!s->is_sent && s->deadline_ms < deadline_ms) {
            deadline_ms = s->deadline_ms;
        }
    }
    return deadline_ms;
}

void settle_give_up(struct nhub_consumer *c)
{
    while (c->first) {
        struct settle *s = c->first;

        if (s->is_sent) {
            requester_cancel(c->requester, s->id);
        }
        fail(s, NHUB_ECLOSED);
    }
}

/* Making. */

/* Copies of the texts behind an array of pointers to them, in one block. */
static char **copy_ids(const char *const *ids, size_t count)
{
    size_t size = count * sizeof(char *);
    char **out = NULL;
    char *at = NULL;

    for (size_t i = 0; i < count; i++) {
        size += strlen(ids[i]) + 1;
    }
    out = malloc(size);
    if (!out) {
        return NULL;
    }
    at = (char *)(out + count);
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(ids[i]) + 1;

        memcpy(at, ids[i], len);
        out[i] = at;
        at += len;
    }
    return out;
}

static bool are_ids_good(const char *const *ids, size_t count)
{
    struct delivery delivery;

    if (count == 0 || count > NHUB_SETTLE_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!ids[i] || delivery_parse(ids[i], strlen(ids[i]), &delivery) != NHUB_OK) {
            return false;
        }
    }
    return true;
}

/* One that is in the list and not sent yet. Errors: NHUB_EINVAL, NHUB_EFULL, NHUB_ENOMEM. */
static nhub_err make_settle(struct nhub_consumer *c, enum settle_kind kind, const char *const *ids,
                            size_t count, uint32_t ms, int timeout_ms, struct settle **out)
{
    struct settle *s = NULL;

    if (!are_ids_good(ids, count) || ms > GROUP_VISIBILITY_MAX_MS ||
        (kind == KIND_EXTEND && ms > 0 && ms < GROUP_VISIBILITY_MIN_MS)) {
        return NHUB_EINVAL;
    }
    if (c->settle_count >= CONSUMER_SETTLES_MAX) {
        return NHUB_EFULL;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        return NHUB_ENOMEM;
    }
    *s = (struct settle){.consumer = c,
                         .kind = kind,
                         .ms = ms,
                         .deadline_ms =
                             clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : c->timeout_ms),
                         .ids = copy_ids(ids, count),
                         .id_count = count};
    if (!s->ids) {
        free_settle(s);
        return NHUB_ENOMEM;
    }
    add_settle(c, s);
    *out = s;
    return NHUB_OK;
}

void settle_release(struct nhub_consumer *c)
{
    const char *ids[NHUB_PREFETCH_MAX];
    const size_t left = fetch_left(c);
    const size_t count = left < NHUB_PREFETCH_MAX ? left : NHUB_PREFETCH_MAX;
    struct settle *s = NULL;

    for (size_t i = 0; i < count; i++) {
        ids[i] = fetch_left_id(c, i);
    }
    /* Without it the deliveries come again when their visibility time is over. */
    NHUB_IGNORE(make_settle(c, KIND_RELEASE, ids, count, 0, 0, &s));
    c->is_wanted = false;
    consumer_turn(c);
}

static nhub_err settle_now(struct nhub_consumer *c, enum settle_kind kind, const char *const *ids,
                           size_t count, uint32_t ms, int timeout_ms, nhub_settled *out)
{
    nhub_settled unused;
    struct settle *s = NULL;
    bool is_done = false;
    nhub_err err = NHUB_OK;

    if (c->callback_depth > 0) {
        return NHUB_ESTATE;
    }
    consumer_forget_error(c);
    err = make_settle(c, kind, ids, count, ms, timeout_ms, &s);
    if (err != NHUB_OK) {
        return err;
    }
    out = out ? out : &unused;
    s->out = out;
    s->out_done = &is_done;
    consumer_turn(c);
    while (!is_done && err != NHUB_ESYS) {
        err = consumer_wait(c, INT64_MAX);
    }
    if (!is_done) {
        requester_cancel(c->requester, s->is_sent ? s->id : 0);
        remove_settle(s);
        free_settle(s);
        return err;
    }
    return out->result;
}

nhub_err nhub_consumer_ack(nhub_consumer *consumer, const char *const *deliveries, size_t count,
                           int timeout_ms, nhub_settled *out)
{
    return settle_now(consumer, KIND_ACK, deliveries, count, 0, timeout_ms, out);
}

nhub_err nhub_consumer_nack(nhub_consumer *consumer, const char *const *deliveries, size_t count,
                            uint32_t delay_ms, int timeout_ms, nhub_settled *out)
{
    return settle_now(consumer, KIND_NACK, deliveries, count, delay_ms, timeout_ms, out);
}

nhub_err nhub_consumer_extend(nhub_consumer *consumer, const char *const *deliveries, size_t count,
                              uint32_t visibility_ms, int timeout_ms, nhub_settled *out)
{
    return settle_now(consumer, KIND_EXTEND, deliveries, count, visibility_ms, timeout_ms, out);
}

nhub_err nhub_consumer_settle(nhub_consumer *consumer, nhub_settle what,
                              const char *const *deliveries, size_t count, uint32_t ms,
                              nhub_settled_fn *fn, void *context)
{
    struct settle *s = NULL;
    nhub_err err = NHUB_OK;

    if ((int)what < NHUB_SETTLE_ACK || what > NHUB_SETTLE_EXTEND) {
        return NHUB_EINVAL;
    }
    err = make_settle(consumer, (enum settle_kind)what, deliveries, count, ms, 0, &s);
    if (err != NHUB_OK) {
        return err;
    }
    s->fn = fn;
    s->context = context;
    (void)send_settle(s); /* or later, when there is a connection */
    return NHUB_OK;
}
