/* metrics: the text format that Prometheus reads, version 0.0.4. */
#include "base/metrics.h"

#include <math.h>
#include <string.h>

/* In help texts a backslash and a line feed are escaped, in label values the quote too. */
static void add_escaped(struct buf *b, const char *text, bool in_quotes)
{
    for (; *text; text++) {
        if (*text == '\\') {
            buf_add_str(b, "\\\\");
        } else if (*text == '\n') {
            buf_add_str(b, "\\n");
        } else if (*text == '"' && in_quotes) {
            buf_add_str(b, "\\\"");
        } else {
            buf_add_char(b, *text);
        }
    }
}

static void add_value(struct buf *b, double value)
{
    if (isnan(value)) {
        buf_add_str(b, "NaN");
    } else if (isinf(value)) {
        buf_add_str(b, value > 0 ? "+Inf" : "-Inf");
    } else if (value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
               value == floor(value)) {
        /* Whole numbers up to 2^53 as people write them, not as 1e+06. */
        buf_add_i64(b, (int64_t)value);
    } else {
        buf_printf(b, "%.15g", value);
    }
}

void metrics_family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s ", name);
    add_escaped(b, help, false);
    buf_printf(b, "\n# TYPE %s %s\n", name, type);
}

void metrics_sample(struct buf *b, const char *name, double value, ...)
{
    va_list labels;
    const char *label = NULL;
    char before = '{';

    buf_add_str(b, name);
    va_start(labels, value);
    while ((label = va_arg(labels, const char *)) != NULL) {
        buf_add_char(b, before);
        buf_add_str(b, label);
        buf_add_str(b, "=\"");
        add_escaped(b, va_arg(labels, const char *), true);
        buf_add_char(b, '"');
        before = ',';
    }
    va_end(labels);
    if (before == ',') {
        buf_add_char(b, '}');
    }
    buf_add_char(b, ' ');
    add_value(b, value);
    buf_add_char(b, '\n');
}
