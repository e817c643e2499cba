/*
 * files: the hooks on calls that open and change files.
 *
 * Calls that come with 64 in their name are the same ones on the machines that we build for. The
 * names with two underscores are what glibc's headers make of open() in hardened builds.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX   4096
#define NAME_SIZE 64

/* What is known of a descriptor; written by open and close of that descriptor only. */
static struct watched {
    char name[NAME_SIZE]; /* "" with is_watched = the folder itself */
    bool is_watched;
    bool is_synced; /* O_SYNC or O_DSYNC */
} fds[FDS_MAX];

static struct watched *watched(int fd)
{
    return fd >= 0 && fd < FDS_MAX && fds[fd].is_watched ? &fds[fd] : NULL;
}

/* The name that the kernel has for a descriptor. */
static bool path_of(int fd, char *out, size_t size)
{
    char link[40];
    long len = 0;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = syscall(SYS_readlinkat, AT_FDCWD, link, out, size - 1);
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static int fail_with(int error)
{
    errno = error;
    return -1;
}

/* ---- opening and closing ---- */

static int open_watched(int folder, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    const char *name = NULL;
    const bool is_new = (flags & O_CREAT) != 0 && syscall(SYS_faccessat, folder, path, F_OK) != 0;
    const int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    const int saved = errno;

    if (fd >= 0 && fd < FDS_MAX) {
        fds[fd].is_watched = false;
        name = path_of(fd, full, sizeof full) ? fault_name(full) : NULL;
        if (name && strlen(name) < NAME_SIZE) {
            (void)snprintf(fds[fd].name, NAME_SIZE, "%s", name);
            fds[fd].is_synced = (flags & (O_SYNC | O_DSYNC)) != 0;
            fds[fd].is_watched = true;
            if (is_new) { /* no operation of its own: an empty file and none are much the same */
                fault_log(FAULT_CREATE, name, 0, NULL, 0);
            }
            if (flags & O_TRUNC) {
                fault_log(FAULT_TRUNCATE, name, 0, NULL, 0);
            }
        }
    }
    errno = saved;
    return fd;
}

#define OPEN_HOOK(hook)                                                                            \
    __attribute__((visibility("default"))) int hook(const char *path, int flags, ...);             \
    int hook(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode = 0;                                                                           \
                                                                                                   \
        va_start(args, flags);                                                                     \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                     \
            mode = va_arg(args, mode_t);                                                           \
        }                                                                                          \
        va_end(args);                                                                              \
        return open_watched(AT_FDCWD, path, flags, mode);                                          \
    }

#define OPENAT_HOOK(hook)                                                                          \
    __attribute__((visibility("default"))) int hook(int folder, const char *path, int flags, ...); \
    int hook(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode = 0;                                                                           \
                                                                                                   \
        va_start(args, flags);                                                                     \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                     \
            mode = va_arg(args, mode_t);                                                           \
        }                                                                                          \
        va_end(args);                                                                              \
        return open_watched(folder, path, flags, mode);                                            \
    }

OPEN_HOOK(open)
OPEN_HOOK(open64)
OPEN_HOOK(__open_2)
OPEN_HOOK(__open64_2)
OPENAT_HOOK(openat)
OPENAT_HOOK(openat64)
OPENAT_HOOK(__openat_2)
OPENAT_HOOK(__openat64_2)

__attribute__((visibility("default"))) int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        fds[fd].is_watched = false;
    }
    return (int)syscall(SYS_close, fd);
}

/* ---- writing ---- */

static ssize_t write_watched(const struct watched *w, int fd, const void *bytes, size_t len,
                             off_t offset)
{
    const int error = fault_begin(false);
    ssize_t done = 0;

    if (error) {
        return fail_with(error);
    }
    fault_log(FAULT_WRITE, w->name, (uint64_t)offset, bytes, len);
    done = syscall(SYS_pwrite64, fd, bytes, fault_is_torn() ? len / 2 : len, offset);
    if (done == (ssize_t)len && w->is_synced) {
        fault_log(FAULT_SYNC_RANGE, w->name, (uint64_t)offset, NULL, 0);
    }
    fault_end();
    return done;
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t len,
                                                      off_t offset)
{
    const struct watched *w = watched(fd);

    return w ? write_watched(w, fd, bytes, len, offset)
             : syscall(SYS_pwrite64, fd, bytes, len, offset);
}

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *bytes, size_t len,
                                                        off64_t offset)
{
    return pwrite(fd, bytes, len, offset);
}

/* One operation, whatever the number of parts: the kernel takes them as one. */
static ssize_t writev_watched(const struct watched *w, int fd, const struct iovec *parts, int count,
                              off_t offset)
{
    const int error = fault_begin(false);
    const int whole = fault_is_torn() ? (count + 1) / 2 : count;
    off_t at = offset;
    ssize_t done = 0;

    if (error) {
        return fail_with(error);
    }
    for (int i = 0; i < count; i++) {
        fault_log(FAULT_WRITE, w->name, (uint64_t)at, parts[i].iov_base, parts[i].iov_len);
        at += (off_t)parts[i].iov_len;
    }
    done = syscall(SYS_pwritev, fd, parts, whole, offset, 0);
    fault_end();
    return done;
}

