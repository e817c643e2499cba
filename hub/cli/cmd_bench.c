/*
 * bench: publishers and subscribers as threads of this process, a progress line, a result.
 */
#include "base/clock.h"
#include "base/uuid.h"
#include "cli/bench.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 10000
#define TTY_STEP_MS        100
#define PLAIN_STEP_MS      1000

static const struct command_help help = {
    .name = "bench",
    .usage = "",
    .about =
        "Publishes events of a type of its own and receives them again, and tells rates, losses "
        "and\n"
        "latencies (from the publisher's call to the subscriber's handler, both in this process).\n"
        "Without --acked publishers fire and forget; with a gateway each event is a POST and\n"
        "subscribers use SSE. --timeout is how long to wait for the last events without any "
        "coming.",
    .examples = "  notifyhub bench\n"
                "  notifyhub bench --events 100000 --acked --publishers 2 --subscribers 4\n"
                "  notifyhub bench --events 5000 --rate 1000 --size 1000 --json\n"
                "  notifyhub bench --gateway http://localhost:8080 --events 2000\n",
    .exits = "  0 everything arrived · 1 it could not run · 2 wrong usage · 3 nobody answers ·\n"
             "  4 events were refused · 5 events were lost\n",
};

/* Threads. */

static bool start(struct bench *b, struct bench_worker *workers)
{
    const uint64_t each = b->events / b->publishers;

    for (uint64_t i = 0; i < b->publishers + b->subscribers; i++) {
        struct bench_worker *w = &workers[i];
        const bool is_publisher = i < b->publishers;

        w->bench = b;
        w->number = (unsigned)i;
        w->share = is_publisher ? each + (i < b->events % b->publishers ? 1 : 0) : 0;
        if (pthread_create(&w->thread, NULL, is_publisher ? bench_publish : bench_subscribe, w) !=
            0) {
            return false;
        }
        w->is_running = true;
    }
    return true;
}

static void join_all(struct bench *b, struct bench_worker *workers)
{
    atomic_store(&b->is_over, true);
    for (uint64_t i = 0; i < b->publishers + b->subscribers; i++) {
        if (workers[i].is_running) {
            (void)pthread_join(workers[i].thread, NULL);
        }
    }
}

/* Progress. */

static uint64_t received(const struct bench *b, const struct bench_worker *workers)
{
    uint64_t sum = 0;

    for (uint64_t i = b->publishers; i < b->publishers + b->subscribers; i++) {
        sum += counter_get(&workers[i].received);
    }
    return sum;
}

struct progress {
    bool is_tty;
    int64_t start_ms, last_ms;
    uint64_t last_published, last_received;
};

static void show(const struct bench *b, const struct bench_worker *workers, struct progress *p,
                 bool is_last)
{
    const int64_t now_ms = clock_mono_ms();
    const int64_t passed_ms = now_ms - p->last_ms;
    const uint64_t sent = counter_get(&b->published);
    const uint64_t got = received(b, workers);

    if (b->cli->is_quiet || (passed_ms < (p->is_tty ? TTY_STEP_MS : PLAIN_STEP_MS) && !is_last)) {
        return;
    }
    if (!is_last || p->is_tty) {
        const double seconds = passed_ms > 0 ? (double)passed_ms / 1000 : 1;

        (void)fprintf(
            stderr, "%s%5.1f s  published %llu of %llu (%.0f/s)  received %llu (%.0f/s)%s",
            p->is_tty ? "\r\033[K" : "", (double)(now_ms - p->start_ms) / 1000,
            (unsigned long long)sent, (unsigned long long)b->events,
            (double)(sent - p->last_published) / seconds, (unsigned long long)got,
            (double)(got - p->last_received) / seconds, p->is_tty && !is_last ? "" : "\n");
        (void)fflush(stderr);
    }
    p->last_ms = now_ms;
    p->last_published = sent;
    p->last_received = got;
}

/* The course of a run. */

static bool wait_ready(struct bench *b)
{
    const int64_t until_ms = clock_mono_ms() + b->timeout_ms;

    while (atomic_load(&b->ready) < b->subscribers) {
        if (clock_mono_ms() >= until_ms || interrupt_seen()) {
            return false;
        }
        (void)poll(NULL, 0, 2);
    }
    return true;
}

/* Until everything has arrived, or nothing has for a while. Returns the time of the last arrival.
 */
