/*
 * link_peer and a name of two addresses: one that is no hub does not hide the other. The resolver
 * is ours, as no name of the machine is sure to have two.
 */
#include "link_peer_fixture.h"

#include "gateway/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* What the next look-up finds: 127.0.0.2, then 127.0.0.1, at one port. */
static uint16_t port_asked_for;

static struct addrinfo *make_address(const char *host, struct addrinfo *next)
{
    const struct addrinfo hints = {
        .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *made = NULL;
    char port[8];

    NHUB_IGNORE(snprintf(port, sizeof port, "%u", (unsigned)port_asked_for) < 0);
    assert_int_equal(getaddrinfo(host, port, &hints, &made), 0);
    made->ai_next = next;
    return made;
}

nhub_err resolver_start(struct resolver **out, const char *host, uint16_t port)
{
    (void)host;
    port_asked_for = port;
    *out = NULL;
    return NHUB_OK;
}

nhub_err resolver_take(struct resolver *r, struct addrinfo **out)
{
    (void)r;
    *out = make_address("127.0.0.2", make_address("127.0.0.1", NULL));
    return NHUB_OK;
}

void resolver_destroy(struct resolver **r_p)
{
    *r_p = NULL;
}

/* The other one, at 127.0.0.2 and the server's port: it takes connections and says `words`, or
 * ends them. */
struct other {
    int listener, conn;
    const char *words;
};

static void start_other(struct other *o, uint16_t port, const char *words)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

    *o = (struct other){.conn = -1, .words = words};
    assert_int_equal(inet_pton(AF_INET, "127.0.0.2", &at.sin_addr), 1);
    o->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(o->listener >= 0);
    assert_int_equal(bind(o->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(o->listener, 16), 0);
}

static void serve_other(struct other *o)
{
    const int conn = accept4(o->listener, NULL, NULL, SOCK_NONBLOCK);

    if (conn < 0) {
        return;
    }
    if (o->conn >= 0) {
        assert_int_equal(close(o->conn), 0);
    }
    o->conn = conn;
    if (o->words) {
        assert_int_equal(send(conn, o->words, strlen(o->words), 0), strlen(o->words));
    } else {
        assert_int_equal(close(conn), 0);
        o->conn = -1;
    }
}

static void stop_other(struct other *o)
{
    if (o->conn >= 0) {
        assert_int_equal(close(o->conn), 0);
    }
    assert_int_equal(close(o->listener), 0);
}

static bool opens(struct fixture *f, struct other *o)
{
    serve_other(o);
    return link_peer_can_send(f->p);
}

static void the_second_is_tried(struct fixture *f, const char *words)
{
    struct other o;

    start_other(&o, f->port, words);
    add_handshake(&f->script, "ROUTER");
    start_peer(f, LINK_PEER_DEALER, "two");
    DRIVE_UNTIL(f, opens(f, &o));
    stop_other(&o);
}

static void behind_one_that_ends_the_connection(void **state)
{
    the_second_is_tried(*state, NULL);
}

static void behind_one_that_speaks_something_else(void **state)
{
    the_second_is_tried(*state, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(behind_one_that_ends_the_connection),
        TEST(behind_one_that_speaks_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
