/* SPDX-License-Identifier: MIT */
#include "runtime/system.h"

#include <string.h>

static uint64_t read_counter(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed); /* relaxed: each figure for itself */
}

static void add(struct posta_metrics *sum, const struct posta__worker *worker)
{
	const struct posta__counters *counters = &worker->counters;
	sum->spawned += read_counter(&counters->spawned);
	sum->stopped += read_counter(&counters->stopped);
	sum->restarts += read_counter(&counters->restarts);
	sum->failures += read_counter(&counters->failures);
	sum->messages += read_counter(&counters->messages);
	sum->turns += read_counter(&counters->turns);
	sum->remote += read_counter(&counters->remote);
	sum->moved += read_counter(&counters->moved);
	sum->sleeps += read_counter(&counters->sleeps);
	sum->wakes += read_counter(&counters->wakes);
	sum->late_replies += read_counter(&counters->late_replies);
	sum->timers += read_counter(&counters->timers);
	sum->parked += read_counter(&counters->parked);
	for (int i = 0; i < POSTA_DEAD_REASONS; i++)
		sum->dead_letters_by[i] += read_counter(&counters->dead_letters[i]);
}

void posta_system_metrics(struct posta_system *system, struct posta_metrics *metrics)
{
	struct posta_metrics sum = { .size = sizeof sum };
	int count = atomic_load_explicit(&system->worker_count, memory_order_acquire);
	for (int i = 0; i < count; i++)
		add(&sum, posta__system_worker(system, i));
	for (int i = 0; i < POSTA_DEAD_REASONS; i++) {
		sum.dead_letters_by[i] += read_counter(&system->foreign_dead_letters[i]);
		sum.dead_letters += sum.dead_letters_by[i];
	}
	sum.actors = sum.spawned > sum.stopped ? sum.spawned - sum.stopped : 0;
	size_t size = metrics->size && metrics->size < sizeof sum ? metrics->size : sizeof sum;
	memcpy(metrics, &sum, size);
}
