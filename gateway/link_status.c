/*
 * link_status: one report under a lock, and the sentences made of it.
 */
#include "gateway/link_status.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void link_status_init(struct link_status *s, const struct settings *settings)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->first, NULL);
    NHUB_IGNORE(snprintf(s->hub, sizeof s->hub, "%.48s:%" PRIu64, settings->gateway.hub_host,
                         settings->hub.requests_port) < 0);
    s->start_ms = clock_mono_ms();
}

void link_status_fini(struct link_status *s)
{
    pthread_cond_destroy(&s->first);
    pthread_mutex_destroy(&s->lock);
}

void link_status_write(struct link_status *s, const struct link_report *report)
{
    pthread_mutex_lock(&s->lock);
    s->report = *report;
    if (!s->has_report) {
        s->has_report = true;
        pthread_cond_signal(&s->first);
    }
    pthread_mutex_unlock(&s->lock);
}

void link_status_wait_first(struct link_status *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->has_report) {
        pthread_cond_wait(&s->first, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

static void explain(const struct link_status *s, const struct link_report *report, int64_t now_ms,
                    struct hub_link_status *out)
{
    const int64_t silent_ms = now_ms - (report->answer_ms != 0 ? report->answer_ms : s->start_ms);

    if (report->refusal[0] != '\0') {
        memcpy(out->reason, report->refusal, sizeof out->reason);
    } else if (!out->connected) {
        NHUB_IGNORE(snprintf(out->reason, sizeof out->reason, "no answer from hub at %s for %.1f s",
                             s->hub, (double)silent_ms / 1000.0) < 0);
    } else if (!out->caught_up) {
        NHUB_IGNORE(snprintf(out->reason, sizeof out->reason,
                             "catching up with the hub: %" PRIu64 " of %" PRIu64,
                             report->received_seq, report->head.seq) < 0);
    }
}

void link_status_read(struct link_status *s, struct hub_link_status *out)
{
    const int64_t now_ms = clock_mono_ms();
    struct link_report report;

    pthread_mutex_lock(&s->lock);
    report = s->report;
    pthread_mutex_unlock(&s->lock);
    memset(out, 0, sizeof *out);
    out->answer_age_ms = report.answer_ms != 0 ? now_ms - report.answer_ms : -1;
    out->connected = report.is_up && out->answer_age_ms < LINK_DEAD_SEEN_MS;
    out->caught_up = out->connected && report.is_caught_up;
    out->head = report.head;
    out->oldest_seq = report.oldest_seq;
    out->in_flight = report.in_flight;
    out->waiting = report.waiting;
    memcpy(out->durability, report.durability, sizeof out->durability);
    memcpy(out->durability_max, report.journal.durability_max, sizeof out->durability_max);
    /* Of a hub that does not answer nothing is known. */
    if (out->connected) {
        memcpy(out->journal, report.journal.state, sizeof out->journal);
        memcpy(out->journal_why, report.journal.why, sizeof out->journal_why);
    }
    out->heartbeat_age_ms = now_ms - report.turn_ms;
    explain(s, &report, now_ms, out);
}
