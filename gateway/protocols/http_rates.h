/*
 * http_rates: how fast the gateway's counters have grown over the last seconds.
 *
 * Threads: http_rates_tick() from one, each second; http_rates_get() from any.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_RATES_H
#define GATEWAY_PROTOCOLS_HTTP_RATES_H

#include "gateway/counters.h"

#define HTTP_RATES_WINDOW 5 /* ticks */

enum http_rate { RATE_REQUESTS, RATE_EVENTS_IN, RATE_PUBLISHED, RATE_DELIVERED, RATE_KINDS };
const char *http_rate_name(enum http_rate kind); /* "requests", "events_in" … */

struct http_rates {
    _Atomic uint64_t milli_per_s[RATE_KINDS];
    struct {
        uint64_t totals[RATE_KINDS];
        int64_t at_ms;
    } samples[HTTP_RATES_WINDOW + 1]; /* a ring */
    uint64_t ticks;
};

void http_rates_tick(struct http_rates *rates, const struct gateway_counters *counters,
                     int64_t now_ms);
double http_rates_get(const struct http_rates *rates, enum http_rate kind); /* per second */

#endif
