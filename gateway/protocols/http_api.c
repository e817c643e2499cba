/*
 * http_api: the two descriptions are JSON files in api/, embedded by the build.
 */
#include "gateway/protocols/http_api.h"

#include "api_embedded.h" /* made by api/embed.cmake */

nhub_err http_api_add(struct http_static *files)
{
    const nhub_err err =
        http_static_add(files, "/openapi.json", api_openapi, sizeof api_openapi - 1);

    return err == NHUB_OK
               ? http_static_add(files, "/asyncapi.json", api_asyncapi, sizeof api_asyncapi - 1)
               : err;
}
