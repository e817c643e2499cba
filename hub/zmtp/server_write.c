/*
 * server_write: queues and messages out.
 */
#include "zmtp/server_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    WRITE_RUNS = 64, /* of a queue in one call */
    FIRST_RUNS = 4,
    KEEP_RUNS = 64 /* a longer empty queue gives its memory back */
};

/* ---- blocks ---- */

/* The list of blocks, oldest first, and their bytes. */
static void block_gone(void *context, struct block *b)
{
    struct zserver *s = context;

    if (b->older) {
        b->older->newer = b->newer;
    } else {
        s->oldest = b->newer;
    }
    if (b->newer) {
        b->newer->older = b->older;
    } else {
        s->newest = b->older;
    }
    s->held_bytes -= b->cap;
}

static struct block *add_block(struct zserver *s, size_t cap)
{
    struct block *b = NULL;

    if (block_create(&b, cap) != NHUB_OK) {
        return NULL;
    }
    b->gone = block_gone;
    b->context = s;
    b->older = s->newest;
    if (b->older) {
        b->older->newer = b;
    } else {
        s->oldest = b;
    }
    s->newest = b;
    s->held_bytes += cap;
    return b;
}

void zserver_drop_blocks(struct zserver *s)
{
    block_unref(&s->current);
}

/* ---- the queue of a peer ---- */

static struct run *run_at(const struct runs *r, size_t i)
{
    return &r->array[(r->first + i) % r->cap];
}

static bool grow_runs(struct runs *r)
{
    const size_t cap = r->cap == 0 ? FIRST_RUNS : r->cap * 2;
    struct run *array = malloc(cap * sizeof *array);

    if (!array) {
        return false;
    }
    for (size_t i = 0; i < r->count; i++) {
        array[i] = *run_at(r, i);
    }
    free(r->array);
    *r = (struct runs){.array = array, .cap = cap, .count = r->count};
    return true;
}

static void pop_run(struct zpeer *p)
{
    struct run *run = run_at(&p->runs, 0);

    p->queued -= run->messages;
    p->written = 0;
    block_unref(&run->block);
    p->runs.first = (p->runs.first + 1) % p->runs.cap;
    if (--p->runs.count > 0) {
        return;
    }
    p->server->waiting--;
    if (p->runs.cap > KEEP_RUNS) {
        free(p->runs.array);
        p->runs = (struct runs){.array = NULL};
    }
}

void zpeer_drop_output(struct zpeer *p)
{
    while (p->runs.count > 0) {
        pop_run(p);
    }
    free(p->runs.array);
    p->runs = (struct runs){.array = NULL};
}

static void note_unflushed(struct zpeer *p)
{
    struct peer_queue *queue = &p->server->unflushed;

    if (p->is_unflushed || p->waits) {
        return;
    }
    p->is_unflushed = true;
    p->next_unflushed = NULL;
    if (queue->last) {
        queue->last->next_unflushed = p;
    } else {
        queue->first = p;
    }
    queue->last = p;
}

/* Messages that follow each other in a block are one run. */
static bool extend_last(struct zpeer *p, const struct run *message)
{
    struct run *last = p->runs.count > 0 ? run_at(&p->runs, p->runs.count - 1) : NULL;

    if (!last || last->block != message->block || last->to != message->from) {
        return false;
    }
    last->to = message->to;
    last->messages += message->messages;
    return true;
}

nhub_err zpeer_queue(struct zpeer *p, const struct run *message)
{
    if (p->is_broken) {
        return NHUB_OK; /* goes where the connection goes */
    }
    if (!extend_last(p, message)) {
        if (p->runs.count == p->runs.cap && !grow_runs(&p->runs)) {
            return NHUB_ENOMEM;
        }
        p->server->waiting += p->runs.count == 0 ? 1 : 0;
        p->runs.count++;
        *run_at(&p->runs, p->runs.count - 1) = *message;
        (void)block_ref(message->block);
    }
    p->queued += message->messages;
    note_unflushed(p);
    return NHUB_OK;
}

bool zpeer_is_full(const struct zpeer *p)
{
    return p->queued >= p->server->options.queue_max;
}

bool zpeer_queue_bytes(struct zpeer *p, const struct buf *bytes)
{
    struct run run = {0};
    char *to = NULL;
    nhub_err err;

    if (bytes->failed) {
        return false;
    }
    if (bytes->len == 0 || zpeer_is_full(p)) {
        return true; /* whoever asks and does not read the answers gets no more of them */
    }
    to = zserver_begin(p->server, bytes->len, &run);
    if (!to) {
        return false;
    }
    memcpy(to, bytes->data, bytes->len);
    err = zpeer_queue(p, &run);
    zserver_end(&run);
    return err == NHUB_OK;
}

/* ---- too much of everything ---- */

static const char too_slow[] = "subscribers that do not read hold too much memory";

