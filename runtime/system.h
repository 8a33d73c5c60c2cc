/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_SYSTEM_H
#define POSTA_RUNTIME_SYSTEM_H

#include "runtime/slots.h"
#include "runtime/worker.h"

#include <posta/log.h>

struct posta__names;
struct posta__groups;

#define POSTA__WORKERS_MAX 250 /* an owner is one byte, 255 is the heap's */

struct posta_system {
	struct posta_system_options options;
	char name[12];
	uint8_t tag;
	int workers;               /* that take any actor: threads, or the one the host drives */
	_Atomic(int) worker_count; /* with the dedicated ones */
	_Atomic(struct posta__worker *) worker[POSTA__WORKERS_MAX];
	struct posta__slots slots;
	pthread_mutex_t lock; /* the slot table's growth, dedicated workers, the end */
	pthread_cond_t ended;
	bool root_ended;
	_Atomic(bool) stopping;
	_Atomic(bool) threads_stop;
	_Atomic(uint8_t) observing; /* POSTA__OBSERVE_*; each worker has a copy */
	struct posta__watchdog *watchdog;
	_Atomic(struct posta__seen *) seen; /* a place for each slot, made when somebody first looks; observe.h */
	_Atomic(uint64_t) virtual_ns;
	struct posta_actor *root;
	struct posta__names *names;
	struct posta__groups *groups;
	_Atomic(uint64_t) foreign_dead_letters[POSTA_DEAD_REASONS];
	bool hooked;                   /* an allocator of the host's */
	struct posta_message *reserve; /* see reserve.c; under the lock */
	_Atomic(uint32_t) reserve_missing;
	void *extensions;      /* what upper rooms hang on a system; under the lock */
	struct posta_sim *sim; /* that drives it; NULL: none. sim.c */
};

/* What a simulated system is beside its options. */
struct posta__simulated {
	struct posta_sim *sim;
	int workers; /* that the simulation steps one by one */
	uint8_t tag; /* of its references: the same in each run */
};

enum posta_err posta__system_start_simulated(const struct posta_system_options *options,
					     const struct posta__simulated *simulated, struct posta_system **system,
					     struct posta_error *error);
/* The two halves of posta_system_stop, for whoever drives it in between. */
void posta__system_begin_stop(struct posta_system *system);
/* Counts and abandons what is left, and frees all. */
void posta__system_finish(struct posta_system *system, struct posta_stop_report *report);

void *posta__alloc(struct posta_system *system, size_t alignment, size_t size);
void posta__free(struct posta_system *system, void *memory, size_t size);
/* Zeroed. */
void *posta__zalloc(struct posta_system *system, size_t size);
/* Large zeroed memory, page-wise untouched where the allocator is the default one. */
void *posta__pages(struct posta_system *system, size_t size);
void posta__pages_free(struct posta_system *system, void *memory, size_t size);

/*
 * One pointer of an upper room per key, made by the first who asks (make runs under a lock: it must not call back into
 * the system) and freed with the system. Any thread.
 * Returns: NULL when out of memory.
 */
void *posta__system_extension(struct posta_system *system, const void *key, void *(*make)(struct posta_system *system),
			      void (*free_extension)(void *extension));

void posta__extensions_free(struct posta_system *system);

/* Tells whoever listens, answers a question with EDEAD, and frees the message. worker NULL: a foreign thread. */
void posta__dead_letter(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			struct posta_message *message, enum posta_dead_reason reason);
/*
 * For what must be told: as posta__message_copy for a small message, but from the system's reserve when there is no
 * memory.
 * NULL: that is used up too.
 */
struct posta_message *posta__message_sure(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					  const void *data, size_t size);
/*
 * For an answer, when there was no memory: from the reserve, half of which stays for what must be told. NULL: too
 * large.
 */
struct posta_message *posta__message_spare(struct posta_system *system, uint32_t type, const void *data, size_t size);
enum posta_err posta__reserve_init(struct posta_system *system);
void posta__reserve_fini(struct posta_system *system);
void posta__root_ended(struct posta_system *system);
struct posta__worker *posta__system_worker(struct posta_system *system, int index);
/* A worker for one actor. NULL with error. */
struct posta__worker *posta__dedicated_start(struct posta_system *system, struct posta_error *error);

/* Host-driven: steps until *done. With threads: returns at once. Thread: the driving one. */
void posta__drive_until(struct posta_system *system, const bool *done);

#endif
