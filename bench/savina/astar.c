/* SPDX-License-Identifier: MIT */
/*
 * A*: 20 workers search a grid of n x n x n nodes for the corner opposite of the start, nearest first, until every node
 * is closed. A worker opens 1,024 nodes of what it is given, then gives what is left on its heap to the master, which
 * deals it out.
 */
#include "dealer.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { THRESHOLD = 1024 };

static uint32_t side;
static _Atomic(uint8_t) *seen; /* kept from run to run; a worker takes a node by setting it */

struct open {
	uint32_t distance, node;
};

struct worker {
	struct open *heap;
	uint32_t count, capacity;
};

static uint32_t distance(uint32_t node)
{
	uint32_t x = node % side, y = node / side % side, z = node / side / side;
	return 3 * (side - 1) - x - y - z;
}

static bool push(struct worker *worker, uint32_t node)
{
	if (worker->count == worker->capacity) {
		uint32_t capacity = worker->capacity ? worker->capacity * 2 : 1024;
		struct open *heap = realloc(worker->heap, capacity * sizeof *heap);
		if (!heap)
			return false;
		worker->heap = heap, worker->capacity = capacity;
	}
	struct open new = { distance(node), node };
	uint32_t at = worker->count++;
	for (; at > 0 && worker->heap[(at - 1) / 2].distance > new.distance; at = (at - 1) / 2)
		worker->heap[at] = worker->heap[(at - 1) / 2];
	worker->heap[at] = new;
	return true;
}

static uint32_t pop(struct worker *worker)
{
	uint32_t node = worker->heap[0].node, at = 0;
	struct open last = worker->heap[--worker->count];
	for (uint32_t child; (child = 2 * at + 1) < worker->count; at = child) {
		if (child + 1 < worker->count && worker->heap[child + 1].distance < worker->heap[child].distance)
			child++;
		if (worker->heap[child].distance >= last.distance)
			break;
		worker->heap[at] = worker->heap[child];
	}
	worker->heap[at] = last;
	return node;
}

/* Takes a node unless somebody has it. */
static bool take(uint32_t node)
{
	return !atomic_exchange_explicit(&seen[node], 1, memory_order_relaxed);
}

/* Opens the neighbours of node along the three axes. */
static bool expand(struct worker *worker, uint32_t node)
{
	const uint32_t steps[3] = { 1, side, side * side };
	for (uint32_t axis = 0; axis < 3; axis++) {
		uint32_t place = node / steps[axis] % side;
		if (place > 0 && take(node - steps[axis]) && !push(worker, node - steps[axis]))
			return false;
		if (place + 1 < side && take(node + steps[axis]) && !push(worker, node + steps[axis]))
			return false;
	}
	return true;
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct worker *worker = state;
	uint64_t opened = 0;
	if (!push(worker, (uint32_t)savina_value(message)))
		return POSTA_ENOMEM;
	for (; opened < THRESHOLD && worker->count > 0; opened++)
		if (!expand(worker, pop(worker)))
			return POSTA_ENOMEM;
	while (worker->count > 0) {
		uint64_t node = pop(worker);
		savina_deal(self, &node, sizeof node);
	}
	return savina_dealt(self, opened);
}

static void worker_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	free(((struct worker *)state)->heap);
}

static const struct posta_actor_class worker_class = { .name = "worker",
						       .state_size = sizeof(struct worker),
						       .start = savina_worker_start,
						       .receive = worker_receive,
						       .stop = worker_stop };

static void setup(struct savina_run *run)
{
	side = (uint32_t)run->n;
	if (!seen)
		seen = malloc(run->n * run->n * run->n);
	if (!seen)
		abort();
	for (uint64_t i = 0; i < run->n * run->n * run->n; i++)
		atomic_init(&seen[i], 0);
	take(0);
	savina_add_dealer(run, &worker_class, &(uint64_t){ 0 }, sizeof(uint64_t));
}

static bool verify(uint64_t n)
{
	return savina_dealer_sum() == n * n * n && seen[n * n * n - 1];
}

const struct savina_workload savina_astar = { "astar", "run", NULL, setup, verify };
