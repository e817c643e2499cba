// libs: nhub_wire nhub_base
/* Packed requests: the parts fill the frame exactly, and packing them again gives the same bytes.
 */
#include <stdint.h>

#include "tests/fuzz/jansson_oracle.h"
#include "wire/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *frame = exact_copy(data, size);
    struct packed_reader reader;
    const void *part = NULL;
    struct buf again;
    size_t len = 0;

    buf_init(&again);
    if (packed_open(&reader, frame, size)) {
        packed_begin(&again);
        while (packed_next(&reader, &part, &len)) {
            packed_add(&again, part, len);
        }
        EXPECT(!again.failed && again.len == size && memcmp(again.data, frame, size) == 0);
    }
    buf_fini(&again);
    free(frame);
    return 0;
}
