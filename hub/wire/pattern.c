/*
 * Matching with one point of return: behind a second * the first never needs another try, because
 * whatever it could give back the second can take. So the work is at most len * type_len.
 */
#include "wire/pattern.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* The character at p and its length; a byte that is no UTF-8 stands for itself, apart from all
 * characters. */
static uint32_t next_char(const unsigned char *p, const unsigned char *end, size_t *out_len)
{
    const size_t n = utf8_sequence((const char *)p, (size_t)(end - p));

    *out_len = n == 0 ? 1 : n;
    return n == 0 ? 0x110000u + *p : utf8_decode((const char *)p, n);
}

/* p is at a [: the byte behind its ], or NULL when it is not closed. A ] that comes first is a
 * member of the set. */
static const unsigned char *set_end(const unsigned char *p, const unsigned char *end)
{
    p++;
    if (p < end && *p == '!') {
        p++;
    }
    if (p < end) {
        p = memchr(p + 1, ']', (size_t)(end - p - 1));
        return p ? p + 1 : NULL;
    }
    return NULL;
}

/* p is at a [, end behind its ]. */
static bool set_contains(const unsigned char *p, const unsigned char *end, uint32_t c)
{
    bool found = false;
    bool negated = false;

    p++;
    end--;
    if (*p == '!') {
        negated = true;
        p++;
    }
    while (p < end && !found) {
        size_t n = 0;
        const uint32_t low = next_char(p, end, &n);
        uint32_t high = low;

        p += n;
        if (end - p >= 2 && *p == '-') {
            high = next_char(p + 1, end, &n);
            p += 1 + n;
        }
        found = low <= c && c <= high;
    }
    return found != negated;
}

/* The first byte that is not literal: * ? or the [ of a closed set. *out_literal is where the first
 * [ stands that is not closed: from there on no [ is (each later one would need the same ]). */
static const unsigned char *first_special(const unsigned char *p, const unsigned char *end,
                                          const unsigned char **out_literal)
{
    const unsigned char *special = NULL;

    *out_literal = end;
    while (p < end) {
        const unsigned char *behind = p + 1;

        if (*p == '[') {
            behind = set_end(p, end);
            if (!behind) {
                *out_literal = p;
                break;
            }
        }
        if (!special && (*p == '*' || *p == '?' || *p == '[')) {
            special = p;
        }
        p = behind;
    }
    /* Behind an open [ the other two are still special. */
    for (; !special && p < end; p++) {
        if (*p == '*' || *p == '?') {
            special = p;
        }
    }
    return special ? special : end;
}

size_t pattern_literal_prefix(const char *pattern, size_t len)
{
    const unsigned char *p = (const unsigned char *)pattern;
    const unsigned char *literal = NULL;

    return (size_t)(first_special(p, p + len, &literal) - p);
}

bool pattern_is_exact(const char *pattern, size_t len)
{
    return pattern_literal_prefix(pattern, len) == len;
}

/* Matches the one character at t against what stands at *p (no *), and moves *p behind it. */
static bool match_one(const unsigned char **p, const unsigned char *end,
                      const unsigned char *literal, uint32_t c)
{
    size_t n = 0;

    if (**p == '?') {
        (*p)++;
        return true;
    }
    if (**p == '[' && *p < literal) {
        const unsigned char *set = *p;

        *p = set_end(set, end);
        return set_contains(set, *p, c);
    }
    const uint32_t expected = next_char(*p, end, &n);

    *p += n;
    return expected == c;
}

bool pattern_match(const char *pattern, size_t len, const char *type, size_t type_len)
{
    const unsigned char *p = (const unsigned char *)pattern;
    const unsigned char *p_end = p + len;
    const unsigned char *t = (const unsigned char *)type;
    const unsigned char *t_end = t + type_len;
    const unsigned char *literal = NULL;
    const unsigned char *star = NULL;   /* behind the last * seen */
    const unsigned char *star_t = NULL; /* where its run ends so far */

    (void)first_special(p, p_end, &literal);
    while (t < t_end) {
        size_t n = 0;
        const uint32_t c = next_char(t, t_end, &n);

        if (p < p_end && *p == '*') {
            star = ++p;
            star_t = t;
        } else if (p < p_end && match_one(&p, p_end, literal, c)) {
            t += n;
        } else if (star) {
            (void)next_char(star_t, t_end, &n);
            star_t += n; /* the * takes one character more */
            t = star_t;
            p = star;
        } else {
            return false;
        }
    }
    while (p < p_end && *p == '*') {
        p++;
    }
    return p == p_end;
}

nhub_err pattern_check(const char *pattern, size_t len)
{
    if (len == 0 || len > PATTERN_MAX || !utf8_is_valid(pattern, len)) {
        return NHUB_EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)pattern[i];

        if (c < 0x20 || c == 0x7F) {
            return NHUB_EINVAL;
        }
    }
    return NHUB_OK;
}

static bool has_hub_prefix(const char *text, size_t len)
{
    return len >= 4 && memcmp(text, "hub.", 4) == 0;
}

bool type_is_reserved(const char *type, size_t len, const char *stats_event)
{
    return has_hub_prefix(type, len) || (stats_event && len > 0 && strlen(stats_event) == len &&
                                         memcmp(type, stats_event, len) == 0);
}

bool pattern_selects(const char *pattern, size_t len, const char *type, size_t type_len,
                     const char *stats_event)
{
    if (!pattern_match(pattern, len, type, type_len)) {
        return false;
    }
    return !type_is_reserved(type, type_len, stats_event) || has_hub_prefix(pattern, len) ||
           pattern_is_exact(pattern, len);
}
