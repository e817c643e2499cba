/*
 * top: what the page and the line of JSON say for given readings.
 */
#include "cli/top_json.h"
#include "cli/top_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char gateway_text[] =
    "{\"gateway\":{\"version\":\"1.2\",\"uptime_s\":3725.5,\"draining\":false,"
    "\"connections\":{\"open\":7},\"link\":{\"connected\":true,\"caught_up\":true,\"reason\":\"\"},"
    "\"events\":{\"refilled_total\":4},\"published_total\":{\"http\":10,\"ws\":5},"
    "\"delivered_total\":{\"ws\":1000,\"sse\":500},\"subscribers\":{\"ws\":3,\"sse\":2},"
    "\"rejected\":{\"http\":{\"bad_json\":1,\"too_big\":2}},"
    "\"dropped\":{\"slow_oldest\":8,\"memory\":0},\"lag\":{\"max_events\":12},"
    "\"memory\":{\"resident_bytes\":14680064,\"stream_bytes\":2048},\"gaps_total\":6},"
    "\"hub\":{\"epoch\":\"k3mzq7aa\",\"seq\":42,\"events_published\":42,\"published_bytes\":4200,"
    "\"subscriptions\":{\"now\":9},"
    "\"journal\":{\"state\":\"degraded\",\"why\":\"disk \\u001b[31m full\",\"bytes\":1048576},"
    "\"groups\":{\"count\":2,\"lag_max\":30,\"pending\":4,\"dead_letters\":1}}}";

static struct top_reading read_text(const char *text)
{
    struct top_reading reading;

    assert_int_equal(top_read(text, strlen(text), &reading), NHUB_OK);
    return reading;
}

static void a_gateways_figures_are_read(void **state)
{
    const struct top_reading r = read_text(gateway_text);

    (void)state;
    assert_true(r.has_gateway && r.has_hub && r.has_journal && r.has_groups);
    assert_true(r.is_connected && r.is_caught_up);
    assert_int_equal(r.subscribers[TOP_WS], 3);
    assert_int_equal(r.delivered[TOP_SSE], 500);
    assert_int_equal(r.rejected[TOP_HTTP], 3);
    assert_int_equal(r.dropped.count, 2);
    assert_string_equal(r.dropped.rows[0].name, "slow_oldest");
    assert_int_equal(r.dropped.rows[0].count, 8);
    assert_int_equal(r.seq, 42);
    assert_int_equal(r.group_lag, 30);
    assert_string_equal(r.journal_why, "disk ?[31m full"); /* nothing that moves the cursor */
}

static void a_hubs_own_figures_are_read(void **state)
{
    const struct top_reading r =
        read_text("{\"success\":true,\"statistics\":{\"events_received\":3,\"seq\":-1}}");

    (void)state;
    assert_true(r.has_hub && !r.has_gateway && !r.has_journal);
    assert_int_equal(r.events_received, 3);
    assert_int_equal(r.seq, 0);
}

static void what_is_no_reading_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "nonsense", "[]", "{}", "{\"success\":false}", "{\"gateway\":3}"};
    struct top_reading r;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(top_read(bad[i], strlen(bad[i]), &r), NHUB_EPROTO);
    }
}

static void rates_are_made_of_two_readings(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_reading r = read_text(gateway_text);

    (void)state;
    top_add(&f, &r, 1000);
    assert_int_equal(f.count, 0);
    assert_true(f.rates.in == 0);
    r.events_published += 300;
    r.delivered[TOP_WS] += 50;
    r.delivered[TOP_SSE] += 100;
    top_add(&f, &r, 2500);
    assert_true(f.rates.in == 200);
    assert_true(f.rates.out == 100);
    assert_true(top_history(&f, f.in_history, 0) == 200);
    assert_true(top_history(&f, f.in_history, 1) == 0);
    /* A daemon that was started anew counts from 0. */
    r.events_published = 7;
    top_add(&f, &r, 3000);
    assert_true(f.rates.in == 0);
    /* A hub that was away for a while has no rate out of nothing. */
    r.has_hub = false;
    r.events_published = 0;
    top_add(&f, &r, 3500);
    r.has_hub = true;
    r.events_published = 100000;
    top_add(&f, &r, 4000);
    assert_true(f.rates.in == 0);
}