void zserver_note_dropped(struct zpeer *p, uint64_t messages, const char *why)
{
    struct zserver *s = p->server;
    char address[64];
    uint64_t suppressed;

    s->counts.dropped += messages;
    if (log_limit_pass(&s->dropped_limit, &suppressed)) {
        zpeer_address(p, address, sizeof address);
        log_warn("event_not_sent", log_str("peer", address), log_str("reason", why),
                 log_uint("queued", p->queued), log_uint("held_bytes", s->held_bytes),
                 log_uint("not_sent_total", s->counts.dropped), log_uint("suppressed", suppressed));
    }
}

/* Where the message ends of which `written` bytes behind the run's begin are written already:
 * `written` itself between two messages. *out_passed: messages up to there. */
static size_t message_end(const struct run *run, size_t written, unsigned *out_passed)
{
    size_t at = 0;

    *out_passed = 0;
    while (at < written) {
        struct zmtp_frame frame = {.more = false};
        size_t used = 0;

        do {
            if (zmtp_frame_read(run->block->bytes + run->from + at, run->to - run->from - at,
                                SIZE_MAX, &frame, &used) != NHUB_OK) {
                return run->to - run->from; /* cannot be: runs are whole messages */
            }
            at += used;
        } while (frame.more);
        (*out_passed)++;
    }
    return at;
}

/* The rest of a message that is half written moves from the first run to a block of its own; what
 * is behind it is dropped. Returns false when there is no memory for it. */
static bool cut_first_run(struct zpeer *p)
{
    struct run *run = run_at(&p->runs, 0);
    unsigned passed = 0;
    const size_t end = message_end(run, p->written, &passed);
    const size_t rest = end - p->written;
    struct block *own = NULL;

    if (rest > 0 && block_create(&own, rest) != NHUB_OK) {
        return false;
    }
    zserver_note_dropped(p, run->messages - passed, too_slow);
    if (!own) {
        pop_run(p);
        return true;
    }
    memcpy(own->bytes, run->block->bytes + run->from + p->written, rest);
    own->len = rest;
    p->queued -= run->messages - 1;
    p->written = 0;
    block_unref(&run->block);
    *run = (struct run){.block = own, .to = rest, .messages = 1};
    return true;
}

/* The one behind a message that is half written. */
static void drop_second_run(struct zpeer *p)
{
    struct run *first = run_at(&p->runs, 0);
    struct run *second = run_at(&p->runs, 1);

    zserver_note_dropped(p, second->messages, too_slow);
    p->queued -= second->messages;
    block_unref(&second->block);
    *second = *first;
    p->runs.first = (p->runs.first + 1) % p->runs.cap;
    p->runs.count--;
}

/* Drops what the peer has at the front of its queue from this block. */
static void drop_front(struct zpeer *p, const struct block *block)
{
    for (;;) {
        const bool has_rest = p->runs.count > 0 && run_at(&p->runs, 0)->block->gone != block_gone;
        const size_t front = has_rest ? 1 : 0;

        if (front >= p->runs.count || run_at(&p->runs, front)->block != block) {
            return;
        }
        if (has_rest) {
            drop_second_run(p);
        } else if (!cut_first_run(p)) {
            return;
        }
    }
}

/* Those who are furthest behind lose what they wait for, until there is room. */
static void shed(struct zserver *s, size_t wanted)
{
    struct block *block = NULL;

    if (s->options.held_max == 0 || s->held_bytes + wanted <= s->options.held_max) {
        return;
    }
    zserver_flush(s); /* who was not asked yet is not behind */
    if (s->current && s->current == s->oldest) {
        block_unref(&s->current); /* it has old messages, and would get new ones */
    }
    block = s->oldest;
    while (block && s->held_bytes + wanted > s->options.held_max) {
        struct block *newer = block->newer; /* lives on when this one is gone */
        const uint64_t before = s->held_bytes;

        for (struct zpeer *p = s->peers; p; p = p->next) {
            drop_front(p, block);
        }
        /* Behind a large message there may be one in an older block again. */
        block = s->held_bytes < before ? s->oldest : newer;
    }
}

/* ---- a message ---- */

/* A block that nobody waits for any more is used again from its beginning. */
static struct block *roomy_block(struct zserver *s, size_t len)
{
    struct block *b = s->current;

    if (b && b->refs == 1) {
        b->len = 0;
    }
    if (b && len <= b->cap - b->len) {
        return b;
    }
    block_unref(&s->current);
    shed(s, s->options.block_bytes);
    s->current = add_block(s, s->options.block_bytes);
    return s->current;
}

/* A large message has a block of its own, which lives as long as somebody waits for it. */
static char *begin_large(struct zserver *s, size_t len, struct run *out)
{
    shed(s, len);
    *out = (struct run){.block = add_block(s, len), .to = len, .messages = 1};
    if (!out->block) {
        return NULL;
    }
    out->block->len = len;
    return out->block->bytes;
}

/* What lies unwritten for long in a busy turn comes late, and all at once. */
char *zserver_begin(struct zserver *s, size_t len, struct run *out)
{
    struct block *b = NULL;

    if (s->unflushed_bytes > s->options.block_bytes) {
        zserver_flush(s);
    }
    s->unflushed_bytes += len;
    if (len > s->options.block_bytes / 4) {
        return begin_large(s, len, out);
    }
    b = roomy_block(s, len);
    if (!b) {
        return NULL;
    }
    *out = (struct run){.block = block_ref(b), .from = b->len, .to = b->len + len, .messages = 1};
    b->len += len;
    return b->bytes + out->from;
}

