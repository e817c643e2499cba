/* dedup: verdicts, the window, the limit and taking back, against a plain list as the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/dedup.h"

static const struct hash_key secret = {.k0 = 1, .k1 = 2};

static struct dedup *make(uint64_t ids, uint64_t window_ms)
{
    struct dedup *d = NULL;

    assert_int_equal(dedup_create(&d, ids, window_ms, &secret), NHUB_OK);
    return d;
}

static enum dedup_verdict add(struct dedup *d, const char *id, const char *data, uint64_t seq,
                              int64_t now_ms, uint64_t *out_seq)
{
    const struct hash128 key = dedup_key(d, "s", 1, id, strlen(id));

    return dedup_check(d, &key, dedup_content(d, "t", 1, data, strlen(data)), seq, now_ms, out_seq);
}

static void a_known_id_is_a_duplicate_and_tells_its_number(void **state)
{
    struct dedup *d = make(10, 1000);
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(add(d, "a", "1", 7, 0, &seq), DEDUP_NEW);
    assert_int_equal(seq, 7);
    assert_int_equal(add(d, "b", "1", 8, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "a", "1", 9, 0, &seq), DEDUP_DUPLICATE);
    assert_int_equal(seq, 7);
    assert_int_equal(dedup_count(d), 2);
    dedup_destroy(&d);
    dedup_destroy(&d); /* a NULL is fine */
}

static void a_known_id_with_other_content_is_a_conflict(void **state)
{
    struct dedup *d = make(10, 1000);
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(add(d, "a", "1", 7, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "a", "2", 8, 0, &seq), DEDUP_CONFLICT);
    assert_int_equal(seq, 7);
    assert_int_equal(add(d, "a", "1", 9, 0, &seq), DEDUP_DUPLICATE);
    dedup_destroy(&d);
}

static void keys_and_contents_do_not_mix_their_parts(void **state)
{
    struct dedup *d = make(10, 1000);
    const struct hash128 one = dedup_key(d, "ab", 2, "c", 1);
    const struct hash128 two = dedup_key(d, "a", 1, "bc", 2);

    (void)state;
    assert_true(one.lo != two.lo || one.hi != two.hi);
    assert_true(dedup_content(d, "ab", 2, "c", 1) != dedup_content(d, "a", 1, "bc", 2));
    dedup_destroy(&d);
}

static void an_id_leaves_with_the_window(void **state)
{
    struct dedup *d = make(10, 1000);
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(add(d, "a", "1", 1, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "a", "1", 2, 1000, &seq), DEDUP_DUPLICATE);
    assert_int_equal(add(d, "a", "1", 3, 1001, &seq), DEDUP_NEW);
    assert_int_equal(seq, 3);
    dedup_destroy(&d);
}

static void the_oldest_id_leaves_when_the_table_is_full(void **state)
{
    struct dedup *d = make(3, 1000);
    uint64_t seq = 0;
    char id[16];

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "%d", (int)i);
        assert_int_equal(add(d, id, "1", i + 1, 0, &seq), DEDUP_NEW);
    }
    assert_int_equal(dedup_count(d), 3);
    assert_int_equal(add(d, "3", "1", 9, 0, &seq), DEDUP_DUPLICATE);
    assert_int_equal(add(d, "1", "1", 9, 0, &seq), DEDUP_DUPLICATE);
    assert_int_equal(add(d, "0", "1", 9, 0, &seq), DEDUP_NEW);
    dedup_destroy(&d);
}

static void what_is_taken_back_is_new_again(void **state)
{
    struct dedup *d = make(10, 1000);
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(add(d, "keep", "1", 1, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "a", "1", 2, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "b", "1", 3, 0, &seq), DEDUP_NEW);
    dedup_undo(d, 2);
    assert_int_equal(dedup_count(d), 1);
    assert_int_equal(add(d, "b", "1", 5, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "a", "1", 6, 0, &seq), DEDUP_NEW);
    assert_int_equal(add(d, "keep", "1", 7, 0, &seq), DEDUP_DUPLICATE);
    dedup_undo(d, 100); /* more than there are */
    assert_int_equal(dedup_count(d), 0);
    assert_int_equal(add(d, "keep", "1", 8, 0, &seq), DEDUP_NEW);
    dedup_destroy(&d);
}

static void add_new(struct dedup *d, unsigned from, unsigned to)
{
    char id[16];
    uint64_t seq = 0;

    for (unsigned n = from; n < to; n++) {
        snprintf(id, sizeof id, "%u", n);
        assert_int_equal(add(d, id, "1", n, 0, &seq), DEDUP_NEW);
    }
}

