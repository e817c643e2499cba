/* link_voids: at most a few dozen, so a walk is all it takes. */
#include "gateway/link_voids.h"

#include <string.h>

void link_voids_add(struct link_voids *v, const struct link_void *hollow)
{
    if (v->count == LINK_VOIDS_MAX) {
        memmove(v->list, v->list + 1, (LINK_VOIDS_MAX - 1) * sizeof v->list[0]);
        v->count--;
    }
    v->list[v->count++] = *hollow;
}

const struct link_void *link_voids_at(const struct link_voids *v, uint64_t seq)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].from <= seq && seq <= v->list[i].to) {
            return &v->list[i];
        }
    }
    return NULL;
}

uint64_t link_voids_before_next(const struct link_voids *v, uint64_t seq, uint64_t end)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].from > seq && v->list[i].from - 1 < end) {
            end = v->list[i].from - 1;
        }
    }
    return end;
}

uint64_t link_voids_back(const struct link_voids *v, uint64_t last, uint64_t count)
{
    uint64_t end = last; /* what is still to be counted ends here */

    for (size_t i = v->count; i-- > 0;) {
        const struct link_void *hollow = &v->list[i];

        if (hollow->from > end) {
            continue;
        }
        if (hollow->to < end && end - hollow->to >= count) {
            break;
        }
        count -= hollow->to < end ? end - hollow->to : 0;
        end = hollow->from - 1;
    }
    return end >= count ? end - count + 1 : 1;
}
