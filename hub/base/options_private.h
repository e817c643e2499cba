/*
 * options_private: what the files of options share: names of a row, its value from and to text,
 * suggestions. Not for others.
 */
#ifndef NHUB_BASE_OPTIONS_PRIVATE_H
#define NHUB_BASE_OPTIONS_PRIVATE_H

#include "base/options.h"

#define OPTION_NAME_SIZE 128 /* the longest name in any form, with its NUL */

/* How a row is called where it is set. */
enum option_form {
    OPTION_FORM_KEY,  /* hub.collector_port */
    OPTION_FORM_ENV,  /* NOTIFYHUB_HUB_COLLECTOR_PORT */
    OPTION_FORM_FLAG, /* --hub-collector-port */
};
void option_name(const struct option *row, enum option_form form, char out[OPTION_NAME_SIZE]);
/* NULL when there is none. */
const struct option *option_find(const struct options *o, enum option_form form, const char *name,
                                 size_t len);
/* Whether some key continues path with a dot. */
bool option_is_section(const struct options *o, const char *path, size_t len);
/* Appends the keys and sections right below path ("" = the top): "hub, gateway, log". */
void option_add_children(const struct options *o, const char *path, struct buf *out);
/* Appends the name nearest to an unknown one in the same form; false when none is near. */
bool option_nearest(const struct options *o, enum option_form form, const char *name,
                    struct buf *out);

/*
 * Sets the row's field in values from text (a list: from comma-separated text). On NHUB_ECONFIG
 * *problem got the text behind the colon: the value seen, what is wrong and what is allowed.
 */
NHUB_MUST_USE nhub_err option_assign(const struct option *row, void *values, const char *text,
                                     struct buf *problem);
/* The same for a list whose items are known. The items are copied. */
NHUB_MUST_USE nhub_err option_assign_items(const struct option *row, void *values,
                                           const char *const *items, size_t count,
                                           struct buf *problem);
/* Appends what the row allows: "a whole number from 0 to 65535". */
void option_add_allowed(const struct option *row, struct buf *out);
/* Appends text in quotes, shortened, fit for a terminal. */
void option_add_seen(struct buf *out, const char *text);
/* Appends a size or a duration of the row as people write it: 64MiB, 7d. */
void option_add_number(const struct option *row, uint64_t value, struct buf *out);
/* Frees what the field owns and zeroes it. */
void option_clear(const struct option *row, void *values);

#endif
