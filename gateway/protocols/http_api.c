/*
 * http_api: the two descriptions are JSON files in api/, embedded by the build.
 */
#include "gateway/protocols/http_api.h"

#include "api_embedded.h" /* made by api/embed.cmake */

static const char *const api_headers[] = {"Cache-Control", "no-cache", "X-Content-Type-Options",
                                          "nosniff", NULL};

void http_openapi_run(struct http_request *r)
{
    static struct http_page page = {.bytes = api_openapi,
                                    .len = sizeof api_openapi - 1,
                                    .content_type = "application/json",
                                    .headers = api_headers};

    http_answer_page(r, 200, &page);
}

void http_asyncapi_run(struct http_request *r)
{
    static struct http_page page = {.bytes = api_asyncapi,
                                    .len = sizeof api_asyncapi - 1,
                                    .content_type = "application/json",
                                    .headers = api_headers};

    http_answer_page(r, 200, &page);
}
