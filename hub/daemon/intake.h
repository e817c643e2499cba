/*
 * intake: the one way into the hub. An event is checked, looked up among the known ids, numbered,
 * kept and published; PUSH and the request `publish` both end here.
 *
 *     text ─ check ─ de-duplicate ─ number ─▶ rendered straight into the journal ─▶ publisher
 *
 * Checking and numbering are two steps, so that a batch can be checked as a whole before its first
 * event gets a number. Nothing is allocated for an event.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_INTAKE_H
#define NHUB_DAEMON_INTAKE_H

#include "base/uuid.h"
#include "daemon/journal.h"
#include "daemon/publisher.h"
#include "daemon/stats.h"
#include "wire/event.h"

/* Room for what the hub adds to an event: field names, timestamp, correlation id, position. */
#define INTAKE_RENDER_EXTRA 4096

struct intake;

struct intake_parts {
    const struct settings *settings;
    struct stats *stats;
    struct journal *journal;
    struct publisher *publisher;
};

enum intake_outcome {
    INTAKE_NEW,       /* to be numbered, or numbered already */
    INTAKE_DUPLICATE, /* known id, same content: seq is the number that it got */
    INTAKE_CONFLICT,  /* known id, other content: refused */
    INTAKE_REFUSED    /* error says why */
};

/* An event on its way. Spans point into the publisher's text, which must live as long. */
struct intake_event {
    struct event event;
    struct event_error error;
    enum intake_outcome outcome;
    size_t text_len;
    uint64_t seq;
    bool was_added; /* its id was new and is remembered now, by this key and content */
    struct hash128 key;
    uint64_t content;
    bool has_correlation;
    char correlation[UUID_TEXT_LEN]; /* given by the hub, unless the event has one of its own */
};

/* Who sent an event: for the log only. */
struct intake_origin {
    const struct zserver *server; /* NULL = not known */
    uint64_t peer;
};

/* Told of every event right after it was numbered. */
typedef void intake_numbered_fn(void *context, const char *type, size_t type_len, uint64_t seq);

/* Errors: NHUB_ENOMEM. The parts must outlive it. */
NHUB_MUST_USE nhub_err intake_create(struct intake **out, const struct intake_parts *parts);
void intake_destroy(struct intake **in_p);
/* One listener; NULL = none. */
void intake_set_listener(struct intake *in, intake_numbered_fn *numbered, void *context);

/* Checks one event and adds its id, if it has one. pending: events that passed since the last one
 * was numbered and will be numbered before this one. Counts nothing yet. unknown: see json_scan.h.
 */
void intake_check(struct intake *in, const char *text, size_t len, uint64_t pending,
                  json_unknown_fn *unknown, void *context, struct intake_event *out);
/* Forgets the ids of the last `count` events with was_added. */
void intake_undo(struct intake *in, uint64_t count);
/* Carries out what the check found: numbers, keeps, publishes and counts a new event, counts a
 * duplicate, counts and logs (limited) a refused one. Errors: NHUB_EUNAVAIL the journal gives out
 * no numbers; the event is refused then. */
NHUB_MUST_USE nhub_err intake_finish(struct intake *in, struct intake_event *e,
                                     const struct intake_origin *from);
/* Only counts and logs a refused event: its batch is not carried out. */
void intake_count_refused(struct intake *in, const struct intake_event *e,
                          const struct intake_origin *from);

/* All of it for an event that came by PUSH: nobody waits for an answer. */
void intake_push(struct intake *in, const char *text, size_t len, const struct intake_origin *from);
/* Publishes an event of the hub itself with these data (JSON text). Errors: NHUB_EPROTO the data
 * are no JSON, or nested too deeply; NHUB_ETOOBIG; NHUB_ENOMEM; NHUB_EUNAVAIL. */
NHUB_MUST_USE nhub_err intake_publish_own(struct intake *in, const char *type, const char *data,
                                          size_t len);
/* The same, where a failure can only be logged. */
void intake_own_event(struct intake *in, const char *type, const char *data, size_t len);
uint64_t intake_dedup_ids(const struct intake *in);

/* The stable word and the text for an event that was not numbered. */
const char *intake_code(const struct intake_event *e);
const char *intake_detail(const struct intake_event *e);

#endif
