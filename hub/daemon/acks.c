/*
 * acks: two queues of answers.
 */
#include "daemon/acks.h"

#include "daemon/envelope.h"

#include <assert.h>
#include <stdlib.h>

/* The usual answer fits. */
#define ANSWER_BYTES 256

struct ack {
    struct ack *next;
    struct call call;
    struct buf members, tail;
    uint64_t batch;
    bool is_lost;
};

struct queue {
    struct ack *first, *last;
};

struct acks {
    struct journal *journal;
    struct queue queues[DURABILITY_SYNCED + 1]; /* those up to memory stay empty */
    struct ack *spare;                          /* set aside by acks_reserve() */
    size_t count;
};

nhub_err acks_create(struct acks **out, struct journal *journal)
{
    struct acks *a = calloc(1, sizeof *a);

    if (!a) {
        return NHUB_ENOMEM;
    }
    a->journal = journal;
    *out = a;
    return NHUB_OK;
}

static struct ack *pop(struct acks *a, struct queue *q)
{
    struct ack *ack = q->first;

    q->first = ack->next;
    if (!q->first) {
        q->last = NULL;
    }
    a->count--;
    return ack;
}

static void free_ack(struct ack *ack)
{
    call_fini(&ack->call);
    buf_fini(&ack->members);
    buf_fini(&ack->tail);
    free(ack);
}

void acks_destroy(struct acks **a_p)
{
    struct acks *a = *a_p;

    if (!a) {
        return;
    }
    for (int d = 0; d <= DURABILITY_SYNCED; d++) {
        while (a->queues[d].first) {
            free_ack(pop(a, &a->queues[d]));
        }
    }
    free(a->spare);
    free(a);
    *a_p = NULL;
}

nhub_err acks_reserve(struct acks *a)
{
    if (a->count >= ACKS_MAX) {
        return NHUB_EFULL;
    }
    if (!a->spare) {
        a->spare = calloc(1, sizeof *a->spare);
    }
    return a->spare ? NHUB_OK : NHUB_ENOMEM;
}

void acks_answer(struct call *call, int durability, struct buf *members, struct buf *tail,
                 bool is_lost)
{
    struct buf out;

    buf_init(&out);
    NHUB_IGNORE(buf_reserve(&out, ANSWER_BYTES)); /* told by out.failed */
    if (is_lost && call->request.action == ACTION_PUBLISH) {
        call->stats->durability_lost++;
        envelope_error(&out,
                       "the disk failed: the events are numbered and went out live, but are not "
                       "known to be stored",
                       "durability_lost");
    } else {
        envelope_success(&out);
    }
    buf_add(&out, members->data, members->len);
    buf_add_str(&out, ",\"durability\":\"");
    buf_add_str(&out, durability_name(is_lost ? DURABILITY_MEMORY : durability));
    buf_add_char(&out, '"');
    buf_add(&out, tail->data, tail->len);
    envelope_end(&out, &call->request);
    out.failed = out.failed || members->failed || tail->failed;
    call_answer(call, &out, NULL);
    buf_fini(members);
    buf_fini(tail);
}

void acks_wait(struct acks *a, struct call *call, int durability, struct buf *members,
               struct buf *tail, bool is_lost)
{
    struct queue *q = &a->queues[durability];
    struct ack *ack = a->spare;

    assert(ack && durability > DURABILITY_MEMORY && durability <= DURABILITY_SYNCED);
    a->spare = NULL;
    journal_want(a->journal, durability);
    ack->next = NULL;
    ack->batch = a->journal->batch;
    ack->is_lost = is_lost;
    ack->members = *members;
    ack->tail = *tail;
    buf_init(members);
    buf_init(tail);
    call_move(&ack->call, call);
    if (q->last) {
        q->last->next = ack;
    } else {
        q->first = ack;
    }
    q->last = ack;
    a->count++;
}

void acks_kept(struct acks *a, int durability, uint64_t batch, nhub_err status)
{
    const int last = status ? DURABILITY_SYNCED : durability;

    for (int d = DURABILITY_MEMORY + 1; d <= last; d++) {
        struct queue *q = &a->queues[d];

        while (q->first && q->first->batch <= batch) {
            struct ack *ack = pop(a, q);

            acks_answer(&ack->call, durability, &ack->members, &ack->tail,
                        ack->is_lost || status != NHUB_OK);
            free_ack(ack);
        }
    }
}

size_t acks_count(const struct acks *a)
{
    return a->count;
}
