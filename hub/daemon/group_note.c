/*
 * group_note: a table says which fields each change has; writing and reading walk along it.
 */
#include "daemon/group_note.h"

#include "base/crc32c.h"

#include <string.h>

#define VERSION   1
#define CRC_BYTES 4

enum field {
    FIELD_SEQ = 1u << 0,
    FIELD_TO_SEQ = 1u << 1,
    FIELD_ATTEMPT = 1u << 2,
    FIELD_RELEASED = 1u << 3,
    FIELD_AT = 1u << 4,
    FIELD_LANE = 1u << 5,
    FIELD_REASON = 1u << 6,
    FIELD_FROM = 1u << 7,
    FIELD_TO = 1u << 8,
    FIELD_TOTALS = 1u << 9
};

static const unsigned fields_of[GROUP_OPS] = {
    [GROUP_OP_EPOCH] = FIELD_FROM,
    [GROUP_OP_TOTALS] = FIELD_TOTALS,
    [GROUP_OP_CURSOR] = FIELD_SEQ,
    [GROUP_OP_TAKEN] = FIELD_SEQ | FIELD_LANE,
    [GROUP_OP_HANDED] = FIELD_SEQ | FIELD_ATTEMPT | FIELD_RELEASED | FIELD_AT,
    [GROUP_OP_ACKED] = FIELD_SEQ,
    [GROUP_OP_GIVEN_BACK] = FIELD_SEQ | FIELD_ATTEMPT | FIELD_RELEASED | FIELD_AT,
    [GROUP_OP_EXTENDED] = FIELD_SEQ | FIELD_AT,
    [GROUP_OP_BURIED] = FIELD_SEQ,
    [GROUP_OP_LOST] = FIELD_SEQ | FIELD_REASON,
    [GROUP_OP_MISSED] = FIELD_SEQ | FIELD_TO_SEQ | FIELD_REASON,
    [GROUP_OP_GAP] = FIELD_REASON | FIELD_FROM | FIELD_TO,
    [GROUP_OP_GAP_TOLD] = 0,
    [GROUP_OP_NEXT] = FIELD_SEQ,
};

/* ---- writing ---- */

void group_note_init(struct group_note_writer *w)
{
    buf_init(&w->bytes);
    w->context = (struct group_note_context){0};
}

void group_note_fini(struct group_note_writer *w)
{
    buf_fini(&w->bytes);
}

void group_note_reset(struct group_note_writer *w)
{
    buf_reset(&w->bytes);
    w->context = (struct group_note_context){0};
}

