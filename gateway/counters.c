/*
 * counters: the words of the rows.
 */
#include "gateway/counters.h"

#include <stddef.h>
#include <string.h>

const char *gateway_door_name(enum gateway_door door)
{
    static const char *const names[GATEWAY_DOORS] = {"http", "sse", "ws"};

    return (unsigned)door < GATEWAY_DOORS ? names[door] : "unknown";
}

static const char *const reject_words[REJECT_REASON_COUNT] = {
#define REJECT_ROW(name, text) [name] = (text),
    REJECT_REASONS(REJECT_ROW)
#undef REJECT_ROW
};

const char *reject_reason_code(enum reject_reason reason)
{
    return (unsigned)reason < REJECT_REASON_COUNT ? reject_words[reason] : "unknown";
}

enum reject_reason reject_reason_from_code(const char *code)
{
    for (size_t i = 0; i < REJECT_REASON_COUNT; i++) {
        if (strcmp(reject_words[i], code) == 0) {
            return (enum reject_reason)i;
        }
    }
    return REJECT_BAD_REQUEST;
}

const char *drop_reason_code(enum drop_reason reason)
{
    static const char *const words[DROP_REASONS] = {"slow_disconnect", "slow_oldest", "slow_latest",
                                                    "memory", "stalled"};

    return (unsigned)reason < DROP_REASONS ? words[reason] : "unknown";
}
