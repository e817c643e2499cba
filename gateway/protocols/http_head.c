/*
 * http_head: line by line; a line without its LF makes the head incomplete.
 */
#include "gateway/protocols/http_head.h"

#include "gateway/protocols/ws_conn.h"

#include <string.h>
#include <strings.h>

bool http_text_is(const struct http_text *text, const char *word)
{
    return text->p && text->len == strlen(word) && memcmp(text->p, word, text->len) == 0;
}

static bool is_word(const struct http_text *text, const char *word)
{
    return text->p && text->len == strlen(word) && strncasecmp(text->p, word, text->len) == 0;
}

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           (c != '\0' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

static struct http_text trimmed(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (struct http_text){p, (size_t)(end - p)};
}

static bool has_control(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p >= 0x20 && *p != 0x7F) {
        p++;
    }
    return p < end;
}

bool http_head_request_line(const char *line, const char *end, struct http_head *out)
{
    static const char version[] = "HTTP/1.";
    const size_t version_len = sizeof version; /* with the last digit instead of the NUL */
    const char *target = line;
    const char *target_end = NULL;
    const char *mark = NULL;

    while (target < end && is_token_char(*target)) {
        target++;
    }
    out->method = (struct http_text){line, (size_t)(target - line)};
    if (target == line || target == end || *target != ' ') {
        return false;
    }
    target++;
    target_end = memchr(target, ' ', (size_t)(end - target));
    if (!target_end || target_end == target || (size_t)(end - target_end - 1) != version_len ||
        memcmp(target_end + 1, version, version_len - 1) != 0 || end[-1] < '0' || end[-1] > '9' ||
        has_control(target, target_end)) {
        return false;
    }
    out->is_http11 = end[-1] != '0';
    mark = memchr(target, '?', (size_t)(target_end - target));
    out->path = (struct http_text){target, (size_t)((mark ? mark : target_end) - target)};
    if (mark) {
        out->query = (struct http_text){mark + 1, (size_t)(target_end - mark - 1)};
    }
    return true;
}

/* True when a comma-separated list has the word; what follows a ';' in an element (parameters) is
 * not part of it. */
static bool list_has(const struct http_text *list, const char *word)
{
    const char *p = list->p;
    const char *const end = list->p + list->len;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *element_end = comma ? comma : end;
        const char *semicolon = memchr(p, ';', (size_t)(element_end - p));
        const struct http_text element = trimmed(p, semicolon ? semicolon : element_end);

        if (is_word(&element, word)) {
            return true;
        }
        p = comma ? comma + 1 : end;
    }
    return false;
}

static void set_once(struct http_head *head, struct http_text *field, const struct http_text *value)
{
    head->has_repeats = head->has_repeats || field->p != NULL;
    *field = *value;
}

/* Digits only, and not more of them than a signed 64-bit number always holds. */
static bool is_length(const struct http_text *value)
{
    size_t i = 0;

    while (i < value->len && value->p[i] >= '0' && value->p[i] <= '9') {
        i++;
    }
    return i == value->len && i > 0 && i <= 18;
}

static bool is_subprotocol(const struct http_text *text)
{
    size_t i = 0;

    while (i < text->len && is_token_char(text->p[i])) {
        i++;
    }
    return i == text->len && i > 0 && i <= HTTP_HEAD_SUBPROTOCOL_MAX;
}

/* Names of subprotocols are compared with their case (RFC 6455, section 4.2.2). */
static void take_subprotocols(struct http_head *out, const struct http_text *value)
{
    const char *p = value->p;
    const char *const end = value->p + value->len;

    out->subprotocol_bytes += value->len;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const struct http_text name = trimmed(p, comma ? comma : end);

        out->names_our_protocol = out->names_our_protocol || http_text_is(&name, WS_PROTOCOL_NAME);
        out->has_odd_subprotocol = out->has_odd_subprotocol || !is_subprotocol(&name);
        p = comma ? comma + 1 : end;
    }
}

