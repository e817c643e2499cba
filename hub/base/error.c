/* error: the texts of the result codes, made from the one list in notifyhub/error.h. */
#include <notifyhub/error.h>

const char *nhub_strerror(nhub_err code)
{
    switch (code) {
#define NHUB_ERROR_ROW(name, value, text)                                                          \
    case name:                                                                                     \
        return text;
        NHUB_ERRORS(NHUB_ERROR_ROW)
#undef NHUB_ERROR_ROW
    }
    return "unknown error code";
}
