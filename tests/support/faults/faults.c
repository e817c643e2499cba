/*
 * faults: what all hooks share: set-up, the count of operations, the log, control files.
 *
 * Everything is done by system calls and without allocation: hooks run under any caller, also under
 * a sanitizer's own start-up code.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x31544c46u /* "FLT1" on a little-endian machine */

enum stop { STOP_NEVER, STOP_BEFORE, STOP_MID, STOP_AFTER };

static struct {
    pthread_mutex_t lock;
    const char *folder; /* NULL = nothing is watched */
    size_t folder_len;
    int log; /* -1 = none */
    const char *fail, *delay;
    enum stop stop;
    uint64_t stop_at;
    uint64_t count;  /* operations so far; under the lock, as the next one */
    uint64_t passed; /* operations since the control file for failures is there */
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER, .log = -1};

__attribute__((constructor)) static void set_up(void)
{
    const char *log = getenv("NHUB_FAULTS_LOG");
    const char *stop = getenv("NHUB_FAULTS_STOP");
    char when[8] = "";
    unsigned long long at = 0;

    faults.folder = getenv("NHUB_FAULTS_DIR");
    faults.folder_len = faults.folder ? strlen(faults.folder) : 0;
    faults.fail = getenv("NHUB_FAULTS_FAIL");
    faults.delay = getenv("NHUB_FAULTS_DELAY");
    if (log) {
        faults.log = (int)syscall(SYS_openat, AT_FDCWD, log,
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (stop && sscanf(stop, "%llu %7s", &at, when) == 2) {
        faults.stop_at = at;
        faults.stop = strcmp(when, "before") == 0 ? STOP_BEFORE
                      : strcmp(when, "mid") == 0  ? STOP_MID
                                                  : STOP_AFTER;
    }
}

const char *fault_name(const char *path)
{
    if (!faults.folder || strncmp(path, faults.folder, faults.folder_len) != 0) {
        return NULL;
    }
    if (path[faults.folder_len] == '\0') {
        return "";
    }
    return path[faults.folder_len] == '/' ? path + faults.folder_len + 1 : NULL;
}

bool fault_control(const char *path, char *text, size_t size)
{
    const int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    ssize_t len = 0;

    if (fd < 0) {
        return false;
    }
    len = syscall(SYS_read, fd, text, size - 1);
    (void)syscall(SYS_close, fd);
    text[len > 0 ? len : 0] = '\0';
    return true;
}

static _Noreturn void die(void)
{
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) { /* the signal may need a moment */
        (void)pause();
    }
}

static int error_of(const char *word)
{
    static const struct {
        const char *name;
        int code;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(word, errors[i].name) == 0) {
            return errors[i].code;
        }
    }
    return EIO;
}

/* The error that this operation fails with, or 0. */
static int failure(bool is_sync)
{
    char text[100];
    char error[16] = "EIO";
    char which[16] = "all";
    unsigned long long pass = 0;

    if (!fault_control(faults.fail, text, sizeof text)) {
        faults.passed = 0;
        return 0;
    }
    (void)sscanf(text, "%15s %15s %llu", error, which, &pass);
    if ((strcmp(which, "writes") == 0 && is_sync) || (strcmp(which, "syncs") == 0 && !is_sync)) {
        return 0;
    }
    return faults.passed++ < pass ? 0 : error_of(error);
}

static void delay_sync(void)
{
    char text[32];

    if (fault_control(faults.delay, text, sizeof text)) {
        const long ms = strtol(text, NULL, 10);
        const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

        (void)nanosleep(&time, NULL);
    }
}

int fault_begin(bool is_sync)
{
    const int saved = errno;
    int error = 0;

    (void)pthread_mutex_lock(&faults.lock);
    if (is_sync) {
        delay_sync();
    }
    error = failure(is_sync);
    if (error) {
        (void)pthread_mutex_unlock(&faults.lock);
        return error;
    }
    faults.count++;
    if (faults.stop == STOP_BEFORE && faults.count == faults.stop_at) {
        die();
    }
    errno = saved;
    return 0;
}

bool fault_is_torn(void)
{
    return faults.stop == STOP_MID && faults.count == faults.stop_at;
}

void fault_end(void)
{
    if ((faults.stop == STOP_MID || faults.stop == STOP_AFTER) && faults.count == faults.stop_at) {
        die();
    }
    (void)pthread_mutex_unlock(&faults.lock);
}

void fault_log(enum fault_operation operation, const char *name, uint64_t offset, const void *bytes,
               size_t len)
{
    struct {
        uint32_t magic, operation;
        uint64_t offset, length;
        uint32_t name_len, zero;
    } head = {MAGIC, (uint32_t)operation, offset, len, (uint32_t)strlen(name), 0};
    union {
        const void *in;
        void *out;
    } name_part = {name}, byte_part = {bytes};
    const struct iovec parts[] = {
        {&head, sizeof head}, {name_part.out, head.name_len}, {byte_part.out, len}};
    const int saved = errno;

    if (faults.log >= 0) {
        (void)syscall(SYS_writev, faults.log, parts, 3);
    }
    errno = saved;
}
