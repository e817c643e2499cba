/*
 * origin: whether a browser's page may talk to this server (design section 6, "Foreign pages").
 *
 * Same origin: host and port of Origin and Host are equal; default ports (80, 443) are dropped, the
 * scheme is ignored because of ingresses; "null" is foreign. Threads: any; pure.
 */
#ifndef GATEWAY_PROTOCOLS_ORIGIN_H
#define GATEWAY_PROTOCOLS_ORIGIN_H

#include "base/options.h"

enum origin_verdict { ORIGIN_NONE, ORIGIN_SAME, ORIGIN_LISTED, ORIGIN_FOREIGN };
/* origin or host may be NULL (absent). allowed: full origins ("https://app.example"), or "*" for
 * any. */
enum origin_verdict origin_check(const char *origin, size_t origin_len, const char *host,
                                 size_t host_len, const struct option_list *allowed);

#endif
