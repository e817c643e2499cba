/* link_epochs: names are compared whole; there are few. */
#include "gateway/link_epochs.h"

#include <string.h>

void link_epochs_init(struct link_epochs *e, size_t max_held_bytes)
{
    memset(e, 0, sizeof *e);
    link_held_init(&e->early, max_held_bytes);
}

void link_epochs_fini(struct link_epochs *e)
{
    link_held_fini(&e->early);
}

void link_epochs_leave(struct link_epochs *e, const char *epoch)
{
    memcpy(e->past[e->past_at], epoch, EPOCH_LEN + 1);
    e->past_at = (e->past_at + 1) % LINK_EPOCHS_PAST;
}

bool link_epochs_is_past(const struct link_epochs *e, const char *epoch)
{
    for (size_t i = 0; i < LINK_EPOCHS_PAST; i++) {
        if (memcmp(e->past[i], epoch, EPOCH_LEN) == 0) {
            return true;
        }
    }
    return false;
}

bool link_epochs_hold(struct link_epochs *e, struct feed_event **event_p)
{
    const char *epoch = (*event_p)->position.epoch;
    const bool is_first = memcmp(e->early_epoch, epoch, EPOCH_LEN) != 0;

    if (is_first) {
        link_held_clear(&e->early);
        memcpy(e->early_epoch, epoch, EPOCH_LEN + 1);
    }
    if (link_held_add(&e->early, event_p) != NHUB_OK) {
        feed_event_unref(event_p);
    }
    return is_first;
}

struct feed_event *link_epochs_release(struct link_epochs *e, const char *epoch)
{
    struct feed_event *event = NULL;

    if (memcmp(e->early_epoch, epoch, EPOCH_LEN) != 0) {
        link_held_clear(&e->early);
    }
    event = link_held_pop(&e->early);
    if (!event) {
        memset(e->early_epoch, 0, sizeof e->early_epoch);
    }
    return event;
}
