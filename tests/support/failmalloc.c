/* failmalloc: the linker sends the calls here, and --wrap gives the real ones other names. */
#include "failmalloc.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

static long until_failure = -1; /* -1 = never */
static bool has_failed;
static _Atomic long live; /* libzmq frees in its own thread */

void failmalloc_arm(long n)
{
    until_failure = n;
    has_failed = false;
}

bool failmalloc_disarm(void)
{
    until_failure = -1;
    return has_failed;
}

long failmalloc_live(void)
{
    return live;
}

static bool must_fail(void)
{
    if (until_failure < 0 || until_failure-- > 0) {
        return false;
    }
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    void *block = must_fail() ? NULL : __real_malloc(size);

    live += block ? 1 : 0;
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = must_fail() ? NULL : __real_calloc(count, size);

    live += block ? 1 : 0;
    return block;
}

void *__wrap_realloc(void *old, size_t size)
{
    void *block = must_fail() ? NULL : __real_realloc(old, size);

    live += block && !old ? 1 : 0;
    return block;
}

char *__wrap_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

void __wrap_free(void *block)
{
    live -= block ? 1 : 0;
    __real_free(block);
}
