/*
 * server_publish: subscriptions and fan-out.
 */
#include "zmtp/server_private.h"

/* ---- subscriptions ---- */

static void note_noise(struct zpeer *p, size_t len)
{
    struct zserver *s = p->server;
    char address[64];
    uint64_t suppressed;

    s->counts.noise++;
    if (log_limit_pass(&s->noise_limit, &suppressed)) {
        zpeer_address(p, address, sizeof address);
        log_warn("subscriber_noise", log_uint("bytes", len), log_str("peer", address),
                 log_uint("suppressed", suppressed));
    }
}

static void note_long(struct zpeer *p, size_t len)
{
    struct zserver *s = p->server;
    char address[64];
    uint64_t suppressed;

    s->counts.too_long++;
    if (log_limit_pass(&s->long_limit, &suppressed)) {
        zpeer_address(p, address, sizeof address);
        log_warn("subscription_too_long", log_uint("prefix_bytes", len),
                 log_uint("max_bytes", INTEREST_PREFIX_MAX), log_str("peer", address),
                 log_uint("suppressed", suppressed));
    }
}

/* 1 or 0, and a prefix (23/ZMTP, "The PUB-SUB Pattern"). */
void zpeer_take_subscription(struct zpeer *p, const struct zmtp_frame *frame)
{
    struct zserver *s = p->server;
    const char *prefix = frame->bytes + 1;
    nhub_err err;

    if (frame->len == 0 || (unsigned char)frame->bytes[0] > 1 || frame->more || p->is_inside) {
        note_noise(p, frame->len);
        return;
    }
    if (frame->bytes[0] == 0) {
        s->counts.unsubscribed +=
            interest_remove(s->interest, &p->interested, prefix, frame->len - 1) == NHUB_OK ? 1 : 0;
        return;
    }
    err = interest_add(s->interest, &p->interested, prefix, frame->len - 1);
    if (err == NHUB_OK) {
        s->counts.subscribed++;
    } else if (err == NHUB_ETOOBIG) {
        note_long(p, frame->len - 1);
    } else if (err == NHUB_EFULL) {
        zpeer_refuse(p, "it has too many subscriptions");
    } else if (err == NHUB_ENOMEM) {
        zpeer_refuse(p, "there is no memory for its subscription");
    }
}

void zpeer_forget_subscriptions(struct zpeer *p)
{
    struct zserver *s = p->server;

    if (s->interest) {
        s->counts.unsubscribed += interest_drop(s->interest, &p->interested);
    }
}

/* ---- fan-out ---- */

/* An event under way; it is written when the first is found who wants it. */
struct fanout {
    struct zserver *server;
    struct iovec parts[2];
    struct run message;
    bool is_written, has_failed;
};

static struct zpeer *peer_of(struct interested *who)
{
    return (struct zpeer *)(void *)((char *)who - offsetof(struct zpeer, interested));
}

static void send_to(void *context, struct interested *who)
{
    struct fanout *f = context;
    struct zpeer *p = peer_of(who);

    if (zpeer_is_full(p)) {
        zserver_note_dropped(p, 1, "its queue is full");
        return;
    }
    if (!f->is_written && !f->has_failed) {
        f->is_written = zserver_write_two(f->server, f->parts, false, &f->message);
        f->has_failed = !f->is_written;
    }
    if (f->is_written && zpeer_queue(p, &f->message) != NHUB_OK) {
        zserver_note_dropped(p, 1, "there is no memory for its queue");
    }
}

void zserver_publish(struct zserver *s, const void *type, size_t type_len, const void *line,
                     size_t len)
{
    struct fanout f = {.server = s,
                       .parts = {{.iov_base = (void *)(uintptr_t)type, .iov_len = type_len},
                                 {.iov_base = (void *)(uintptr_t)line, .iov_len = len}}};

    interest_search(s->interest, type, type_len, send_to, &f);
    if (f.is_written) {
        zserver_end(&f.message);
    }
    s->counts.failed += f.has_failed ? 1 : 0;
}
