/* http_media: content types to forms of a body, and who wants an event stream. */
#include "gateway/protocols/http_media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void content_types_tell_the_form(void **state)
{
    static const struct {
        const char *type;
        bool ce;
        enum body_form form;
    } cases[] = {
        {NULL, false, BODY_SNIFF},
        {"", false, BODY_SNIFF},
        {"application/json", false, BODY_JSON},
        {"Application/JSON ; charset=utf-8", false, BODY_JSON},
        {"application/x-ndjson", false, BODY_NDJSON},
        {"application/x-www-form-urlencoded", false, BODY_SNIFF},
        {"text/plain;charset=UTF-8", false, BODY_SNIFF},
        {"application/cloudevents+json; charset=UTF-8", false, BODY_CE},
        {"application/cloudevents+json", true, BODY_CE},
        {"application/cloudevents-batch+json", false, BODY_CE_BATCH},
        {"application/json", true, BODY_CE_BINARY},
        {"image/png", true, BODY_CE_BINARY},
        {NULL, true, BODY_CE_BINARY},
        {"application/xml", false, BODY_UNSUPPORTED},
        {"application/jsonx", false, BODY_UNSUPPORTED},
        {"multipart/form-data; boundary=x", false, BODY_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            media_body_form(cases[i].type, cases[i].type ? strlen(cases[i].type) : 0, cases[i].ce),
            cases[i].form);
    }
}

static void accept_is_weighed(void **state)
{
    static const struct {
        const char *accept;
        bool stream;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"text/*", false},
        {"application/json", false},
        {"text/event-stream", true},
        {"Text/Event-Stream", true},
        {"text/event-stream, */*;q=0.1", true},
        {"text/event-stream;q=0", false},
        {"text/event-stream;q=0.0", false},
        {"application/json, text/event-stream", true},
        {"application/json, text/event-stream;q=0.9", false},
        {"application/json;q=0.5,text/event-stream;q=0.9", true},
        {"text/event-stream;q=0.5, */*", false},
        {"text/event-stream;q=0.5, application/*;q=0.4, */*", true},
        {"text/html, text/event-stream ; q=1.000", true},
        {"text/event-stream;q=bad", true},
        {"text/event-stream;version=1;q=0.2, application/json;q=0.3", false},
        {",,,", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *accept = cases[i].accept;

        if (media_wants_event_stream(accept, accept ? strlen(accept) : 0) != cases[i].stream) {
            fail_msg("Accept: %s", accept);
        }
    }
}

static void gzip_is_taken_when_it_is_named(void **state)
{
    static const struct {
        const char *encodings;
        bool takes;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"identity", false},
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"gzip, deflate, br, zstd", true},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
        {"gzip;q=0", false},
        {"gzip ; q=0.000", false},
        {"*", true},
        {"*;q=0", false},
        {"*, gzip;q=0", false},
        {"gzip;q=0, *", false},
        {"*;q=0, gzip", true},
        {"gzipped", false},
        {"deflate;gzip", false},
        {",,;q=,", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *encodings = cases[i].encodings;

        if (media_takes_gzip(encodings, encodings ? strlen(encodings) : 0) != cases[i].takes) {
            fail_msg("Accept-Encoding: %s", encodings);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_types_tell_the_form),
        cmocka_unit_test(accept_is_weighed),
        cmocka_unit_test(gzip_is_taken_when_it_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