static void what_had_to_leave_for_what_is_taken_back_returns(void **state)
{
    static const unsigned batches[] = {1, 30, 100, 101, 250, DEDUP_UNDO_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        struct dedup *d = make(100, 1000);
        uint64_t seq = 0;
        char id[16];

        add_new(d, 1, 131); /* 1 to 30 have left for good */
        for (int again = 0; again < 3; again++) {
            add_new(d, 1000, 1000 + batches[i]);
            assert_int_equal(dedup_count(d), 100);
            dedup_undo(d, batches[i]);
            assert_int_equal(dedup_count(d), 100);
        }
        for (unsigned n = 31; n < 131; n++) {
            snprintf(id, sizeof id, "%u", n);
            assert_int_equal(add(d, id, "1", 9999, 0, &seq), DEDUP_DUPLICATE);
            assert_int_equal(seq, n);
        }
        add_new(d, 1000, 1001); /* and the oldest one leaves next */
        assert_int_equal(add(d, "32", "1", 9999, 0, &seq), DEDUP_DUPLICATE);
        assert_int_equal(add(d, "31", "1", 9999, 0, &seq), DEDUP_NEW);
        dedup_destroy(&d);
    }
}

/* The model: the ids in the queue, oldest first. */
#define MODEL_IDS 50
struct model {
    unsigned ids[MODEL_IDS];
    uint64_t seqs[MODEL_IDS];
    int64_t times[MODEL_IDS];
    size_t count;
};

static void model_drop(struct model *m)
{
    memmove(m->ids, m->ids + 1, (MODEL_IDS - 1) * sizeof m->ids[0]);
    memmove(m->seqs, m->seqs + 1, (MODEL_IDS - 1) * sizeof m->seqs[0]);
    memmove(m->times, m->times + 1, (MODEL_IDS - 1) * sizeof m->times[0]);
    m->count--;
}

static void model_expire(struct model *m, int64_t now)
{
    while (m->count > 0 && now - m->times[0] > 40) {
        model_drop(m);
    }
}

static uint64_t model_add(struct model *m, unsigned id, uint64_t seq, int64_t now)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->ids[i] == id) {
            return m->seqs[i];
        }
    }
    if (m->count == MODEL_IDS) {
        model_drop(m);
    }
    m->ids[m->count] = id;
    m->seqs[m->count] = seq;
    m->times[m->count] = now;
    m->count++;
    return seq;
}

static void it_behaves_like_a_list_under_random_work(void **state)
{
    struct dedup *d = make(MODEL_IDS, 40);
    struct model model = {.count = 0};
    uint64_t random = 42;
    int64_t now = 0;
    char id[16];

    (void)state;
    for (uint64_t seq = 1; seq <= 200000; seq++) {
        unsigned number, step;
        uint64_t got, wanted;
        struct model before;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        number = (unsigned)(random >> 40) % 120;
        step = (unsigned)(random >> 33) % 8;
        now += step == 0 ? 5 : 0;
        snprintf(id, sizeof id, "%u", number);
        model_expire(&model, now);
        before = model;
        wanted = model_add(&model, number, seq, now);
        (void)add(d, id, "x", seq, now, &got);
        assert_int_equal(got, wanted);
        if (step == 1 && got == seq) {
            dedup_undo(d, 1);
            model = before;
        }
        assert_int_equal(dedup_count(d), model.count);
    }
    dedup_destroy(&d);
}

static void useless_limits_are_refused(void **state)
{
    struct dedup *d = NULL;

    (void)state;
    assert_int_equal(dedup_create(&d, 0, 1000, &secret), NHUB_EINVAL);
    assert_int_equal(dedup_create(&d, 10, 0, &secret), NHUB_EINVAL);
    assert_int_equal(dedup_create(&d, (UINT64_C(1) << 30) + 1, 1000, &secret), NHUB_EINVAL);
    assert_null(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_id_is_a_duplicate_and_tells_its_number),
        cmocka_unit_test(a_known_id_with_other_content_is_a_conflict),
        cmocka_unit_test(keys_and_contents_do_not_mix_their_parts),
        cmocka_unit_test(an_id_leaves_with_the_window),
        cmocka_unit_test(the_oldest_id_leaves_when_the_table_is_full),
        cmocka_unit_test(what_is_taken_back_is_new_again),
        cmocka_unit_test(what_had_to_leave_for_what_is_taken_back_returns),
        cmocka_unit_test(it_behaves_like_a_list_under_random_work),
        cmocka_unit_test(useless_limits_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
