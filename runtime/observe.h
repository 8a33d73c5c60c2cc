/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_OBSERVE_H
#define POSTA_RUNTIME_OBSERVE_H

/*
 * How a running system is looked at for nothing when nobody looks. While somebody does, each worker is poked before
 * each turn (a look it takes anyway), and then marks the actor that is next: a marked actor's turn is not a plain one.
 *
 *   observing? ─▶ poked ─▶ attend: mark the next actor ─▶ its turn: begin(message) ─▶ handler ─▶ end()
 *
 * For the time in the mailbox marked actors are guarded, so that senders take the long way and put the time into the
 * unused end of the message's block.
 */

#include "runtime/system.h"

#include <posta/observe.h>

struct posta__measured {
	_Atomic(uint64_t) count, sum_ns, max_ns;
	_Atomic(uint64_t) buckets[POSTA_HISTOGRAM_BUCKETS];
};

/* Of a worker, made when it first measures. Written by it, read by anybody. */
struct posta__observed {
	struct posta__measured waits, handlers;
};

/* Of the actor in a slot: a table beside that of the slots, and like it memory only where it is used. Home only. */
struct posta__seen {
	posta_ref ref; /* whom the figures are about */
	uint64_t messages, time_ns;
};

/* The next actor is looked at. */
void posta__observe_next(struct posta__worker *worker);
void posta__observe_begin(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message);
void posta__observe_end(struct posta__worker *worker, struct posta_actor *actor);
/* On the long way of a send, when times are measured. */
void posta__observe_stamp(struct posta_system *system, struct posta_message *message);
/* A guarded actor's turn ended: if it was guarded only to be looked at and nobody does any more, it is no longer. */
void posta__observe_unguard(struct posta__worker *worker, struct posta_actor *actor);
/* Switches for all workers, those of later too. Any thread. */
void posta__observe_switch(struct posta_system *system, uint8_t what, bool on);
void posta__observe_worker_free(struct posta__worker *worker);
/* The figures of the actor in a slot, NULL when there are none. Its home's thread. */
const struct posta__seen *posta__observe_seen(const struct posta_system *system, const struct posta_actor *actor);
void posta__observe_fini(struct posta_system *system);

/* -- watchdog.c -- */
enum posta_err posta__watchdog_start(struct posta_system *system, struct posta_error *error);
void posta__watchdog_stop(struct posta_system *system);

#endif
