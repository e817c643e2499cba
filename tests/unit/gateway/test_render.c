/* Forms of records, WebSocket frames, notices, last values. */
#include "fan_bench.h"

#include "gateway/fanout/last_values.h"
#include "gateway/fanout/notice.h"
#include "gateway/fanout/render.h"

static struct feed_event *event_with(const char *line)
{
    const struct position p = at(EPOCH_A, 9);
    struct feed_event *e = NULL;

    assert_int_equal(feed_event_create(&e, &p, "a.b", 3, line, strlen(line)), NHUB_OK);
    return e;
}

/* The form as text; the caller frees the event. */
static const char *form(struct feed_event *e, enum stream_format format)
{
    static char text[200000];
    const struct blob *blob = NULL;
    const struct blob *again = NULL;
    struct buf appended;

    assert_int_equal(render_event(e, format, &blob), NHUB_OK);
    assert_int_equal(render_event(e, format, &again), NHUB_OK);
    assert_ptr_equal(blob, again);
    buf_init(&appended);
    assert_int_equal(render_append(e, format, &appended), NHUB_OK);
    assert_int_equal(appended.len, blob->len);
    assert_memory_equal(appended.data, blob->bytes, blob->len);
    buf_fini(&appended);
    memcpy(text, blob->bytes, blob->len);
    text[blob->len] = '\0';
    return text;
}

static void a_plain_line_is_copied(void **state)
{
    struct feed_event *e = event_with("{\"x\":1}");

    (void)state;
    assert_string_equal(form(e, FORMAT_WS), "\x81\x07{\"x\":1}");
    assert_string_equal(form(e, FORMAT_SSE), "id: aaaaaaaa-9\ndata: {\"x\":1}\n\n");
    assert_string_equal(form(e, FORMAT_SSE_NAMED),
                        "id: aaaaaaaa-9\nevent: a.b\ndata: {\"x\":1}\n\n");
    render_drop(e);
    assert_null(e->rendered[FORMAT_WS]);
    assert_int_equal(e->held_text_bytes, 0);
    feed_event_unref(&e);
}

static void bare_nan_becomes_null_and_text_does_not(void **state)
{
    struct feed_event *e = event_with("{\"x\":[NaN,\"NaN\",-Infinity,Infinity]}");

    (void)state;
    assert_string_equal(form(e, FORMAT_SSE),
                        "id: aaaaaaaa-9\ndata: {\"x\":[null,\"NaN\",null,null]}\n\n");
    assert_string_equal(form(e, FORMAT_WS) + 2, "{\"x\":[null,\"NaN\",null,null]}");
    feed_event_unref(&e);
}

static void a_cloud_event_is_one(void **state)
{
    struct feed_event *e = make_event(EPOCH_A, 4, "t", 3);

    (void)state;
    assert_non_null(strstr(form(e, FORMAT_WS_CE) + 4, "\"specversion\""));
    assert_non_null(strstr(form(e, FORMAT_SSE_CE), "\"type\":\"t\""));
    assert_non_null(strstr(form(e, FORMAT_SSE_NAMED_CE), "\nevent: t\ndata: {"));
    feed_event_unref(&e);
}

static void a_gap_is_a_record_too(void **state)
{
    const struct gap gap = {at(EPOCH_A, 1), at(EPOCH_A, 5), GAP_NOT_STORED};
    struct feed_event *e = NULL;

    (void)state;
    assert_int_equal(feed_gap_create(&e, &gap), NHUB_OK);
    assert_int_equal(e->position.seq, 5);
    assert_string_equal(form(e, FORMAT_WS) + 2, "{\"op\":\"gap\",\"from\":\"aaaaaaaa-1\",\"to\":"
                                                "\"aaaaaaaa-5\",\"reason\":\"not_stored\"}");
    assert_string_equal(form(e, FORMAT_SSE),
                        "id: aaaaaaaa-5\nevent: hub.gap\ndata: {\"from\":\"aaaaaaaa-1\",\"to\":"
                        "\"aaaaaaaa-5\",\"reason\":\"not_stored\"}\n\n");
    feed_event_unref(&e);
}

static void a_position_moves_an_event_source_without_an_event(void **state)
{
    const struct position p = at(EPOCH_A, 12);
    struct buf b;

    (void)state;
    buf_init(&b);
    notice_position(&b, FORMAT_SSE, &p);
    assert_string_equal(buf_cstr(&b), "id: aaaaaaaa-12\n\n");
    buf_reset(&b);
    notice_position(&b, FORMAT_WS, &p);
    assert_string_equal(buf_cstr(&b) + 2, "{\"op\":\"position\",\"position\":\"aaaaaaaa-12\"}");
    buf_fini(&b);
}

