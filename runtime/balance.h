/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_BALANCE_H
#define POSTA_RUNTIME_BALANCE_H

/*
 * Work is balanced by time: an idle worker asks a busy one before it sleeps, and a busy one offers to a sleeper;
 * half of the movable ready actors go, but only when the work that waits is worth more than a move. By count instead
 * of time, small handlers would be torn apart and pay a cache line for each message.
 *
 * And what talks is gathered: a worker that spends most of its time on messages which cross to a worker of a lower
 * number, and whose own work would fit there as well, sends its actors after them. What was gathered is given away
 * again the more reluctantly the more often that happened.
 */

#include "runtime/worker.h"

void posta__balance_ask(struct posta__worker *worker);
/* To a worker that sleeps, if it is worth waking. */
void posta__balance_offer(struct posta__worker *worker);
void posta__balance_give(struct posta__worker *worker, struct posta__worker *asker);
/* Every 100 us or so: are the actors here better off with those they talk to? */
void posta__balance_gather(struct posta__worker *worker);
/* Sends a notified actor after the others, while they are gathered. Returns: whether it went. */
bool posta__balance_gathers(struct posta__worker *worker, struct posta_actor *actor);

/* Notes that a message crossed between this worker and that of the number partner. Boyer and Moore's majority vote. */
static inline void posta__talk_with(struct posta__worker *worker, uint8_t partner)
{
	struct posta__talk *talk = &worker->talk;
	if (talk->partner == partner) {
		talk->votes++;
	} else if (talk->votes) {
		talk->votes--;
	} else {
		talk->partner = partner;
		talk->votes = 1;
	}
}

static inline void posta__balance_serve(struct posta__worker *worker)
{
	/* Relaxed: a hint; the exchange in give decides. */
	struct posta__worker *asker = atomic_load_explicit(&worker->asker, memory_order_relaxed);
	if (POSTA__UNLIKELY(asker != NULL))
		posta__balance_give(worker, asker);
}

#endif
