/*
 * disk_batch: entries in a buf: a head, a key, a value.
 */
#include "daemon/disk_batch.h"

#include <stdlib.h>
#include <string.h>

struct head {
    uint64_t len;
    int64_t arrival_us;
    uint16_t key_len;
    uint8_t kind;
};

struct id_key {
    struct hash128 key;
    uint64_t content;
};

nhub_err disk_batch_create(struct disk_batch **out, uint64_t number, uint64_t last_seq, size_t hint)
{
    struct disk_batch *b = calloc(1, sizeof *b);

    if (!b) {
        return NHUB_ENOMEM;
    }
    b->post.kind = POST_BATCH;
    b->number = number;
    b->first_seq = last_seq + 1;
    b->last_seq = last_seq;
    buf_init(&b->bytes);
    if (hint > 0 && buf_reserve(&b->bytes, hint) != NHUB_OK) {
        buf_reset(&b->bytes); /* a hint, no more */
    }
    *out = b;
    return NHUB_OK;
}

void disk_batch_destroy(struct disk_batch **b_p)
{
    if (*b_p) {
        buf_fini(&(*b_p)->bytes);
        free(*b_p);
        *b_p = NULL;
    }
}

void disk_batch_drop_bytes(struct disk_batch *b)
{
    buf_fini(&b->bytes);
}

static void add(struct disk_batch *b, const struct head *head, const void *key, const void *value)
{
    const size_t len = head->kind == DISK_ENTRY_NO_NOTE ? 0 : (size_t)head->len;

    b->has_entries = true;
    if (b->bytes.failed || buf_reserve(&b->bytes, sizeof *head + head->key_len + len) != NHUB_OK) {
        return;
    }
    buf_add(&b->bytes, head, sizeof *head);
    buf_add(&b->bytes, key, head->key_len);
    if (len > 0) {
        buf_add(&b->bytes, value, len);
    }
}

void disk_batch_add_id(struct disk_batch *b, const struct hash128 *key, uint64_t content,
                       int64_t arrival_us)
{
    const struct id_key id = {.key = *key, .content = content};
    const struct head head = {
        .kind = DISK_ENTRY_ID, .key_len = sizeof id, .arrival_us = arrival_us};

    add(b, &head, &id, NULL);
}

void disk_batch_add_event(struct disk_batch *b, int64_t arrival_us, const char *type,
                          size_t type_len, const char *line, size_t len)
{
    const struct head head = {.kind = DISK_ENTRY_EVENT,
                              .key_len = (uint16_t)type_len,
                              .len = len,
                              .arrival_us = arrival_us};

    add(b, &head, type, line);
    b->last_seq++;
}

void disk_batch_add_note(struct disk_batch *b, const void *key, size_t key_len, const void *value,
                         size_t len)
{
    const struct head head = {.kind = value ? DISK_ENTRY_NOTE : DISK_ENTRY_NO_NOTE,
                              .key_len = (uint16_t)key_len,
                              .len = value ? len : 0};

    add(b, &head, key, value);
}

uint64_t disk_batch_events(const struct disk_batch *b)
{
    return b->last_seq + 1 - b->first_seq;
}

bool disk_batch_is_incomplete(const struct disk_batch *b)
{
    return b->bytes.failed;
}

bool disk_batch_next(const struct disk_batch *b, struct disk_batch_iter *it, struct disk_entry *out)
{
    const char *p = b->bytes.data + it->offset;
    struct head head;

    if (it->offset == b->bytes.len) {
        return false;
    }
    memcpy(&head, p, sizeof head);
    *out = (struct disk_entry){.kind = (enum disk_entry_kind)head.kind,
                               .arrival_us = head.arrival_us,
                               .key = p + sizeof head,
                               .key_len = head.key_len,
                               .value = p + sizeof head + head.key_len,
                               .len = (size_t)head.len};
    out->seq = b->first_seq + it->events;
    if (out->kind == DISK_ENTRY_ID) {
        struct id_key id;

        memcpy(&id, out->key, sizeof id);
        out->id = id.key;
        out->content = id.content;
    } else if (out->kind == DISK_ENTRY_EVENT) {
        it->events++;
    }
    it->offset += sizeof head + head.key_len + out->len;
    return true;
}
