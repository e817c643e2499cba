/*
 * counter: a number that one or more threads raise and any thread reads. Relaxed order: a figure
 * for people, not a signal between threads.
 */
#ifndef NHUB_BASE_COUNTER_H
#define NHUB_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline void counter_add(counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}
static inline void counter_sub(counter *c, uint64_t n)
{
    atomic_fetch_sub_explicit(c, n, memory_order_relaxed);
}
static inline void counter_set(counter *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}
static inline uint64_t counter_get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}
/* Raises it by one: a number that nobody else gets. */
static inline uint64_t counter_next(counter *c)
{
    return atomic_fetch_add_explicit(c, 1, memory_order_relaxed) + 1;
}
/* For a counter with a single writer: a plain load and store, no locked instruction. */
static inline void counter_bump(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
