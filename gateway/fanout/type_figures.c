/* type_figures: a ring of seconds, and publishers read from the head of the line. */
#include "gateway/fanout/type_figures.h"

#include <stdlib.h>
#include <string.h>

#define RING (TYPE_RATE_S + 1)

/* Moves the ring on to this second: those that were skipped had no event. */
static void move_to(struct type_figures *t, int64_t second)
{
    if (second - t->second >= RING) {
        memset(t->per_s, 0, sizeof t->per_s);
    } else {
        for (int64_t s = t->second + 1; s <= second; s++) {
            t->per_s[s % RING] = 0;
        }
    }
    t->second = second;
}

/* The end of the JSON string that begins at p; NULL when it does not end. */
static const char *string_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\') {
            p++;
        } else if (*p == '"') {
            return p + 1;
        }
    }
    return NULL;
}

/* The value of source_service as it stands in a canonical line, where it is the second member
 * (PROTOCOL.md, "The event"). NULL when it is none that we keep. */
static const char *source_of(const struct feed_event *e, size_t *out_len)
{
    static const char first[] = "{\"event_type\":\"";
    static const char second[] = ",\"source_service\":\"";
    const char *const end = e->line + e->line_len;
    const char *at = e->line + sizeof first - 2; /* at the quote */
    const char *start = NULL;

    if (e->line_len < sizeof first || memcmp(e->line, first, sizeof first - 1) != 0) {
        return NULL;
    }
    at = string_end(at, end);
    if (!at || (size_t)(end - at) < sizeof second || memcmp(at, second, sizeof second - 1) != 0) {
        return NULL;
    }
    start = at + sizeof second - 2;
    at = string_end(start, end);
    *out_len = at ? (size_t)(at - start) : 0;
    return at && *out_len <= TYPE_SOURCE_MAX ? start : NULL;
}

static void to_front(struct type_figures *t, int i)
{
    struct type_source *source = t->sources[i];

    memmove(&t->sources[1], &t->sources[0], (size_t)i * sizeof t->sources[0]);
    t->sources[0] = source;
}

static size_t size_of(const struct type_source *source)
{
    return source ? sizeof *source + source->len : 0;
}

/* A publisher that is new takes the place of the one that was silent longest. */
static ptrdiff_t note_source(struct type_figures *t, const char *text, size_t len)
{
    struct type_source *source = NULL;
    size_t before = 0;

    for (int i = 0; i < TYPE_SOURCES && t->sources[i]; i++) {
        if (t->sources[i]->len == len && memcmp(t->sources[i]->text, text, len) == 0) {
            t->sources[i]->count++;
            to_front(t, i);
            return 0;
        }
    }
    source = malloc(sizeof *source + len);
    if (!source) {
        return 0; /* the figures go on without it */
    }
    source->count = 1;
    source->len = len;
    memcpy(source->text, text, len);
    before = size_of(t->sources[TYPE_SOURCES - 1]);
    free(t->sources[TYPE_SOURCES - 1]);
    t->sources[TYPE_SOURCES - 1] = source;
    to_front(t, TYPE_SOURCES - 1);
    return (ptrdiff_t)size_of(source) - (ptrdiff_t)before;
}

ptrdiff_t type_figures_note(struct type_figures *t, const struct feed_event *e, int64_t now_ms)
{
    const int64_t second = now_ms / 1000;
    size_t len = 0;
    const char *source = source_of(e, &len);

    if (second != t->second) {
        move_to(t, second);
    }
    t->count++;
    t->seen_ms = now_ms;
    t->per_s[second % RING]++;
    return source ? note_source(t, source, len) : 0;
}

double type_figures_rate(const struct type_figures *t, int64_t now_ms)
{
    const int64_t second = now_ms / 1000;
    uint64_t sum = 0;

    for (int64_t s = second - TYPE_RATE_S; s < second; s++) {
        if (s >= 0 && s <= t->second && s > t->second - RING) {
            sum += t->per_s[s % RING];
        }
    }
    return (double)sum / TYPE_RATE_S;
}

size_t type_figures_fini(struct type_figures *t)
{
    size_t bytes = 0;

    for (int i = 0; i < TYPE_SOURCES; i++) {
        bytes += size_of(t->sources[i]);
        free(t->sources[i]);
        t->sources[i] = NULL;
    }
    return bytes;
}
