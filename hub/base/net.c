/* net: addresses as people write them, and listening sockets. */
#include "base/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

static bool parse_port(const char *text, uint16_t *out)
{
    unsigned long port = 0;
    size_t n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 5; n++) {
        port = port * 10 + (unsigned long)(text[n] - '0');
    }
    if (n == 0 || text[n] != '\0' || port > 65535) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

/* A host of printable characters; colons only between brackets, where an IPv6 address stands. */
static bool is_host(const char *host, size_t len, bool in_brackets)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)host[i];

        if (c <= 0x20 || c >= 0x7f || strchr("[]/\"'", c) || (c == ':' && !in_brackets)) {
            return false;
        }
    }
    return !in_brackets || len > 0;
}

nhub_err net_parse_address(const char *text, struct net_address *out)
{
    struct net_address address = {0};
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len = colon ? (size_t)(colon - text) : 0;
    const bool in_brackets = text[0] == '[';

    if (in_brackets) {
        if (len < 2 || text[len - 1] != ']') {
            return NHUB_EINVAL;
        }
        host++;
        len -= 2;
    }
    if (len >= sizeof address.host || !is_host(host, len, in_brackets) ||
        !parse_port(colon ? colon + 1 : text, &address.port)) {
        return NHUB_EINVAL;
    }
    memcpy(address.host, host, len);
    *out = address;
    return NHUB_OK;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return 0;
    }
    if (addr.ss_family == AF_INET6) {
        memcpy(&in6, &addr, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    memcpy(&in, &addr, sizeof in);
    return ntohs(in.sin_port);
}

/* The address of a network interface: its IPv4 address, its IPv6 address if it has no other. */
static bool find_interface(const char *name, char *out, size_t size)
{
    struct ifaddrs *list = NULL;
    bool is_found = false;
    bool is_v4 = false;

    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = list; i && !is_v4; i = i->ifa_next) {
        const int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const socklen_t len =
            family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

        if (strcmp(i->ifa_name, name) == 0 &&
            (family == AF_INET || (family == AF_INET6 && !is_found)) &&
            getnameinfo(i->ifa_addr, len, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0) {
            is_found = true;
            is_v4 = family == AF_INET;
        }
    }
    freeifaddrs(list);
    return is_found;
}

/* One attempt at one address; -1 with errno on failure. */
static int listen_on(const struct addrinfo *info, int backlog)
{
    const int on = 1;
    const int off = 0;
    const int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, backlog) != 0) {
        const int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

static int listen_on_first(const struct net_address *address, int family, int backlog,
                           bool *out_resolved)
{
    const bool is_any = address->host[0] == '\0' || strcmp(address->host, "*") == 0;
    const struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    int fd = -1;
    int saved_errno = 0;

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    *out_resolved = getaddrinfo(is_any ? NULL : address->host, port, &hints, &list) == 0;
    if (!*out_resolved) {
        return -1;
    }
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
        fd = listen_on(info, backlog);
        saved_errno = errno;
    }
    freeaddrinfo(list);
    errno = saved_errno;
    return fd;
}

nhub_err net_listen(const struct net_address *address, int backlog, int *out_fd, uint16_t *out_port)
{
    const bool is_any = address->host[0] == '\0' || strcmp(address->host, "*") == 0;
    struct net_address interface = {.port = address->port};
    bool is_resolved = false;
    int fd = -1;

    if (!is_any && find_interface(address->host, interface.host, sizeof interface.host)) {
        address = &interface;
    }
    fd = listen_on_first(address, is_any ? AF_INET6 : AF_UNSPEC, backlog, &is_resolved);
    /* A machine without IPv6 cannot make the socket that takes both kinds. */
    if (fd < 0 && is_any && (!is_resolved || errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        fd = listen_on_first(address, AF_INET, backlog, &is_resolved);
    }
    if (!is_resolved) {
        return NHUB_EINVAL;
    }
    if (fd < 0) {
        return NHUB_ESYS;
    }
    *out_fd = fd;
    *out_port = bound_port(fd);
    return NHUB_OK;
}

void net_format_peer(const struct sockaddr *addr, socklen_t len, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_in in = {0};
    struct sockaddr_in6 in6 = {0};

    if (addr && addr->sa_family == AF_INET && len >= sizeof in) {
        memcpy(&in, addr, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        (void)snprintf(out, size, "%s:%u", host, (unsigned)ntohs(in.sin_port));
    } else if (addr && addr->sa_family == AF_INET6 && len >= sizeof in6) {
        memcpy(&in6, addr, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            (void)inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, host, sizeof host);
            (void)snprintf(out, size, "%s:%u", host, (unsigned)ntohs(in6.sin6_port));
        } else {
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
            (void)snprintf(out, size, "[%s]:%u", host, (unsigned)ntohs(in6.sin6_port));
        }
    } else {
        (void)snprintf(out, size, "%s", addr && addr->sa_family == AF_UNIX ? "unix" : "unknown");
    }
}

void net_peer_of(int fd, char *out, size_t size)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
        net_format_peer((const struct sockaddr *)&peer, len, out, size);
    } else {
        (void)snprintf(out, size, "-");
    }
}

bool net_send(int fd, const void *bytes, size_t len, size_t *out_taken)
{
    const char *from = bytes;
    size_t taken = 0;

    while (taken < len) {
        const ssize_t n = send(fd, from + taken, len - taken, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            taken += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            return false;
        }
    }
    *out_taken = taken;
    return true;
}

void net_set_stream_options(int fd, int keep_idle_s)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, keep_idle_s},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        /* Each is an improvement, none a need. */
        NHUB_IGNORE(setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                               sizeof options[i].value) != 0);
    }
}

bool net_is_loopback(const char *host_or_ip)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strlen(host_or_ip);
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host_or_ip, "localhost") == 0) {
        return true;
    }
    if (len >= 2 && host_or_ip[0] == '[' && host_or_ip[len - 1] == ']') {
        host_or_ip++;
        len -= 2;
    }
    if (len >= sizeof host) {
        return false;
    }
    memcpy(host, host_or_ip, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    }
    return false;
}

size_t net_raise_fd_limit(size_t wanted)
{
    struct rlimit limit = {0};
    rlim_t target = (rlim_t)wanted;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_max != RLIM_INFINITY && target > limit.rlim_max) {
        target = limit.rlim_max;
    }
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < target) {
        const rlim_t before = limit.rlim_cur;

        limit.rlim_cur = target;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before;
        }
    }
    return limit.rlim_cur > SIZE_MAX ? SIZE_MAX : (size_t)limit.rlim_cur;
}

void net_reserve_fds(size_t count)
{
    const int any = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int wanted = count > INT_MAX ? INT_MAX : (int)count;
    const int last = any >= 0 && wanted > 0 ? fcntl(any, F_DUPFD_CLOEXEC, wanted - 1) : -1;

    /* The table keeps its length when its last entry is closed. */
    if (last >= 0) {
        close(last);
    }
    if (any >= 0) {
        close(any);
    }
}
