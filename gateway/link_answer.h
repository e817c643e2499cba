/*
 * link_answer: reads the hub's answers (PROTOCOL.md, "DEALER ↔ ROUTER") with the JSON scanner.
 *
 * No tree is built: thousands of publish answers come in a second. The spans point into the text.
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_LINK_ANSWER_H
#define GATEWAY_LINK_ANSWER_H

#include "gateway/feed.h"
#include "gateway/link_sequencer.h"
#include "wire/json_scan.h"

#define LINK_CODE_MAX  32
#define LINK_ERROR_MAX 160

/* How the hub's journal is; all "" when the hub did not say. */
struct link_journal {
    char state[16];          /* "ready", "degraded", "off" */
    char why[96];            /* for people; "" when there is nothing to say */
    char durability_max[16]; /* what can be asked for when the disk is well */
};

struct link_answer {
    uint64_t request_id;
    bool success;
    char code[LINK_CODE_MAX]; /* "" when the hub gave none */
    char error[LINK_ERROR_MAX];
    /* publish */
    bool has_seqs; /* first_seq and last_seq are there: something was numbered */
    uint64_t first_seq, last_seq, count;
    uint64_t index, offset; /* of a refused event */
    int durability;         /* enum durability, DURABILITY_DEFAULT = not named */
    struct json_span results;
    /* position */
    uint64_t protocol; /* 0 = not named */
    bool has_dedup;
    uint64_t max_event_bytes; /* 0 = not named */
    struct link_head head;
    struct link_journal journal;
    /* history */
    bool has_page;
    struct link_page page;
};

/* Errors: NHUB_EPROTO when it is no answer to one of our requests. */
NHUB_MUST_USE nhub_err link_answer_parse(const char *text, size_t len, struct link_answer *out);

/* One entry of a publish answer's "results". */
struct link_result {
    uint64_t index;
    bool is_duplicate;
    uint64_t seq; /* of the first one, for a duplicate */
    uint64_t offset;
    char code[LINK_CODE_MAX];
    char error[LINK_ERROR_MAX];
};
/* The entries one after the other; *pos starts at 0. Errors: NHUB_ENOTFOUND at the end,
 * NHUB_EPROTO.
 */
NHUB_MUST_USE nhub_err link_answer_result(const struct json_span *results, size_t *pos,
                                          struct link_result *out);

/* An event from its canonical line alone: type from its first member, position from its end.
 * Errors: NHUB_EPROTO, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err link_event_from_line(const char *line, size_t len, struct feed_event **out);
/* True when a canonical line has the member "id", so that the hub can tell a repeat. */
bool link_line_has_id(const char *line, size_t len);

#endif
