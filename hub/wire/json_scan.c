/*
 * The scanner: one pass from the first byte to the last. What is nested is remembered in a stack of
 * bits (object or array), so that the depth of a stranger's text costs no stack of ours. What
 * values mean is json_value.c's.
 */
#include "wire/json_scan.h"

#include <string.h>

#include "base/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

struct scan {
    const unsigned char *start;
    const unsigned char *p;
    const unsigned char *end;
    const unsigned char *nonfinite_at; /* the first one in the text, NULL = none */
    const char *error;                 /* NULL = no error; it was noticed at p */
    size_t depth;
    uint64_t objects[JSON_SCAN_MAX_DEPTH / 64]; /* bit n set: level n + 1 is an object */
    bool allow_nonfinite;
    bool nonfinite; /* within the top-level value being scanned */
    bool newline;
};

static bool fail(struct scan *s, const char *error)
{
    s->error = error;
    return false;
}

static bool fail_at(struct scan *s, const unsigned char *p, const char *error)
{
    s->p = p;
    return fail(s, error);
}

static void scan_init(struct scan *s, const char *text, size_t len,
                      const struct json_scan_options *options)
{
    memset(s, 0, sizeof *s);
    s->start = (const unsigned char *)text;
    s->p = s->start;
    s->end = s->start + len;
    s->allow_nonfinite = options && options->allow_nonfinite;
}

static void write_report(const struct scan *s, struct json_report *report)
{
    report->error = s->error;
    report->error_offset = s->error ? (size_t)(s->p - s->start) : 0;
    report->has_nonfinite = s->nonfinite_at != NULL;
    report->nonfinite_offset = s->nonfinite_at ? (size_t)(s->nonfinite_at - s->start) : 0;
}

static inline void skip_blanks(struct scan *s)
{
    const unsigned char *p = s->p;

    /* Mostly nothing or a single blank: Python's separators, or none. */
    while (p < s->end && *p <= ' ') {
        if (*p == '\n' || *p == '\r' || *p == '\t') {
            s->newline = true;
        } else if (*p != ' ') {
            break;
        }
        p++;
    }
    s->p = p;
}

/* Bytes that may stand in a string as they are, one by one: all but quote, backslash, controls and
 * what begins or continues a longer UTF-8 sequence. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte from p on that is not plain. This is where most bytes of an event pass. */
static inline const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i blank = _mm_set1_epi8(' ');

    while (end - p >= 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* The comparison is signed: bytes from 0x80 on count as less than a blank, too. */
        const __m128i special =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                         _mm_cmplt_epi8(v, blank));
        const int mask = _mm_movemask_epi8(special);

        if (mask != 0) {
            return p + __builtin_ctz((unsigned)mask);
        }
        p += 16;
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);

    while (end - p >= 8) {
        uint64_t v = 0;

        memcpy(&v, p, sizeof v);
        const uint64_t quote = v ^ (ones * '"');
        const uint64_t backslash = v ^ (ones * '\\');
        /* (x - 1) borrows into the high bit of a byte that is 0, (x - 0x20) of one below 0x20; the
         * high bits of v itself are bytes from 0x80 on. A false alarm only costs the slow loop. */
        if (((quote - ones) | (backslash - ones) | (v - ones * 0x20) | v) & highs) {
            break;
        }
        p += 8;
    }
#endif
    while (p < end && is_plain(*p)) {
        p++;
    }
    return p;
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* s->p is at a backslash. */
static bool scan_escape(struct scan *s)
{
    if (s->end - s->p < 2) {
        return fail_at(s, s->end, "the text ends inside a string");
    }
    switch (s->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->p += 2;
        return true;
    case 'u':
        for (int i = 2; i < 6; i++) {
            if (s->p + i >= s->end) {
                return fail_at(s, s->end, "the text ends inside a string");
            }
            if (!is_hex(s->p[i])) {
                return fail_at(s, s->p + i, "\\u needs four hexadecimal digits");
            }
        }
        s->p += 6;
        return true;
    default:
        return fail(s, "unknown escape in a string");
    }
}

