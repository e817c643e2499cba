/*
 * store_record: how values look on disk. Pure functions on bytes that may be damaged.
 *
 * All integers are little-endian. A record of the table events:
 *
 *     0  CRC-32C of the key (8 bytes) and all that follows
 *     4  flags, 0 in this format     5  type length (1..255)     6  two bytes, 0
 *     8  arrival, microseconds since 1970
 *    16  type, line
 *
 * The values of all other tables are sealed: CRC-32C of the table's mark, the key and the value,
 * then the value. The checksums cover the keys, so that a good value in a wrong place is noticed.
 *
 * Threads: any.
 */
#ifndef NHUB_STORE_STORE_RECORD_H
#define NHUB_STORE_STORE_RECORD_H

#include "store/store.h"

#define STORE_RECORD_HEAD 16
#define STORE_SEAL_SIZE   4
#define STORE_STATE_SIZE  27
#define STORE_TOTALS_SIZE 24
#define STORE_ID_SIZE     32
#define STORE_VOID_SIZE   17
/* Larger ones are refused before they reach LMDB, whose values end at 4 GiB. */
#define STORE_RECORD_MAX (UINT64_C(256) << 20)

/* The first byte under each seal, so that a value of one table is no value of another. */
enum store_mark { MARK_META = 'm', MARK_ID = 'i', MARK_VOID = 'v', MARK_NOTE = 'n' };

/* What is counted besides the records themselves. */
struct store_totals {
    uint64_t bytes;     /* of all records: heads, types, lines */
    uint64_t others;    /* records of earlier epochs */
    int64_t trimmed_us; /* arrival of the youngest record that was trimmed; 0 = none */
};

static inline uint64_t store_key(uint16_t epoch_no, uint64_t seq)
{
    return (uint64_t)epoch_no << 48 | seq;
}

static inline uint16_t store_key_epoch(uint64_t key)
{
    return (uint16_t)(key >> 48);
}

static inline uint64_t store_key_seq(uint64_t key)
{
    return key & STORE_SEQ_MAX;
}

static inline size_t store_record_size(size_t type_len, size_t len)
{
    return STORE_RECORD_HEAD + type_len + len;
}

/* Writes a record of store_record_size() bytes. */
void store_record_write(void *out, uint64_t key, int64_t arrival_us, const char *type,
                        size_t type_len, const char *line, size_t len);
/* The record points into bytes. Errors: NHUB_EPROTO; out then has key and, as far as they can be
 * read, nothing else: type and line are NULL. */
NHUB_MUST_USE nhub_err store_record_read(uint64_t key, const void *bytes, size_t size,
                                         struct store_record *out);

/* Writes the seal of a value of len bytes that stands behind it at out + STORE_SEAL_SIZE. */
void store_seal(void *out, enum store_mark mark, const void *key, size_t key_len, size_t len);
/* The value under a seal. Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err store_unseal(enum store_mark mark, const void *key, size_t key_len,
                                    const void *bytes, size_t size, const void **out,
                                    size_t *out_len);

/* The values themselves, without seals. Readers get whatever was under a good seal; what makes no
 * sense all the same is NHUB_EPROTO. */
void store_state_write(unsigned char out[STORE_STATE_SIZE], const struct store_meta *meta);
NHUB_MUST_USE nhub_err store_state_read(const void *bytes, size_t size, struct store_meta *out);
void store_totals_write(unsigned char out[STORE_TOTALS_SIZE], const struct store_totals *totals);
NHUB_MUST_USE nhub_err store_totals_read(const void *bytes, size_t size, struct store_totals *out);
void store_id_write(unsigned char out[STORE_ID_SIZE], const struct store_id *id);
NHUB_MUST_USE nhub_err store_id_read(uint64_t key, const void *bytes, size_t size,
                                     struct store_id *out);
struct store_void_value {
    uint64_t to;
    enum store_void why;
    int64_t when_us;
};
void store_void_write(unsigned char out[STORE_VOID_SIZE], const struct store_void_value *value);
/* from: the number in the key. */
NHUB_MUST_USE nhub_err store_void_read(uint64_t from, const void *bytes, size_t size,
                                       struct store_void_value *out);

#endif
