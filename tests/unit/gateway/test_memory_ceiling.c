/* The ceiling is the sum of its parts, follows the settings, and the send buffers keep to theirs.
 */
#include "fan_bench.h"

#include "gateway/fanout/internal.h"
#include "gateway/memory_ceiling.h"

static struct settings some_settings(void)
{
    struct settings s = {0};

    s.gateway.cache_bytes = 64 << 20;
    s.gateway.cache_events = 65536;
    s.gateway.streams_max_bytes = 256 << 20;
    s.gateway.max_body_bytes = 8 << 20;
    s.gateway.max_event_bytes = 1 << 20;
    return s;
}

static void the_total_is_the_sum(void **state)
{
    const struct settings s = some_settings();
    struct memory_ceiling c;
    uint64_t sum = 0;

    (void)state;
    memory_ceiling_compute(&c, &s, 1000);
    for (int i = 0; i < MEMORY_PART_COUNT; i++) {
        assert_true(c.part[i] > 0);
        assert_true(strlen(memory_part_name((enum memory_part)i)) > 0);
        sum += c.part[i];
    }
    assert_int_equal(c.total, sum);
    assert_int_equal(c.resident, sum - c.part[MEMORY_KERNEL]);
}

static void it_follows_the_settings(void **state)
{
    struct settings s = some_settings();
    struct memory_ceiling small, large;

    (void)state;
    memory_ceiling_compute(&small, &s, 1000);
    s.gateway.streams_max_bytes *= 2;
    memory_ceiling_compute(&large, &s, 1000);
    assert_int_equal(large.part[MEMORY_STREAMS], 2 * small.part[MEMORY_STREAMS]);
    assert_true(large.part[MEMORY_KERNEL] > small.part[MEMORY_KERNEL]);
    assert_int_equal(large.part[MEMORY_CACHE], small.part[MEMORY_CACHE]);
    memory_ceiling_compute(&large, &s, 2000);
    assert_int_equal(large.part[MEMORY_CONNECTIONS], 2 * small.part[MEMORY_CONNECTIONS]);
}

static void send_buffers_of_all_keep_within_their_share(void **state)
{
    const size_t streams = 64 << 20;
    struct fan_bench *b = bench_create_sized(10, 100000, streams);
    size_t taken[5000];
    size_t sum = 0;

    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        taken[i] = fanout_take_send_buffer(b->f);
        assert_true(taken[i] >= MEMORY_SEND_BUFFER_MIN && taken[i] <= 256 << 10);
        assert_true(i == 0 || taken[i] <= taken[i - 1]);
        sum += FANOUT_KERNEL_BYTES(taken[i]);
        assert_true(sum <= streams / MEMORY_BUFFERS_SHARE +
                               (i + 1) * FANOUT_KERNEL_BYTES(MEMORY_SEND_BUFFER_MIN));
    }
    assert_int_equal(taken[0], 256 << 10);
    assert_int_equal(taken[4999], MEMORY_SEND_BUFFER_MIN);
    assert_int_equal(counter_get(&b->counters.send_buffer_bytes), sum);
    for (size_t i = 0; i < 5000; i++) {
        fanout_return_send_buffer(b->f, taken[i]);
    }
    assert_int_equal(b->f->send_buffers, 0);
    assert_int_equal(fanout_take_send_buffer(b->f), 256 << 10);
    bench_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_the_sum),
        cmocka_unit_test(it_follows_the_settings),
        cmocka_unit_test(send_buffers_of_all_keep_within_their_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
