/* store_record: the layout of values, written and read byte by byte. */
#include "store/store_record.h"

#include "base/crc32c.h"

#include <assert.h>
#include <string.h>

static void put_le(unsigned char *out, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t get_le(const unsigned char *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = n; i > 0; i--) {
        value = value << 8 | p[i - 1];
    }
    return value;
}

static uint32_t record_crc(uint64_t key, const unsigned char *bytes, size_t size)
{
    unsigned char key_bytes[8];

    put_le(key_bytes, key, sizeof key_bytes);
    return crc32c(crc32c(0, key_bytes, sizeof key_bytes), bytes + 4, size - 4);
}

void store_record_write(void *out, uint64_t key, int64_t arrival_us, const char *type,
                        size_t type_len, const char *line, size_t len)
{
    unsigned char *p = out;

    assert(type_len >= 1 && type_len <= 255);
    p[4] = 0;
    p[5] = (unsigned char)type_len;
    p[6] = p[7] = 0;
    put_le(p + 8, (uint64_t)arrival_us, 8);
    memcpy(p + STORE_RECORD_HEAD, type, type_len);
    if (len > 0) {
        memcpy(p + STORE_RECORD_HEAD + type_len, line, len);
    }
    put_le(p, record_crc(key, p, store_record_size(type_len, len)), 4);
}

nhub_err store_record_read(uint64_t key, const void *bytes, size_t size, struct store_record *out)
{
    const unsigned char *p = bytes;

    memset(out, 0, sizeof *out);
    out->epoch_no = store_key_epoch(key);
    out->seq = store_key_seq(key);
    if (size < STORE_RECORD_HEAD || size > STORE_RECORD_MAX || p[4] != 0 || p[5] == 0 ||
        p[6] != 0 || p[7] != 0 || size - STORE_RECORD_HEAD < p[5] ||
        get_le(p, 4) != record_crc(key, p, size)) {
        return NHUB_EPROTO;
    }
    out->arrival_us = (int64_t)get_le(p + 8, 8);
    out->type = (const char *)p + STORE_RECORD_HEAD;
    out->type_len = p[5];
    out->line = out->type + out->type_len;
    out->len = size - STORE_RECORD_HEAD - out->type_len;
    return NHUB_OK;
}

static uint32_t seal_crc(enum store_mark mark, const void *key, size_t key_len, const void *value,
                         size_t len)
{
    const unsigned char first = (unsigned char)mark;

    return crc32c(crc32c(crc32c(0, &first, 1), key, key_len), value, len);
}

void store_seal(void *out, enum store_mark mark, const void *key, size_t key_len, size_t len)
{
    unsigned char *p = out;

    put_le(p, seal_crc(mark, key, key_len, p + STORE_SEAL_SIZE, len), STORE_SEAL_SIZE);
}

nhub_err store_unseal(enum store_mark mark, const void *key, size_t key_len, const void *bytes,
                      size_t size, const void **out, size_t *out_len)
{
    const unsigned char *p = bytes;

    if (size < STORE_SEAL_SIZE || size > STORE_RECORD_MAX ||
        get_le(p, STORE_SEAL_SIZE) !=
            seal_crc(mark, key, key_len, p + STORE_SEAL_SIZE, size - STORE_SEAL_SIZE)) {
        return NHUB_EPROTO;
    }
    *out = p + STORE_SEAL_SIZE;
    *out_len = size - STORE_SEAL_SIZE;
    return NHUB_OK;
}

void store_state_write(unsigned char out[STORE_STATE_SIZE], const struct store_meta *meta)
{
    memcpy(out, meta->epoch, EPOCH_LEN);
    put_le(out + 8, meta->epoch_no, 2);
    put_le(out + 10, meta->reserved_to, 8);
    put_le(out + 18, meta->last_seq, 8);
    out[26] = meta->was_clean ? 1 : 0;
}

nhub_err store_state_read(const void *bytes, size_t size, struct store_meta *out)
{
    const unsigned char *p = bytes;

    if (size != STORE_STATE_SIZE || !epoch_valid((const char *)p, EPOCH_LEN) || p[26] > 1) {
        return NHUB_EPROTO;
    }
    memcpy(out->epoch, p, EPOCH_LEN);
    out->epoch[EPOCH_LEN] = '\0';
    out->epoch_no = (uint16_t)get_le(p + 8, 2);
    out->reserved_to = get_le(p + 10, 8);
    out->last_seq = get_le(p + 18, 8);
    out->was_clean = p[26] == 1;
    if (out->epoch_no == 0 || out->reserved_to > STORE_SEQ_MAX ||
        out->last_seq > out->reserved_to) {
        return NHUB_EPROTO;
    }
    return NHUB_OK;
}

void store_totals_write(unsigned char out[STORE_TOTALS_SIZE], const struct store_totals *totals)
{
    put_le(out, totals->bytes, 8);
    put_le(out + 8, totals->others, 8);
    put_le(out + 16, (uint64_t)totals->trimmed_us, 8);
}

nhub_err store_totals_read(const void *bytes, size_t size, struct store_totals *out)
{
    const unsigned char *p = bytes;

    if (size != STORE_TOTALS_SIZE) {
        return NHUB_EPROTO;
    }
    out->bytes = get_le(p, 8);
    out->others = get_le(p + 8, 8);
    out->trimmed_us = (int64_t)get_le(p + 16, 8);
    return NHUB_OK;
}

void store_id_write(unsigned char out[STORE_ID_SIZE], const struct store_id *id)
{
    put_le(out, id->key.lo, 8);
    put_le(out + 8, id->key.hi, 8);
    put_le(out + 16, id->content, 8);
    put_le(out + 24, (uint64_t)id->arrival_us, 8);
}

nhub_err store_id_read(uint64_t key, const void *bytes, size_t size, struct store_id *out)
{
    const unsigned char *p = bytes;

    if (size != STORE_ID_SIZE) {
        return NHUB_EPROTO;
    }
    out->seq = store_key_seq(key);
    out->key.lo = get_le(p, 8);
    out->key.hi = get_le(p + 8, 8);
    out->content = get_le(p + 16, 8);
    out->arrival_us = (int64_t)get_le(p + 24, 8);
    return NHUB_OK;
}

void store_void_write(unsigned char out[STORE_VOID_SIZE], const struct store_void_value *value)
{
    put_le(out, value->to, 8);
    put_le(out + 8, (uint64_t)value->when_us, 8);
    out[16] = (unsigned char)value->why;
}

const char *store_void_name(enum store_void why)
{
    return why == STORE_VOID_UNCLEAN_STOP ? "unclean_stop" : "not_stored";
}

nhub_err store_void_read(uint64_t from, const void *bytes, size_t size,
                         struct store_void_value *out)
{
    const unsigned char *p = bytes;

    if (size != STORE_VOID_SIZE ||
        (p[16] != STORE_VOID_UNCLEAN_STOP && p[16] != STORE_VOID_NOT_STORED)) {
        return NHUB_EPROTO;
    }
    out->to = get_le(p, 8);
    out->when_us = (int64_t)get_le(p + 8, 8);
    out->why = p[16] == STORE_VOID_UNCLEAN_STOP ? STORE_VOID_UNCLEAN_STOP : STORE_VOID_NOT_STORED;
    return out->to < from || out->to > STORE_SEQ_MAX ? NHUB_EPROTO : NHUB_OK;
}
