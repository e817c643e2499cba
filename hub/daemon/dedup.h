/*
 * dedup: remembers which (source_service, id) were numbered lately, so that a publisher may send an
 * event again without it happening twice.
 *
 * A key is kept as a 128-bit keyed hash beside the number it got and a 64-bit hash of its content;
 * memory is fixed at creation (about 60 bytes an id), nothing is allocated later. The oldest key
 * leaves when it is older than the window or when the table is full.
 *
 * Adding may be taken back as long as nothing else was added: a batch that is all or nothing adds
 * its keys while it checks, and undoes them when one of its events is refused. The keys that had to
 * leave for those come back, so that a bad batch costs nobody else a key.
 *
 * Threads: none inside.
 */
#ifndef NHUB_DAEMON_DEDUP_H
#define NHUB_DAEMON_DEDUP_H

#include "base/hash.h"

#include <notifyhub/error.h>
#include <stdbool.h>

/* So many additions can be taken back without a trace. */
#define DEDUP_UNDO_MAX 10000

struct dedup;

enum dedup_verdict {
    DEDUP_NEW,
    DEDUP_DUPLICATE, /* same key, same content */
    DEDUP_CONFLICT   /* same key, other content */
};

/* Keys for max_ids ids over window_ms milliseconds, hashed with *secret. Errors: NHUB_EINVAL
 * max_ids or window_ms is 0 or max_ids over 2^30; NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err dedup_create(struct dedup **out, uint64_t max_ids, uint64_t window_ms,
                                    const struct hash_key *secret);
void dedup_destroy(struct dedup **d_p);

/* The key of an id, and the fingerprint of what it stands for. */
struct hash128 dedup_key(const struct dedup *d, const void *source, size_t source_len,
                         const void *id, size_t id_len);
uint64_t dedup_content(const struct dedup *d, const void *type, size_t type_len, const void *data,
                       size_t data_len);

/* Looks the key up, and adds it with seq when it is new. *out_seq: the number that the key has. */
enum dedup_verdict dedup_check(struct dedup *d, const struct hash128 *key, uint64_t content,
                               uint64_t seq, int64_t now_ms, uint64_t *out_seq);
/* Forgets all keys. */
void dedup_clear(struct dedup *d);
/* Takes the last `count` additions back, at most DEDUP_UNDO_MAX. */
void dedup_undo(struct dedup *d, uint64_t count);

uint64_t dedup_count(const struct dedup *d);

#endif
