/*
 * type_table: event types as small numbers, counted, so that the cache can keep four bytes for
 * each record and drop a name with its last record. Number 0 is never given to a type.
 *
 * Threads: none inside.
 */
#ifndef GATEWAY_FANOUT_TYPE_TABLE_H
#define GATEWAY_FANOUT_TYPE_TABLE_H

#include <notifyhub/error.h>
#include <stddef.h>
#include <stdint.h>

struct type_table;

NHUB_MUST_USE nhub_err type_table_create(struct type_table **out); /* Errors: NHUB_ENOMEM */
void type_table_destroy(struct type_table **t_p);
/* The type's number in *out, with one more use. Errors: NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err type_table_use(struct type_table *t, const char *type, size_t len,
                                      uint32_t *out);
void type_table_release(struct type_table *t, uint32_t number); /* one use less; 0 is fine */
uint32_t type_table_count(const struct type_table *t);          /* numbers are below this one */
uint64_t type_table_version(const struct type_table *t); /* grows when a number changes hands */

#endif
