/*
 * link_sockets: frames in and out of the two sockets, as PROTOCOL.md lays them out.
 */
#include "gateway/link_sockets.h"

#include "wire/event.h"
#include "wire/packed.h"
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>

/* After a larger request its memory is given back. */
#define PACKED_KEEP (1u << 20)

nhub_err link_sockets_init(struct link_sockets *s, const char *host, uint16_t publisher_port,
                           uint16_t requests_port, int request_hwm)
{
    memset(s, 0, sizeof *s);
    s->host = host;
    s->publisher_port = publisher_port;
    s->requests_port = requests_port;
    s->request_hwm = request_hwm;
    return zctx_create(&s->ctx);
}

void link_sockets_fini(struct link_sockets *s)
{
    link_sockets_close(s);
    buf_fini(&s->packed);
    zctx_destroy(&s->ctx);
}

void link_sockets_close(struct link_sockets *s)
{
    /* The monitored ones first: the library's thread waits for ever to tell a monitor that is gone,
     * and closing the monitored socket waits for that thread. */
    s->is_connected = false;
    zsock_destroy(&s->sub);
    zsock_destroy(&s->dealer);
    zsock_destroy(&s->sub_monitor);
    zsock_destroy(&s->dealer_monitor);
}

bool link_sockets_are_open(const struct link_sockets *s)
{
    return s->dealer != NULL;
}

static nhub_err open_sub(struct link_sockets *s)
{
    const struct zsock_options options = {
        .sndhwm = 1000, .rcvhwm = LINK_SOCKETS_EVENTS, .linger_ms = 0, .max_msg_bytes = -1};
    nhub_err err = zsock_create(&s->sub, s->ctx, ZSOCK_SUB, &options);

    if (err == NHUB_OK) {
        err = zsock_subscribe(s->sub, "", 0);
    }
    if (err == NHUB_OK) {
        err = zsock_monitor(s->sub, s->ctx, &s->sub_monitor);
    }
    return err == NHUB_OK ? zsock_connect(s->sub, s->host, s->publisher_port) : err;
}

static nhub_err open_dealer(struct link_sockets *s)
{
    const struct zsock_options options = {
        .sndhwm = s->request_hwm, .rcvhwm = s->request_hwm, .linger_ms = 0, .max_msg_bytes = -1};
    nhub_err err = zsock_create(&s->dealer, s->ctx, ZSOCK_DEALER, &options);

    if (err == NHUB_OK) {
        err = zsock_monitor(s->dealer, s->ctx, &s->dealer_monitor);
    }
    return err == NHUB_OK ? zsock_connect(s->dealer, s->host, s->requests_port) : err;
}

nhub_err link_sockets_open(struct link_sockets *s)
{
    /* SUB first: its subscription should be on its way before the first question is. */
    nhub_err err = open_sub(s);

    if (err == NHUB_OK) {
        err = open_dealer(s);
    }
    if (err != NHUB_OK) {
        link_sockets_close(s);
    }
    return err;
}

size_t link_sockets_poll(const struct link_sockets *s, bool want_events, bool want_out,
                         struct zpoll_item *items)
{
    if (!link_sockets_are_open(s)) {
        return 0;
    }
    items[0] = (struct zpoll_item){.sock = s->sub, .want_in = want_events};
    items[1] = (struct zpoll_item){
        .sock = s->dealer, .want_in = true, .want_out = want_out && s->is_connected};
    items[2] = (struct zpoll_item){.sock = s->sub_monitor, .want_in = true};
    items[3] = (struct zpoll_item){.sock = s->dealer_monitor, .want_in = true};
    return LINK_SOCKETS_POLL;
}

static bool was_cut(struct zsock *monitor, bool *is_connected)
{
    enum zmonitor_event event = ZMONITOR_OTHER;
    bool is_cut = false;

    while (zmonitor_next(monitor, &event) == NHUB_OK) {
        is_cut = is_cut || event == ZMONITOR_DISCONNECTED;
        if (event != ZMONITOR_OTHER) {
            *is_connected = event == ZMONITOR_CONNECTED;
        }
    }
    return is_cut;
}

bool link_sockets_were_cut(struct link_sockets *s)
{
    bool is_cut = false;
    bool sub_is_connected = false; /* it only receives */

    if (link_sockets_are_open(s)) {
        is_cut = was_cut(s->sub_monitor, &sub_is_connected);
        is_cut = was_cut(s->dealer_monitor, &s->is_connected) || is_cut;
    }
    return is_cut;
}

/* ---- in ---- */

static nhub_err event_from_frames(struct zframe *topic, struct zframe *line,
                                  struct feed_event **out)
{
    const size_t type_len = zframe_size(topic);
    const size_t line_len = zframe_size(line);
    struct position position;