/* s->p is at the opening quote. */
static bool scan_string(struct scan *s, bool *has_escape)
{
    s->p++;
    for (;;) {
        s->p = skip_plain(s->p, s->end);
        if (s->p == s->end) {
            return fail(s, "the text ends inside a string");
        }
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p == '\\') {
            *has_escape = true;
            if (!scan_escape(s)) {
                return false;
            }
            continue;
        }
        if (*s->p < 0x20) {
            return fail(s, "control character in a string");
        }
        do { /* text in other scripts comes in runs */
            const size_t n = utf8_sequence((const char *)s->p, (size_t)(s->end - s->p));

            if (n == 0) {
                return fail(s, "ill-formed UTF-8");
            }
            s->p += n;
        } while (s->p < s->end && *s->p >= 0x80);
    }
}

static const unsigned char *skip_digits(const unsigned char *p, const unsigned char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

static bool scan_word(struct scan *s, const char *word, size_t len)
{
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0) {
        return fail(s, "unknown word; a value is expected");
    }
    s->p += len;
    return true;
}

/* s->p is at N, I, or the I of -Infinity, whose minus is at from. */
static bool scan_nonfinite(struct scan *s, const unsigned char *from, struct json_span *out)
{
    const bool is_nan = *s->p == 'N';

    if (!scan_word(s, is_nan ? "NaN" : "Infinity", is_nan ? 3 : 8)) {
        return fail_at(s, from, s->error);
    }
    if (!s->allow_nonfinite) {
        return fail_at(s, from, "NaN and Infinity are not JSON");
    }
    if (!s->nonfinite_at) {
        s->nonfinite_at = from;
    }
    s->nonfinite = true;
    out->kind = JSON_NONFINITE;
    return true;
}

/* s->p is at a minus or a digit. */
static bool scan_number(struct scan *s, struct json_span *out)
{
    const unsigned char *p = s->p;
    const unsigned char *digits = NULL;

    if (*p == '-') {
        p++;
        if (p < s->end && *p == 'I') {
            s->p = p;
            return scan_nonfinite(s, p - 1, out);
        }
    }
    digits = p;
    p = skip_digits(p, s->end);
    if (p == digits) {
        return fail_at(s, p, "digit expected");
    }
    if (*digits == '0' && p - digits > 1) {
        return fail_at(s, digits, "number with a leading zero");
    }
    out->integer = true;
    if (p < s->end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, s->end);
        if (p == digits) {
            return fail_at(s, p, "digit expected");
        }
        out->integer = false;
    }
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-')) {
            p++;
        }
        digits = p;
        p = skip_digits(p, s->end);
        if (p == digits) {
            return fail_at(s, p, "digit expected");
        }
        out->integer = false;
    }
    s->p = p;
    out->kind = JSON_NUMBER;
    return true;
}

/* Any value but an object or array; s->p < s->end. */
static bool scan_scalar(struct scan *s, struct json_span *out)
{
    switch (*s->p) {
    case '"':
        out->kind = JSON_STRING;
        return scan_string(s, &out->has_escape);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s, out);
    case 't':
        out->kind = JSON_TRUE;
        return scan_word(s, "true", 4);
    case 'f':
        out->kind = JSON_FALSE;
        return scan_word(s, "false", 5);
    case 'n':
        out->kind = JSON_NULL;
        return scan_word(s, "null", 4);
    case 'N':
    case 'I':
        return scan_nonfinite(s, s->p, out);
    default:
        return fail(s, "a value is expected");
    }
}

/* A key and its colon, up to the first byte of the value. */
static bool scan_key(struct scan *s, struct json_span *name)
{
    const unsigned char *from = s->p;

    *name = (struct json_span){.kind = JSON_STRING};
    if (s->p == s->end || *s->p != '"') {
        return fail(s, s->p == s->end ? "the text ends too early" : "a key in quotes is expected");
    }
    if (!scan_string(s, &name->has_escape)) {
        return false;
    }
    name->p = (const char *)from;
    name->len = (size_t)(s->p - from);
    skip_blanks(s);
    if (s->p == s->end || *s->p != ':') {
        return fail(s, s->p == s->end ? "the text ends too early" : "a colon is expected");
    }
    s->p++;
    skip_blanks(s);
    return true;
}