static const char *line_with(struct top_page *page, const char *word)
{
    for (size_t i = 0; i < page->count; i++) {
        const char *text = buf_cstr(&page->lines[i].text);

        if (strstr(text, word)) {
            return text;
        }
    }
    fail_msg("no line with %s", word);
    return "";
}

static void zeromq_is_what_came_by_no_other_door(void **state)
{
    static const char before[] = "{\"gateway\":{\"published_total\":{\"http\":10,\"ws\":5}},"
                                 "\"hub\":{\"events_received\":20,\"rejected_total\":4,"
                                 "\"rejected\":{\"too_big\":4},"
                                 "\"subscriptions\":{\"now\":9,\"send_failures\":2,"
                                 "\"not_sent\":1},\"answers\":{\"dropped\":3}}}";
    static const char after[] = "{\"gateway\":{\"published_total\":{\"http\":20,\"ws\":5}},"
                                "\"hub\":{\"events_received\":70,\"rejected_total\":6,"
                                "\"rejected\":{\"too_big\":6},"
                                "\"subscriptions\":{\"now\":9,\"send_failures\":4,"
                                "\"not_sent\":1},\"answers\":{\"dropped\":3}}}";
    struct top_figures f = {.read_ms = 0};
    struct top_page page = {.width = 100};
    const struct top_view view = {.target = "t", .clock = "c", .interval_s = 1};
    struct top_reading r = read_text(before);

    (void)state;
    assert_int_equal(r.zeromq_not_sent, 3);
    assert_int_equal(top_drops(&r), 10);
    top_add(&f, &r, 1000);
    r = read_text(after);
    top_add(&f, &r, 3000);
    assert_true(f.rates.zeromq == 20);
    assert_true(f.rates.drops == 2);
    top_page_fill(&page, &f, &view);
    assert_non_null(strstr(line_with(&page, "  ZeroMQ"), "9          20           -"));
    assert_non_null(strstr(line_with(&page, "at the hub"), "not sent 5"));
    assert_non_null(strstr(line_with(&page, "hub refused"), "6   too_big 6"));
    assert_non_null(line_with(&page, "drops/s"));
    /* A hub that is younger than the gateway, and another one, count less than that. */
    r.events_received = 0;
    top_add(&f, &r, 5000);
    assert_true(f.rates.zeromq == 0);
    r.events_received = 12;
    r.published[TOP_HTTP] += 2;
    top_add(&f, &r, 7000);
    assert_true(f.rates.zeromq == 5);
    r.published[TOP_HTTP] += 2;
    top_add(&f, &r, 9000);
    assert_true(f.rates.zeromq == 0);
    top_page_fini(&page);
}

static void reasons_are_bounded_and_wrapped(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_page page = {.width = TOP_WIDTH_MIN};
    const struct top_view view = {.target = "t", .clock = "c", .interval_s = 1};
    struct top_reading r;
    struct buf text;

    (void)state;
    buf_init(&text);
    buf_add_str(&text, "{\"gateway\":{\"rejected\":{\"http\":{");
    for (int i = 0; i < 3 * TOP_REASONS_MAX; i++) {
        buf_printf(&text, "%s\"reason_%d\":1", i > 0 ? "," : "", i);
    }
    buf_add_str(&text, "},\"ws\":{\"reason_0\":5}}}}");
    r = read_text(buf_cstr(&text));
    buf_fini(&text);
    assert_int_equal(r.refused.count, TOP_REASONS_MAX);
    assert_int_equal(top_sum(&r.refused), 3 * TOP_REASONS_MAX + 5);
    assert_int_equal(r.refused.rows[0].count, 6);
    assert_string_equal(r.refused.rows[TOP_REASONS_MAX - 1].name, "others");
    top_add(&f, &r, 1000);
    top_page_fill(&page, &f, &view);
    assert_true(strlen(line_with(&page, "refused  ")) <= TOP_WIDTH_MIN);
    assert_non_null(strstr(line_with(&page, "refused  "), "77   reason_0 6"));
    assert_true(strlen(line_with(&page, "reason_9 1")) <= TOP_WIDTH_MIN);
    top_page_fini(&page);
}

