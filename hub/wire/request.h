/*
 * request: the requests and answers between a client and the hub's ROUTER, as values (frames:
 * PROTOCOL.md).
 *
 * Built and read with jansson: this is the path of requests, not of events; events travel as frames
 * of their own. Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_REQUEST_H
#define NHUB_WIRE_REQUEST_H

#include "base/buf.h"
#include "wire/position.h"
#include "wire/request_group.h"

/* jansson.h and json_scan.h name their kinds alike (JSON_STRING …): no file includes both. */
typedef struct json_t json_t;

#define REQUEST_PROTOCOL_VERSION 1
#define REQUEST_TEXT_MAX         (1024 * 1024) /* bytes of the JSON frame */
#define REQUEST_ID_MAX           256           /* bytes of request_id as JSON text */
#define REQUEST_PATTERNS_MAX     1024
/* Bytes of all events of a publish; one event of the largest size may come in any case. A request
 * of twice as many is cut off with its connection, and with all else that is under way on it, so
 * those who send keep to it themselves. */
#define REQUEST_EVENTS_BYTES_MAX ((uint64_t)16 << 20)
#define REQUEST_LIMIT_MAX        10000 /* events of a history page; larger limits are cut to it */

/* Bytes that all events of a publish may have: one of the largest size fits in any case. */
static inline uint64_t request_events_bytes(uint64_t max_event_bytes)
{
    return max_event_bytes > REQUEST_EVENTS_BYTES_MAX ? max_event_bytes : REQUEST_EVENTS_BYTES_MAX;
}

enum message_type {
    MESSAGE_REQ,
    MESSAGE_REQ_NO_REPLY,
    MESSAGE_RESPONSE,
    MESSAGE_NOTIF,
    MESSAGE_HB,
    MESSAGE_UNKNOWN
};
enum message_type message_type_parse(const void *bytes, size_t len);
const char *message_type_name(enum message_type type); /* "REQ" … */

enum request_action {
    ACTION_HEALTH,
    ACTION_INFO,
    ACTION_TERMINATE,
    ACTION_PUBLISH,
    ACTION_POSITION,
    ACTION_HISTORY,
    ACTION_COUNT,
    ACTION_STATS,
    ACTION_GROUP_CREATE,
    ACTION_GROUP_DELETE,
    ACTION_GROUPS,
    ACTION_GROUP,
    ACTION_FETCH,
    ACTION_ACK,
    ACTION_NACK,
    ACTION_EXTEND,
    ACTION_UNKNOWN /* the name is in request.action_name */
};

struct request_pattern {
    const char *text; /* inside the request's json */
    size_t len;
};

struct request {
    json_t *json; /* owned; of a publish in its usual form only the request_id */
    enum request_action action;
    const char *action_name; /* inside json; the JSON text of one that is no string */
    json_t *request_id;      /* borrowed, NULL = none; any JSON value is copied back */
    const char *error_code;  /* after NHUB_EPROTO: the stable word beside *error_text, static; NULL
                                for the original's own errors, which have none */
    /* publish */
    int durability;    /* enum durability; DURABILITY_DEFAULT when not given */
    bool atomic;       /* all or nothing (default true); false: each event for itself */
    bool batched_acks; /* "acks":"batched" */
    /* history, count, group_create */
    struct since since;               /* "since" of history, position and group_create */
    uint64_t limit;                   /* history: 0 = default */
    struct position from, to;         /* count: (from.seq, to.seq] in from.epoch */
    struct request_pattern *patterns; /* event_type; count: prefixes; owned */
    size_t pattern_count;
    struct request_group group; /* the actions on consumer groups */
};

/* Reads the JSON frame of a request. On NHUB_EPROTO *error_text is the word-for-word answer of the
 * original where it has one ("Invalid JSON format", "Missing required field: action") or a clear
 * one of ours; a request whose action is unknown is not an error here. *out is to be freed in every
 * case; its request_id is set whenever it could be read. Errors: NHUB_EPROTO, NHUB_ENOMEM, both
 * with *error_text, which the caller initialises. */
NHUB_MUST_USE nhub_err request_parse(const char *text, size_t len, struct request *out,
                                     struct buf *error_text);
void request_free(struct request *r);
/* Frees all but the request_id, for a request whose answer takes time. */
void request_keep_id(struct request *r);

/* Writers of requests, used by libnotifyhub and the gateway. request_id: a number that the answer
 * brings back. */
void request_write_simple(struct buf *out, const char *action, uint64_t request_id);
void request_write_publish(struct buf *out, uint64_t request_id, int durability, bool atomic);
/* The same, for one who takes many answers in one message. */
void request_write_publish_batched(struct buf *out, uint64_t request_id, int durability,
                                   bool atomic);
/* Begins a packed request (packed.h) that wants an answer: its type and its JSON. Parts may follow.
 */
void request_pack(struct buf *out, const void *json, size_t len);
void request_write_history(struct buf *out, uint64_t request_id, const char *since_text,
                           const char *const *patterns, size_t count, uint64_t limit);
void request_write_count(struct buf *out, uint64_t request_id, const struct position *from,
                         uint64_t to_seq, const char *const *prefixes, size_t count);

const char *durability_name(int durability); /* "memory", "journaled", "synced"; else "default" */
NHUB_MUST_USE nhub_err durability_parse(const char *text, int *out); /* Errors: NHUB_EINVAL */

#endif
