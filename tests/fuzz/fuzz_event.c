// libs: nhub_wire nhub_base
/* Events: whatever a publisher sends, the line that we make of it is canonical, and his data is
 * his. */
#include <stdint.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/event.h"
#include "wire/pattern.h"

static const struct position here = {"abcdefgh", 42};
static const struct event_fill plain = {.default_source = "\"http\"",
                                        .now_us = 1700000000000000,
                                        .correlation_id = "01234567-89ab-4def-8123-456789abcdef"};
static const struct event_fill rich = {
    .default_source = "\"ws\"",
    .now_us = -1,
    .correlation_id = "01234567-89ab-4def-8123-456789abcdef",
    .id = "\"key\"",
    .extra_metadata = "{\"traceparent\":\"00-ab\",\"tracestate\":\"x=\\\"}\\\"\"}"};

/* Renders into exactly the promised room. */
static char *render(const struct event *e, const struct event_fill *fill, size_t text_len,
                    size_t *out_len)
{
    const size_t max = event_render_max(e, fill, text_len);
    char *line = malloc(max);

    EXPECT(line);
    *out_len = event_render(e, fill, &here, line);
    EXPECT(*out_len <= max);
    return line;
}

static void expect_same_bytes(const struct json_span *in, const struct json_span *out)
{
    if (in->kind == JSON_ABSENT) {
        return;
    }
    char *line = malloc(in->len);

    EXPECT(line && json_one_line(in->p, in->len, line) == in->len);
    EXPECT(in->kind == out->kind && in->len == out->len && memcmp(line, out->p, in->len) == 0);
    free(line);
}

static void expect_canonical(const struct event *e, const struct event_fill *fill, size_t text_len)
{
    struct event again;
    struct event_error error;
    struct position position, tail;
    size_t len = 0, again_len = 0;
    char *line = render(e, fill, text_len, &len);

    EXPECT(!memchr(line, '\n', len) && !memchr(line, '\r', len) && !memchr(line, '\t', len));
    EXPECT(event_parse_numbered(line, len, &again, &position) == NHUB_OK);
    EXPECT(event_tail_position(line, len, &tail) == NHUB_OK);
    EXPECT(position_equal(&position, &here) && position_equal(&tail, &here));
    EXPECT(again.type_len == e->type_len && memcmp(again.type, e->type, e->type_len) == 0);
    EXPECT(again.ignored == 0 && !again.has_newline && again.has_nonfinite == e->has_nonfinite);
    for (int i = 0; i < EVENT_METADATA; i++) {
        expect_same_bytes(&e->field[i], &again.field[i]);
    }
    if (!fill->extra_metadata) {
        expect_same_bytes(&e->field[EVENT_METADATA], &again.field[EVENT_METADATA]);
    }
    EXPECT(event_parse(line, len, EVENT_DOOR_ZEROMQ, NULL, NULL, NULL, &again, &error) == NHUB_OK);
    char *twice = render(&again, fill, len, &again_len);

    EXPECT(again_len == len && memcmp(twice, line, len) == 0);
    free(twice);
    free(line);
}

static void expect_good_type(const struct event *e)
{
    EXPECT(e->type_len > 0 && e->type_len <= EVENT_TYPE_MAX && e->type[e->type_len] == '\0');
    EXPECT(utf8_valid(e->type, e->type_len) && strlen(e->type) == e->type_len);
    EXPECT(!type_is_reserved(e->type, e->type_len, "StatsEvent"));
    EXPECT(pattern_check(e->type, e->type_len) == NHUB_OK);
}

static bool run(const char *text, size_t len, enum event_door door)
{
    struct event event;
    struct event_error error;

    if (event_parse(text, len, door, "StatsEvent", NULL, NULL, &event, &error) != NHUB_OK) {
        EXPECT(error.reason != EVENT_OK && error.detail && error.offset <= len);
        return false;
    }
    expect_good_type(&event);
    EXPECT(door == EVENT_DOOR_ZEROMQ || !event.has_nonfinite);
    expect_canonical(&event, &plain, len);
    expect_canonical(&event, &rich, len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct position position;
    struct event event;
    char *text = exact_copy(data, size);
    const bool zeromq = run(text, size, EVENT_DOOR_ZEROMQ);
    const bool http = run(text, size, EVENT_DOOR_HTTP);
    const struct json_scan_options options = {.allow_nonfinite = true};
    struct json_span span;
    struct json_report report;

    /* What passes is an object; the tail alone proves nothing, but must be safe to look at. */
    EXPECT((!zeromq && !http) ||
           json_scan_object(text, size, NULL, 0, &options, &span, &report) == NHUB_OK);
    if (event_parse_numbered(text, size, &event, &position) == NHUB_OK) {
        EXPECT(position.seq > 0 && epoch_valid(position.epoch, EPOCH_LEN));
    }
    if (event_tail_position(text, size, &position) == NHUB_OK) {
        EXPECT(position.seq > 0 && epoch_valid(position.epoch, EPOCH_LEN));
    }
    free(text);
    return 0;
}
