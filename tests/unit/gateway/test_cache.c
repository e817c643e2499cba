/* The cache: bounds, floor and head, places over epochs and gaps. */
#include "fan_bench.h"

#include "gateway/fanout/cache.h"

static void add(struct cache *c, const char *epoch, uint64_t seq, const char *type)
{
    struct feed_event *e = make_event(epoch, seq, type, 0);

    assert_int_equal(cache_add(c, e), NHUB_OK);
    feed_event_unref(&e);
}

static void add_gap(struct cache *c, struct position from, struct position to)
{
    const struct gap gap = {from, to, GAP_EPOCH_CHANGED};
    struct feed_event *e = NULL;

    assert_int_equal(feed_gap_create(&e, &gap), NHUB_OK);
    assert_int_equal(cache_add(c, e), NHUB_OK);
    feed_event_unref(&e);
}

static struct cache *new_cache(size_t events)
{
    struct cache *c = NULL;

    assert_int_equal(cache_create(&c, events, 1 << 20), NHUB_OK);
    return c;
}

static enum cache_where find(const struct cache *c, const char *epoch, uint64_t seq,
                             uint64_t *out_index)
{
    const struct position p = at(epoch, seq);

    *out_index = 0;
    return cache_find(c, &p, out_index);
}

static void an_empty_cache_knows_nothing(void **state)
{
    struct cache *c = new_cache(10);
    uint64_t index = 0;

    (void)state;
    assert_int_equal(find(c, EPOCH_A, 0, &index), CACHE_UNKNOWN);
    assert_string_equal(cache_head(c)->epoch, "");
    assert_string_equal(cache_floor(c)->epoch, "");
    cache_destroy(&c);
}

static void a_head_without_events_is_a_place(void **state)
{
    struct cache *c = new_cache(10);
    const struct position head = at(EPOCH_A, 41);
    uint64_t index = 0;

    (void)state;
    cache_advance(c, &head);
    assert_int_equal(find(c, EPOCH_A, 41, &index), CACHE_INSIDE);
    assert_int_equal(index, cache_end(c));
    assert_int_equal(find(c, EPOCH_A, 40, &index), CACHE_BEFORE);
    assert_int_equal(find(c, EPOCH_A, 42, &index), CACHE_AHEAD);
    assert_int_equal(find(c, EPOCH_B, 1, &index), CACHE_UNKNOWN);
    cache_destroy(&c);
}

static void each_position_has_its_place(void **state)
{
    struct cache *c = new_cache(100);
    uint64_t index = 0;

    (void)state;
    for (uint64_t seq = 5; seq <= 14; seq++) {
        add(c, EPOCH_A, seq == 9 ? 9 : seq, "t");
    }
    assert_int_equal(cache_floor(c)->seq, 4);
    for (uint64_t seq = 4; seq <= 14; seq++) {
        assert_int_equal(find(c, EPOCH_A, seq, &index), CACHE_INSIDE);
        assert_int_equal(index, cache_first(c) + seq - 4);
        assert_int_equal(cache_before(c, index).seq, seq);
    }
    assert_int_equal(find(c, EPOCH_A, 3, &index), CACHE_BEFORE);
    assert_int_equal(find(c, EPOCH_A, 15, &index), CACHE_AHEAD);
    cache_destroy(&c);
}

static void a_void_between_numbers_is_no_hole(void **state)
{
    struct cache *c = new_cache(100);
    uint64_t index = 0;

    (void)state;
    add(c, EPOCH_A, 1, "t");
    add(c, EPOCH_A, 100, "t");
    assert_int_equal(find(c, EPOCH_A, 50, &index), CACHE_INSIDE);
    assert_int_equal(cache_at(c, index)->position.seq, 100);
    cache_destroy(&c);
}

