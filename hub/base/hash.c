/*
 * hash: SipHash as in its paper, with the number of rounds as a parameter.
 *
 * c rounds for each eight bytes and d at the end: 1-3 for the 64-bit form (a table's hash, short
 * and never stored), 2-4 for the 128-bit form (identities, where a collision would lose an event).
 */
#include "base/hash.h"

#include "base/uuid.h"

#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void sip_rounds(struct sip *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v2 = rotate_left(s->v2, 32);
    }
}

/* Reads n <= 8 bytes in little-endian order, whatever the machine's order is. */
static inline uint64_t read_le(const unsigned char *p, size_t n)
{
    uint64_t word = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n == 8) {
        memcpy(&word, p, 8);
        return word;
    }
#endif
    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

static inline void sip_init(struct sip *s, const struct hash_key *key)
{
    /* "somepseudorandomlygeneratedbytes", section 2.1 of the paper */
    s->v0 = key->k0 ^ UINT64_C(0x736f6d6570736575);
    s->v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d);
    s->v2 = key->k0 ^ UINT64_C(0x6c7967656e657261);
    s->v3 = key->k1 ^ UINT64_C(0x7465646279746573);
}

static inline void sip_absorb(struct sip *s, const void *bytes, size_t len, int rounds)
{
    const unsigned char *p = bytes;
    size_t left = len;
    uint64_t word = 0;

    for (; left >= 8; p += 8, left -= 8) {
        word = read_le(p, 8);
        s->v3 ^= word;
        sip_rounds(s, rounds);
        s->v0 ^= word;
    }
    word = (uint64_t)len << 56; /* the last word carries the length, modulo 256 */
    if (left > 0) {
        word |= read_le(p, left);
    }
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

static inline uint64_t sip_fold(const struct sip *s)
{
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

void hash_key_random(struct hash_key *out)
{
    random_bytes(out, sizeof *out);
}

uint64_t hash_sip64(const struct hash_key *key, const void *bytes, size_t len)
{
    struct sip s;

    sip_init(&s, key);
    sip_absorb(&s, bytes, len, 1);
    s.v2 ^= 0xff;
    sip_rounds(&s, 3);
    return sip_fold(&s);
}

struct hash128 hash_sip128(const struct hash_key *key, const void *bytes, size_t len)
{
    struct hash128 out;
    struct sip s;

    sip_init(&s, key);
    s.v1 ^= 0xee;
    sip_absorb(&s, bytes, len, 2);
    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    out.lo = sip_fold(&s);
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    out.hi = sip_fold(&s);
    return out;
}
