/*
 * client_id: the name of a client (a session, or a fetch that waits) as the doors show it: its
 * number in base 36.
 *
 * Numbers are given out in ascending order and not twice, over restarts of the gateway either.
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_CLIENT_ID_H
#define GATEWAY_CLIENT_ID_H

#include <notifyhub/error.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_ID_MAX 14 /* with NUL */

void client_id_format(uint64_t number, char out[CLIENT_ID_MAX]);
/* Errors: NHUB_EINVAL. */
NHUB_MUST_USE nhub_err client_id_parse(const char *text, size_t len, uint64_t *out);

#endif
