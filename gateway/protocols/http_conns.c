/*
 * http_conns: sweeps over the connections of one HTTP thread.
 */
#include "gateway/protocols/http_conns.h"

#include "base/clock.h"
#include "gateway/protocols/http_request.h"

#include <sys/socket.h>

void http_conns_add(struct http_conns *conns, struct http_conn *conn)
{
    conn->prev = NULL;
    conn->next = conns->first;
    if (conn->next) {
        conn->next->prev = conn;
    }
    conns->first = conn;
}

void http_conns_remove(struct http_conns *conns, struct http_conn *conn)
{
    if (conn->prev) {
        conn->prev->next = conn->next;
    } else {
        conns->first = conn->next;
    }
    if (conn->next) {
        conn->next->prev = conn->prev;
    }
}

void http_conn_answer_by_hand(struct http_request *r)
{
    const int fd = r->conn->fd;
    struct buf text;

    buf_init(&text);
    http_answer_write(&r->answer, r->method != HTTP_METHOD_HEAD, &text);
    /* Nothing else waits in this socket's send buffer, so a refusal fits; if it does not after all,
     * a part of it is as good as the reset that would come otherwise. */
    if (!text.failed && send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        shutdown(fd, SHUT_WR);
    }
    buf_fini(&text);
    r->phase = HTTP_PHASE_HUNG_UP;
    r->deadline_ms = clock_mono_ms() + HTTP_DISCARD_MS;
}

static void end_overdue(struct http_request *r)
{
    if (r->phase == HTTP_PHASE_HEAD) {
        http_refuse(r, REJECT_HEAD_TIMEOUT, "the head must be complete within %d s",
                    HTTP_HEAD_MS / 1000);
    } else if (r->phase == HTTP_PHASE_BODY) {
        http_refuse(r, REJECT_BODY_TIMEOUT, "the body arrives too slowly");
    }
    if (r->phase <= HTTP_PHASE_DISCARD) {
        http_conn_answer_by_hand(r);
    }
    r->deadline_ms = 0;
    shutdown(r->conn->fd, SHUT_RDWR); /* the loop sees the end and cleans up */
}

/* True when the client has closed its direction and everything before that was read. */
static bool is_ended(struct http_conn *conn)
{
    char byte;

    if (!list_empty(&conn->again)) {
        return false; /* there is something to read that the kernel no longer has */
    }
    if (conn->is_end_checked) {
        return false; /* an end that arrives by itself is noticed */
    }
    conn->is_end_checked = true;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void http_conn_answer_unfinished(struct http_request *r)
{
    if (r->phase == HTTP_PHASE_HEAD || r->phase == HTTP_PHASE_BODY) {
        http_refuse(r, REJECT_BAD_REQUEST, "the request ends before it is complete");
    }
    if (r->phase <= HTTP_PHASE_DISCARD) {
        http_conn_answer_by_hand(r);
    }
}

void http_conns_sweep(struct http_conns *conns, int64_t now_ms)
{
    for (struct http_conn *conn = conns->first; conn; conn = conn->next) {
        struct http_request *r = conn->request;

        if (!r &&
            now_ms - conn->idle_since_ms > (conn->is_leaving ? HTTP_DISCARD_MS : HTTP_IDLE_MS)) {
            shutdown(conn->fd, SHUT_RDWR);
        } else if (r && r->deadline_ms > 0 && now_ms > r->deadline_ms) {
            end_overdue(r);
        } else if (r && r->phase <= HTTP_PHASE_HUNG_UP && is_ended(conn)) {
            http_conn_answer_unfinished(r);
            shutdown(conn->fd, SHUT_RDWR);
        } else if (!r && is_ended(conn)) {
            shutdown(conn->fd, SHUT_RDWR);
        }
    }
}