static void a_line_of_json_tells_the_same(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_reading r = read_text(gateway_text);
    struct buf line;
    const char *text;

    (void)state;
    buf_init(&line);
    top_add(&f, &r, 1000);
    r.events_published += 300;
    top_add(&f, &r, 2500);
    top_json_add(&line, &f, 1700000000.5, 1.5);
    text = buf_cstr(&line);
    assert_non_null(strstr(text, "{\"time\":1700000000.500,\"interval_s\":1.500,"
                                 "\"in_per_s\":200.000,"));
    assert_non_null(strstr(text, "\"ws\":{\"subscribers\":3,\"in_per_s\":0.000,\"out_per_s\":0.000,"
                                 "\"delivered\":1000,\"refused\":0}"));
    assert_non_null(strstr(text, "\"dropped\":{\"slow_oldest\":8,\"memory\":0},"
                                 "\"refused\":{\"bad_json\":1,\"too_big\":2}"));
    assert_non_null(strstr(text, "\"hub\":{\"state\":\"degraded\",\"epoch\":\"k3mzq7aa\","
                                 "\"uptime_s\":null,\"seq\":42,"));
    assert_non_null(strstr(text, "\"groups\":{\"count\":2,\"lag\":30,\"pending\":4,"
                                 "\"dead_letters\":1}}}"));
    /* What is not there is null, and its rates are not known. */
    r.has_hub = false;
    top_add(&f, &r, 4000);
    buf_reset(&line);
    top_json_add(&line, &f, 1700000002, 1.5);
    text = buf_cstr(&line);
    assert_non_null(strstr(text, "\"in_per_s\":null,\"in_bytes_per_s\":null,\"out_per_s\":0.000,"
                                 "\"drops_per_s\":null,"));
    assert_non_null(strstr(text, ",\"hub\":null}"));
    assert_null(strstr(text, "zeromq"));
    buf_reset(&line);
    top_json_add_trouble(&line, "no \"answer\"", 3);
    assert_string_equal(buf_cstr(&line), "{\"time\":3.000,\"error\":\"no \\\"answer\\\"\"}");
    buf_fini(&line);
}

static void the_history_is_bounded(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_reading r = read_text(gateway_text);

    (void)state;
    for (int i = 0; i < 3 * TOP_HISTORY_MAX; i++) {
        r.events_published += (uint64_t)i;
        top_add(&f, &r, 1000 + 1000 * (int64_t)i);
    }
    assert_int_equal(f.count, TOP_HISTORY_MAX);
    assert_true(top_history(&f, f.in_history, 0) == 3 * TOP_HISTORY_MAX - 1);
    assert_true(top_history(&f, f.in_history, TOP_HISTORY_MAX - 1) == 2 * TOP_HISTORY_MAX);
    assert_true(top_history(&f, f.in_history, TOP_HISTORY_MAX) == 0);
}

