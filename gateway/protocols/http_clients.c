/* http_clients: parameters in, a job for the stream loop, its page out. */
#include "gateway/protocols/http_clients.h"

#include "gateway/client_id.h"
#include "gateway/gateway.h"
#include "gateway/protocols/gzip.h"
#include "gateway/protocols/http_clients_page.h"
#include "gateway/protocols/http_fetches.h"
#include "gateway/protocols/http_media.h"
#include "gateway/protocols/http_params.h"
#include "gateway/protocols/http_routes.h"
#include "gateway/stream_loop.h"

#include <stdlib.h>
#include <string.h>

#define PACK_MIN ((size_t)1024)
#define PACK_MAX ((size_t)512 * 1024)

struct view {
    struct http_request *request;
    struct clients_job job;
};

static void free_view(void *state)
{
    struct view *v = state;

    buf_fini(&v->job.page);
    free(v);
}

/* clients_job.done. */
static void done(struct clients_job *job)
{
    struct view *v = job->context;

    http_request_wake(v->request);
}

static void refuse_unknown(struct http_request *r)
{
    http_refuse(r, REJECT_UNKNOWN_CLIENT, "no client of this gateway has this id");
}

/* Long pages in the form that the client takes. This thread has others to serve, so what takes
 * longer to pack than to send goes out as it is. */
static void answer_page(struct http_request *r, struct buf *page)
{
    const char *encodings = http_request_header(r, "Accept-Encoding");
    struct buf packed;

    buf_init(&packed);
    http_answer_header(r, "Cache-Control", "no-store");
    http_answer_header(r, "Vary", "Accept-Encoding");
    if (encodings && media_takes_gzip(encodings, strlen(encodings)) && page->len >= PACK_MIN &&
        page->len <= PACK_MAX && gzip_pack(page->data, page->len, GZIP_QUICK, &packed) == NHUB_OK) {
        http_answer_header(r, "Content-Encoding", "gzip");
        http_answer_buf(r, 200, "application/json", &packed);
    } else {
        http_answer_buf(r, 200, "application/json", page);
    }
}

static void resumed(struct http_request *r)
{
    struct view *v = r->state;

    switch (v->job.err) {
    case NHUB_OK:
        if (v->job.task == CLIENTS_END) {
            http_answer_empty(r, 204);
        } else {
            answer_page(r, &v->job.page);
        }
        break;
    case NHUB_ENOTFOUND:
        refuse_unknown(r);
        break;
    case NHUB_EUNAVAIL:
        http_refuse(r, REJECT_DRAINING, "the gateway stops");
        break;
    default:
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        break;
    }
}

static struct view *make_view(struct http_request *r, enum clients_task task)
{
    struct view *v = calloc(1, sizeof *v);

    if (!v) {
        http_refuse(r, REJECT_OVERLOADED, "out of memory");
        return NULL;
    }
    v->request = r;
    v->job.task = task;
    v->job.limit = CLIENTS_PAGE_DEFAULT;
    v->job.door = -1;
    v->job.done = done;
    v->job.context = v;
    r->state = v;
    r->free_state = free_view;
    return v;
}

static void ask(struct http_request *r, struct view *v)
{
    if (!http_request_suspend(r, HTTP_WAIT_ANSWER, resumed)) {
        http_refuse(r, REJECT_DRAINING, "the gateway stops");
        return;
    }
    stream_loop_clients(r->gateway->streams, &v->job);
}

static bool read_door(struct http_request *r, const struct http_param *param, int *out)
{
    if (!param->is_given) {
        return true;
    }
    for (int door = 0; door < GATEWAY_DOORS; door++) {
        if (strcmp(param->value, gateway_door_name((enum gateway_door)door)) == 0) {
            *out = door;
            return true;
        }
    }
    http_refuse(r, REJECT_BAD_QUERY, "door is http, sse or ws");
    return false;
}

/* Whether this gateway, or an earlier life of it, can have given the id out: numbers ascend from
 * the time of its start, so what is shorter than the first one or beyond the last one is just text.
 */
static bool may_be_ours(const struct gateway *g, size_t len, uint64_t number)
{
    char first[CLIENT_ID_MAX];

    client_id_format((uint64_t)g->start_wall_us, first);
    return len >= strlen(first) && number <= counter_get(&g->counters.last_client);
}

static bool read_after(struct http_request *r, const struct http_param *param, uint64_t *out)
{
    if (param->is_given && (client_id_parse(param->value, param->len, out) != NHUB_OK ||
                            !may_be_ours(r->gateway, param->len, *out))) {
        http_refuse(r, REJECT_BAD_QUERY, "after is the id of a client");
        return false;
    }
    return true;
}

void http_clients_run(struct http_request *r)
{
    enum { LIMIT, AFTER, DOOR, PARAMS };
    struct http_param params[PARAMS] = {
        [LIMIT] = {.name = "limit"}, [AFTER] = {.name = "after"}, [DOOR] = {.name = "door"}};
    struct view *v = make_view(r, CLIENTS_LIST);

    if (v && http_params_read(r, params, PARAMS) &&
        http_param_number(r, &params[LIMIT], 1, CLIENTS_PAGE_MAX, &v->job.limit) &&
        read_after(r, &params[AFTER], &v->job.after) && read_door(r, &params[DOOR], &v->job.door)) {
        v->job.fetches = r->gateway->fetches;
        ask(r, v);
    }
}

void http_client_delete_run(struct http_request *r)
{
    struct http_param param = {.name = "reconnect"};
    struct view *v = make_view(r, CLIENTS_END);
    size_t len = 0;
    const char *id = http_route_word(r, &len);

    if (!v || !http_params_read(r, &param, 1) || !http_param_flag(r, &param, &v->job.reconnect)) {
        return;
    }
    if (!id || client_id_parse(id, len, &v->job.number) != NHUB_OK) {
        refuse_unknown(r);
    } else if (http_fetches_end(r->gateway->fetches, v->job.number)) {
        http_answer_empty(r, 204);
    } else {
        ask(r, v);
    }
}

void http_types_run(struct http_request *r)
{
    enum { LIMIT, AFTER, VALUES, PARAMS };
    struct http_param params[PARAMS] = {
        [LIMIT] = {.name = "limit"}, [AFTER] = {.name = "after"}, [VALUES] = {.name = "values"}};
    struct view *v = make_view(r, CLIENTS_TYPES);

    if (v && http_params_read(r, params, PARAMS) &&
        http_param_number(r, &params[LIMIT], 1, CLIENTS_PAGE_MAX, &v->job.limit) &&
        http_param_number(r, &params[AFTER], 0, INT64_MAX, &v->job.after) &&
        http_param_flag(r, &params[VALUES], &v->job.values)) {
        ask(r, v);
    }
}
