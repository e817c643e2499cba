/* publisher: what is refused before it is sent. */
#include <notifyhub/publisher.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static void no_answer(void *context, const nhub_ack *ack)
{
    (void)context;
    (void)ack;
    fail();
}

static nhub_err submit(nhub_publisher *publisher, nhub_bytes line, size_t count)
{
    const nhub_bytes lines[5] = {line, line, line, line, line};

    return nhub_publisher_submit_lines(publisher, lines, count, NHUB_PUBLISH_EACH, no_answer, NULL);
}

/* The hub would cut the connection, and with it everything that is under way. */
static void a_publish_larger_than_the_hub_takes_is_refused_here(void **state)
{
    const nhub_publisher_options options = {.host = "127.0.0.1", .requests_port = 9};
    const nhub_publisher_options large = {
        .host = "127.0.0.1", .requests_port = 9, .max_event_bytes = 20 * MIB};
    char *text = malloc(4 * MIB);
    const nhub_bytes line = {.p = text, .len = 4 * MIB};
    nhub_publisher *publisher = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', 4 * MIB);
    assert_int_equal(nhub_publisher_create(&publisher, &options), NHUB_OK);
    assert_int_equal(submit(publisher, line, 5), NHUB_ETOOBIG);
    assert_string_equal(nhub_publisher_error(publisher),
                        "5 events have more than 16777216 bytes together");
    assert_int_equal(submit(publisher, line, 4), NHUB_EAGAIN); /* no hub is there */
    nhub_publisher_destroy(&publisher);
    assert_int_equal(nhub_publisher_create(&publisher, &large), NHUB_OK);
    assert_int_equal(submit(publisher, line, 5), NHUB_EAGAIN);
    nhub_publisher_destroy(&publisher);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_larger_than_the_hub_takes_is_refused_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
