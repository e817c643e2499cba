/*
 * out: the forms of an event on a terminal and in a pipe.
 */
#include "cli/out.h"

#include "base/buf.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum out_format out_format_of(const struct cli *cli)
{
    if (cli->is_json) {
        return OUT_JSON;
    }
    return cli->is_human || isatty(STDOUT_FILENO) == 1 ? OUT_HUMAN : OUT_JSON;
}

/* Local time of the event as 12:34:56.789. */
static void format_time(double seconds, char out[16])
{
    const time_t whole = seconds > 0 && seconds < 4e10 ? (time_t)seconds : 0;
    struct tm parts = {0};
    char text[16] = "--:--:--";

    if (whole > 0 && localtime_r(&whole, &parts)) {
        (void)strftime(text, sizeof text, "%H:%M:%S", &parts);
    }
    (void)snprintf(out, 16, "%.8s.%03d", text, (int)((seconds - (double)whole) * 1000) % 1000);
}

static void print_human(const struct cli *cli, const nhub_event *event)
{
    const nhub_bytes data = nhub_event_data(event);
    const nhub_position position = nhub_event_position(event);
    char source[256] = "?";
    char place[NHUB_POSITION_TEXT_MAX];
    char when[16];

    format_time(nhub_event_timestamp(event), when);
    (void)nhub_position_format(&position, place);
    NHUB_IGNORE(nhub_event_string(event, NHUB_FIELD_SOURCE_SERVICE, source, sizeof source, NULL));
    if (cli->has_color_out) {
        (void)printf("\033[2m%s %s\033[0m \033[1;36m%s\033[0m \033[33m%s\033[0m %.*s%s\n", when,
                     place, nhub_event_type(event), source, (int)data.len, data.p,
                     nhub_event_is_late(event) ? " (late)" : "");
    } else {
        (void)printf("%s %s %s %s %.*s%s\n", when, place, nhub_event_type(event), source,
                     (int)data.len, data.p, nhub_event_is_late(event) ? " (late)" : "");
    }
}

bool out_event(const struct cli *cli, enum out_format format, const nhub_event *event)
{
    const nhub_bytes line = nhub_event_json(event);

    if (format == OUT_HUMAN) {
        print_human(cli, event);
    } else {
        (void)fwrite(line.p, 1, line.len, stdout);
        (void)putchar('\n');
    }
    return cli_flush();
}

bool out_gap(const struct cli *cli, const char *from, const char *to, const char *reason,
             uint64_t delivered)
{
    struct buf line;

    if (strcmp(reason, OUT_UNKNOWN) == 0) {
        cli_note(cli,
                 "unknown: the hub never gave out %s%s (is it of another hub, or of a journal that "
                 "is gone?), so nobody can say what is missing; it goes on behind %s",
                 *from ? "the position " : "that position", from, *to ? to : "now");
    } else if (delivered > 0) {
        cli_note(cli, "gap: events behind %s up to %s may be missing, besides the %llu printed: %s",
                 *from ? from : "the start", *to ? to : "now", (unsigned long long)delivered,
                 reason);
    } else {
        cli_note(cli, "gap: events behind %s up to %s are missing: %s", *from ? from : "the start",
                 *to ? to : "now", reason);
    }
    if (!cli->is_json) {
        return true;
    }
    buf_init(&line);
    buf_add_str(&line, "{\"op\":\"gap\",\"from\":");
    buf_add_json_cstr(&line, from);
    buf_add_str(&line, ",\"to\":");
    buf_add_json_cstr(&line, to);
    buf_add_str(&line, ",\"reason\":");
    buf_add_json_cstr(&line, reason);
    if (delivered > 0) {
        buf_add_str(&line, ",\"delivered\":");
        buf_add_u64(&line, delivered);
    }
    buf_add_str(&line, "}");
    (void)puts(buf_cstr(&line));
    buf_fini(&line);
    return cli_flush();
}
