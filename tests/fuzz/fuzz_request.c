// libs: nhub_wire nhub_base
/* Requests: any bytes give a request within its limits, or an error with a text. */
#include <stdint.h>
#include <stdlib.h>

#include "base/settings.h"
#include "tests/fuzz/jansson_oracle.h"
#include "wire/pattern.h"
#include "wire/request.h"

static void check_group(const struct request *r)
{
    const struct request_group *g = &r->group;

    EXPECT((g->name != NULL) == (r->action >= ACTION_GROUP_CREATE && r->action < ACTION_UNKNOWN &&
                                 r->action != ACTION_GROUPS));
    EXPECT(!g->name || request_group_name_valid(g->name, strlen(g->name)));
    EXPECT((g->member != NULL) == (r->action == ACTION_FETCH));
    EXPECT(!g->member || (strlen(g->member) >= 1 && strlen(g->member) <= GROUP_MEMBER_MAX));
    EXPECT(g->visibility_ms <= GROUP_VISIBILITY_MAX_MS && g->delay_ms <= GROUP_DELAY_MAX_MS);
    EXPECT(g->max <= GROUP_FETCH_MAX && g->max_bytes <= GROUP_FETCH_BYTES_MAX);
    EXPECT(g->delivery_count <= GROUP_DELIVERIES_MAX);
    for (size_t i = 0; i < g->delivery_count; i++) {
        char text[DELIVERY_TEXT_MAX];
        struct delivery again;

        EXPECT(delivery_parse(text, delivery_format(&g->deliveries[i], text), &again) == NHUB_OK);
        EXPECT(again.attempt == g->deliveries[i].attempt);
        EXPECT(position_equal(&again.position, &g->deliveries[i].position));
    }
}

static void check_good(const struct request *r)
{
    EXPECT(r->action <= ACTION_UNKNOWN && r->action_name[0] != '\0');
    EXPECT(r->durability >= DURABILITY_DEFAULT && r->durability <= DURABILITY_SYNCED);
    EXPECT(r->limit <= REQUEST_LIMIT_MAX && r->pattern_count <= REQUEST_PATTERNS_MAX);
    EXPECT(r->from.seq <= r->to.seq && r->to.seq <= INT64_MAX);
    EXPECT(r->action != ACTION_COUNT || epoch_valid(r->from.epoch, EPOCH_LEN));
    check_group(r);
    for (size_t i = 0; r->action == ACTION_HISTORY && i < r->pattern_count; i++) {
        EXPECT(pattern_check(r->patterns[i].text, r->patterns[i].len) == NHUB_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = exact_copy(data, size);
    struct request request;
    struct buf error;

    buf_init(&error);
    const nhub_err err = request_parse(text, size, &request, &error);

    if (err == NHUB_OK) {
        EXPECT(error.len == 0);
        check_good(&request);
    } else {
        EXPECT(err == NHUB_EPROTO && error.len > 0 && utf8_valid(error.data, error.len));
    }
    if (request.request_id) {
        char *id = json_dumps(request.request_id, JSON_ENCODE_ANY | JSON_COMPACT);

        EXPECT(id && strlen(id) <= REQUEST_ID_MAX);
        free(id);
    }
    (void)message_type_parse(text, size);
    request_free(&request);
    buf_fini(&error);
    free(text);
    return 0;
}
