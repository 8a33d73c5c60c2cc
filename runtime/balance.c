/* SPDX-License-Identifier: MIT */
#include "runtime/balance.h"
#include "runtime/mailbox.h"

/* What a move costs both sides, measured: about 70 us of waiting work pays for it. */
#define MOVE_US 70.0
#define RELUCTANCE_MAX 7u /* each step doubles what pays for a move */
#define RELENT_US 50000.0 /* until one step is forgotten */
/*
 * What a message that crosses costs each side at least: its block, the receiver's line and perhaps the inbox change
 * cores.
 */
#define CROSSING_US 0.1
#define WINDOW_US 100.0
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

static void move(struct posta__worker *worker, struct posta_actor *actor, struct posta__worker *to)
{
	hand_over(actor, to);
	posta__count(&worker->counters.moved, 1);
}

/* Returns: how many actors wait, 0 when they are not worth a move. */
static size_t worth_a_move(const struct posta__worker *worker)
{
	uint32_t reluctance = atomic_load_explicit(&worker->reluctance, memory_order_relaxed);
	double price = MOVE_US * worker->ticks_per_us *
		       (double)(1u << (reluctance < RELUCTANCE_MAX ? reluctance : RELUCTANCE_MAX));
	size_t waiting = posta__run_count(worker, WAITING_MAX);
	return waiting >= 2 && (double)waiting * worker->turn_ticks >= price ? waiting : 0;
}

static void give_half(struct posta__worker *worker, struct posta__worker *to, size_t waiting)
{
	for (size_t i = 0, given = 0; i < waiting && given < waiting / 2; i++) {
		struct posta_actor *actor = posta__run_pop(worker);
		if (movable(actor)) {
			move(worker, actor, to);
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

/* -- Gathering -- */

bool posta__balance_gathers(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta__worker *to = worker->talk.gather_to;
	if (POSTA__LIKELY(!to) || actor->queued || !movable(actor))
		return false;
	move(worker, actor, to);
	return true;
}

static void gather_ready(struct posta__worker *worker, struct posta__worker *to)
{
	for (size_t waiting = posta__run_count(worker, WAITING_MAX); waiting; waiting--) {
		struct posta_actor *actor = posta__run_pop(worker);
		if (movable(actor))
			move(worker, actor, to);
		else
			posta__run_push(worker, actor);
	}
}

/* The worker to which the actors here should go, NULL for none. work: the share of this one's time that is work. */
static struct posta__worker *better_place(struct posta__worker *worker, double work, double talk)
{
	struct posta_system *system = worker->system;
	uint8_t partner = worker->talk.partner;
	if (worker->dedicated || !worker->talk.votes || partner >= worker->id || partner >= system->workers ||
	    talk < work)
		return NULL;
	struct posta__worker *to = posta__system_worker(system, partner);
	double there = atomic_load_explicit(&to->load, memory_order_relaxed) / 1000.0;
	return work + there < 0.9 ? to : NULL;
}

static void relent(struct posta__worker *worker, uint64_t ticks)
{
	if ((double)(ticks - worker->talk.relented_ticks) < RELENT_US * worker->ticks_per_us)
		return;
	worker->talk.relented_ticks = ticks;
	if (atomic_load_explicit(&worker->reluctance, memory_order_relaxed))
		atomic_fetch_sub_explicit(&worker->reluctance, 1, memory_order_relaxed);
}

void posta__balance_gather(struct posta__worker *worker)
{
	struct posta__talk *talk = &worker->talk;
	uint64_t ticks = worker->polled_ticks;
	double window = (double)(ticks - talk->since_ticks);
	if (worker->system->workers < 2 || worker->system->options.virtual_clock ||
	    window < WINDOW_US * worker->ticks_per_us)
		return;
	double crossing = talk->messages * CROSSING_US * worker->ticks_per_us / window;
	double busy = 1 - (double)talk->idle_ticks / window, work = busy > crossing ? busy - crossing : 0;
	/* Relaxed, all of it: hints. */
	atomic_store_explicit(&worker->load, (uint32_t)(work * 1000), memory_order_relaxed);
	relent(worker, ticks);
	struct posta__worker *to = better_place(worker, work, crossing), *before = talk->gather_to;
	*talk = (struct posta__talk){
		.since_ticks = ticks, .relented_ticks = talk->relented_ticks, .partner = talk->partner, .gather_to = to
	};
	if (to && to != before)
		atomic_fetch_add_explicit(&to->reluctance, 1, memory_order_relaxed);
	if (to)
		gather_ready(worker, to);
}
