/*
 * metrics: writes the Prometheus text exposition format (version 0.0.4) into a buf.
 *
 *   metrics_family(b, "notifyhub_events_total", "counter", "Events numbered by the hub");
 *   metrics_sample(b, "notifyhub_rejected_total", 17, "door", "http", "reason", "bad_json", NULL);
 */
#ifndef NHUB_BASE_METRICS_H
#define NHUB_BASE_METRICS_H

#include "base/buf.h"

void metrics_family(struct buf *b, const char *name, const char *type, const char *help);
/* Label names and values follow in pairs, NULL ends them; values are escaped. */
void metrics_sample(struct buf *b, const char *name, double value, ...);

#endif
