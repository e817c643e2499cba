/*
 * ws_selftest: the client's side of the test whether the library passes ready-made frames through:
 * a loopback connection, a handshake, and a look at the bytes that come.
 *
 * Threads: none inside. Used at start only.
 */
#ifndef GATEWAY_PROTOCOLS_WS_SELFTEST_H
#define GATEWAY_PROTOCOLS_WS_SELFTEST_H

#include "base/buf.h"

#include <stdbool.h>

#define WS_SELFTEST_TURNS 2000 /* of the loop, at most */

struct ws_selftest {
    int client_fd, server_fd; /* server_fd is for the library; -1 once it has it */
    struct buf frames;        /* what the server is to write: several, one of them in fragments */
    struct buf got;
};

/* False when there is no loopback; the struct is then closed already. */
bool ws_selftest_open(struct ws_selftest *t);
bool ws_selftest_is_done(struct ws_selftest *t); /* reads; true when enough or nothing more came */
bool ws_selftest_passed(struct ws_selftest *t);
void ws_selftest_close(struct ws_selftest *t);

#endif
