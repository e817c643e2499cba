/*
 * stream_loop: the thread, its mailboxes, and the order of a turn:
 *
 *   ready sockets and mailboxes ─▶ a bounded part of new connections and of the feed ─▶ fan-out:
 *   one write for each session ─▶ closing what ended ─▶ wait (not at all while there is more)
 */
#include "gateway/stream_loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/event_loop.h"
#include "gateway/fanout/fanout.h"
#include "gateway/hub_link.h"
#include "gateway/protocols/http_clients_page.h"
#include "gateway/protocols/sse.h"
#include "gateway/protocols/ws.h"
#include "gateway/protocols/ws_opening.h"
#include "gateway/stream_history.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define FEED_ITEMS_PER_TURN 512
#define FEED_BYTES_PER_TURN ((size_t)4 * 1024 * 1024)
#define NEW_PER_TURN        32 /* connections of each door: a crowd that comes delays nobody long */
#define TICK_MS             1000
#define PACE_MS             100
#define STOP_WAIT_MS        1500 /* for close handshakes */

/* A mailbox of the loop and what is done with its letters. */
struct inbox {
    struct watch watch; /* first: found from it */
    struct mailbox *box;
    struct stream_loop *loop;
    void (*take)(struct stream_loop *loop, struct letter *letters); /* NULL = they wait: */
    struct letter *first, *last; /* taken from the mailbox, not yet worked off */
};

struct stream_loop {
    const struct settings *settings;
    struct gateway_counters *counters;
    struct event_loop *events;
    struct fanout *fanout;
    struct stream_history *history;
    struct sse_server *sse;
    struct ws_server *ws;
    struct ws_env ws_env;
    struct hub_link *link;
    struct inbox feed, adoptions, opens, pages, published, answered, views;
    struct watch answers;
    struct alarm tick, pace;
    pthread_t thread;
    bool has_thread;
    sem_t started;
    nhub_err start_err;
    _Atomic int64_t heartbeat_ms;
    _Atomic int64_t drain_over_ms; /* asked for, 0 = not */
    atomic_bool stop_asked;
    atomic_size_t sessions;
    int64_t drain_end_ms; /* 0 = not draining */
    int64_t drain_span_ms;
    size_t drain_ws, drain_sse; /* open when the drain began */
    int64_t stop_end_ms;        /* 0 = not stopping */
};

/* What is in the mailbox waits in the inbox until a turn has room for it. */
static void fetch_letters(struct inbox *inbox)
{
    struct letter *letters = mailbox_take_all(inbox->box);

    if (!letters) {
        return;
    }
    if (inbox->first) {
        inbox->last->next = letters;
    } else {
        inbox->first = letters;
    }
    while (letters->next) {
        letters = letters->next;
    }
    inbox->last = letters;
}

static struct letter *next_letter(struct inbox *inbox)
{
    struct letter *letter = inbox->first;

    if (letter) {
        inbox->first = letter->next;
    }
    return letter;
}

static void on_inbox(struct watch *w, bool in, bool out)
{
    struct inbox *inbox = (struct inbox *)(void *)w;

    (void)in;
    (void)out;
    if (inbox->take) {
        inbox->take(inbox->loop, mailbox_take_all(inbox->box));
    } else {
        fetch_letters(inbox);
    }
}

static nhub_err inbox_create(struct inbox *inbox, struct stream_loop *loop,
                             void (*take)(struct stream_loop *loop, struct letter *letters))
{
    inbox->loop = loop;
    inbox->take = take;
    inbox->watch.ready = on_inbox;
    return mailbox_create(&inbox->box);
}

static bool adopt_some(struct stream_loop *loop)
{
    for (int i = 0; i < NEW_PER_TURN && loop->adoptions.first; i++) {
        struct ws_opening *opening = (struct ws_opening *)(void *)next_letter(&loop->adoptions);

        ws_adopt(loop->ws, &opening);
    }
    return loop->adoptions.first != NULL;
}

