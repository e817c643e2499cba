/*
 * server: where it listens, and when there are no descriptors left.
 */
#include "server_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

static bool dials_at(int family, const void *address, socklen_t len)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_connected = fd >= 0 && connect(fd, address, len) == 0;

    assert_true(fd < 0 || close(fd) == 0);
    return is_connected;
}

static bool dials_v4(const struct fixture *f, const char *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(f->port)};

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return dials_at(AF_INET, &address, sizeof address);
}

static bool dials_v6(const struct fixture *f, const char *host)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(f->port)};

    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    return dials_at(AF_INET6, &address, sizeof address);
}

static nhub_err try_to_listen(struct fixture *f, const char *host, uint16_t port)
{
    struct zserver *const before = f->s;
    struct zserver *s = before;
    nhub_err err;

    f->options.host = host;
    f->options.port = port;
    err = zserver_create(&s, &f->options, NULL);
    if (err != NHUB_OK) {
        const int saved = errno;

        assert_ptr_equal(s, before); /* untouched */
        errno = saved;
    } else {
        zserver_destroy(&s);
    }
    return err;
}

static void a_port_that_is_taken_is_told(void **state)
{
    struct fixture *f = *state;

    start(f, ZSERVER_PULL);
    for (int type = ZSERVER_PULL; type <= ZSERVER_ROUTER; type++) {
        f->options.type = (enum zserver_type)type;
        errno = 0;
        assert_int_equal(try_to_listen(f, "127.0.0.1", f->port), NHUB_ESYS);
        assert_int_equal(errno, EADDRINUSE);
    }
    zserver_destroy(&f->s);
    assert_int_equal(try_to_listen(f, "127.0.0.1", f->port), NHUB_OK);
}

static void an_address_that_is_not_ours_is_told(void **state)
{
    struct fixture *f = *state;
    char long_one[600];

    memset(long_one, 'a', sizeof long_one);
    long_one[sizeof long_one - 1] = '\0';
    assert_int_equal(try_to_listen(f, "192.0.2.1", 0), NHUB_ESYS);
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_int_equal(try_to_listen(f, "256.1.1.1", 0), NHUB_EINVAL);
    assert_int_equal(try_to_listen(f, "no such host", 0), NHUB_EINVAL);
    assert_int_equal(try_to_listen(f, "[::1", 0), NHUB_EINVAL);
    assert_int_equal(try_to_listen(f, "[::1]", 0), NHUB_EINVAL);
    assert_int_equal(try_to_listen(f, long_one, 0), NHUB_EINVAL);
}

static void an_address_is_listened_at_alone(void **state)
{
    struct fixture *f = *state;

    f->options.host = "127.0.0.2";
    start(f, ZSERVER_PULL);
    assert_true(dials_v4(f, "127.0.0.2"));
    assert_false(dials_v4(f, "127.0.0.1"));
}

/* A port that is given is the one that is bound. */
static void a_port_is_found_or_taken(void **state)
{
    struct fixture *f = *state;
    uint16_t port;

    start(f, ZSERVER_PULL);
    port = f->port;
    zserver_destroy(&f->s);
    f->options.port = port;
    f->port = 0;
    start(f, ZSERVER_PUB);
    assert_int_equal(f->port, port);
    assert_true(dials_v4(f, "127.0.0.1"));
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    assert_true(fd < 0 || close(fd) == 0);
    return has;
}

static void ipv6_stands_without_brackets(void **state)
{
    struct fixture *f = *state;

    if (!has_ipv6()) {
        skip();
    }
    f->options.host = "::1";
    start(f, ZSERVER_PULL);
    assert_true(dials_v6(f, "::1"));
    assert_false(dials_v4(f, "127.0.0.1"));
}

static void a_star_is_every_address(void **state)
{
    struct fixture *f = *state;

    f->options.host = "*";
    start(f, ZSERVER_PULL);
    assert_true(dials_v4(f, "127.0.0.1"));
    assert_true(dials_v4(f, "127.0.0.2"));
    assert_true(!has_ipv6() || dials_v6(f, "::1"));
}

static void an_interface_has_a_name(void **state)
{
    struct fixture *f = *state;

    f->options.host = "lo";
    start(f, ZSERVER_PULL);
    assert_true(dials_v4(f, "127.0.0.1"));
    assert_int_equal(try_to_listen(f, "lo77", 0), NHUB_EINVAL);
}

static void localhost_is_found(void **state)
{
    struct fixture *f = *state;

    f->options.host = "localhost";
    start(f, ZSERVER_PULL);
    assert_true(dials_v4(f, "127.0.0.1"));
}

static int lowest_free_fd(void)
{
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && close(fd) == 0);
    return fd;
}

/* Who cannot be taken waits until the next tick; meanwhile there is nothing to do. */
static void without_descriptors_it_does_not_listen(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    struct rlimit low;
    struct pollfd item = {.events = POLLIN};
    struct peer *good;
    struct peer *late;

    start(f, ZSERVER_PULL);
    good = open_peer(f);
    late = dial(f);
    add_handshake(&late->to_say, "PUSH");
    say_text(late, "late");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)lowest_free_fd();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    DRIVE_UNTIL(f, was_logged(f, "accept_failed"));
    item.fd = zserver_fd(f->s);
    assert_int_equal(poll(&item, 1, 0), 0); /* it does not spin */
    say_text(good, "event");
    expect_text(f, "event", false);
    zserver_tick(f->s, clock_mono_ms()); /* still none */
    let_time_pass(f);
    assert_int_equal(poll(&item, 1, 0), 0);
    assert_int_equal(counts(f)->connections, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    let_time_pass(f);
    assert_int_equal(counts(f)->connections, 1);
    zserver_tick(f->s, clock_mono_ms());
    expect_text(f, "late", false);
    assert_int_equal(counts(f)->connections, 2);
    assert_int_equal(counts(f)->refused, 0);
}

static void all_who_come_at_once_are_taken(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 200 };

    start(f, ZSERVER_PULL);
    for (int i = 0; i < MANY; i++) {
        struct peer *p = dial(f);

        add_handshake(&p->to_say, "PUSH");
        say_text(p, "event");
    }
    DRIVE_UNTIL(f, f->taken_count == MANY);
    assert_int_equal(counts(f)->connections, MANY);
    forget_peers(f);
    DRIVE_UNTIL(f, counts(f)->connections == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_port_that_is_taken_is_told),
        TEST(an_address_that_is_not_ours_is_told),
        TEST(an_address_is_listened_at_alone),
        TEST(a_port_is_found_or_taken),
        TEST(ipv6_stands_without_brackets),
        TEST(a_star_is_every_address),
        TEST(an_interface_has_a_name),
        TEST(localhost_is_found),
        TEST(without_descriptors_it_does_not_listen),
        TEST(all_who_come_at_once_are_taken),
    };

    return cmocka_run_group_tests_name("server_listen", tests, NULL, NULL);
}
