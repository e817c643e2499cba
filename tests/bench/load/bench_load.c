/*
 * bench_load: a publisher and many subscribers of a running system; one line of JSON with what it
 * cost and brought. tests/bench/run starts the systems and calls it; --help tells the options.
 *
 * Figures: CPU time of the processes named by --pid (their own process clocks: all threads, the
 * kernel's work in their context too) from the first event published to the last one delivered.
 */
#include "load.h"

#include "base/net.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct load_options options = {
    .subscriber = SUB_WS,
    .sub_path = "/",
    .sub_topic = "bench",
    .subscribers = 1,
    .connecting = 128,
    .publisher = PUB_NONE,
    .pub_path = "/",
    .pub_topic = "bench",
    .content_type = "application/json",
    .before = "",
    .after = "",
    .pub_connections = 1,
    .per_request = 1,
    .size = 200,
    .quiet_s = 3,
};

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("bench_load: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) != 0) {
        die("a measured process is gone");
    }
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t own_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t servers_cpu_ns(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < options.pid_count; i++) {
        clockid_t clock;

        if (clock_getcpuclockid(options.pids[i], &clock) != 0) {
            die("process %d is gone", (int)options.pids[i]);
        }
        sum += clock_ns(clock);
    }
    return sum;
}

uint64_t servers_rss_bytes(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < options.pid_count; i++) {
        char path[64];
        unsigned long pages = 0;
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)options.pids[i]);
        file = fopen(path, "re");
        if (!file || fscanf(file, "%*s %lu", &pages) != 1) {
            die("cannot read %s", path);
        }
        (void)fclose(file);
        sum += (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    return sum;
}

int tcp_connect(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("cannot connect to port %u: %s", (unsigned)port, strerror(errno));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void send_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        const ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            (void)usleep(50);
            continue;
        }
        if (n < 0) {
            die("cannot send: %s", strerror(errno));
        }
        p += n;
        len -= (size_t)n;
    }
}

/* ---- the command line ---- */

static const char *const subscriber_names[] = {"raw", "sse", "ws", "mqtt-ws", "nats-ws", "zmq"};
static const char *const publisher_names[] = {"none", "raw", "http", "ws", "zmq", "mqtt", "nats"};

static int choose(const char *option, const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (int)i;
        }
    }
    die("--%s: unknown kind %s", option, text);
}

static void parse_pids(char *text)
{
    for (char *word = strtok(text, ","); word && options.pid_count < PIDS_MAX;
         word = strtok(NULL, ",")) {
        options.pids[options.pid_count++] = (pid_t)strtol(word, NULL, 10);
    }
}

static const char usage[] =
    "bench_load --subscriber raw|sse|ws|mqtt-ws|nats-ws|zmq --sub-port P [--sub-path PATH]\n"
    "           [--sub-topic T] [--subscribers N] [--connecting N] [--ready-frames N]\n"
    "           --publisher none|raw|http|ws|zmq|mqtt|nats --pub-port P [--pub-path PATH]\n"
    "           [--pub-topic T] [--content-type T] [--before TEXT] [--after TEXT]\n"
    "           [--pub-connections N] [--per-request N] [--size BYTES]\n"
    "           [--types N] [--filters N]\n"
    "           [--rate EVENTS_A_SECOND] [--window EVENTS] [--events N] [--seconds S]\n"
    "           [--warm S] [--quiet S] [--idle S] --pid PID[,PID…]\n"
    "An event's body is BEFORE, a payload of --size bytes that is a JSON object, AFTER.\n";

