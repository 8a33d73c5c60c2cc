/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_ENVIRONMENT_H
#define POSTA_ACTORS_ROUTER_ENVIRONMENT_H

/* Texts of a file of settings. Thread: any that does not change the environment. */

#include <posta/error.h>

#include <stdint.h>

/*
 * Puts in what ${NAME} and ${NAME:-default} stand for; $$ is a dollar. Variables that are set but empty take the
 * default. *filled: owned, free(). Errors: EFORMAT, ENOTFOUND (not set), ETOOBIG, ENOMEM, with *column from 1.
 */
enum posta_err posta__environment_fill(const char *text, char **filled, unsigned *column, struct posta_error *error);

/* "500ms", "1s", "1.5s", "2m", "1h", "0". Returns: false when it is none, or more than 49 days. */
bool posta__duration_parse(const char *text, uint64_t *ms);

#endif
