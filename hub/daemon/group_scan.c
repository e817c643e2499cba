/*
 * group_scan: the visitor, and what it gathers.
 */
#include "daemon/group_scan.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The clock is looked at after so many records. */
#define CLOCK_EVERY 64
/* After a scan that gathered more than this its memory is given back. */
#define KEEP_BYTES 65536

struct group_scan {
    struct journal_scan scan; /* first: the journal gives it back to us */
    struct journal *journal;
    group_scan_done_fn *done; /* NULL: abandoned */
    void *context;
    enum group_scan_state state;
    nhub_err status;
    struct group_scan_wish wish;
    uint64_t picks[GROUP_SCAN_PICKS_MAX];
    size_t next_pick;
    size_t scanned;
    uint64_t expected;   /* the next number, if there is no hole */
    int64_t deadline_ns; /* 0 = not begun */
    bool was_full;
    /* The last type that was matched: events of one type often come together. */
    char last_type[UINT8_MAX];
    size_t last_len; /* 0 = none */
    bool last_matches;
    struct buf lines;
    struct buf found;                                  /* struct group_found each */
    struct group_hole holes[GROUP_SCAN_HOLES_MAX + 1]; /* one behind the last record */
    size_t hole_count;
};

uint64_t group_lane(const char *type, size_t len)
{
    /* Lanes are written into notes, so the key is the same for ever. A stranger who finds two types
     * of one lane makes one wait for the other: no more. */
    static const struct hash_key key = {UINT64_C(0x6e6f746966796875), UINT64_C(0x67726f75706c616e)};

    return hash_sip64(&key, type, len);
}

nhub_err group_scan_create(struct group_scan **out, struct journal *journal,
                           group_scan_done_fn *done, void *context)
{
    struct group_scan *s = calloc(1, sizeof *s);

    if (!s) {
        return NHUB_ENOMEM;
    }
    s->journal = journal;
    s->done = done;
    s->context = context;
    buf_init(&s->lines);
    buf_init(&s->found);
    *out = s;
    return NHUB_OK;
}

static void destroy(struct group_scan *s)
{
    group_patterns_unref(&s->wish.patterns);
    buf_fini(&s->lines);
    buf_fini(&s->found);
    free(s);
}

void group_scan_abandon(struct group_scan **s_p)
{
    struct group_scan *s = *s_p;

    if (s && s->state == GROUP_SCAN_UNDER_WAY) {
        s->done = NULL;
    } else if (s) {
        destroy(s);
    }
    *s_p = NULL;
}

/* ---- gathering ---- */

static size_t found_count(const struct group_scan *s)
{
    return s->found.len / sizeof(struct group_found);
}

/* The time counts from the first record on: the scan may have waited for its turn. */
static bool is_late(struct group_scan *s)
{
    if (s->deadline_ns == 0) {
        s->deadline_ns = clock_mono_ns() + GROUP_SCAN_US * INT64_C(1000);
    }
    return s->scanned > 0 && s->scanned % CLOCK_EVERY == 0 && clock_mono_ns() > s->deadline_ns;
}

static bool is_over(struct group_scan *s)
{
    return s->scanned >= GROUP_SCAN_RECORDS || is_late(s) ||
           (!s->wish.picks && found_count(s) >= s->wish.max_events) ||
           (s->wish.picks && s->next_pick >= s->wish.pick_count);
}

static void note_hole(struct group_scan *s, uint64_t from, uint64_t to)
{
    s->holes[s->hole_count++] = (struct group_hole){.from = from, .to = to};
}

static bool matches(struct group_scan *s, const struct journal_record *record)
{
    if (s->last_len != record->type_len ||
        memcmp(s->last_type, record->type, record->type_len) != 0) {
        s->last_matches = group_patterns_select(s->wish.patterns, record->type, record->type_len,
                                                s->wish.stats_event);
        memcpy(s->last_type, record->type, record->type_len);
        s->last_len = record->type_len;
    }
    return s->last_matches;
}

static bool is_wanted(struct group_scan *s, const struct journal_record *record)
{
    if (!s->wish.picks) {
        return matches(s, record);
    }
    while (s->next_pick < s->wish.pick_count && s->picks[s->next_pick] < record->seq) {
        s->next_pick++; /* not there any more */
    }
    return s->next_pick < s->wish.pick_count && s->picks[s->next_pick] == record->seq;
}

static bool fits(const struct group_scan *s, size_t len)
{
    return (s->wish.first_fits && s->found.len == 0) ||
           (len <= s->wish.max_bytes && s->lines.len <= s->wish.max_bytes - len);
}

