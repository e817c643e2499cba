/*
 * bench_forward: what ZeroMQ itself costs: a forwarder that does not look at events, and an echo.
 *
 *   bench_forward [ANSWER_BYTES]
 *
 * Prints "ready PULL_PORT PUB_PORT ROUTER_PORT". Each message on PULL goes out on PUB behind a
 * topic; each message of one frame on ROUTER is answered to its sender, with all of it or with its
 * first ANSWER_BYTES. Sockets are set and read as the hub's are (up to 256 messages a turn), so
 * that the difference is the hub's own work.
 *
 * The hub adds a number and an epoch to each event, 31 to 33 bytes. Here the topic is longer by 28
 * instead: as many as libzmq keeps in a frame without allocating, so that nearly the same bytes go
 * out and the event itself is passed on as it came, without a copy.
 */
#include "base/zsock.h"

#include <stdio.h>
#include <stdlib.h>

#define TURN_BUDGET 256
#define TOPIC       "bench...seq and epoch are so long"

static void forward(struct zsock *pull, struct zsock *pub)
{
    struct zframe frame;

    zframe_init(&frame);
    for (int i = 0; i < TURN_BUDGET && zsock_recv(pull, &frame) == NHUB_OK; i++) {
        if (zsock_send_bytes(pub, TOPIC, sizeof TOPIC - 1, true) != NHUB_OK ||
            zsock_send(pub, &frame, false) != NHUB_OK) {
            zframe_close(&frame);
            zframe_init(&frame);
        }
    }
    zframe_close(&frame);
}

/* Sends the frame, waiting when the peer's pipe is full. */
static void answer(struct zsock *router, struct zframe *frame, bool more)
{
    while (zsock_send(router, frame, more) == NHUB_EAGAIN) {
        struct zpoll_item item = {.sock = router, .want_out = true};
        size_t ready;

        NHUB_IGNORE(zpoll_wait(&item, 1, 10, &ready)); /* tried again in any case */
    }
}

static void echo(struct zsock *router, size_t answer_bytes)
{
    struct zframe frame;
    struct zframe part;

    zframe_init(&frame);
    for (int i = 0; i < TURN_BUDGET && zsock_recv(router, &frame) == NHUB_OK; i++) {
        const bool more = zframe_more(&frame);

        if (!more && zframe_size(&frame) > answer_bytes &&
            zframe_init_copy(&part, zframe_data(&frame), answer_bytes) == NHUB_OK) {
            answer(router, &part, false);
            zframe_close(&part);
        } else {
            answer(router, &frame, more);
        }
    }
    zframe_close(&frame);
}

int main(int argc, char **argv)
{
    const size_t answer_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : SIZE_MAX;
    const struct zsock_options options = {
        .sndhwm = 65536, .rcvhwm = 1000, .linger_ms = 0, .max_msg_bytes = -1};
    struct zctx *ctx = NULL;
    struct zsock *pull = NULL;
    struct zsock *pub = NULL;
    struct zsock *router = NULL;
    uint16_t ports[3];

    if (zctx_create(&ctx) || zsock_create(&pull, ctx, ZSOCK_PULL, &options) ||
        zsock_create(&pub, ctx, ZSOCK_XPUB, &options) ||
        zsock_create(&router, ctx, ZSOCK_ROUTER, &options) ||
        zsock_bind(pull, "127.0.0.1", 0, &ports[0]) || zsock_bind(pub, "127.0.0.1", 0, &ports[1]) ||
        zsock_bind(router, "127.0.0.1", 0, &ports[2])) {
        (void)fputs("bench_forward: cannot bind\n", stderr);
        return 2;
    }
    printf("ready %u %u %u\n", (unsigned)ports[0], (unsigned)ports[1], (unsigned)ports[2]);
    (void)fflush(stdout);
    for (;;) {
        struct zpoll_item items[] = {{.sock = pull, .want_in = true},
                                     {.sock = pub, .want_in = true},
                                     {.sock = router, .want_in = true}};
        size_t ready;
        struct zframe frame;

        if (zpoll_wait(items, 3, -1, &ready) != NHUB_OK) {
            return 1;
        }
        zframe_init(&frame);
        while (zsock_recv(pub, &frame) == NHUB_OK) { /* subscriptions */
        }
        zframe_close(&frame);
        forward(pull, pub);
        echo(router, answer_bytes);
    }
}
