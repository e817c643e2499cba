/* options_value: one value, from text into its field and back into text. */
#include "base/options_private.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_SEEN_BYTES 80
#define MAX_ITEM_BYTES 1024

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first, so that the first one that divides a value is the one to print. */
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {NULL, 0},
};
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static void *field_of(const struct option *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *const_field_of(const struct option *row, const void *values)
{
    return (const char *)values + row->offset;
}

/* Milliseconds in one of the row's own unit. */
static uint64_t row_unit_ms(const struct option *row)
{
    return strcmp(row->unit, "ms") == 0 ? 1 : 1000;
}

void option_add_number(const struct option *row, uint64_t value, struct buf *out)
{
    const bool is_duration = row->type == OPTION_DURATION;
    const uint64_t own = is_duration ? row_unit_ms(row) : 1;
    const struct unit *unit = is_duration ? duration_units : size_units;

    for (; row->type != OPTION_UINT && value > 0 && unit->suffix; unit++) {
        const uint64_t in_own = unit->factor / own; /* 0 for ms in a row that counts seconds */

        if (in_own > 0 && value % in_own == 0) {
            buf_add_u64(out, value / in_own);
            buf_add_str(out, unit->suffix);
            return;
        }
    }
    buf_add_u64(out, value);
    if (is_duration) {
        buf_add_str(out, row->unit);
    }
}

static void add_words(const char *const *words, uint64_t first, struct buf *out)
{
    for (size_t i = (size_t)first; words[i]; i++) {
        buf_add_str(out, i == first ? "" : ", ");
        buf_add_str(out, words[i]);
    }
}

void option_add_allowed(const struct option *row, struct buf *out)
{
    switch (row->type) {
    case OPTION_BOOL:
        buf_add_str(out, "true or false");
        return;
    case OPTION_ENUM:
        add_words(row->words, row->min, out);
        return;
    case OPTION_STRING:
        buf_printf(out, "text of %llu to %llu bytes", (unsigned long long)row->min,
                   (unsigned long long)row->max);
        return;
    case OPTION_LIST:
        buf_printf(out, "a list of %llu to %llu texts", (unsigned long long)row->min,
                   (unsigned long long)row->max);
        return;
    case OPTION_UINT:
        if (row->words) {
            add_words(row->words, 0, out);
            buf_add_str(out, " or ");
        }
        buf_add_str(out, "a whole number from ");
        break;
    case OPTION_SIZE:
        buf_add_str(out, "bytes, or a number with KiB, MiB, GiB or TiB, from ");
        break;
    case OPTION_DURATION:
        buf_printf(out, "a number of %s, or one with ms, s, m, h or d, from ", row->unit);
        break;
    }
    option_add_number(row, row->min, out);
    buf_add_str(out, " to ");
    option_add_number(row, row->max, out);
}

void option_add_seen(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    const bool is_cut = len > MAX_SEEN_BYTES;

    if (is_cut) {
        len = MAX_SEEN_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    if (!utf8_is_valid(text, len)) {
        buf_add_str(out, "the value");
        return;
    }
    buf_add_json_string(out, text, len);
    buf_add_str(out, is_cut ? "…" : "");
}

static nhub_err refuse(const struct option *row, const char *text, const char *what,
                       struct buf *problem)
{
    option_add_seen(problem, text);
    buf_printf(problem, " %s, allowed: ", what);
    option_add_allowed(row, problem);
    return NHUB_ECONFIG;
}

/* Reads decimal digits without superfluous zeros (YAML takes 010 for eight). NULL when there are
 * none or the number does not fit; otherwise what follows. */
static const char *read_digits(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        const uint64_t digit = (uint64_t)(*p - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return NULL;
        }
        value = value * 10 + digit;
    }
    if (p == text || (text[0] == '0' && p > text + 1)) {
        return NULL;
    }
    *out = value;
    return p;
}

static const struct unit *find_unit(const struct unit *units, const char *suffix)
{
    for (; units->suffix; units++) {
        if (strcmp(units->suffix, suffix) == 0) {
            return units;
        }
    }
    return NULL;
}

/* The number with its unit, in the row's own unit. False with the reason in *out_problem. */
static bool read_number(const struct option *row, const char *text, uint64_t *out,
                        const char **out_problem)
{
    const uint64_t own = row->type == OPTION_DURATION ? row_unit_ms(row) : 1;
    const struct unit *unit = NULL;
    uint64_t value = 0;
    const char *rest = read_digits(text, &value);

    *out_problem = row->type == OPTION_UINT   ? "is not a whole number"
                   : row->type == OPTION_SIZE ? "is not a size"
                                              : "is not a duration";
    if (!rest) {
        return false;
    }
    if (*rest != '\0') {
        if (row->type == OPTION_UINT) {
            return false;
        }
        rest += *rest == ' ' ? 1 : 0;
        unit = find_unit(row->type == OPTION_SIZE ? size_units : duration_units, rest);
        if (!unit) {
            return false;
        }
        if (value > UINT64_MAX / unit->factor) {
            *out_problem = "is out of range";
            return false;
        }
        value *= unit->factor;
        if (value % own != 0) {
            *out_problem = "is not a whole number of seconds";
            return false;
        }
        value /= own;
    }
    *out = value;
    return true;
}

static nhub_err assign_number(const struct option *row, void *values, const char *text,
                              struct buf *problem)
{
    const char *what = NULL;
    uint64_t value = 0;

    if (row->type == OPTION_UINT && row->words) {
        for (size_t i = 0; row->words[i]; i++) {
            if (strcmp(row->words[i], text) == 0) {
                *(uint64_t *)field_of(row, values) = i;
                return NHUB_OK;
            }
        }
    }
    if (!read_number(row, text, &value, &what)) {
        return refuse(row, text, what, problem);
    }
    if (value < row->min || value > row->max) {
        return refuse(row, text, "is out of range", problem);
    }
    *(uint64_t *)field_of(row, values) = value;
    return NHUB_OK;
}

static nhub_err assign_bool(const struct option *row, void *values, const char *text,
                            struct buf *problem)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], text) == 0) {
            *(bool *)field_of(row, values) = i % 2 == 1;
            return NHUB_OK;
        }
    }
    return refuse(row, text, "is neither true nor false", problem);
}

