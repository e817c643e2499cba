/*
 * A random feed with gaps and new epochs, sessions that block, resume, widen and leave at random,
 * a hub that answers history late or not at all: whatever happens, each session gets each event
 * that it wants exactly once and in order, or is told a gap that covers it.
 */
#include "fan_bench.h"

#include "gateway/fanout/pattern_set.h"
#include "wire/event.h"

#define SESSIONS 12
#define STEPS    4000
#define EVENTS   20000
#define HUB_RING 600 /* what the modelled hub still has */

static const char *const types[] = {"a", "b", "b.x", "c", "StatsEvent"};
static const char *const patterns[] = {"a", "b*", "c", "*", "?"};
static const char *const epochs[] = {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee"};

/* What the hub gave out, in order. */
struct given {
    uint64_t key; /* epoch number and seq: ordered over epochs */
    const char *type;
    struct feed_event *event;
    bool was_fed; /* false: the gateway never got it, a gap says so */
};

struct subscriber {
    struct fake_session *fake;
    const char *pattern;
    uint64_t passed;  /* key up to which everything is accounted for */
    uint64_t covered; /* a gap was told up to this key */
    int policy;
    bool is_checked; /* its start is known */
};

struct model {
    struct fan_bench *b;
    struct given given[EVENTS];
    size_t count;
    size_t epoch;
    uint64_t seq;
    struct subscriber subs[SESSIONS];
    unsigned seed;
    bool link_up;
    size_t delivered, gaps, resumed;
};

static unsigned roll(struct model *m, unsigned n)
{
    m->seed = m->seed * 1664525U + 1013904223U;
    return (m->seed >> 8) % n;
}

static uint64_t key_of(const struct position *p)
{
    for (uint64_t i = 0; i < 5; i++) {
        if (strcmp(epochs[i], p->epoch) == 0) {
            return i << 40 | p->seq;
        }
    }
    fail_msg("an epoch that nobody gave out: %s", p->epoch);
    return 0;
}

static uint64_t key_of_text(const char *text)
{
    struct position p;

    assert_int_equal(position_parse(text, strlen(text), &p), NHUB_OK);
    return key_of(&p);
}

static struct position position_of(uint64_t key)
{
    return at(epochs[key >> 40], key & ((1ULL << 40) - 1));
}

static bool wants(const char *pattern, const char *type)
{
    if (strcmp(type, "StatsEvent") == 0) {
        return false;
    }
    switch (pattern[0]) {
    case '*':
        return true;
    case '?':
        return type[1] == '\0';
    case 'b':
        return type[0] == 'b';
    default:
        return strcmp(pattern, type) == 0;
    }
}

static void give(struct model *m, bool is_fed)
{
    struct given *g = &m->given[m->count++];
    const unsigned t = roll(m, 5);
    const size_t pad = roll(m, 40) == 0 ? 70000 : roll(m, 300);

    m->seq++;
    g->key = (uint64_t)m->epoch << 40 | m->seq;
    g->type = types[t];
    g->event = make_event(epochs[m->epoch], m->seq, types[t], pad);
    g->was_fed = is_fed;
    if (is_fed) {
        feed_made(m->b, FEED_EVENT, feed_event_ref(g->event));
    }
}

static void lose_some(struct model *m)
{
    const uint64_t first = m->seq + 1;

    for (unsigned n = 1 + roll(m, 5); n > 0; n--) {
        give(m, false);
    }
    feed_gap(m->b, at(epochs[m->epoch], first - 1), at(epochs[m->epoch], m->seq), GAP_NOT_STORED);
}

static void change_epoch(struct model *m)
{
    const struct position from = at(epochs[m->epoch], m->seq);

    if (m->epoch == 4) {
        return;
    }
    m->epoch++;
    m->seq = 0;
    feed_gap(m->b, from, at(epochs[m->epoch], 0), GAP_EPOCH_CHANGED);
}

static size_t first_after(const struct model *m, uint64_t key)
{
    size_t low = 0;
    size_t high = m->count;

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (m->given[middle].key > key) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The hub knows the last HUB_RING of this epoch, and answers as PROTOCOL.md says. */
static void answer(struct model *m)
{
    struct fetch *fetch = m->b->fetches[0];
    struct fetch_result r = {.result = RESUME_REPLAYED};
    size_t first = m->count > HUB_RING ? m->count - HUB_RING : 0;
    uint64_t since = 0, oldest = 0, scanned = 0;
    struct position p;

    while (first < m->count && m->given[first].key >> 40 != m->epoch) {
        first++;
    }
    oldest = first < m->count ? m->given[first].key - 1 : (uint64_t)m->epoch << 40 | m->seq;
    r.head = at(epochs[m->epoch], m->seq);
    if (roll(m, 4) == 0) {
        r.err = NHUB_ETIMEOUT;
        bench_answer(m->b, &r);
        return;
    }
    since = position_parse(fetch->since, strlen(fetch->since), &p) == NHUB_OK ? key_of(&p) : oldest;
    if (since >> 40 == m->epoch && since > key_of(&r.head)) {
        r.result = RESUME_UNKNOWN;
        r.next = r.head;
        r.from = r.head;
        bench_answer(m->b, &r);
        return;
    }
    if (since < oldest) {
        r.has_gap = true;
        r.gap.from = position_of(since);
        r.gap.to = position_of(oldest);
        r.gap.reason = since >> 40 == m->epoch ? GAP_RETENTION : GAP_EPOCH_CHANGED;
        r.result = RESUME_GAP;
        since = oldest;
    }
    r.from = position_of(since);
    r.events = calloc(64, sizeof *r.events);
    scanned = since;
    for (size_t i = first_after(m, since); i < m->count && r.event_count < 64; i++) {
        scanned = m->given[i].key;
        if (pattern_set_selects(fetch->set, m->given[i].type, strlen(m->given[i].type),
                                "StatsEvent")) {
            r.events[r.event_count++] = feed_event_ref(m->given[i].event);
        }
    }
    r.next = position_of(scanned);
    r.more = scanned < key_of(&r.head);
    bench_answer(m->b, &r);
}

/* All events of (passed, key) that it wants must have come; they did not, so a gap must say so. */
static void skip_to(struct model *m, struct subscriber *s, uint64_t key)
{
    for (size_t i = first_after(m, s->passed); i < m->count && m->given[i].key < key; i++) {
        const struct given *g = &m->given[i];

        if (g->key > s->covered && wants(s->pattern, g->type)) {
            fail_msg("event %" PRIx64 " (%s) is missing before %" PRIx64, g->key, g->type, key);
        }
    }
    s->passed = key;
}

static void got_event(struct model *m, struct subscriber *s, const char *text)
{
    struct position p;

    assert_int_equal(event_tail_position(text, strlen(text), &p), NHUB_OK);
    m->delivered++;
    if (key_of(&p) <= s->passed) {
        fail_msg("event %" PRIx64 " comes after %" PRIx64, key_of(&p), s->passed);
    }
    skip_to(m, s, key_of(&p));
}

static void got_gap(struct model *m, struct subscriber *s, const char *text)
{
    char from[64], to[64];

    m->gaps++;
    assert_int_equal(
        sscanf(text, "{\"op\":\"gap\",\"from\":\"%63[^\"]\",\"to\":\"%63[^\"]\"", from, to), 2);
    assert_true(key_of_text(from) < key_of_text(to));
    skip_to(m, s, key_of_text(from) + 1); /* everything before the gap has come */
    if (key_of_text(to) > s->covered) {
        s->covered = key_of_text(to);
    }
    s->passed = s->covered > s->passed ? s->covered : s->passed;
}

static void read_wire(struct model *m, struct subscriber *s)
{
    struct buf text;

    buf_init(&text);
    if (s->fake->starts > 0 && !s->is_checked) {
        s->is_checked = true;
        s->covered = 0;
        s->passed = s->fake->start.position.epoch[0] ? key_of(&s->fake->start.position) : 0;
        if (s->fake->start.result == RESUME_GAP) {
            /* Told at once; the same gap comes in-band as well. */
            s->passed = key_of(&s->fake->start.from);
        }
    }
    while (next_message(s->fake, &text)) {
        assert_true(s->is_checked);
        if (strncmp(buf_cstr(&text), "{\"op\":\"gap\"", 11) == 0) {
            got_gap(m, s, buf_cstr(&text));
        } else if (strncmp(buf_cstr(&text), "{\"op\":", 6) != 0) {
            got_event(m, s, buf_cstr(&text));
        }
    }
    if (s->fake->read == s->fake->wire.len) {
        buf_reset(&s->fake->wire);
        s->fake->read = 0;
    }
    buf_fini(&text);
}

static void open_one(struct model *m, struct subscriber *s)
{
    char since[64];
    struct position p;
    bool ok = false;

    s->policy = (int)roll(m, 3);
    s->fake = open_session(m->b, FORMAT_WS, s->policy);
    s->pattern = patterns[roll(m, 5)];
    s->is_checked = false;
    switch (roll(m, 4)) {
    case 0:
        ok = subscribe_to(s->fake, s->pattern) == NHUB_OK;
        break;
    case 1:
        ok = resume_from(s->fake, s->pattern, "earliest") == NHUB_OK;
        break;
    default:
        if (m->count == 0) {
            ok = subscribe_to(s->fake, s->pattern) == NHUB_OK;
            break;
        }
        p = position_of(
            m->given[m->count - 1 - roll(m, m->count > 900 ? 900 : (unsigned)m->count)].key);
        (void)position_format(&p, since);
        ok = resume_from(s->fake, s->pattern, since) == NHUB_OK;
        m->resumed++;
        break;
    }
    assert_true(ok);
}

static void leave(struct subscriber *s)
{
    close_session(s->fake);
    s->fake = NULL;
}

static void step(struct model *m)
{
    struct subscriber *s = &m->subs[roll(m, SESSIONS)];

    for (unsigned n = roll(m, 8); n > 0 && m->count < EVENTS - 10; n--) {
        give(m, true);
    }
    if (roll(m, 60) == 0 && m->count < EVENTS - 10) {
        lose_some(m);
    }
    if (roll(m, 1000) == 0) {
        change_epoch(m);
    }
    if (roll(m, 50) == 0) {
        m->link_up = !m->link_up;
        if (m->link_up) {
            feed_link_up(m->b, epochs[m->epoch], m->seq);
        } else {
            feed_link_down(m->b);
        }
    }
    if (!s->fake) {
        open_one(m, s);
    } else if (roll(m, 30) == 0) {
        read_wire(m, s);
        leave(s);
    } else if (roll(m, 3) == 0) {
        give_room(s->fake, 1 + roll(m, 20000));
    } else if (roll(m, 2) == 0) {
        give_room(s->fake, SIZE_MAX);
    }
    if (m->b->fetch_count > 0 && roll(m, 2) == 0) {
        answer(m);
    }
    if (roll(m, 40) == 0) {
        m->b->now_ms += 1000;
        fanout_set_now(m->b->f, m->b->now_ms);
        fanout_tick(m->b->f);
    }
    (void)fanout_turn(m->b->f);
    for (int i = 0; i < SESSIONS; i++) {
        if (m->subs[i].fake) {
            read_wire(m, &m->subs[i]);
            if (m->subs[i].fake->ends > 0) {
                leave(&m->subs[i]);
            }
        }
    }
}

/* Everything comes to rest: what is still missing then is lost. */
static void settle(struct model *m)
{
    m->link_up = true;
    feed_link_up(m->b, epochs[m->epoch], m->seq);
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < SESSIONS; i++) {
            if (m->subs[i].fake) {
                give_room(m->subs[i].fake, SIZE_MAX);
            }
        }
        while (m->b->fetch_count > 0) {
            answer(m);
        }
        bench_seconds(m->b, 1);
        for (int i = 0; i < SESSIONS; i++) {
            if (m->subs[i].fake) {
                read_wire(m, &m->subs[i]);
            }
        }
    }
}

