/*
 * http_params: the query of a request as named values, for addresses that take a few plain ones.
 * (Streams, history and publishing have query.h.)
 *
 * Unknown and repeated parameters and bad values are refused with bad_query: a mistyped name must
 * not pass unnoticed.
 *
 * Threads: any; they touch nothing but the request.
 */
#ifndef GATEWAY_PROTOCOLS_HTTP_PARAMS_H
#define GATEWAY_PROTOCOLS_HTTP_PARAMS_H

#include "gateway/protocols/http_request.h"

#define HTTP_PARAM_MAX 255

struct http_param {
    const char *name;
    bool is_given;
    size_t len;
    char value[HTTP_PARAM_MAX + 1]; /* decoded, NUL-terminated */
};

/* Reads the query into the params. False: refused. */
bool http_params_read(struct http_request *r, struct http_param *params, size_t count);
/* The value as a number from min to max; *out stays as it is when it was not given.
 * False: refused. */
bool http_param_number(struct http_request *r, const struct http_param *param, uint64_t min,
                       uint64_t max, uint64_t *out);
/* "true" or "false"; as above. */
bool http_param_flag(struct http_request *r, const struct http_param *param, bool *out);

#endif
