// libs: gateway_core nhub_wire nhub_base
/*
 * Answers about consumer groups, as a gateway reads them: what is understood must be well-formed,
 * and a copy must be JSON that is understood in the same way.
 */
#include "gateway/protocols/group_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static size_t count_deliveries(const struct group_answer *a)
{
    struct group_delivery d;
    size_t count = 0;
    size_t pos = 0;

    while (group_answer_delivery(a, &pos, &d) == NHUB_OK) {
        struct delivery again;

        check(delivery_parse(d.name, strlen(d.name), &again) == NHUB_OK);
        check(again.position.seq == d.id.position.seq && again.attempt == d.id.attempt);
        count++;
    }
    return count;
}

static void check_refusal(const struct group_answer *a)
{
    char code[8];
    char error[16];

    check(group_answer_refusal(a, code, sizeof code, error, sizeof error) < REJECT_REASON_COUNT);
    check(memchr(code, '\0', sizeof code) && memchr(error, '\0', sizeof error) && error[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct group_answer a;
    struct group_answer copied;
    struct buf copy;
    char *text = malloc(size + 1); /* as long as the text, so that a read behind it is seen */

    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    buf_init(&copy);
    check(!group_member_valid(text, size) || (size >= 1 && size <= GROUP_MEMBER_MAX));
    if (group_answer_read(text, size, &a) == NHUB_OK) {
        check_refusal(&a);
        check(group_answer_copy(text, size, true, &copy) == NHUB_OK);
        check(group_answer_read(copy.data, copy.len, &copied) == NHUB_OK);
        check(copied.failed.kind != JSON_ABSENT && copied.created == a.created);
        check(count_deliveries(&copied) == count_deliveries(&a));
    }
    buf_fini(&copy);
    free(text);
    return 0;
}
