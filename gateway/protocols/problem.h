/*
 * problem: answers of the kind application/problem+json (RFC 9457): what every refusal over HTTP
 * looks like. One row for each reason gives the status and the title.
 *
 * Threads: any; pure functions.
 */
#ifndef GATEWAY_PROTOCOLS_PROBLEM_H
#define GATEWAY_PROTOCOLS_PROBLEM_H

#include "base/buf.h"
#include "gateway/counters.h"

#include <stdbool.h>
#include <stddef.h>

#define PROBLEM_CONTENT_TYPE "application/problem+json"

struct problem {
    enum reject_reason reason;
    unsigned status;  /* 0 = the reason's */
    const char *code; /* NULL = the reason's word */
    const char *detail;
    const char *field; /* the member of the event that is wrong, or NULL */
    bool has_offset, has_index, has_line;
    size_t offset, index, line;
    const char *epoch; /* of events that were numbered all the same; NULL = there are none */
    uint64_t first_seq, last_seq;
};

unsigned problem_status(enum reject_reason reason);
const char *problem_title(enum reject_reason reason);
/* Seconds for Retry-After, 0 = the header does not help. */
unsigned problem_retry_after_s(enum reject_reason reason);
/* Appends the JSON object and a newline. */
void problem_render(const struct problem *p, struct buf *out);

#endif
