// libs: nhub_zmtp nhub_wire nhub_base
/*
 * Connections that send anything, cut anywhere, to servers of each type, which publish and answer
 * in between; others read and speak well meanwhile. What is given out is whole, counts agree with
 * it, and whoever reads gets whole messages in order.
 *
 * The input is a list of moves: a byte that says which, and what it needs.
 */
#include "base/log.h"
#include "tests/fuzz/jansson_oracle.h"
#include "zmtp/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 4, MESSAGE_MAX = 2000, MOVES_MAX = 400 };

static const char *const peer_types[] = {"PUSH", "SUB", "DEALER"};

struct peer {
    int fd; /* -1 = none */
    struct buf received;
    size_t parsed;
    bool is_good;     /* it said a good handshake first */
    unsigned numbers; /* of the next event at least */
};

struct play {
    const uint8_t *at, *end;
    struct zserver *s;
    enum zserver_type type;
    uint16_t port;
    struct peer peers[PEERS];
    unsigned published;
    uint64_t ids[8]; /* of who was heard last */
    size_t id_count;
    uint64_t inside; /* the peer whose message is under way; 0 = none */
    struct block *frames;
    int frames_ended;
};

static unsigned take_byte(struct play *p)
{
    return p->at < p->end ? *p->at++ : 0;
}

/* ---- peers ---- */

static void hang_up(struct peer *peer, bool is_rude)
{
    const struct linger rude = {.l_onoff = 1, .l_linger = 0};

    if (peer->fd >= 0) {
        EXPECT(!is_rude || setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude) == 0);
        EXPECT(close(peer->fd) == 0);
        peer->fd = -1;
    }
    buf_fini(&peer->received);
    peer->parsed = 0;
}

static void dial(struct play *p, struct peer *peer, bool is_good)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(p->port)};
    struct buf hello;

    hang_up(peer, true);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(peer->fd >= 0);
    if (connect(peer->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        hang_up(peer, true); /* the fuzzer's own alarm, or no port was left: nobody's fault here */
        return;
    }
    peer->is_good = is_good;
    peer->numbers = 0;
    if (is_good) {
        buf_init(&hello);
        zmtp_add_greeting(&hello);
        zmtp_add_ready(&hello, peer_types[p->type]);
        EXPECT(send(peer->fd, hello.data, hello.len, MSG_NOSIGNAL) == (ssize_t)hello.len);
        buf_fini(&hello);
    }
}

/* What a peer hears is ZMTP; events come whole, in order and at most once. */
static void check_heard(struct play *p, struct peer *peer)
{
    struct zmtp_frame frame;
    size_t used = 0;

    if (peer->parsed == 0) {
        const nhub_err err = zmtp_greeting_check(peer->received.data, peer->received.len);

        EXPECT(err == NHUB_OK || err == NHUB_EAGAIN);
        peer->parsed = err == NHUB_OK ? ZMTP_GREETING_LEN : 0;
    }
    while (peer->parsed > 0) {
        const nhub_err err =
            zmtp_frame_read(peer->received.data + peer->parsed, peer->received.len - peer->parsed,
                            SIZE_MAX, &frame, &used);

        EXPECT(err == NHUB_OK || err == NHUB_EAGAIN);
        if (err != NHUB_OK) {
            return;
        }
        peer->parsed += used;
        if (p->type == ZSERVER_PUB && !frame.is_command && !frame.more) {
            unsigned number = 0;

            EXPECT(frame.len >= sizeof number);
            memcpy(&number, frame.bytes, sizeof number);
            EXPECT(number >= peer->numbers && number < p->published);
            for (size_t i = sizeof number; i < frame.len; i++) {
                EXPECT(frame.bytes[i] == (char)number);
            }
            peer->numbers = number + 1;
        }
    }
}

static void hear(struct play *p, struct peer *peer, size_t most)
{
    ssize_t n = 0;

    if (peer->fd < 0 || buf_reserve(&peer->received, most) != NHUB_OK) {
        return;
    }
    n = recv(peer->fd, peer->received.data + peer->received.len, most, MSG_DONTWAIT);
    if (n > 0) {
        peer->received.len += (size_t)n;
        check_heard(p, peer);
    }
}

/* ---- the server ---- */

static void note_end(void *context, struct block *b)
{
    EXPECT(b->refs == 0);
    ++*(int *)context;
}

/* Frames of a message come one after the other, and all of them. */
static void take_all(struct play *p)
{
    struct zpeer *peer = NULL;
    struct zmtp_frame frame;
    nhub_err err = NHUB_OK;

    for (int i = 0; i < 10000 && (err = zserver_next(p->s, &peer, &frame)) == NHUB_OK; i++) {
        char *copy = exact_copy(frame.bytes, frame.len);

        free(copy);
        EXPECT(!frame.is_command && frame.len <= MESSAGE_MAX);
        EXPECT(p->inside == 0 || p->inside == zpeer_id(peer));
        p->inside = frame.more && p->type == ZSERVER_ROUTER ? zpeer_id(peer) : 0;
        p->ids[p->id_count++ % 8] = zpeer_id(peer);
    }
    EXPECT(err == NHUB_OK || err == NHUB_EAGAIN);
    EXPECT(err == NHUB_OK || p->inside == 0);
}

