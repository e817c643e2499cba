/* net: addresses as people write them, good and bad; listening on port 0. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/net.h"

static void good_addresses_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"localhost:0", "localhost", 0},
        {"*:65535", "*", 65535},
        {":80", "", 80},
        {"80", "", 80},
        {"[::]:8080", "::", 8080},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
        {"a-b.example:00080", "a-b.example", 80},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net_address address;

        assert_int_equal(net_parse_address(cases[i].text, &address), NHUB_OK);
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
    }
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const cases[] = {
        "",         "localhost", "a:b",        "a:",         ":",      "a:65536",
        "a:-1",     "a:1x",      "a: 1",       "a b:1",      "::1:80", "[::1]80",
        "[::1]",    "[]:80",     "[::1:80",    "::1]:80",    "a/b:1",  "http://a:1",
        "a:123456", "a\n:1",     "[[::1]]:80", "\xc3\xa4:1", "65536",
    };
    char long_host[300];
    struct net_address address = {.host = "untouched", .port = 7};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(net_parse_address(cases[i], &address), NHUB_EINVAL);
    }
    memset(long_host, 'a', sizeof long_host);
    memcpy(long_host + sizeof long_host - 3, ":1", 3);
    assert_int_equal(net_parse_address(long_host, &address), NHUB_EINVAL);
    assert_string_equal(address.host, "untouched");
    assert_int_equal(address.port, 7);
}

static void listening_on_port_0_tells_the_port(void **state)
{
    const struct net_address address = {.host = "127.0.0.1", .port = 0};
    struct net_address same = address;
    struct sockaddr_in peer = {.sin_family = AF_INET};
    uint16_t port = 0;
    uint16_t ignored = 0;
    int fd = -1;
    int other = -1;

    (void)state;
    assert_int_equal(net_listen(&address, 16, &fd, &port), NHUB_OK);
    assert_int_not_equal(port, 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);

    peer.sin_port = htons(port);
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    other = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(other, (struct sockaddr *)&peer, sizeof peer), 0);
    close(other);

    same.port = port;
    assert_int_equal(net_listen(&same, 16, &other, &ignored), NHUB_ESYS);
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
}

static void any_address_takes_ipv4(void **state)
{
    static const char *const hosts[] = {"*", ""};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct net_address address = {.port = 0};
        struct sockaddr_in peer = {.sin_family = AF_INET};
        uint16_t port = 0;
        int fd = -1;
        int client = socket(AF_INET, SOCK_STREAM, 0);

        memcpy(address.host, hosts[i], strlen(hosts[i]) + 1);
        assert_int_equal(net_listen(&address, 16, &fd, &port), NHUB_OK);
        peer.sin_port = htons(port);
        peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(client, (struct sockaddr *)&peer, sizeof peer), 0);
        close(client);
        close(fd);
    }
}

static void an_address_that_is_not_ours_is_refused(void **state)
{
    const struct net_address foreign = {.host = "192.0.2.1", .port = 0}; /* RFC 5737 */
    const struct net_address no_host = {.host = "no host at all", .port = 0};
    uint16_t port = 0;
    int fd = -1;

    (void)state;
    assert_int_equal(net_listen(&foreign, 16, &fd, &port), NHUB_ESYS);
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_int_equal(net_listen(&no_host, 16, &fd, &port), NHUB_EINVAL);
    assert_int_equal(fd, -1);
}

static void peers_are_formatted(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(5)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(5)};
    const struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[64];

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "1.2.3.4", &in.sin_addr), 1);
    net_format_peer((const struct sockaddr *)&in, sizeof in, text, sizeof text);
    assert_string_equal(text, "1.2.3.4:5");
    assert_int_equal(inet_pton(AF_INET6, "::1", &in6.sin6_addr), 1);
    net_format_peer((const struct sockaddr *)&in6, sizeof in6, text, sizeof text);
    assert_string_equal(text, "[::1]:5");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:1.2.3.4", &in6.sin6_addr), 1);
    net_format_peer((const struct sockaddr *)&in6, sizeof in6, text, sizeof text);
    assert_string_equal(text, "1.2.3.4:5");
    net_format_peer((const struct sockaddr *)&un, sizeof un, text, sizeof text);
    assert_string_equal(text, "unix");
    net_format_peer(NULL, 0, text, sizeof text);
    assert_string_equal(text, "unknown");
    net_format_peer((const struct sockaddr *)&in, 4, text, sizeof text); /* cut short */
    assert_string_equal(text, "unknown");
}

static void loopback_is_known_in_all_its_forms(void **state)
{
    static const char *const ours[] = {"127.0.0.1",        "127.255.0.9", "::1",      "[::1]",
                                       "::ffff:127.0.0.1", "localhost",   "LocalHost"};
    static const char *const foreign[] = {"",
                                          "128.0.0.1",
                                          "10.0.0.1",
                                          "127.0.0.1.example",
                                          "::2",
                                          "::ffff:10.0.0.1",
                                          "localhost.example",
                                          "0.0.0.0",
                                          "*",
                                          "127.1"};

    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        assert_true(net_is_loopback(ours[i]));
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_false(net_is_loopback(foreign[i]));
    }
}

static void the_descriptor_limit_is_raised_and_never_lowered(void **state)
{
    struct rlimit before = {0};
    struct rlimit after = {0};

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(net_raise_fd_limit(16) >= 16);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur == before.rlim_cur);

    after.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(net_raise_fd_limit(256), 256);
    assert_true(net_raise_fd_limit(SIZE_MAX) == before.rlim_max ||
                before.rlim_max == RLIM_INFINITY);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* "FDSize" of this process: the length of the kernel's table. */
static size_t descriptor_table_size(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    size_t size = 0;

    assert_non_null(status);
    while (size == 0 && fgets(line, sizeof line, status)) {
        (void)sscanf(line, "FDSize: %zu", &size);
    }
    (void)fclose(status);
    return size;
}

static void a_reserved_descriptor_table_is_long_and_empty(void **state)
{
    const size_t wanted = net_raise_fd_limit(1000) < 1000 ? net_raise_fd_limit(0) : 1000;
    const int next = dup(0);
    int after = -1;

    (void)state;
    assert_true(next >= 0);
    close(next);
    assert_true(descriptor_table_size() < wanted); /* else this shows nothing */
    net_reserve_fds(wanted);
    assert_true(descriptor_table_size() >= wanted);
    after = dup(0);
    assert_int_equal(after, next);
    close(after);
}

static void a_reserve_beyond_the_limit_does_no_harm(void **state)
{
    const int next = dup(0);
    int after = -1;

    (void)state;
    close(next);
    net_reserve_fds(0);
    net_reserve_fds(SIZE_MAX);
    after = dup(0);
    assert_int_equal(after, next);
    close(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_read),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(listening_on_port_0_tells_the_port),
        cmocka_unit_test(any_address_takes_ipv4),
        cmocka_unit_test(an_address_that_is_not_ours_is_refused),
        cmocka_unit_test(peers_are_formatted),
        cmocka_unit_test(loopback_is_known_in_all_its_forms),
        cmocka_unit_test(the_descriptor_limit_is_raised_and_never_lowered),
        cmocka_unit_test(a_reserved_descriptor_table_is_long_and_empty),
        cmocka_unit_test(a_reserve_beyond_the_limit_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
