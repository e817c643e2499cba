/*
 * store_folder: flock, statfs and the reserve file.
 *
 * flock() is used rather than a pid file, because the kernel releases it with the last descriptor,
 * however the owner ends. The text in the lock file is for people only.
 */
#include "store/store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define LOCK_NAME    "hub.lock"
#define RESERVE_NAME "reserve"
#define FOLDER_MODE  0750
#define FILE_MODE    0640
#define LOCK_TRIES   10
/* With less than this free, a write that came out short met a full disk. */
#define FULL_BYTES (UINT64_C(256) << 10)

/* Memory maps and locks of these are not what LMDB needs: maps of two machines do not agree, and
 * locks may be of one machine only. FUSE is not among them: many local file systems use it. */
static const struct network_type {
    uint32_t type;
    const char *name;
} network_types[] = {
    {0x6969, "NFS"},       {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},   {0x517b, "SMB"},
    {0x01021997, "9p"},    {0x00c36400, "Ceph"},   {0x5346414f, "AFS"},    {0x6b414653, "AFS"},
    {0x73757245, "Coda"},  {0x564c, "NCP"},        {0x0bd00bd0, "Lustre"}, {0x01161970, "GFS2"},
    {0x7461636f, "OCFS2"}, {0x19830326, "BeeGFS"}, {0x47504653, "GPFS"},   {0x20030528, "OrangeFS"},
    {0xaad7aaea, "PanFS"}, {0x013111a8, "IBRIX"},
};

const char *folder_network_name(uint64_t type)
{
    const size_t count = sizeof network_types / sizeof network_types[0];

    for (size_t i = 0; i < count; i++) {
        if (network_types[i].type == (uint32_t)type) {
            return network_types[i].name;
        }
    }
    return NULL;
}

static nhub_err fail(struct buf *error, const char *path, const char *what)
{
    const int saved = errno;

    buf_printf(error, "%s %s: %s", what, path, strerror(saved));
    if (saved == EACCES || saved == EPERM || saved == EROFS) {
        buf_printf(error, "; user %lu needs the right to write there", (unsigned long)geteuid());
    }
    errno = saved;
    return NHUB_ESYS;
}

static nhub_err open_folder(struct folder *f, bool own, struct buf *error)
{
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0 && errno == ENOENT && own) {
        if (mkdir(f->path, FOLDER_MODE) != 0) {
            return fail(error, f->path, "cannot make the folder");
        }
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (f->fd < 0 && errno == ENOENT) {
        buf_printf(error, "there is no journal: the folder %s does not exist", f->path);
        return NHUB_ENOTFOUND;
    }
    if (f->fd < 0) {
        return fail(error, f->path, "cannot open the folder");
    }
    return NHUB_OK;
}

static nhub_err refuse_network(const struct folder *f, struct buf *error)
{
    const char *name = NULL;
    struct statfs fs;

    if (fstatfs(f->fd, &fs) != 0) {
        return fail(error, f->path, "cannot look at the file system of");
    }
    name = folder_network_name((uint64_t)fs.f_type);
    if (name) {
        buf_printf(error,
                   "%s lies on a network file system (%s), where a journal is not safe; "
                   "choose a folder on a local disk",
                   f->path, name);
        return NHUB_EUNAVAIL;
    }
    return NHUB_OK;
}

/* What the owner wrote into the lock file, as far as it can be printed. */
static void read_owner(int fd, char *out, size_t size)
{
    const ssize_t n = pread(fd, out, size - 1, 0);
    size_t len = n > 0 ? (size_t)n : 0;

    for (size_t i = 0; i < len; i++) {
        if (out[i] < ' ' || out[i] > '~') {
            len = i;
        }
    }
    out[len] = '\0';
}