static nhub_err assign_enum(const struct option *row, void *values, const char *text,
                            struct buf *problem)
{
    for (size_t i = (size_t)row->min; row->words[i]; i++) {
        if (strcmp(row->words[i], text) == 0) {
            *(int *)field_of(row, values) = (int)i;
            return NHUB_OK;
        }
    }
    return refuse(row, text, "is not one of the words", problem);
}

/* Characters that YAML cannot carry, or that would break a line or a terminal: the control
 * characters of both halves, the two Unicode line ends, the byte order mark, the non-characters. */
static bool is_printable(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (n == 1) {
        return u[0] >= 0x20 && u[0] != 0x7f;
    }
    if (n == 2) {
        return u[0] != 0xc2 || u[1] >= 0xa0;
    }
    return n != 3 || (memcmp(u, "\xe2\x80\xa8", 3) != 0 && memcmp(u, "\xe2\x80\xa9", 3) != 0 &&
                      memcmp(u, "\xef\xbb\xbf", 3) != 0 && memcmp(u, "\xef\xbf\xbe", 3) != 0 &&
                      memcmp(u, "\xef\xbf\xbf", 3) != 0);
}

static nhub_err check_text(const struct option *row, const char *text, size_t max_bytes,
                           struct buf *problem)
{
    const size_t len = strlen(text);
    const char *allowed = NULL;

    for (size_t i = 0; i < len;) {
        const size_t n = utf8_sequence(text + i, len - i);

        if (n == 0) {
            return refuse(row, text, "is not UTF-8", problem);
        }
        if (!is_printable(text + i, n)) {
            return refuse(row, text, "holds a control character", problem);
        }
        i += n;
    }
    if (len > max_bytes || (row->type == OPTION_STRING && len < row->min)) {
        return refuse(row, text, len > max_bytes ? "is too long" : "is too short", problem);
    }
    if (row->check && !row->check(text, &allowed)) {
        option_add_seen(problem, text);
        buf_printf(problem, " is not possible here, allowed: %s", allowed);
        return NHUB_ECONFIG;
    }
    return NHUB_OK;
}

static nhub_err assign_string(const struct option *row, void *values, const char *text,
                              struct buf *problem)
{
    char **field = field_of(row, values);
    const nhub_err err = check_text(row, text, (size_t)row->max, problem);
    char *copy = NULL;

    if (err != NHUB_OK) {
        return err;
    }
    copy = strdup(text);
    if (!copy) {
        return NHUB_ENOMEM;
    }
    free(*field);
    *field = copy;
    return NHUB_OK;
}

static void clear_list(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct option_list){0};
}

