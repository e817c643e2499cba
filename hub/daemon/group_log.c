/*
 * group_log: writing notes.
 */
#include "daemon/group_log.h"

#include "base/settings.h"
#include "daemon/group_log_private.h"

#include <stdlib.h>
#include <string.h>

size_t group_log_key(char out[GROUP_LOG_KEY_MAX], const char *name, char kind, uint64_t number)
{
    const size_t name_len = strnlen(name, GROUP_NAME_MAX);
    size_t len = sizeof GROUP_LOG_PREFIX - 1;

    memcpy(out, GROUP_LOG_PREFIX, len);
    memcpy(out + len, name, name_len);
    len += name_len;
    out[len++] = '/';
    out[len++] = kind;
    if (kind == GROUP_LOG_CHANGE) {
        for (unsigned i = 0; i < 8; i++) {
            out[len++] = (char)(number >> (56 - 8 * i));
        }
    }
    return len;
}

static void note(struct group_log *log, char kind, uint64_t number, const void *value, size_t len)
{
    char key[GROUP_LOG_KEY_MAX];
    const size_t key_len = group_log_key(key, log->name, kind, number);

    journal_note(log->journal, key, key_len, value, len);
    log->batch = log->journal->batch;
}

static void delete_changes(struct group_log *log)
{
    const char *p = log->stale.data;
    uint64_t number;

    for (; p && p < log->stale.data + log->stale.len; p += sizeof number) {
        memcpy(&number, p, sizeof number);
        note(log, GROUP_LOG_CHANGE, number, NULL, 0);
    }
    buf_fini(&log->stale);
    for (; log->first < log->next; log->first++) {
        note(log, GROUP_LOG_CHANGE, log->first, NULL, 0);
    }
    log->bytes = 0;
}

static void write_state(struct group_log *log, struct group *g, const struct group_now *now)
{
    struct group_note_writer w;

    group_note_init(&w);
    group_write_state(g, log->next, now, &w);
    if (w.bytes.failed) {
        log->needs_state = true; /* the notes that are there stay true, of an earlier time */
    } else {
        note(log, GROUP_LOG_STATE, 0, w.bytes.data, w.bytes.len);
        delete_changes(log);
        log->state_bytes = w.bytes.len;
        log->needs_state = false;
        log->noted_floor = group_floor(g);
    }
    group_note_fini(&w);
}

/* NULL-terminated copies are there already: the list of them. */
static nhub_err write_making(const char *name, const struct group_patterns *patterns,
                             const struct group_rules *rules, struct buf *out)
{
    const char **texts = calloc(patterns->count, sizeof *texts);
    struct group_options options = {
        .patterns = texts,
        .pattern_count = patterns->is_everything ? 0 : patterns->count,
        .visibility_ms = rules->visibility_ms,
        .max_attempts = rules->max_attempts,
        .ordered = rules->is_ordered,
        .hold = rules->holds,
    };

    if (!texts) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < patterns->count; i++) {
        texts[i] = patterns->items[i].text;
    }
    request_write_group_create(out, 0, name, &options);
    free(texts);
    return out->failed ? NHUB_ENOMEM : NHUB_OK;
}

void group_log_init(struct group_log *log, struct journal *journal)
{
    *log = (struct group_log){.journal = journal, .first = 1, .next = 1};
    buf_init(&log->stale);
}

void group_log_fini(struct group_log *log)
{
    buf_fini(&log->stale);
}

void group_log_go_on(struct group_log *log, uint64_t next)
{
    log->first = next;
    log->next = next;
}

nhub_err group_log_create(struct group_log *log, const char *name,
                          const struct group_patterns *patterns, struct group *g,
                          const struct group_now *now)
{
    struct buf making;
    nhub_err err;

    log->name = name;
    /* Greater than the numbers of a group that had this name before and could not be read. */
    group_log_go_on(log, now->wall_ms > 0 ? (uint64_t)now->wall_ms * 1000 : 1);
    buf_init(&making);
    err = write_making(name, patterns, group_rules(g), &making);
    if (!err) {
        note(log, GROUP_LOG_MAKING, 0, making.data, making.len);
        write_state(log, g, now);
    }
    buf_fini(&making);
    return err;
}

/* Notes that go out now may be lost. */
static bool takes_notes(const struct journal *j)
{
    return j->durability_now > DURABILITY_MEMORY || j->durability_max <= DURABILITY_MEMORY;
}

static bool is_grown(const struct group_log *log)
{
    return log->next - log->first >= GROUP_LOG_NOTES_MAX ||
           (log->bytes > GROUP_LOG_BYTES_MIN && log->bytes > 2 * log->state_bytes);
}

void group_log_write(struct group_log *log, struct group *g, const struct group_now *now,
                     bool with_cursor)
{
    struct buf *changes;

    if (!log->journal->ops->note) { /* nothing outlives this process */
        group_changes_taken(g);
        log->noted_floor = group_floor(g);
        return;
    }
    if (!takes_notes(log->journal)) {
        log->needs_state = true;
        return;
    }
    if (log->needs_state || is_grown(log)) {
        write_state(log, g, now);
        return;
    }
    changes = group_take_changes(g, with_cursor);
    if (!changes) {
        return;
    }
    if (changes->failed) {
        group_changes_taken(g);
        write_state(log, g, now);
        return;
    }
    note(log, GROUP_LOG_CHANGE, log->next++, changes->data, changes->len);
    log->bytes += changes->len;
    log->noted_floor = group_floor(g);
    group_changes_taken(g);
}

uint64_t group_log_settled(const struct group_log *log, const struct group *g)
{
    const uint64_t floor = group_floor(g);

    return log->noted_floor < floor && takes_notes(log->journal) ? log->noted_floor : floor;
}

void group_log_delete(struct group_log *log)
{
    note(log, GROUP_LOG_MAKING, 0, NULL, 0);
    note(log, GROUP_LOG_STATE, 0, NULL, 0);
    delete_changes(log);
}

bool group_log_lose(struct group_log *log, uint64_t batch)
{
    if (log->batch == 0 || log->batch > batch) {
        return false;
    }
    log->needs_state = true;
    return true;
}
