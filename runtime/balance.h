/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_BALANCE_H
#define POSTA_RUNTIME_BALANCE_H

/*
 * Work is balanced by time: an idle worker asks a busy one before it sleeps, and a busy one offers to a sleeper;
 * half of the movable ready actors go, but only when the work that waits is worth more than a move. By count instead
 * of time, small handlers would be torn apart and pay a cache line for each message.
 */

#include "runtime/worker.h"

void posta__balance_ask(struct posta__worker *worker);
/* To a worker that sleeps, if it is worth waking. */
void posta__balance_offer(struct posta__worker *worker);
void posta__balance_give(struct posta__worker *worker, struct posta__worker *asker);

static inline void posta__balance_serve(struct posta__worker *worker)
{
	/* Relaxed: a hint; the exchange in give decides. */
	struct posta__worker *asker = atomic_load_explicit(&worker->asker, memory_order_relaxed);
	if (POSTA__UNLIKELY(asker != NULL))
		posta__balance_give(worker, asker);
}

#endif
