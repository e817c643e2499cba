/*
 * top_screen: a page on the terminal, and its keys. The room of ncurses (top_screen.c only).
 *
 * Threads: the main one.
 */
#ifndef NHUB_CLI_TOP_SCREEN_H
#define NHUB_CLI_TOP_SCREEN_H

#include "cli/top_page.h"

enum top_key {
    TOP_KEY_NONE,
    TOP_KEY_QUIT,
    TOP_KEY_PAUSE,
    TOP_KEY_NOW,
    TOP_KEY_FASTER,
    TOP_KEY_SLOWER,
    TOP_KEY_RESIZED
};

/* Takes the terminal. False when it is none that ncurses knows ($TERM). */
bool top_screen_open(bool has_color);
void top_screen_close(void);
unsigned top_screen_width(void);
/* Shows as many lines as there is room for, and the line of keys at the bottom. */
void top_screen_show(const struct top_page *page, const char *keys);
/* Waits for a key for at most wait_ms. */
enum top_key top_screen_key(int wait_ms);

#endif
