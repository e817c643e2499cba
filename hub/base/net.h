/*
 * net: addresses and sockets as the daemons use them. Threads: any.
 */
#ifndef NHUB_BASE_NET_H
#define NHUB_BASE_NET_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_address {
    char host[256]; /* without brackets; "" or "*" = any */
    uint16_t port;  /* 0 = any free one */
};

/* Reads "host:port", "[v6]:port", ":port" or "port". Errors: NHUB_EINVAL. */
NHUB_MUST_USE nhub_err net_parse_address(const char *text, struct net_address *out);
/* A non-blocking, close-on-exec listening socket with SO_REUSEADDR; IPv6 any also takes IPv4. The
 * host may be the name of a network interface.
 * *out_port is the port really bound. Errors: NHUB_EINVAL no such address; NHUB_ESYS (errno,
 * EADDRINUSE …). */
NHUB_MUST_USE nhub_err net_listen(const struct net_address *address, int backlog, int *out_fd,
                                  uint16_t *out_port);
/* "1.2.3.4:5" or "[::1]:5" into out (size >= 64). */
void net_format_peer(const struct sockaddr *addr, socklen_t len, char *out, size_t size);
/* The same of the other end of a connected socket; "-" when it cannot be told. */
void net_peer_of(int fd, char *out, size_t size);
/* Writes what the socket takes at once, *out_taken bytes of len. False: it takes nothing ever more
 * (errno). */
NHUB_MUST_USE bool net_send(int fd, const void *bytes, size_t len, size_t *out_taken);
/* TCP_NODELAY, and a keepalive that finds a peer that vanished without a word keep_idle_s + 30 s
 * after its last one; of a listening socket, for all that it accepts. Best effort. */
void net_set_stream_options(int fd, int keep_idle_s);
bool net_is_loopback(const char *host_or_ip); /* 127.0.0.0/8, ::1, ::ffff:127.*, localhost */
/* Raises the soft RLIMIT_NOFILE to min(hard, wanted); returns what holds afterwards. */
size_t net_raise_fd_limit(size_t wanted);
/* Makes the process's table of descriptors long enough for count of them, before it has threads:
 * with threads the kernel lets whoever opens a descriptor wait about 10 ms each time it doubles the
 * table. Costs up to 16 bytes of kernel memory for each; best effort. */
void net_reserve_fds(size_t count);

#endif
