/* http_params: splits at '&', decodes, looks up. */
#include "gateway/protocols/http_params.h"

#include "gateway/protocols/query.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct http_param *find(struct http_param *params, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(params[i].name, name) == 0) {
            return &params[i];
        }
    }
    return NULL;
}

/* A part of at most HTTP_PARAM_MAX bytes, decoded into out. */
static bool decode(const char *text, size_t len, char out[HTTP_PARAM_MAX + 1], size_t *out_len)
{
    char room[HTTP_PARAM_MAX * 3 + 1]; /* each byte may be written as %XX */

    if (len >= sizeof room || query_decode(text, len, true, room, out_len) != NHUB_OK ||
        *out_len > HTTP_PARAM_MAX) {
        return false;
    }
    memcpy(out, room, *out_len + 1);
    return true;
}

static bool take(struct http_request *r, struct http_param *params, size_t count, const char *text,
                 size_t len)
{
    const char *equals = memchr(text, '=', len);
    const size_t name_len = equals ? (size_t)(equals - text) : len;
    struct http_param *param = NULL;
    char name[HTTP_PARAM_MAX + 1];
    size_t decoded = 0;

    if (!decode(text, name_len, name, &decoded)) {
        http_refuse(r, REJECT_BAD_QUERY, "the query holds a parameter that cannot be read");
        return false;
    }
    param = find(params, count, name);
    if (!param) {
        http_refuse(r, REJECT_BAD_QUERY, "unknown parameter \"%.64s\"", name);
        return false;
    }
    if (param->is_given) {
        http_refuse(r, REJECT_BAD_QUERY, "%s is given twice", param->name);
        return false;
    }
    param->is_given = true;
    if (!decode(equals ? equals + 1 : "", equals ? len - name_len - 1 : 0, param->value,
                &param->len)) {
        http_refuse(r, REJECT_BAD_QUERY, "%s holds a bad %%XX sequence, is no UTF-8 or too long",
                    param->name);
        return false;
    }
    return true;
}

bool http_params_read(struct http_request *r, struct http_param *params, size_t count)
{
    const char *at = r->query;

    while (*at != '\0') {
        const size_t len = strcspn(at, "&");

        if (len > 0 && !take(r, params, count, at, len)) {
            return false;
        }
        at += len;
        at += *at == '&';
    }
    return true;
}

bool http_param_number(struct http_request *r, const struct http_param *param, uint64_t min,
                       uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool is_good = param->len > 0 && param->len <= 18;

    if (!param->is_given) {
        return true;
    }
    for (size_t i = 0; is_good && i < param->len; i++) {
        is_good = param->value[i] >= '0' && param->value[i] <= '9';
        value = value * 10 + (uint64_t)(param->value[i] - '0');
    }
    if (!is_good || value < min || value > max) {
        http_refuse(r, REJECT_BAD_QUERY, "%s must be a whole number from %" PRIu64 " to %" PRIu64,
                    param->name, min, max);
        return false;
    }
    *out = value;
    return true;
}

bool http_param_flag(struct http_request *r, const struct http_param *param, bool *out)
{
    if (!param->is_given) {
        return true;
    }
    *out = strcmp(param->value, "true") == 0;
    if (!*out && strcmp(param->value, "false") != 0) {
        http_refuse(r, REJECT_BAD_QUERY, "%s must be true or false", param->name);
        return false;
    }
    return true;
}
