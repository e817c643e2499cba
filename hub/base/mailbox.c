/*
 * mailbox: a stack that posters push onto with one atomic exchange and that the owner takes whole.
 *
 * Whoever pushes onto the empty stack writes the eventfd; the others know that somebody did. The
 * owner first clears the eventfd, then takes the stack: a letter that arrives between the two is
 * taken now, and its wake-up only costs one look at an empty box. The other order would lose it.
 * Since only whole stacks are taken, a push cannot be fooled by a letter that comes back (no ABA).
 */
#include "base/mailbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    _Atomic(struct letter *) top; /* the newest letter */
    int fd;
};

nhub_err mailbox_create(struct mailbox **out)
{
    struct mailbox *box = calloc(1, sizeof *box);

    if (!box) {
        return NHUB_ENOMEM;
    }
    atomic_init(&box->top, NULL);
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->fd < 0) {
        free(box);
        return NHUB_ESYS;
    }
    *out = box;
    return NHUB_OK;
}

void mailbox_destroy(struct mailbox **box_p)
{
    struct mailbox *box = *box_p;

    if (!box) {
        return;
    }
    *box_p = NULL;
    (void)close(box->fd);
    free(box);
}

void mailbox_wake(struct mailbox *box)
{
    const uint64_t one = 1;

    /* EAGAIN means that the counter is full, so the descriptor is readable already. */
    while (write(box->fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* newest ... oldest is a chain as the stack keeps it. True when the stack was empty. */
static bool push(struct mailbox *box, struct letter *newest, struct letter *oldest)
{
    struct letter *top = atomic_load_explicit(&box->top, memory_order_relaxed);

    do {
        oldest->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&box->top, &top, newest, memory_order_seq_cst,
                                                    memory_order_relaxed));
    /* `top` is not ours any more to look into, but whether it was NULL is still true. */
    return !top;
}

static struct letter *reverse(struct letter *list)
{
    struct letter *reversed = NULL;

    while (list) {
        struct letter *next = list->next;

        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
    if (push(box, letter, letter)) {
        mailbox_wake(box);
    }
}

bool mailbox_post_quietly(struct mailbox *box, struct letter *letter)
{
    return push(box, letter, letter);
}

void mailbox_post_chain(struct mailbox *box, struct letter *first, struct letter *last)
{
    last->next = NULL;
    if (push(box, reverse(first), first)) {
        mailbox_wake(box);
    }
}

struct letter *mailbox_take_all(struct mailbox *box)
{
    uint64_t wakeups = 0;

    while (read(box->fd, &wakeups, sizeof wakeups) < 0 && errno == EINTR) {
    }
    return reverse(atomic_exchange_explicit(&box->top, NULL, memory_order_seq_cst));
}

int mailbox_fd(const struct mailbox *box)
{
    return box->fd;
}
