/*
 * top_page: the figures of `notifyhub top` as lines of text of a given width, without a terminal.
 *
 * Threads: none inside; no I/O.
 */
#ifndef NHUB_CLI_TOP_PAGE_H
#define NHUB_CLI_TOP_PAGE_H

#include "base/buf.h"
#include "cli/top_figures.h"

#define TOP_LINES_MAX 40
#define TOP_WIDTH_MIN 40
#define TOP_WIDTH_MAX 200

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_DIM, TOP_GOOD, TOP_WARN, TOP_BAD, TOP_BIG };

struct top_line {
    struct buf text;
    enum top_style style; /* of the whole line */
};

struct top_page {
    struct top_line lines[TOP_LINES_MAX];
    size_t count;
    unsigned width; /* columns */
    bool is_utf8;   /* sparklines of block characters; else of ASCII ones */
};

/* What the page is about. */
struct top_view {
    const char *target; /* the URL, or host:port of the hub */
    const char *clock;  /* "12:34:56" */
    double interval_s;  /* between readings */
    bool is_paused;
    const char *trouble; /* the last reading failed because …, NULL = it did not */
    double trouble_s;    /* for so long */
    double now_s;        /* seconds since 1970 */
};

/* All lines for a width within TOP_WIDTH_MIN … TOP_WIDTH_MAX. *page is zeroed before the first use,
 * filled anew by each call, and freed with top_page_fini(). */
void top_page_fill(struct top_page *page, const struct top_figures *f, const struct top_view *view);
void top_page_fini(struct top_page *page);

/* 1234567 as "1.23 M", 12.3 as "12.3"; bytes as "1.2 MiB"; seconds as "3 h 12 m". */
void top_format_count(double value, char out[24]);
void top_format_bytes(double value, char out[24]);
void top_format_age(double seconds, char out[24]);

#endif
