/*
 * publish_fixture: subscribers of a server of type PUB, and events that tell by their bytes which
 * they are. Included by one file of each test program.
 */
#ifndef TESTS_PUBLISH_FIXTURE_H
#define TESTS_PUBLISH_FIXTURE_H

#include "server_fixture.h"

#include <stdio.h>

enum { EVENT_MAX = 1 << 20 };

/* Says a subscription to the prefix, or the end of one. */
static inline void say_interest(struct peer *p, bool wants, const char *prefix)
{
    char bytes[300];

    assert_true(strlen(prefix) < sizeof bytes - 1);
    bytes[0] = (char)(wants ? 1 : 0);
    memcpy(bytes + 1, prefix, strlen(prefix));
    add_frame(&p->to_say, LAST, bytes, 1 + strlen(prefix));
    speak(p);
}

static inline void subscribe(struct fixture *f, struct peer *p, const char *prefix)
{
    const uint64_t before = counts(f)->subscribed;

    say_interest(p, true, prefix);
    DRIVE_UNTIL(f, counts(f)->subscribed == before + 1);
}

/* A subscriber whose network takes little when it does not read. */
static inline struct peer *open_sub(struct fixture *f, const char *prefix)
{
    struct peer *p = open_with(f, 4096);

    subscribe(f, p, prefix);
    return p;
}

/* The line of event `number`, `len` >= 10 bytes: its number and a pattern of its own. */
static inline void make_line(char *out, unsigned number, size_t len)
{
    char digits[16];

    NHUB_IGNORE(snprintf(digits, sizeof digits, "%09u ", number) < 0);
    memcpy(out, digits, 10);
    for (size_t i = 10; i < len; i++) {
        out[i] = (char)(number * 31 + i * 7 + i / 251);
    }
}

static inline void publish(struct fixture *f, const char *type, unsigned number, size_t len)
{
    static char line[EVENT_MAX];

    assert_true(len >= 10 && len <= sizeof line);
    make_line(line, number, len);
    zserver_publish(f->s, type, strlen(type), line, len);
}

/* An event as a subscriber got it. */
struct event {
    struct zmtp_frame type;
    unsigned number;
    size_t len; /* of its line */
};

/* The next event, whose line is checked byte by byte; false when it is not all here yet. */
static inline bool next_event(struct peer *p, struct event *out)
{
    static char line[EVENT_MAX];
    const size_t begin = p->parsed;
    struct zmtp_frame frame;

    if (!heard(p, &out->type)) {
        return false;
    }
    if (!heard(p, &frame)) {
        p->parsed = begin;
        return false;
    }
    assert_true(out->type.more && !out->type.is_command);
    assert_false(frame.more || frame.is_command);
    assert_in_range(frame.len, 10, sizeof line);
    out->len = frame.len;
    out->number = (unsigned)strtoul(frame.bytes, NULL, 10);
    make_line(line, out->number, frame.len);
    assert_memory_equal(frame.bytes, line, frame.len);
    return true;
}

static inline void expect_event(struct fixture *f, struct peer *p, const char *type,
                                unsigned number, size_t len)
{
    struct event event;

    DRIVE_UNTIL(f, next_event(p, &event));
    assert_true(is_text(&event.type, type));
    assert_int_equal(event.number, number);
    assert_int_equal(event.len, len);
}

/* All that waits is written, and nothing of it was left unparsed. */
static inline void expect_no_more(struct fixture *f, struct peer *p)
{
    DRIVE_UNTIL(f, !zserver_is_writing(f->s));
    let_time_pass(f);
    assert_int_equal(p->parsed, p->received.len);
}

/* Publishes to peers that do not read until the network takes no more; returns the next number. It
 * takes a part of what is written at once, so that it mostly stops in the middle of an event. */
static inline unsigned choke(struct fixture *f, const char *type, unsigned number, size_t len)
{
    while (!zserver_is_writing(f->s)) {
        for (size_t bytes = 0; bytes < 50000; bytes += len) {
            publish(f, type, number++, len);
        }
        zserver_flush(f->s);
    }
    return number;
}

#endif