    if (type_len == 0 || type_len > EVENT_TYPE_MAX ||
        event_tail_position(zframe_data(line), line_len, &position) != NHUB_OK ||
        position.seq == 0) {
        return NHUB_EPROTO;
    }
    return feed_event_create(out, &position, zframe_data(topic), type_len, zframe_data(line),
                             line_len);
}

nhub_err link_sockets_event(struct link_sockets *s, struct feed_event **out)
{
    struct zframe topic;
    struct zframe line;
    nhub_err err = NHUB_OK;

    zframe_init(&topic);
    zframe_init(&line);
    err = zsock_recv(s->sub, &topic);
    if (err != NHUB_OK) {
        goto out;
    }
    if (!zframe_more(&topic)) {
        err = NHUB_EPROTO;
        goto out;
    }
    err = zsock_recv(s->sub, &line);
    if (err != NHUB_OK) {
        err = NHUB_EPROTO;
        goto out;
    }
    if (zframe_more(&line)) {
        zsock_skip_message(s->sub, &line);
        err = NHUB_EPROTO;
        goto out;
    }
    err = event_from_frames(&topic, &line, out);

out:
    zframe_close(&topic);
    zframe_close(&line);
    return err;
}

/* The frames behind an answer's text, each an event's line. */
static nhub_err take_lines(struct link_sockets *s, struct link_message *m)
{
    struct zframe line;
    size_t cap = 0;
    bool has_more = true;
    nhub_err err = NHUB_OK;

    zframe_init(&line);
    while (has_more && err == NHUB_OK) {
        if (m->count == cap) {
            struct feed_event **grown = NULL;

            cap = cap ? cap * 2 : 64;
            grown = realloc(m->events, cap * sizeof(struct feed_event *));
            if (!grown) {
                err = NHUB_ENOMEM;
                zsock_skip_message(s->dealer, m->count ? &line : &m->text);
                break;
            }
            m->events = grown;
        }
        err = zsock_recv(s->dealer, &line);
        if (err != NHUB_OK) {
            break;
        }
        has_more = zframe_more(&line);
        err = link_event_from_line(zframe_data(&line), zframe_size(&line), &m->events[m->count]);
        if (err == NHUB_OK) {
            m->count++;
        } else if (has_more) {
            zsock_skip_message(s->dealer, &line);
        }
    }
    zframe_close(&line);
    return err;
}

/* The answer's text is in m: reads it, and what follows. */
static nhub_err take_answer(struct link_sockets *s, struct link_message *m)
{
    const nhub_err err =
        link_answer_parse(zframe_data(&m->text), zframe_size(&m->text), &m->answer);

    if (err != NHUB_OK) {
        if (zframe_more(&m->text)) {
            zsock_skip_message(s->dealer, &m->text);
        }
        return err;
    }
    return zframe_more(&m->text) ? take_lines(s, m) : NHUB_OK;
}

nhub_err link_sockets_answer(struct link_sockets *s, struct link_message *out)
{
    struct zframe type;
    nhub_err err = NHUB_OK;

    zframe_init(&type);
    zframe_init(&out->text);
    out->events = NULL;
    out->count = 0;
    err = zsock_recv(s->dealer, &type);
    if (err == NHUB_OK && !zframe_more(&type)) {
        err = NHUB_EPROTO;
    } else if (err == NHUB_OK &&
               message_type_parse(zframe_data(&type), zframe_size(&type)) != MESSAGE_RESPONSE) {
        zsock_skip_message(s->dealer, &type);
        err = NHUB_EPROTO;
    } else if (err == NHUB_OK) {
        err = zsock_recv(s->dealer, &out->text);
        err = err == NHUB_OK ? take_answer(s, out) : NHUB_EPROTO;
    }
    zframe_close(&type);
    if (err != NHUB_OK) {
        link_message_fini(out);
    }
    return err;
}

void link_message_fini(struct link_message *m)
{
    for (size_t i = 0; m->events && i < m->count; i++) {
        if (m->events[i]) {
            feed_event_unref(&m->events[i]);
        }
    }
    free(m->events);
    m->events = NULL;
    m->count = 0;
    zframe_close(&m->text);
    zframe_init(&m->text);
}

/* ---- out ---- */

nhub_err link_sockets_send(struct link_sockets *s, const char *text, size_t len, size_t count,
                           const void *(*next)(void *context, size_t i, size_t *out_len),
                           void *context)
{
    nhub_err err = NHUB_OK;

    if (!s->is_connected) {
        return NHUB_EAGAIN;
    }
    buf_reset(&s->packed);
    request_pack(&s->packed, text, len);
    for (size_t i = 0; i < count; i++) {
        size_t event_len = 0;
        const void *event = next(context, i, &event_len);

        packed_add(&s->packed, event, event_len);
    }
    err = s->packed.failed ? NHUB_ENOMEM
                           : zsock_send_bytes(s->dealer, s->packed.data, s->packed.len, false);
    if (s->packed.cap > PACKED_KEEP) {
        buf_fini(&s->packed);
    }
    return err;
}
