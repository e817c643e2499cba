/*
 * origin: both headers are cut into host and port, and those are compared.
 */
#include "gateway/protocols/origin.h"

#include <string.h>
#include <strings.h>

struct authority {
    const char *host;
    size_t host_len;
    unsigned port; /* 0 = a default one: 80, 443 or not given */
};

/* "host", "host:port", "[v6]" or "[v6]:port" (RFC 3986, section 3.2, without user information). */
static bool read_authority(const char *text, size_t len, struct authority *out)
{
    const char *const end = text + len;
    const char *p = NULL;

    if (len > 0 && text[0] == '[') {
        p = memchr(text, ']', len);
        p = p ? p + 1 : NULL;
    } else {
        p = memchr(text, ':', len);
        p = p ? p : end;
    }
    if (!p || p == text || memchr(text, '@', len) || memchr(text, '/', len)) {
        return false;
    }
    out->host = text;
    out->host_len = (size_t)(p - text);
    out->port = 0;
    if (p == end) {
        return true;
    }
    if (*p != ':' || end - p > 6) {
        return false;
    }
    for (p++; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }
        out->port = out->port * 10 + (unsigned)(*p - '0');
    }
    out->port = out->port == 80 || out->port == 443 ? 0 : out->port;
    return true;
}

static bool is_same(const char *origin, size_t origin_len, const char *host, size_t host_len)
{
    static const char mark[] = "://";
    const char *scheme_end = memmem(origin, origin_len, mark, sizeof mark - 1);
    struct authority from;
    struct authority to;

    if (!scheme_end || !host) {
        return false;
    }
    scheme_end += sizeof mark - 1;
    return read_authority(scheme_end, origin_len - (size_t)(scheme_end - origin), &from) &&
           read_authority(host, host_len, &to) && from.port == to.port &&
           from.host_len == to.host_len && strncasecmp(from.host, to.host, to.host_len) == 0;
}

static bool is_listed(const char *origin, size_t origin_len, const struct option_list *allowed)
{
    for (size_t i = 0; allowed && i < allowed->count; i++) {
        const char *item = allowed->items[i];

        if (strcmp(item, "*") == 0 ||
            (strlen(item) == origin_len && strncasecmp(item, origin, origin_len) == 0)) {
            return true;
        }
    }
    return false;
}

enum origin_verdict origin_check(const char *origin, size_t origin_len, const char *host,
                                 size_t host_len, const struct option_list *allowed)
{
    if (!origin) {
        return ORIGIN_NONE;
    }
    if (is_same(origin, origin_len, host, host_len)) {
        return ORIGIN_SAME;
    }
    return is_listed(origin, origin_len, allowed) ? ORIGIN_LISTED : ORIGIN_FOREIGN;
}
