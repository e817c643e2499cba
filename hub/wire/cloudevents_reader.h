/*
 * cloudevents_reader: builds an event from the attributes of a CloudEvent, whatever mode they come
 * in; the inside of the module cloudevents.
 *
 * Threads: any; pure functions.
 */
#ifndef NHUB_WIRE_CLOUDEVENTS_READER_H
#define NHUB_WIRE_CLOUDEVENTS_READER_H

#include "wire/cloudevents.h"

enum ce_role {
    CE_EXTENSION, /* metadata "ce-<name>" */
    CE_OPTIONAL,  /* the same, but a string that is not empty */
    CE_FIELD,     /* a string that is not empty <-> the event's field `target` */
    CE_VERSION,
    CE_TIME,
    CE_DATA,
    CE_BASE64,
    CE_PLAIN,   /* metadata of the same name */
    CE_RENAMED, /* metadata `target`, because "ce-<name>" has a meaning of its own */
    CE_NESTED,  /* metadata that cannot be attributes */
    CE_IGNORED
};

struct ce_name {
    const char *name;
    enum ce_role role;
    const char *target;
};

#define CE_ENCODING_KEY "ce-ext-encoding"

/* The row of an attribute; an extension that is not known has a row with an empty name. */
const struct ce_name *ce_name_find(const char *name, size_t len);

struct ce_reader {
    struct buf *out;
    size_t before;       /* out->len at the start */
    struct buf metadata; /* members, without the brackets */
    struct buf scratch;
    struct event_error *error;
    unsigned has; /* which of the required attributes */
    bool has_data;
    bool has_base64;
};

/* Opens the event in *out, at its end. */
void ce_reader_init(struct ce_reader *r, struct buf *out, struct event_error *error);
/* Sets the error, and returns NHUB_EPROTO. */
nhub_err ce_refuse(struct ce_reader *r, enum event_reason reason, const char *field,
                   const char *detail);
/* One attribute but data; one that is null counts as absent (JSON format, section 2.2). Errors:
 * NHUB_EPROTO, NHUB_ENOMEM. */
NHUB_MUST_USE nhub_err ce_add_attribute(struct ce_reader *r, const char *name, size_t len,
                                        const struct json_span *value);
/* A whole JSON text as strict readers take it. Errors: NHUB_EPROTO. */
NHUB_MUST_USE nhub_err ce_check_json(struct ce_reader *r, const char *field, const char *text,
                                     size_t len, struct json_span *out);
void ce_add_data(struct ce_reader *r, const struct json_span *value);
/* Opens a member of the event; its value is to be added to r->out. */
void ce_open_field(struct ce_reader *r, const char *field);
/* The data is base64. */
void ce_mark_base64(struct ce_reader *r);
/* Checks what is required and closes the event, if err is NHUB_OK; *out is as before on failure.
 * Returns err or what it found itself. */
NHUB_MUST_USE nhub_err ce_reader_end(struct ce_reader *r, nhub_err err);

/* True for base64 of RFC 4648, section 4, with its padding. */
bool ce_is_base64(const char *text, size_t len);

#endif