static void the_page_tells_what_matters(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_page page = {.width = 100};
    struct top_view view = {.target = "http://h:1", .clock = "12:34:56", .interval_s = 2};
    const struct top_reading r = read_text(gateway_text);

    (void)state;
    top_page_fill(&page, &f, &view);
    assert_non_null(line_with(&page, "reading"));
    top_add(&f, &r, 1000);
    top_add(&f, &r, 2000);
    top_page_fill(&page, &f, &view);
    assert_non_null(strstr(line_with(&page, "gateway"), "ready   up 1 h 2 m"));
    assert_non_null(strstr(line_with(&page, "hub  "), "degraded   position k3mzq7aa-42"));
    assert_non_null(strstr(line_with(&page, "journal"), "degraded (disk ?[31m full)   1.0 MiB"));
    assert_non_null(strstr(line_with(&page, "dropped"), "8   slow_oldest 8"));
    assert_null(strstr(line_with(&page, "dropped"), "memory"));
    assert_non_null(strstr(line_with(&page, "groups"), "lag 30   pending 4   dead letters 1"));
    view.trouble = "nobody there";
    view.trouble_s = 61;
    top_page_fill(&page, &f, &view);
    assert_non_null(strstr(line_with(&page, "no answer"), "for 1 m 1 s"));
    assert_non_null(strstr(line_with(&page, "no answer"), "(nobody there)"));
    top_page_fini(&page);
}

static void a_sparkline_fits_its_line(void **state)
{
    struct top_figures f = {.read_ms = 0};
    struct top_page page = {.width = TOP_WIDTH_MIN};
    const struct top_view view = {.target = "t", .clock = "c", .interval_s = 1};
    struct top_reading r = read_text(gateway_text);
    const char *text;

    (void)state;
    for (int i = 0; i < TOP_HISTORY_MAX; i++) {
        r.events_published += i == TOP_HISTORY_MAX - 1 ? 1000 : i % 2 ? 500 : 0;
        top_add(&f, &r, 1000 + 1000 * (int64_t)i);
    }
    top_page_fill(&page, &f, &view);
    text = line_with(&page, "in, events/s");
    assert_int_equal(strlen(text), TOP_WIDTH_MIN);
    assert_string_equal(text + TOP_WIDTH_MIN - 3, "-_#");
    page.is_utf8 = true;
    top_page_fill(&page, &f, &view);
    text = line_with(&page, "in, events/s");
    assert_string_equal(text + strlen(text) - 9, "▄▁█");
    top_page_fini(&page);
}

static void numbers_are_short(void **state)
{
    static const struct {
        double value;
        const char *count, *bytes, *age;
    } rows[] = {
        {0, "0", "0 B", "0 s"},
        {7, "7", "7 B", "7 s"},
        {38.12, "38.1", "38 B", "38 s"},
        {999, "999", "999 B", "16 m 39 s"},
        {1500, "1.50 k", "1.5 KiB", "25 m 0 s"},
        {123456, "123 k", "121 KiB", "1 d 10 h"},
        {12345678, "12.3 M", "11.8 MiB", "142 d 21 h"},
        {1e300, NULL, NULL, "0 s"},
    };
    char text[24];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        top_format_count(rows[i].value, text);
        if (rows[i].count) {
            assert_string_equal(text, rows[i].count);
        }
        top_format_bytes(rows[i].value, text);
        if (rows[i].bytes) {
            assert_string_equal(text, rows[i].bytes);
        }
        top_format_age(rows[i].value, text);
        assert_string_equal(text, rows[i].age);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateways_figures_are_read),
        cmocka_unit_test(a_hubs_own_figures_are_read),
        cmocka_unit_test(what_is_no_reading_is_refused),
        cmocka_unit_test(rates_are_made_of_two_readings),
        cmocka_unit_test(zeromq_is_what_came_by_no_other_door),
        cmocka_unit_test(reasons_are_bounded_and_wrapped),
        cmocka_unit_test(a_line_of_json_tells_the_same),
        cmocka_unit_test(the_history_is_bounded),
        cmocka_unit_test(the_page_tells_what_matters),
        cmocka_unit_test(a_sparkline_fits_its_line),
        cmocka_unit_test(numbers_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
