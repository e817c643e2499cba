// with: failmalloc
/* What a WebSocket consumer holds. */
#include "gateway/protocols/ws_held.h"

#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct delivery delivery(uint64_t seq, uint32_t attempt)
{
    return (struct delivery){.position = {.epoch = "aaaaaaaa", .seq = seq}, .attempt = attempt};
}

static void each_delivery_is_held_once_until_it_is_removed(void **state)
{
    struct ws_held h;
    struct delivery d = delivery(1, 1);
    struct buf names;

    (void)state;
    ws_held_init(&h);
    assert_false(ws_held_remove(&h, &d));
    for (uint64_t seq = 1; seq <= 3; seq++) {
        d = delivery(seq, 1);
        assert_int_equal(ws_held_add(&h, &d, 1000), NHUB_OK);
        assert_int_equal(ws_held_add(&h, &d, 1000), NHUB_OK);
    }
    d = delivery(2, 2); /* another attempt is another delivery */
    assert_false(ws_held_remove(&h, &d));
    d = delivery(2, 1);
    assert_true(ws_held_remove(&h, &d));
    assert_false(ws_held_remove(&h, &d));
    assert_int_equal(h.count, 2);
    buf_init(&names);
    ws_held_names(&h, &names);
    assert_string_equal(buf_cstr(&names), "\"aaaaaaaa-1.1\",\"aaaaaaaa-3.1\"");
    buf_fini(&names);
    ws_held_fini(&h);
    assert_int_equal(h.count, 0);
}

static void those_whose_time_is_over_are_forgotten(void **state)
{
    struct ws_held h;
    struct delivery d;

    (void)state;
    ws_held_init(&h);
    ws_held_expire(&h, INT64_MAX - 1);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        d = delivery(seq, 1);
        assert_int_equal(ws_held_add(&h, &d, (int64_t)seq * 100), NHUB_OK);
    }
    d = delivery(1, 1);
    ws_held_extend(&h, &d, 350);
    d = delivery(9, 1);
    ws_held_extend(&h, &d, 1); /* not held: nothing */
    ws_held_expire(&h, 200);
    assert_int_equal(h.count, 3);
    ws_held_expire(&h, 300);
    assert_int_equal(h.count, 2);
    d = delivery(1, 1);
    ws_held_expire(&h, 349);
    assert_true(ws_held_remove(&h, &d));
    ws_held_expire(&h, 400);
    assert_int_equal(h.count, 0);
    ws_held_fini(&h);
}

static void without_memory_nothing_is_held(void **state)
{
    struct ws_held h;
    const struct delivery d = delivery(1, 1);

    (void)state;
    ws_held_init(&h);
    for (int nth = 0;; nth++) {
        nhub_err err = NHUB_OK;

        failmalloc_arm(nth);
        err = ws_held_add(&h, &d, 1000);
        (void)failmalloc_disarm();
        if (err == NHUB_OK) {
            break;
        }
        assert_int_equal(err, NHUB_ENOMEM);
        assert_int_equal(h.count, 0);
        assert_true(nth < 20);
    }
    assert_int_equal(h.count, 1);
    ws_held_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_delivery_is_held_once_until_it_is_removed),
        cmocka_unit_test(those_whose_time_is_over_are_forgotten),
        cmocka_unit_test(without_memory_nothing_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
