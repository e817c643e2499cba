// libs: nhub_wire nhub_base
/* Requests: any bytes give a request within its limits, or an error with a text. */
#include <stdint.h>
#include <stdlib.h>

#include "base/settings.h"
#include "tests/fuzz/jansson_oracle.h"
#include "wire/pattern.h"
#include "wire/request.h"

static void check_good(const struct request *r)
{
    EXPECT(r->action <= ACTION_UNKNOWN && r->action_name[0] != '\0');
    EXPECT(r->durability >= DURABILITY_DEFAULT && r->durability <= DURABILITY_SYNCED);
    EXPECT(r->limit <= REQUEST_LIMIT_MAX && r->pattern_count <= REQUEST_PATTERNS_MAX);
    EXPECT(r->from.seq <= r->to.seq && r->to.seq <= INT64_MAX);
    EXPECT(r->action != ACTION_COUNT || epoch_valid(r->from.epoch, EPOCH_LEN));
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
