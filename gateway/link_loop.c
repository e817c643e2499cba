/*
 * link_loop: a turn: wait, events, answers, letters, timers, requests out, feed out, status. What
 * the parts decide lies in link_sequencer (order), link_publish, link_queries (requests) and
 * link_sockets (frames).
 *
 * The link is up from the first good `position` answer until a connection breaks or no answer came
 * for LINK_DEAD_MS; then both sockets are closed and made anew, so that nothing old goes out late.
 */
#include "gateway/link_loop.h"

#include "base/clock.h"
#include "gateway/memory_ceiling.h"
#include "wire/request.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    ASK_MS = 500,      /* between two `position` requests */
    ASK_NEW_MS = 100,  /* the same, in the first NEW_MS of a link */
    ASK_LEAST_MS = 20, /* when an unknown epoch wants one at once */
    NEW_MS = 1000,
    PAGE_LEAST_MS = 500, /* a page of history may take, however short the wait for a refill is */
    REOPEN_MS = 500,     /* after sockets could not be made */
    IDLE_MS = 500,       /* longest wait, keeps the heartbeat fresh */
    EVENTS_A_TURN = 1024,
    ANSWERS_A_TURN = 256,
    FEED_ITEM_BYTES = 256, /* what an item takes besides its event's line */
    HELD_UP_MS = 5,
    AWAY_MS = 1000,    /* a turn that comes so late was not the hub's fault */
    STUCK_MS = 300,    /* a hub that answers so late did nothing else meanwhile either */
    AVERAGE_OVER = 64, /* events */
    LARGE_EVENT_BYTES = 1024,
    MAX_WAITING_JOBS = 16384
};

/* The two low bits of a request's id. */
enum request_kind { KIND_POSITION, KIND_REFILL, KIND_QUERY, KIND_PUBLISH };
enum { KIND_BITS = 2 };

static uint64_t make_id(enum request_kind kind, uint64_t key)
{
    return key << KIND_BITS | (uint64_t)kind;
}

static uint64_t query_id(uint64_t key)
{
    return make_id(KIND_QUERY, key);
}

nhub_err link_loop_init(struct link_loop *l)
{
    const struct settings *settings = l->settings;
    const struct link_sequencer_options order = {
        .backfill_events = settings->gateway.cache_events,
        .max_held_bytes = (size_t)settings->gateway.cache_bytes,
        .wait_ms = (int64_t)settings->gateway.refill_wait_ms,
        .counters = l->counters};
    const struct link_publish_options publish = {
        .window = (size_t)settings->gateway.publish_window,
        .max_waiting_jobs = MAX_WAITING_JOBS,
        .max_waiting_bytes = MEMORY_PUBLISH_BYTES,
        .ack_timeout_ms = (int64_t)settings->gateway.ack_timeout_ms,
        .default_durability = settings->gateway.durability,
        .min_durability = settings->gateway.min_durability};
    nhub_err err = link_sequencer_create(&l->sequencer, &order);

    buf_init(&l->text);
    l->bad_limit = (struct log_limit){.burst = 5, .window_ms = 10000};
    if (err == NHUB_OK) {
        err = link_publish_create(&l->publish, &publish);
    }
    if (err == NHUB_OK) {
        err = link_queries_create(&l->query);
    }
    link_sockets_init(&l->sockets, settings->gateway.hub_host,
                      (uint16_t)settings->hub.publisher_port,
                      (uint16_t)settings->hub.requests_port);
    return err;
}

void link_loop_fini(struct link_loop *l)
{
    link_publish_destroy(&l->publish);
    link_queries_destroy(&l->query);
    link_sequencer_destroy(&l->sequencer);
    link_sockets_close(&l->sockets);
    buf_fini(&l->text);
}

/* ---- up and down ---- */