static void frames_have_the_heads_of_the_rfc(void **state)
{
    static const size_t sizes[] = {0,     1,     125,   126,    127,    65535,  61439,
                                   61440, 61441, 65536, 122880, 122881, 1000000};
    char *payload = malloc(1000000);

    (void)state;
    for (size_t i = 0; i < 1000000; i++) {
        payload[i] = (char)('a' + i % 23);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *out = malloc(ws_message_size(sizes[i]) + 1);
        struct buf back;
        struct ws_frame frame = {0};
        size_t at_byte = 0;

        assert_int_equal(ws_message_write(out, payload, sizes[i]), ws_message_size(sizes[i]));
        buf_init(&back);
        do {
            assert_true(at_byte % RENDER_SLICE == 0); /* slices are cut between frames */
            assert_int_equal(
                ws_frame_parse(out + at_byte, ws_message_size(sizes[i]) - at_byte, &frame),
                NHUB_OK);
            assert_int_equal(frame.opcode, at_byte == 0 ? WS_TEXT : WS_CONTINUATION);
            buf_add(&back, out + at_byte + frame.head_len, frame.payload_len);
            at_byte += frame.head_len + frame.payload_len;
        } while (!frame.final);
        assert_int_equal(at_byte, ws_message_size(sizes[i]));
        assert_int_equal(back.len, sizes[i]);
        assert_true(sizes[i] == 0 || memcmp(back.data, payload, sizes[i]) == 0);
        assert_int_equal(ws_frame_parse(out, 1, &frame), NHUB_EPROTO);
        buf_fini(&back);
        free(out);
    }
    free(payload);
}

static void last_values_keep_the_newest_of_each_type_in_order(void **state)
{
    struct last_values *l = NULL;
    const void *iter = NULL;
    static const char *const types[] = {"a", "b", "a", "c", "b"};
    static const uint64_t want[] = {3, 4, 5};

    (void)state;
    assert_int_equal(last_values_create(&l, 10, 1 << 20), NHUB_OK);
    for (uint64_t i = 0; i < 5; i++) {
        struct feed_event *e = make_event(EPOCH_A, i + 1, types[i], 0);

        assert_int_equal(last_values_put(l, e), NHUB_OK);
        feed_event_unref(&e);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(last_values_next(l, &iter)->position.seq, want[i]);
    }
    assert_null(last_values_next(l, &iter));
    last_values_destroy(&l);
}

static void last_values_are_bounded_by_types_and_bytes(void **state)
{
    struct last_values *l = NULL;
    struct feed_event *e = NULL;
    char type[16];

    (void)state;
    assert_int_equal(last_values_create(&l, 10, 20000), NHUB_OK);
    for (uint64_t i = 1; i <= 50; i++) {
        (void)snprintf(type, sizeof type, "t%" PRIu64, i);
        e = make_event(EPOCH_A, i, type, 0);
        assert_int_equal(last_values_put(l, e), NHUB_OK);
        feed_event_unref(&e);
    }
    assert_int_equal(last_values_count(l), 10);
    assert_int_equal(last_values_evicted(l), 40);
    e = make_event(EPOCH_A, 51, "big", 19000);
    assert_int_equal(last_values_put(l, e), NHUB_OK);
    feed_event_unref(&e);
    assert_true(last_values_count(l) <= 3);
    e = make_event(EPOCH_A, 52, "too big", 30000);
    assert_int_equal(last_values_put(l, e), NHUB_OK);
    feed_event_unref(&e);
    assert_int_equal(last_values_count(l), 0);
    last_values_destroy(&l);
}

static void gap_reasons_have_words(void **state)
{
    (void)state;
    for (int i = 0; i < GAP_REASONS; i++) {
        assert_int_equal(gap_reason_parse(gap_reason_name((enum gap_reason)i)), i);
    }
    assert_int_equal(gap_reason_parse("of a newer hub"), GAP_RETENTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line_is_copied),
        cmocka_unit_test(bare_nan_becomes_null_and_text_does_not),
        cmocka_unit_test(a_cloud_event_is_one),
        cmocka_unit_test(a_gap_is_a_record_too),
        cmocka_unit_test(a_position_moves_an_event_source_without_an_event),
        cmocka_unit_test(frames_have_the_heads_of_the_rfc),
        cmocka_unit_test(last_values_keep_the_newest_of_each_type_in_order),
        cmocka_unit_test(last_values_are_bounded_by_types_and_bytes),
        cmocka_unit_test(gap_reasons_have_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
