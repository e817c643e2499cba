/*
 * group_death: events whose attempts have all failed become events of the type hub.dead_letter.
 *
 *     {"group":…,"position":…,"attempts":n,"reason":"timeout"|"nack","event":{…}}
 *
 * `event` is null when its record is not to be had any more, or when it is too large or nested too
 * deeply to stand inside another event; its position says what it was. A dead letter that fails in
 * a group of its own is counted, but does not become another one, or the two could go on for ever.
 *
 * Threads: none inside; belongs to the loop.
 */
#ifndef NHUB_DAEMON_GROUP_DEATH_H
#define NHUB_DAEMON_GROUP_DEATH_H

#include "daemon/group_host.h"

/* Begins to read the next one; false when there is none, or the journal takes none now. */
bool group_death_begin(struct group_host *h);
/* Its line was read, or is not there. */
void group_death_use(struct group_host *h, const struct group_now *now);

#endif
