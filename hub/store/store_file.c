/*
 * store_file: the head of LMDB's file format, version 1 (liblmdb 0.9, mdb.c: MDB_page, MDB_meta).
 *
 * Page 0 and page 1 are meta pages; the one with the larger transaction number counts:
 *
 *      0  page number (8)   10  flags (2), P_META = 8   16  magic (4)   20  version (4)
 *     24  address (8)       32  map size (8)            40  two tables of 48 bytes, the first
 *    136  last page (8)    144  transaction (8)             begins with the page size (4)
 *
 * All numbers are in the machine's own order.
 */
#include "store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_BYTES 152
#define MAGIC      0xbeefc0deu
#define VERSION    1u
#define P_META     8u

struct meta_page {
    uint32_t page_bytes;
    uint64_t last_page;
    uint64_t txn;
};

static uint64_t get64(const unsigned char *p)
{
    uint64_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

static uint32_t get32(const unsigned char *p)
{
    uint32_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

static uint16_t get16(const unsigned char *p)
{
    uint16_t value = 0;

    memcpy(&value, p, sizeof value);
    return value;
}

/* NULL when the page is a good meta page, else what is wrong with it. */
static const char *read_meta(const unsigned char bytes[META_BYTES], struct meta_page *out)
{
    if ((get16(bytes + 10) & P_META) == 0 || get32(bytes + 16) != MAGIC) {
        return "it is no LMDB file";
    }
    if (get32(bytes + 20) != VERSION) {
        return "it has another version of LMDB's file format";
    }
    out->page_bytes = get32(bytes + 40);
    out->last_page = get64(bytes + 136);
    out->txn = get64(bytes + 144);
    if (out->page_bytes < 512 || out->page_bytes > 65536 ||
        (out->page_bytes & (out->page_bytes - 1)) != 0) {
        return "its page size makes no sense";
    }
    return NULL;
}

/* Reads exactly n bytes; false at the end of the file or on failure (errno 0 at the end). */
static bool read_at(int fd, void *out, size_t n, uint64_t offset)
{
    unsigned char *p = out;

    while (n > 0) {
        const ssize_t got = pread(fd, p, n, (off_t)offset);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            errno = got == 0 ? 0 : errno;
            return false;
        }
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

static const char *check(int fd, uint64_t size, struct store_file *out)
{
    unsigned char bytes[META_BYTES];
    struct meta_page first, second;
    const char *why = NULL;

    if (size < sizeof bytes || !read_at(fd, bytes, sizeof bytes, 0)) {
        return "it is too short to be a journal";
    }
    why = read_meta(bytes, &first);
    if (why) {
        return why;
    }
    if (!read_at(fd, bytes, sizeof bytes, first.page_bytes)) {
        return "it is cut off in its first pages";
    }
    why = read_meta(bytes, &second);
    if (why || second.page_bytes != first.page_bytes) {
        return "its second page does not fit its first";
    }
    out->page_bytes = first.page_bytes;
    out->pages = (second.txn > first.txn ? second.last_page : first.last_page) + 1;
    out->size = size;
    if (out->pages < 2 || size / out->page_bytes < out->pages) {
        return "it is shorter than it was: its end is cut off";
    }
    return NULL;
}

nhub_err store_file_check(const char *path, struct store_file *out, const char **out_why)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    nhub_err status = NHUB_ESYS;
    struct stat st;

    if (fd < 0) {
        return NHUB_ESYS;
    }
    if (fstat(fd, &st) == 0) {
        *out_why = check(fd, (uint64_t)st.st_size, out);
        status = *out_why ? NHUB_EPROTO : NHUB_OK;
    }
    (void)close(fd);
    return status;
}

nhub_err store_file_drop_cache(const struct folder *f)
{
    const int fd = openat(f->fd, FOLDER_DATA, O_RDWR | O_CLOEXEC);
    nhub_err status = NHUB_OK;

    if (fd < 0) {
        return errno == ENOENT ? NHUB_OK : NHUB_ESYS;
    }
    /* Pages that could not be written may stand in the cache as if they had been. What can be
     * written is written now; then the cache is asked to forget the rest. */
    if (fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
        status = NHUB_ESYS;
    }
    (void)close(fd);
    return status;
}
