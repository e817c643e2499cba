// libs: gateway_core nhub_wire nhub_base
/*
 * The body of POST /events, with what its head says: the first byte chooses the form, the second
 * which headers there are. Whatever is accepted must be lines that the hub accepts, too.
 */
#include "gateway/protocols/http_body.h"
#include "wire/event.h"

#include <stdlib.h>
#include <string.h>

#define MAX_EVENT_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_accepted(const struct body_events *events, size_t body_len)
{
    check(events->count > 0 && events->count <= HTTP_BODY_EVENTS_MAX);
    check(events->is_batch || (events->count == 1 && events->correlation.len >= 2));
    for (size_t i = 0; i < events->count; i++) {
        struct event event;
        struct event_error error;

        check(events->events[i].len < body_len * 6 + 4096); /* no amplification */
        check(memchr(events->events[i].line, '\n', events->events[i].len) == NULL);
        check(event_parse(events->events[i].line, events->events[i].len, EVENT_DOOR_ZEROMQ,
                          "StatsEvent", NULL, NULL, &event, &error) == NHUB_OK);
        check(event.ignored == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cloudevent_header ce[] = {{"specversion", "1.0"},
                                                  {"id", "%41\"x"},
                                                  {"source", "/s"},
                                                  {"type", "t"},
                                                  {"x", "\xC3\xA9"}};
    struct body_context context = {.max_event_bytes = MAX_EVENT_BYTES,
                                   .stats_event = "StatsEvent",
                                   .now_us = 1700000000000000};
    struct body_events events;
    struct body_refusal refusal;
    char *text = NULL;
    nhub_err err;

    if (size < 2 || !(text = malloc(size - 1))) {
        return 0;
    }
    memcpy(text, data + 2, size - 2);
    context.form = (enum body_form)(data[0] % (BODY_UNSUPPORTED + 1));
    context.idempotency_key = data[1] & 1 ? "\"key \xC3\xA9\"" : NULL;
    context.traceparent =
        data[1] & 2 ? "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" : NULL;
    context.tracestate = data[1] & 4 ? "a=\"b\"" : NULL;
    context.content_type = data[1] & 8 ? "application/json" : data[1] & 16 ? "text/x" : NULL;
    context.ce_headers = ce;
    context.ce_header_count = data[1] & 32 ? 3 : 5;
    err = body_read(&context, text, size - 2, &events, &refusal);
    if (err == NHUB_OK) {
        check_accepted(&events, size);
    } else if (err == NHUB_EPROTO) {
        check(refusal.reason < REJECT_REASON_COUNT && refusal.detail[0] != '\0');
        check(!refusal.has_offset || refusal.offset <= size - 2);
    }
    body_events_free(&events);
    free(text);
    return 0;
}
