/*
 * hash: keyed hashes for tables whose keys come from strangers, and the checksum of stored records.
 *
 * SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF") keeps a stranger from making
 * keys collide on purpose. Threads: any.
 */
#ifndef NHUB_BASE_HASH_H
#define NHUB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};
struct hash128 {
    uint64_t lo, hi;
};

void hash_key_random(struct hash_key *out);
uint64_t hash_sip64(const struct hash_key *key, const void *bytes, size_t len); /* SipHash-1-3 */
struct hash128 hash_sip128(const struct hash_key *key, const void *bytes,
                           size_t len); /* SipHash-2-4-128 */

#endif
