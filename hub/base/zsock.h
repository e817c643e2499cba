/*
 * zsock: ZeroMQ's room: contexts, sockets and frames as our programs use them. No other file
 * includes zmq.h.
 *
 * A socket belongs to the thread that made it. High-water marks and linger are set explicitly for
 * each socket; ZeroMQ heartbeats are never set (libzmq 4.3.4 aborts with a reached high-water mark,
 * libzmq #3937), TCP keepalive is. Nor is ZMQ_IMMEDIATE: with it a connection that breaks takes the
 * rest of a message away that is being read, and the next receive aborts the process (fq.cpp,
 * `!_more`); who wants to send to completed connections only asks the monitor. A socket that is
 * closed while the process goes on must not have sent messages of several frames: one that is half
 * on its way to a connection that breaks in that moment aborts the process (session_base.cpp,
 * clean_pipes); wire/packed.h makes one frame of them. The descriptor is edge-triggered: after a
 * wake-up receive until NHUB_EAGAIN, or come back by yourself.
 */
#ifndef NHUB_BASE_ZSOCK_H
#define NHUB_BASE_ZSOCK_H

#include <notifyhub/error.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zctx;
struct zsock;

enum zsock_type {
    ZSOCK_PUSH,
    ZSOCK_PULL,
    ZSOCK_PUB,
    ZSOCK_XPUB,
    ZSOCK_SUB,
    ZSOCK_DEALER,
    ZSOCK_ROUTER
};

struct zsock_options {
    int sndhwm, rcvhwm;    /* messages; 0 = ZeroMQ's "no limit", so always set them */
    int linger_ms;         /* -1 = for ever */
    int64_t max_msg_bytes; /* -1 = none */
    bool xpub_verboser;    /* tell every subscribe and unsubscribe */
    bool router_mandatory; /* unroutable or full is NHUB_ENOTFOUND / NHUB_EAGAIN instead of silence
                            */
    const char *identity;  /* NULL = none */
};

/* One frame. Storage for the library's message; init by zframe_init*, or filled by zsock_recv. */
struct zframe {
    alignas(8) unsigned char opaque[64];
};

NHUB_MUST_USE nhub_err
zctx_create(struct zctx **out);         /* one I/O thread. Errors: NHUB_ENOMEM, NHUB_ESYS */
void zctx_destroy(struct zctx **ctx_p); /* waits for all sockets to be closed */

NHUB_MUST_USE nhub_err zsock_create(struct zsock **out, struct zctx *ctx, enum zsock_type type,
                                    const struct zsock_options *options);
/* Changes linger_ms for the destroy to come. */
void zsock_set_linger(struct zsock *s, int linger_ms);
void zsock_destroy(struct zsock **s_p);
/* host: an address, an interface, or "*". *out_port (may be NULL): the port really bound. Errors:
 * NHUB_ESYS (errno EADDRINUSE …). */
NHUB_MUST_USE nhub_err zsock_bind(struct zsock *s, const char *host, uint16_t port,
                                  uint16_t *out_port);
NHUB_MUST_USE nhub_err zsock_connect(struct zsock *s, const char *host, uint16_t port);
NHUB_MUST_USE nhub_err zsock_bind_endpoint(struct zsock *s,
                                           const char *endpoint); /* "inproc://x", "ipc://…" */
NHUB_MUST_USE nhub_err zsock_connect_endpoint(struct zsock *s, const char *endpoint);
NHUB_MUST_USE nhub_err zsock_subscribe(struct zsock *s, const void *prefix, size_t len);
NHUB_MUST_USE nhub_err zsock_unsubscribe(struct zsock *s, const void *prefix, size_t len);
int zsock_fd(struct zsock *s);        /* edge-triggered, see above */
bool zsock_readable(struct zsock *s); /* ZMQ_EVENTS */
bool zsock_writable(struct zsock *s);

void zframe_init(struct zframe *f);                                    /* empty */
NHUB_MUST_USE nhub_err zframe_init_size(struct zframe *f, size_t len); /* uninitialised bytes */
NHUB_MUST_USE nhub_err zframe_init_copy(struct zframe *f, const void *bytes, size_t len);
/* A frame over the caller's memory, which is lent until give_back(bytes, hint) is called: once, in
 * any thread, when the bytes were written to the network or dropped. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err zframe_init_foreign(struct zframe *f, void *bytes, size_t len,
                                           void (*give_back)(void *bytes, void *hint), void *hint);
void zframe_close(struct zframe *f);
void *zframe_data(struct zframe *f);
size_t zframe_size(const struct zframe *f);
bool zframe_more(const struct zframe *f); /* another frame of the same message follows */
const char *zframe_property(struct zframe *f,
                            const char *name); /* "Peer-Address"; NULL when unknown */
/* `to` becomes a second owner of from's bytes; both are initialised, what `to` held is closed.
 * Short frames (about 33 bytes) live inside struct zframe itself and are copied. Errors: NHUB_ESYS.
 */
NHUB_MUST_USE nhub_err zframe_share(struct zframe *to, struct zframe *from);

/* Moves from's bytes to `to`, and leaves `from` empty; both are initialised, what `to` held is
 * closed. */
void zframe_move(struct zframe *to, struct zframe *from);

/* Receives one frame without waiting, into an initialised frame. Errors: NHUB_EAGAIN, NHUB_ECLOSED
 * (context ends), NHUB_ESYS. */
NHUB_MUST_USE nhub_err zsock_recv(struct zsock *s, struct zframe *f);
/* Sends without waiting. On success the frame is taken (it is empty afterwards); on failure it is
 * still the caller's. Errors: NHUB_EAGAIN full; NHUB_ENOTFOUND router_mandatory and no such peer;
 * NHUB_ECLOSED; NHUB_ESYS. */
NHUB_MUST_USE nhub_err zsock_send(struct zsock *s, struct zframe *f, bool more);
NHUB_MUST_USE nhub_err zsock_send_bytes(struct zsock *s, const void *bytes, size_t len, bool more);
/* Reads and drops the remaining frames of the message being received. */
void zsock_skip_message(struct zsock *s, const struct zframe *last);

/* zmq_poll over sockets and descriptors. */
struct zpoll_item {
    struct zsock *sock; /* or NULL and fd */
    int fd;
    bool want_in, want_out;
    bool in, out; /* results */
};
/* Waits at most timeout_ms (-1 = for ever); *out_ready = number of items with results. A signal
 * counts as a time-out. Errors: NHUB_ECLOSED, NHUB_ESYS. At most 16 items. */
NHUB_MUST_USE nhub_err zpoll_wait(struct zpoll_item *items, size_t count, int timeout_ms,
                                  size_t *out_ready);

/* Connection events of a socket: connected means that ZeroMQ's handshake is done, other a handshake
 * that failed. One monitor a socket; destroy *out_events as any socket, but after s: with the
 * events' reader gone, libzmq's I/O thread blocks for ever in the next event and s with it. */
enum zmonitor_event { ZMONITOR_CONNECTED, ZMONITOR_DISCONNECTED, ZMONITOR_OTHER };
NHUB_MUST_USE nhub_err zsock_monitor(struct zsock *s, struct zctx *ctx, struct zsock **out_events);
NHUB_MUST_USE nhub_err zmonitor_next(struct zsock *events,
                                     enum zmonitor_event *out); /* NHUB_EAGAIN when none */

#endif
