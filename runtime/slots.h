/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_SLOTS_H
#define POSTA_RUNTIME_SLOTS_H

/* The table of slots: chunks that are added and never taken away while the system lives. */

#include "runtime/actor.h"

#define POSTA__CHUNK_SLOTS 4096u
#define POSTA__CHUNKS_MAX ((POSTA__INDEX_MASK + 1) / POSTA__CHUNK_SLOTS) /* room in the table */
#define POSTA__SLOT_BATCH 64u                                            /* slots a worker takes at a time */

struct posta__slots {
	_Atomic(struct posta_actor *) *chunks;
	uint32_t chunk_count; /* chunks that may be added: actors_max */
	uint32_t used;        /* slots handed out once; under the system's lock */
};

struct posta__worker;

enum posta_err posta__slots_init(struct posta_system *system, uint32_t actors_max);
void posta__slots_fini(struct posta_system *system);
/* Takes a batch, linked by run_next. NULL: out of memory or actors_max reached. Any thread. */
struct posta_actor *posta__slots_take(struct posta_system *system);
/* A free slot for a spawn on this worker's thread (NULL: a foreign thread). */
struct posta_actor *posta__slot_new(struct posta_system *system, struct posta__worker *worker);
/* Back to the worker that was its home. */
void posta__slot_free(struct posta__worker *worker, struct posta_actor *actor);

#endif
