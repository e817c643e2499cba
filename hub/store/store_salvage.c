/*
 * store_salvage: one pass over the pages to find the records, one over the records in order.
 */
#include "store/store_salvage.h"

#include "store/store_file.h"
#include "store/store_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES     4096 /* when the first pages do not say it */
#define PROGRESS_PAGES 4096

/* Where a good record lies. */
struct place {
    uint64_t key;
    uint64_t offset; /* of the record in the file */
    uint64_t size;
};

struct search {
    struct store_salvage *salvage;
    struct store_bytes bytes;
    size_t page_bytes;
    unsigned char *page;
    struct buf value;  /* a record that is being looked at */
    struct buf places; /* of struct place */
};

/* The record at the place; false when it is none, or without memory (value.failed). */
static bool read_record(struct search *s, const struct place *place, struct store_record *out)
{
    buf_reset(&s->value);
    if (place->size > STORE_RECORD_MAX || place->offset > s->bytes.size ||
        place->size > s->bytes.size - place->offset ||
        buf_reserve(&s->value, place->size + 1) != NHUB_OK) {
        return false;
    }
    return s->bytes.read(s->bytes.context, place->offset, s->value.data, place->size) &&
           store_record_read(place->key, s->value.data, place->size, out) == NHUB_OK;
}

static void look_at(struct search *s, uint64_t page_no, const struct store_leaf_entry *entry)
{
    struct place place = {.key = entry->key, .size = entry->size};
    struct store_record record;

    if (entry->size == 0 || entry->first_page > s->bytes.size / s->page_bytes) {
        return;
    }
    place.offset = entry->value ? page_no * s->page_bytes + (uint64_t)(entry->value - s->page)
                                : entry->first_page * s->page_bytes + LAYOUT_HEAD;
    if (read_record(s, &place, &record)) {
        buf_add(&s->places, &place, sizeof place);
    }
}

static nhub_err search_pages(struct search *s)
{
    const uint64_t pages = s->bytes.size / s->page_bytes;

    for (uint64_t page_no = 2; page_no < pages; page_no++) {
        struct store_leaf_entry entry;

        s->salvage->pages++;
        if (s->bytes.read(s->bytes.context, page_no * s->page_bytes, s->page, s->page_bytes)) {
            for (size_t i = 0; store_leaf_entry(s->page, s->page_bytes, page_no, i, &entry); i++) {
                look_at(s, page_no, &entry);
            }
        } else {
            s->salvage->unreadable++;
        }
        if (s->places.failed || s->value.failed) {
            return NHUB_ENOMEM;
        }
        if (s->salvage->progress && page_no % PROGRESS_PAGES == 0) {
            s->salvage->progress(s->salvage->context, page_no, pages);
        }
    }
    return NHUB_OK;
}

static int by_key(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static nhub_err visit_all(struct search *s)
{
    struct place *places = (struct place *)(void *)s->places.data;
    const size_t count = s->places.len / sizeof *places;

    if (count == 0) {
        return NHUB_OK;
    }
    qsort(places, count, sizeof *places, by_key);
    for (size_t i = 0; i < count; i++) {
        struct store_record record;

        if (i > 0 && places[i].key == places[i - 1].key) {
            continue; /* a copy: records do not change */
        }
        if (read_record(s, &places[i], &record)) {
            s->salvage->events++;
            if (!s->salvage->visit(s->salvage->context, &record)) {
                break;
            }
        }
    }
    return NHUB_OK;
}

static nhub_err search_file(struct search *s, int fd)
{
    struct store_snapshot snapshot;
    nhub_err status = NHUB_OK;

    s->bytes = store_file_bytes(&fd);
    s->page_bytes = PAGE_BYTES;
    if (!store_snapshot_read(&s->bytes, 0, 0, &snapshot)) {
        s->page_bytes = snapshot.page_bytes;
    }
    s->page = malloc(s->page_bytes);
    status = s->page ? search_pages(s) : NHUB_ENOMEM;
    return status ? status : visit_all(s);
}

nhub_err store_salvage(const char *folder, struct store_salvage *salvage, struct buf *error)
{
    struct search s = {.salvage = salvage};
    struct folder where = FOLDER_CLOSED;
    nhub_err status = folder_open(&where, folder, false, error);
    int fd = -1;

    salvage->pages = salvage->events = salvage->unreadable = 0;
    if (status) {
        return status;
    }
    fd = openat(where.fd, FOLDER_DATA, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const int saved = errno;

        buf_printf(error, "cannot read %s/" FOLDER_DATA ": %s", folder, strerror(saved));
        folder_close(&where);
        errno = saved;
        return saved == ENOENT ? NHUB_ENOTFOUND : NHUB_ESYS;
    }
    buf_init(&s.value);
    buf_init(&s.places);
    status = search_file(&s, fd);
    buf_fini(&s.value);
    buf_fini(&s.places);
    free(s.page);
    (void)close(fd);
    folder_close(&where);
    return status;
}