/* Enters the object or array at s->p. */
static bool open_level(struct scan *s)
{
    const uint64_t bit = UINT64_C(1) << (s->depth & 63);

    if (s->depth == JSON_SCAN_MAX_DEPTH) {
        return fail(s, "nested too deeply");
    }
    if (*s->p == '{') {
        s->objects[s->depth >> 6] |= bit;
    } else {
        s->objects[s->depth >> 6] &= ~bit;
    }
    s->depth++;
    s->p++;
    return true;
}

static inline bool in_object(const struct scan *s)
{
    return (s->objects[(s->depth - 1) >> 6] >> ((s->depth - 1) & 63)) & 1;
}

/* Behind a value: closes what ends here, and passes the comma if something follows at a level above
 * `floor`. */
static bool close_levels(struct scan *s, size_t floor)
{
    while (s->depth > floor) {
        skip_blanks(s);
        if (s->p == s->end) {
            return fail(s, "the text ends too early");
        }
        if (*s->p == ',') {
            s->p++;
            return true;
        }
        if (*s->p != (in_object(s) ? '}' : ']')) {
            return fail(s, in_object(s) ? "a comma or } is expected" : "a comma or ] is expected");
        }
        s->p++;
        s->depth--;
    }
    return true;
}

/* The object or array at s->p with all that is in it. */
static bool scan_container(struct scan *s)
{
    const size_t floor = s->depth;
    struct json_span value = {0};
    bool fresh = true; /* just opened: it may be empty */

    if (!open_level(s)) {
        return false;
    }
    while (s->depth > floor) {
        struct json_span name;

        skip_blanks(s);
        if (s->p < s->end && fresh && *s->p == (in_object(s) ? '}' : ']')) {
            fresh = false;
            if (!close_levels(s, floor)) {
                return false;
            }
            continue;
        }
        if (in_object(s) && !scan_key(s, &name)) {
            return false;
        }
        if (s->p == s->end) {
            return fail(s, "the text ends too early");
        }
        fresh = *s->p == '{' || *s->p == '[';
        if (!(fresh ? open_level(s) : scan_scalar(s, &value) && close_levels(s, floor))) {
            return false;
        }
    }
    return true;
}

/* The value at s->p, whatever it is, as one span. */
static bool scan_value(struct scan *s, struct json_span *out)
{
    const unsigned char *from = s->p;

    *out = (struct json_span){0};
    s->nonfinite = false;
    s->newline = false;
    if (s->p == s->end) {
        return fail(s, "the text ends too early");
    }
    if (*from == '{' || *from == '[') {
        out->kind = *from == '{' ? JSON_OBJECT : JSON_ARRAY;
        if (!scan_container(s)) {
            return false;
        }
    } else if (!scan_scalar(s, out)) {
        return false;
    }
    out->p = (const char *)from;
    out->len = (size_t)(s->p - from);
    out->has_nonfinite = s->nonfinite;
    out->has_newline = s->newline;
    return true;
}

static bool scan_end(struct scan *s)
{
    skip_blanks(s);
    return s->p == s->end || fail(s, "something follows behind the end of the value");
}

enum step { STEP_ITEM, STEP_END, STEP_ERROR };

/* The next item of the outermost object (name is not NULL) or array. s->p stands behind the opening
 * bracket (first) or behind an item. */
static enum step next_item(struct scan *s, bool first, struct json_span *name,
                           struct json_span *value)
{
    skip_blanks(s);
    if (s->p == s->end) {
        s->error = "the text ends too early";
        return STEP_ERROR;
    }
    if (*s->p == (name ? '}' : ']')) {
        s->p++;
        return scan_end(s) ? STEP_END : STEP_ERROR;
    }
    if (!first) {
        if (*s->p != ',') {
            s->error = name ? "a comma or } is expected" : "a comma or ] is expected";
            return STEP_ERROR;
        }
        s->p++;
        skip_blanks(s);
    }
    if (name && !scan_key(s, name)) {
        return STEP_ERROR;
    }
    return scan_value(s, value) ? STEP_ITEM : STEP_ERROR;
}

/* The number of the key that name spells, or nkeys. Members mostly come in the order of the keys,
 * so the search begins at the one expected next. */
