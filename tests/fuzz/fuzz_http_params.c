// libs: gateway_core nhub_wire nhub_base
/*
 * The query of addresses that take a few plain parameters, and the ids of clients: what is accepted
 * must be within the limits, and what is refused must be answered.
 */
#include "gateway/client_id.h"
#include "gateway/gateway.h"
#include "gateway/protocols/http_params.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_id(const char *text, size_t len)
{
    char again[CLIENT_ID_MAX];
    uint64_t number = 0;

    if (client_id_parse(text, len, &number) == NHUB_OK) {
        client_id_format(number, again);
        check(strlen(again) == len && memcmp(again, text, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gateway gateway;
    struct http_param params[] = {
        {.name = "limit"}, {.name = "after"}, {.name = "values"}, {.name = "member"}};
    struct http_request r = {.gateway = &gateway, .door = GATEWAY_DOOR_HTTP};
    uint64_t number = 7;
    bool flag = false;

    check_id((const char *)data, size);
    r.query = malloc(size + 1); /* exactly as long as the text, so that a read behind it is seen */
    if (!r.query || memchr(data, '\0', size)) {
        free(r.query);
        return 0; /* a request line holds no NUL */
    }
    memcpy(r.query, data, size);
    r.query[size] = '\0';
    if (http_params_read(&r, params, 4) && http_param_number(&r, &params[0], 1, 1000, &number) &&
        http_param_flag(&r, &params[2], &flag)) {
        check(r.answer.status == 0 && number >= 1 && number <= 1000);
        for (size_t i = 0; i < 4; i++) {
            check(params[i].len <= HTTP_PARAM_MAX && strlen(params[i].value) == params[i].len);
            check(utf8_valid(params[i].value, params[i].len));
        }
    } else {
        check(r.answer.status == 400);
    }
    http_answer_fini(&r.answer);
    free(r.query);
    return 0;
}
