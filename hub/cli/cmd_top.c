/*
 * top: the overview in a terminal.
 */
#include "base/clock.h"
#include "cli/args.h"
#include "cli/top_json.h"
#include "cli/top_page.h"
#include "cli/top_screen.h"
#include "cli/top_source.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_INTERVAL_MS 2000
#define MIN_INTERVAL_MS     100
#define MAX_INTERVAL_MS     60000
#define DEFAULT_TIMEOUT_MS  5000
#define LOOK_MS             100 /* how soon news are shown */
#define PLAIN_WIDTH         110 /* of --once */
#define KEYS                "q quit   p pause   space read now   + faster   - slower"

static const struct command_help help = {
    .name = "top",
    .usage = "",
    .about =
        "Shows rates, subscribers, losses and health in the terminal, again and again. With\n"
        "--gateway: the gateway and its hub; without: the hub alone. Keys: q quits, p pauses,\n"
        "space reads at once, + and - change the pace. --once prints one page as plain text\n"
        "(two readings, an interval apart, so that there are rates) and ends. --json prints the\n"
        "same figures as a line of JSON for each interval, from the second reading on; a reading\n"
        "that fails is {\"time\":…,\"error\":…}. With --once: one line.",
    .examples = "  notifyhub top --once --interval 500ms\n"
                "  notifyhub top --once --interval 500ms --gateway http://localhost:8080\n"
                "  notifyhub top --once --json\n",
    .exits = "  0 quit · 1 no terminal, or nobody reads the output · 2 wrong usage ·\n"
             "  3 nobody answers (--once) · 4 refused\n",
};

struct top {
    struct cli *cli;
    struct top_source *source;
    struct top_figures figures;
    struct top_page page;
    struct top_news news;
    int64_t interval_ms;
    int64_t trouble_since_ms; /* 0 = none */
    bool is_paused;
    char target[160];
};

/* Takes what was read since the last call; true when there was something. */
static bool take_news(struct top *t)
{
    const uint64_t number = t->news.number;

    top_source_take(t->source, &t->news);
    if (t->news.number == number) {
        return false;
    }
    if (t->news.err != NHUB_OK) {
        if (t->trouble_since_ms == 0) {
            t->trouble_since_ms = clock_mono_ms();
        }
        return true;
    }
    t->trouble_since_ms = 0;
    top_add(&t->figures, &t->news.reading, t->news.read_ms);
    return true;
}

static void fill(struct top *t, unsigned width)
{
    const time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm parts = {0};
    char clock_text[16] = "";
    const struct top_view view = {
        .target = t->target,
        .clock = clock_text,
        .interval_s = (double)t->interval_ms / 1000.0,
        .is_paused = t->is_paused,
        .trouble = t->trouble_since_ms > 0 ? t->news.trouble : NULL,
        .trouble_s =
            t->trouble_since_ms > 0 ? (double)(clock_mono_ms() - t->trouble_since_ms) / 1000.0 : 0,
        .now_s = (double)now,
    };

    if (localtime_r(&now, &parts)) {
        (void)strftime(clock_text, sizeof clock_text, "%H:%M:%S", &parts);
    }
    t->page.width = width < TOP_WIDTH_MIN   ? TOP_WIDTH_MIN
                    : width > TOP_WIDTH_MAX ? TOP_WIDTH_MAX
                                            : width;
    top_page_fill(&t->page, &t->figures, &view);
}

/* ---- without a terminal ---- */

/* Waits for the next reading; false at the end. */
static bool wait_news(struct top *t)
{
    while (!interrupt_seen()) {
        const struct timespec a_moment = {.tv_nsec = 10000000};

        if (take_news(t)) {
            return true;
        }
        (void)nanosleep(&a_moment, NULL);
    }
    return false;
}

static void print_page(struct top *t)
{
    fill(t, PLAIN_WIDTH);
    for (size_t i = 0; i < t->page.count; i++) {
        (void)printf("%s\n", buf_cstr(&t->page.lines[i].text));
    }
}

static void print_json(const struct top *t, int64_t before_ms)
{
    const double now_s = (double)clock_wall_us() / 1e6;
    struct buf line;

    buf_init(&line);
    if (t->news.err != NHUB_OK) {
        top_json_add_trouble(&line, t->news.trouble, now_s);
    } else {
        top_json_add(&line, &t->figures, now_s, (double)(t->news.read_ms - before_ms) / 1000.0);
    }
    (void)printf("%s\n", buf_cstr(&line));
    buf_fini(&line);
}

