/*
 * group_parcel: drafts and answers.
 */
#include "daemon/group_parcel.h"

#include "daemon/envelope.h"

#include <stdlib.h>
#include <string.h>

/* Travels with the frames, and is opened when they are gone. */
struct slip {
    struct group_parcel_slip content;
    group_parcel_fn *undelivered;
    void *context;
    struct group_parcel_item items[];
};

void group_parcel_init(struct group_parcel_draft *d)
{
    lines_init(&d->lines);
    buf_init(&d->items);
    d->count = 0;
}

void group_parcel_fini(struct group_parcel_draft *d)
{
    lines_fini(&d->lines);
    buf_fini(&d->items);
    d->count = 0;
}

void group_parcel_add(struct group_parcel_draft *d, uint64_t seq, uint32_t attempt,
                      const char *line, size_t len)
{
    const struct group_parcel_item item = {.seq = seq, .attempt = attempt};

    lines_add(&d->lines, line, len);
    buf_add(&d->items, &item, sizeof item);
    d->count++;
}

static const struct group_parcel_item *items_of(const struct group_parcel_draft *d)
{
    return (const struct group_parcel_item *)(const void *)d->items.data;
}

/* As far as they are known: items that were not written down for lack of memory come back when
 * their visibility is over. */
static size_t known_items(const struct group_parcel_draft *d)
{
    return d->items.len / sizeof(struct group_parcel_item);
}

static struct slip *create_slip(const struct group_parcel_draft *d,
                                const struct group_parcel_address *address)
{
    const size_t count = known_items(d);
    struct slip *s = malloc(sizeof *s + count * sizeof s->items[0]);

    if (!s) {
        return NULL;
    }
    s->undelivered = address->undelivered;
    s->context = address->context;
    s->content = (struct group_parcel_slip){.serial = address->serial, .items = s->items};
    memcpy(s->content.epoch, address->cursor->epoch, sizeof s->content.epoch);
    s->content.count = count;
    s->content.has_gap = address->gap != NULL;
    if (address->gap) {
        s->content.gap = *address->gap;
    }
    if (count > 0) {
        memcpy(s->items, d->items.data, count * sizeof s->items[0]);
    }
    return s;
}

/* The frames are gone: sent, or dropped on the way. */
static void open_slip(void *context, bool was_sent)
{
    struct slip *s = context;

    if (!was_sent) {
        s->undelivered(s->context, &s->content);
    }
    free(s);
}

/* There was no memory to send it: all of it goes back. */
static void give_back(const struct group_parcel_draft *d,
                      const struct group_parcel_address *address)
{
    struct group_parcel_slip slip = {
        .serial = address->serial, .items = items_of(d), .count = known_items(d)};

    memcpy(slip.epoch, address->cursor->epoch, sizeof slip.epoch);
    slip.has_gap = address->gap != NULL;
    if (address->gap) {
        slip.gap = *address->gap;
    }
    address->undelivered(address->context, &slip);
}

void group_write_gap(struct buf *out, const struct group_gap *gap)
{
    char from[POSITION_TEXT_MAX];
    char to[POSITION_TEXT_MAX];

    (void)position_format(&gap->from, from);
    (void)position_format(&gap->to, to);
    buf_printf(out, ",\"gap\":{\"from\":\"%s\",\"to\":\"%s\",\"reason\":\"%s\"}", from, to,
               group_gap_reason_name(gap->reason));
}

static void write_deliveries(struct buf *out, const struct group_parcel_draft *d,
                             const struct group_parcel_address *address)
{
    const struct group_parcel_item *items = items_of(d);
    struct delivery delivery = {.position = *address->cursor};
    char text[DELIVERY_TEXT_MAX];

    for (size_t i = 0; i < known_items(d); i++) {
        delivery.position.seq = items[i].seq;
        delivery.attempt = items[i].attempt;
        (void)delivery_format(&delivery, text);
        buf_add_str(out, i == 0 ? "{\"delivery\":\"" : ",{\"delivery\":\"");
        buf_add_str(out, text);
        buf_add_str(out, "\",\"attempt\":");
        buf_add_u64(out, items[i].attempt);
        buf_add_char(out, '}');
    }
}

static void write_answer(struct buf *out, const struct group_parcel_draft *d,
                         const struct group_parcel_address *address, const struct request *request)
{
    envelope_success(out);
    buf_printf(out, ",\"group\":\"%s\",\"count\":%zu,\"deliveries\":[", address->name, d->count);
    write_deliveries(out, d, address);
    buf_printf(out, "],\"visibility_ms\":%lu", (unsigned long)address->visibility_ms);
    if (address->gap) {
        group_write_gap(out, address->gap);
    }
    envelope_end(out, request);
}

/* Frames with their slip: there may be no lines, and only a gap that was told. NULL in *out when
 * nothing would be lost with the answer. */
static nhub_err make_frames(struct group_parcel_draft *d,
                            const struct group_parcel_address *address, struct reply_frames **out)
{
    struct slip *slip = NULL;
    nhub_err err;

    *out = NULL;
    if (d->count == 0 && !address->gap) {
        return NHUB_OK;
    }
    slip = d->items.failed ? NULL : create_slip(d, address);
    if (!slip) {
        return NHUB_ENOMEM;
    }
    err = d->count > 0 ? lines_take_frames(&d->lines, address->in_flight, out)
                       : reply_frames_create(out);
    if (err) {
        free(slip);
        return err;
    }
    (*out)->gone = open_slip;
    (*out)->context = slip;
    return NHUB_OK;
}

void group_parcel_send(struct group_parcel_draft *d, struct call *call,
                       const struct group_parcel_address *address)
{
    struct reply_frames *frames = NULL;
    struct buf out;

    buf_init(&out);
    write_answer(&out, d, address, &call->request);
    if (out.failed) {
        give_back(d, address);
    } else if (make_frames(d, address, &frames) != NHUB_OK) {
        out.failed = true;
        give_back(d, address);
    }
    call_answer(call, &out, &frames);
    group_parcel_fini(d);
    group_parcel_init(d);
}
