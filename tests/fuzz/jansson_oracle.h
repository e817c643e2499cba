/*
 * jansson_oracle: jansson beside json_scan.h, whose kinds have the same names. Here jansson's are
 * called ORACLE_…; its json_is_… macros must not be used.
 */
#ifndef NHUB_TESTS_JANSSON_ORACLE_H
#define NHUB_TESTS_JANSSON_ORACLE_H

#define JSON_OBJECT  ORACLE_OBJECT
#define JSON_ARRAY   ORACLE_ARRAY
#define JSON_STRING  ORACLE_STRING
#define JSON_INTEGER ORACLE_INTEGER
#define JSON_REAL    ORACLE_REAL
#define JSON_TRUE    ORACLE_TRUE
#define JSON_FALSE   ORACLE_FALSE
#define JSON_NULL    ORACLE_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include <stdlib.h>
#include <string.h>

#include "tests/support/exact_copy.h"
#include "wire/json_scan.h"

#define ORACLE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* A failed expectation stops the fuzzer in every build. */
#define EXPECT(claim)                                                                              \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