void zserver_end(struct run *message)
{
    block_unref(&message->block);
}

static size_t frame_size(size_t len)
{
    unsigned char head[ZMTP_HEAD_MAX];

    return zmtp_write_head(head, len, false) + len;
}

static char *put_frame(char *to, const void *bytes, size_t len, bool more)
{
    to += zmtp_write_head((unsigned char *)to, len, more);
    if (len > 0) {
        memcpy(to, bytes, len);
    }
    return to + len;
}

bool zserver_write_two(struct zserver *s, const struct iovec parts[2], bool more, struct run *out)
{
    char *to = zserver_begin(s, frame_size(parts[0].iov_len) + frame_size(parts[1].iov_len), out);

    if (to) {
        to = put_frame(to, parts[0].iov_base, parts[0].iov_len, true);
        (void)put_frame(to, parts[1].iov_base, parts[1].iov_len, more);
    }
    return to != NULL;
}

/* ---- ROUTER ---- */

/* Takes back what was queued last and not written yet: all of `message`. */
static void unqueue(struct zpeer *p, const struct run *message)
{
    struct run *last = run_at(&p->runs, p->runs.count - 1);

    last->to = message->from;
    last->messages--;
    p->queued--;
    if (last->to == last->from) {
        block_unref(&last->block);
        p->runs.count--;
        p->server->waiting -= p->runs.count == 0 ? 1 : 0;
    }
}

static nhub_err queue_answer(struct zpeer *p, const struct run *message, struct block *frames)
{
    const struct run behind = {.block = frames, .to = frames ? frames->len : 0};
    nhub_err err = zpeer_queue(p, message);

    if (!err && frames && !p->is_broken) {
        err = zpeer_queue(p, &behind);
        if (err) {
            unqueue(p, message);
        }
    }
    return err;
}

nhub_err zserver_answer(struct zserver *s, uint64_t id, const char *name, const void *json,
                        size_t len, struct block *frames)
{
    const struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)name, .iov_len = strlen(name)},
                                   {.iov_base = (void *)(uintptr_t)json, .iov_len = len}};
    struct zpeer *p = zserver_find(s, id);
    struct run message;
    nhub_err err;

    if (!p || p->is_broken) {
        return NHUB_ENOTFOUND;
    }
    if (zpeer_is_full(p)) {
        return NHUB_EAGAIN;
    }
    if (!zserver_write_two(s, parts, frames != NULL, &message)) {
        return NHUB_ENOMEM;
    }
    err = queue_answer(p, &message, frames);
    zserver_end(&message);
    return err;
}

/* ---- bytes out ---- */

/* The queue as far as one call takes it. */
static size_t gather(const struct zpeer *p, struct iovec *out)
{
    const size_t count = p->runs.count < WRITE_RUNS ? p->runs.count : WRITE_RUNS;
    size_t skip = p->written;

    for (size_t i = 0; i < count; i++) {
        const struct run *run = run_at(&p->runs, i);

        out[i] = (struct iovec){.iov_base = run->block->bytes + run->from + skip,
                                .iov_len = run->to - run->from - skip};
        skip = 0;
    }
    return count;
}

static void note_written(struct zpeer *p, size_t n)
{
    while (p->runs.count > 0) {
        const struct run *run = run_at(&p->runs, 0);
        const size_t left = run->to - run->from - p->written;

        if (n < left) {
            p->written += n;
            return;
        }
        n -= left;
        pop_run(p);
    }
}

/* What the peer said before is read still. */
static void break_off(struct zpeer *p)
{
    p->is_broken = true;
    p->may_read = true;
    zpeer_drop_output(p);
    zpeer_make_ready(p);
}

void zpeer_flush(struct zpeer *p)
{
    struct iovec parts[WRITE_RUNS];

    while (p->runs.count > 0) {
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = gather(p, parts)};
        size_t wanted = 0;
        ssize_t n;

        for (size_t i = 0; i < message.msg_iovlen; i++) {
            wanted += parts[i].iov_len;
        }
        n = sendmsg(p->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
            break_off(p);
            return;
        }
        note_written(p, n > 0 ? (size_t)n : 0);
        if (n >= 0 ? (size_t)n < wanted : errno != EINTR) {
            zpeer_want_room(p, true);
            return;
        }
    }
}

void zserver_flush(struct zserver *s)
{
    s->unflushed_bytes = 0;
    while (s->unflushed.first) {
        struct zpeer *p = s->unflushed.first;

        s->unflushed.first = p->next_unflushed;
        if (!s->unflushed.first) {
            s->unflushed.last = NULL;
        }
        p->is_unflushed = false;
        zpeer_flush(p);
    }
}

bool zserver_is_writing(const struct zserver *s)
{
    return s->waiting > 0;
}
