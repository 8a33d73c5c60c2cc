/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a thread that looks, four times in watchdog_ms, at the number which each worker raises before and after
 * a handler. A number that stays odd for watchdog_ms is a handler that does not return: its actor and message are
 * named, once.
 * Threads of single actors are not looked at: they are there to block.
 */
#include "runtime/clock.h"
#include "runtime/observe.h"

#include <posta/log.h>

#include <errno.h>
#include <string.h>

struct posta__watchdog {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop_asked;
	bool stop;
	struct {
		uint64_t number, since_ns;
		bool told;
	} seen[POSTA__WORKERS_MAX];
};

static void report(struct posta_system *system, struct posta_stuck *stuck, const struct posta_actor_class *klass)
{
	stuck->class_name = klass->name ? klass->name : "actor";
	posta_log(system, POSTA_LOG_WARNING, "actor.stuck", "class=%s ref=%016llx message_type=%u worker=%d ms=%llu",
		  stuck->class_name, (unsigned long long)stuck->ref, (unsigned)stuck->type, stuck->worker,
		  (unsigned long long)stuck->ms);
	if (system->options.stuck)
		system->options.stuck(system->options.stuck_context, stuck);
}

static void look_at(struct posta_system *system, struct posta__watchdog *dog, int index, uint64_t now)
{
	const struct posta__working *working = &posta__system_worker(system, index)->working;
	/* Acquire: PAIRS with the release in observe.c's publish. */
	uint64_t number = atomic_load_explicit(&working->number, memory_order_acquire);
	if (number != dog->seen[index].number) {
		dog->seen[index].number = number;
		dog->seen[index].since_ns = now;
		dog->seen[index].told = false;
		return;
	}
	uint64_t ms = (now - dog->seen[index].since_ns) / 1000000u;
	if (number % 2 == 0 || dog->seen[index].told || ms < system->options.watchdog_ms)
		return;
	struct posta_stuck stuck = {
		.ref = atomic_load_explicit(&working->ref, memory_order_relaxed),
		.type = atomic_load_explicit(&working->type, memory_order_relaxed),
		.worker = index + 1,
		.ms = ms,
	};
	const struct posta_actor_class *klass = atomic_load_explicit(&working->klass, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire); /* the number below is not older than what was read above */
	if (atomic_load_explicit(&working->number, memory_order_relaxed) != number)
		return; /* it came back just now */
	dog->seen[index].told = true;
	report(system, &stuck, klass);
}

/* Returns: whether to go on. */
static bool pause_for(struct posta__watchdog *dog, uint64_t ns)
{
	uint64_t until = posta__clock_ns() + ns;
	struct timespec at = { .tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u) };
	pthread_mutex_lock(&dog->lock);
	while (!dog->stop && pthread_cond_timedwait(&dog->stop_asked, &dog->lock, &at) != ETIMEDOUT)
		;
	bool on = !dog->stop;
	pthread_mutex_unlock(&dog->lock);
	return on;
}

static void *watch(void *argument)
{
	struct posta_system *system = argument;
	struct posta__watchdog *dog = system->watchdog;
	uint64_t interval_ns = system->options.watchdog_ms * 250000u;
	while (pause_for(dog, interval_ns)) {
		uint64_t now = posta__clock_ns();
		for (int i = 0; i < system->workers; i++)
			look_at(system, dog, i, now);
	}
	return NULL;
}

static void dog_init(struct posta__watchdog *dog)
{
	posta__cond_init(&dog->stop_asked);
	pthread_mutex_init(&dog->lock, NULL);
}

static void dog_free(struct posta_system *system)
{
	pthread_cond_destroy(&system->watchdog->stop_asked);
	pthread_mutex_destroy(&system->watchdog->lock);
	posta__free(system, system->watchdog, sizeof *system->watchdog);
	system->watchdog = NULL;
}

enum posta_err posta__watchdog_start(struct posta_system *system, struct posta_error *error)
{
	if (!system->options.watchdog_ms)
		return POSTA_OK;
	system->watchdog = posta__zalloc(system, sizeof *system->watchdog);
	if (!system->watchdog)
		return posta_error_set(error, POSTA_ENOMEM, "system: out of memory for the watchdog");
	dog_init(system->watchdog);
	int failed = pthread_create(&system->watchdog->thread, NULL, watch, system);
	if (failed) {
		dog_free(system);
		return posta_error_set(error, POSTA_EIO, "cannot start the watchdog's thread: %s", strerror(failed));
	}
	pthread_setname_np(system->watchdog->thread, "posta-watchdog");
	posta__observe_switch(system, POSTA__OBSERVE_WATCHDOG, true);
	return POSTA_OK;
}

void posta__watchdog_stop(struct posta_system *system)
{
	struct posta__watchdog *dog = system->watchdog;
	if (!dog)
		return;
	pthread_mutex_lock(&dog->lock);
	dog->stop = true;
	pthread_cond_signal(&dog->stop_asked);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	dog_free(system);
}
