// libs: gateway_core nhub_wire nhub_base
/*
 * The query string of every door: first byte chooses the door, the rest is the text. What is
 * accepted must be within the limits, and what is refused must say why.
 */
#include "gateway/protocols/query.h"
#include "wire/pattern.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PATTERNS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_accepted(const struct stream_query *q)
{
    check(q->pattern_count <= MAX_PATTERNS);
    for (size_t i = 0; i < q->pattern_count; i++) {
        check(pattern_check(q->patterns[i], strlen(q->patterns[i])) == NHUB_OK);
    }
    check(q->limit <= 10000);
    check((q->since_text != NULL) == (q->since.kind != SINCE_NONE));
    check(q->policy >= POLICY_DISCONNECT && q->policy <= POLICY_LATEST);
    check(q->durability >= DURABILITY_DEFAULT && q->durability <= DURABILITY_SYNCED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream_query q;
    enum reject_reason reason = REJECT_REASON_COUNT;
    char detail[64] = "";
    char *text = NULL;
    nhub_err err;

    if (size == 0) {
        return 0;
    }
    text = malloc(size); /* exactly as long as the text, so that a read behind it is seen */
    if (!text) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    err = query_parse(text, size - 1, (enum query_door)(data[0] % (QUERY_DOOR_NONE + 1)),
                      MAX_PATTERNS, &q, &reason, detail, sizeof detail);
    if (err == NHUB_OK) {
        check_accepted(&q);
    } else {
        check(reason < REJECT_REASON_COUNT && detail[0] != '\0');
    }
    if (query_set_last_event_id(&q, text, size - 1) == NHUB_OK) {
        check(q.has_foreign_id ? q.since.kind == SINCE_NONE
                               : q.since.kind != SINCE_NONE && q.since_text);
    }
    query_free(&q);
    free(text);
    return 0;
}
