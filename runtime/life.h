/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_LIFE_H
#define POSTA_RUNTIME_LIFE_H

/* What the beginning (spawn.c) and the end (actor.c) of an actor share. */

#include "runtime/system.h"

/* Whether the actor's home is this worker, whose thread calls. */
static inline bool posta__lives_here(const struct posta_actor *actor, const struct posta__worker *worker)
{
	return worker && atomic_load_explicit(&actor->home, memory_order_relaxed) == (uintptr_t)worker;
}

/* The parent's home's. */
static inline void posta__link_child(struct posta_actor *parent, struct posta_actor *child)
{
	child->prev_sibling = NULL;
	child->next_sibling = parent->first_child;
	if (parent->first_child)
		parent->first_child->prev_sibling = child;
	parent->first_child = child;
}

/* worker NULL: a foreign thread. */
void posta__state_release(struct posta__worker *worker, struct posta_system *system, struct posta_actor *actor);

static inline void posta__state_free(struct posta__worker *worker, struct posta_system *system,
				     struct posta_actor *actor)
{
	if (actor->state_owned)
		posta__state_release(worker, system, actor);
}

#endif