static int64_t wait_arrivals(struct bench *b, const struct bench_worker *workers,
                             struct progress *progress)
{
    uint64_t last = 0;
    int64_t last_ms = clock_mono_ms();

    while (!interrupt_seen()) {
        const uint64_t got = received(b, workers);
        const bool is_sending = atomic_load(&b->publishing) > 0;

        if (got != last || is_sending) {
            last_ms = got != last ? clock_mono_ms() : last_ms;
            last = got;
        }
        if (!is_sending && got >= counter_get(&b->published) * b->subscribers) {
            break;
        }
        if (!is_sending && clock_mono_ms() - last_ms > b->timeout_ms) {
            break;
        }
        show(b, workers, progress, false);
        (void)poll(NULL, 0, 2);
    }
    return b->subscribers > 0 ? last_ms : clock_mono_ms();
}

struct result {
    uint64_t published, acked, refused, unsent, received, lost, gaps;
    double seconds;
    struct histogram deliveries, answers;
};

static void collect(const struct bench *b, const struct bench_worker *workers, struct result *r)
{
    const uint64_t sent = counter_get(&b->published) - counter_get(&b->unsent);

    r->published = counter_get(&b->published);
    r->acked = counter_get(&b->acked);
    r->refused = counter_get(&b->refused);
    r->unsent = counter_get(&b->unsent);
    r->received = received(b, workers);
    r->lost = sent * b->subscribers > r->received ? sent * b->subscribers - r->received : 0;
    for (uint64_t i = 0; i < b->publishers + b->subscribers; i++) {
        histogram_merge(i < b->publishers ? &r->answers : &r->deliveries, &workers[i].latencies);
        r->gaps += counter_get(&workers[i].gaps);
    }
}

/* Output. */

static double us(const struct histogram *h, double share)
{
    return (double)histogram_quantile_ns(h, share) / 1000;
}

static void print_latencies(const char *name, const struct histogram *h, bool is_json)
{
    if (is_json) {
        (void)printf(",\"%s_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p99_9\":%.1f,\"max\":%.1f}", name,
                     us(h, 0.5), us(h, 0.99), us(h, 0.999), (double)h->max_ns / 1000);
    } else if (h->count > 0) {
        (void)printf("%-10s p50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n", name,
                     us(h, 0.5), us(h, 0.99), us(h, 0.999), (double)h->max_ns / 1000);
    }
}

static void print_json(const struct bench *b, const struct result *r)
{
    (void)printf("{\"events\":%llu,\"size\":%llu,\"publishers\":%llu,\"subscribers\":%llu,"
                 "\"acknowledged\":%s,\"seconds\":%.3f,\"published\":%llu,"
                 "\"published_per_s\":%.0f,\"acked\":%llu,\"refused\":%llu,\"unsent\":%llu,"
                 "\"received\":%llu,\"received_per_s\":%.0f,\"lost\":%llu,\"gaps\":%llu",
                 (unsigned long long)b->events, (unsigned long long)b->size,
                 (unsigned long long)b->publishers, (unsigned long long)b->subscribers,
                 b->is_acked ? "true" : "false", r->seconds, (unsigned long long)r->published,
                 (double)r->published / r->seconds, (unsigned long long)r->acked,
                 (unsigned long long)r->refused, (unsigned long long)r->unsent,
                 (unsigned long long)r->received, (double)r->received / r->seconds,
                 (unsigned long long)r->lost, (unsigned long long)r->gaps);
    print_latencies("delivery", &r->deliveries, true);
    print_latencies("answer", &r->answers, true);
    (void)puts("}");
}

static void print_text(const struct bench *b, const struct result *r)
{
    (void)printf("published  %llu events of %llu bytes in %.2f s: %.0f/s (%llu publishers, %s)\n",
                 (unsigned long long)r->published, (unsigned long long)b->size, r->seconds,
                 (double)r->published / r->seconds, (unsigned long long)b->publishers,
                 b->cli->gateway ? "POST"
                 : b->is_acked   ? "acknowledged"
                                 : "fire and forget");
    (void)printf("received   %llu: %.0f/s (%llu subscribers)\n", (unsigned long long)r->received,
                 (double)r->received / r->seconds, (unsigned long long)b->subscribers);
    (void)printf("lost       %llu (gaps told: %llu, refused: %llu, never sent: %llu)\n",
                 (unsigned long long)r->lost, (unsigned long long)r->gaps,
                 (unsigned long long)r->refused, (unsigned long long)r->unsent);
    print_latencies("delivery", &r->deliveries, false);
    print_latencies("answer", &r->answers, false);
}

