/* The description of the HTTP doors names exactly the rows of the table of routes, all query
 * parameters and all codes of refusals. */
#include "gateway/protocols/http_routes.h"
#include "gateway/protocols/query.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *load(const char *name)
{
    char path[128];
    json_error_t error;
    json_t *json = NULL;

    snprintf(path, sizeof path, "gateway/protocols/api/%s.json", name);
    json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        fail_msg("%s: line %d: %s", path, error.line, error.text);
    }
    return json;
}

static const char *method_name(const struct http_route *route)
{
    static const char *const names[] = {[HTTP_METHOD_GET] = "get",
                                        [HTTP_METHOD_POST] = "post",
                                        [HTTP_METHOD_PUT] = "put",
                                        [HTTP_METHOD_DELETE] = "delete"};

    return names[route->method];
}

static void every_route_is_described(void **state)
{
    json_t *api = load("openapi");
    size_t count = 0;
    const struct http_route *routes = http_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const json_t *path = json_object_get(json_object_get(api, "paths"), routes[i].path);

        if (!json_object_get(path, method_name(&routes[i]))) {
            fail_msg("%s %s is not described", method_name(&routes[i]), routes[i].path);
        }
    }
    json_decref(api);
}

static void every_description_has_its_route(void **state)
{
    json_t *api = load("openapi");
    size_t count = 0;
    const struct http_route *routes = http_routes(&count);
    const char *path = NULL;
    json_t *item = NULL;

    (void)state;
    json_object_foreach(json_object_get(api, "paths"), path, item)
    {
        const char *method = NULL;
        json_t *operation = NULL;

        json_object_foreach(item, method, operation)
        {
            size_t found = 0;

            for (size_t i = 0; i < count; i++) {
                found += strcmp(routes[i].path, path) == 0 &&
                         strcmp(method_name(&routes[i]), method) == 0;
            }
            if (found != 1) {
                fail_msg("%s %s is described, but %zu rows serve it", method, path, found);
            }
        }
    }
    json_decref(api);
}

static json_t *codes_of(const json_t *api)
{
    return json_object_get(
        json_object_get(json_object_get(json_object_get(api, "components"), "schemas"),
                        "ProblemCode"),
        "enum");
}

static void every_code_is_listed(void **state)
{
    json_t *api = load("openapi");
    const json_t *codes = codes_of(api);

    (void)state;
    for (int reason = 0; reason < REJECT_REASON_COUNT; reason++) {
        const char *code = reject_reason_code((enum reject_reason)reason);
        bool is_listed = false;

        for (size_t i = 0; i < json_array_size(codes); i++) {
            is_listed |= strcmp(json_string_value(json_array_get(codes, i)), code) == 0;
        }
        if (!is_listed) {
            fail_msg("%s is not listed", code);
        }
    }
    assert_int_equal(json_array_size(codes), REJECT_REASON_COUNT + 2); /* not_ready, stuck */
    json_decref(api);
}

/* The parameters that an operation describes are those that its query takes. */
static void every_query_parameter_is_taken(void **state)
{
    static const struct {
        const char *path, *method;
        enum query_door door;
    } doors[] = {
        {"/events", "post", QUERY_DOOR_PUBLISH},
        {"/events/stream", "get", QUERY_DOOR_SSE},
        {"/ws", "get", QUERY_DOOR_WS},
    };
    json_t *api = load("openapi");

    (void)state;
    for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
        const json_t *list = json_object_get(
            json_object_get(json_object_get(json_object_get(api, "paths"), doors[i].path),
                            doors[i].method),
            "parameters");

        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *entry = json_array_get(list, k);
            const char *ref = json_string_value(json_object_get(entry, "$ref"));
            const char *name =
                ref ? strrchr(ref, '/') + 1 : json_string_value(json_object_get(entry, "name"));
            char query[64];
            char detail[160] = "";
            struct stream_query q;
            enum reject_reason reason = REJECT_BAD_QUERY;

            if (strchr(name, '-') || strncmp(name, "trace", 5) == 0) {
                continue; /* a header */
            }
            snprintf(query, sizeof query, "%s=?", name);
            if (query_parse(query, strlen(query), doors[i].door, 64, &q, &reason, detail,
                            sizeof detail) != NHUB_OK &&
                (strstr(detail, "unknown") || strstr(detail, "not for this"))) {
                fail_msg("%s %s: %s", doors[i].method, doors[i].path, detail);
            }
            query_free(&q);
        }
    }
    json_decref(api);
}

static void the_other_description_is_json(void **state)
{
    json_t *api = load("asyncapi");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(api, "asyncapi")), "3.0.0");
    json_decref(api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_description_has_its_route),
        cmocka_unit_test(every_code_is_listed),
        cmocka_unit_test(every_query_parameter_is_taken),
        cmocka_unit_test(the_other_description_is_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