/* Somebody who asks who the owner is holds the lock for a moment: that is not to stop a hub. */
static bool take_lock(int fd)
{
    const struct timespec pause = {0, 20 * 1000 * 1000};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

static nhub_err lock_folder(struct folder *f, struct buf *error)
{
    char text[300] = "";
    char host[256] = "";
    int len = 0;

    f->lock = openat(f->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (f->lock < 0) {
        return fail(error, f->path, "cannot write into the folder");
    }
    if (!take_lock(f->lock)) {
        if (errno != EWOULDBLOCK) {
            return fail(error, f->path, "cannot lock the folder");
        }
        read_owner(f->lock, text, sizeof text);
        buf_printf(error,
                   "the folder %s is in use by another hub (%s); stop it, or give this one its own "
                   "folder (hub.journal.path)",
                   f->path, text[0] ? text : "it did not say which");
        return NHUB_EEXIST;
    }
    (void)gethostname(host, sizeof host - 1); /* an empty name is no reason not to start */
    len = snprintf(text, sizeof text, "pid %ld on %s\n", (long)getpid(), host);
    if (ftruncate(f->lock, 0) != 0 || pwrite(f->lock, text, (size_t)len, 0) != len) {
        /* On a full disk the lock holds all the same; only its text is missing. */
        errno = 0;
    }
    return NHUB_OK;
}

void folder_owner(const char *path, struct buf *out)
{
    char text[300] = "";
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int fd = folder >= 0 ? openat(folder, LOCK_NAME, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        read_owner(fd, text, sizeof text);
        buf_add_str(out, text[0] ? text : "it did not say who");
    }
    if (fd >= 0) {
        (void)close(fd); /* and the lock with it */
    }
    if (folder >= 0) {
        (void)close(folder);
    }
}

nhub_err folder_open(struct folder *f, const char *path, bool own, struct buf *error)
{
    nhub_err status = NHUB_OK;

    *f = (struct folder)FOLDER_CLOSED;
    f->path = strdup(path);
    if (!f->path) {
        return NHUB_ENOMEM;
    }
    status = open_folder(f, own, error);
    if (!status) {
        status = refuse_network(f, error);
    }
    if (!status && own) {
        status = lock_folder(f, error);
    }
    if (status) {
        const int saved = errno;

        folder_close(f);
        errno = saved;
    }
    return status;
}

void folder_close(struct folder *f)
{
    if (f->lock >= 0) {
        (void)close(
            f->lock); /* releases the lock; the file stays, so that nobody locks a dead one */
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f->path);
    *f = (struct folder)FOLDER_CLOSED;
}

void folder_remove_data(const struct folder *f)
{
    (void)unlinkat(f->fd, FOLDER_DATA, 0); /* what is not there need not be removed */
    (void)unlinkat(f->fd, FOLDER_LMDB_LOCK, 0);
}

char *folder_file(const struct folder *f, const char *name)
{
    const size_t size = strlen(f->path) + strlen(name) + 2;
    char *path = malloc(size);

    if (path) {
        (void)snprintf(path, size, "%s/%s", f->path, name);
    }
    return path;
}

nhub_err folder_sync(const struct folder *f)
{
    return fsync(f->fd) == 0 ? NHUB_OK : NHUB_ESYS;
}

bool folder_is_full(const struct folder *f)
{
    struct statvfs fs;

    return fstatvfs(f->fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

nhub_err folder_make_reserve(const struct folder *f, uint64_t bytes)
{
    struct stat st;
    int fd = -1;
    int failed = 0;

    if (bytes == 0 ||
        (fstatat(f->fd, RESERVE_NAME, &st, 0) == 0 && (uint64_t)st.st_size == bytes)) {
        return NHUB_OK;
    }
    fd = openat(f->fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return errno == ENOSPC || errno == EDQUOT ? NHUB_EFULL : NHUB_ESYS;
    }
    /* Blocks that are allocated and never written do: they only have to be taken. */
    failed = posix_fallocate(fd, 0, (off_t)bytes);
    (void)close(fd); /* nothing was written that could be lost */
    if (failed) {
        (void)unlinkat(f->fd, RESERVE_NAME, 0);
        errno = failed;
        return failed == ENOSPC || failed == EDQUOT || failed == EFBIG ? NHUB_EFULL : NHUB_ESYS;
    }
    return NHUB_OK;
}

bool folder_use_reserve(const struct folder *f)
{
    return unlinkat(f->fd, RESERVE_NAME, 0) == 0;
}
