/*
 * list: a circular doubly linked list whose links live inside the members, so that joining and
 * leaving never allocate and never fail. A link that is in no list points to itself.
 *
 * Threads: none inside.
 */
#ifndef GATEWAY_FANOUT_LIST_H
#define GATEWAY_FANOUT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
/* Puts `l` (in no list) at the end of `head`. */
static inline void list_append(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
static inline void list_move(struct list *head, struct list *l)
{
    list_remove(l);
    list_append(head, l);
}
/* Moves all members of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The current member may leave the list inside the body. */
#define list_foreach(pos, tmp, head)                                                               \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);                               \
         (pos) = (tmp), (tmp) = (pos)->next)

#endif
