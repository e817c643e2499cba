/*
 * group_restore: reading notes at the start. They come in the order of their keys: all of one group
 * together, how it was made, its state, its changes.
 */
#include "daemon/group_log.h"

#include "base/log.h"
#include "daemon/group_log_private.h"

#include <string.h>

struct restore {
    struct journal *journal;
    const struct group_now *now;
    nhub_err (*found)(void *context, struct group_restored *restored);
    void *context;
    nhub_err err;
    /* The group whose notes are being read. */
    char name[GROUP_NAME_MAX + 1]; /* "" = none */
    struct group_patterns *patterns;
    struct group *group; /* NULL: it could not be made */
    struct group_log log;
    uint64_t expected; /* number of the change that follows what was read */
    bool has_state;
    bool is_broken; /* what follows is not taken any more */
};

/* The parts of a key; false when it is none of ours. */
static bool parse_key(const char *key, size_t len, char name[GROUP_NAME_MAX + 1], char *kind,
                      uint64_t *number)
{
    const size_t prefix = sizeof GROUP_LOG_PREFIX - 1;
    const char *slash = len > prefix ? memchr(key + prefix, '/', len - prefix) : NULL;
    const size_t name_len = slash ? (size_t)(slash - key) - prefix : 0;
    const size_t rest = slash ? len - prefix - name_len - 1 : 0;

    if (name_len == 0 || name_len > GROUP_NAME_MAX || rest == 0) {
        return false;
    }
    memcpy(name, key + prefix, name_len);
    name[name_len] = '\0';
    *kind = slash[1];
    *number = 0;
    for (size_t i = 0; *kind == GROUP_LOG_CHANGE && i < 8 && rest == 9; i++) {
        *number = *number << 8 | (unsigned char)slash[2 + i];
    }
    return request_group_name_valid(name, name_len) &&
           rest == (*kind == GROUP_LOG_CHANGE ? 9u : 1u);
}

static void tell_damage(struct restore *r, const char *what)
{
    log_error("group_note_damaged", log_str("group", r->name), log_str("note", what),
              log_str("effect", r->group ? "what is behind it is delivered again"
                                         : "the group is not there; create it again"));
    r->is_broken = true;
}

static void end_group(struct restore *r)
{
    struct group_restored restored = {
        .name = r->name, .patterns_p = &r->patterns, .group_p = &r->group, .log_p = &r->log};

    if (r->group && !r->has_state) {
        tell_damage(r, "state");
    }
    if (r->group && !r->err) {
        /* Begins with a clean sheet: one note instead of many. */
        r->log.needs_state = true;
        r->log.noted_floor = group_floor(r->group);
        r->err = r->found(r->context, &restored);
    }
    group_log_fini(&r->log);
    group_patterns_unref(&r->patterns);
    group_destroy(&r->group);
    r->name[0] = '\0';
}

static void begin_group(struct restore *r, const char *name)
{
    end_group(r);
    memcpy(r->name, name, sizeof r->name);
    group_log_init(&r->log, r->journal);
    r->expected = UINT64_MAX; /* changes without a state are not taken */
    r->has_state = false;
    r->is_broken = false;
}

/* How it was made: the request, read again. */
static void read_making(struct restore *r, const void *value, size_t len)
{
    const struct position nowhere = {.seq = 0};
    struct request request;
    struct buf error;
    nhub_err err;

    buf_init(&error);
    err = request_parse(value, len, &request, &error);
    if (!err && request.action != ACTION_GROUP_CREATE) {
        err = NHUB_EPROTO;
    }
    if (!err) {
        const struct group_rules rules = {
            .visibility_ms = request.group.visibility_ms,
            .max_attempts = request.group.max_attempts,
            .is_ordered = request.group.ordered,
            .holds = request.group.hold,
        };

        err = group_patterns_create(&r->patterns, request.patterns, request.pattern_count);
        if (!err) {
            err = group_create(&r->group, &rules, &nowhere);
        }
    }
    request_free(&request);
    buf_fini(&error);
    if (err == NHUB_ENOMEM) {
        r->err = err;
    } else if (err) {
        tell_damage(r, "making");
    }
}

/* Applies a note; *out_next: the number that a state names. */
static nhub_err apply_note(struct restore *r, const void *value, size_t len, uint64_t *out_next)
{
    struct group_note_reader reader;
    struct group_change change;
    nhub_err err = group_note_open(&reader, value, len);

    while (!err && (err = group_note_next(&reader, &change)) == NHUB_OK) {
        if (change.op == GROUP_OP_NEXT) {
            *out_next = change.seq;
        }
        err = group_apply(r->group, &change, r->now);
    }
    return err == NHUB_ENOTFOUND ? NHUB_OK : err;
}

static void read_state(struct restore *r, const void *value, size_t len)
{
    nhub_err err;

    r->has_state = true;
    err = apply_note(r, value, len, &r->expected);
    if (err == NHUB_ENOMEM) {
        r->err = err;
    } else if (err) {
        tell_damage(r, "state");
    }
    group_log_go_on(&r->log, r->expected);
    r->log.state_bytes = len;
}

static void read_change(struct restore *r, uint64_t number, const void *value, size_t len)
{
    uint64_t ignored;
    nhub_err err;

    /* All that were read are replaced by a new state, also those that an older state has in it and
     * that were not deleted, or that a damaged group of this name left behind. */
    buf_add(&r->log.stale, &number, sizeof number);
    if (number < r->expected || r->is_broken) {
        return;
    }
    group_log_go_on(&r->log, number + 1);
    err = number == r->expected++ ? apply_note(r, value, len, &ignored) : NHUB_EPROTO;
    if (err == NHUB_ENOMEM) {
        r->err = err;
    } else if (err) {
        tell_damage(r, "change");
    }
}

static void visit(void *context, const void *key, size_t key_len, const void *value, size_t len)
{
    struct restore *r = context;
    char name[GROUP_NAME_MAX + 1];
    uint64_t number;
    char kind;

    if (r->err || !parse_key(key, key_len, name, &kind, &number)) {
        return;
    }
    if (strcmp(name, r->name) != 0) {
        begin_group(r, name);
    }
    if (kind == GROUP_LOG_MAKING) {
        read_making(r, value, len);
    } else if (!r->group) {
        return; /* its making is damaged, which was told */
    } else if (kind == GROUP_LOG_STATE) {
        read_state(r, value, len);
    } else if (kind == GROUP_LOG_CHANGE) {
        read_change(r, number, value, len);
    }
}

nhub_err group_log_restore(struct journal *journal, const struct group_now *now,
                           nhub_err (*found)(void *context, struct group_restored *restored),
                           void *context)
{
    struct restore r = {.journal = journal, .now = now, .found = found, .context = context};
    nhub_err err;

    group_log_init(&r.log, journal);
    err = journal_each_note(journal, GROUP_LOG_PREFIX, sizeof GROUP_LOG_PREFIX - 1, visit, &r);
    end_group(&r);
    return err ? err : r.err;
}