/* Two readings, and what they say. */
static int run_once(struct top *t)
{
    int64_t before_ms = 0;

    for (int i = 0; i < 2; i++) {
        before_ms = t->news.read_ms;
        if (!wait_news(t)) {
            return CLI_OK;
        }
        if (t->news.err != NHUB_OK) {
            return cli_fail(t->cli, "read the figures", t->news.err, t->news.trouble);
        }
    }
    if (t->cli->is_json) {
        print_json(t, before_ms);
    } else {
        print_page(t);
    }
    return cli_flush() ? CLI_OK : CLI_NEGATIVE;
}

/* A line for each reading that failed, and for each two that did not. */
static int run_lines(struct top *t)
{
    int64_t before_ms = 0;

    while (wait_news(t)) {
        if (t->news.err != NHUB_OK || before_ms > 0) {
            print_json(t, before_ms);
            if (!cli_flush()) {
                return CLI_NEGATIVE;
            }
        }
        before_ms = t->news.read_ms;
    }
    return CLI_OK;
}

/* ---- the terminal ---- */

static void set_interval(struct top *t, int64_t interval_ms)
{
    t->interval_ms = interval_ms < MIN_INTERVAL_MS   ? MIN_INTERVAL_MS
                     : interval_ms > MAX_INTERVAL_MS ? MAX_INTERVAL_MS
                                                     : interval_ms;
    top_source_hurry(t->source, t->interval_ms);
}

/* Carries a key out; false ends. */
static bool obey(struct top *t, enum top_key key)
{
    switch (key) {
    case TOP_KEY_QUIT:
        return false;
    case TOP_KEY_PAUSE:
        t->is_paused = !t->is_paused;
        break;
    case TOP_KEY_NOW:
        set_interval(t, t->interval_ms);
        break;
    case TOP_KEY_FASTER:
        set_interval(t, t->interval_ms / 2);
        break;
    case TOP_KEY_SLOWER:
        set_interval(t, t->interval_ms * 2);
        break;
    case TOP_KEY_NONE:
    case TOP_KEY_RESIZED:
        break;
    }
    return true;
}

static int run_screen(struct top *t)
{
    bool goes_on = true;

    if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 ||
        !top_screen_open(t->cli->has_color_out)) {
        cli_error(t->cli, "top needs a terminal; --once prints one page without, --json lines");
        return CLI_NEGATIVE;
    }
    while (goes_on && !interrupt_seen()) {
        if (!t->is_paused) {
            (void)take_news(t);
        }
        fill(t, top_screen_width());
        top_screen_show(&t->page, KEYS);
        goes_on = obey(t, top_screen_key(LOOK_MS));
    }
    top_screen_close();
    return CLI_OK;
}

int cmd_top(struct cli *cli, int argc, char **argv)
{
    struct top top = {.cli = cli};
    int interval_ms = DEFAULT_INTERVAL_MS;
    bool is_once = false;
    const struct arg args[] = {
        {"interval", 'i', ARG_TIME, &interval_ms, "TIME", "between readings (2s)", 0, 0},
        {"once", '1', ARG_FLAG, &is_once, NULL, "print one page and end", 0, 0},
        {.name = NULL},
    };
    int status = CLI_OK;
    nhub_err err;

    if (!args_parse(cli, &help, args, &argc, &argv, &status)) {
        return status;
    }
    if (argc > 0) {
        return args_mistake(cli, &help, "takes no arguments");
    }
    if (interval_ms < MIN_INTERVAL_MS || interval_ms > MAX_INTERVAL_MS) {
        return args_mistake(cli, &help, "--interval is between 100ms and 60s");
    }
    (void)setlocale(LC_CTYPE, "");
    top.page.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    top.interval_ms = interval_ms;
    if (cli->gateway) {
        (void)snprintf(top.target, sizeof top.target, "%s", cli->gateway);
    } else {
        (void)snprintf(top.target, sizeof top.target, "hub %s:%u", cli->host,
                       (unsigned)cli->requests_port);
    }
    err = top_source_create(&top.source, cli, interval_ms,
                            cli->timeout_ms ? cli->timeout_ms : DEFAULT_TIMEOUT_MS);
    if (err != NHUB_OK) {
        return err == NHUB_EINVAL ? CLI_USAGE : cli_fail(cli, "start", err, NULL);
    }
    interrupt_install();
    status = is_once ? run_once(&top) : cli->is_json ? run_lines(&top) : run_screen(&top);
    interrupt_raise(); /* a reading under way ends early */
    top_source_destroy(&top.source);
    top_page_fini(&top.page);
    return status;
}
