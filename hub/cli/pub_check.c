/*
 * pub_check: what a gateway's door would refuse in a line is told without sending it.
 */
#include "cli/pub.h"
#include "wire/event.h"

bool pub_check_line(nhub_bytes line, char *reason, size_t size)
{
    struct event_error why = {0};
    struct event event;

    if (event_parse(line.p, line.len, EVENT_DOOR_HTTP, NULL, NULL, NULL, &event, &why) == NHUB_OK) {
        return true;
    }
    (void)snprintf(reason, size, "%s: %s%s%s", event_reason_code(why.reason),
                   why.detail ? why.detail : "it is not valid", why.field ? ", member " : "",
                   why.field ? why.field : "");
    return false;
}
