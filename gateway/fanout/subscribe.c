/*
 * subscribe: what a session wants, as one set of patterns, and its way from one stream to another
 * without a seam.
 *
 * One connection is one stream: patterns of several requests form their union. "Everything" beside
 * other patterns is written as "*", which selects the same.
 */
#include "gateway/fanout/internal.h"

#include <stdlib.h>
#include <string.h>

bool session_is_subscribed(const struct session *s)
{
    return s->stream != NULL;
}

size_t session_pattern_count(const struct session *s)
{
    return s->stream ? s->stream->set->count : 0;
}

/* Both lists as one set; an empty one stands for everything. */
static nhub_err get_union(struct fanout *f, const struct pattern_set *have,
                          const char *const *patterns, size_t count, struct pattern_set **out)
{
    const char **list = malloc((have->count + count + 2) * sizeof *list);
    size_t n = 0;
    nhub_err err = NHUB_OK;

    if (!list) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < have->count; i++) {
        list[n++] = have->patterns[i];
    }
    for (size_t i = 0; i < count; i++) {
        list[n++] = patterns[i];
    }
    if ((have->count == 0 || count == 0) && n > 0) {
        list[n++] = "*";
    }
    err = pattern_set_get(f->sets, list, n, out);
    free(list);
    return err;
}

static bool contains(const char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(patterns[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* *out is NULL when nothing is left. */
static nhub_err get_difference(struct fanout *f, const struct pattern_set *have,
                               const char *const *patterns, size_t count, struct pattern_set **out)
{
    const char **list = malloc((have->count + 1) * sizeof *list);
    size_t n = 0;
    nhub_err err = NHUB_OK;

    if (!list) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < have->count; i++) {
        if (!contains(patterns, count, have->patterns[i])) {
            list[n++] = have->patterns[i];
        }
    }
    *out = NULL;
    if (n > 0) {
        err = pattern_set_get(f->sets, list, n, out);
    } else if (have->count == 0 && !contains(patterns, count, "*")) {
        err = pattern_set_get(f->sets, NULL, 0, out); /* everything stays everything */
    }
    free(list);
    return err;
}

/* Changes the stream under a live session. What is pending in the old one is worked off from the
 * cache, in the new patterns, so the order holds and nothing comes twice. */
static nhub_err move_live(struct session *s, struct stream *st)
{
    const uint64_t at = s->state == STATE_READY ? s->stream->front : s->at;
    const bool is_pending = at < s->stream->end;

    if (s->state == STATE_READY) {
        s->at = at;
        s->state = STATE_LAGGING;
    }
    if (s->latest || (s->is_blocked && s->policy == POLICY_LATEST)) {
        latest_absorb(s); /* they stay its values; the new stream adds to them */
        if (s->state == STATE_ENDED) {
            return NHUB_ECLOSED;
        }
    } else if (is_pending) {
        return replay_instead(s, st);
    }
    stream_leave(s);
    stream_attach(s, st);
    stream_join(s);
    return NHUB_OK;
}

/* In a replay the link stays where it is: only the stream to join changes. */
static void move_replay(struct session *s, struct stream *st)
{
    struct stream *old = s->stream;

    stream_attach(s, st);
    if (--old->users == 0) {
        list_append(&old->f->idle, &old->idle);
    }
}

static nhub_err move(struct session *s, struct pattern_set *set)
{
    struct stream *st = NULL;
    nhub_err err = stream_get(s->f, set, s->format, &st);

    if (err != NHUB_OK || st == s->stream) {
        return err;
    }
    if (s->state == STATE_REPLAY) {
        move_replay(s, st);
        return NHUB_OK;
    }
    return move_live(s, st);
}

static nhub_err widen(struct session *s, const struct session_request *request)
{
    struct session_start start = {.result = RESUME_NONE};
    struct pattern_set *set = NULL;
    nhub_err err = get_union(s->f, s->stream->set, request->patterns, request->count, &set);

    if (err != NHUB_OK) {
        return err;
    }
    start.position = session_position(s);
    err = move(s, set);
    pattern_set_unref(&set);
    if (err == NHUB_OK && s->state != STATE_ENDED) {
        session_tell_start(s, request->tag, &start);
    }
    return err;
}

static nhub_err begin(struct session *s, const struct session_request *request, bool has_since)
{
    struct session_start start = {.position = known_head(s->f),
                                  .result =
                                      request->has_foreign_since ? RESUME_UNKNOWN : RESUME_NONE};
    const struct replay_from from = {
        .since = has_since ? request->since : NULL,
        .position = start.position,
        .snapshot = request->snapshot,
        .tag = request->tag,
    };

    if (has_since || request->snapshot) {
        nhub_err err = replay_begin(s, &from);

        if (err == NHUB_OK && !s->is_blocked) {
            list_append(&s->f->replays, &s->link);
        }
        return err;
    }
    session_tell_start(s, request->tag, &start);
    if (s->state != STATE_ENDED) {
        stream_join(s);
    }
    return NHUB_OK;
}

nhub_err session_subscribe(struct session *s, const struct session_request *request)
{
    const bool has_since = request->since && request->since->kind != SINCE_NONE;
    struct pattern_set *set = NULL;
    struct stream *st = NULL;
    nhub_err err = NHUB_OK;

    if (s->state == STATE_ENDED) {
        return NHUB_ECLOSED;
    }
    if (s->stream) {
        return has_since || request->snapshot ? NHUB_ESTATE : widen(s, request);
    }
    err = pattern_set_get(s->f->sets, request->patterns, request->count, &set);
    if (err != NHUB_OK) {
        return err;
    }
    err = stream_get(s->f, set, s->format, &st);
    pattern_set_unref(&set); /* the stream has its own reference */
    if (err != NHUB_OK) {
        return err;
    }
    stream_attach(s, st);
    err = begin(s, request, has_since);
    if (err != NHUB_OK) {
        stream_leave(s);
        s->state = STATE_IDLE;
    }
    return err;
}

/* Back to the state before the first request; a long record under way is finished first. */
static void stop(struct session *s)
{
    if (s->replay) {
        replay_end(s);
    }
    if (s->latest) {
        latest_free(s);
    }
    s->has_gap = false;
    stream_leave(s);
    s->state = STATE_IDLE;
}

nhub_err session_unsubscribe(struct session *s, const char *const *patterns, size_t count)
{
    struct pattern_set *set = NULL;
    nhub_err err = NHUB_OK;

    if (s->state == STATE_ENDED) {
        return NHUB_ECLOSED;
    }
    if (!s->stream) {
        return NHUB_OK;
    }
    if (count > 0) {
        err = get_difference(s->f, s->stream->set, patterns, count, &set);
    }
    if (err == NHUB_OK && set) {
        err = move(s, set);
        pattern_set_unref(&set);
    } else if (err == NHUB_OK) {
        stop(s);
    }
    return err;
}
