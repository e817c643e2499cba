// libs: gateway_core nhub_wire nhub_base
/*
 * What the gateway reads from a hub: answers, their results, and events from lines.
 */
#include "gateway/link_answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_results(const struct json_span *results)
{
    struct link_result result;
    size_t pos = 0;

    while (link_answer_result(results, &pos, &result) == NHUB_OK) {
        if (!memchr(result.code, '\0', sizeof result.code) ||
            !memchr(result.error, '\0', sizeof result.error)) {
            abort();
        }
    }
}

static void check_answer(const struct link_answer *a)
{
    if (!memchr(a->code, '\0', sizeof a->code) || !memchr(a->error, '\0', sizeof a->error) ||
        (a->head.epoch[0] && !epoch_valid(a->head.epoch, strlen(a->head.epoch)))) {
        abort();
    }
    read_results(&a->results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_answer answer;
    struct feed_event *event = NULL;
    char *copy = malloc(size ? size : 1); /* its own block, so that a read behind it is seen */

    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    if (link_answer_parse(copy, size, &answer) == NHUB_OK) {
        check_answer(&answer);
    }
    if (link_event_from_line(copy, size, &event) == NHUB_OK) {
        if (event->type_len != strlen(event->type) && !memchr(event->type, '\0', event->type_len)) {
            abort();
        }
        feed_event_unref(&event);
    }
    (void)link_line_has_id(copy, size);
    free(copy);
    return 0;
}
