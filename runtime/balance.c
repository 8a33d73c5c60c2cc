/* SPDX-License-Identifier: MIT */
#include "runtime/balance.h"
#include "runtime/mailbox.h"

/* What a move costs both sides, measured: about 70 us of waiting work pays for it. */
#define MOVE_US 70.0
#define WAITING_MAX 4096 /* counted at most: half of it is what one move gives */

void posta__balance_ask(struct posta__worker *worker)
{
	struct posta_system *system = worker->system;
	if (worker->dedicated || system->workers < 2)
		return;
	for (int i = 1; i < system->workers; i++) {
		struct posta__worker *other = posta__system_worker(system, (worker->id + i) % system->workers);
		struct posta__worker *nobody = NULL;
		if (atomic_load_explicit(&other->sleeping, memory_order_relaxed))
			continue;
		/* Relaxed: it carries no data but the asker, which lives as long as the system. */
		if (atomic_compare_exchange_strong_explicit(&other->asker, &nobody, worker, memory_order_relaxed,
							    memory_order_relaxed)) {
			posta__poke(other);
			return;
		}
	}
}

static bool movable(const struct posta_actor *actor)
{
	return !actor->pinned && !actor->timers && actor->status == POSTA__RUNNING && !actor->attention;
}

static void hand_over(struct posta_actor *actor, struct posta__worker *to)
{
	/* Release: PAIRS with the acquire in the drain's notified(); after it this worker touches adopt_next alone. */
	atomic_store_explicit(&actor->home, (uintptr_t)to | 1, memory_order_release);
	posta__adopt_push(to, actor);
}

/* Returns: how many actors wait, 0 when they are not worth a move. */
static size_t worth_a_move(const struct posta__worker *worker)
{
	size_t waiting = posta__run_count(worker, WAITING_MAX);
	return waiting >= 2 && (double)waiting * worker->turn_ticks >= MOVE_US * worker->ticks_per_us ? waiting : 0;
}

static void give_half(struct posta__worker *worker, struct posta__worker *to, size_t waiting)
{
	for (size_t i = 0, given = 0; i < waiting && given < waiting / 2; i++) {
		struct posta_actor *actor = posta__run_pop(worker);
		if (movable(actor)) {
			hand_over(actor, to);
			posta__count(&worker->counters.moved, 1);
			given++;
		} else {
			posta__run_push(worker, actor);
		}
	}
}

void posta__balance_give(struct posta__worker *worker, struct posta__worker *asker)
{
	asker = atomic_exchange_explicit(&worker->asker, NULL, memory_order_relaxed);
	size_t waiting = asker && asker != worker ? worth_a_move(worker) : 0;
	if (waiting)
		give_half(worker, asker, waiting);
}

void posta__balance_offer(struct posta__worker *worker)
{
	struct posta_system *system = worker->system;
	size_t waiting = worker->dedicated || system->workers < 2 ? 0 : worth_a_move(worker);
	if (!waiting)
		return;
	for (int i = 1; i < system->workers; i++) {
		struct posta__worker *other = posta__system_worker(system, (worker->id + i) % system->workers);
		if (!atomic_load_explicit(&other->sleeping, memory_order_relaxed))
			continue;
		give_half(worker, other, waiting);
		return;
	}
}
