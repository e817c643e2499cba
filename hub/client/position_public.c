/*
 * position_public: the public calls on positions are the codec's.
 */
#include "client/position_public.h"

#include <string.h>

_Static_assert(NHUB_EPOCH_LEN == EPOCH_LEN && NHUB_POSITION_TEXT_MAX == POSITION_TEXT_MAX,
               "the public header repeats the codec's sizes");

nhub_position position_to_public(const struct position *p)
{
    nhub_position out = {.seq = p->seq};

    memcpy(out.epoch, p->epoch, sizeof out.epoch);
    return out;
}

struct position position_from_public(const nhub_position *p)
{
    struct position out = {.seq = p->seq};

    memcpy(out.epoch, p->epoch, sizeof out.epoch);
    return out;
}

size_t nhub_position_format(const nhub_position *position, char out[NHUB_POSITION_TEXT_MAX])
{
    const struct position p = position_from_public(position);

    return position_format(&p, out);
}

nhub_err nhub_position_parse(const char *text, nhub_position *out)
{
    struct position p = {0};
    const nhub_err err = position_parse(text, strlen(text), &p);

    if (err == NHUB_OK) {
        *out = position_to_public(&p);
    }
    return err;
}
