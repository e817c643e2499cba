/*
 * bench: the parts of `notifyhub bench`: cmd_bench.c (options, threads, progress, result),
 * bench_publish.c and bench_subscribe.c (what a thread does).
 *
 * Every event's data carries the sender's number, a running number and the monotonic time at which
 * it was sent; all threads are in this process, so times compare. Its type is of this run alone:
 * "bench.<random>".
 *
 * Threads: each publisher and subscriber has its own; what they share with the main thread is
 * atomic.
 */
#ifndef NHUB_CLI_BENCH_H
#define NHUB_CLI_BENCH_H

#include "base/counter.h"
#include "cli/args.h"
#include "cli/histogram.h"

#include <pthread.h>
#include <stdatomic.h>

#define BENCH_THREADS_MAX 256

struct bench {
    const struct cli *cli;
    uint64_t events; /* in all */
    uint64_t size;   /* bytes of data at least */
    uint64_t rate;   /* events/s in all, 0 = as fast as possible */
    uint64_t publishers, subscribers;
    uint64_t window; /* acknowledged publishes in flight for each publisher */
    bool is_acked;
    int timeout_ms;
    char type[32];

    counter published, acked, refused, unsent;
    atomic_uint ready;      /* subscribers that are listening */
    atomic_uint publishing; /* publishers at work */
    atomic_bool is_started, is_over;
};

struct bench_worker {
    struct bench *bench;
    unsigned number;
    pthread_t thread;
    bool is_running;
    uint64_t share;   /* publisher: events to send */
    counter received; /* subscriber */
    counter gaps;
    struct histogram latencies; /* subscriber: of deliveries; publisher: of answers */
    char error[320];            /* "" = none; read after the join */
};

void *bench_publish(void *worker);
void *bench_subscribe(void *worker);

/* The data of an event: {"p":1,"n":17,"t":123456789,"x":"…"}. */
struct buf;
void bench_write_data(const struct bench *b, unsigned publisher, uint64_t n, struct buf *out);
/* The "t" of it, 0 when it is not there. */
int64_t bench_read_time(const char *data, size_t len);

#endif
