/*
 * histogram: how often which time was seen: 64 buckets for each power of two (an error below 1.6
 * %), from 1 ns to 2^40 ns (18 minutes); longer ones count as the longest.
 *
 * Threads: none inside; one per thread, merged at the end.
 */
#ifndef NHUB_CLI_HISTOGRAM_H
#define NHUB_CLI_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS   64
#define HISTOGRAM_BUCKETS ((size_t)35 * HISTOGRAM_STEPS)

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max_ns;
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The smallest time that at least the share (0 to 1) of all times does not exceed; 0 when empty. */
uint64_t histogram_quantile_ns(const struct histogram *h, double share);

#endif
