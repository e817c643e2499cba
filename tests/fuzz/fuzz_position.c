// libs: nhub_wire nhub_base
/* Positions, since and times: what is read is written back as it was; the C library's calendar is
 * the oracle for times. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/position.h"

static void check_position(const char *text, size_t len)
{
    struct position p;
    char out[POSITION_TEXT_MAX];

    if (position_parse(text, len, &p) == NHUB_OK) {
        EXPECT(position_format(&p, out) == len && memcmp(out, text, len) == 0);
        EXPECT(p.seq <= INT64_MAX && epoch_valid(p.epoch, EPOCH_LEN));
    }
}

/* The seconds that the C library counts for a valid date-time. */
static int64_t oracle_seconds(const char *text, size_t len)
{
    char copy[64];
    struct tm tm = {0};
    int hours = 0, minutes = 0;
    const size_t tail = text[len - 1] == 'Z' || text[len - 1] == 'z' ? 1 : 6;

    (void)snprintf(copy, sizeof copy, "%.19s", text);
    EXPECT(sscanf(copy, "%4d-%2d-%2d%*c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec) == 6);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    if (tail == 6) {
        (void)snprintf(copy, sizeof copy, "%.6s", text + len - 6);
        EXPECT(sscanf(copy + 1, "%2d:%2d", &hours, &minutes) == 2);
        hours = copy[0] == '-' ? -hours : hours;
        minutes = copy[0] == '-' ? -minutes : minutes;
    }
    return (int64_t)timegm(&tm) - hours * 3600 - minutes * 60;
}

static void check_time(const char *text, size_t len)
{
    int64_t us = 0, again = 0;
    char out[28];

    if (time_parse_rfc3339(text, len, &us) != NHUB_OK) {
        return;
    }
    const int64_t seconds = us / 1000000 - (us % 1000000 < 0);

    EXPECT(seconds == oracle_seconds(text, len));
    time_format_rfc3339(us, out);
    EXPECT(strlen(out) == 27 && time_parse_rfc3339(out, 27, &again) == NHUB_OK);
    /* An offset may lead a day out of the four digits of a year. */
    EXPECT(again == us || text[0] == '0' || text[0] == '9');
}

static void check_since(const char *text, size_t len)
{
    struct since since;

    if (since_parse(text, len, &since) != NHUB_OK) {
        return;
    }
    EXPECT(since.kind != SINCE_NONE && since.position.seq <= INT64_MAX);
    EXPECT((since.kind == SINCE_POSITION) == (since.position.epoch[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = exact_copy(data, size);
    int64_t us = 0;
    char out[28];

    check_position(text, size);
    check_time(text, size);
    check_since(text, size);
    memcpy(&us, text, size < sizeof us ? size : sizeof us);
    time_format_rfc3339(us, out);
    EXPECT(strlen(out) == 27 && time_parse_rfc3339(out, 27, &us) == NHUB_OK);
    free(text);
    return 0;
}
