/*
 * error: the one list of result codes. It makes the enum, nhub_strerror() and the manual.
 *
 * What can fail returns nhub_err: NHUB_OK or a negative code. Result parameters stay untouched on
 * failure. Texts are static; an unknown code has one too.
 */
#ifndef NOTIFYHUB_ERROR_H
#define NOTIFYHUB_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define NHUB_ERRORS(X)                                                                             \
    X(NHUB_OK, 0, "success")                                                                       \
    X(NHUB_EINVAL, -1, "invalid argument")                                                         \
    X(NHUB_ENOMEM, -2, "out of memory")                                                            \
    X(NHUB_EAGAIN, -3, "would block, try again")                                                   \
    X(NHUB_ETIMEOUT, -4, "timed out")                                                              \
    X(NHUB_ECLOSED, -5, "connection or object is closed")                                          \
    X(NHUB_ETOOBIG, -6, "larger than the limit")                                                   \
    X(NHUB_EPROTO, -7, "malformed message")                                                        \
    X(NHUB_ESYS, -8, "system call failed, see errno")                                              \
    X(NHUB_ENOTFOUND, -9, "not found")                                                             \
    X(NHUB_EREFUSED, -10, "refused by the other side")                                             \
    X(NHUB_EUNAVAIL, -11, "service is not available")                                              \
    X(NHUB_ECONFIG, -12, "bad configuration")                                                      \
    X(NHUB_EFULL, -13, "limit reached")                                                            \
    X(NHUB_EEXIST, -14, "already exists")                                                          \
    X(NHUB_ECONFLICT, -15, "conflicts with an earlier request")                                    \
    X(NHUB_ESTATE, -16, "not possible in this state")                                              \
    X(NHUB_ENODURABILITY, -17, "not accepted: cannot be kept as safely as asked for")              \
    X(NHUB_ENOTKEPT, -18, "accepted, but not kept as safely as asked for")

typedef enum nhub_err {
#define NHUB_ERROR_ROW(name, value, text) name = (value),
    NHUB_ERRORS(NHUB_ERROR_ROW)
#undef NHUB_ERROR_ROW
} nhub_err;

#if defined(__GNUC__)
#define NHUB_MUST_USE           __attribute__((warn_unused_result))
#define NHUB_API                __attribute__((visibility("default")))
#define NHUB_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define NHUB_MUST_USE
#define NHUB_API
#define NHUB_PRINTF(fmt, first)
#endif

/* Drops a result on purpose; the reason stands beside the call. */
#define NHUB_IGNORE(call)                                                                          \
    do {                                                                                           \
        if (call) {                                                                                \
        }                                                                                          \
    } while (0)

/* The code's text: static, never NULL. Any thread. */
NHUB_API const char *nhub_strerror(nhub_err code);

#ifdef __cplusplus
}
#endif
#endif
