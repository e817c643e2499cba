/* driver: reads the commands of a test and has them carried out, one at a time. */
#include "driver.h"

#include <notifyhub/notifyhub.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

long long driver_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int driver_left_ms(long long until_ms)
{
    const long long left = until_ms - driver_now_ms();

    return left > 0 ? (int)left : 0;
}

char *driver_word(char **line)
{
    static char none[1];
    char *start = strtok_r(NULL, " ", line);

    return start ? start : none;
}

const char *driver_nothing(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

static void on_log(void *context, nhub_log_level level, const char *event, const char *text)
{
    (void)context;
    fprintf(stderr, "%d %s %s\n", (int)level, event, text);
}

void driver_run(driver_obey_fn *obey)
{
    static char line[1 << 20];

    nhub_log_set(on_log, NULL, NHUB_LOG_DEBUG);
    while (fgets(line, sizeof line, stdin)) {
        char *rest = NULL;
        const char *name = NULL;

        line[strcspn(line, "\n")] = '\0';
        name = strtok_r(line, " ", &rest);
        if (!name || !obey(name, rest)) {
            printf("{\"bad_command\":true}\n");
        }
        fflush(stdout);
    }
}
