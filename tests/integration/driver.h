/*
 * driver: what the programs have in common that make libnotifyhub do what a test says: one command
 * a line on stdin, one JSON object a line on stdout, the library's log on stderr.
 */
#ifndef NHUB_TESTS_DRIVER_H
#define NHUB_TESTS_DRIVER_H

#include <stdbool.h>

/* Milliseconds on the steady clock. */
long long driver_now_ms(void);

/* Milliseconds from now until then; 0 when that is over. */
int driver_left_ms(long long until_ms);

/* Takes the next word of *line; "" when there is none. */
char *driver_word(char **line);

/* The text, or NULL for "-". */
const char *driver_nothing(const char *text);

/* Carries out one command; its line is the rest behind the name. False: there is no such command.
 */
typedef bool driver_obey_fn(const char *name, char *line);

/* Carries out the commands of stdin until its end. */
void driver_run(driver_obey_fn *obey);

#endif
