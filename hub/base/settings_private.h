/* settings_private: what the files of settings share. Not for others. */
#ifndef NHUB_BASE_SETTINGS_PRIVATE_H
#define NHUB_BASE_SETTINGS_PRIVATE_H

#include "base/settings.h"

/* The rules between keys. NHUB_ECONFIG with a text in *error that names both. */
NHUB_MUST_USE nhub_err settings_check(const struct settings *s, struct buf *error);

#endif
