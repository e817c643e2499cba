/*
 * gateway: errors are application/problem+json (RFC 9457).
 */
#include "cli/gateway.h"

#include <jansson.h>
#include <string.h>

bool gateway_open(const struct cli *cli, struct http_client **out)
{
    const nhub_err err = http_client_create(out, cli->gateway);

    if (err == NHUB_EINVAL) {
        cli_error(cli, "--gateway %s: allowed is a URL such as http://localhost:8080",
                  cli->gateway);
    } else if (err != NHUB_OK) {
        cli_error(cli, "%s", nhub_strerror(err));
    }
    return err == NHUB_OK;
}

void gateway_problem(const struct http_answer *answer, const char *member, char *out,
                     size_t out_size)
{
    json_error_t error;
    json_t *json =
        answer->body.len > 0 ? json_loadb(answer->body.data, answer->body.len, 0, &error) : NULL;
    const json_t *value = json_object_get(json, member);

    if (json_is_integer(value)) {
        (void)snprintf(out, out_size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else {
        (void)snprintf(out, out_size, "%s", json_is_string(value) ? json_string_value(value) : "");
    }
    json_decref(json);
}

int gateway_fail(const struct cli *cli, const char *what, const struct http_client *c, nhub_err err,
                 const struct http_answer *answer)
{
    char detail[256];
    char title[128];
    char code[64];

    if (err != NHUB_OK) {
        cli_error(cli, "cannot %s: gateway %s: %s", what, cli->gateway, http_client_reason(c));
        return err == NHUB_EUNAVAIL || err == NHUB_ETIMEOUT || err == NHUB_ECLOSED ? CLI_UNREACHABLE
                                                                                   : CLI_NEGATIVE;
    }
    gateway_problem(answer, "detail", detail, sizeof detail);
    gateway_problem(answer, "title", title, sizeof title);
    gateway_problem(answer, "code", code, sizeof code);
    cli_error(cli, "cannot %s: the gateway answers %ld%s%s%s%s", what, answer->status,
              *code ? " " : "", code, *detail || *title ? ": " : "", *detail ? detail : title);
    if (strcmp(code, "durability_lost") == 0) {
        return CLI_NOT_KEPT;
    }
    return (answer->status == 503 || answer->status == 504) &&
                   strcmp(code, "durability_unavailable") != 0
               ? CLI_UNREACHABLE
               : CLI_REFUSED;
}

void gateway_add_query(struct buf *path, const struct cli_list *patterns, const char *since)
{
    char separator = strchr(path->len ? buf_cstr(path) : "", '?') ? '&' : '?';

    for (size_t i = 0; i < patterns->count; i++) {
        buf_add_char(path, separator);
        buf_add_str(path, "event_type=");
        http_add_encoded(path, patterns->items[i]);
        separator = '&';
    }
    if (since) {
        buf_add_char(path, separator);
        buf_add_str(path, "since=");
        http_add_encoded(path, since);
    }
}
