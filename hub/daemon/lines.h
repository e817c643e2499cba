/*
 * lines: lines of events gathered in one block of memory as the frames that go out, so that each
 * line is copied once.
 *
 * The block lives until it is written to the network; what all blocks of one counter hold until
 * then can be bounded by whoever owns the counter.
 *
 * Threads: one gathers at a time; blocks belong to the loop.
 */
#ifndef NHUB_DAEMON_LINES_H
#define NHUB_DAEMON_LINES_H

#include "base/buf.h"
#include "daemon/replies.h"

struct lines {
    struct buf bytes; /* of frames */
    size_t last;      /* where the last one begins */
    size_t count;
};

void lines_init(struct lines *l);
void lines_fini(struct lines *l);
/* A failed allocation shows in lines_failed(). */
void lines_add(struct lines *l, const char *line, size_t len);
bool lines_failed(const struct lines *l);
/* The lines as frames (NULL when there are none); l is empty afterwards. *in_flight counts the
 * bytes of blocks until they are freed, and must live as long. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err lines_take_frames(struct lines *l, uint64_t *in_flight,
                                         struct reply_frames **out);

#endif
