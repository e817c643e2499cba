/*
 * json_scan: validates a JSON text (RFC 8259) in one pass and finds the members of its top-level
 * object.
 *
 * No tree, no allocation, no recursion: about 0.2 µs for 200 bytes. What the event path needs and
 * jansson is too slow for; jansson is the oracle it is fuzzed against. UTF-8 is validated (no
 * overlong forms, no surrogates, nothing above U+10FFFF). Numbers of any size pass. Python's bare
 * NaN, Infinity and -Infinity pass where `allow_nonfinite` is set, and are reported. Nesting is
 * limited to JSON_SCAN_MAX_DEPTH. Of a repeated key the last one counts, as in Python. Keys written
 * with escapes are recognised. Lone surrogates in escapes (\ud800) pass, as Python writes them.
 * After a failure the result spans have no meaning.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_JSON_SCAN_H
#define NHUB_WIRE_JSON_SCAN_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_MAX_DEPTH 512

enum json_kind {
    JSON_ABSENT,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_NONFINITE
};

/* A value where it stands in the text: for a string the quotes are part of it. */
struct json_span {
    const char *p;
    size_t len;
    enum json_kind kind;
    bool has_escape;    /* a string with a backslash in it */
    bool has_nonfinite; /* a NaN, Infinity or -Infinity somewhere inside */
    bool has_newline;   /* CR, LF or TAB outside strings inside */
    bool integer;       /* a number without fraction and exponent */
};

struct json_key {
    const char *name; /* plain ASCII */
    size_t len;
};
#define JSON_KEY(text)                                                                             \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct json_report {
    const char *error;       /* static text, NULL when the text is valid */
    size_t error_offset;     /* byte where it was noticed */
    size_t unknown;          /* top-level members that are not in keys */
    bool not_object;         /* json_scan_object: the text is valid JSON, but no object */
    bool has_nonfinite;      /* a NaN, Infinity or -Infinity anywhere, unknown members included */
    size_t nonfinite_offset; /* of the first one */
};

/* Called for each unknown top-level member, may be NULL. name: the decoded key is not given, but
 * its raw span. */
typedef void json_unknown_fn(void *context, const struct json_span *name);

struct json_scan_options {
    bool allow_nonfinite;
    json_unknown_fn *unknown;
    void *context;
};

/* Scans an object and fills out[i] with the member keys[i] (JSON_ABSENT if it has none). nkeys
 * <= 32. Errors: NHUB_EPROTO, with the reason in *report (also when the text is valid JSON but no
 * object). */
NHUB_MUST_USE nhub_err json_scan_object(const char *text, size_t len, const struct json_key *keys,
                                        size_t nkeys, const struct json_scan_options *options,
                                        struct json_span *out, struct json_report *report);
/* Scans any JSON text; *out is the one value. Errors as above. */
NHUB_MUST_USE nhub_err json_scan_value(const char *text, size_t len,
                                       const struct json_scan_options *options,
                                       struct json_span *out, struct json_report *report);
/* The elements of an array, one after the other: *pos starts at 0 and moves on; NHUB_ENOTFOUND at
 * the end. Elements are validated as they are passed; trailing bytes after the array are an error.
 * Errors: NHUB_EPROTO with *report (offsets count from text). */
NHUB_MUST_USE nhub_err json_scan_element(const char *text, size_t len, size_t *pos,
                                         const struct json_scan_options *options,
                                         struct json_span *out, struct json_report *report);

/* The members of an object in the same way; *name is the key's raw span. Repeated keys come
 * repeatedly. */
NHUB_MUST_USE nhub_err json_scan_member(const char *text, size_t len, size_t *pos,
                                        const struct json_scan_options *options,
                                        struct json_span *name, struct json_span *value,
                                        struct json_report *report);

/* Decodes a string span (escapes, surrogate pairs; a lone surrogate becomes U+FFFD) into out;
 * *out_len = bytes written. Errors: NHUB_ETOOBIG when cap is not enough; NHUB_EINVAL when it is no
 * string. */
NHUB_MUST_USE nhub_err json_decode_string(const struct json_span *span, char *out, size_t cap,
                                          size_t *out_len);
/* True when a string span has an escape of half a surrogate pair: no Unicode text. */
bool json_has_lone_surrogate(const struct json_span *span);
/* The number as a double / as an unsigned integer. Errors: NHUB_EINVAL no number, or for u64 one
 * with fraction or exponent; NHUB_ETOOBIG out of range, or a double of more than 1023 bytes. */
NHUB_MUST_USE nhub_err json_span_double(const struct json_span *span, double *out);
NHUB_MUST_USE nhub_err json_span_u64(const struct json_span *span, uint64_t *out);

/* Copies a valid JSON text so that it stands on one line: CR, LF, TAB outside strings become a
 * blank. out has room for len bytes; returns len. */
size_t json_one_line(const char *text, size_t len, char *out);
/* Copies a valid text with bare NaN, Infinity and -Infinity replaced by null; out has room for len
 * * 2 bytes. Returns the bytes written. */
size_t json_nonfinite_to_null(const char *text, size_t len, char *out);
/* True when the bytes are well-formed UTF-8. */
bool utf8_valid(const char *text, size_t len);

#endif
