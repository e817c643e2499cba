/*
 * load: the parts of bench_load: subscribers of many systems in one process, a publisher in
 * another, and the memory that both share.
 *
 * Each published payload carries a mark of 26 bytes: '^', 16 hexadecimal digits of the publishing
 * time (CLOCK_MONOTONIC, ns), 8 of the event's number from 0, '^'. It is found in any framing and
 * survives any JSON escaping.
 */
#ifndef NHUB_BENCH_LOAD_H
#define NHUB_BENCH_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MARK_LEN  26
#define SIZE_MIN  48 /* of a payload: the mark in its JSON object */
#define PIDS_MAX  32
#define HELLO_MAX 8

enum subscriber_kind { SUB_RAW, SUB_SSE, SUB_WS, SUB_MQTT_WS, SUB_NATS_WS, SUB_ZMQ };
enum publisher_kind { PUB_NONE, PUB_RAW, PUB_HTTP, PUB_WS, PUB_ZMQ, PUB_MQTT, PUB_NATS };

struct load_options {
    enum subscriber_kind subscriber;
    uint16_t sub_port;
    const char *sub_path;
    const char *sub_topic; /* SUB_MQTT_WS, SUB_NATS_WS, SUB_ZMQ */
    size_t subscribers;
    size_t connecting;   /* at once */
    size_t ready_frames; /* a WebSocket is ready after so many frames of the server */
    enum publisher_kind publisher;
    uint16_t pub_port;
    const char *pub_path;
    const char *pub_topic;
    const char *content_type;
    const char *before, *after; /* of the payload in an event's body */
    size_t pub_connections;
    size_t types;       /* '#' in `before` becomes 8 digits of the event's number modulo this */
    size_t filters;     /* SUB_ZMQ: so many prefixes sub_topic + 7 digits; 0 = sub_topic alone */
    size_t per_request; /* events in a body, each a line (NDJSON) */
    size_t size;        /* bytes of a payload: {"m":"<mark>","p":"xxx…"}; SUB_RAW: of a message */
    uint64_t rate;      /* events a second; 0 = as fast as `window` lets */
    uint64_t window;    /* published, and not yet delivered, for each subscriber on average; four
                           times as many for the slowest */
    uint64_t events;    /* ends after so many, … */
    double seconds;     /* … or after this time */
    double warm_s;      /* latencies of events published so early are not noted */
    double quiet_s;     /* what has not come after so long without any is lost */
    double idle_s;      /* waits so long with all connected, and measures */
    pid_t pids[PIDS_MAX];
    size_t pid_count;
};
extern struct load_options options;

/* Both processes see it. */
struct shared {
    _Atomic uint64_t published; /* events */
    _Atomic uint64_t accepted;  /* answered well (PUB_HTTP, PUB_WS) */
    _Atomic uint64_t refused;
    _Atomic uint64_t delivered;        /* over all subscribers */
    _Atomic uint64_t slowest;          /* events that the slowest of them has (TCP) */
    _Atomic bool is_over;              /* the publisher has ended */
    _Atomic bool stop;                 /* it shall end */
    _Atomic int64_t first_ns, last_ns; /* of its publishing */
    _Atomic uint64_t publisher_cpu_ns;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
int64_t now_ns(void);
int64_t own_cpu_ns(void);
/* CPU time of the measured processes, all their threads. */
int64_t servers_cpu_ns(void);
/* Their resident memory. */
uint64_t servers_rss_bytes(void);
int tcp_connect(uint16_t port); /* blocking, TCP_NODELAY */
void send_all(int fd, const void *bytes, size_t len);

/* ---- publisher.c ---- */

/* Forks the publisher; it begins when a byte comes over the pipe whose end is returned. */
pid_t publisher_start(struct shared *shared, int *out_go);
/* Writes an event's payload of options.size bytes with its mark. */
void payload_write(char *out, uint64_t number, int64_t at_ns);

/* ---- subscribers.c ---- */

struct latencies {
    uint64_t counts[4096]; /* 64 per power of two, of microseconds × 8 */
    uint64_t total;
};
void latencies_add(struct latencies *l, int64_t ns);
double latencies_quantile(const struct latencies *l, double q); /* microseconds */

struct tally {
    uint64_t delivered, duplicates, out_of_order;
    uint64_t reads; /* that brought something */
    uint64_t bytes;
    uint64_t closed; /* by the server */
    int64_t first_ns, last_ns;
    struct latencies latencies;
};

struct subscribers;
/* Connects all, several at once. Returns when each is ready. */
struct subscribers *subscribers_open(double *out_seconds);
/* Reads for at most wait_ms. */
void subscribers_turn(struct subscribers *s, struct shared *shared, int wait_ms);
const struct tally *subscribers_tally(const struct subscribers *s);
void subscribers_close(struct subscribers *s);

/* ---- wire.c: what is spoken, as bytes ---- */

/* The opening request of a subscriber. Returns its length. */
size_t wire_open(char *out, size_t size);
/* What follows a WebSocket's upgrade (MQTT, NATS); step from 0. 0 = nothing more. */
size_t wire_hello(char *out, size_t size, size_t step);
/* One masked client frame. */
size_t wire_ws_frame(char *out, unsigned char opcode, const void *bytes, size_t len);
size_t wire_mqtt_connect(char *out, const char *client_id);
size_t wire_mqtt_subscribe(char *out, const char *topic);
size_t wire_mqtt_publish(char *out, const char *topic, const void *bytes, size_t len);

#endif
