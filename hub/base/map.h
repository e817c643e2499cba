/*
 * map: byte strings to pointers; open addressing, SipHash with a random key, grows by itself.
 *
 * Keys are copied. Values are the caller's. Iteration order is arbitrary; removing the current
 * entry while iterating is allowed, adding is not.
 * Threads: none inside.
 */
#ifndef NHUB_BASE_MAP_H
#define NHUB_BASE_MAP_H

#include <notifyhub/error.h>
#include <stdbool.h>
#include <stddef.h>

struct map;

NHUB_MUST_USE nhub_err map_create(struct map **out);
void map_destroy(struct map **m_p); /* frees the table and keys, not the values */
size_t map_count(const struct map *m);
void *map_get(const struct map *m, const void *key, size_t len); /* NULL when absent */
/* Sets key to value (not NULL), replacing an older value, which goes to *out_old if that is not
 * NULL. Errors: NHUB_ENOMEM, the map is unchanged. */
NHUB_MUST_USE nhub_err map_put(struct map *m, const void *key, size_t len, void *value,
                               void **out_old);
void *map_remove(struct map *m, const void *key, size_t len); /* the value, NULL when absent */

/* Start with {0}; both members belong to the map. */
struct map_iter {
    size_t slot;
    size_t origin;
};
/* The next entry: its value, and its key if out_key is not NULL (out_len then too, and the key
 * lives until it is removed); NULL at the end. */
void *map_next(const struct map *m, struct map_iter *it, const char **out_key, size_t *out_len);
size_t map_memory(const struct map *m); /* bytes that the table and its keys take */

#endif
