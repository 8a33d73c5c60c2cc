/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_REGISTRY_H
#define POSTA_RUNTIME_REGISTRY_H

#include "runtime/system.h"

#include <posta/registry.h>

enum posta_err posta__names_init(struct posta_system *system);
void posta__names_fini(struct posta_system *system);
/* For a spawn, before it runs; posta__name_note follows. */
enum posta_err posta__name_take(struct posta_system *system, const char *name, posta_ref ref);
/* The actor remembers a name it took, to give it back at its end. */
enum posta_err posta__name_note(struct posta_system *system, struct posta_actor *actor, const char *name);
/* All names of an actor that ended. */
void posta__names_drop(struct posta_system *system, struct posta_actor *actor);

enum posta_err posta__groups_init(struct posta_system *system);
void posta__groups_fini(struct posta_system *system);
void posta__groups_drop(struct posta_system *system, struct posta_actor *actor);

#endif
