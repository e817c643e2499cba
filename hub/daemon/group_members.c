/*
 * group_members: a table by name and a list by the time they were last seen.
 */
#include "daemon/group_members.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

struct group_members {
    struct map *by_name;
    struct group_member *first, *last;
};

nhub_err group_members_create(struct group_members **out)
{
    struct group_members *m = calloc(1, sizeof *m);

    if (!m || map_create(&m->by_name) != NHUB_OK) {
        free(m);
        return NHUB_ENOMEM;
    }
    *out = m;
    return NHUB_OK;
}

static void unlink_member(struct group_members *m, struct group_member *who)
{
    *(who->previous ? &who->previous->next : &m->first) = who->next;
    *(who->next ? &who->next->previous : &m->last) = who->previous;
    who->next = NULL;
    who->previous = NULL;
}

static void append_member(struct group_members *m, struct group_member *who)
{
    who->previous = m->last;
    *(m->last ? &m->last->next : &m->first) = who;
    m->last = who;
}

static void drop(struct group_members *m, struct group_member *who)
{
    unlink_member(m, who);
    (void)map_remove(m->by_name, who->name, strlen(who->name));
    free(who);
}

void group_members_destroy(struct group_members **m_p)
{
    struct group_members *m = *m_p;

    if (m) {
        while (m->first) {
            drop(m, m->first);
        }
        map_destroy(&m->by_name);
        free(m);
        *m_p = NULL;
    }
}

/* Room for one more; false when all that are listed hold something. */
static bool make_room(struct group_members *m)
{
    struct group_member *who = m->first;

    if (map_count(m->by_name) < GROUP_MEMBERS_MAX) {
        return true;
    }
    while (who && who->pending > 0) {
        who = who->next;
    }
    if (who) {
        drop(m, who);
    }
    return who != NULL;
}

static struct group_member *add(struct group_members *m, const char *name)
{
    const size_t len = strlen(name);
    struct group_member *who =
        len <= GROUP_MEMBER_MAX && make_room(m) ? calloc(1, sizeof *who) : NULL;

    if (!who) {
        return NULL;
    }
    memcpy(who->name, name, len);
    if (map_put(m->by_name, name, len, who, NULL) != NHUB_OK) {
        free(who);
        return NULL;
    }
    append_member(m, who);
    return who;
}

struct group_member *group_members_see(struct group_members *m, const char *name, int64_t now_ms)
{
    struct group_member *who = map_get(m->by_name, name, strlen(name));

    if (!who) {
        who = add(m, name);
    }
    if (who) {
        who->last_seen_ms = now_ms;
        unlink_member(m, who);
        append_member(m, who);
    }
    return who;
}

void group_members_forget(struct group_members *m, int64_t now_ms)
{
    struct group_member *who = m->first;

    while (who && now_ms - who->last_seen_ms > GROUP_MEMBER_FORGET_MS) {
        struct group_member *next = who->next;

        if (who->pending == 0) {
            drop(m, who);
        }
        who = next;
    }
}

const struct group_member *group_members_first(const struct group_members *m)
{
    return m->first;
}
