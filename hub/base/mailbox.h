/*
 * mailbox: carries letters into one loop. Any thread may post; only the owner takes.
 *
 * A letter is embedded in the poster's own struct (first member by convention), so posting never
 * allocates, never waits and never fails. Posts are merged into one wake-up: after the descriptor
 * became readable the owner calls mailbox_take_all() once and works the list off.
 * Letters of one poster keep their order.
 *
 * An owner who will look by itself in a moment need not be woken: mailbox_post_quietly(). For that
 * the owner says in an atomic that it will, and takes it back before it looks; a poster posts first
 * and then reads it. With all in one order (seq_cst), either the poster sees that it has to call
 * mailbox_wake() or the owner sees the letter.
 */
#ifndef NHUB_BASE_MAILBOX_H
#define NHUB_BASE_MAILBOX_H

#include <notifyhub/error.h>
#include <stdbool.h>

struct letter {
    struct letter *next; /* owned by the mailbox while posted */
};
struct mailbox;

NHUB_MUST_USE nhub_err mailbox_create(struct mailbox **out); /* Errors: NHUB_ENOMEM, NHUB_ESYS */
void mailbox_destroy(
    struct mailbox **box_p); /* letters still inside are the caller's to take first */
void mailbox_post(struct mailbox *box, struct letter *letter);
/* Posts a chain (linked by next, NULL at its end) in one step. */
void mailbox_post_chain(struct mailbox *box, struct letter *first, struct letter *last);
/* Wakes nobody. True when nothing else was waiting, so that nobody is being woken for it either. */
bool mailbox_post_quietly(struct mailbox *box, struct letter *letter);
void mailbox_wake(struct mailbox *box);
/* All letters so far, oldest first, linked by next; NULL when empty. Clears the wake-up. Owner
 * only. */
struct letter *mailbox_take_all(struct mailbox *box);
int mailbox_fd(const struct mailbox *box); /* eventfd, readable while something waits */

#endif
