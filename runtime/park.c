/* SPDX-License-Identifier: MIT */
/*
 * Parking: who sends to a full mailbox of the policy PARK gets no more messages until there is room.
 *
 *   sender's handler: posta_send ─▶ full? the message goes in all the same, the sender is held ──PARKED──▶ receiver
 *   sender:  held ◀──────────────────────── ROOM ◀── the receiver's turn left at most half of the limit
 *
 * So a mailbox is longer than its limit by what its senders send in one handler each, and by no more.
 *
 * No deadlock: a sender is held only if the chain of who waits for whom, which starts at its receiver, does not come
 * back to it. Two that wait for each other at the same moment on two workers: each first stores whom it waits for, then
 * walks (both sequentially consistent), so at least the later of them sees the other, and goes through.
 * Replies and signals are not counted and wait for nobody.
 */
#include "runtime/park.h"
#include "runtime/cold.h"

#define CHAIN_MAX 64 /* a longer chain is taken for a cycle: to go through is always right */

static posta_ref waits_for(const struct posta_actor *actor)
{
	return atomic_load_explicit(&actor->parked_on, memory_order_seq_cst);
}

static bool closes_a_cycle(const struct posta__worker *worker, posta_ref parker, posta_ref to)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		if (to == parker)
			return true;
		const struct posta_actor *actor = posta__slot(worker, to);
		if (to == POSTA_NOBODY || atomic_load_explicit(&actor->self, memory_order_relaxed) != to)
			return false;
		to = waits_for(actor);
	}
	return true;
}

static bool may_park(const struct posta__worker *worker, const struct posta_actor *actor, posta_ref parker)
{
	return parker != POSTA_NOBODY && posta__self(actor) == parker &&
	       atomic_load_explicit(&actor->home, memory_order_relaxed) == (uintptr_t)worker &&
	       actor->status == POSTA__RUNNING && waits_for(actor) == POSTA_NOBODY;
}

bool posta__park(struct posta__worker *worker, posta_ref parker, posta_ref to)
{
	struct posta_actor *actor = posta__slot(worker, parker);
	if (!may_park(worker, actor, parker) || !posta__cold_get(actor))
		return false;
	struct posta__signal_data data = { .ref = parker };
	atomic_store_explicit(&actor->parked_on, to, memory_order_seq_cst);
	if (closes_a_cycle(worker, parker, to) ||
	    !posta__signal_send(worker->system, worker, to, POSTA__SIGNAL_PARKED, &data)) {
		atomic_store_explicit(&actor->parked_on, POSTA_NOBODY, memory_order_relaxed);
		return false;
	}
	actor->attention |= POSTA__ATTEND_HOLD;
	posta__count(&worker->counters.parked, 1);
	return true;
}

static void tell_room(struct posta__worker *worker, const struct posta_actor *actor, posta_ref parker)
{
	struct posta__signal_data data = { .ref = posta__self(actor) };
	posta__signal_send(worker->system, worker, parker, POSTA__SIGNAL_ROOM, &data);
}

static bool has_room(const struct posta_actor *actor)
{
	return !atomic_load_explicit(&actor->bounded, memory_order_relaxed) ||
	       atomic_load_explicit(&actor->length, memory_order_relaxed) <=
					  atomic_load_explicit(&actor->length_max, memory_order_relaxed) / 2;
}

void posta__park_wait(struct posta__worker *worker, struct posta_actor *actor, posta_ref parker)
{
	struct posta__cold *cold = has_room(actor) ? NULL : posta__cold_get(actor);
	posta_ref *place = cold ? posta__list_add(actor, &cold->waiters, sizeof *place) : NULL;
	if (place)
		*place = parker;
	else /* there is room already; or it cannot be remembered, and must not wait for ever */
		tell_room(worker, actor, parker);
}

void posta__park_resume(struct posta__worker *worker, struct posta_actor *actor, posta_ref target)
{
	if (waits_for(actor) != target)
		return;
	atomic_store_explicit(&actor->parked_on, POSTA_NOBODY, memory_order_relaxed);
	if (actor->status != POSTA__RUNNING)
		return;
	actor->attention &= (uint8_t)~POSTA__ATTEND_HOLD;
	posta__run_ready(worker, actor);
}

static void release_all(struct posta__worker *worker, struct posta_actor *actor)
{
	const posta_ref *waiters = actor->cold->waiters.items;
	for (uint32_t i = 0; i < actor->cold->waiters.count; i++)
		tell_room(worker, actor, waiters[i]);
	actor->cold->waiters.count = 0;
}

void posta__park_room(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->cold && actor->cold->waiters.count && has_room(actor))
		release_all(worker, actor);
}

void posta__park_drop(struct posta__worker *worker, struct posta_actor *actor)
{
	atomic_store_explicit(&actor->parked_on, POSTA_NOBODY, memory_order_relaxed);
	release_all(worker, actor);
}
