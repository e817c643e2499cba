/*
 * link_sockets: messages in and out of the two connections, as PROTOCOL.md lays them out.
 */
#include "gateway/link_sockets.h"

#include "wire/event.h"
#include "wire/packed.h"
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>

void link_sockets_init(struct link_sockets *s, const char *host, uint16_t publisher_port,
                       uint16_t requests_port)
{
    memset(s, 0, sizeof *s);
    s->host = host;
    s->publisher_port = publisher_port;
    s->requests_port = requests_port;
    s->bad_limit = (struct log_limit){.burst = 4, .window_ms = 10000};
}

void link_sockets_close(struct link_sockets *s)
{
    link_peer_destroy(&s->sub);
    link_peer_destroy(&s->dealer);
}

bool link_sockets_are_open(const struct link_sockets *s)
{
    return s->dealer != NULL;
}

nhub_err link_sockets_open(struct link_sockets *s)
{
    /* SUB first: its subscription should be on its way before the first question is. */
    nhub_err err =
        link_peer_create(&s->sub, LINK_PEER_SUB, s->host, s->publisher_port, &s->bad_limit);

    if (err == NHUB_OK) {
        err = link_peer_create(&s->dealer, LINK_PEER_DEALER, s->host, s->requests_port,
                               &s->bad_limit);
    }
    if (err != NHUB_OK) {
        link_sockets_close(s);
    }
    return err;
}

void link_sockets_turn(struct link_sockets *s, int64_t now_ms)
{
    if (link_sockets_are_open(s)) {
        link_peer_turn(s->sub, now_ms);
        link_peer_turn(s->dealer, now_ms);
    }
}

bool link_sockets_can_send(const struct link_sockets *s)
{
    return link_sockets_are_open(s) && link_peer_can_send(s->dealer);
}

int64_t link_sockets_deadline(const struct link_sockets *s)
{
    int64_t sub_ms = 0;
    int64_t dealer_ms = 0;

    if (!link_sockets_are_open(s)) {
        return INT64_MAX;
    }
    sub_ms = link_peer_deadline(s->sub);
    dealer_ms = link_peer_deadline(s->dealer);
    return sub_ms < dealer_ms ? sub_ms : dealer_ms;
}

bool link_sockets_poll(const struct link_sockets *s, bool want_events, struct pollfd *items)
{
    if (!link_sockets_are_open(s)) {
        items[LINK_POLL_EVENTS] = items[LINK_POLL_ANSWERS] = (struct pollfd){.fd = -1};
        return false;
    }
    link_peer_poll(s->sub, want_events, &items[LINK_POLL_EVENTS]);
    link_peer_poll(s->dealer, true, &items[LINK_POLL_ANSWERS]);
    return (want_events && link_peer_has_message(s->sub)) || link_peer_has_message(s->dealer);
}

void link_sockets_polled(struct link_sockets *s, const struct pollfd *items)
{
    if (link_sockets_are_open(s)) {
        link_peer_polled(s->sub, &items[LINK_POLL_EVENTS]);
        link_peer_polled(s->dealer, &items[LINK_POLL_ANSWERS]);
    }
}

bool link_sockets_were_cut(struct link_sockets *s)
{
    bool is_cut = false;

    if (link_sockets_are_open(s)) {
        is_cut = link_peer_was_cut(s->sub);
        is_cut = link_peer_was_cut(s->dealer) || is_cut;
    }
    return is_cut;
}

/* ---- in ---- */

/* Drops what is left of a message; whole messages come, so all of it is here. */
static void skip_message(struct link_peer *peer, const struct zmtp_frame *last)
{
    struct zmtp_frame frame = *last;

    while (frame.more && link_peer_next(peer, &frame) == NHUB_OK) {
    }
}

static nhub_err event_from_frames(const struct zmtp_frame *topic, const struct zmtp_frame *line,
                                  struct feed_event **out)
{
    struct position position;