static void the_oldest_go_first_by_count_and_bytes(void **state)
{
    struct cache *c = new_cache(10);
    struct feed_event *big = make_event(EPOCH_A, 31, "t", (1 << 20) - 2000);
    uint64_t index = 0;

    (void)state;
    for (uint64_t seq = 1; seq <= 30; seq++) {
        add(c, EPOCH_A, seq, "t");
    }
    assert_int_equal(cache_end(c) - cache_first(c), 10);
    assert_int_equal(cache_floor(c)->seq, 20);
    assert_int_equal(find(c, EPOCH_A, 19, &index), CACHE_BEFORE);
    assert_int_equal(cache_add(c, big), NHUB_OK);
    assert_true(cache_bytes(c) <= 1 << 20);
    assert_true(cache_end(c) - cache_first(c) < 10);
    feed_event_unref(&big);
    cache_destroy(&c);
}

static void old_epochs_stay_while_they_are_inside(void **state)
{
    struct cache *c = new_cache(8);
    uint64_t index = 0;

    (void)state;
    for (uint64_t seq = 1; seq <= 4; seq++) {
        add(c, EPOCH_A, seq, "t");
    }
    add_gap(c, at(EPOCH_A, 4), at(EPOCH_B, 0));
    add(c, EPOCH_B, 1, "t");
    assert_int_equal(find(c, EPOCH_A, 2, &index), CACHE_INSIDE);
    assert_int_equal(cache_at(c, index)->position.seq, 3);
    assert_int_equal(find(c, EPOCH_A, 4, &index), CACHE_INSIDE);
    assert_non_null(cache_at(c, index)->gap);
    assert_int_equal(find(c, EPOCH_A, 77, &index), CACHE_INSIDE); /* died with its epoch */
    assert_non_null(cache_at(c, index)->gap);
    assert_int_equal(find(c, EPOCH_B, 0, &index), CACHE_INSIDE);
    assert_int_equal(cache_at(c, index)->position.seq, 1);
    assert_null(cache_at(c, index)->gap);
    assert_int_equal(find(c, EPOCH_B, 2, &index), CACHE_AHEAD);
    for (uint64_t seq = 2; seq <= 6; seq++) {
        add(c, EPOCH_B, seq, "t");
    }
    assert_int_equal(find(c, EPOCH_A, 2, &index), CACHE_BEFORE);
    assert_int_equal(find(c, EPOCH_A, 4, &index), CACHE_INSIDE);
    add(c, EPOCH_B, 7, "t");
    add(c, EPOCH_B, 8, "t");
    assert_int_equal(find(c, EPOCH_A, 4, &index), CACHE_UNKNOWN);
    cache_destroy(&c);
}

static void the_head_never_goes_back(void **state)
{
    struct cache *c = new_cache(8);
    const struct position back = at(EPOCH_A, 3);
    const struct position on = at(EPOCH_A, 9);

    (void)state;
    add(c, EPOCH_A, 5, "t");
    cache_advance(c, &back);
    assert_int_equal(cache_head(c)->seq, 5);
    cache_advance(c, &on);
    assert_int_equal(cache_head(c)->seq, 9);
    assert_int_equal(cache_floor(c)->seq, 4);
    cache_destroy(&c);
}

static void type_numbers_are_shared_and_come_back(void **state)
{
    struct cache *c = new_cache(3);
    char type[32];

    (void)state;
    add(c, EPOCH_A, 1, "a");
    add(c, EPOCH_A, 2, "b");
    add(c, EPOCH_A, 3, "a");
    assert_int_equal(cache_type_at(c, 1), cache_type_at(c, 3));
    assert_int_not_equal(cache_type_at(c, 1), cache_type_at(c, 2));
    for (uint64_t seq = 4; seq <= 1000; seq++) {
        (void)snprintf(type, sizeof type, "t%" PRIu64, seq);
        add(c, EPOCH_A, seq, type);
    }
    assert_true(cache_type_count(c) <= 6); /* not one number for each type ever seen */
    assert_true(cache_type_version(c) > 900);
    cache_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_cache_knows_nothing),
        cmocka_unit_test(a_head_without_events_is_a_place),
        cmocka_unit_test(each_position_has_its_place),
        cmocka_unit_test(a_void_between_numbers_is_no_hole),
        cmocka_unit_test(the_oldest_go_first_by_count_and_bytes),
        cmocka_unit_test(old_epochs_stay_while_they_are_inside),
        cmocka_unit_test(the_head_never_goes_back),
        cmocka_unit_test(type_numbers_are_shared_and_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
