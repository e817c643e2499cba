/*
 * lines: gathering, and blocks that are counted until they are written.
 */
#include "daemon/lines.h"

#include "wire/zmtp.h"

#include <stdlib.h>

void lines_init(struct lines *l)
{
    buf_init(&l->bytes);
    l->last = 0;
    l->count = 0;
}

void lines_fini(struct lines *l)
{
    buf_fini(&l->bytes);
    l->last = 0;
    l->count = 0;
}

void lines_add(struct lines *l, const char *line, size_t len)
{
    l->last = l->bytes.len;
    zmtp_add_frame(&l->bytes, line, len, true);
    l->count++;
}

bool lines_failed(const struct lines *l)
{
    return l->bytes.failed;
}

static void block_gone(void *context, struct block *b)
{
    uint64_t *in_flight = context;

    *in_flight -= b->len;
}

static nhub_err make_block(struct lines *l, uint64_t *in_flight, struct reply_frames *frames)
{
    size_t len = 0;
    char *bytes = NULL;

    zmtp_set_last(l->bytes.data + l->last);
    bytes = buf_take(&l->bytes, &len);
    if (!bytes || block_adopt(&frames->block, bytes, len) != NHUB_OK) {
        free(bytes);
        return NHUB_ENOMEM;
    }
    frames->bytes = len;
    frames->block->gone = block_gone;
    frames->block->context = in_flight;
    *in_flight += len;
    return NHUB_OK;
}

nhub_err lines_take_frames(struct lines *l, uint64_t *in_flight, struct reply_frames **out)
{
    nhub_err err = NHUB_OK;

    *out = NULL;
    if (lines_failed(l)) {
        err = NHUB_ENOMEM;
    } else if (l->count > 0) {
        err = reply_frames_create(out);
        if (!err) {
            err = make_block(l, in_flight, *out);
        }
    }
    if (err) {
        reply_frames_destroy(out);
    }
    lines_fini(l);
    return err;
}
