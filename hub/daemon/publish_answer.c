/*
 * publish_answer: members as JSON.
 */
#include "daemon/publish_answer.h"

#include "daemon/envelope.h"

#include <inttypes.h>

/* The usual answer fits, so that it grows once; no formatted printing on its way either, which
 * took a sixth of the hub's time for an acknowledged publish. */
#define MEMBERS_BYTES 128

static bool has_offset(const struct intake_event *e)
{
    return e->outcome == INTAKE_REFUSED &&
           (e->error.reason == EVENT_BAD_JSON || e->error.reason == EVENT_NONFINITE ||
            e->error.reason == EVENT_NOT_OBJECT);
}

static void write_refusal_details(struct buf *out, const struct intake_event *e, size_t index)
{
    buf_printf(out, ",\"index\":%zu", index);
    if (has_offset(e)) {
        buf_printf(out, ",\"offset\":%zu", e->error.offset);
    }
    if (e->outcome == INTAKE_REFUSED && e->error.field) {
        buf_add_str(out, ",\"field\":");
        buf_add_json_cstr(out, e->error.field);
    }
    if (e->outcome == INTAKE_CONFLICT) {
        buf_printf(out, ",\"seq\":%" PRIu64, e->seq);
    }
}

void publish_write_refusal(struct buf *out, const struct publish_batch *b, size_t index)
{
    const struct intake_event *e = &b->items[index].event;
    struct buf text;

    buf_init(&text);
    if (b->count > 1) {
        buf_printf(&text, "event %zu: ", index);
    }
    buf_add_str(&text, intake_detail(e));
    envelope_error(out, buf_cstr(&text), intake_code(e));
    write_refusal_details(out, e, index);
    out->failed = out->failed || text.failed;
    buf_fini(&text);
}

static void write_duplicate(struct buf *out, const struct intake_event *e, size_t index,
                            bool tells_loss)
{
    buf_printf(out, "{\"index\":%zu,\"seq\":%" PRIu64 ",\"duplicate\":true", index, e->seq);
    if (tells_loss) {
        buf_add_str(out, ",\"code\":\"durability_lost\",\"error\":\"the disk failed: the event is "
                         "numbered and went out live, but is not stored\"");
    }
    buf_add_char(out, '}');
}

static void write_refused(struct buf *out, const struct intake_event *e, size_t index)
{
    buf_add_str(out, "{\"code\":");
    buf_add_json_cstr(out, intake_code(e));
    buf_add_str(out, ",\"error\":");
    buf_add_json_cstr(out, intake_detail(e));
    write_refusal_details(out, e, index);
    buf_add_char(out, '}');
}

static void write_results(struct buf *out, const struct publish_batch *b, bool tells_each)
{
    bool is_first = true;

    buf_add_str(out, ",\"results\":[");
    for (size_t i = 0; i < b->count; i++) {
        const struct publish_item *item = &b->items[i];

        if (item->event.outcome == INTAKE_NEW) {
            continue;
        }
        buf_add_str(out, is_first ? "" : ",");
        is_first = false;
        if (item->event.outcome == INTAKE_DUPLICATE) {
            write_duplicate(out, &item->event, i, tells_each && item->is_lost);
        } else {
            write_refused(out, &item->event, i);
        }
    }
    buf_add_char(out, ']');
}

static void write_ignored(struct buf *out, const struct publish_batch *b)
{
    buf_add_str(out, ",\"ignored\":[");
    for (size_t i = 0; i < b->ignored_count; i++) {
        buf_add_str(out, i == 0 ? "" : ",");
        buf_add(out, b->ignored[i].p, b->ignored[i].len);
    }
    buf_add_char(out, ']');
}

/* The correlation id of the only event, which the hub may have given. */
static void write_correlation(struct buf *out, const struct publish_batch *b)
{
    const struct intake_event *e = &b->items[0].event;

    if (e->has_correlation) {
        buf_add_str(out, ",\"correlation_id\":\"");
        buf_add(out, e->correlation, UUID_TEXT_LEN);
        buf_add_char(out, '"');
    } else if (e->outcome == INTAKE_NEW) {
        buf_add_str(out, ",\"correlation_id\":");
        buf_add(out, e->event.field[EVENT_CORRELATION].p, e->event.field[EVENT_CORRELATION].len);
    }
}

void publish_write_members(struct buf *out, const struct publish_tally *tally, const char *epoch)
{
    NHUB_IGNORE(buf_reserve(out, MEMBERS_BYTES)); /* told by out->failed */
    if (tally->fresh > 0) {
        buf_add_str(out, ",\"first_seq\":");
        buf_add_u64(out, tally->first_seq);
        buf_add_str(out, ",\"last_seq\":");
        buf_add_u64(out, tally->last_seq);
    }
    buf_add_str(out, ",\"count\":");
    buf_add_u64(out, tally->fresh);
    buf_add_str(out, ",\"epoch\":\"");
    buf_add_str(out, epoch);
    buf_add_char(out, '"');
}

void publish_write_tail(struct buf *out, const struct publish_batch *b,
                        const struct publish_tally *tally)
{
    if (b->count == 1) {
        write_correlation(out, b);
    }
    if (tally->special > 0) {
        write_results(out, b, tally->tells_each);
    }
    if (b->ignored_count > 0) {
        write_ignored(out, b);
    }
}