static bool open_some(struct stream_loop *loop)
{
    for (int i = 0; i < NEW_PER_TURN && loop->opens.first; i++) {
        sse_open_stream(loop->sse, (struct sse_open *)(void *)next_letter(&loop->opens));
    }
    return loop->opens.first != NULL;
}

static void take_pages(struct stream_loop *loop, struct letter *letters)
{
    while (letters) {
        struct history_job *job = (struct history_job *)(void *)letters;

        letters = letters->next;
        stream_history_page(loop->history, job);
    }
}

static void take_published(struct stream_loop *loop, struct letter *letters)
{
    while (letters) {
        struct letter *letter = letters;

        letters = letters->next;
        ws_conn_published(&loop->ws_env, letter);
    }
}

static void take_answered(struct stream_loop *loop, struct letter *letters)
{
    while (letters) {
        struct letter *letter = letters;

        letters = letters->next;
        ws_conn_answered(&loop->ws_env, letter);
    }
}

static void take_views(struct stream_loop *loop, struct letter *letters)
{
    while (letters) {
        struct clients_job *job = (struct clients_job *)(void *)letters;

        letters = letters->next;
        clients_job_run(loop->fanout, job);
    }
}

static void on_answers(struct watch *w, bool in, bool out)
{
    struct stream_loop *loop =
        (struct stream_loop *)(void *)((char *)w - offsetof(struct stream_loop, answers));

    (void)in;
    (void)out;
    stream_history_take(loop->history);
}

static void fetch_page(void *context, struct fetch *fetch)
{
    struct stream_loop *loop = context;

    stream_history_fetch(loop->history, fetch);
}

static bool work_off_feed(struct stream_loop *loop)
{
    size_t bytes = 0;

    for (int i = 0; i < FEED_ITEMS_PER_TURN && bytes < FEED_BYTES_PER_TURN && loop->feed.first;
         i++) {
        struct feed_item *item = (struct feed_item *)(void *)next_letter(&loop->feed);

        bytes += item->event ? item->event->line_len : 0;
        fanout_feed(loop->fanout, &item);
    }
    return loop->feed.first != NULL;
}

static bool before_wait(void *context)
{
    struct stream_loop *loop = context;
    const int64_t now_ms = clock_mono_ms();
    bool more = false;

    atomic_store(&loop->heartbeat_ms, now_ms);
    fanout_set_now(loop->fanout, now_ms);
    more = adopt_some(loop);
    more = open_some(loop) || more;
    more = work_off_feed(loop) || more;
    more = fanout_turn(loop->fanout) || more;
    sse_turn(loop->sse);
    atomic_store(&loop->sessions, sse_count(loop->sse) + ws_count(loop->ws));
    if (loop->stop_end_ms != 0 &&
        (now_ms >= loop->stop_end_ms || atomic_load(&loop->sessions) == 0)) {
        event_loop_stop(loop->events);
        return true;
    }
    return more;
}

static void on_tick(struct alarm *a)
{
    struct stream_loop *loop =
        (struct stream_loop *)(void *)((char *)a - offsetof(struct stream_loop, tick));
    const int64_t now_ms = clock_mono_ms();

    fanout_set_now(loop->fanout, now_ms);
    fanout_tick(loop->fanout);
    ws_tick(loop->ws, now_ms);
}

/* How many of `count` are too many at this point of the drain, which began with `total`: what may
 * stay shrinks evenly to nothing. */
static size_t quota(const struct stream_loop *loop, size_t count, size_t total, int64_t left_ms)
{
    size_t may_stay = 0;

    if (left_ms > PACE_MS) {
        may_stay = (size_t)((double)total * (double)left_ms / (double)loop->drain_span_ms);
    }
    return count > may_stay ? count - may_stay : 0;
}