static void check_end(struct model *m, struct subscriber *s)
{
    const uint64_t end = ((uint64_t)m->epoch << 40 | m->seq) + 1;

    assert_true(s->is_checked);
    assert_int_equal(s->fake->ends, 0);
    skip_to(m, s, end);
}

static void run_model(unsigned seed)
{
    struct model *m = calloc(1, sizeof *m);

    m->seed = seed;
    m->b = bench_create_sized(300, 60000, 64 << 20);
    feed_link_up(m->b, epochs[0], 0);
    m->link_up = true;
    for (int i = 0; i < STEPS; i++) {
        step(m);
    }
    settle(m);
    for (int i = 0; i < SESSIONS; i++) {
        if (m->subs[i].fake) {
            check_end(m, &m->subs[i]);
            leave(&m->subs[i]);
        }
    }
    print_message("seed %u: %zu events, %zu deliveries, %zu gaps, %zu resumes\n", seed, m->count,
                  m->delivered, m->gaps, m->resumed);
    assert_true(m->delivered > 1000);
    bench_destroy(m->b);
    for (size_t i = 0; i < m->count; i++) {
        feed_event_unref(&m->given[i].event);
    }
    free(m);
}

static void nothing_is_lost_silently_nor_comes_twice(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 12; seed++) {
        run_model(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_silently_nor_comes_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
