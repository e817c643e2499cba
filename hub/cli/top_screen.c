/*
 * top_screen: ncurses.
 */
#include "cli/top_screen.h"

#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

enum pair { PAIR_GOOD = 1, PAIR_WARN, PAIR_BAD };

static SCREEN *screen;

static void start_colors(void)
{
    short background = COLOR_BLACK;

    (void)start_color();
    if (use_default_colors() == OK) {
        background = -1;
    }
    (void)init_pair(PAIR_GOOD, COLOR_GREEN, background);
    (void)init_pair(PAIR_WARN, COLOR_YELLOW, background);
    (void)init_pair(PAIR_BAD, COLOR_RED, background);
}

bool top_screen_open(bool has_color)
{
    screen = newterm(NULL, stdout, stdin); /* initscr() would end the process for a bad $TERM */
    if (!screen) {
        return false;
    }
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)curs_set(0); /* some terminals cannot */
    if (has_color && has_colors()) {
        start_colors();
    }
    return true;
}

void top_screen_close(void)
{
    if (screen) {
        (void)endwin();
        delscreen(screen);
        screen = NULL;
    }
}

unsigned top_screen_width(void)
{
    return (unsigned)getmaxx(stdscr);
}

static attr_t look(enum top_style style)
{
    switch (style) {
    case TOP_TITLE:
        return A_REVERSE;
    case TOP_DIM:
        return A_DIM;
    case TOP_GOOD:
        return (attr_t)COLOR_PAIR(PAIR_GOOD);
    case TOP_WARN:
        return (attr_t)COLOR_PAIR(PAIR_WARN) | A_BOLD;
    case TOP_BAD:
        return (attr_t)COLOR_PAIR(PAIR_BAD) | A_BOLD;
    case TOP_BIG:
        return A_BOLD;
    case TOP_PLAIN:
        break;
    }
    return A_NORMAL;
}

/* The bytes of the first `columns` characters. */
static size_t clip(const struct buf *b, int columns)
{
    size_t i = 0;

    while (i < b->len && columns > 0) {
        do {
            i++;
        } while (i < b->len && ((unsigned char)b->data[i] & 0xC0) == 0x80);
        columns--;
    }
    return i;
}

void top_screen_show(const struct top_page *page, const char *keys)
{
    const int rows = getmaxy(stdscr);
    const int width = getmaxx(stdscr);
    int row = 0;

    (void)erase();
    for (size_t i = 0; i < page->count && row < rows - 1; i++, row++) {
        const struct buf *b = &page->lines[i].text;

        if (b->len > 0) {
            (void)attrset((int)look(page->lines[i].style));
            (void)mvaddnstr(row, 0, b->data, (int)clip(b, width));
        }
    }
    (void)attrset(A_DIM);
    (void)mvaddnstr(rows - 1, 0, keys, width);
    (void)attrset(A_NORMAL);
    (void)refresh();
}

enum top_key top_screen_key(int wait_ms)
{
    timeout(wait_ms);
    switch (getch()) {
    case 'q':
    case 'Q':
    case 27: /* escape */
        return TOP_KEY_QUIT;
    case 'p':
        return TOP_KEY_PAUSE;
    case ' ':
        return TOP_KEY_NOW;
    case '+':
        return TOP_KEY_FASTER;
    case '-':
        return TOP_KEY_SLOWER;
    case KEY_RESIZE:
        return TOP_KEY_RESIZED;
    default:
        return TOP_KEY_NONE;
    }
}
