/*
 * position_public: between the public position and the codec's: the same fields, two names.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_CLIENT_POSITION_PUBLIC_H
#define NHUB_CLIENT_POSITION_PUBLIC_H

#include "wire/position.h"

#include <notifyhub/event.h>

nhub_position position_to_public(const struct position *p);
struct position position_from_public(const nhub_position *p);

#endif
