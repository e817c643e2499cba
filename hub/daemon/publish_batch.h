/*
 * publish_batch: the events of one `publish` while they are received, checked and answered.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_PUBLISH_BATCH_H
#define NHUB_DAEMON_PUBLISH_BATCH_H

#include "daemon/intake.h"
#include "wire/packed.h"
#include "wire/request.h"

#define PUBLISH_MAX_EVENTS 10000
/* Names of unknown fields that an answer lists. */
#define PUBLISH_IGNORED_MAX 16

/* An event of the request, where its text lies. */
struct publish_item {
    const char *text;
    size_t len;
    struct intake_event event;
    bool is_lost; /* of a duplicate: its first one was not stored and will not be */
};

/* Why a request's events were not kept while they were received. */
enum publish_overflow { PUBLISH_FITS, PUBLISH_TOO_MANY, PUBLISH_TOO_BIG };

struct publish_batch {
    struct publish_item *items;
    size_t cap;
    size_t count;
    uint64_t bytes; /* of the events' texts */
    char *own;      /* a copy of the texts; NULL: they lie in the message that is being read */
    enum publish_overflow overflow;
    bool no_memory;
    struct json_span ignored[PUBLISH_IGNORED_MAX]; /* as they stand in the texts */
    size_t ignored_count;
};

/* Bytes that a batch may have. */
uint64_t publish_max_bytes(const struct settings *settings);

/* Takes one event, whose text must live as long as the batch, or until publish_batch_keep(). What
 * is over the limits is left out, and told by `overflow`. An all-zero batch is an empty one. */
void publish_batch_add(struct publish_batch *b, const char *text, size_t len, uint64_t max_bytes);
/* The same for all events of a packed request at once: what the reader of the frame has left. */
void publish_batch_add_packed(struct publish_batch *b, const struct packed_reader *rest,
                              uint64_t max_bytes);
/* Copies the texts of a batch that was not checked yet, so that the message may go. Errors:
 * NHUB_ENOMEM, nothing changed. */
NHUB_MUST_USE nhub_err publish_batch_keep(struct publish_batch *b);
/* Empties the batch; a large one gives its memory back. */
void publish_batch_reset(struct publish_batch *b);
/* Frees everything. */
void publish_batch_fini(struct publish_batch *b);
/* Bytes of memory that it takes with its texts. */
uint64_t publish_batch_memory(const struct publish_batch *b);
/* Adds a name to `ignored`: a json_unknown_fn whose context is the batch. */
void publish_batch_note_ignored(void *context, const struct json_span *name);

#endif