static void open_sockets(struct link_loop *l)
{
    const nhub_err err = link_sockets_open(&l->sockets);

    l->asked_ms = 0;
    l->unanswered_ms = 0;
    if (err != NHUB_OK) {
        l->reopen_ms = l->now_ms + REOPEN_MS;
        log_error("hub_sockets_failed", log_str("error", nhub_strerror(err)));
    }
}

static void lose(struct link_loop *l, const char *why)
{
    if (l->is_up) {
        counter_bump(&l->counters->link_losses_total, 1);
        log_warn("hub_link_lost", log_str("hub", l->settings->gateway.hub_host),
                 log_uint("port", l->settings->hub.requests_port), log_str("why", why),
                 log_uint("in_flight", link_publish_in_flight(l->publish)));
    }
    l->is_up = false;
    l->refill_key = 0;
    link_sockets_close(&l->sockets);
    link_sequencer_lost(l->sequencer, l->now_ms);
    link_publish_lost(l->publish);
    link_queries_lost(l->query);
    open_sockets(l);
}

/* The hub answers, but not as we need it: nothing is sent to it but the question, again. */
static void refuse_hub(struct link_loop *l, const char *why)
{
    if (strcmp(l->refusal, why) != 0) {
        log_error("hub_refused", log_str("hub", l->settings->gateway.hub_host), log_str("why", why),
                  log_str("advice", "gateway and hub must be of matching versions"));
        NHUB_IGNORE(snprintf(l->refusal, sizeof l->refusal, "%s", why) < 0);
    }
    if (l->is_up) {
        lose(l, why);
    }
}

static void come_up(struct link_loop *l)
{
    struct position received;

    l->is_up = true;
    l->up_ms = l->now_ms;
    link_queries_up(l->query);
    link_sequencer_received(l->sequencer, &received);
    log_info("hub_link_up", log_str("hub", l->settings->gateway.hub_host),
             log_uint("port", l->settings->hub.requests_port), log_str("epoch", l->head.epoch),
             log_uint("seq", l->head.seq), log_uint("received_seq", received.seq));
}

/* ---- in ---- */

static void note_bad(struct link_loop *l, const char *what, nhub_err err)
{
    uint64_t suppressed = 0;

    if (log_limit_pass(&l->bad_limit, &suppressed)) {
        log_warn("hub_sent_bad_message", log_str("what", what),
                 log_str("error", nhub_strerror(err)), log_uint("suppressed", suppressed));
    }
}

/* While the stream loop is behind, events wait at the hub, which counts them, not their bytes.
 * Large ones are read and left: a hole that is refilled later. */
static bool must_skip_events(const struct link_loop *l)
{
    return l->is_held_up && l->event_bytes > LARGE_EVENT_BYTES;
}

static void take_event(struct link_loop *l, struct feed_event *event)
{
    const size_t bytes = event->line_len;

    l->event_bytes += bytes / AVERAGE_OVER;
    l->event_bytes -= l->event_bytes / AVERAGE_OVER;
    if (l->is_held_up) {
        link_sequencer_skip(l->sequencer, &event->position, l->now_ms);
        counter_bump(&l->counters->events_skipped_total, 1);
        feed_event_unref(&event);
    } else {
        link_sequencer_event(l->sequencer, &event, l->now_ms);
    }
}

static void read_events(struct link_loop *l)
{
    for (int i = 0; i < EVENTS_A_TURN && link_sockets_are_open(&l->sockets); i++) {
        struct feed_event *event = NULL;
        const nhub_err err = link_sockets_event(&l->sockets, &event);

        if (err == NHUB_OK) {
            take_event(l, event);
        } else if (err == NHUB_EAGAIN) {
            return;
        } else {
            note_bad(l, "event", err);
        }
    }
}

/* The hub's journal is told once for each change, not twice a second. */
static void note_journal(struct link_loop *l, const struct link_journal *journal)
{
    if (strcmp(l->journal.state, journal->state) != 0 && strcmp(journal->state, "degraded") == 0) {
        log_warn("hub_journal_degraded", log_str("why", journal->why));
    } else if (strcmp(l->journal.state, "degraded") == 0 &&
               strcmp(journal->state, "degraded") != 0) {
        log_info("hub_journal_recovered", log_str("state", journal->state));
    }
    l->journal = *journal;
}

