/* http_rates: growth by time over a window of ticks. */
#include "gateway/protocols/http_rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void rates_follow_the_window(void **state)
{
    static struct gateway_counters counters;
    struct http_rates rates = {0};

    (void)state;
    http_rates_tick(&rates, &counters, 1000);
    assert_true(http_rates_get(&rates, RATE_EVENTS_IN) == 0.0);
    for (int second = 2; second <= 12; second++) {
        counter_add(&counters.events_in_total, 10);
        counter_add(&counters.delivered_total[GATEWAY_DOOR_SSE], 3);
        counter_add(&counters.delivered_total[GATEWAY_DOOR_WS], 4);
        http_rates_tick(&rates, &counters, second * 1000);
        assert_true(http_rates_get(&rates, RATE_EVENTS_IN) == 10.0);
        assert_true(http_rates_get(&rates, RATE_DELIVERED) == 7.0);
    }
    for (int second = 13; second < 13 + HTTP_RATES_WINDOW; second++) {
        http_rates_tick(&rates, &counters, second * 1000);
    }
    assert_true(http_rates_get(&rates, RATE_EVENTS_IN) == 0.0); /* the old growth is forgotten */
    assert_true(http_rates_get(&rates, RATE_REQUESTS) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_follow_the_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
