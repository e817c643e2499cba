// libs: nhub_wire nhub_base
/*
 * Patterns against fnmatch(3) with FNM_NOESCAPE in the C locale. Input: pattern, a newline, type.
 * The two are compared but where their languages differ:
 *   - bytes from 0x80 on: ours are characters of UTF-8, fnmatch's are bytes;
 *   - [^…]: fnmatch negates, ours takes ^ for a character as Python does;
 *   - [: [= [. inside: classes, which we have not.
 */
#include <fnmatch.h>
#include <stdint.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/pattern.h"

static bool is_comparable(const char *pattern, const char *type)
{
    for (const char *p = pattern; *p; p++) {
        if ((unsigned char)*p >= 0x80 || (*p == '[' && p[1] != '\0' && strchr("^:=.", p[1]))) {
            return false;
        }
    }
    for (const char *t = type; *t; t++) {
        if ((unsigned char)*t >= 0x80) {
            return false;
        }
    }
    return true;
}

/* What must hold for any bytes. */
static void check_rules(const char *p, size_t len, const char *t, size_t t_len, bool matches)
{
    const size_t prefix = pattern_literal_prefix(p, len);

    EXPECT(prefix <= len && pattern_is_exact(p, len) == (prefix == len));
    if (pattern_is_exact(p, len) && utf8_valid(p, len)) {
        EXPECT(matches == (len == t_len && memcmp(p, t, len) == 0));
    }
    EXPECT(!matches || (t_len >= prefix && memcmp(p, t, prefix) == 0));
    EXPECT(!pattern_selects(p, len, t, t_len, "StatsEvent") || matches);
    EXPECT(!matches || type_is_reserved(t, t_len, "StatsEvent") ||
           pattern_selects(p, len, t, t_len, "StatsEvent"));
    if (pattern_check(p, len) == NHUB_OK) {
        EXPECT(len > 0 && len <= PATTERN_MAX && utf8_valid(p, len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    const size_t len = newline ? (size_t)(newline - data) : size;
    const size_t t_len = newline ? size - len - 1 : 0;

    if (len > 1000 || t_len > 1000) {
        return 0;
    }
    char *pattern = exact_copy(data, len);
    char *type = exact_copy(newline ? newline + 1 : data, t_len);
    const bool matches = pattern_match(pattern, len, type, t_len);

    check_rules(pattern, len, type, t_len, matches);
    /* fnmatch may take exponential time, so it gets few stars only. */
    size_t stars = 0;
    char *c_pattern = strndup(pattern, len);
    char *c_type = strndup(type, t_len);

    EXPECT(c_pattern && c_type);
    for (size_t i = 0; i < len; i++) {
        stars += pattern[i] == '*';
    }
    if (stars <= 4 && strlen(c_pattern) == len && strlen(c_type) == t_len &&
        is_comparable(c_pattern, c_type)) {
        EXPECT((fnmatch(c_pattern, c_type, FNM_NOESCAPE) == 0) == matches);
    }
    free(c_type);
    free(c_pattern);
    free(type);
    free(pattern);
    return 0;
}
