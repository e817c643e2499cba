/*
 * consumer: life, options, and waiting.
 */
#include "client/consumer.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "base/zsock.h"
#include "wire/pattern.h"
#include "wire/request_group.h"

#include <notifyhub/notifyhub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 5000
#define RELEASE_WAIT_MS    200
#define REQUEST_ROOM       2 /* beside those that settle: the fetching side, and one being released */

/* Options. */

static bool is_in_range(const nhub_consumer_options *o)
{
    return o->prefetch <= NHUB_PREFETCH_MAX && o->timeout_ms <= INT32_MAX &&
           o->visibility_ms <= GROUP_VISIBILITY_MAX_MS &&
           (o->visibility_ms == 0 || o->visibility_ms >= GROUP_VISIBILITY_MIN_MS) &&
           o->max_attempts <= GROUP_ATTEMPTS_MAX;
}

static bool are_texts_good(const nhub_consumer_options *o)
{
    struct since since;

    if (!o->group || !request_group_name_valid(o->group, strlen(o->group)) ||
        (o->member && (!*o->member || strlen(o->member) > GROUP_MEMBER_MAX)) ||
        (o->since && since_parse(o->since, strlen(o->since), &since) != NHUB_OK)) {
        return false;
    }
    for (size_t i = 0; i < o->pattern_count; i++) {
        if (!o->patterns[i] || pattern_check(o->patterns[i], strlen(o->patterns[i])) != NHUB_OK) {
            return false;
        }
    }
    return true;
}

/* "host-1234-5f3a9c01": two members of one name would be taken for one. */
static char *make_member(void)
{
    char host[65] = "";
    char out[GROUP_MEMBER_MAX + 1];
    uint32_t chance = 0;

    if (gethostname(host, sizeof host - 1) != 0 || !*host) {
        (void)snprintf(host, sizeof host, "member");
    }
    random_bytes(&chance, sizeof chance);
    (void)snprintf(out, sizeof out, "%s-%ld-%08x", host, (long)getpid(), (unsigned)chance);
    return strdup(out);
}

static nhub_err copy_patterns(struct nhub_consumer *c, const nhub_consumer_options *o)
{
    c->patterns = calloc(o->pattern_count + 1, sizeof *c->patterns);
    if (!c->patterns) {
        return NHUB_ENOMEM;
    }
    for (; c->pattern_count < o->pattern_count; c->pattern_count++) {
        c->patterns[c->pattern_count] = strdup(o->patterns[c->pattern_count]);
        if (!c->patterns[c->pattern_count]) {
            return NHUB_ENOMEM;
        }
    }
    return NHUB_OK;
}

static nhub_err copy_options(struct nhub_consumer *c, const nhub_consumer_options *o)
{
    c->creates = o->create;
    c->is_ordered = o->ordered;
    c->holds = o->hold;
    c->visibility_ms = o->visibility_ms;
    c->prefetch = o->prefetch ? o->prefetch : 1;
    c->max_attempts = o->max_attempts < 0 ? 0 : o->max_attempts == 0 ? -1 : o->max_attempts;
    c->timeout_ms = o->timeout_ms ? (int)o->timeout_ms : DEFAULT_TIMEOUT_MS;
    c->on_gap = o->on_gap;
    c->gap_context = o->gap_context;
    c->step = o->create ? FETCH_CREATE : FETCH_EVENTS;
    c->group = strdup(o->group);
    c->member = o->member ? strdup(o->member) : make_member();
    if (!c->group || !c->member) {
        return NHUB_ENOMEM;
    }
    if (o->since && !(c->since = strdup(o->since))) {
        return NHUB_ENOMEM;
    }
    return copy_patterns(c, o);
}

static nhub_err open_parts(struct nhub_consumer *c, const nhub_consumer_options *o)
{
    nhub_err err = zctx_create(&c->ctx);

    if (err == NHUB_OK) {
        err = wakeup_create(&c->wakeup);
    }
    if (err == NHUB_OK) {
        err = requester_create(&c->requester, c->ctx, o->host ? o->host : "127.0.0.1",
                               o->requests_port ? o->requests_port : NHUB_REQUESTS_PORT,
                               CONSUMER_SETTLES_MAX + REQUEST_ROOM);
    }
    return err == NHUB_OK ? requester_watch(c->requester, c->wakeup) : err;
}

