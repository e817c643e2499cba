/*
 * http_rates: the newest sample minus the oldest one, by the time between them.
 */
#include "gateway/protocols/http_rates.h"

#define SAMPLES (HTTP_RATES_WINDOW + 1)

const char *http_rate_name(enum http_rate kind)
{
    static const char *const names[RATE_KINDS] = {"requests", "events_in", "published",
                                                  "delivered"};

    return names[kind];
}

static uint64_t sum_of_doors(const counter *counters)
{
    uint64_t sum = 0;

    for (int door = 0; door < GATEWAY_DOORS; door++) {
        sum += counter_get(&counters[door]);
    }
    return sum;
}

void http_rates_tick(struct http_rates *rates, const struct gateway_counters *counters,
                     int64_t now_ms)
{
    const uint64_t newest = rates->ticks % SAMPLES;
    const uint64_t oldest = rates->ticks < SAMPLES ? 0 : (rates->ticks + 1) % SAMPLES;
    const uint64_t totals[RATE_KINDS] = {
        [RATE_REQUESTS] = counter_get(&counters->requests_total),
        [RATE_EVENTS_IN] = counter_get(&counters->events_in_total),
        [RATE_PUBLISHED] = sum_of_doors(counters->published_total),
        [RATE_DELIVERED] = sum_of_doors(counters->delivered_total),
    };
    int64_t span_ms;

    rates->samples[newest].at_ms = now_ms;
    span_ms = now_ms - rates->samples[oldest].at_ms;
    for (int kind = 0; kind < RATE_KINDS; kind++) {
        const uint64_t before = rates->samples[oldest].totals[kind];

        rates->samples[newest].totals[kind] = totals[kind];
        if (span_ms > 0) {
            atomic_store_explicit(&rates->milli_per_s[kind],
                                  (totals[kind] - before) * 1000000 / (uint64_t)span_ms,
                                  memory_order_relaxed);
        }
    }
    rates->ticks++;
}

double http_rates_get(const struct http_rates *rates, enum http_rate kind)
{
    return (double)atomic_load_explicit(&rates->milli_per_s[kind], memory_order_relaxed) / 1000.0;
}
