// with: failmalloc
/* http_conn: no memory for what a client sends ahead while its request belongs to somebody else. */
#include "http_server_fixture.h"

#include "failmalloc.h"

#define LIVE "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"

static void fail_next(void)
{
    world.handed_over = NULL;
    failmalloc_arm(0); /* the next one keeps what was sent ahead */
}

static void expect_end(int fd)
{
    char byte;

    assert_false(read_byte(fd, &byte, 5000));
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0); /* not a silence */
}

static void the_answer_that_is_under_way_is_the_last(void **state)
{
    const int fd = dial(*state);
    struct reply *r = NULL;

    world.handed_over = fail_next;
    say(fd, "GET /events HTTP/1.1\r\nHost: h\r\n\r\n" LIVE);
    r = hear(fd);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->head, "\r\nConnection: close\r\n"));
    free(r);
    expect_end(fd);
    assert_true(failmalloc_disarm());
    close(fd);
}

static bool has_failed_under_a_stream(struct fixture *f)
{
    bool is_open = false;

    (void)f;
    pthread_mutex_lock(&world.lock);
    is_open = world.stream != NULL;
    pthread_mutex_unlock(&world.lock);
    return is_open;
}

static bool nothing_is_open(struct fixture *f)
{
    return counter_get(&f->gateway.counters.connections_open) == 0;
}

static void a_stream_lives_on_until_it_is_closed(void **state)
{
    struct fixture *f = *state;
    const int fd = dial(f);
    const int other = dial(f); /* a later turn of the same thread */
    char byte = '\0';

    world.handed_over = fail_next;
    say(fd, "GET /events/stream HTTP/1.1\r\nHost: h\r\n\r\n" LIVE);
    assert_true(eventually(has_failed_under_a_stream, f));
    say(other, LIVE);
    while (byte != '}') {
        assert_true(read_byte(other, &byte, 5000));
    }
    assert_true(failmalloc_disarm());
    assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
    world.stream->closed(world.stream);
    expect_end(fd);
    close(fd);
    close(other);
    assert_true(eventually(nothing_is_open, f));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_answer_that_is_under_way_is_the_last),
        TEST(a_stream_lives_on_until_it_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