static int conclude(const struct bench *b, const struct bench_worker *workers,
                    const struct result *r)
{
    for (uint64_t i = 0; i < b->publishers + b->subscribers; i++) {
        if (workers[i].error[0] != '\0') {
            cli_error(b->cli, "%s", workers[i].error);
            break;
        }
    }
    if (r->refused > 0) {
        return CLI_REFUSED;
    }
    if (r->unsent > 0 || (r->published == 0 && !interrupt_seen())) {
        return CLI_UNREACHABLE;
    }
    if (interrupt_seen()) {
        return CLI_NEGATIVE;
    }
    return r->lost > 0 || r->gaps > 0 ? CLI_GAP : CLI_OK;
}

static int measure(struct bench *b, struct bench_worker *workers, struct result *result)
{
    struct progress progress = {.is_tty = isatty(STDERR_FILENO) == 1};
    int64_t end_ms = 0;

    if (!start(b, workers)) {
        join_all(b, workers);
        cli_error(b->cli, "cannot start so many threads");
        return CLI_NEGATIVE;
    }
    if (!wait_ready(b)) {
        join_all(b, workers);
        cli_error(b->cli, "%s does not answer", b->cli->gateway ? "the gateway" : "the hub");
        return CLI_UNREACHABLE;
    }
    progress.start_ms = clock_mono_ms();
    progress.last_ms = progress.start_ms;
    atomic_store(&b->is_started, true);
    end_ms = wait_arrivals(b, workers, &progress);
    show(b, workers, &progress, true);
    join_all(b, workers);
    collect(b, workers, result);
    result->seconds =
        end_ms > progress.start_ms ? (double)(end_ms - progress.start_ms) / 1000 : 0.001;
    (b->cli->is_json ? print_json : print_text)(b, result);
    return cli_flush() ? conclude(b, workers, result) : CLI_NEGATIVE;
}

static int run(struct bench *b)
{
    struct bench_worker *workers = calloc(b->publishers + b->subscribers, sizeof *workers);
    struct result *result = calloc(1, sizeof *result);
    int status = CLI_NEGATIVE;

    if (workers && result) {
        atomic_store(&b->publishing, (unsigned)b->publishers);
        status = measure(b, workers, result);
    } else {
        cli_error(b->cli, "%s", nhub_strerror(NHUB_ENOMEM));
    }
    free(result);
    free(workers);
    return status;
}

int cmd_bench(struct cli *cli, int argc, char **argv)
{
    struct bench b = {.cli = cli,
                      .events = 10000,
                      .size = 200,
                      .publishers = 1,
                      .subscribers = 1,
                      .window = NHUB_WINDOW_MAX};
    const struct arg args[] = {
        {"events", 'n', ARG_NUMBER, &b.events, "N", "events in all (10000)", 1, 0},
        {"size", 's', ARG_NUMBER, &b.size, "BYTES", "bytes of data in each (200)", 0, 1000000},
        {"rate", 'r', ARG_NUMBER, &b.rate, "N", "events per second in all (as fast as possible)", 1,
         100000000},
        {"publishers", 0, ARG_NUMBER, &b.publishers, "N", "publishing threads (1)", 1,
         BENCH_THREADS_MAX},
        {"subscribers", 0, ARG_NUMBER, &b.subscribers, "N", "receiving threads (1)", 0,
         BENCH_THREADS_MAX},
        {"acked", 'a', ARG_FLAG, &b.is_acked, NULL, "wait for the hub's answers", 0, 0},
        {"window", 'w', ARG_NUMBER, &b.window, "N",
         "with --acked: publishes in flight for each publisher (256)", 1, NHUB_WINDOW_MAX},
        {.name = NULL}};
    char id[UUID_TEXT_LEN];
    int status = CLI_OK;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > 0) {
        return args_mistake(cli, &help, "takes no arguments");
    }
    b.timeout_ms = cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS;
    b.is_acked |= cli->gateway != NULL;
    uuid_v4(id);
    (void)snprintf(b.type, sizeof b.type, "bench.%.8s", id);
    interrupt_install();
    return run(&b);
}
