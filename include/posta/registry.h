/* SPDX-License-Identifier: MIT */
#ifndef POSTA_REGISTRY_H
#define POSTA_REGISTRY_H

/* Names of actors within a system. A name ends with its actor. Thread: any, for lookups; the actor's own otherwise. */

#include <posta/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTA_NAME_MAX 255u

/* Errors: EEXISTS, EINVAL (empty or over POSTA_NAME_MAX bytes), ENOMEM. One actor may have several names. */
enum posta_err posta_register(struct posta_actor *self, const char *name);
/* Errors: ENOTFOUND: not a name of self. */
enum posta_err posta_unregister(struct posta_actor *self, const char *name);
/* Returns: POSTA_NOBODY when nobody has that name. */
posta_ref posta_lookup(struct posta_system *system, const char *name);

#ifdef __cplusplus
}
#endif
#endif
