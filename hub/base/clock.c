/* clock: the system's clocks, or the ones that a test put in their place. */
#include "base/clock.h"

#include <time.h>

static int64_t system_mono_ns(void)
{
    struct timespec now = {0};

    /* CLOCK_MONOTONIC cannot fail on Linux; the initial zero only calms the reader. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_us(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static const struct clock_source system_source = {system_mono_ns, system_wall_us};
static const struct clock_source *current = &system_source;

int64_t clock_mono_ns(void)
{
    return current->mono_ns();
}

int64_t clock_mono_ms(void)
{
    return current->mono_ns() / 1000000;
}

int64_t clock_wall_us(void)
{
    return current->wall_us();
}

void clock_set_source(const struct clock_source *source)
{
    current = source ? source : &system_source;
}
