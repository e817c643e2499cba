/*
 * clients: what sessions and event types look like from outside, as JSON, for those who watch.
 *
 * Threads: none inside; the stream loop's.
 */
#ifndef GATEWAY_FANOUT_CLIENTS_H
#define GATEWAY_FANOUT_CLIENTS_H

#include "base/buf.h"
#include "gateway/fanout/fanout.h"

/* The first session with a number above `after`, and its number; NULL at the end. */
struct session *fanout_client_next(const struct fanout *f, uint64_t after, uint64_t *out_number);
struct session *fanout_client_find(const struct fanout *f, uint64_t number); /* NULL: none */
enum gateway_door session_door(const struct session *s);
/* Appends the session as an object. now_us: the wall clock at the fan-out's now. */
void session_write_client(const struct session *s, int64_t now_us, struct buf *json);

/* Appends the first type with a number above `after` as an object, with its newest event or
 * without; false at the end. */
bool fanout_type_next(const struct fanout *f, uint64_t after, bool with_event, int64_t now_us,
                      uint64_t *out_number, struct buf *json);
size_t fanout_type_count(const struct fanout *f);
uint64_t fanout_types_forgotten(const struct fanout *f);

/* Seconds since 1970 with three digits behind the point. */
void json_add_seconds(struct buf *json, int64_t us);

#endif
