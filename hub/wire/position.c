/*
 * The text forms of positions and times. Everything is read strictly: a text that is taken has one
 * meaning, and equal positions have equal texts.
 */
#include "wire/position.h"

#include <string.h>

#include "base/uuid.h"

static const char epoch_alphabet[32] = "abcdefghijklmnopqrstuvwxyz234567";

void epoch_random(char out[EPOCH_LEN + 1])
{
    unsigned char bytes[EPOCH_LEN];

    /* The first character must be a letter; drawing again keeps all of them equally likely. */
    do {
        random_bytes(bytes, sizeof bytes);
    } while ((bytes[0] & 31) >= 26);
    for (size_t i = 0; i < EPOCH_LEN; i++) {
        out[i] = epoch_alphabet[bytes[i] & 31];
    }
    out[EPOCH_LEN] = '\0';
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool epoch_valid(const char *text, size_t len)
{
    if (len != EPOCH_LEN || !is_letter(text[0])) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!is_letter(text[i]) && (text[i] < '2' || text[i] > '7')) {
            return false;
        }
    }
    return true;
}

/* Digits up to 2^63-1. */
static bool parse_seq(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;

    if (len == 0 || len > 19) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0'); /* 19 digits always fit 64 bits */
    }
    if (value > INT64_MAX) {
        return false;
    }
    *out = value;
    return true;
}

nhub_err position_parse(const char *text, size_t len, struct position *out)
{
    struct position p = {0};

    if (len < EPOCH_LEN + 2 || !epoch_valid(text, EPOCH_LEN) || text[EPOCH_LEN] != '-' ||
        !parse_seq(text + EPOCH_LEN + 1, len - EPOCH_LEN - 1, &p.seq)) {
        return NHUB_EINVAL;
    }
    if (text[EPOCH_LEN + 1] == '0' && len > EPOCH_LEN + 2) {
        return NHUB_EINVAL; /* a leading zero: not as position_format() writes it */
    }
    memcpy(p.epoch, text, EPOCH_LEN);
    *out = p;
    return NHUB_OK;
}

size_t position_format(const struct position *p, char out[POSITION_TEXT_MAX])
{
    char digits[20];
    size_t count = 0;
    size_t len = strnlen(p->epoch, EPOCH_LEN);
    uint64_t seq = p->seq;

    do {
        digits[count++] = (char)('0' + seq % 10);
        seq /= 10;
    } while (seq > 0);
    memcpy(out, p->epoch, len);
    out[len++] = '-';
    while (count > 0) {
        out[len++] = digits[--count];
    }
    out[len] = '\0';
    return len;
}

bool position_equal(const struct position *a, const struct position *b)
{
    return a->seq == b->seq && strcmp(a->epoch, b->epoch) == 0;
}

/* What is left of a date-time while it is read. */
struct cursor {
    const char *p;
    const char *end;
};

/* Exactly `count` digits whose value is at most max. */
static bool take_number(struct cursor *c, int count, int max, int *out)
{
    int value = 0;

    if (c->end - c->p < count) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!is_digit(c->p[i])) {
            return false;
        }
        value = value * 10 + (c->p[i] - '0');
    }
    c->p += count;
    *out = value;
    return value <= max;
}

static bool take_char(struct cursor *c, const char *any_of)
{
    if (c->p == c->end || *c->p == '\0' || !strchr(any_of, *c->p)) {
        return false;
    }
    c->p++;
    return true;
}

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days before January 1st of the year, counted from 0000-01-01 in the proleptic Gregorian calendar.
 */
static int64_t days_before_year(int64_t year)
{
    return year == 0 ? 0 : year * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1;
}

#define DAYS_TO_1970 719528
#define DAY_S        INT64_C(86400)
#define SECOND_US    INT64_C(1000000)

static bool take_date(struct cursor *c, int64_t *out_days)
{
    int year = 0, month = 0, day = 0;

    if (!take_number(c, 4, 9999, &year) || !take_char(c, "-") || !take_number(c, 2, 12, &month) ||
        !take_char(c, "-") || month == 0 || !take_number(c, 2, days_in_month(year, month), &day) ||
        day == 0) {
        return false;
    }
    int64_t days = days_before_year(year) - DAYS_TO_1970 + day - 1;

    for (int m = 1; m < month; m++) {
        days += days_in_month(year, m);
    }
    *out_days = days;
    return true;
}