nhub_err option_assign_items(const struct option *row, void *values, const char *const *items,
                             size_t count, struct buf *problem)
{
    struct option_list *field = field_of(row, values);
    struct option_list list = {0};

    if (count < row->min || count > row->max) {
        buf_printf(problem, "%zu items are too %s, allowed: ", count,
                   count > row->max ? "many" : "few");
        option_add_allowed(row, problem);
        return NHUB_ECONFIG;
    }
    list.items = calloc(count > 0 ? count : 1, sizeof *list.items);
    if (!list.items) {
        return NHUB_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const nhub_err err = check_text(row, items[i], MAX_ITEM_BYTES, problem);
        char *copy = err == NHUB_OK ? strdup(items[i]) : NULL;

        if (!copy) {
            clear_list(&list);
            return err != NHUB_OK ? err : NHUB_ENOMEM;
        }
        list.items[list.count++] = copy;
    }
    clear_list(field);
    *field = list;
    return NHUB_OK;
}

/* Cuts text at its commas, in place, blanks around the items dropped. Returns the count, which goes
 * on behind max without storing. */
static size_t split_items(char *text, const char **items, size_t max)
{
    size_t count = 0;
    char *next = text;

    if (text[strspn(text, " ")] == '\0') {
        return 0;
    }
    while (next) {
        char *item = next + strspn(next, " ");
        char *end = NULL;

        next = strchr(item, ',');
        if (next) {
            *next++ = '\0';
        }
        for (end = item + strlen(item); end > item && end[-1] == ' '; end--) {
            end[-1] = '\0';
        }
        if (count < max) {
            items[count] = item;
        }
        count++;
    }
    return count;
}

static nhub_err assign_list_text(const struct option *row, void *values, const char *text,
                                 struct buf *problem)
{
    const size_t max = (size_t)row->max;
    char *copy = strdup(text);
    const char **items = calloc(max > 0 ? max : 1, sizeof *items);
    nhub_err err = NHUB_ENOMEM;

    if (copy && items) {
        const size_t count = split_items(copy, items, max);

        err = option_assign_items(row, values, items, count, problem);
    }
    free(items);
    free(copy);
    return err;
}

nhub_err option_assign(const struct option *row, void *values, const char *text,
                       struct buf *problem)
{
    switch (row->type) {
    case OPTION_BOOL:
        return assign_bool(row, values, text, problem);
    case OPTION_UINT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return assign_number(row, values, text, problem);
    case OPTION_STRING:
        return assign_string(row, values, text, problem);
    case OPTION_ENUM:
        return assign_enum(row, values, text, problem);
    case OPTION_LIST:
        return assign_list_text(row, values, text, problem);
    }
    return NHUB_EINVAL;
}

void option_clear(const struct option *row, void *values)
{
    if (row->type == OPTION_STRING) {
        char **field = field_of(row, values);

        free(*field);
        *field = NULL;
    } else if (row->type == OPTION_LIST) {
        clear_list(field_of(row, values));
    }
}

static void print_list(const struct option_list *list, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_add_str(out, i > 0 ? ", " : "");
        buf_add_json_cstr(out, list->items[i]);
    }
    buf_add_char(out, ']');
}

void options_print_value(const struct option *row, const void *values, struct buf *out)
{
    const void *field = const_field_of(row, values);

    switch (row->type) {
    case OPTION_BOOL:
        buf_add_str(out, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_UINT:
        if (row->words) {
            for (size_t i = 0; row->words[i]; i++) {
                if (*(const uint64_t *)field == i) {
                    buf_add_str(out, row->words[i]);
                    return;
                }
            }
        }
        buf_add_u64(out, *(const uint64_t *)field);
        break;
    case OPTION_SIZE:
    case OPTION_DURATION:
        option_add_number(row, *(const uint64_t *)field, out);
        break;
    case OPTION_STRING: {
        const char *text = *(char *const *)field;

        buf_add_json_cstr(out, text ? text : "");
        break;
    }
    case OPTION_ENUM:
        /* In quotes: other readers of YAML take a bare off for a boolean. */
        buf_add_json_cstr(out, row->words[*(const int *)field]);
        break;
    case OPTION_LIST:
        print_list(field, out);
        break;
    }
}

static bool same_list(const struct option_list *a, const struct option_list *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool options_same_value(const struct option *row, const void *values, const void *other_values)
{
    const void *a = const_field_of(row, values);
    const void *b = const_field_of(row, other_values);

    switch (row->type) {
    case OPTION_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case OPTION_UINT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case OPTION_STRING: {
        const char *x = *(char *const *)a;
        const char *y = *(char *const *)b;

        return strcmp(x ? x : "", y ? y : "") == 0;
    }
    case OPTION_ENUM:
        return *(const int *)a == *(const int *)b;
    case OPTION_LIST:
        return same_list(a, b);
    }
    return false;
}
