/*
 * top_json: the figures of `notifyhub top` as one line of JSON, for programs.
 *
 * Threads: none inside; no I/O.
 */
#ifndef NHUB_CLI_TOP_JSON_H
#define NHUB_CLI_TOP_JSON_H

#include "base/buf.h"
#include "cli/top_figures.h"

/* Appends {"time":…,"interval_s":…,"in_per_s":…,"doors":{…},"gateway":{…},"hub":{…}}, without a
 * line feed. now_s: seconds since 1970; interval_s: between the two readings. What is not known is
 * null: `hub` while it does not answer, a rate that one of the readings does not tell. */
void top_json_add(struct buf *out, const struct top_figures *f, double now_s, double interval_s);
/* Appends {"time":…,"error":…}: a reading that failed. */
void top_json_add_trouble(struct buf *out, const char *trouble, double now_s);

#endif