static void take_header(struct http_head *out, const struct http_text *name,
                        const struct http_text *value)
{
    if (is_word(name, "host")) {
        set_once(out, &out->host, value);
    } else if (is_word(name, "origin")) {
        set_once(out, &out->origin, value);
    } else if (is_word(name, "sec-websocket-key")) {
        set_once(out, &out->ws_key, value);
    } else if (is_word(name, "sec-websocket-version")) {
        set_once(out, &out->ws_version, value);
    } else if (is_word(name, "sec-websocket-protocol")) {
        take_subprotocols(out, value);
    } else if (is_word(name, "upgrade")) {
        out->upgrade_websocket = out->upgrade_websocket || list_has(value, "websocket");
    } else if (is_word(name, "connection")) {
        out->connection_upgrade = out->connection_upgrade || list_has(value, "upgrade");
    } else if (is_word(name, "accept")) {
        out->accepts_events = out->accepts_events || list_has(value, "text/event-stream");
    } else if (is_word(name, "content-length")) {
        out->has_bad_length = out->has_bad_length || !is_length(value);
    }
}

bool http_head_field(const char *line, const char *end, struct http_text *name,
                     struct http_text *value)
{
    const char *colon = line;

    while (colon < end && is_token_char(*colon)) {
        colon++;
    }
    if (colon == line || colon == end || *colon != ':' ||
        memchr(line, '\0', (size_t)(end - line)) || memchr(line, '\r', (size_t)(end - line))) {
        return false;
    }
    *name = (struct http_text){line, (size_t)(colon - line)};
    *value = trimmed(colon + 1, end);
    return true;
}

static bool read_header(const char *line, const char *end, struct http_head *out)
{
    struct http_text name;
    struct http_text value;

    if (!http_head_field(line, end, &name, &value)) {
        return false;
    }
    take_header(out, &name, &value);
    return true;
}

/* An unfinished first line that can no longer become a request: noise, or TLS. */
static bool is_noise(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && is_token_char(text[i])) {
        i++;
    }
    return i < len && (i == 0 || text[i] != ' ');
}

enum http_head_state http_head_parse(const char *text, size_t len, struct http_head *out)
{
    const char *line = text;
    const char *const end = text + len;
    bool has_request_line = false;

    memset(out, 0, sizeof *out);
    while (line < end) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = NULL;

        if (!feed) {
            break;
        }
        line_end = feed > line && feed[-1] == '\r' ? feed - 1 : feed;
        if (!has_request_line) {
            /* Empty lines before a request are skipped (RFC 9112, section 2.2). */
            if (line_end > line) {
                if (!http_head_request_line(line, line_end, out)) {
                    return HTTP_HEAD_MALFORMED;
                }
                has_request_line = true;
            }
        } else if (line_end == line) {
            out->length = (size_t)(feed + 1 - text);
            return HTTP_HEAD_COMPLETE;
        } else if (!read_header(line, line_end, out)) {
            return HTTP_HEAD_MALFORMED;
        } else {
            out->header_count++;
        }
        line = feed + 1;
    }
    if (!has_request_line && line < end && *line != '\r' && is_noise(line, (size_t)(end - line))) {
        return HTTP_HEAD_MALFORMED;
    }
    return HTTP_HEAD_INCOMPLETE;
}

bool http_head_is_acceptable(const struct http_head *head)
{
    return (head->host.p || !head->is_http11) && !head->has_bad_length;
}

/* Sec-WebSocket-Key: 16 bytes in base64, so 22 characters and "==". */
static bool is_ws_key(const struct http_text *key)
{
    if (!key->p || key->len != 24 || key->p[22] != '=' || key->p[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        const char c = key->p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/')) {
            return false;
        }
    }
    return true;
}

bool http_head_subprotocols_fit(const struct http_head *head)
{
    return head->subprotocol_bytes == 0 ||
           (head->names_our_protocol && !head->has_odd_subprotocol &&
            head->subprotocol_bytes <= HTTP_HEAD_SUBPROTOCOLS_MAX);
}

bool http_head_is_upgrade(const struct http_head *head)
{
    return http_text_is(&head->method, "GET") && head->is_http11 && !head->has_repeats &&
           head->host.p && head->upgrade_websocket && head->connection_upgrade &&
           is_ws_key(&head->ws_key) && http_text_is(&head->ws_version, "13") &&
           http_head_subprotocols_fit(head);
}
