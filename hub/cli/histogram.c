/*
 * histogram: times below 64 have a bucket each, then 64 for each doubling.
 */
#include "cli/histogram.h"

static size_t bucket_of(uint64_t ns)
{
    unsigned shift = 0;
    size_t index = 0;

    if (ns < HISTOGRAM_STEPS) {
        return (size_t)ns;
    }
    shift = 63U - 6U - (unsigned)__builtin_clzll(ns); /* brings ns into 64 … 127 */
    index = (size_t)(shift + 1) * HISTOGRAM_STEPS + (size_t)((ns >> shift) - HISTOGRAM_STEPS);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

/* The largest time in a bucket. */
static uint64_t top_of(size_t bucket)
{
    const size_t shift = bucket / HISTOGRAM_STEPS;

    if (shift == 0) {
        return bucket;
    }
    return ((HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1) << (shift - 1)) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->buckets[bucket_of(ns)]++;
    h->count++;
    if (ns > h->max_ns) {
        h->max_ns = ns;
    }
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
}

uint64_t histogram_quantile_ns(const struct histogram *h, double share)
{
    const double wanted = share * (double)h->count;
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            return top_of(i) < h->max_ns ? top_of(i) : h->max_ns;
        }
    }
    return h->max_ns;
}
