/* type_table: a map from name to slot, and a free list of numbers through the slots. */
#include "gateway/fanout/type_table.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    uint32_t number;
    uint64_t uses;
    size_t len;
    char name[];
};

struct type_table {
    struct map *by_name;
    struct slot **slots; /* by number; NULL = free */
    uint32_t cap;
    uint32_t count; /* numbers ever in use are below */
    uint32_t *free_numbers;
    uint32_t free_count;
    uint64_t version;
};

nhub_err type_table_create(struct type_table **out)
{
    struct type_table *t = calloc(1, sizeof *t);
    nhub_err err = NHUB_ENOMEM;

    if (t) {
        t->count = 1;
        err = map_create(&t->by_name);
    }
    if (err != NHUB_OK) {
        type_table_destroy(&t);
        return err;
    }
    *out = t;
    return NHUB_OK;
}

void type_table_destroy(struct type_table **t_p)
{
    struct type_table *t = *t_p;

    *t_p = NULL;
    if (!t) {
        return;
    }
    for (uint32_t i = 1; i < t->count; i++) {
        free(t->slots[i]);
    }
    map_destroy(&t->by_name);
    free(t->slots);
    free(t->free_numbers);
    free(t);
}

static nhub_err grow(struct type_table *t)
{
    const uint32_t cap = t->cap ? t->cap * 2 : 64;
    struct slot **slots = NULL;
    uint32_t *numbers = NULL;

    if (t->count < t->cap || t->free_count > 0) {
        return NHUB_OK;
    }
    slots = realloc(t->slots, cap * sizeof *slots);
    if (!slots) {
        return NHUB_ENOMEM;
    }
    t->slots = slots;
    numbers = realloc(t->free_numbers, cap * sizeof *numbers);
    if (!numbers) {
        return NHUB_ENOMEM;
    }
    t->free_numbers = numbers;
    t->cap = cap;
    return NHUB_OK;
}

static nhub_err add(struct type_table *t, const char *type, size_t len, struct slot **out)
{
    struct slot *slot = NULL;

    if (grow(t) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    slot = malloc(sizeof *slot + len + 1);
    if (!slot) {
        return NHUB_ENOMEM;
    }
    slot->uses = 0;
    slot->len = len;
    memcpy(slot->name, type, len);
    slot->name[len] = '\0';
    if (map_put(t->by_name, type, len, slot, NULL) != NHUB_OK) {
        free(slot);
        return NHUB_ENOMEM;
    }
    if (t->free_count > 0) {
        slot->number = t->free_numbers[--t->free_count];
        t->version++;
    } else {
        slot->number = t->count++;
    }
    t->slots[slot->number] = slot;
    *out = slot;
    return NHUB_OK;
}

nhub_err type_table_use(struct type_table *t, const char *type, size_t len, uint32_t *out)
{
    struct slot *slot = map_get(t->by_name, type, len);

    if (!slot && add(t, type, len, &slot) != NHUB_OK) {
        return NHUB_ENOMEM;
    }
    slot->uses++;
    *out = slot->number;
    return NHUB_OK;
}

void type_table_release(struct type_table *t, uint32_t number)
{
    struct slot *slot = number > 0 ? t->slots[number] : NULL;

    if (!slot || --slot->uses > 0) {
        return;
    }
    (void)map_remove(t->by_name, slot->name, slot->len);
    t->slots[number] = NULL;
    t->free_numbers[t->free_count++] = number;
    free(slot);
}

uint32_t type_table_count(const struct type_table *t)
{
    return t->count;
}

uint64_t type_table_version(const struct type_table *t)
{
    return t->version;
}
