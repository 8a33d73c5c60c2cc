/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_SLOTS_H
#define POSTA_RUNTIME_SLOTS_H

/*
 * The table of slots: one stretch of reserved addresses, of which the kernel makes memory what is used. So a slot is
 * found from a reference by arithmetic alone, and any reference, also a forged one, finds a slot: a free one at worst.
 */

#include "runtime/actor.h"

#define POSTA__SLOT_BATCH 64u /* slots a worker takes at a time */

struct posta__slots {
	struct posta_actor *table;
	uint32_t mask;                 /* places in the table - 1: a power of two */
	uint32_t max;                  /* that may be used: actors_max */
	uint32_t used;                 /* slots handed out once; under the system's lock */
	struct posta_actor *strangers; /* free ones for foreign threads; under the system's lock */
};

struct posta__worker;

/*
 * Reserves the table. With actors_max 0 it takes what the process may reserve, at most 16,777,216.
 * Errors: ENOMEM: the limit of address space (ulimit -v, strict overcommit) is below actors_max x 192 bytes.
 */
enum posta_err posta__slots_init(struct posta_system *system, uint32_t actors_max);
void posta__slots_fini(struct posta_system *system);
/* Takes a batch, linked by next_sibling. NULL: out of memory or actors_max reached. Any thread. */
struct posta_actor *posta__slots_take(struct posta_system *system);
/* A free slot for a spawn on this worker's thread (NULL: a foreign thread). */
struct posta_actor *posta__slot_new(struct posta_system *system, struct posta__worker *worker);
/*
 * As fresh from the table, but for its number and generation: before it is free. By its home, or before it is
 * published.
 */
static inline void posta__slot_clean(struct posta_actor *actor)
{
	actor->pinned = actor->supervised = actor->parent_releases = false;
	actor->status = POSTA__FREE;
	actor->attention = 0;
}

/* Back to the worker that was its home. */
void posta__slot_free(struct posta__worker *worker, struct posta_actor *actor);

#endif