    if (topic->len == 0 || topic->len > EVENT_TYPE_MAX ||
        event_tail_position(line->bytes, line->len, &position) != NHUB_OK || position.seq == 0) {
        return NHUB_EPROTO;
    }
    return feed_event_create(out, &position, topic->bytes, topic->len, line->bytes, line->len);
}

nhub_err link_sockets_event(struct link_sockets *s, struct feed_event **out)
{
    struct zmtp_frame topic;
    struct zmtp_frame line;
    nhub_err err = link_peer_next(s->sub, &topic);

    if (err != NHUB_OK) {
        return err;
    }
    if (!topic.more || link_peer_next(s->sub, &line) != NHUB_OK) {
        return NHUB_EPROTO;
    }
    if (line.more) {
        skip_message(s->sub, &line);
        return NHUB_EPROTO;
    }
    return event_from_frames(&topic, &line, out);
}

/* The frames behind an answer's text, each an event's line. */
static nhub_err take_lines(struct link_sockets *s, struct link_message *m)
{
    struct zmtp_frame line = {.more = true};
    size_t cap = 0;

    while (line.more) {
        nhub_err err = NHUB_OK;

        if (m->count == cap) {
            struct feed_event **grown = NULL;

            cap = cap ? cap * 2 : 64;
            grown = realloc(m->events, cap * sizeof(struct feed_event *));
            if (!grown) {
                skip_message(s->dealer, &line);
                return NHUB_ENOMEM;
            }
            m->events = grown;
        }
        err = link_peer_next(s->dealer, &line);
        if (err == NHUB_OK) {
            err = link_event_from_line(line.bytes, line.len, &m->events[m->count]);
        }
        if (err != NHUB_OK) {
            skip_message(s->dealer, &line);
            return err;
        }
        m->count++;
    }
    return NHUB_OK;
}

/* `last` is the frame with the answer's text: reads it, and what follows. */
static nhub_err take_answer(struct link_sockets *s, const struct zmtp_frame *last,
                            struct link_message *m)
{
    const nhub_err err = link_answer_parse(last->bytes, last->len, &m->answer);

    m->text = last->bytes;
    m->text_len = last->len;
    if (err != NHUB_OK) {
        skip_message(s->dealer, last);
        return err;
    }
    return last->more ? take_lines(s, m) : NHUB_OK;
}

nhub_err link_sockets_answer(struct link_sockets *s, struct link_message *out)
{
    struct zmtp_frame frame;
    nhub_err err = link_peer_next(s->dealer, &frame);

    out->events = NULL;
    out->count = 0;
    if (err != NHUB_OK) {
        return err;
    }
    if (!frame.more || message_type_parse(frame.bytes, frame.len) != MESSAGE_RESPONSE) {
        skip_message(s->dealer, &frame);
        return NHUB_EPROTO;
    }
    err = link_peer_next(s->dealer, &frame);
    if (err == NHUB_OK) {
        err = take_answer(s, &frame, out);
    }
    if (err != NHUB_OK) {
        link_message_fini(out);
        return err == NHUB_EAGAIN ? NHUB_EPROTO : err;
    }
    return NHUB_OK;
}

void link_message_fini(struct link_message *m)
{
    for (size_t i = 0; m->events && i < m->count; i++) {
        feed_event_unref(&m->events[i]);
    }
    free(m->events);
    m->events = NULL;
    m->count = 0;
}

/* ---- out ---- */

nhub_err link_sockets_send(struct link_sockets *s, const char *text, size_t len, size_t count,
                           const void *(*next)(void *context, size_t i, size_t *out_len),
                           void *context)
{
    struct buf *out = NULL;
    nhub_err err = link_peer_begin(s->dealer, &out);

    if (err != NHUB_OK) {
        return err;
    }
    request_pack(out, text, len);
    for (size_t i = 0; i < count; i++) {
        size_t event_len = 0;
        const void *event = next(context, i, &event_len);

        packed_add(out, event, event_len);
    }
    return link_peer_end(s->dealer);
}
