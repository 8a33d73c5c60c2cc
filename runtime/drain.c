/* SPDX-License-Identifier: MIT */
/* The end in peace: first everything that waits is handled, then the actors stop. */
#include "runtime/clock.h"
#include "runtime/system.h"

static bool is_idle(const struct posta__worker *worker)
{
	return atomic_load_explicit(&worker->sleeping, memory_order_acquire) &&
	       !atomic_load_explicit(&worker->inbox, memory_order_relaxed) &&
	       !atomic_load_explicit(&worker->adopt, memory_order_relaxed);
}

/*
 * Whether all sleep, and had not worked since the last look: one that was seen asleep may have been woken by one that
 * was seen later; then it has slept once more by now.
 */
static bool is_quiet(struct posta_system *system, uint64_t *slept_before)
{
	int count = atomic_load_explicit(&system->worker_count, memory_order_acquire);
	uint64_t slept = 1;
	bool idle = true;
	for (int i = 0; i < count; i++) {
		const struct posta__worker *worker = posta__system_worker(system, i);
		slept += atomic_load_explicit(&worker->counters.sleeps, memory_order_relaxed);
		idle &= is_idle(worker);
	}
	bool quiet = idle && slept == *slept_before;
	*slept_before = idle ? slept : 0;
	return quiet;
}

/* Looks once a millisecond; whoever works need not tell it. */
static void wait_for_quiet(struct posta_system *system, uint64_t until_ms)
{
	uint64_t slept = 0;
	while (!is_quiet(system, &slept) && posta__clock_ms() < until_ms) {
		struct timespec pause = { .tv_nsec = 1000000 };
		nanosleep(&pause, NULL);
	}
}

enum posta_err posta_system_drain(struct posta_system *system, uint64_t deadline_ms, struct posta_stop_report *report)
{
	if (!system)
		return POSTA_OK;
	if (posta__worker_current())
		return POSTA_EWRONGTHREAD;
	uint64_t now = posta__clock_ms(), until = deadline_ms < UINT64_MAX - now ? now + deadline_ms : UINT64_MAX;
	if (system->options.workers == POSTA_HOST_DRIVEN)
		while (posta_system_step(system, 0) && posta__clock_ms() < until)
			;
	else
		wait_for_quiet(system, until);
	now = posta__clock_ms();
	return posta_system_stop(system, now < until ? until - now : 0, report);
}