static void take_option(const char *name, char *value)
{
    const uint64_t number = strtoull(value, NULL, 10);

#define IS(text) (strcmp(name, text) == 0)
    if (IS("subscriber")) {
        options.subscriber = (enum subscriber_kind)choose(name, value, subscriber_names, 6);
    } else if (IS("publisher")) {
        options.publisher = (enum publisher_kind)choose(name, value, publisher_names, 7);
    } else if (IS("sub-port")) {
        options.sub_port = (uint16_t)number;
    } else if (IS("sub-path")) {
        options.sub_path = value;
    } else if (IS("sub-topic")) {
        options.sub_topic = value;
    } else if (IS("subscribers")) {
        options.subscribers = number;
    } else if (IS("connecting")) {
        options.connecting = number;
    } else if (IS("ready-frames")) {
        options.ready_frames = number;
    } else if (IS("pub-port")) {
        options.pub_port = (uint16_t)number;
    } else if (IS("pub-path")) {
        options.pub_path = value;
    } else if (IS("pub-topic")) {
        options.pub_topic = value;
    } else if (IS("content-type")) {
        options.content_type = value;
    } else if (IS("before")) {
        options.before = value;
    } else if (IS("after")) {
        options.after = value;
    } else if (IS("pub-connections")) {
        options.pub_connections = number;
    } else if (IS("types")) {
        options.types = number;
    } else if (IS("filters")) {
        options.filters = number;
    } else if (IS("per-request")) {
        options.per_request = number;
    } else if (IS("size")) {
        options.size = number;
    } else if (IS("rate")) {
        options.rate = number;
    } else if (IS("window")) {
        options.window = number;
    } else if (IS("events")) {
        options.events = number;
    } else if (IS("seconds")) {
        options.seconds = strtod(value, NULL);
    } else if (IS("warm")) {
        options.warm_s = strtod(value, NULL);
    } else if (IS("quiet")) {
        options.quiet_s = strtod(value, NULL);
    } else if (IS("idle")) {
        options.idle_s = strtod(value, NULL);
    } else if (IS("pid")) {
        parse_pids(value);
    } else {
        die("unknown option --%s\n%s", name, usage);
    }
#undef IS
}

static void parse_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            exit(0);
        }
        if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc) {
            die("options are --name value\n%s", usage);
        }
        take_option(argv[i] + 2, argv[i + 1]);
    }
    if (options.size < SIZE_MIN || options.size > 16384 || options.pub_connections == 0 ||
        options.per_request == 0 || options.connecting == 0) {
        die("--size is 48 to 16384; counts are at least 1\n%s", usage);
    }
    if (options.subscriber == SUB_ZMQ) {
        options.subscribers = 1;
    }
}

/* ---- the run ---- */

/* Receives until all that was published has come, or nothing comes any more. */
static void receive(struct subscribers *subscribers, struct shared *shared)
{
    const struct tally *tally = subscribers_tally(subscribers);
    int64_t moved_ns = now_ns();
    uint64_t seen = 0;

    for (;;) {
        subscribers_turn(subscribers, shared, 5);
        const uint64_t published = atomic_load(&shared->published);

        if (tally->delivered != seen || !atomic_load(&shared->is_over)) {
            seen = tally->delivered;
            moved_ns = now_ns();
        }
        if (atomic_load(&shared->is_over) &&
            (tally->delivered >= published * options.subscribers ||
             (double)(now_ns() - moved_ns) > options.quiet_s * 1e9)) {
            return;
        }
    }
}

struct result {
    double connect_s;
    uint64_t rss_before, rss_after;
    int64_t idle_cpu_ns;
    int64_t cpu_ns, own_cpu_ns;
};