__attribute__((visibility("default"))) ssize_t pwritev(int fd, const struct iovec *parts, int count,
                                                       off_t offset)
{
    const struct watched *w = watched(fd);

    return w ? writev_watched(w, fd, parts, count, offset)
             : syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

__attribute__((visibility("default"))) ssize_t pwritev64(int fd, const struct iovec *parts,
                                                         int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

/* With flags of its own; CPython uses it for all of them. */
__attribute__((visibility("default"))) ssize_t pwritev2(int fd, const struct iovec *parts,
                                                        int count, off_t offset, int flags)
{
    const struct watched *w = watched(fd);

    return w ? writev_watched(w, fd, parts, count, offset)
             : syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
}

__attribute__((visibility("default"))) ssize_t pwritev64v2(int fd, const struct iovec *parts,
                                                           int count, off64_t offset, int flags)
{
    return pwritev2(fd, parts, count, offset, flags);
}

/* Where a write without an offset begins. */
static off_t place(int fd)
{
    return syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

/* Such a write leaves the file's place behind what it wrote; returns `done`. */
static ssize_t move_on(int fd, off_t at, ssize_t done)
{
    if (done > 0) {
        (void)syscall(SYS_lseek, fd, at + done, SEEK_SET);
    }
    return done;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes, size_t len)
{
    const struct watched *w = watched(fd);
    const off_t at = w ? place(fd) : 0;

    return w ? move_on(fd, at, write_watched(w, fd, bytes, len, at))
             : syscall(SYS_write, fd, bytes, len);
}

/* What LMDB writes pages with: it seeks first. */
__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *parts, int count)
{
    const struct watched *w = watched(fd);
    const off_t at = w ? place(fd) : 0;

    return w ? move_on(fd, at, writev_watched(w, fd, parts, count, at))
             : syscall(SYS_writev, fd, parts, count);
}

/* ---- sizes ---- */

__attribute__((visibility("default"))) int ftruncate(int fd, off_t size)
{
    const struct watched *w = watched(fd);
    int error = 0;
    int result = 0;

    if (!w) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    error = fault_begin(false);
    if (error) {
        return fail_with(error);
    }
    fault_log(FAULT_TRUNCATE, w->name, (uint64_t)size, NULL, 0);
    result = fault_is_torn() ? 0 : (int)syscall(SYS_ftruncate, fd, size);
    fault_end();
    return result;
}

__attribute__((visibility("default"))) int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

__attribute__((visibility("default"))) int posix_fallocate(int fd, off_t offset, off_t len)
{
    const struct watched *w = watched(fd);
    int error = w ? fault_begin(false) : 0;
    int result = 0;

    if (error) {
        return error;
    }
    if (w) {
        fault_log(FAULT_TRUNCATE, w->name, (uint64_t)(offset + len), NULL, 0);
    }
    result = syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
    if (w) {
        fault_end();
    }
    return result;
}

__attribute__((visibility("default"))) int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    return posix_fallocate(fd, offset, len);
}

/* ---- syncs ---- */

static int sync_watched(const struct watched *w, int fd, long call)
{
    const int error = fault_begin(true);
    int result = 0;

    if (error) {
        return fail_with(error);
    }
    result = fault_is_torn() ? 0 : (int)syscall(call, fd);
    if (result == 0 && !fault_is_torn()) {
        fault_log(w->name[0] ? FAULT_SYNC : FAULT_SYNC_FOLDER, w->name, 0, NULL, 0);
    }
    fault_end();
    return result;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    const struct watched *w = watched(fd);

    return w ? sync_watched(w, fd, SYS_fsync) : (int)syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    const struct watched *w = watched(fd);

    return w ? sync_watched(w, fd, SYS_fdatasync) : (int)syscall(SYS_fdatasync, fd);
}

/* ---- names ---- */

/* The full name of something that need not exist. */
static const char *name_at(int folder, const char *path, char *full, size_t size)
{
    size_t len = 0;

    if (path[0] == '/') {
        return fault_name(path);
    }
    if (folder == AT_FDCWD ? syscall(SYS_getcwd, full, size) < 0 : !path_of(folder, full, size)) {
        return NULL;
    }
    len = strlen(full);
    (void)snprintf(full + len, size - len, "/%s", path);
    return fault_name(full);
}

__attribute__((visibility("default"))) int renameat(int from_folder, const char *from,
                                                    int to_folder, const char *to)
{
    char full[PATH_MAX], other[PATH_MAX];
    const char *name = name_at(from_folder, from, full, sizeof full);
    const char *new_name = name_at(to_folder, to, other, sizeof other);
    int error = 0;
    int result = 0;

    if (!name || !new_name) {
        return (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
    }
    error = fault_begin(false);
    if (error) {
        return fail_with(error);
    }
    fault_log(FAULT_RENAME, name, 0, new_name, strlen(new_name));
    result = fault_is_torn() ? 0 : (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
    fault_end();
    return result;
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

__attribute__((visibility("default"))) int unlinkat(int folder, const char *path, int flags)
{
    char full[PATH_MAX];
    const char *name = name_at(folder, path, full, sizeof full);
    int error = 0;
    int result = 0;

    if (!name || syscall(SYS_faccessat, folder, path, F_OK) != 0) {
        return (int)syscall(SYS_unlinkat, folder, path, flags);
    }
    error = fault_begin(false);
    if (error) {
        return fail_with(error);
    }
    fault_log(FAULT_REMOVE, name, 0, NULL, 0);
    result = fault_is_torn() ? 0 : (int)syscall(SYS_unlinkat, folder, path, flags);
    fault_end();
    return result;
}

__attribute__((visibility("default"))) int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

/* ---- file systems ---- */

__attribute__((visibility("default"))) int fstatfs(int fd, struct statfs *out)
{
    const char *type = getenv("NHUB_FAULTS_FSTYPE");
    const int result = (int)syscall(SYS_fstatfs, fd, out);

    if (result == 0 && type) {
        out->f_type = (long)strtoul(type, NULL, 0);
    }
    return result;
}
