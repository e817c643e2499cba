/* consume: a short batch is a message like any other; a long one travels as a record that nobody
 * else knows. */
#include "gateway/fanout/consume.h"

#include "gateway/fanout/internal.h"
#include "gateway/fanout/render.h"

bool session_takes(const struct session *s)
{
    return s->state != STATE_ENDED && s->control.len == 0 && !s->long_record;
}

bool session_is_blocked(const struct session *s)
{
    return s->is_blocked;
}

bool session_shows_cloudevents(const struct session *s)
{
    return format_is_cloudevents((enum stream_format)s->format);
}

uint64_t session_number(const struct session *s)
{
    return s->number;
}

/* A record whose only form is these bytes. */
static nhub_err make_record(const struct session *s, const void *bytes, size_t len,
                            struct feed_event **out)
{
    const struct position nowhere = {0};
    struct blob *form = NULL;
    nhub_err err = blob_copy(&form, bytes, len);

    if (err == NHUB_OK) {
        err = feed_event_create(out, &nowhere, "", 0, "", 0);
    }
    if (err != NHUB_OK) {
        blob_unref(&form);
        return err;
    }
    (*out)->rendered[s->format] = form;
    (*out)->held_text_bytes = sizeof *form + form->len;
    return NHUB_OK;
}

nhub_err session_deliver(struct session *s, const void *bytes, size_t len, uint64_t events)
{
    struct feed_event *record = NULL;
    nhub_err err = NHUB_OK;

    if (len <= RENDER_SLICE && s->is_blocked) {
        buf_add(&s->control, bytes, len);
        if (s->control.failed) {
            buf_reset(&s->control);
            return NHUB_ENOMEM;
        }
        counter_bump(&s->f->counters->delivered_total[s->door], events);
        return NHUB_OK;
    }
    if (len <= RENDER_SLICE) {
        (void)session_write(s, bytes, len, events);
        return NHUB_OK;
    }
    err = make_record(s, bytes, len, &record);
    if (err != NHUB_OK) {
        return err;
    }
    hold(s->f, record);
    s->f->held_bytes += record->held_text_bytes;
    s->long_record = record;
    s->long_offset = 0;
    feed_event_unref(&record); /* the session's hold keeps it */
    if (!s->is_blocked) {
        (void)session_flush(s);
    }
    return NHUB_OK;
}