static void on_pace(struct alarm *a)
{
    struct stream_loop *loop =
        (struct stream_loop *)(void *)((char *)a - offsetof(struct stream_loop, pace));
    const int64_t left_ms = loop->drain_end_ms - clock_mono_ms();

    if (loop->drain_end_ms != 0 && loop->stop_end_ms == 0) {
        ws_end_some(loop->ws, quota(loop, ws_count(loop->ws), loop->drain_ws, left_ms),
                    SESSION_END_RESTART);
        sse_end_some(loop->sse, quota(loop, sse_count(loop->sse), loop->drain_sse, left_ms));
    }
}

static void begin_drain(struct stream_loop *loop, int64_t over_ms)
{
    loop->drain_end_ms = clock_mono_ms() + over_ms;
    loop->drain_span_ms = over_ms;
    loop->drain_ws = ws_count(loop->ws);
    loop->drain_sse = sse_count(loop->sse);
    ws_end_some(loop->ws, 0, SESSION_END_RESTART); /* new ones are sent away at once */
    log_info("streams_drain", log_uint("sessions", fanout_session_count(loop->fanout)),
             log_int("over_ms", over_ms));
}

static void begin_stop(struct stream_loop *loop)
{
    const enum session_end why = loop->drain_end_ms != 0 ? SESSION_END_RESTART : SESSION_END_STOP;

    loop->stop_end_ms = clock_mono_ms() + STOP_WAIT_MS;
    stream_history_close(loop->history);
    ws_end_some(loop->ws, SIZE_MAX, why);
    sse_end_some(loop->sse, SIZE_MAX);
}

static void on_woken(void *context)
{
    struct stream_loop *loop = context;
    const int64_t over_ms = atomic_load(&loop->drain_over_ms);

    if (over_ms > 0 && loop->drain_end_ms == 0) {
        begin_drain(loop, over_ms);
    }
    if (atomic_load(&loop->stop_asked) && loop->stop_end_ms == 0) {
        begin_stop(loop);
    }
}

static nhub_err create_inboxes(struct stream_loop *loop)
{
    nhub_err err = inbox_create(&loop->feed, loop, NULL);

    if (err == NHUB_OK) {
        err = inbox_create(&loop->adoptions, loop, NULL);
    }
    if (err == NHUB_OK) {
        err = inbox_create(&loop->opens, loop, NULL);
    }
    if (err == NHUB_OK) {
        err = inbox_create(&loop->pages, loop, take_pages);
    }
    if (err == NHUB_OK) {
        err = inbox_create(&loop->published, loop, take_published);
    }
    if (err == NHUB_OK) {
        err = inbox_create(&loop->answered, loop, take_answered);
    }
    if (err == NHUB_OK) {
        err = inbox_create(&loop->views, loop, take_views);
    }
    return err;
}

nhub_err stream_loop_create(struct stream_loop **out, const struct settings *settings,
                            struct gateway_counters *counters)
{
    struct stream_loop *loop = calloc(1, sizeof *loop);
    struct event_loop_hooks hooks = {before_wait, on_woken, loop};
    struct fanout_options options = {
        .cache_events = (size_t)settings->gateway.cache_events,
        .cache_bytes = (size_t)settings->gateway.cache_bytes,
        .session_max_bytes = (size_t)settings->gateway.session_max_bytes,
        .streams_max_bytes = (size_t)settings->gateway.streams_max_bytes,
        .send_buffer_bytes = (size_t)settings->gateway.send_buffer_bytes,
        .stats_event = settings->hub.stats_event,
        .counters = counters,
        .fetch = fetch_page,
        .context = loop,
    };
    nhub_err err = NHUB_OK;

