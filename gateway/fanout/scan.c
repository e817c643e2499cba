/*
 * scan: which of the cache's records a set of patterns wants. The set is asked once for each type;
 * after that a record costs two look-ups in small tables.
 */
#include "gateway/fanout/internal.h"

#include <stdlib.h>
#include <string.h>

enum { MEMO_UNKNOWN, MEMO_NO, MEMO_YES };

/* Makes the memory fit the set and the types as they are now. */
static bool prepare(struct fanout *f, struct pattern_set *set)
{
    const uint32_t count = cache_type_count(f->cache);

    if (count > f->memo_cap) {
        const uint32_t cap = count + count / 2 + 64;
        uint8_t *memo = realloc(f->memo, cap);

        if (!memo) {
            return false;
        }
        memset(memo + f->memo_cap, MEMO_UNKNOWN, cap - f->memo_cap);
        f->memo = memo;
        f->memo_cap = cap;
    }
    if (f->memo_set != set || f->memo_version != cache_type_version(f->cache)) {
        memset(f->memo, MEMO_UNKNOWN, f->memo_cap);
        pattern_set_unref(&f->memo_set);
        f->memo_set = pattern_set_ref(set);
        f->memo_version = cache_type_version(f->cache);
    }
    return true;
}

static bool ask(const struct fanout *f, const struct pattern_set *set, uint64_t index)
{
    const struct feed_event *e = cache_at(f->cache, index);

    return pattern_set_selects(set, e->type, e->type_len, f->options.stats_event);
}

bool scan_wants(struct fanout *f, struct pattern_set *set, uint64_t index)
{
    const uint32_t type = cache_type_at(f->cache, index);

    if (type == CACHE_TYPE_GAP) {
        return true;
    }
    if (!prepare(f, set)) {
        return ask(f, set, index); /* without memory it is only slower */
    }
    if (f->memo[type] == MEMO_UNKNOWN) {
        f->memo[type] = ask(f, set, index) ? MEMO_YES : MEMO_NO;
    }
    return f->memo[type] == MEMO_YES;
}

void scan_count(struct fanout *f, struct pattern_set *set, uint64_t from, struct scan *out)
{
    *out = (struct scan){0};
    for (uint64_t i = from; i < cache_end(f->cache); i++) {
        if (!scan_wants(f, set, i)) {
            continue;
        }
        if (cache_type_at(f->cache, i) != CACHE_TYPE_GAP) {
            out->events++;
        } else if (!out->has_gap) {
            out->has_gap = true;
            out->gap = *cache_at(f->cache, i)->gap;
        }
    }
}
