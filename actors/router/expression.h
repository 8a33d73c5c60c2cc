/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_EXPRESSION_H
#define POSTA_ACTORS_ROUTER_EXPRESSION_H

/*
 * Conditions over an envelope: compiled once, then asked for each message. The language is total: no loops, every
 * expression ends in true, false or "the body is not JSON"; docs/guides/routes.md has its rules. Compiled ones are
 * read-only. Thread: any.
 */

#include <posta/envelope.h>
#include <posta/error.h>

#define POSTA__EXPRESSION_BYTES_MAX 8192u
#define POSTA__EXPRESSION_DEPTH_MAX 64u
#define POSTA__EXPRESSION_NODES_MAX 1024u

struct posta__expression;

/* Returns: owned; NULL with error (EFORMAT, ETOOBIG, ENOMEM) and *column, from 1. */
struct posta__expression *posta__expression_compile(const char *text, unsigned *column, struct posta_error *error);
void posta__expression_free(struct posta__expression *expression);

/*
 * Errors: EFORMAT with the reason in error: a field of the body was asked for and the body is neither JSON nor msgpack.
 * *result untouched then.
 */
enum posta_err posta__expression_test(const struct posta__expression *expression, struct posta_envelope *envelope,
				      bool *result, struct posta_error *error);

/* Whether path names something an envelope can have. Errors: EFORMAT. */
enum posta_err posta__path_check(const char *path, struct posta_error *error);
/* As posta_envelope_field, and EFORMAT where path is in the body and the body has no fields. */
enum posta_err posta__path_get(struct posta_envelope *envelope, const char *path, struct posta_value *value,
			       struct posta_error *error);

#endif
