/*
 * failmalloc: makes a chosen allocation of the code under test fail, and counts what is not freed.
 *
 * A test program whose first line is "// with: failmalloc" is linked with --wrap for malloc,
 * calloc, realloc, strdup and free, as far as our own objects call them; what happens inside shared
 * libraries is left alone. One thread.
 *
 *   for (long n = 0;; n++) {
 *       failmalloc_arm(n);
 *       run();
 *       if (!failmalloc_disarm()) { break; }   // the n-th was never reached: all have failed once
 *   }
 */
#ifndef NHUB_TESTS_FAILMALLOC_H
#define NHUB_TESTS_FAILMALLOC_H

#include <stdbool.h>

/* The n-th allocation from now on, counted from 0, fails; those before and after do not. */
void failmalloc_arm(long n);
/* Back to normal. True when an allocation failed since failmalloc_arm(). */
bool failmalloc_disarm(void);
/* Blocks that are allocated and not freed at this moment. */
long failmalloc_live(void);

#endif