/* Digits behind the point, if there is one; what is finer than a microsecond is cut off. */
static bool take_fraction(struct cursor *c, int64_t *out_us)
{
    int64_t unit = SECOND_US / 10;

    *out_us = 0;
    if (!take_char(c, ".")) {
        return true;
    }
    if (c->p == c->end || !is_digit(*c->p)) {
        return false;
    }
    for (; c->p < c->end && is_digit(*c->p); c->p++, unit /= 10) {
        *out_us += unit * (*c->p - '0');
    }
    return true;
}

static bool take_offset(struct cursor *c, bool blank_is_plus, int64_t *out_s)
{
    int hours = 0, minutes = 0;

    *out_s = 0;
    if (take_char(c, "Zz")) {
        return true;
    }
    const bool is_negative = c->p < c->end && *c->p == '-';

    if (!take_char(c, blank_is_plus ? "+- " : "+-") || !take_number(c, 2, 23, &hours) ||
        !take_char(c, ":") || !take_number(c, 2, 59, &minutes)) {
        return false;
    }
    *out_s = (is_negative ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static nhub_err parse_time(const char *text, size_t len, bool blank_is_plus, int64_t *out_us)
{
    struct cursor c = {text, text + len};
    int hour = 0, minute = 0, second = 0;
    int64_t days = 0, fraction_us = 0, offset_s = 0;

    if (!take_date(&c, &days) || !take_char(&c, "Tt ") || !take_number(&c, 2, 23, &hour) ||
        !take_char(&c, ":") || !take_number(&c, 2, 59, &minute) || !take_char(&c, ":") ||
        !take_number(&c, 2, 60, &second) || !take_fraction(&c, &fraction_us) ||
        !take_offset(&c, blank_is_plus, &offset_s) || c.p != c.end) {
        return NHUB_EINVAL;
    }
    const int64_t minute_s = days * DAY_S + hour * 3600 + minute * 60 - offset_s;

    /* A leap second only ever ends a day of UTC; it counts as the first second of the next one. */
    if (second == 60 && (minute_s + 60) % DAY_S != 0) {
        return NHUB_EINVAL;
    }
    *out_us = (minute_s + second) * SECOND_US + fraction_us;
    return NHUB_OK;
}

nhub_err time_parse_rfc3339(const char *text, size_t len, int64_t *out_us)
{
    return parse_time(text, len, false, out_us);
}

static void put_digits(char *out, int count, int64_t value)
{
    for (int i = count - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void time_format_rfc3339(int64_t us, char out[28])
{
    const int64_t first_us = -DAYS_TO_1970 * DAY_S * SECOND_US;
    const int64_t end_us = (days_before_year(10000) - DAYS_TO_1970) * DAY_S * SECOND_US;

    /* Four digits hold the years 0 to 9999 only. */
    us = us < first_us ? first_us : us >= end_us ? end_us - 1 : us;
    us -= first_us;
    int64_t days = us / (DAY_S * SECOND_US);
    const int64_t in_day_us = us % (DAY_S * SECOND_US);
    const int64_t in_day_s = in_day_us / SECOND_US;
    int year = (int)(days / 366); /* never too late; at most a few years too early */
    int month = 1;

    while (days >= days_before_year(year + 1)) {
        year++;
    }
    days -= days_before_year(year);
    while (days >= days_in_month(year, month)) {
        days -= days_in_month(year, month);
        month++;
    }
    memcpy(out, "0000-00-00T00:00:00.000000Z", 28);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, days + 1);
    put_digits(out + 11, 2, in_day_s / 3600);
    put_digits(out + 14, 2, in_day_s / 60 % 60);
    put_digits(out + 17, 2, in_day_s % 60);
    put_digits(out + 20, 6, in_day_us % SECOND_US);
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

nhub_err since_parse(const char *text, size_t len, struct since *out)
{
    struct since since = {0};

    if (is_word(text, len, "earliest")) {
        since.kind = SINCE_EARLIEST;
    } else if (is_word(text, len, "latest")) {
        since.kind = SINCE_LATEST;
    } else if (parse_seq(text, len, &since.position.seq)) {
        since.kind = SINCE_SEQ;
    } else if (position_parse(text, len, &since.position) == NHUB_OK) {
        since.kind = SINCE_POSITION;
    } else if (parse_time(text, len, true, &since.time_us) == NHUB_OK) {
        since.kind = SINCE_TIME;
    } else {
        return NHUB_EINVAL;
    }
    *out = since;
    return NHUB_OK;
}