static void on_position(struct link_loop *l, const struct link_answer *answer)
{
    struct link_publish_hub hub = {.has_dedup = answer->has_dedup,
                                   .max_event_bytes = answer->max_event_bytes,
                                   .durability = answer->durability};

    l->unanswered_ms = 0;
    if (!answer->success || answer->protocol != REQUEST_PROTOCOL_VERSION) {
        char why[sizeof l->refusal];

        NHUB_IGNORE(snprintf(why, sizeof why,
                             "the hub speaks protocol %" PRIu64 ", this gateway %d",
                             answer->protocol, REQUEST_PROTOCOL_VERSION) < 0);
        refuse_hub(l, answer->success ? why : "the hub does not know the request position");
        return;
    }
    if (answer->head.epoch[0] == '\0') {
        note_bad(l, "position answer", NHUB_EPROTO);
        return;
    }
    l->refusal[0] = '\0';
    l->answer_ms = l->now_ms;
    l->head = answer->head;
    l->durability = answer->durability;
    note_journal(l, &answer->journal);
    link_sequencer_head(l->sequencer, &l->head, l->now_ms);
    memcpy(hub.epoch, answer->head.epoch, sizeof hub.epoch);
    link_publish_up(l->publish, &hub);
    if (!l->is_up) {
        come_up(l);
    }
}

static void on_refill(struct link_loop *l, uint64_t key, struct link_message *m)
{
    if (key != l->refill_key) {
        return;
    }
    l->refill_key = 0;
    if (!m->answer.success || !m->answer.has_page) {
        note_bad(l, "history answer", NHUB_EREFUSED);
        link_sequencer_page_failed(l->sequencer, l->now_ms);
        return;
    }
    link_sequencer_page(l->sequencer, &m->answer.page, m->events, m->count, l->now_ms);
}

static void on_answer(struct link_loop *l, struct link_message *m)
{
    const uint64_t key = m->answer.request_id >> KIND_BITS;

    switch ((enum request_kind)(m->answer.request_id & ((1U << KIND_BITS) - 1))) {
    case KIND_POSITION:
        on_position(l, &m->answer);
        break;
    case KIND_REFILL:
        on_refill(l, key, m);
        break;
    case KIND_QUERY:
        link_queries_answer(l->query, key, &m->answer, m->text, m->text_len, &m->events, m->count);
        break;
    case KIND_PUBLISH:
        link_publish_answer(l->publish, key, &m->answer);
        break;
    default:
        break;
    }
}

static void read_answers(struct link_loop *l)
{
    for (int i = 0; i < ANSWERS_A_TURN && link_sockets_are_open(&l->sockets); i++) {
        struct link_message message;
        const nhub_err err = link_sockets_answer(&l->sockets, &message);

        if (err == NHUB_OK) {
            l->heard_ms = l->now_ms;
            on_answer(l, &message);
            link_message_fini(&message);
        } else if (err == NHUB_EAGAIN) {
            return;
        } else {
            note_bad(l, "answer", err);
        }
    }
}

static void take_publishes(struct link_loop *l)
{
    struct letter *letter = mailbox_take_all(l->publishes);

    while (letter) {
        struct letter *next = letter->next;

        link_publish_add(l->publish, (struct publish_job *)(void *)letter, l->now_ms);
        letter = next;
    }
}

static void take_queries(struct link_loop *l)
{
    struct letter *letter = mailbox_take_all(l->queries);

    while (letter) {
        struct letter *next = letter->next;

        if (letter == l->stop) {
            l->is_stopping = true;
            l->stop_due_ms = l->now_ms + *l->grace_ms;
        } else {
            link_queries_add(l->query, (struct query_job *)(void *)letter, l->now_ms);
        }
        letter = next;
    }
}

