/*
 * map: linear probing in a table of a power of two, at most three quarters full.
 *
 * A removal moves the followers of its run back by one (no tombstones), so that a table that lives
 * long does not slow down. Iteration goes downwards from an empty slot: entries that a removal
 * moves come from slots already visited, and no run crosses an empty slot, so none is missed or
 * seen twice.
 */
#include "base/map.h"

#include "base/hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 16

struct entry {
    uint64_t hash;
    char *key; /* owned; never NULL in a used slot */
    size_t len;
    void *value; /* NULL = the slot is empty */
};

struct map {
    struct hash_key hash_key;
    struct entry *slots;
    size_t cap; /* a power of two */
    size_t count;
    size_t key_bytes;
};

nhub_err map_create(struct map **out)
{
    struct map *m = calloc(1, sizeof *m);

    if (!m) {
        return NHUB_ENOMEM;
    }
    m->slots = calloc(FIRST_CAP, sizeof *m->slots);
    if (!m->slots) {
        free(m);
        return NHUB_ENOMEM;
    }
    m->cap = FIRST_CAP;
    hash_key_random(&m->hash_key);
    *out = m;
    return NHUB_OK;
}

void map_destroy(struct map **m_p)
{
    struct map *m = *m_p;

    if (!m) {
        return;
    }
    *m_p = NULL;
    for (size_t i = 0; i < m->cap; i++) {
        free(m->slots[i].key);
    }
    free(m->slots);
    free(m);
}

size_t map_count(const struct map *m)
{
    return m->count;
}

/* The slot of the key, or the empty slot where it belongs. */
static size_t find_slot(const struct map *m, uint64_t hash, const void *key, size_t len)
{
    size_t slot = (size_t)hash & (m->cap - 1);

    while (m->slots[slot].value) {
        const struct entry *e = &m->slots[slot];

        if (e->hash == hash && e->len == len && (len == 0 || memcmp(e->key, key, len) == 0)) {
            break;
        }
        slot = (slot + 1) & (m->cap - 1);
    }
    return slot;
}

void *map_get(const struct map *m, const void *key, size_t len)
{
    return m->slots[find_slot(m, hash_sip64(&m->hash_key, key, len), key, len)].value;
}

static nhub_err grow(struct map *m)
{
    const size_t old_cap = m->cap;
    struct entry *old = m->slots;
    struct entry *slots = NULL;

    if (old_cap > SIZE_MAX / 2 / sizeof *slots) {
        return NHUB_ENOMEM;
    }
    slots = calloc(old_cap * 2, sizeof *slots);
    if (!slots) {
        return NHUB_ENOMEM;
    }
    m->slots = slots;
    m->cap = old_cap * 2;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value) {
            m->slots[find_slot(m, old[i].hash, old[i].key, old[i].len)] = old[i];
        }
    }
    free(old);
    return NHUB_OK;
}

nhub_err map_put(struct map *m, const void *key, size_t len, void *value, void **out_old)
{
    const uint64_t hash = hash_sip64(&m->hash_key, key, len);
    size_t slot = find_slot(m, hash, key, len);
    void *old = m->slots[slot].value;
    char *copy = NULL;

    if (!old) {
        copy = malloc(len > 0 ? len : 1);
        if (!copy) {
            return NHUB_ENOMEM;
        }
        if (m->count + 1 > m->cap / 4 * 3) {
            if (grow(m) != NHUB_OK) {
                free(copy);
                return NHUB_ENOMEM;
            }
            slot = find_slot(m, hash, key, len);
        }
        if (len > 0) {
            memcpy(copy, key, len);
        }
        m->slots[slot] = (struct entry){.hash = hash, .key = copy, .len = len};
        m->count++;
        m->key_bytes += len;
    }
    m->slots[slot].value = value;
    if (out_old) {
        *out_old = old;
    }
    return NHUB_OK;
}

/* Closes the hole at `hole`: each follower in its run moves back unless that would put it before
 * the slot where its search begins. */
static void close_hole(struct map *m, size_t hole)
{
    const size_t mask = m->cap - 1;

    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        const size_t home = (size_t)m->slots[i].hash & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct entry){0};
}

void *map_remove(struct map *m, const void *key, size_t len)
{
    const size_t slot = find_slot(m, hash_sip64(&m->hash_key, key, len), key, len);
    void *value = m->slots[slot].value;

    if (!value) {
        return NULL;
    }
    m->count--;
    m->key_bytes -= m->slots[slot].len;
    free(m->slots[slot].key); /* `key` may point to it, so it is not read any more */
    close_hole(m, slot);
    return value;
}

void *map_next(const struct map *m, struct map_iter *it, const char **out_key, size_t *out_len)
{
    const size_t mask = m->cap - 1;

    if (it->slot == 0) {
        /* There is one: the table is never more than three quarters full. */
        it->origin = 0;
        while (m->slots[it->origin].value) {
            it->origin++;
        }
    }
    while (it->slot < mask) {
        const struct entry *e = &m->slots[(it->origin - ++it->slot) & mask];

        if (e->value) {
            if (out_key) {
                *out_key = e->key;
                *out_len = e->len;
            }
            return e->value;
        }
    }
    return NULL;
}

size_t map_memory(const struct map *m)
{
    return sizeof *m + m->cap * sizeof *m->slots + m->key_bytes;
}