static void put_number(struct buf *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t len = 0;

    while (value >= 0x80) {
        bytes[len++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (unsigned char)value;
    buf_add(out, bytes, len);
}

/* The difference of two numbers of 63 bits, small whichever is greater. */
static void put_difference(struct buf *out, int64_t value, int64_t before)
{
    const int64_t d = (int64_t)((uint64_t)value - (uint64_t)before);

    put_number(out, ((uint64_t)d << 1) ^ (d < 0 ? UINT64_MAX : 0));
}

static void put_position(struct buf *out, const struct position *p)
{
    buf_add(out, p->epoch, EPOCH_LEN);
    put_number(out, p->seq);
}

void group_note_add(struct group_note_writer *w, const struct group_change *change)
{
    const unsigned fields = fields_of[change->op];
    struct buf *out = &w->bytes;

    if (out->len == 0) {
        buf_add_char(out, VERSION);
    }
    buf_add_char(out, (char)change->op);
    if (fields & FIELD_SEQ) {
        put_difference(out, (int64_t)change->seq, (int64_t)w->context.seq);
        w->context.seq = change->seq;
    }
    if (fields & FIELD_TO_SEQ) {
        put_number(out, change->to_seq);
    }
    if (fields & FIELD_ATTEMPT) {
        put_number(out, change->attempt);
    }
    if (fields & FIELD_RELEASED) {
        put_number(out, change->released);
    }
    if (fields & FIELD_AT) {
        put_difference(out, change->at_ms, w->context.at_ms);
        w->context.at_ms = change->at_ms;
    }
    if (fields & FIELD_LANE) {
        put_number(out, change->lane);
    }
    if (fields & FIELD_REASON) {
        put_number(out, change->reason);
    }
    if (fields & FIELD_FROM) {
        put_position(out, &change->from);
    }
    if (fields & FIELD_TO) {
        put_position(out, &change->to);
    }
    if (fields & FIELD_TOTALS) {
        put_number(out, change->totals.acked);
        put_number(out, change->totals.redelivered);
        put_number(out, change->totals.dead_letters);
        put_number(out, change->totals.lost);
    }
}

void group_note_end(struct group_note_writer *w)
{
    const uint32_t crc = crc32c(0, w->bytes.data, w->bytes.failed ? 0 : w->bytes.len);

    for (unsigned i = 0; i < CRC_BYTES; i++) {
        buf_add_char(&w->bytes, (char)(crc >> (8 * i)));
    }
}

/* ---- reading ---- */

nhub_err group_note_open(struct group_note_reader *r, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    uint32_t crc = 0;

    if (len < 1 + CRC_BYTES || p[0] != VERSION) {
        return NHUB_EPROTO;
    }
    for (unsigned i = 0; i < CRC_BYTES; i++) {
        crc |= (uint32_t)p[len - CRC_BYTES + i] << (8 * i);
    }
    if (crc != crc32c(0, bytes, len - CRC_BYTES)) {
        return NHUB_EPROTO;
    }
    *r = (struct group_note_reader){.p = p + 1, .end = p + len - CRC_BYTES};
    return NHUB_OK;
}

/* At most 10 bytes; what does not fit 64 bits is refused. */
static bool get_number(struct group_note_reader *r, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        const unsigned char byte = *r->p++;

        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool get_u32(struct group_note_reader *r, uint32_t *out)
{
    uint64_t value;

    if (!get_number(r, &value) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

/* A number of 0 to 2^63-1. */
static bool get_seq(struct group_note_reader *r, uint64_t *out)
{
    return get_number(r, out) && *out <= INT64_MAX;
}

static bool get_difference(struct group_note_reader *r, int64_t before, int64_t *out)
{
    uint64_t z;

    if (!get_number(r, &z)) {
        return false;
    }
    *out = (int64_t)((uint64_t)before + ((z >> 1) ^ (~(z & 1) + 1)));
    return true;
}

static bool get_relative_seq(struct group_note_reader *r, uint64_t *out)
{
    int64_t seq;

    if (!get_difference(r, (int64_t)r->context.seq, &seq) || seq < 0) {
        return false;
    }
    r->context.seq = (uint64_t)seq;
    *out = (uint64_t)seq;
    return true;
}

static bool get_position(struct group_note_reader *r, struct position *out)
{
    if (r->end - r->p < EPOCH_LEN || !epoch_valid((const char *)r->p, EPOCH_LEN)) {
        return false;
    }
    memcpy(out->epoch, r->p, EPOCH_LEN);
    r->p += EPOCH_LEN;
    return get_seq(r, &out->seq);
}

static bool get_reason(struct group_note_reader *r, enum group_gap_reason *out)
{
    uint64_t value;

    if (!get_number(r, &value) || value >= GROUP_GAP_REASONS) {
        return false;
    }
    *out = (enum group_gap_reason)value;
    return true;
}

static bool get_fields(struct group_note_reader *r, unsigned fields, struct group_change *out)
{
    bool good = true;

    if (fields & FIELD_SEQ) {
        good = get_relative_seq(r, &out->seq);
    }
    if (good && (fields & FIELD_TO_SEQ)) {
        good = get_seq(r, &out->to_seq);
    }
    if (good && (fields & FIELD_ATTEMPT)) {
        good = get_u32(r, &out->attempt);
    }
    if (good && (fields & FIELD_RELEASED)) {
        good = get_u32(r, &out->released);
    }
    if (good && (fields & FIELD_AT)) {
        good = get_difference(r, r->context.at_ms, &out->at_ms);
        r->context.at_ms = out->at_ms;
    }
    if (good && (fields & FIELD_LANE)) {
        good = get_number(r, &out->lane);
    }
    if (good && (fields & FIELD_REASON)) {
        good = get_reason(r, &out->reason);
    }
    if (good && (fields & FIELD_FROM)) {
        good = get_position(r, &out->from);
    }
    if (good && (fields & FIELD_TO)) {
        good = get_position(r, &out->to);
    }
    if (good && (fields & FIELD_TOTALS)) {
        good = get_number(r, &out->totals.acked) && get_number(r, &out->totals.redelivered) &&
               get_number(r, &out->totals.dead_letters) && get_number(r, &out->totals.lost);
    }
    return good;
}

nhub_err group_note_next(struct group_note_reader *r, struct group_change *out)
{
    struct group_change change = {.seq = 0};

    if (r->p == r->end) {
        return NHUB_ENOTFOUND;
    }
    if (*r->p == 0 || *r->p >= GROUP_OPS) {
        return NHUB_EPROTO;
    }
    change.op = (enum group_op) * r->p++;
    if (!get_fields(r, fields_of[change.op], &change)) {
        return NHUB_EPROTO;
    }
    *out = change;
    return NHUB_OK;
}
