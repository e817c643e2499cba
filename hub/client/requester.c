/*
 * requester: the table of requests in flight is a ring of slots indexed by id modulo its size.
 *
 * Ids need not be dense: a slot that is still taken by a slow request is stepped over. With twice
 * as many slots as the window a free one is always near.
 *
 * A loss is seen by the socket's monitor. Its order against our sends is what makes it exact: after
 * a loss nothing is sent before it was processed, and only once the monitor says that the next
 * connection stands, so a request in flight always belongs to the connection of now. Each
 * connection has a socket of its own: what the old one had not sent goes with it.
 */
#include "client/requester.h"

#include "base/clock.h"
#include "client/logger.h"
#include "client/wakeup.h"
#include "wire/request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MAX        1024
#define ANSWER_FRAMES_MAX 16384
#define ANSWER_JSON_MAX   (16u << 20)
/* Requests wait in our own table, so the socket's queue only has to hold the window. */
#define QUEUE_MESSAGES 2048
/* How often the monitor is read between sends; less than libzmq's pause before it connects again.
 */
#define MONITOR_EVERY_MS 40
/* After a larger request its memory is given back. */
#define PACKED_KEEP (1u << 20)

struct slot {
    uint64_t id; /* 0 = free */
    int64_t deadline_ms;
    requester_fn *fn;
    void *context;
};

struct requester {
    struct zctx *ctx; /* lent */
    struct zsock *sock;
    struct zsock *monitor; /* of sock */
    struct wakeup *wakeup; /* lent; NULL = nobody watches */
    bool is_connected;     /* as far as the monitor was read */
    int64_t monitor_ms;    /* when the monitor was read for a send last */
    bool has_loss;         /* the connection broke, and what was in flight does not know yet */
    bool has_old_socket;   /* of a connection that broke */
    uint64_t losses;
    char host[256];
    uint16_t port;
    struct slot *slots;
    size_t slot_count; /* a power of two, >= 2 * window */
    size_t window;
    size_t in_flight; /* <= window */
    uint64_t last_id;
    int64_t next_deadline_ms; /* not later than the earliest one in slots */
    uint64_t strays;
    struct buf packed;     /* the request being sent */
    struct zframe *frames; /* of the answer being received */
    size_t frame_cap;
};

/* What one connection is made of. */
struct link {
    struct zsock *sock, *monitor;
};

static void close_link(struct link *link)
{
    /* The monitor goes last, see zsock.h. */
    zsock_destroy(&link->sock);
    zsock_destroy(&link->monitor);
}

static nhub_err open_link(const struct requester *r, struct link *out)
{
    const struct zsock_options options = {
        .sndhwm = QUEUE_MESSAGES, .rcvhwm = QUEUE_MESSAGES, .max_msg_bytes = -1};
    struct link link = {0};
    nhub_err err = zsock_create(&link.sock, r->ctx, ZSOCK_DEALER, &options);

    if (err == NHUB_OK) {
        err = zsock_monitor(link.sock, r->ctx, &link.monitor);
    }
    if (err == NHUB_OK) {
        err = zsock_connect(link.sock, r->host, r->port);
    }
    if (err != NHUB_OK) {
        close_link(&link);
        return err;
    }
    *out = link;
    return NHUB_OK;
}

static void read_monitor(struct requester *r)
{
    enum zmonitor_event event = ZMONITOR_OTHER;
    bool has_news = false;

    for (; r->monitor && zmonitor_next(r->monitor, &event) == NHUB_OK; has_news = true) {
        if (event == ZMONITOR_DISCONNECTED) {
            /* A handshake that failed loses nothing: nothing was sent yet. */
            r->has_loss |= r->is_connected;
            r->has_old_socket |= r->is_connected;
            r->is_connected = false;
        } else if (event == ZMONITOR_CONNECTED) {
            r->is_connected = true;
        }
    }
    if (has_news && r->wakeup) {
        wakeup_kick(r->wakeup); /* it may have been read on the way to something else */
    }
}

nhub_err requester_create(struct requester **out, struct zctx *ctx, const char *host, uint16_t port,
                          size_t window)
{
    struct requester *r = NULL;
    struct link link = {0};
    const size_t host_len = strlen(host);
    nhub_err err = NHUB_ENOMEM;

    if (window == 0 || window > WINDOW_MAX || host_len == 0 || host_len >= sizeof r->host) {
        return NHUB_EINVAL;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        return NHUB_ENOMEM;
    }
    r->ctx = ctx;
    memcpy(r->host, host, host_len);
    r->port = port;
    r->window = window;
    r->next_deadline_ms = INT64_MAX;
    for (r->slot_count = 2; r->slot_count < 2 * window;) {
        r->slot_count *= 2;
    }
    r->slots = calloc(r->slot_count, sizeof *r->slots);
    if (!r->slots) {
        goto failed;
    }
    err = open_link(r, &link);
    if (err != NHUB_OK) {
        goto failed;
    }
    r->sock = link.sock;
    r->monitor = link.monitor;
    *out = r;
    return NHUB_OK;

failed:
    requester_destroy(&r);
    return err;
}

