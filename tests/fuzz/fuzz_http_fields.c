// libs: gateway_core nhub_wire nhub_base
/*
 * The head of a request as the server takes it apart: every text lies in its block and ends there,
 * and what the front door's look at the same bytes calls whole is understood alike.
 */
#include "gateway/protocols/http_fields.h"
#include "gateway/protocols/http_head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Reads each text to its end, which a sanitizer watches. */
static void check_texts(const struct http_fields *f)
{
    check(strlen(f->method) > 0 && strlen(f->query) < SIZE_MAX);
    check(!f->path || strlen(f->path) < SIZE_MAX);
    for (size_t i = 0; i < f->count; i++) {
        check(strlen(f->list[i].name) == f->list[i].name_len && f->list[i].name_len > 0);
        check(http_fields_get(f, f->list[i].name) != NULL);
        check(http_fields_count(f, f->list[i].name) >= 1);
        check(!strpbrk(f->list[i].value, "\r\n"));
        http_fields_list(f, f->list[i].name, "close");
    }
}

static void check_against_front_door(const struct http_fields *f, const struct http_head *head)
{
    const char *host = http_fields_get(f, "Host");

    check(http_text_is(&head->method, f->method));
    check(head->is_http11 == f->is_http11 && head->header_count == f->count);
    check((host != NULL) == (head->host.p != NULL));
    if (host && http_fields_count(f, "Host") == 1) {
        check(http_text_is(&head->host, host));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* its own block, so that a read behind it is seen */
    struct http_head head;
    struct http_fields f;
    size_t len = 0;

    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    len = http_fields_end(copy, size);
    check(len <= size);
    if (len > 0) {
        const enum http_head_state state = http_head_parse(copy, len, &head);
        const nhub_err err = http_fields_read(&f, copy, len);

        check((state == HTTP_HEAD_COMPLETE) == (err == NHUB_OK));
        if (err == NHUB_OK) {
            check(head.length == len);
            check_texts(&f);
            check_against_front_door(&f, &head);
            http_fields_free(&f);
        }
    }
    free(copy);
    return 0;
}
