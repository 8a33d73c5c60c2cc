/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ERROR_H
#define POSTA_ERROR_H

/*
 * What can go wrong, named once. Every call that can fail returns an enum
 * posta_err (0 is success, failures are negative); calls that talk to the
 * outside also fill a struct posta_error with the words a person needs.
 * An actor's exit reason is one of these codes too. Thread: any.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(name, value, retriable, text). "Retriable" says that the same call may
 * succeed later without anybody changing it.
 */
#define POSTA_ERRORS(X)                                                                                                \
	X(OK, 0, false, "success")                                                                                     \
	X(ENOMEM, -1, true, "out of memory")                                                                           \
	X(EINVAL, -2, false, "invalid argument")                                                                       \
	X(EFULL, -3, true, "mailbox or queue is full")                                                                 \
	X(EDEAD, -4, false, "no such actor: it ended or never was")                                                    \
	X(EFOREIGN, -5, false, "reference of another system")                                                          \
	X(ETIMEDOUT, -6, true, "timed out")                                                                            \
	X(ECANCELED, -7, false, "canceled")                                                                            \
	X(ENOTFOUND, -8, false, "not found")                                                                           \
	X(EEXISTS, -9, false, "exists already")                                                                        \
	X(ECLOSED, -10, false, "closed")                                                                               \
	X(EUNSUPPORTED, -11, false, "not supported here")                                                              \
	X(ESTATE, -12, false, "not possible in this state")                                                            \
	X(EWRONGTHREAD, -13, false, "called from a thread that does not own it")                                       \
	X(EUNHANDLED, -14, false, "message not understood")                                                            \
	X(EFORMAT, -15, false, "malformed input")                                                                      \
	X(ETOOBIG, -16, false, "larger than allowed")                                                                  \
	X(EPROTOCOL, -17, true, "protocol violation by the peer")                                                      \
	X(ECONNECTION, -18, true, "connection failed or was lost")                                                     \
	X(EAUTH, -19, false, "credentials refused")                                                                    \
	X(EREFUSED, -20, false, "refused by the broker")                                                               \
	X(EIO, -21, true, "input or output error")                                                                     \
	X(EBLOCKED, -22, true, "the broker accepts nothing now")                                                       \
	X(EEXPIRED, -23, false, "deadline passed")                                                                     \
	X(EINTENSITY, -24, false, "too many restarts")                                                                 \
	X(ESHUTDOWN, -25, false, "asked to shut down")                                                                 \
	X(EKILLED, -26, false, "killed")                                                                               \
	X(EFAILED, -27, false, "the handler failed")                                                                   \
	X(ELINKED, -28, false, "a linked actor failed")                                                                \
	X(EPENDING, -29, true, "not finished yet")                                                                     \
	X(EINTERNAL, -30, false, "internal error: please report it")

enum posta_err {
#define POSTA_ERROR_ENUM(name, value, retriable, text) POSTA_##name = value,
	POSTA_ERRORS(POSTA_ERROR_ENUM)
#undef POSTA_ERROR_ENUM
};

/* Bytes of a message text, its terminating zero included. */
#define POSTA_ERROR_TEXT_MAX 256

/* Out-parameter of start, connect and config calls; untouched on success. */
struct posta_error {
	enum posta_err code;
	bool retriable;
	char text[POSTA_ERROR_TEXT_MAX]; /* what, where, what to do; never a credential */
};

/* Returns: static text for the code ("unknown error" for none of ours). */
const char *posta_strerror(enum posta_err code);

/* Returns: the code's name, "EFULL", or "?" for none of ours. */
const char *posta_err_name(enum posta_err code);

/* Whether the same call may succeed later without anybody changing it. */
bool posta_err_retriable(enum posta_err code);

/* Fills error (NULL is allowed) and returns the code, so that a failing path is one line. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum posta_err
posta_error_set(struct posta_error *error, enum posta_err code, const char *format, ...);

/*
 * Copies a URL with its user and password replaced by "***", for anything a person
 * or a log may see. Truncates at size (bytes, zero included). Returns: out.
 */
const char *posta_url_redact(const char *url, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
