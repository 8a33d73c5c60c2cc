/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_TEMPLATE_H
#define POSTA_ACTORS_ROUTER_TEMPLATE_H

/*
 * Texts with fields in braces, "{source}/{data.id}"; {{ and }} are braces. Compiled ones are read-only. Thread: any.
 */

#include <posta/envelope.h>
#include <posta/error.h>

struct posta__template;

/* Returns: owned; NULL with error (EFORMAT, ENOMEM) and *column, from 1. */
struct posta__template *posta__template_compile(const char *text, unsigned *column, struct posta_error *error);
void posta__template_free(struct posta__template *tmpl);

/*
 * Writes it into *buffer, which grows (realloc; the caller frees it), at most POSTA_ATTRIBUTE_MAX bytes; what is absent
 * is empty. Errors: EFORMAT (as posta__path_get), ETOOBIG, ENOMEM.
 */
enum posta_err posta__template_fill(const struct posta__template *tmpl, struct posta_envelope *envelope, char **buffer,
				    size_t *room, size_t *len, struct posta_error *error);

#endif
