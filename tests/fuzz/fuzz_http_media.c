// libs: gateway_core
/*
 * Content-Type, Accept and Accept-Encoding: no byte behind the text is read, and what is appended
 * as an element of its own that asks for nothing changes no verdict.
 */
#include "gateway/protocols/http_media.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The verdicts as bits. */
static unsigned verdicts(const char *text, size_t len)
{
    return (media_takes_gzip(text, len) ? 1u : 0u) |
           (media_wants_event_stream(text, len) ? 2u : 0u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char nothing[] = ", image/none";
    char *copy = malloc(size ? size : 1); /* its own block, so that a read behind it is seen */
    char *longer = malloc(size + sizeof nothing);

    if (!copy || !longer) {
        free(copy);
        free(longer);
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
        memcpy(longer, data, size);
    }
    memcpy(longer + size, nothing, sizeof nothing);
    if (verdicts(copy, size) != verdicts(longer, size + sizeof nothing - 1) ||
        media_body_form(copy, size, true) == BODY_SNIFF) {
        abort();
    }
    (void)media_body_form(copy, size, false);
    free(copy);
    free(longer);
    return 0;
}
