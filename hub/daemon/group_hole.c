/*
 * group_hole: cutting.
 */
#include "daemon/group_hole.h"

#include <stdlib.h>
#include <string.h>

static enum group_gap_reason reason_of(const struct journal_void *v)
{
    return strcmp(v->reason, "unclean_stop") == 0 ? GROUP_GAP_UNCLEAN_STOP : GROUP_GAP_NOT_STORED;
}

enum group_gap_reason group_hole_first(const struct journal_void *voids, size_t count,
                                       uint64_t from, uint64_t *to, enum group_gap_reason otherwise)
{
    size_t i = 0;

    while (i < count && voids[i].to < from) {
        i++;
    }
    if (i == count || voids[i].from > *to) {
        return otherwise;
    }
    if (voids[i].from > from) {
        *to = voids[i].from - 1;
        return otherwise;
    }
    if (voids[i].to < *to) {
        *to = voids[i].to;
    }
    return reason_of(&voids[i]);
}

nhub_err group_unclean_init(struct group_unclean *u, const struct journal *journal)
{
    struct journal_state state;

    *u = (struct group_unclean){.count = 0};
    memcpy(u->epoch, journal->epoch, sizeof u->epoch);
    journal_state(journal, &state);
    if (state.void_count == 0) {
        return NHUB_OK;
    }
    u->voids = calloc(state.void_count, sizeof *u->voids);
    if (!u->voids) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < state.void_count; i++) {
        if (reason_of(&state.voids[i]) == GROUP_GAP_UNCLEAN_STOP) {
            u->voids[u->count++] = state.voids[i];
        }
    }
    return NHUB_OK;
}

void group_unclean_fini(struct group_unclean *u)
{
    free(u->voids);
    *u = (struct group_unclean){.count = 0};
}