static void unwatch(const struct requester *r)
{
    if (r->wakeup) {
        wakeup_unwatch(r->wakeup, zsock_fd(r->sock));
        wakeup_unwatch(r->wakeup, zsock_fd(r->monitor));
    }
}

static nhub_err watch(const struct requester *r)
{
    nhub_err err = NHUB_OK;

    if (r->wakeup) {
        err = wakeup_watch(r->wakeup, zsock_fd(r->sock));
        if (err == NHUB_OK) {
            err = wakeup_watch(r->wakeup, zsock_fd(r->monitor));
        }
        /* What happened before may have used its edge up. */
        wakeup_kick(r->wakeup);
    }
    return err;
}

nhub_err requester_watch(struct requester *r, struct wakeup *w)
{
    unwatch(r);
    r->wakeup = w;
    return watch(r);
}

void requester_destroy(struct requester **r_p)
{
    struct requester *r = *r_p;

    if (!r) {
        return;
    }
    unwatch(r);
    read_monitor(r); /* room for the events of the end */
    close_link(&(struct link){.sock = r->sock, .monitor = r->monitor});
    buf_fini(&r->packed);
    free(r->frames);
    free(r->slots);
    free(r);
    *r_p = NULL;
}

static struct slot *slot_of(struct requester *r, uint64_t id)
{
    return &r->slots[id & (r->slot_count - 1)];
}

nhub_err requester_next_id(struct requester *r, uint64_t *out_id)
{
    if (r->in_flight >= r->window) {
        return NHUB_EFULL;
    }
    do {
        r->last_id++;
    } while (slot_of(r, r->last_id)->id != 0);
    *out_id = r->last_id;
    return NHUB_OK;
}

/* One frame, so that closing the socket never meets half a message. */
static nhub_err send_packed(struct requester *r, const struct buf *json, const struct buf *parts)
{
    struct buf *out = &r->packed;

    buf_reset(out);
    request_pack(out, json->data, json->len);
    if (parts) {
        buf_add(out, parts->data, parts->len);
    }
    return out->failed ? NHUB_ENOMEM : zsock_send_bytes(r->sock, out->data, out->len, false);
}

bool requester_is_connected(const struct requester *r)
{
    return r->is_connected;
}

/* The monitor is asked now and then only, which is enough: a connection that broke comes back after
 * libzmq's pause of 100 ms at the earliest, and what is sent before that goes with the old one and
 * is told as lost with it. */
bool requester_is_ready(struct requester *r)
{
    const int64_t now_ms = clock_mono_ms();

    if (now_ms >= r->monitor_ms + MONITOR_EVERY_MS || !r->is_connected) {
        r->monitor_ms = now_ms;
        read_monitor(r);
    }
    return r->is_connected && !r->has_loss;
}

nhub_err requester_send(struct requester *r, uint64_t id, const struct buf *json,
                        const struct buf *parts, int64_t deadline_ms, requester_fn *fn,
                        void *context)
{
    struct slot *slot = slot_of(r, id);
    nhub_err err = NHUB_OK;

    if (json->failed || (parts && parts->failed)) {
        return NHUB_ENOMEM;
    }
    if (!requester_is_ready(r)) {
        return NHUB_EAGAIN;
    }
    err = send_packed(r, json, parts);
    if (r->packed.cap > PACKED_KEEP) {
        buf_fini(&r->packed);
    }
    if (err != NHUB_OK) {
        return err;
    }
    *slot = (struct slot){.id = id, .deadline_ms = deadline_ms, .fn = fn, .context = context};
    r->in_flight++;
    if (deadline_ms < r->next_deadline_ms) {
        r->next_deadline_ms = deadline_ms;
    }
    return NHUB_OK;
}

void requester_cancel(struct requester *r, uint64_t id)
{
    struct slot *slot = slot_of(r, id);

    if (id != 0 && slot->id == id) {
        slot->id = 0;
        r->in_flight--;
    }
}

/* Frees the slot before the call, so that the callback can send the next request. */
static void finish(struct requester *r, struct slot *slot, const struct requester_answer *answer)
{
    const struct slot done = *slot;

    slot->id = 0;
    r->in_flight--;
    done.fn(done.context, done.id, answer);
}

void requester_give_up(struct requester *r, nhub_err err)
{
    const struct requester_answer answer = {.err = err};

    for (size_t i = 0; i < r->slot_count; i++) {
        if (r->slots[i].id != 0) {
            finish(r, &r->slots[i], &answer);
        }
    }
}

