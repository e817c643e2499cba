/* http_clients_page: two lists in the order of their numbers, merged. */
#include "gateway/protocols/http_clients_page.h"

#include "base/clock.h"
#include "gateway/client_id.h"
#include "gateway/fanout/clients.h"
#include "gateway/protocols/http_fetches.h"

#define PAGE_BYTES   ((size_t)256 * 1024)  /* a page ends when it has so many */
#define VALUES_BYTES ((size_t)1024 * 1024) /* the same, with events */
#define LOOK_MAX     4096                  /* sessions of other doors that are passed over */

struct page {
    struct clients_job *job;
    uint64_t count;  /* objects so far */
    uint64_t looked; /* at clients, those of other doors too */
    uint64_t last;   /* number of the last one that was looked at */
    uint64_t before; /* waiting fetches with lower numbers than this one are due */
};

static bool is_full(const struct page *p)
{
    return p->count == p->job->limit || p->looked == LOOK_MAX || p->job->page.len >= PAGE_BYTES;
}

static void separate(struct page *p)
{
    if (p->count++ > 0) {
        buf_add_char(&p->job->page, ',');
    }
}

static void write_waiting(const struct http_waiting *w, struct buf *json)
{
    char id[CLIENT_ID_MAX];

    client_id_format(w->number, id);
    buf_printf(json, "{\"id\":\"%s\",\"door\":\"http\",\"connected_at\":", id);
    json_add_seconds(json, w->since_us);
    buf_add_str(json, ",\"state\":\"fetching\",\"peer\":");
    buf_add_json_cstr(json, w->peer);
    buf_add_str(json, ",\"groups\":[{\"group\":");
    buf_add_json_cstr(json, w->group);
    buf_add_str(json, ",\"member\":");
    buf_add_json_cstr(json, w->member);
    buf_add_str(json, ",\"credit\":");
    buf_add_u64(json, w->max);
    buf_add_str(json, ",\"held\":0}],\"wait_ms\":");
    buf_add_u64(json, w->wait_ms);
    buf_add_char(json, '}');
}

static bool add_waiting(void *context, const struct http_waiting *w)
{
    struct page *p = context;

    if (w->number >= p->before || is_full(p)) {
        return false;
    }
    separate(p);
    write_waiting(w, &p->job->page);
    p->looked++;
    p->last = w->number;
    return true;
}

/* Those that wait over HTTP and come before `before`. */
static void add_waiting_before(struct page *p, uint64_t before)
{
    const int door = p->job->door;

    p->before = before;
    if (p->job->fetches && (door < 0 || door == GATEWAY_DOOR_HTTP)) {
        http_fetches_each(p->job->fetches, p->last, add_waiting, p);
    }
}

static void add_clients(const struct fanout *f, struct page *p, int64_t now_us)
{
    const struct session *s = NULL;
    uint64_t number = 0;

    while (!is_full(p) && (s = fanout_client_next(f, p->last, &number)) != NULL) {
        add_waiting_before(p, number);
        if (is_full(p)) {
            return;
        }
        if (p->job->door < 0 || p->job->door == (int)session_door(s)) {
            separate(p);
            session_write_client(s, now_us, &p->job->page);
        }
        p->looked++;
        p->last = number;
    }
    if (!is_full(p)) {
        add_waiting_before(p, UINT64_MAX);
    }
}

static bool count_one(void *context, const struct http_waiting *w)
{
    (void)w;
    *(bool *)context = true;
    return false;
}

static bool has_more(const struct fanout *f, const struct page *p)
{
    uint64_t number = 0;
    bool is_there = fanout_client_next(f, p->last, &number) != NULL;

    if (!is_there && p->job->fetches) {
        http_fetches_each(p->job->fetches, p->last, count_one, &is_there);
    }
    return is_there;
}

static void list_clients(struct fanout *f, struct clients_job *job)
{
    struct page p = {.job = job, .last = job->after};
    struct buf *out = &job->page;
    char id[CLIENT_ID_MAX];
    size_t total = fanout_session_count(f);

    if (job->fetches) {
        total += http_fetches_count(job->fetches);
    }
    buf_add_str(out, "{\"clients\":[");
    add_clients(f, &p, clock_wall_us());
    buf_add_str(out, "],\"count\":");
    buf_add_u64(out, p.count);
    buf_add_str(out, ",\"total\":");
    buf_add_u64(out, total);
    buf_add_str(out, has_more(f, &p) ? ",\"more\":true,\"next\":" : ",\"more\":false,\"next\":");
    if (p.looked > 0) {
        client_id_format(p.last, id);
        buf_add_json_cstr(out, id);
    } else {
        buf_add_str(out, "null");
    }
    buf_add_str(out, "}\n");
    job->err = out->failed ? NHUB_ENOMEM : NHUB_OK;
}

static void list_types(struct fanout *f, struct clients_job *job)
{
    struct buf *out = &job->page;
    const size_t bytes = job->values ? VALUES_BYTES : PAGE_BYTES;
    const int64_t now_us = clock_wall_us();
    uint64_t count = 0;
    uint64_t last = job->after;
    bool has_next = true;
    struct buf one;

    buf_init(&one);
    buf_add_str(out, "{\"types\":[");
    while (has_next && count < job->limit && out->len < bytes && !out->failed && !one.failed) {
        buf_reset(&one);
        has_next = fanout_type_next(f, last, job->values, now_us, &last, &one);
        if (has_next) {
            buf_add_str(out, count++ > 0 ? "," : "");
            buf_add(out, one.data, one.len);
        }
    }
    if (has_next) {
        uint64_t number = 0;

        buf_reset(&one);
        has_next = fanout_type_next(f, last, false, now_us, &number, &one);
    }
    buf_add_str(out, "],\"count\":");
    buf_add_u64(out, count);
    buf_add_str(out, ",\"total\":");
    buf_add_u64(out, fanout_type_count(f));
    buf_add_str(out, ",\"forgotten\":");
    buf_add_u64(out, fanout_types_forgotten(f));
    buf_add_str(out, has_next ? ",\"more\":true,\"next\":" : ",\"more\":false,\"next\":");
    if (count > 0) {
        buf_add_u64(out, last);
    } else {
        buf_add_str(out, "null");
    }
    buf_add_str(out, "}\n");
    job->err = out->failed || one.failed ? NHUB_ENOMEM : NHUB_OK;
    buf_fini(&one);
}

static void end_client(struct fanout *f, struct clients_job *job)
{
    struct session *s = fanout_client_find(f, job->number);

    job->err = s && !session_has_ended(s) ? NHUB_OK : NHUB_ENOTFOUND;
    if (job->err == NHUB_OK) {
        session_close(s, job->reconnect ? SESSION_END_RECONNECT : SESSION_END_CLOSED);
    }
}

void clients_job_run(struct fanout *f, struct clients_job *job)
{
    switch (job->task) {
    case CLIENTS_LIST:
        list_clients(f, job);
        break;
    case CLIENTS_TYPES:
        list_types(f, job);
        break;
    case CLIENTS_END:
        end_client(f, job);
        break;
    }
    job->done(job);
}