static void check_counts(const struct play *p)
{
    const struct zserver_counts *c = zserver_counts(p->s);

    EXPECT(c->unsubscribed <= c->subscribed);
    EXPECT(c->failed == 0);
    EXPECT(p->type == ZSERVER_PUB || c->subscribed + c->noise + c->too_long == 0);
    EXPECT(c->connections > 0 || (!zserver_is_writing(p->s) && c->unsubscribed == c->subscribed));
}

static void turn(struct play *p)
{
    zserver_turn(p->s);
    take_all(p);
    zserver_flush(p->s);
    check_counts(p);
}

static void publish(struct play *p, size_t len)
{
    static const char *const types[] = {"", "a", "ab", "b", "order.paid"};
    char line[5000];
    const unsigned number = p->published++;

    memset(line, (int)(unsigned char)number, sizeof line);
    memcpy(line, &number, sizeof number);
    len = len < sizeof number ? sizeof number : len > sizeof line ? sizeof line : len;
    zserver_publish(p->s, types[number % 5], strlen(types[number % 5]), line, len);
}

static void answer(struct play *p, unsigned which)
{
    const uint64_t id = which % 16 < 8 ? p->ids[which % 8] : which;
    const nhub_err err =
        zserver_answer(p->s, id, "R", "{}", which % 3, which & 1 ? p->frames : NULL);

    EXPECT(err == NHUB_OK || err == NHUB_EAGAIN || err == NHUB_ENOTFOUND);
}

static void start(struct play *p, unsigned how)
{
    struct zserver_options options = {.host = "127.0.0.1",
                                      .message_max = MESSAGE_MAX,
                                      .block_bytes = how & 8 ? 512 : 4096,
                                      .queue_max = how & 16 ? 4 : 1000};
    struct buf bytes;

    p->type = (enum zserver_type)(how % 3);
    options.type = p->type;
    options.held_max = p->type == ZSERVER_PUB && (how & 32) ? 8192 : 0;
    EXPECT(zserver_create(&p->s, &options, &p->port) == NHUB_OK);
    buf_init(&bytes);
    zmtp_add_frame(&bytes, "shared", 6, true);
    zmtp_add_frame(&bytes, "frames", 6, false);
    EXPECT(block_create(&p->frames, bytes.len) == NHUB_OK);
    memcpy(p->frames->bytes, bytes.data, bytes.len);
    p->frames->len = bytes.len;
    p->frames->gone = note_end;
    p->frames->context = &p->frames_ended;
    buf_fini(&bytes);
}

/* ---- moves ---- */

static void say(struct play *p, struct peer *peer)
{
    const size_t wanted = take_byte(p);
    const size_t len = wanted < (size_t)(p->end - p->at) ? wanted : (size_t)(p->end - p->at);

    if (peer->fd >= 0 && len > 0) {
        NHUB_IGNORE(send(peer->fd, p->at, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
    }
    p->at += len;
}

static void move(struct play *p)
{
    const unsigned what = take_byte(p);
    struct peer *peer = &p->peers[what % PEERS];

    switch (what / PEERS % 8) {
    case 0:
        dial(p, peer, true);
        break;
    case 1:
        dial(p, peer, false);
        break;
    case 2:
    case 3:
        say(p, peer);
        break;
    case 4:
        hear(p, peer, what & 128 ? 65536 : 1 + take_byte(p));
        break;
    case 5:
        hang_up(peer, what & 128);
        break;
    case 6:
        if (p->type == ZSERVER_PUB) {
            publish(p, take_byte(p) * (what & 128 ? 20 : 1));
        } else if (p->type == ZSERVER_ROUTER) {
            answer(p, take_byte(p));
        }
        break;
    default:
        break;
    }
    if ((what & 64) == 0) {
        turn(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.at = data, .end = data + size};

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < PEERS; i++) {
        p.peers[i].fd = -1;
    }
    start(&p, take_byte(&p));
    for (int i = 0; i < MOVES_MAX && p.at < p.end; i++) {
        move(&p);
    }
    for (size_t i = 0; i < PEERS; i++) {
        hear(&p, &p.peers[i], 65536);
    }
    turn(&p);
    if (take_byte(&p) == 0) { /* the peers go first, or the server */
        for (size_t i = 0; i < PEERS; i++) {
            hang_up(&p.peers[i], i % 2);
        }
        turn(&p);
    }
    zserver_destroy(&p.s);
    EXPECT(p.frames->refs == 1);
    block_unref(&p.frames);
    EXPECT(p.frames_ended == 1);
    for (size_t i = 0; i < PEERS; i++) {
        hang_up(&p.peers[i], true);
    }
    return 0;
}