nhub_err nhub_consumer_create(nhub_consumer **out, const nhub_consumer_options *options)
{
    struct nhub_consumer *c = NULL;
    nhub_err err = NHUB_OK;

    if (!options || !is_in_range(options) || !are_texts_good(options)) {
        return NHUB_EINVAL;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        return NHUB_ENOMEM;
    }
    err = copy_options(c, options);
    if (err == NHUB_OK) {
        err = open_parts(c, options);
    }
    if (err != NHUB_OK) {
        nhub_consumer_destroy(&c);
        return err;
    }
    *out = c;
    return NHUB_OK;
}

/* What nobody took goes back at once instead of waiting for its visibility time to be over. */
static void give_back(struct nhub_consumer *c)
{
    const int64_t until_ms = clock_mono_ms() + RELEASE_WAIT_MS;

    settle_give_up(c);
    if (fetch_left(c) == 0) {
        return;
    }
    settle_release(c);
    while (c->settle_count > 0 && clock_mono_ms() < until_ms &&
           consumer_wait(c, until_ms) == NHUB_OK) {
    }
    settle_give_up(c);
}

void nhub_consumer_destroy(nhub_consumer **consumer_p)
{
    struct nhub_consumer *c = *consumer_p;

    if (!c) {
        return;
    }
    if (c->requester) {
        give_back(c);
    }
    requester_destroy(&c->requester);
    wakeup_destroy(&c->wakeup);
    zctx_destroy(&c->ctx);
    nhub_answer_destroy(&c->batch);
    nhub_answer_destroy(&c->settled);
    for (size_t i = 0; i < c->pattern_count; i++) {
        free(c->patterns[i]);
    }
    free(c->patterns);
    free(c->failed);
    free(c->group);
    free(c->member);
    free(c->since);
    free(c);
    *consumer_p = NULL;
}

/* What the hub says. */

void consumer_forget_error(struct nhub_consumer *c)
{
    c->error[0] = '\0';
    c->error_code[0] = '\0';
}

/* As much of a text as fits, without half a character at its end. */
static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

nhub_err consumer_refused(struct nhub_consumer *c, const struct json_t *json)
{
    copy_text(c->error, sizeof c->error, answer_text(json, "error", "the hub gave no reason"));
    copy_text(c->error_code, sizeof c->error_code, answer_text(json, "code", "refused"));
    if (strcmp(c->error_code, "unknown_group") == 0) {
        return NHUB_ENOTFOUND;
    }
    return strcmp(c->error_code, "group_exists") == 0 ? NHUB_ECONFLICT : NHUB_EREFUSED;
}

const char *nhub_consumer_error(const nhub_consumer *consumer)
{
    return consumer->error;
}

const char *nhub_consumer_error_code(const nhub_consumer *consumer)
{
    return consumer->error_code;
}

bool nhub_consumer_is_connected(const nhub_consumer *consumer)
{
    return requester_is_connected(consumer->requester);
}

const char *nhub_consumer_member(const nhub_consumer *consumer)
{
    return consumer->member;
}

int nhub_consumer_fd(const nhub_consumer *consumer)
{
    return wakeup_fd(consumer->wakeup);
}

/* Turns. */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void consumer_turn(struct nhub_consumer *c)
{
    int64_t now_ms = clock_mono_ms();

    wakeup_clear(c->wakeup);
    (void)requester_process(c->requester, now_ms);
    now_ms = clock_mono_ms();
    settle_turn(c, now_ms);
    fetch_turn(c, now_ms);
    wakeup_set_deadline(c->wakeup, earlier(requester_deadline_ms(c->requester),
                                           earlier(settle_deadline_ms(c), fetch_deadline_ms(c))));
}

nhub_err consumer_wait(struct nhub_consumer *c, int64_t deadline_ms)
{
    const int64_t left_ms = deadline_ms - clock_mono_ms();
    const int wait_ms = deadline_ms == INT64_MAX ? -1
                        : left_ms <= 0           ? 0
                        : left_ms > 3600000      ? 3600000
                                                 : (int)left_ms;
    const nhub_err err = wakeup_wait(c->wakeup, wait_ms);

    consumer_turn(c);
    return err == NHUB_ETIMEOUT ? NHUB_OK : err;
}