static void gather(struct group_scan *s, const struct journal_record *record)
{
    const struct group_found found = {
        .seq = record->seq,
        .lane = group_lane(record->type, record->type_len),
        .offset = s->lines.len,
        .len = record->len,
        .is_dead_letter = record->type_len == sizeof GROUP_DEAD_LETTER - 1 &&
                          memcmp(record->type, GROUP_DEAD_LETTER, record->type_len) == 0,
    };

    buf_add(&s->lines, record->line, record->len);
    buf_add(&s->found, &found, sizeof found);
    s->next_pick++;
}

static bool visit(struct journal_scan *scan, const struct journal_record *record)
{
    struct group_scan *s = (struct group_scan *)(void *)scan;
    bool wanted;

    if (s->expected == 0) {
        s->expected = scan->after + 1;
    }
    if (is_over(s)) {
        s->was_full = true;
        return false;
    }
    wanted = is_wanted(s, record);
    if ((wanted && !fits(s, record->len)) ||
        (record->seq > s->expected && s->hole_count == GROUP_SCAN_HOLES_MAX)) {
        s->was_full = true;
        return false;
    }
    if (record->seq > s->expected) {
        note_hole(s, s->expected, record->seq - 1);
    }
    if (wanted) {
        gather(s, record);
    }
    s->expected = record->seq + 1;
    s->scanned++;
    return !s->lines.failed && !s->found.failed;
}

static void finish(struct journal_scan *scan, nhub_err status)
{
    struct group_scan *s = (struct group_scan *)(void *)scan;

    s->state = GROUP_SCAN_DONE;
    s->status = s->lines.failed || s->found.failed ? NHUB_ENOMEM : status;
    if (s->expected == 0) {
        s->expected = scan->after + 1;
    }
    if (!s->status && scan->scanned_to >= s->expected) {
        note_hole(s, s->expected, scan->scanned_to);
    }
    if (s->done) {
        s->done(s->context, s);
    } else {
        destroy(s);
    }
}

/* ---- one scan ---- */

void group_scan_begin(struct group_scan *s, const struct group_scan_wish *wish)
{
    s->wish = *wish;
    if (wish->picks) {
        memcpy(s->picks, wish->picks, wish->pick_count * sizeof s->picks[0]);
        s->wish.picks = s->picks;
        s->wish.patterns = NULL;
    } else {
        s->wish.patterns = group_patterns_ref(wish->patterns);
    }
    s->next_pick = 0;
    s->scanned = 0;
    s->expected = 0;
    s->deadline_ns = 0;
    s->was_full = false;
    s->last_len = 0;
    s->hole_count = 0;
    s->scan =
        (struct journal_scan){.after = wish->after, .to = wish->to, .visit = visit, .done = finish};
    s->state = GROUP_SCAN_UNDER_WAY;
    journal_scan(s->journal, &s->scan);
}

void group_scan_end(struct group_scan *s)
{
    s->state = GROUP_SCAN_IDLE;
    group_patterns_unref(&s->wish.patterns);
    if (s->lines.cap > KEEP_BYTES || s->lines.failed) {
        buf_fini(&s->lines);
    }
    if (s->found.cap > KEEP_BYTES || s->found.failed) {
        buf_fini(&s->found);
    }
    buf_reset(&s->lines);
    buf_reset(&s->found);
}

enum group_scan_state group_scan_state(const struct group_scan *s)
{
    return s->state;
}

nhub_err group_scan_status(const struct group_scan *s)
{
    return s->status;
}

bool group_scan_is_forward(const struct group_scan *s)
{
    return s->wish.picks == NULL;
}

bool group_scan_was_full(const struct group_scan *s)
{
    return s->was_full;
}

uint64_t group_scan_after(const struct group_scan *s)
{
    return s->scan.after;
}

uint64_t group_scan_reached(const struct group_scan *s)
{
    return s->scan.scanned_to;
}

const struct group_found *group_scan_found(const struct group_scan *s, size_t *out_count)
{
    *out_count = found_count(s);
    return (const struct group_found *)(const void *)s->found.data;
}

const char *group_scan_line(const struct group_scan *s, const struct group_found *found)
{
    return s->lines.data + found->offset;
}

const struct group_hole *group_scan_holes(const struct group_scan *s, size_t *out_count)
{
    *out_count = s->hole_count;
    return s->holes;
}

const uint64_t *group_scan_picks(const struct group_scan *s, size_t *out_count)
{
    *out_count = s->wish.picks ? s->wish.pick_count : 0;
    return s->picks;
}