    if (!loop) {
        return NHUB_ENOMEM;
    }
    loop->settings = settings;
    loop->counters = counters;
    (void)sem_init(&loop->started, 0, 0);
    err = create_inboxes(loop);
    if (err == NHUB_OK) {
        err = event_loop_create(&loop->events, &hooks);
    }
    if (err == NHUB_OK) {
        err = fanout_create(&loop->fanout, &options);
    }
    if (err != NHUB_OK) {
        stream_loop_destroy(&loop);
        return err;
    }
    atomic_store(&loop->heartbeat_ms, clock_mono_ms());
    *out = loop;
    return NHUB_OK;
}

struct mailbox *stream_loop_feed(struct stream_loop *loop)
{
    return loop->feed.box;
}

static void watch_inbox(struct stream_loop *loop, struct inbox *inbox)
{
    event_loop_watch(loop->events, &inbox->watch, mailbox_fd(inbox->box), true, false);
}

static nhub_err create_doors(struct stream_loop *loop)
{
    const struct stream_history_options history = {loop->fanout, loop->link, hub_link_query};
    const struct sse_options sse = {loop->events, loop->fanout, loop->settings, loop->counters};
    nhub_err err = stream_history_create(&loop->history, &history);

    loop->ws_env = (struct ws_env){.settings = loop->settings,
                                   .counters = loop->counters,
                                   .fanout = loop->fanout,
                                   .link = loop->link,
                                   .published = loop->published.box,
                                   .publish = hub_link_publish,
                                   .answered = loop->answered.box,
                                   .query = hub_link_query};
    if (err == NHUB_OK) {
        err = ws_create(&loop->ws, loop->events, &loop->ws_env);
    }
    if (err == NHUB_OK) {
        err = sse_create(&loop->sse, &sse);
    }
    return err;
}

static void watch_all(struct stream_loop *loop)
{
    watch_inbox(loop, &loop->feed);
    watch_inbox(loop, &loop->adoptions);
    watch_inbox(loop, &loop->opens);
    watch_inbox(loop, &loop->pages);
    watch_inbox(loop, &loop->published);
    watch_inbox(loop, &loop->answered);
    watch_inbox(loop, &loop->views);
    loop->answers.ready = on_answers;
    event_loop_watch(loop->events, &loop->answers, stream_history_fd(loop->history), true, false);
    loop->tick.ring = on_tick;
    loop->pace.ring = on_pace;
    event_loop_every(loop->events, &loop->tick, TICK_MS);
    event_loop_every(loop->events, &loop->pace, PACE_MS);
}

static void unwatch_all(struct stream_loop *loop)
{
    event_loop_unwatch(&loop->feed.watch);
    event_loop_unwatch(&loop->adoptions.watch);
    event_loop_unwatch(&loop->opens.watch);
    event_loop_unwatch(&loop->pages.watch);
    event_loop_unwatch(&loop->published.watch);
    event_loop_unwatch(&loop->answered.watch);
    event_loop_unwatch(&loop->views.watch);
    event_loop_unwatch(&loop->answers);
    event_loop_silence(&loop->tick);
    event_loop_silence(&loop->pace);
}

/* Streams and jobs that were handed over too late get their answer all the same. */
static void refuse_late_letters(struct stream_loop *loop)
{
    struct letter *letter = NULL;

    fetch_letters(&loop->adoptions);
    while (loop->adoptions.first) {
        struct ws_opening *opening = (struct ws_opening *)(void *)next_letter(&loop->adoptions);

        ws_opening_destroy(&opening);
    }
    fetch_letters(&loop->opens);
    while (loop->opens.first) {
        struct sse_open *open = (struct sse_open *)(void *)next_letter(&loop->opens);

        open->closed(open);
    }
    letter = mailbox_take_all(loop->pages.box);
    while (letter) {
        struct history_job *job = (struct history_job *)(void *)letter;

        letter = letter->next;
        job->err = NHUB_EUNAVAIL;
        job->done(job);
    }
    letter = mailbox_take_all(loop->views.box);
    while (letter) {
        struct clients_job *job = (struct clients_job *)(void *)letter;

        letter = letter->next;
        job->err = NHUB_EUNAVAIL;
        job->done(job);
    }
}