static size_t expire(struct requester *r, int64_t now_ms)
{
    const struct requester_answer answer = {.err = NHUB_ETIMEOUT};
    size_t count = 0;

    if (now_ms < r->next_deadline_ms) {
        return 0;
    }
    r->next_deadline_ms = INT64_MAX;
    for (size_t i = 0; i < r->slot_count; i++) {
        struct slot *slot = &r->slots[i];

        if (slot->id != 0 && slot->deadline_ms <= now_ms) {
            finish(r, slot, &answer);
            count++;
        } else if (slot->id != 0 && slot->deadline_ms < r->next_deadline_ms) {
            r->next_deadline_ms = slot->deadline_ms;
        }
    }
    return count;
}

/* Hands one answer object to its request. */
static size_t deliver(struct requester *r, struct requester_answer *answer)
{
    json_t *id_json = json_object_get(answer->json, "request_id");
    const uint64_t id = json_is_integer(id_json) ? (uint64_t)json_integer_value(id_json) : 0;
    struct slot *slot = slot_of(r, id);

    if (id == 0 || slot->id != id) {
        r->strays++;
        return 0;
    }
    finish(r, slot, answer);
    return 1;
}

/* Reads one JSON value from the beginning of the text; *out_len says how long it is. */
static json_t *load(const char *text, size_t len, size_t *out_len)
{
    json_error_t error;
    json_t *json = json_loadb(text, len, JSON_DISABLE_EOF_CHECK, &error);

    *out_len = json ? (size_t)error.position : 0;
    return json;
}

/* The objects of an array one by one, each with its own text. Returns the callbacks called; *out_ok
 * is false when it is none. */
static size_t dispatch_each(struct requester *r, const char *text, size_t len, bool *out_ok)
{
    size_t count = 0;
    size_t at = 1; /* behind the bracket */

    for (;;) {
        struct requester_answer answer = {.err = NHUB_OK, .text = text + at};

        answer.json = load(answer.text, len - at, &answer.text_len);
        *out_ok = json_is_object(answer.json);
        at += answer.text_len;
        while (at < len && text[at] == ' ') {
            at++;
        }
        *out_ok = *out_ok && at < len && (text[at] == ',' || text[at] == ']');
        count += *out_ok ? deliver(r, &answer) : 0;
        json_decref(answer.json);
        if (!*out_ok || text[at++] == ']') {
            return count;
        }
    }
}

static size_t dispatch_one(struct requester *r, size_t frame_count, bool *out_ok)
{
    struct requester_answer answer = {
        .err = NHUB_OK, .frames = r->frames + 2, .frame_count = frame_count - 2};
    const char *text = zframe_data(&r->frames[1]);
    const size_t len = zframe_size(&r->frames[1]);
    size_t count = 0;

    answer.text = text;
    answer.json = load(text, len, &answer.text_len);
    *out_ok = json_is_object(answer.json) && answer.text_len == len;
    count = *out_ok ? deliver(r, &answer) : 0;
    json_decref(answer.json);
    return count;
}

/* One RESPONSE: an object, or an array of them when the hub answers many publishes at once. */
static size_t dispatch(struct requester *r, size_t frame_count)
{
    const char *text = NULL;
    size_t len = 0;
    size_t count = 0;
    bool is_good = false;

    if (frame_count < 2 || message_type_parse(zframe_data(&r->frames[0]),
                                              zframe_size(&r->frames[0])) != MESSAGE_RESPONSE) {
        r->strays++;
        return 0;
    }
    text = zframe_data(&r->frames[1]);
    len = zframe_size(&r->frames[1]);
    if (len > 2 && len <= ANSWER_JSON_MAX && text[0] == '[') {
        count = dispatch_each(r, text, len, &is_good);
    } else if (len <= ANSWER_JSON_MAX) {
        count = dispatch_one(r, frame_count, &is_good);
    }
    if (!is_good) {
        r->strays++;
        logger_write(NHUB_LOG_WARN, "bad_answer", "size_bytes=%zu", len);
    }
    return count;
}

static nhub_err grow_frames(struct requester *r)
{
    const size_t cap = r->frame_cap ? r->frame_cap * 2 : 8;
    struct zframe *frames = NULL;

    if (cap > ANSWER_FRAMES_MAX) {
        return NHUB_ETOOBIG;
    }
    frames = realloc(r->frames, cap * sizeof *frames);
    if (!frames) {
        return NHUB_ENOMEM;
    }
    r->frames = frames;
    r->frame_cap = cap;
    return NHUB_OK;
}

/* Receives a whole message into r->frames; *out_count frames are to be closed by the caller in
 * every case. */
