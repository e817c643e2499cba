/*
 * ws_peer: one WebSocket connection: its socket, what that did not take yet, the reader of its
 * frames, and its end (RFC 6455):
 *
 *   we close:     our close frame behind what waits ─▶ the client's ─▶ the socket is closed
 *   it closes:    what waits ─▶ our answer ─▶ the socket is closed
 *   it is broken: our close frame ─▶ our side ends ─▶ what still comes is thrown away, to its end
 *   it is killed: both sides end ─▶ the loop tells so
 *
 * In the third case a close with unread bytes would reset the connection, and the reset can
 * overtake the close frame. A peer frees itself in its own turn of the loop only, never below a
 * call of the session's.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_PROTOCOLS_WS_PEER_H
#define GATEWAY_PROTOCOLS_WS_PEER_H

#include "base/buf.h"
#include "gateway/event_loop.h"
#include "gateway/fanout/list.h"
#include "gateway/protocols/ws_conn.h"

#define WS_READ_SIZE 4096 /* at once; a peer that is not read may hold as much */

struct ws_opening;

/* What all peers share. */
struct ws_room {
    struct event_loop *loop; /* borrowed */
    struct ws_env *env;      /* borrowed */
    struct list peers;       /* struct ws_peer by its link */
    size_t count;
    size_t closing_bytes;  /* held by peers that close and do not read */
    struct list receiving; /* those with a part of a message, the longest at it first */
    size_t message_bytes;  /* held by these parts */
    bool is_closing;       /* new ones are sent away */
    struct buf opening;    /* what the peer that is being opened gets in one packet */
    char bytes[WS_READ_SIZE];
};

struct ws_peer;

/* Opens a connection; it joins the room, and leaves it when it has ended. Takes the opening in
 * every case. */
void ws_peer_open(struct ws_room *room, struct ws_opening **opening_p);
/* Ends the connection at once. */
void ws_peer_free(struct ws_peer *p);
struct ws_peer *ws_peer_of(struct list *link);
/* Begins to close; false when it ends already. */
bool ws_peer_end(struct ws_peer *p, enum session_end why);
void ws_peer_tick(struct ws_peer *p, int64_t now_ms); /* each second */

#endif
