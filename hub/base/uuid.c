/*
 * uuid: each thread holds a small pool of random bytes, so that one getrandom(2) serves 256 UUIDs.
 *
 * A fork would copy the pool, and parent and child would give out the same identifiers. The child
 * therefore raises a generation, and a pool of an older generation is thrown away.
 */
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define POOL_BYTES 4096

struct pool {
    unsigned generation; /* 0 = never filled */
    size_t used;
    unsigned char bytes[POOL_BYTES];
};

static _Thread_local struct pool pool;
static atomic_uint current_generation = 1;
static pthread_once_t watch_forks_once = PTHREAD_ONCE_INIT;

static void in_forked_child(void)
{
    atomic_fetch_add_explicit(&current_generation, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_forked_child);
}

static void from_kernel(unsigned char *out, size_t n)
{
    while (n > 0) {
        const ssize_t got = getrandom(out, n, 0);

        if (got > 0) {
            out += got;
            n -= (size_t)got;
        } else if (got < 0 && errno != EINTR) {
            /* A kernel without a random source: identifiers that repeat would be a silent lie. */
            abort();
        }
    }
}

static void refill(unsigned generation)
{
    (void)pthread_once(&watch_forks_once, watch_forks);
    from_kernel(pool.bytes, sizeof pool.bytes);
    pool.generation = generation;
    pool.used = 0;
}

void random_bytes(void *out, size_t n)
{
    const unsigned generation = atomic_load_explicit(&current_generation, memory_order_relaxed);

    if (n > sizeof pool.bytes / 4) {
        from_kernel(out, n);
        return;
    }
    if (pool.generation != generation || n > sizeof pool.bytes - pool.used) {
        refill(generation);
    }
    memcpy(out, pool.bytes + pool.used, n);
    memset(pool.bytes + pool.used, 0, n); /* given out once, and not to be found here later */
    pool.used += n;
}

void uuid_v4(char out[UUID_TEXT_LEN])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char id[16];
    size_t at = 0;

    random_bytes(id, sizeof id);
    id[6] = (unsigned char)((id[6] & 0x0f) | 0x40); /* version 4 */
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80); /* variant of RFC 9562, section 4.1 */
    for (size_t i = 0; i < sizeof id; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[at++] = '-';
        }
        out[at++] = hex[id[i] >> 4];
        out[at++] = hex[id[i] & 15];
    }
}
