/* store_file: plain reads of events.mdb, and what its meta pages say about its length. */
#include "store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_at(void *context, uint64_t offset, void *out, size_t n)
{
    const int *fd = context;
    unsigned char *p = out;

    while (n > 0) {
        const ssize_t got = pread(*fd, p, n, (off_t)offset);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

struct store_bytes store_file_bytes(const int *fd)
{
    union {
        const int *in;
        void *out;
    } context = {fd};
    struct stat st;

    return (struct store_bytes){fstat(*fd, &st) == 0 ? (uint64_t)st.st_size : 0, read_at,
                                context.out};
}

nhub_err store_file_check(const char *path, struct store_file *out, const char **out_why)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct store_snapshot newest;
    struct store_bytes bytes;

    if (fd < 0) {
        return NHUB_ESYS;
    }
    bytes = store_file_bytes(&fd);
    *out_why = bytes.size == 0
                   ? "it is empty, too short to be a journal, and one that a hub has made never is "
                     "(if nothing was ever published here, delete the file: the hub then begins a "
                     "new one)"
                   : store_snapshot_newest(&bytes, &newest);
    /* Asked for after the pages were read: beside a running hub the file may grow in between. */
    bytes = store_file_bytes(&fd);
    (void)close(fd);
    if (*out_why) {
        return NHUB_EPROTO;
    }
    out->page_bytes = newest.page_bytes;
    out->pages = newest.last_page + 1;
    out->size = bytes.size;
    if (out->size / out->page_bytes < out->pages) {
        *out_why = "it is shorter than it was: its end is cut off";
        return NHUB_EPROTO;
    }
    return NHUB_OK;
}

static bool has_no_page(const struct store_tree *tree)
{
    return tree->root == UINT64_MAX && tree->depth == 0 && tree->entries == 0;
}

bool store_file_is_unused(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct store_snapshot newest;
    struct store_bytes bytes;
    const char *why = NULL;

    if (fd < 0) {
        return false;
    }
    bytes = store_file_bytes(&fd);
    why = store_snapshot_newest(&bytes, &newest);
    (void)close(fd);
    return !why && newest.txn == 0 && newest.last_page == 1 && has_no_page(&newest.free_list) &&
           has_no_page(&newest.tables);
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
