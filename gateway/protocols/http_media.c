/*
 * http_media: reads Content-Type and Accept.
 */
#include "gateway/protocols/http_media.h"

#include <string.h>
#include <strings.h>

#define Q_ONE 1000u /* weights have at most three digits behind the point */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts blanks at both ends. */
static void trim(const char **p, size_t *len)
{
    while (*len > 0 && is_blank(**p)) {
        (*p)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*p)[*len - 1])) {
        (*len)--;
    }
}

static bool is_word(const char *p, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(p, word, len) == 0;
}

/* The part of a header's element before its first ';', trimmed. */
static void media_type_of(const char *text, size_t len, const char **out, size_t *out_len)
{
    const char *semicolon = len > 0 ? memchr(text, ';', len) : NULL;

    *out = text;
    *out_len = semicolon ? (size_t)(semicolon - text) : len;
    trim(out, out_len);
}

enum body_form media_body_form(const char *type, size_t len, bool has_ce_headers)
{
    static const struct {
        const char *type;
        enum body_form form;
    } forms[] = {
        {"application/json", BODY_JSON},
        {"application/x-ndjson", BODY_NDJSON},
        {"application/x-www-form-urlencoded", BODY_SNIFF},
        {"text/plain", BODY_SNIFF},
        {"", BODY_SNIFF},
    };
    const char *name = "";
    size_t name_len = 0;

    if (type) {
        media_type_of(type, len, &name, &name_len);
    }
    /* The structured modes are told by their type alone, before binary mode (binding, section 3).
     */
    if (is_word(name, name_len, "application/cloudevents+json")) {
        return BODY_CE;
    }
    if (is_word(name, name_len, "application/cloudevents-batch+json")) {
        return BODY_CE_BATCH;
    }
    if (has_ce_headers) {
        return BODY_CE_BINARY;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (is_word(name, name_len, forms[i].type)) {
            return forms[i].form;
        }
    }
    return BODY_UNSUPPORTED;
}

/* "0.5" to 500; what is no weight counts as 1. */
static unsigned parse_weight(const char *p, size_t len)
{
    unsigned weight = 0;
    unsigned unit = Q_ONE;

    for (size_t i = 0; i < len; i++) {
        if (i == 1 && p[i] == '.') {
            continue;
        }
        if (p[i] < '0' || p[i] > '9' || i > 4) {
            return Q_ONE;
        }
        weight += (unsigned)(p[i] - '0') * unit;
        unit /= 10;
    }
    return len == 0 || weight > Q_ONE ? Q_ONE : weight;
}

/* The q parameter of an element of Accept, 1 without one. */
static unsigned weight_of(const char *element, size_t len)
{
    const char *end = element + len;
    const char *at = len > 0 ? memchr(element, ';', len) : NULL;

    while (at) {
        const char *next = memchr(at + 1, ';', (size_t)(end - at - 1));
        const char *name = at + 1;
        size_t name_len = (size_t)((next ? next : end) - name);

        trim(&name, &name_len);
        if (name_len >= 2 && (name[0] == 'q' || name[0] == 'Q') && name[1] == '=') {
            return parse_weight(name + 2, name_len - 2);
        }
        at = next;
    }
    return Q_ONE;
}

/* Notes the weight of one media range, of which the most specific one counts. */
struct wish {
    unsigned weight;
    int rank; /* 0 nothing yet, 1 any type, 2 any subtype, 3 the type itself */
};

static void note(struct wish *wish, int rank, unsigned weight)
{
    if (rank > wish->rank) {
        *wish = (struct wish){.weight = weight, .rank = rank};
    }
}

bool media_wants_event_stream(const char *accept, size_t len)
{
    struct wish stream = {0, 0};
    struct wish json = {0, 0};

    for (size_t at = 0; accept && at < len;) {
        const char *comma = memchr(accept + at, ',', len - at);
        const size_t element_len = comma ? (size_t)(comma - accept) - at : len - at;
        const char *name = NULL;
        size_t name_len = 0;
        const unsigned weight = weight_of(accept + at, element_len);

        media_type_of(accept + at, element_len, &name, &name_len);
        if (is_word(name, name_len, "text/event-stream")) {
            note(&stream, 3, weight);
        } else if (is_word(name, name_len, "application/json")) {
            note(&json, 3, weight);
        } else if (is_word(name, name_len, "application/*")) {
            note(&json, 2, weight);
        } else if (is_word(name, name_len, "*/*")) {
            note(&json, 1, weight);
        }
        at += element_len + 1;
    }
    return stream.weight > 0 && stream.weight >= json.weight;
}

bool media_takes_gzip(const char *encodings, size_t len)
{
    struct wish gzip = {0, 0};

    for (size_t at = 0; encodings && at < len;) {
        const char *comma = memchr(encodings + at, ',', len - at);
        const size_t element_len = comma ? (size_t)(comma - encodings) - at : len - at;
        const char *name = NULL;
        size_t name_len = 0;
        const unsigned weight = weight_of(encodings + at, element_len);

        media_type_of(encodings + at, element_len, &name, &name_len);
        if (is_word(name, name_len, "gzip") || is_word(name, name_len, "x-gzip")) {
            note(&gzip, 2, weight);
        } else if (is_word(name, name_len, "*")) {
            note(&gzip, 1, weight);
        }
        at += element_len + 1;
    }
    return gzip.weight > 0;
}
