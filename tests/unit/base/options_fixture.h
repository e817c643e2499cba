/* options_fixture: a table with a row of each type, for the tests of options. */
#ifndef NHUB_TESTS_OPTIONS_FIXTURE_H
#define NHUB_TESTS_OPTIONS_FIXTURE_H

#include "base/options.h"

#include <stddef.h>
#include <string.h>

struct sample {
    bool flag;
    uint64_t count, workers, size, seconds, millis;
    char *name, *path;
    int color, shade;
    struct option_list tags;
};

static const char *const color_words[] = {"red", "green", "blue", "off", NULL};
static const char *const automatic[] = {"auto", NULL};

static bool has_no_x(const char *text, const char **out_allowed)
{
    *out_allowed = "text without x";
    return strchr(text, 'x') == NULL;
}

#define AT(member) offsetof(struct sample, member)
/* clang-format off */
static const struct option sample_rows[] = {
    {.key = "top.flag", .type = OPTION_BOOL, .offset = AT(flag), .default_text = "false", .unit = "", .help = "a flag", .at_run_time = true},
    {.key = "top.count", .type = OPTION_UINT, .offset = AT(count), .default_text = "3", .min = 1, .max = 100, .unit = "things", .help = "a count"},
    {.key = "top.inner.workers", .type = OPTION_UINT, .offset = AT(workers), .default_text = "auto", .max = 64, .words = automatic, .unit = "", .help = "workers"},
    {.key = "top.inner.size", .type = OPTION_SIZE, .offset = AT(size), .default_text = "64KiB", .min = 1024, .max = UINT64_C(1) << 40, .unit = "bytes", .help = "a size"},
    {.key = "top.seconds_s", .type = OPTION_DURATION, .offset = AT(seconds), .default_text = "30", .max = 86400 * 10, .unit = "s", .help = "seconds"},
    {.key = "top.millis_ms", .type = OPTION_DURATION, .offset = AT(millis), .default_text = "100", .min = 1, .max = 3600000, .unit = "ms", .help = "milliseconds"},
    {.key = "side.name", .type = OPTION_STRING, .offset = AT(name), .default_text = "n", .min = 1, .max = 20, .unit = "", .check = has_no_x, .help = "a name"},
    {.key = "side.path", .type = OPTION_STRING, .offset = AT(path), .default_text = "", .max = 1000, .unit = "", .help = "a path"},
    {.key = "side.color", .type = OPTION_ENUM, .offset = AT(color), .default_text = "red", .words = color_words, .unit = "", .help = "a color"},
    {.key = "side.shade", .type = OPTION_ENUM, .offset = AT(shade), .default_text = "green", .words = color_words, .min = 1, .unit = "", .help = "not red"},
    {.key = "side.tags", .type = OPTION_LIST, .offset = AT(tags), .default_text = "", .max = 3, .unit = "", .check = has_no_x, .help = "some tags"},
};
/* clang-format on */

#define SAMPLE_ROWS (sizeof sample_rows / sizeof sample_rows[0])

static inline void bind_sample(struct sample *s, struct options *o)
{
    *s = (struct sample){0};
    *o = (struct options){.rows = sample_rows, .count = SAMPLE_ROWS, .values = s};
}

#endif
