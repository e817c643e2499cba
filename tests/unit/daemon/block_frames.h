/*
 * block_frames: the frames behind the JSON of an answer, made and read as they go over the wire.
 */
#ifndef NHUB_TESTS_BLOCK_FRAMES_H
#define NHUB_TESTS_BLOCK_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/replies.h"
#include "wire/zmtp.h"

/* The frame at *at, which is moved behind it; false behind the last one. The last frame of a block
 * ends the message, no other one does. */
static inline bool block_frame(const struct block *b, size_t *at, struct zmtp_frame *out)
{
    size_t used = 0;

    if (!b || *at == b->len) {
        return false;
    }
    assert_true(*at < b->len);
    assert_int_equal(zmtp_frame_read(b->bytes + *at, b->len - *at, SIZE_MAX, out, &used), NHUB_OK);
    *at += used;
    assert_false(out->is_command);
    assert_int_equal(out->more, *at < b->len);
    return true;
}

/* Adds each frame's text, between these two. */
static inline void block_add_frames(struct buf *out, const struct block *b, const char *before,
                                    const char *behind)
{
    struct zmtp_frame frame;

    for (size_t at = 0; block_frame(b, &at, &frame);) {
        buf_add_str(out, before);
        buf_add(out, frame.bytes, frame.len);
        buf_add_str(out, behind);
    }
}

/* A frame for each letter of the text. */
static inline struct reply_frames *frames_of_letters(const char *text)
{
    struct reply_frames *frames = NULL;
    struct buf bytes;
    char *memory;
    size_t len = 0;

    buf_init(&bytes);
    for (const char *at = text; *at != '\0'; at++) {
        zmtp_add_frame(&bytes, at, 1, at[1] != '\0');
    }
    memory = buf_take(&bytes, &len);
    assert_non_null(memory);
    assert_int_equal(reply_frames_create(&frames), NHUB_OK);
    assert_int_equal(block_adopt(&frames->block, memory, len), NHUB_OK);
    frames->bytes = len;
    return frames;
}

#endif
