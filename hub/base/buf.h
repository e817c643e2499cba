/*
 * buf: a growable byte buffer with a sticky error, so that a text can be built in many steps and
 * checked once. After a failed allocation every further add is ignored until buf_reset().
 *
 * Threads: none inside.
 */
#ifndef NHUB_BASE_BUF_H
#define NHUB_BASE_BUF_H

#include <notifyhub/error.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data; /* NULL while nothing was added; not NUL-terminated unless buf_cstr() made it so */
    size_t len;
    size_t cap;
    bool failed; /* an allocation failed; the content is not complete */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);  /* frees the memory; b is empty and usable afterwards */
void buf_reset(struct buf *b); /* forgets the content and the error, keeps the memory */

/* Makes room for n further bytes. Errors: NHUB_ENOMEM (also set in b->failed). */
NHUB_MUST_USE nhub_err buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *bytes, size_t n);
/* Inline, so that the length of a literal is known when it is compiled. */
static inline void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t value);
void buf_add_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) NHUB_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) NHUB_PRINTF(2, 0);

/* Appends text as a JSON string with its quotes (RFC 8259, section 7). Bytes from 0x80 on are
 * copied. */
void buf_add_json_string(struct buf *b, const char *text, size_t n);
void buf_add_json_cstr(struct buf *b, const char *text);

/* Removes the first n bytes (n <= len). O(len). */
void buf_consume(struct buf *b, size_t n);

/* The content with a NUL behind it; "" when empty or failed. Valid until the next call on b. */
const char *buf_cstr(struct buf *b);

/* Gives the memory away (free() it), *out_len its length; NULL when failed or empty. b is empty
 * afterwards. */
char *buf_take(struct buf *b, size_t *out_len);

#endif