/* Only boxes that poll() has named: looking into one is a system call, and most turns bring none.
 */
static void take_letters(struct link_loop *l)
{
    if (l->has_publishes) {
        take_publishes(l);
    }
    if (l->has_queries) {
        take_queries(l);
    }
}

/* ---- out ---- */

/* True when it goes out at the end of the turn; false: nothing of it does. */
static bool send_text(struct link_loop *l, size_t events,
                      const void *(*next)(void *context, size_t i, size_t *out_len), void *context)
{
    nhub_err err = NHUB_ENOMEM;

    if (!l->text.failed) {
        err = link_sockets_send(&l->sockets, l->text.data, l->text.len, events, next, context);
    }
    buf_reset(&l->text);
    l->wants_out = l->wants_out || err == NHUB_EAGAIN; /* every turn tries again what is left */
    return err == NHUB_OK;
}

static void ask_position(struct link_loop *l)
{
    const bool is_new = l->is_up && l->now_ms - l->up_ms < NEW_MS;
    int64_t pause_ms = is_new ? ASK_NEW_MS : ASK_MS;
    bool is_sent = false;

    if (link_sequencer_wants_head(l->sequencer)) {
        pause_ms = ASK_LEAST_MS;
    }
    if (l->asked_ms != 0 && l->now_ms - l->asked_ms < pause_ms) {
        return;
    }
    request_write_simple(&l->text, "position", make_id(KIND_POSITION, ++l->asks));
    is_sent = send_text(l, 0, NULL, NULL);
    if (is_sent) {
        l->asked_ms = l->now_ms;
    }
    /* Before the link is up a request that cannot be sent means that nobody is there yet. */
    if (l->unanswered_ms == 0 && (l->is_up || is_sent)) {
        l->unanswered_ms = l->now_ms;
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void ask_page(struct link_loop *l)
{
    const int64_t wait_ms = (int64_t)l->settings->gateway.refill_wait_ms;
    char since_text[POSITION_TEXT_MAX];
    struct position since;
    uint64_t limit = 0;

    if (l->refill_key != 0 && l->now_ms >= l->refill_due_ms) {
        l->refill_key = 0;
        link_sequencer_page_failed(l->sequencer, l->now_ms);
    }
    if (!l->is_up || l->is_held_up ||
        !link_sequencer_wants_page(l->sequencer, l->now_ms, &since, &limit)) {
        return;
    }
    position_format(&since, since_text);
    l->refill_key = ++l->refills;
    l->refill_due_ms = l->now_ms + later(PAGE_LEAST_MS, wait_ms);
    request_write_history(&l->text, make_id(KIND_REFILL, l->refill_key), since_text, NULL, 0,
                          limit);
    if (!send_text(l, 0, NULL, NULL) && l->refill_key != 0) {
        l->refill_key = 0;
        link_sequencer_page_failed(l->sequencer, l->now_ms);
    }
}

/* What cannot be written yet stays a job that waits: taken back, it would be answered as if the hub
 * were away. */
static bool has_room(struct link_loop *l)
{
    const bool can_send = link_sockets_can_send(&l->sockets);

    l->wants_out = l->wants_out || !can_send;
    return can_send;
}

struct batch {
    const struct link_publish *publish;
    uint64_t key;
};

static const void *batch_event(void *context, size_t i, size_t *out_len)
{
    const struct batch *batch = context;
    const struct publish_event *event = link_publish_event(batch->publish, batch->key, i);

    *out_len = event->len;
    return event->line;
}

static void send_publishes(struct link_loop *l)
{
    struct link_publish_request request;

    while (l->is_up && has_room(l) && link_publish_next(l->publish, &request)) {
        struct batch batch = {.publish = l->publish, .key = request.key};

        request_write_publish(&l->text, make_id(KIND_PUBLISH, request.key), request.durability,
                              request.atomic);
        if (!send_text(l, request.events, batch_event, &batch)) {
            link_publish_unsent(l->publish, request.key);
            return;
        }
    }
}

static void send_queries(struct link_loop *l)
{
    uint64_t key = 0;

    while (l->is_up && has_room(l) && link_queries_next(l->query, query_id, &key, &l->text)) {
        if (!send_text(l, 0, NULL, NULL)) {
            link_queries_unsent(l->query, key);
            return;
        }
    }
}

static void post_feed(struct link_loop *l)
{
    struct feed_item *last = NULL;
    struct feed_item *first = link_sequencer_take(l->sequencer, &last);
    uint64_t bytes = 0;

    for (struct feed_item *item = first; item;
         item = (struct feed_item *)(void *)item->letter.next) {
        item->waiting = &l->counters->feed_waiting_bytes;
        item->weight = FEED_ITEM_BYTES + (item->event ? item->event->line_len : 0);
        bytes += item->weight;
    }
    if (first) {
        counter_add(&l->counters->feed_waiting_bytes, bytes);
        mailbox_post_chain(l->feed, &first->letter, &last->letter);
    }
}

/* ---- the loop ---- */

/* With a question open: since when nothing was heard. */
static int64_t silent_since_ms(const struct link_loop *l)
{
    return l->is_up ? l->heard_ms : l->unanswered_ms;
}

static void run_timers(struct link_loop *l)
{
    if (!link_sockets_are_open(&l->sockets) && l->now_ms >= l->reopen_ms) {
        open_sockets(l);
    }
    if (l->unanswered_ms != 0 && l->now_ms - silent_since_ms(l) > LINK_DEAD_MS) {
        lose(l, "no answer");
    }
    link_publish_expire(l->publish, l->now_ms);
    link_queries_expire(l->query, l->now_ms);
    link_sequencer_tick(l->sequencer, l->now_ms);
    if (link_sockets_are_open(&l->sockets)) {
        ask_position(l);
        ask_page(l);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int time_left_ms(const struct link_loop *l)
{
    const int64_t now_ms = clock_mono_ms();
    const bool is_new = l->is_up && now_ms - l->up_ms < NEW_MS;
    int64_t due_ms = now_ms + IDLE_MS;

    if (l->wants_out && link_sockets_can_send(&l->sockets)) {
        return 0;
    }
    due_ms = earlier(due_ms, link_sockets_deadline(&l->sockets));
    due_ms = earlier(due_ms, link_publish_deadline(l->publish));
    due_ms = earlier(due_ms, link_queries_deadline(l->query));
    due_ms = earlier(due_ms, link_sequencer_deadline(l->sequencer));
    if (l->refill_key != 0) {
        due_ms = earlier(due_ms, l->refill_due_ms);
    }
    if (!l->wants_out) {
        due_ms = earlier(due_ms, l->asked_ms + (is_new ? ASK_NEW_MS : ASK_MS));
    }
    if (l->unanswered_ms != 0) {
        due_ms = earlier(due_ms, silent_since_ms(l) + LINK_DEAD_MS + 1);
    }
    if (l->is_held_up) {
        due_ms = earlier(due_ms, now_ms + HELD_UP_MS);
    }
    if (l->is_stopping) {
        due_ms = earlier(due_ms, l->stop_due_ms);
    }
    /* What is overdue after its timer ran lacks memory or a peer: not a reason to spin. */
    return due_ms <= now_ms ? 1 : (int)(due_ms - now_ms);
}

static bool wants_events(const struct link_loop *l)
{
    return !l->is_held_up || must_skip_events(l);
}

static void wait_for_work(struct link_loop *l)
{
    struct pollfd items[LINK_SOCKETS_POLL + 2];
    const bool has_more = link_sockets_poll(&l->sockets, wants_events(l), items);

    items[LINK_SOCKETS_POLL] = (struct pollfd){.fd = mailbox_fd(l->publishes), .events = POLLIN};
    items[LINK_SOCKETS_POLL + 1] = (struct pollfd){.fd = mailbox_fd(l->queries), .events = POLLIN};
    if (poll(items, LINK_SOCKETS_POLL + 2, has_more ? 0 : time_left_ms(l)) < 0 && errno != EINTR) {
        log_error("hub_link_poll_failed", log_str("error", strerror(errno)));
    }
    l->has_publishes = items[LINK_SOCKETS_POLL].revents != 0;
    l->has_queries = items[LINK_SOCKETS_POLL + 1].revents != 0;
    link_sockets_polled(&l->sockets, items);
}

static void report(struct link_loop *l)
{
    struct link_report r = {.is_up = l->is_up,
                            .oldest_seq = l->head.oldest,
                            .answer_ms = l->answer_ms,
                            .turn_ms = l->now_ms};
    struct position received;

    link_sequencer_received(l->sequencer, &received);
    r.is_caught_up = link_sequencer_is_caught_up(l->sequencer, l->now_ms);
    r.received_seq = received.seq;
    memcpy(r.refusal, l->refusal, sizeof r.refusal);
    memcpy(r.head.epoch, l->head.epoch, sizeof r.head.epoch);
    r.head.seq = l->head.seq;
    r.in_flight = link_publish_in_flight(l->publish);
    r.waiting = link_publish_waiting(l->publish) + link_queries_waiting(l->query);
    if (l->durability != DURABILITY_DEFAULT) {
        NHUB_IGNORE(
            snprintf(r.durability, sizeof r.durability, "%s", durability_name(l->durability)) < 0);
    }
    r.journal = l->journal;
    link_status_write(l->status, &r);
}

/* Jobs that came before the stop are in the mailboxes already, so one look at them is enough. */
static bool is_finished(struct link_loop *l)
{
    if (!l->is_stopping) {
        return false;
    }
    take_publishes(l);
    take_queries(l);
    return l->now_ms >= l->stop_due_ms ||
           (link_publish_in_flight(l->publish) == 0 && link_publish_waiting(l->publish) == 0 &&
            link_queries_changes(l->query) == 0);
}

/* While the stream loop is behind, events wait at the hub, and what does not fit there is fetched
 * later: memory stays bounded. A hole is not the hub's fault then. */
static void begin_turn(struct link_loop *l)
{
    const int64_t now_ms = clock_mono_ms();
    const bool is_late = now_ms - l->now_ms > AWAY_MS;

    l->now_ms = now_ms;
    l->wants_out = false; /* until something cannot be sent in this turn */
    l->is_held_up = counter_get(&l->counters->feed_waiting_bytes) > MEMORY_FEED_BYTES;
    if (l->is_held_up || is_late) {
        link_sequencer_excuse(l->sequencer, l->now_ms);
    }
    if (is_late || (l->unanswered_ms != 0 && l->now_ms - l->unanswered_ms > STUCK_MS)) {
        link_sequencer_away(l->sequencer, l->now_ms);
    }
    /* What the hub said meanwhile may still wait to be read. */
    if (is_late && l->unanswered_ms != 0) {
        l->unanswered_ms = l->now_ms;
        l->heard_ms = l->now_ms;
    }
}

void link_loop_run(struct link_loop *l)
{
    l->now_ms = clock_mono_ms();
    open_sockets(l);
    while (!is_finished(l)) {
        report(l);
        wait_for_work(l);
        begin_turn(l);
        link_sockets_turn(&l->sockets, l->now_ms);
        if (wants_events(l)) {
            read_events(l);
            post_feed(l); /* on their way to subscribers before anything else is done */
        }
        read_answers(l);
        take_letters(l);
        run_timers(l);
        send_publishes(l);
        send_queries(l);
        link_sockets_turn(&l->sockets, l->now_ms);
        if (link_sockets_were_cut(&l->sockets) && l->is_up) {
            lose(l, "disconnected");
        }
        post_feed(l);
    }
    link_sockets_close(&l->sockets);
    link_publish_lost(l->publish);
    link_publish_destroy(&l->publish);
    link_queries_lost(l->query);
    post_feed(l);
}