static nhub_err receive(struct requester *r, size_t *out_count)
{
    nhub_err err = NHUB_OK;
    bool more = true;

    for (*out_count = 0; more; ++*out_count) {
        struct zframe *frame = NULL;

        if (*out_count == r->frame_cap && (err = grow_frames(r)) != NHUB_OK) {
            zsock_skip_message(r->sock, &r->frames[*out_count - 1]);
            return err;
        }
        frame = &r->frames[*out_count];
        zframe_init(frame);
        err = zsock_recv(r->sock, frame);
        if (err != NHUB_OK) {
            zframe_close(frame);
            return err;
        }
        more = zframe_more(frame);
    }
    return NHUB_OK;
}

nhub_err requester_reconnect(struct requester *r)
{
    struct link fresh = {0};
    nhub_err err = open_link(r, &fresh);

    if (err != NHUB_OK) {
        return err;
    }
    unwatch(r);
    read_monitor(r);
    close_link(&(struct link){.sock = r->sock, .monitor = r->monitor});
    r->sock = fresh.sock;
    r->monitor = fresh.monitor;
    r->is_connected = false;
    r->has_old_socket = false;
    r->has_loss = true;
    return watch(r);
}

/* Ends what was in flight when the connection broke. The answers that came before were read. */
static size_t lose(struct requester *r)
{
    const size_t count = r->in_flight;

    if (!r->has_loss) {
        return 0;
    }
    /* Without memory for another socket the old one connects again, and sends what it still has:
     * its outcome is unknown as well. */
    if (r->has_old_socket) {
        NHUB_IGNORE(requester_reconnect(r));
    }
    /* Cleared last: what a callback wants to send has to wait until all of them know. */
    requester_give_up(r, NHUB_ECLOSED);
    r->has_loss = false;
    r->has_old_socket = false;
    r->losses++;
    return count;
}

size_t requester_process(struct requester *r, int64_t now_ms)
{
    nhub_err err = NHUB_OK;
    size_t called = 0;

    read_monitor(r);
    /* A message that is too long or meets a lack of memory is skipped; the next one may do. */
    while (err == NHUB_OK || err == NHUB_ETOOBIG || err == NHUB_ENOMEM) {
        size_t count = 0;

        err = r->frame_cap == 0 ? grow_frames(r) : NHUB_OK;
        if (err != NHUB_OK) {
            break;
        }
        err = receive(r, &count);
        if (err == NHUB_OK) {
            called += dispatch(r, count);
        } else if (err != NHUB_EAGAIN) {
            r->strays++;
        }
        for (size_t i = 0; i < count; i++) {
            zframe_close(&r->frames[i]);
        }
    }
    return called + lose(r) + expire(r, now_ms);
}

static int wait_ms(int64_t now_ms, int64_t until_ms)
{
    if (until_ms <= now_ms) {
        return 0;
    }
    return until_ms - now_ms > 3600000 ? 3600000 : (int)(until_ms - now_ms);
}

nhub_err requester_wait(struct requester *r, int64_t deadline_ms)
{
    struct zpoll_item items[] = {{.sock = r->sock, .fd = -1, .want_in = true},
                                 {.sock = r->monitor, .fd = -1, .want_in = true}};
    const int64_t until_ms = deadline_ms < r->next_deadline_ms ? deadline_ms : r->next_deadline_ms;
    size_t ready = 0;
    const nhub_err err = zpoll_wait(items, 2, wait_ms(clock_mono_ms(), until_ms), &ready);

    if (err != NHUB_OK) {
        return err;
    }
    (void)requester_process(r, clock_mono_ms());
    return NHUB_OK;
}

nhub_err requester_await_peer(struct requester *r, int64_t deadline_ms)
{
    for (;;) {
        struct zpoll_item items[] = {{.sock = r->monitor, .fd = -1, .want_in = true},
                                     {.sock = r->sock, .fd = -1, .want_out = true}};
        const int64_t now_ms = clock_mono_ms();
        size_t ready = 0;
        nhub_err err = NHUB_OK;

        if (requester_is_ready(r) && zsock_writable(r->sock)) {
            return NHUB_OK;
        }
        if (r->has_loss) {
            (void)requester_process(r, now_ms);
            continue;
        }
        if (now_ms >= deadline_ms) {
            return NHUB_EUNAVAIL;
        }
        /* The socket may be writable a little before the monitor tells of the connection. */
        err = zpoll_wait(items, r->is_connected ? 2 : 1, wait_ms(now_ms, deadline_ms), &ready);
        if (err != NHUB_OK) {
            return err;
        }
    }
}

int64_t requester_deadline_ms(const struct requester *r)
{
    return r->in_flight ? r->next_deadline_ms : INT64_MAX;
}

size_t requester_in_flight(const struct requester *r)
{
    return r->in_flight;
}

uint64_t requester_strays(const struct requester *r)
{
    return r->strays;
}

uint64_t requester_losses(const struct requester *r)
{
    return r->losses;
}
