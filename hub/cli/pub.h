/*
 * pub: the parts of `notifyhub pub`: cmd_pub.c (one event), pub_lines.c (a stream of them).
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_PUB_H
#define NHUB_CLI_PUB_H

#include "cli/args.h"

struct pub_options {
    const char *source, *id, *correlation_id, *kind, *timestamp, *durability;
    struct cli_list metadata; /* "key=value" */
    bool is_forgotten;        /* fire and forget */
    bool is_ndjson, keeps_going;
    int durability_value; /* enum durability */
    int timeout_ms;
};

extern const struct command_help pub_help;

/* A publisher for the hub; exit status in *out_exit when there is none. */
bool pub_open(const struct cli *cli, const struct pub_options *o, nhub_publisher **out,
              int *out_exit);
/* "?durability=synced" for the gateway. */
struct buf;
void pub_add_path(struct buf *path, const struct pub_options *o);
/* Explains a publish that did not go well, and gives its exit status. */
int pub_fail(const struct cli *cli, const nhub_publisher *p, nhub_err err, const nhub_ack *ack);
/* Whether a gateway's door would take the line, as far as that can be known here; else why not. */
bool pub_check_line(nhub_bytes line, char *reason, size_t size);
/* Publishes stdin, one event a line, and prints a summary. Returns the exit status. */
int pub_lines(const struct cli *cli, const struct pub_options *o);

#endif