static void print(const struct result *r, const struct tally *t, struct shared *shared)
{
    const uint64_t published = atomic_load(&shared->published);
    const int64_t end_ns = t->last_ns > 0 ? t->last_ns : atomic_load(&shared->last_ns);
    const double seconds = (double)(end_ns - atomic_load(&shared->first_ns)) / 1e9;
    const double pub_s =
        (double)(atomic_load(&shared->last_ns) - atomic_load(&shared->first_ns)) / 1e9;
    const double n = options.subscribers > 0 ? (double)options.subscribers : 1;

    printf("{\"subscribers\":%zu,\"connects_per_s\":%.0f,\"bytes_per_connection\":%.0f,"
           "\"idle_cpu_share\":%.5f,",
           options.subscribers, r->connect_s > 0 ? n / r->connect_s : 0,
           ((double)r->rss_after - (double)r->rss_before) / n,
           options.idle_s > 0 ? (double)r->idle_cpu_ns / 1e9 / options.idle_s : 0);
    printf("\"published\":%" PRIu64 ",\"published_per_s\":%.0f,\"accepted\":%" PRIu64
           ",\"accepted_per_s\":%.0f,\"refused\":%" PRIu64 ",",
           published, pub_s > 0 ? (double)published / pub_s : 0, atomic_load(&shared->accepted),
           pub_s > 0 ? (double)atomic_load(&shared->accepted) / pub_s : 0,
           atomic_load(&shared->refused));
    printf("\"delivered\":%" PRIu64 ",\"delivered_per_s\":%.0f,\"lost\":%" PRId64
           ",\"duplicates\":%" PRIu64 ",\"out_of_order\":%" PRIu64 ",\"closed\":%" PRIu64 ",",
           t->delivered, seconds > 0 ? (double)t->delivered / seconds : 0,
           (int64_t)(published * options.subscribers - t->delivered), t->duplicates,
           t->out_of_order, t->closed);
    printf("\"cpu_us_per_delivery\":%.4f,\"cpu_us_per_event\":%.3f,\"cpu_cores\":%.3f,"
           "\"own_cpu_us_per_delivery\":%.4f,\"publisher_cpu_us_per_event\":%.3f,"
           "\"deliveries_per_read\":%.2f,\"bytes_per_delivery\":%.1f,",
           t->delivered ? (double)r->cpu_ns / 1e3 / (double)t->delivered : 0,
           published ? (double)r->cpu_ns / 1e3 / (double)published : 0,
           seconds > 0 ? (double)r->cpu_ns / 1e9 / seconds : 0,
           t->delivered ? (double)r->own_cpu_ns / 1e3 / (double)t->delivered : 0,
           published ? (double)atomic_load(&shared->publisher_cpu_ns) / 1e3 / (double)published : 0,
           t->reads ? (double)t->delivered / (double)t->reads : 0,
           t->delivered ? (double)t->bytes / (double)t->delivered : 0);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"seconds\":%.3f}\n",
           latencies_quantile(&t->latencies, 0.5), latencies_quantile(&t->latencies, 0.99),
           latencies_quantile(&t->latencies, 0.999), seconds);
}

int main(int argc, char **argv)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct result result = {0};
    pid_t publisher = 0;
    int go = -1;

    if (shared == MAP_FAILED) {
        die("no memory");
    }
    parse_arguments(argc, argv);
    (void)net_raise_fd_limit(65536);
    if (options.publisher != PUB_NONE) {
        publisher =
            publisher_start(shared, &go); /* before there are threads and thousands of fds */
    }
    result.rss_before = servers_rss_bytes();
    struct subscribers *subscribers = subscribers_open(&result.connect_s);
    const int64_t idle_from_ns = servers_cpu_ns();
    for (const int64_t end = now_ns() + (int64_t)(options.idle_s * 1e9); now_ns() < end;) {
        subscribers_turn(subscribers, shared, 50);
    }
    result.idle_cpu_ns = servers_cpu_ns() - idle_from_ns;
    result.rss_after = servers_rss_bytes();
    const int64_t cpu_from_ns = servers_cpu_ns();
    const int64_t own_from_ns = own_cpu_ns();
    if (publisher > 0) {
        if (write(go, "g", 1) != 1) {
            die("the publisher is gone");
        }
        receive(subscribers, shared);
        (void)waitpid(publisher, NULL, 0);
    }
    result.cpu_ns = servers_cpu_ns() - cpu_from_ns;
    result.own_cpu_ns = own_cpu_ns() - own_from_ns;
    print(&result, subscribers_tally(subscribers), shared);
    subscribers_close(subscribers);
    return 0;
}
