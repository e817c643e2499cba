/*
 * resolver: one look-up of a host, which may take seconds, without waiting for it. An address needs
 * no look-up and is there at once; a name is asked for in a thread of its own.
 *
 * Threads: all calls from one thread.
 */
#ifndef GATEWAY_RESOLVER_H
#define GATEWAY_RESOLVER_H

#include <netdb.h>
#include <notifyhub/error.h>
#include <stdint.h>

struct resolver;

/* Errors: NHUB_ENOMEM, NHUB_ESYS no thread. */
NHUB_MUST_USE nhub_err resolver_start(struct resolver **out, const char *host, uint16_t port);
/* The addresses for a stream socket, to be freed by freeaddrinfo(); given once. Errors: NHUB_EAGAIN
 * still looking; NHUB_ENOTFOUND there are none. */
NHUB_MUST_USE nhub_err resolver_take(struct resolver *r, struct addrinfo **out);
/* At any time: a look-up under way ends by itself. */
void resolver_destroy(struct resolver **r_p);

#endif
