/*
 * group_death: reading, publishing, burying.
 */
#include "daemon/group_death.h"

#include "daemon/envelope.h"
#include "daemon/group_host_private.h"

#include <inttypes.h>

#define RETRY_MS 1000
/* What stands around the event: names, position, the fields of the dead letter itself. */
#define AROUND_BYTES 1024

bool group_death_begin(struct group_host *h)
{
    struct group_scan_wish wish = {.pick_count = 1, .first_fits = true};

    if (h->parts->journal->is_full || !group_next_dying(h->group, &h->death)) {
        return false;
    }
    wish.picks = &h->death.seq;
    wish.after = h->death.seq - 1;
    wish.to = h->death.seq;
    h->scan_after = wish.after;
    group_scan_begin(h->scan, &wish);
    return true;
}

/* event NULL: it is not to be had, or does not fit. */
static void write_data(const struct group_host *h, const char *event, size_t len, struct buf *out)
{
    buf_add_str(out, "{\"group\":");
    buf_add_json_cstr(out, h->name);
    envelope_position(out, "position", group_cursor(h->group)->epoch, h->death.seq);
    buf_printf(out, ",\"attempts\":%" PRIu32 ",\"reason\":\"%s\",\"event\":", h->death.attempts,
               h->death.was_nacked ? "nack" : "timeout");
    if (event) {
        buf_add(out, event, len);
        buf_add_char(out, '}');
    } else {
        buf_add_str(out, "null}");
    }
}

static nhub_err publish(const struct group_host *h, const char *event, size_t len)
{
    struct buf data;
    nhub_err err = NHUB_ENOMEM;

    buf_init(&data);
    write_data(h, event, len, &data);
    if (!data.failed) {
        err = intake_publish_own(h->parts->intake, GROUP_DEAD_LETTER, data.data, data.len);
    }
    buf_fini(&data);
    return err;
}

static nhub_err publish_letter(const struct group_host *h, const struct group_found *f)
{
    const uint64_t max = h->parts->settings->hub.max_event_bytes;
    nhub_err err = NHUB_ETOOBIG;

    if (f && f->len <= max && max - f->len >= AROUND_BYTES) {
        err = publish(h, group_scan_line(h->scan, f), f->len);
    }
    /* EPROTO: with another event around it, it is nested too deeply. */
    return err == NHUB_ETOOBIG || err == NHUB_EPROTO ? publish(h, NULL, 0) : err;
}

void group_death_use(struct group_host *h, const struct group_now *now)
{
    size_t count;
    const struct group_found *f = group_scan_found(h->scan, &count);
    nhub_err err = NHUB_OK;

    if (!group_is_dying(h->group, h->death.seq)) {
        return; /* acknowledged at the last moment */
    }
    if (count == 0 && group_scan_reached(h->scan) < h->death.seq) {
        err = NHUB_EAGAIN; /* the journal has not come so far */
    } else if (count == 0 || !f->is_dead_letter) {
        err = publish_letter(h, count > 0 ? f : NULL);
    }
    if (err) {
        group_unpick(h->group, h->death.seq);
        h->retry_ms = now->mono_ms + RETRY_MS;
    } else {
        group_bury(h->group, h->death.seq);
    }
}