static void *run(void *argument)
{
    struct stream_loop *loop = argument;

    loop->start_err = create_doors(loop);
    if (loop->start_err == NHUB_OK) {
        watch_all(loop);
    }
    const nhub_err err = loop->start_err;

    (void)sem_post(&loop->started);
    if (err == NHUB_OK) {
        event_loop_run(loop->events);
        unwatch_all(loop);
    }
    sse_destroy(&loop->sse);
    ws_destroy(&loop->ws);
    take_answered(loop, mailbox_take_all(loop->answered.box)); /* while there is a link */
    refuse_late_letters(loop);
    atomic_store(&loop->sessions, 0);
    return NULL;
}

nhub_err stream_loop_start(struct stream_loop *loop, struct hub_link *link)
{
    loop->link = link;
    if (pthread_create(&loop->thread, NULL, run, loop) != 0) {
        return NHUB_ESYS;
    }
    loop->has_thread = true;
    while (sem_wait(&loop->started) != 0) {
    }
    return loop->start_err;
}

void stream_loop_drain(struct stream_loop *loop, int64_t over_ms)
{
    atomic_store(&loop->drain_over_ms, over_ms > 0 ? over_ms : 1);
    event_loop_wake(loop->events);
}

bool stream_loop_idle(struct stream_loop *loop)
{
    return atomic_load(&loop->sessions) == 0;
}

void stream_loop_stop(struct stream_loop *loop)
{
    if (loop->has_thread) {
        atomic_store(&loop->stop_asked, true);
        event_loop_wake(loop->events);
        (void)pthread_join(loop->thread, NULL);
        loop->has_thread = false;
    }
}

static void drop_feed(struct stream_loop *loop)
{
    fetch_letters(&loop->feed);
    while (loop->feed.first) {
        struct feed_item *item = (struct feed_item *)(void *)next_letter(&loop->feed);

        feed_item_free(&item);
    }
}

void stream_loop_destroy(struct stream_loop **loop_p)
{
    struct stream_loop *loop = *loop_p;

    *loop_p = NULL;
    if (!loop) {
        return;
    }
    stream_loop_stop(loop);
    if (loop->feed.box) {
        drop_feed(loop);
    }
    if (loop->opens.box && loop->pages.box && loop->adoptions.box && loop->views.box) {
        refuse_late_letters(loop);
    }
    if (loop->published.box) {
        take_published(loop, mailbox_take_all(loop->published.box));
    }
    stream_history_destroy(&loop->history);
    fanout_destroy(&loop->fanout);
    event_loop_destroy(&loop->events);
    mailbox_destroy(&loop->feed.box);
    mailbox_destroy(&loop->adoptions.box);
    mailbox_destroy(&loop->opens.box);
    mailbox_destroy(&loop->pages.box);
    mailbox_destroy(&loop->published.box);
    mailbox_destroy(&loop->answered.box);
    mailbox_destroy(&loop->views.box);
    (void)sem_destroy(&loop->started);
    free(loop);
}

int64_t stream_loop_heartbeat_age_ms(struct stream_loop *loop)
{
    return clock_mono_ms() - atomic_load(&loop->heartbeat_ms);
}

void stream_loop_adopt_ws(struct stream_loop *loop, struct ws_opening **opening_p)
{
    struct ws_opening *opening = *opening_p;

    *opening_p = NULL;
    mailbox_post(loop->adoptions.box, &opening->letter);
}

void stream_loop_open_sse(struct stream_loop *loop, struct sse_open *open)
{
    mailbox_post(loop->opens.box, &open->letter);
}

void stream_loop_history(struct stream_loop *loop, struct history_job *job)
{
    mailbox_post(loop->pages.box, &job->letter);
}

void stream_loop_clients(struct stream_loop *loop, struct clients_job *job)
{
    mailbox_post(loop->views.box, &job->letter);
}
