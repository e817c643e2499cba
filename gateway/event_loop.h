/*
 * event_loop: libev's room: watches on descriptors, timers, and a hook before each wait.
 *
 * A turn is: ready descriptors and timers in any order, then the hook, then the wait. While the
 * hook says that there is more to do, the wait does not wait.
 *
 * Threads: the loop belongs to the thread that runs it; event_loop_wake() may be called from any.
 */
#ifndef GATEWAY_EVENT_LOOP_H
#define GATEWAY_EVENT_LOOP_H

#include <notifyhub/error.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

struct event_loop;

struct watch {
    alignas(8) unsigned char opaque[64]; /* the library's; first, so that it finds us */
    void (*ready)(struct watch *w, bool in, bool out);
    struct event_loop *loop;
    bool is_on;
};
struct alarm {
    alignas(8) unsigned char opaque[64];
    void (*ring)(struct alarm *a);
    struct event_loop *loop;
    bool is_on;
};

struct event_loop_hooks {
    bool (*before_wait)(void *context); /* true: come back at once */
    void (*woken)(void *context);       /* after one or more event_loop_wake() */
    void *context;
};

/* Errors: NHUB_ENOMEM, NHUB_ESYS. */
NHUB_MUST_USE nhub_err event_loop_create(struct event_loop **out,
                                         const struct event_loop_hooks *hooks);
void event_loop_destroy(struct event_loop **l_p); /* all watches and alarms are off */

void event_loop_run(struct event_loop *l);  /* until event_loop_stop() */
void event_loop_once(struct event_loop *l); /* one turn that does not wait */
void event_loop_stop(struct event_loop *l); /* the loop's thread only */
void event_loop_wake(struct event_loop *l);

/* Watches fd for reading, writing or both; a watch that is on changes what it looks for. The caller
 * sets w->ready first and keeps w where it is while it is on. */
void event_loop_watch(struct event_loop *l, struct watch *w, int fd, bool in, bool out);
void event_loop_unwatch(struct watch *w); /* fine when it is off */
/* Rings each interval_ms. The caller sets a->ring first. */
void event_loop_every(struct event_loop *l, struct alarm *a, int64_t interval_ms);
void event_loop_silence(struct alarm *a);

#endif
