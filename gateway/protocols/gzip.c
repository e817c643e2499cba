/* gzip: zlib's room. The whole text is there, so one call of deflate() does it. */
#include "gateway/protocols/gzip.h"

#include <limits.h>

#define ZLIB_CONST /* what is read is const */
#include <zlib.h>

#define GZIP_WINDOW (MAX_WBITS + 16) /* 16: with the head and the end of gzip */
#define MEM_LEVEL   8

static nhub_err give_up(struct buf *out, nhub_err err)
{
    buf_fini(out);
    return err;
}

nhub_err gzip_pack(const void *bytes, size_t len, enum gzip_effort effort, struct buf *out)
{
    const int level = effort == GZIP_SMALL ? Z_BEST_COMPRESSION : Z_BEST_SPEED;
    z_stream z = {0};
    int status;

    if (len == 0 || len > UINT_MAX) { /* zlib counts in unsigned int */
        return NHUB_ETOOBIG;
    }
    if (buf_reserve(out, len) != NHUB_OK ||
        deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return give_up(out, NHUB_ENOMEM);
    }
    z.next_in = (z_const Bytef *)bytes;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out->data;
    z.avail_out = (uInt)len - 1; /* what does not get smaller is not worth unpacking */
    status = deflate(&z, Z_FINISH);
    out->len = z.total_out;
    deflateEnd(&z);
    return status == Z_STREAM_END ? NHUB_OK : give_up(out, NHUB_ETOOBIG);
}
