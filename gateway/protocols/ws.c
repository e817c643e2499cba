/* ws: the list of the peers; what each of them does is in ws_peer.c. */
#include "gateway/protocols/ws.h"

#include "gateway/protocols/ws_peer.h"

#include <stdlib.h>

struct ws_server {
    struct ws_room room;
};

void ws_adopt(struct ws_server *server, struct ws_opening **opening_p)
{
    ws_peer_open(&server->room, opening_p);
}

size_t ws_count(const struct ws_server *server)
{
    return server->room.count;
}

void ws_end_some(struct ws_server *server, size_t n, enum session_end why)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    server->room.is_closing = true;
    list_foreach (pos, tmp, &server->room.peers) {
        if (n == 0) {
            return;
        }
        if (ws_peer_end(ws_peer_of(pos), why)) {
            n--;
        }
    }
}

void ws_tick(struct ws_server *server, int64_t now_ms)
{
    struct list *pos = NULL;
    struct list *tmp = NULL;

    list_foreach (pos, tmp, &server->room.peers) {
        ws_peer_tick(ws_peer_of(pos), now_ms);
    }
}

nhub_err ws_create(struct ws_server **out, struct event_loop *loop, struct ws_env *env)
{
    struct ws_server *server = calloc(1, sizeof *server);

    if (!server) {
        return NHUB_ENOMEM;
    }
    server->room.loop = loop;
    server->room.env = env;
    list_init(&server->room.peers);
    list_init(&server->room.receiving);
    buf_init(&server->room.opening);
    *out = server;
    return NHUB_OK;
}

void ws_destroy(struct ws_server **server_p)
{
    struct ws_server *server = *server_p;

    *server_p = NULL;
    if (!server) {
        return;
    }
    while (!list_empty(&server->room.peers)) {
        ws_peer_free(ws_peer_of(server->room.peers.next));
    }
    buf_fini(&server->room.opening);
    free(server);
}
