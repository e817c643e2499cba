/* ws_head: peeked at, read, and written anew. */
#include "gateway/protocols/ws_head.h"

#include "gateway/protocols/http_head.h"

#include <string.h>
#include <sys/socket.h>

static void write_handshake(const struct http_head *head, struct buf *out)
{
    /* Any host will do there, but an empty one, which a client may send, would not. */
    buf_add_str(out, "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    buf_add(out, head->ws_key.p, head->ws_key.len);
    buf_add_str(out, head->names_our_protocol ? "\r\nSec-WebSocket-Protocol: " WS_PROTOCOL_NAME
                                                "\r\n\r\n"
                                              : "\r\n\r\n");
}

bool ws_head_take(int fd, struct ws_env *env, struct stream_query *query, struct buf *out)
{
    char text[WS_HEAD_MAX];
    const ssize_t n = recv(fd, text, sizeof text, MSG_PEEK | MSG_DONTWAIT);
    enum reject_reason reason = REJECT_BAD_QUERY;
    struct http_head head;
    char detail[160];

    memset(query, 0, sizeof *query);
    if (n <= 0 || http_head_parse(text, (size_t)n, &head) != HTTP_HEAD_COMPLETE) {
        return false;
    }
    if (head.query.p && query_parse(head.query.p, head.query.len, QUERY_DOOR_WS,
                                    (size_t)env->settings->gateway.max_patterns, query, &reason,
                                    detail, sizeof detail) != NHUB_OK) {
        ws_conn_count_reject(env, reason);
        return false;
    }
    write_handshake(&head, out);
    return !out->failed && recv(fd, text, head.length, MSG_DONTWAIT) == (ssize_t)head.length;
}
