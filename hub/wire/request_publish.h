/*
 * request_publish: what a `publish` request says, when it says it in the usual form.
 *
 * Threads: any; pure.
 */
#ifndef NHUB_WIRE_REQUEST_PUBLISH_H
#define NHUB_WIRE_REQUEST_PUBLISH_H

#include "base/settings.h"

#define REQUEST_PUBLISH_MAX 1024 /* bytes; longer ones are not usual */

struct request_publish {
    bool has_id;
    uint64_t id;    /* a request_id that is an integer from 0 to 2^63-1 */
    int durability; /* enum durability */
    bool atomic, batched_acks;
};

/* False when the text is anything but such a request: then the general reader is to look at it. */
bool request_publish_scan(const char *text, size_t len, struct request_publish *out);

#endif
