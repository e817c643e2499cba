/* mailbox: letters keep their order, wake-ups are merged, and none is lost between threads. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mailbox.h"

#define POSTERS            4
#define LETTERS_PER_POSTER 20000

struct note {
    struct letter letter;
    int poster;
    int number;
};

static int set_up(void **state)
{
    struct mailbox *box = NULL;

    if (mailbox_create(&box) != NHUB_OK) {
        return -1;
    }
    *state = box;
    return 0;
}

static int tear_down(void **state)
{
    struct mailbox *box = *state;

    mailbox_destroy(&box);
    mailbox_destroy(&box); /* a NULL is fine */
    return 0;
}

static bool is_readable(const struct mailbox *box, int timeout_ms)
{
    struct pollfd p = {.fd = mailbox_fd(box), .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

static void an_empty_box_gives_nothing(void **state)
{
    struct mailbox *box = *state;

    assert_false(is_readable(box, 0));
    assert_null(mailbox_take_all(box));
}

static void letters_come_oldest_first_with_one_wake_up(void **state)
{
    struct mailbox *box = *state;
    struct note notes[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    struct letter *letter = NULL;

    for (size_t i = 0; i < 3; i++) {
        mailbox_post(box, &notes[i].letter);
    }
    assert_true(is_readable(box, 0));
    letter = mailbox_take_all(box);
    assert_false(is_readable(box, 0));
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(((struct note *)letter)->number, i);
        letter = letter->next;
    }
    assert_null(letter);
    assert_null(mailbox_take_all(box));
}

static void a_chain_keeps_its_order_among_the_others(void **state)
{
    struct mailbox *box = *state;
    struct note notes[5];
    struct letter *letter = NULL;

    for (int i = 0; i < 5; i++) {
        notes[i].number = i;
    }
    notes[1].letter.next = &notes[2].letter;
    notes[2].letter.next = &notes[3].letter;
    notes[3].letter.next = NULL;
    mailbox_post(box, &notes[0].letter);
    mailbox_post_chain(box, &notes[1].letter, &notes[3].letter);
    mailbox_post(box, &notes[4].letter);
    letter = mailbox_take_all(box);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(((struct note *)letter)->number, i);
        letter = letter->next;
    }
    assert_null(letter);
}

static void a_chain_alone_wakes_the_owner(void **state)
{
    struct mailbox *box = *state;
    struct note note = {.number = 1};

    mailbox_post_chain(box, &note.letter, &note.letter);
    assert_true(is_readable(box, 0));
    assert_ptr_equal(mailbox_take_all(box), &note.letter);
    assert_null(note.letter.next);
}

static void a_quiet_post_wakes_nobody_until_somebody_does(void **state)
{
    struct mailbox *box = *state;
    struct note notes[2] = {{.number = 1}, {.number = 2}};

    assert_true(mailbox_post_quietly(box, &notes[0].letter));
    assert_false(mailbox_post_quietly(box, &notes[1].letter));
    assert_false(is_readable(box, 0));
    mailbox_wake(box);
    assert_true(is_readable(box, 0));
    assert_ptr_equal(mailbox_take_all(box), &notes[0].letter);
    assert_ptr_equal(notes[0].letter.next, &notes[1].letter);
    assert_false(is_readable(box, 0));
}

struct poster {
    struct mailbox *box;
    int index;
    struct note *notes;
};

static void *post_many(void *argument)
{
    struct poster *p = argument;

    for (int i = 0; i < LETTERS_PER_POSTER; i++) {
        p->notes[i].poster = p->index;
        p->notes[i].number = i;
        if (i % 10 == 8) { /* every tenth time two in one step */
            p->notes[i + 1].poster = p->index;
            p->notes[i + 1].number = i + 1;
            p->notes[i].letter.next = &p->notes[i + 1].letter;
            p->notes[i + 1].letter.next = NULL;
            mailbox_post_chain(p->box, &p->notes[i].letter, &p->notes[i + 1].letter);
            i++;
        } else {
            mailbox_post(p->box, &p->notes[i].letter);
        }
    }
    return NULL;
}

/* The owner sleeps on the descriptor only: a wake-up that is lost shows as a time-out. */
static void many_posters_lose_nothing_and_keep_their_order(void **state)
{
    struct mailbox *box = *state;
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    int expected[POSTERS] = {0};
    int total = 0;

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){box, i, calloc(LETTERS_PER_POSTER, sizeof(struct note))};
        assert_non_null(posters[i].notes);
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    while (total < POSTERS * LETTERS_PER_POSTER) {
        assert_true(is_readable(box, 10000));
        for (struct letter *l = mailbox_take_all(box); l; l = l->next) {
            const struct note *note = (const struct note *)l;

            assert_int_equal(note->number, expected[note->poster]++);
            total++;
        }
    }
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        free(posters[i].notes);
    }
    assert_null(mailbox_take_all(box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_box_gives_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(letters_come_oldest_first_with_one_wake_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_chain_keeps_its_order_among_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_chain_alone_wakes_the_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quiet_post_wakes_nobody_until_somebody_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_posters_lose_nothing_and_keep_their_order, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
