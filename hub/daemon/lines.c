/*
 * lines: gathering, and blocks that count their frames.
 */
#include "daemon/lines.h"

#include <stdlib.h>

struct block {
    _Atomic uint64_t *in_flight;
    atomic_size_t refs;
    size_t size;
    char *bytes;
};

void lines_init(struct lines *l)
{
    buf_init(&l->bytes);
    buf_init(&l->ends);
    l->count = 0;
}

void lines_fini(struct lines *l)
{
    buf_fini(&l->bytes);
    buf_fini(&l->ends);
    l->count = 0;
}

void lines_add(struct lines *l, const char *line, size_t len)
{
    buf_add(&l->bytes, line, len);
    buf_add(&l->ends, &l->bytes.len, sizeof l->bytes.len);
    l->count++;
}

bool lines_failed(const struct lines *l)
{
    return l->bytes.failed || l->ends.failed;
}

static void release_block(struct block *b, size_t refs)
{
    if (atomic_fetch_sub_explicit(&b->refs, refs, memory_order_acq_rel) == refs) {
        atomic_fetch_sub_explicit(b->in_flight, b->size, memory_order_relaxed);
        free(b->bytes);
        free(b);
    }
}

/* Makes a block's memory, written by the loop, visible to the thread that gives its frames back.
 * ZeroMQ's own queue between the two does that already, but nothing that checks our code can see
 * into it. */
static atomic_uint handover;

static void give_back(void *bytes, void *hint)
{
    (void)bytes;
    (void)atomic_load_explicit(&handover, memory_order_acquire);
    release_block(hint, 1);
}

static struct block *take_block(struct lines *l, _Atomic uint64_t *in_flight)
{
    struct block *b = malloc(sizeof *b);

    if (!b) {
        return NULL;
    }
    b->bytes = buf_take(&l->bytes, &b->size);
    if (!b->bytes) {
        free(b);
        return NULL;
    }
    b->in_flight = in_flight;
    atomic_init(&b->refs, l->count);
    atomic_fetch_add_explicit(in_flight, b->size, memory_order_relaxed);
    return b;
}

static nhub_err make_frames(const struct lines *l, struct block *block, struct reply_frames *frames)
{
    const size_t *ends = (const size_t *)(const void *)l->ends.data;
    size_t begin = 0;

    frames->bytes = block->size;
    for (size_t i = 0; i < l->count; i++) {
        if (zframe_init_foreign(&frames->frames[i], block->bytes + begin, ends[i] - begin,
                                give_back, block) != NHUB_OK) {
            return NHUB_ENOMEM;
        }
        frames->count++;
        begin = ends[i];
    }
    atomic_fetch_add_explicit(&handover, 1, memory_order_release);
    return NHUB_OK;
}

nhub_err lines_take_frames(struct lines *l, _Atomic uint64_t *in_flight, struct reply_frames **out)
{
    struct reply_frames *frames = NULL;
    struct block *block = NULL;
    nhub_err err = NHUB_OK;

    *out = NULL;
    if (lines_failed(l)) {
        err = NHUB_ENOMEM;
    } else if (l->count > 0) {
        err = reply_frames_create(&frames, l->count);
        if (!err && !(block = take_block(l, in_flight))) {
            err = NHUB_ENOMEM;
        }
        if (!err) {
            err = make_frames(l, block, frames);
        }
    }
    if (err && block) {
        const size_t left = l->count - frames->count;

        reply_frames_destroy(&frames);
        release_block(block, left);
    } else if (err) {
        reply_frames_destroy(&frames);
    }
    lines_fini(l);
    *out = frames;
    return err;
}
