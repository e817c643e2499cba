/*
 * gateway: what the commands have in common when they talk to a gateway instead of the hub.
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_GATEWAY_H
#define NHUB_CLI_GATEWAY_H

#include "cli/cli.h"
#include "cli/http_client.h"

/* The client of cli->gateway. False when the URL is no good (told). */
bool gateway_open(const struct cli *cli, struct http_client **out);
/* Explains a failed call or a status that is not 2xx, and gives the exit status. */
int gateway_fail(const struct cli *cli, const char *what, const struct http_client *c, nhub_err err,
                 const struct http_answer *answer);
/* The member of a problem+json body, "" when there is none. out_size bytes with the NUL. */
void gateway_problem(const struct http_answer *answer, const char *member, char *out,
                     size_t out_size);
/* Appends "?event_type=a&event_type=b&since=…" and leaves out what is empty. */
void gateway_add_query(struct buf *path, const struct cli_list *patterns, const char *since);

#endif