static size_t find_key(const struct json_span *name, const struct json_key *keys, size_t nkeys,
                       size_t expected)
{
    char decoded[64];
    const char *text = name->p + 1;
    size_t len = name->len - 2;

    if (name->has_escape) {
        if (json_decode_string(name, decoded, sizeof decoded, &len) != NHUB_OK) {
            return nkeys; /* longer than any key of ours */
        }
        text = decoded;
    }
    for (size_t n = 0, i = expected; n < nkeys; n++, i++) {
        if (i >= nkeys) {
            i = 0;
        }
        if (keys[i].len == len && memcmp(keys[i].name, text, len) == 0) {
            return i;
        }
    }
    return nkeys;
}

/* The text does not begin as an object does: broken, or JSON of another kind? */
static nhub_err refuse_non_object(struct scan *s, struct json_report *report)
{
    const unsigned char *from = s->p;
    struct json_span value;

    if (scan_value(s, &value) && scan_end(s)) {
        report->not_object = true;
        s->p = from;
        s->error = "an object is expected";
    }
    write_report(s, report);
    return NHUB_EPROTO;
}

nhub_err json_scan_object(const char *text, size_t len, const struct json_key *keys, size_t nkeys,
                          const struct json_scan_options *options, struct json_span *out,
                          struct json_report *report)
{
    struct scan s;
    struct json_span name, value;
    enum step step = STEP_ITEM;
    size_t expected = 0;

    scan_init(&s, text, len, options);
    *report = (struct json_report){0};
    memset(out, 0, nkeys * sizeof *out);
    skip_blanks(&s);
    if (s.p == s.end || *s.p != '{') {
        return refuse_non_object(&s, report);
    }
    s.depth = 1; /* next_item() minds the outer brackets itself */
    s.p++;
    for (bool first = true; step == STEP_ITEM; first = false) {
        step = next_item(&s, first, &name, &value);
        if (step != STEP_ITEM) {
            break;
        }
        const size_t i = find_key(&name, keys, nkeys, expected);

        if (i < nkeys) {
            out[i] = value;
            expected = i + 1;
            continue;
        }
        report->unknown++;
        if (options && options->unknown) {
            options->unknown(options->context, &name);
        }
    }
    write_report(&s, report);
    return step == STEP_END ? NHUB_OK : NHUB_EPROTO;
}

nhub_err json_scan_value(const char *text, size_t len, const struct json_scan_options *options,
                         struct json_span *out, struct json_report *report)
{
    struct scan s;

    scan_init(&s, text, len, options);
    *report = (struct json_report){0};
    skip_blanks(&s);
    const bool valid = scan_value(&s, out) && scan_end(&s);

    write_report(&s, report);
    return valid ? NHUB_OK : NHUB_EPROTO;
}

/* *pos is 0 before the first item, then the offset behind the last one, and beyond len after the
 * end: an array that stops after an item is so told from one that was read to its end. */
static nhub_err scan_item(const char *text, size_t len, size_t *pos,
                          const struct json_scan_options *options, struct json_span *name,
                          struct json_span *value, struct json_report *report)
{
    const bool first = *pos == 0;
    struct scan s;
    enum step step = STEP_ERROR;

    *report = (struct json_report){0};
    if (*pos > len) {
        return NHUB_ENOTFOUND;
    }
    scan_init(&s, text, len, options);
    s.p += *pos;
    skip_blanks(&s);
    if (first && (s.p == s.end || *s.p != (name ? '{' : '['))) {
        s.error = name ? "an object is expected" : "an array is expected";
    } else {
        s.depth = 1; /* next_item() minds the outer brackets itself */
        s.p += first ? 1 : 0;
        step = next_item(&s, first, name, value);
    }
    write_report(&s, report);
    if (step == STEP_ERROR) {
        return NHUB_EPROTO;
    }
    *pos = step == STEP_END ? SIZE_MAX : (size_t)(s.p - s.start);
    return step == STEP_END ? NHUB_ENOTFOUND : NHUB_OK;
}

nhub_err json_scan_element(const char *text, size_t len, size_t *pos,
                           const struct json_scan_options *options, struct json_span *out,
                           struct json_report *report)
{
    return scan_item(text, len, pos, options, NULL, out, report);
}

nhub_err json_scan_member(const char *text, size_t len, size_t *pos,
                          const struct json_scan_options *options, struct json_span *name,
                          struct json_span *value, struct json_report *report)
{
    return scan_item(text, len, pos, options, name, value, report);
}
