// libs: gateway_core
/*
 * The front door's look at a head: whatever the bytes, its spans lie inside them, and a verdict
 * does not change when more bytes follow a complete head.
 */
#include "gateway/protocols/http_head.h"
#include "gateway/protocols/origin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct http_text *text, const char *start, size_t size)
{
    if (text->p &&
        (text->p < start || text->len > size || (size_t)(text->p - start) > size - text->len)) {
        abort();
    }
}

static void check_prefixes(const char *text, size_t size, const struct http_head *whole,
                           enum http_head_state state)
{
    struct http_head head;

    if (state == HTTP_HEAD_COMPLETE) {
        if (whole->length > size ||
            http_head_parse(text, whole->length, &head) != HTTP_HEAD_COMPLETE ||
            http_head_parse(text, whole->length - 1, &head) != HTTP_HEAD_INCOMPLETE) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    char *copy = malloc(size ? size : 1); /* its own block, so that a read behind it is seen */
    enum http_head_state state = HTTP_HEAD_INCOMPLETE;

    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    state = http_head_parse(copy, size, &head);
    check_inside(&head.method, copy, size);
    check_inside(&head.path, copy, size);
    check_inside(&head.query, copy, size);
    check_inside(&head.host, copy, size);
    check_inside(&head.origin, copy, size);
    check_inside(&head.ws_key, copy, size);
    check_prefixes(copy, size, &head, state);
    if (http_head_is_upgrade(&head) && !head.host.p) {
        abort();
    }
    if (origin_check(head.origin.p, head.origin.len, head.host.p, head.host.len, NULL) ==
        ORIGIN_LISTED) {
        abort();
    }
    free(copy);
    return 0;
}
