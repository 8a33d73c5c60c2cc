/* SPDX-License-Identifier: MIT */
#include "runtime/system.h"
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/clock.h"
#include "runtime/cold.h"
#include "runtime/cpus.h"
#include "runtime/life.h"
#include "runtime/mailbox.h"
#include "runtime/observe.h"
#include "runtime/registry.h"
#include "runtime/sim.h"
#include "runtime/turn.h"
#include "runtime/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DEDICATED_DEFAULT 64u
#define DEDICATED_MAX 200u
#define TURN_US_DEFAULT 100u
#define STEP_TURNS 4096u

/* The tag of the next system: so that a reference of another one is told from a dead one. Its wrap costs only that. */
static _Atomic(uint8_t) next_tag = 1;

const char *posta_version(void)
{
	return "posta " POSTA_VERSION;
}

/* -- Dead letters -- */

static void tell_listener(struct posta_system *system, posta_ref to, const struct posta_message *message,
			  enum posta_dead_reason reason)
{
	if (!system->options.dead_letter)
		return;
	struct posta_dead_letter letter = {
		.to = to,
		.sender = message->sender,
		.type = message->type,
		.reason = reason,
		.data = posta_data(message),
		.size = posta_size(message),
	};
	system->options.dead_letter(system->options.dead_letter_context, &letter);
}

static void dead_signal(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			const struct posta_message *message)
{
	struct posta__signal_data data;
	memcpy(&data, message->payload_, sizeof data);
	posta__watch_signal_dead(system, worker, (enum posta__signal)message->type, to, &data);
}

void posta__dead_letter(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			struct posta_message *message, enum posta_dead_reason reason)
{
	if (message->bits_ & POSTA__BIT_SYSTEM) {
		dead_signal(system, worker, to, message);
	} else if (!(message->bits_ & POSTA__BIT_REPLY)) {
		if (worker)
			posta__count(&worker->counters.dead_letters[reason], 1);
		else
			atomic_fetch_add_explicit(&system->foreign_dead_letters[reason], 1, memory_order_relaxed);
		tell_listener(system, to, message, reason);
		if (message->ask_)
			posta__ask_dead(system, worker, message);
	}
	posta__message_release(worker, system, message);
}

/* -- Options -- */

static enum posta_err check(const struct posta_system_options *options, struct posta_error *error)
{
	if (options->workers < POSTA_HOST_DRIVEN || options->workers > (int)(POSTA__WORKERS_MAX - DEDICATED_MAX))
		return posta_error_set(error, POSTA_EINVAL,
				       "system: workers is %d: use 0 (one per CPU), 1 to %d, or POSTA_HOST_DRIVEN",
				       options->workers, (int)(POSTA__WORKERS_MAX - DEDICATED_MAX));
	if (options->dedicated_max > DEDICATED_MAX)
		return posta_error_set(error, POSTA_EINVAL, "system: dedicated_max is %u: at most %u",
				       options->dedicated_max, DEDICATED_MAX);
	if ((options->virtual_clock || options->loop) && options->workers != POSTA_HOST_DRIVEN)
		return posta_error_set(error, POSTA_EINVAL,
				       "system: virtual_clock and loop need workers = POSTA_HOST_DRIVEN");
	if (!options->allocator.alloc != !options->allocator.free)
		return posta_error_set(error, POSTA_EINVAL, "system: allocator needs both alloc and free, or neither");
	return POSTA_OK;
}

static uint64_t seed_of_the_machine(void)
{
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof seed, 0) == sizeof seed)
		return seed;
	return posta__clock_ns() ^ (uint64_t)(uintptr_t)&seed;
}

static void *default_alloc(void *context, size_t alignment, size_t size)
{
	(void)context;
	if (alignment <= _Alignof(max_align_t))
		return malloc(size);
	return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void default_free(void *context, void *memory, size_t size)
{
	(void)context, (void)size;
	free(memory);
}

static void options_fill(struct posta_system_options *options, const struct posta_system_options *given)
{
	if (given)
		memcpy(options, given, given->size && given->size < sizeof *options ? given->size : sizeof *options);
	if (!options->allocator.alloc)
		options->allocator = (struct posta_allocator){ .alloc = default_alloc, .free = default_free };
	if (!options->dedicated_max)
		options->dedicated_max = DEDICATED_DEFAULT;
	if (!options->turn_us_max)
		options->turn_us_max = TURN_US_DEFAULT;
	if (!options->seed && !options->virtual_clock)
		options->seed = seed_of_the_machine();
}

/* -- Start -- */

static enum posta_err root_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_EUNHANDLED;
}

static const struct posta_actor_class root_class = { .name = "root", .receive = root_receive };

struct posta__worker *posta__system_worker(struct posta_system *system, int index)
{
	return atomic_load_explicit(&system->worker[index], memory_order_acquire);
}

static struct posta__worker *worker_make(struct posta_system *system, uint8_t id, enum posta__drive drive,
					 struct posta_error *error)
{
	struct posta__worker *worker = posta__alloc(system, POSTA__LINE, sizeof *worker);
	if (!worker) {
		posta_error_set(error, POSTA_ENOMEM, "system: out of memory for a worker");
		return NULL;
	}
	memset(worker, 0, sizeof *worker);
	worker->wake_fd = -1;
	struct ev_loop *loop = drive == POSTA__DRIVE_HOST ? system->options.loop : NULL;
	if (posta__worker_init(worker, system, id, drive, loop, error)) {
		posta__worker_fini(worker);
		posta__free(system, worker, sizeof *worker);
		return NULL;
	}
	/*
	 * Release: PAIRS with the acquire in posta__system_worker; publishes the worker to those who free its blocks.
	 */
	atomic_store_explicit(&worker->observing, atomic_load_explicit(&system->observing, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&system->worker[id], worker, memory_order_release);
	return worker;
}

static enum posta_err workers_make(struct posta_system *system, const struct posta__simulated *simulated,
				   struct posta_error *error)
{
	enum posta__drive drive = POSTA__DRIVE_THREAD;
	system->workers = system->options.workers ? system->options.workers : posta__cpus_usable();
	if (system->options.workers == POSTA_HOST_DRIVEN) {
		drive = system->options.loop ? POSTA__DRIVE_HOST : POSTA__DRIVE_STEP;
		system->workers = simulated ? simulated->workers : 1;
	}
	for (int i = 0; i < system->workers; i++) {
		if (!worker_make(system, (uint8_t)i, drive, error))
			return POSTA_EIO;
		atomic_fetch_add_explicit(&system->worker_count, 1, memory_order_relaxed);
	}
	return POSTA_OK;
}

static enum posta_err root_make(struct posta_system *system, struct posta_error *error)
{
	struct posta__worker *worker = posta__system_worker(system, 0);
	struct posta_actor *root = posta__slot_new(system, worker);
	if (!root || !(system->root = root))
		return posta_error_set(error, POSTA_ENOMEM, "system: out of memory for the root");
	root->klass = &root_class;
	root->receive = root_receive;
	root->status = POSTA__RUNNING;
	root->pinned = true; /* it owns no watchers, so the loop need not be polled for it */
	atomic_store_explicit(&root->self, posta__ref_make(system->tag, root->generation, root->index),
			      memory_order_relaxed);
	return POSTA_OK;
}

static enum posta_err threads_start(struct posta_system *system, struct posta_error *error)
{
	if (system->options.workers == POSTA_HOST_DRIVEN)
		return POSTA_OK;
	for (int i = 0; i < system->workers; i++) {
		enum posta_err result =
			posta__worker_start(posta__system_worker(system, i), system->options.pin_cpus ? i : -1, error);
		if (result)
			return result;
	}
	return POSTA_OK;
}

static enum posta_err parts_start(struct posta_system *system, const struct posta__simulated *simulated,
				  struct posta_error *error)
{
	if (posta__slots_init(system, system->options.actors_max))
		return posta_error_set(error, POSTA_ENOMEM,
				       "system: cannot reserve addresses for actors_max = %u: lower it, or raise the "
				       "limit (ulimit -v)",
				       system->options.actors_max);
	if (posta__names_init(system) || posta__groups_init(system) || posta__reserve_init(system))
		return posta_error_set(error, POSTA_ENOMEM, "system: out of memory");
	enum posta_err result = workers_make(system, simulated, error);
	if (!result)
		result = root_make(system, error);
	if (!result)
		result = threads_start(system, error);
	return result ? result : posta__watchdog_start(system, error);
}

static struct posta_system *system_alloc(const struct posta_system_options *options)
{
	struct posta_system filled = { 0 };
	options_fill(&filled.options, options);
	struct posta_system *system = filled.options.allocator.alloc(filled.options.allocator.context,
								     _Alignof(struct posta_system), sizeof *system);
	if (!system)
		return NULL;
	memset(system, 0, sizeof *system);
	system->options = filled.options;
	system->hooked = options && options->allocator.alloc;
	snprintf(system->name, sizeof system->name, "%s", system->options.name ? system->options.name : "posta");
	system->tag = atomic_fetch_add_explicit(&next_tag, 1, memory_order_relaxed);
	pthread_mutex_init(&system->lock, NULL);
	posta__cond_init(&system->ended);
	return system;
}

static void system_free(struct posta_system *system);

enum posta_err posta__system_start_simulated(const struct posta_system_options *options,
					     const struct posta__simulated *simulated, struct posta_system **system,
					     struct posta_error *error)
{
	struct posta_error own;
	error = error ? error : &own;
	if (options && check(options, error))
		return POSTA_EINVAL;
	struct posta_system *made = system_alloc(options);
	if (!made)
		return posta_error_set(error, POSTA_ENOMEM, "system: out of memory");
	error->code = POSTA_OK;
	if (simulated) {
		made->sim = simulated->sim;
		made->tag = simulated->tag;
	}
	if (parts_start(made, simulated, error)) {
		enum posta_err code = error->code;
		system_free(made);
		return code;
	}
	*system = made;
	return POSTA_OK;
}

enum posta_err posta_system_start(const struct posta_system_options *options, struct posta_system **system,
				  struct posta_error *error)
{
	return posta__system_start_simulated(options, NULL, system, error);
}

/* -- Dedicated workers -- */

static struct posta__worker *dedicated_make(struct posta_system *system, struct posta_error *error)
{
	int id = atomic_load_explicit(&system->worker_count, memory_order_relaxed);
	if (id >= POSTA__WORKERS_MAX || id - system->workers >= (int)system->options.dedicated_max) {
		posta_error_set(error, POSTA_EFULL, "spawn: %u dedicated workers run already: raise dedicated_max",
				system->options.dedicated_max);
		return NULL;
	}
	struct posta__worker *worker = worker_make(system, (uint8_t)id, POSTA__DRIVE_THREAD, error);
	if (!worker)
		return NULL;
	worker->dedicated = true;
	atomic_fetch_add_explicit(&system->worker_count, 1, memory_order_relaxed);
	return worker;
}

/* A thread whose actor ended is used again: its blocks may still be on their way home to it. */
static struct posta__worker *dedicated_reuse(struct posta_system *system)
{
	int count = atomic_load_explicit(&system->worker_count, memory_order_relaxed);
	for (int i = system->workers; i < count; i++) {
		struct posta__worker *worker = posta__system_worker(system, i);
		bool vacant = true;
		if (atomic_compare_exchange_strong_explicit(&worker->vacant, &vacant, false, memory_order_acq_rel,
							    memory_order_relaxed))
			return worker;
	}
	return NULL;
}

struct posta__worker *posta__dedicated_start(struct posta_system *system, struct posta_error *error)
{
	pthread_mutex_lock(&system->lock);
	struct posta__worker *worker = dedicated_reuse(system);
	if (!worker)
		worker = dedicated_make(system, error);
	if (worker && !worker->thread_started && posta__worker_start(worker, -1, error)) {
		/* Another try may have its thread. */
		atomic_store_explicit(&worker->vacant, true, memory_order_relaxed);
		worker = NULL;
	}
	pthread_mutex_unlock(&system->lock);
	return worker;
}

/* -- Stop -- */

void posta__root_ended(struct posta_system *system)
{
	pthread_mutex_lock(&system->lock);
	system->root_ended = true;
	pthread_cond_broadcast(&system->ended);
	pthread_mutex_unlock(&system->lock);
}

static bool ended(void *context)
{
	return ((struct posta_system *)context)->root_ended;
}

static void wait_for_root(struct posta_system *system, uint64_t deadline_ms)
{
	if (system->options.workers == POSTA_HOST_DRIVEN) {
		posta_system_run_until(system, ended, system, deadline_ms);
		return;
	}
	struct timespec at = posta__clock_in(deadline_ms);
	pthread_mutex_lock(&system->lock);
	while (!system->root_ended && pthread_cond_timedwait(&system->ended, &system->lock, &at) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&system->lock);
}

static void threads_join(struct posta_system *system)
{
	atomic_store_explicit(&system->threads_stop, true, memory_order_seq_cst);
	int count = atomic_load_explicit(&system->worker_count, memory_order_relaxed);
	for (int i = 0; i < count; i++)
		if (posta__system_worker(system, i)->thread_started)
			posta__worker_wake(posta__system_worker(system, i));
	for (int i = 0; i < count; i++) {
		struct posta__worker *worker = posta__system_worker(system, i);
		if (worker->thread_started)
			pthread_join(worker->thread, NULL);
		worker->thread_started = false;
	}
}

static uint64_t release_list(struct posta_system *system, struct posta_message *message)
{
	uint64_t count = 0;
	while (!posta__stack_is_empty(message)) {
		struct posta_message *next = message->next_;
		count += !(message->bits_ & POSTA__BIT_SYSTEM);
		posta__message_release(NULL, system, message);
		message = next;
	}
	return count;
}

/* What an actor still holds when it is abandoned. Returns: messages. */
static uint64_t slot_clear(struct posta_system *system, struct posta_actor *actor)
{
	uint64_t count = release_list(system, actor->head) +
			 release_list(system, atomic_load_explicit(&actor->stack, memory_order_relaxed));
	release_list(system, actor->system_head);
	if (actor->cold) {
		count += release_list(system, actor->cold->stash_head) + release_list(system, actor->cold->poison);
		posta__ask_drop(actor);
		posta__names_drop(system, actor);
		posta__groups_drop(system, actor);
		posta__cold_free(actor);
	}
	posta__state_free(NULL, system, actor);
	return count;
}

static void slots_clear(struct posta_system *system, struct posta_stop_report *report)
{
	for (uint32_t i = POSTA__SLOT_BATCH; i < system->slots.used; i++) {
		struct posta_actor *actor = &system->slots.table[i];
		if (actor != system->root && atomic_load_explicit(&actor->self, memory_order_relaxed) != POSTA_NOBODY)
			report->actors_left++;
		report->messages_left += slot_clear(system, actor);
	}
}

static void workers_free(struct posta_system *system)
{
	int count = atomic_load_explicit(&system->worker_count, memory_order_relaxed);
	for (int i = 0; i < count; i++)
		posta__worker_fini(posta__system_worker(system, i));
	for (int i = 0; i < count; i++)
		posta__pool_fini(posta__system_worker(system, i));
	for (int i = 0; i < count; i++) {
		posta__observe_worker_free(posta__system_worker(system, i));
		posta__free(system, posta__system_worker(system, i), sizeof(struct posta__worker));
	}
}

static void system_free(struct posta_system *system)
{
	posta__watchdog_stop(system);
	threads_join(system);
	posta__extensions_free(system);
	workers_free(system);
	posta__reserve_fini(system);
	posta__names_fini(system);
	posta__groups_fini(system);
	posta__observe_fini(system);
	posta__slots_fini(system);
	pthread_cond_destroy(&system->ended);
	pthread_mutex_destroy(&system->lock);
	struct posta_allocator allocator = system->options.allocator;
	allocator.free(allocator.context, system, sizeof *system);
}

void posta__system_begin_stop(struct posta_system *system)
{
	atomic_store_explicit(&system->stopping, true, memory_order_relaxed);
	posta_system_stop_actor(system, posta__self(system->root), POSTA_ESHUTDOWN);
}

void posta__system_finish(struct posta_system *system, struct posta_stop_report *report)
{
	threads_join(system);
	slots_clear(system, report);
	system_free(system);
}

/* Messages that were still in the mailboxes of actors that ended. */
static uint64_t dropped_so_far(struct posta_system *system)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	return metrics.dead_letters_by[POSTA_DEAD_STOPPED];
}

enum posta_err posta_system_stop(struct posta_system *system, uint64_t deadline_ms, struct posta_stop_report *report)
{
	struct posta_stop_report own = { 0 };
	if (!system)
		return POSTA_OK;
	if (posta__worker_current())
		return POSTA_EWRONGTHREAD;
	uint64_t before = dropped_so_far(system);
	posta__system_begin_stop(system);
	wait_for_root(system, deadline_ms);
	threads_join(system);
	own.messages_left = dropped_so_far(system) - before;
	posta__system_finish(system, &own);
	if (report)
		*report = own;
	return own.actors_left ? POSTA_ETIMEDOUT : POSTA_OK;
}

/* -- Driven by hand -- */

size_t posta_system_step(struct posta_system *system, uint64_t timeout_ms)
{
	struct posta__worker *worker = posta__system_worker(system, 0), *before = posta__worker_current();
	if (system->sim)
		return posta__sim_drive(system->sim);
	posta__worker_set_current(worker);
	posta__worker_poll(worker);
	size_t turns = posta__worker_run(worker, STEP_TURNS);
	if (!turns && timeout_ms && worker->drive == POSTA__DRIVE_STEP) {
		posta__worker_sleep(worker, timeout_ms > UINT64_MAX / 1000000u ? UINT64_MAX : timeout_ms * 1000000u);
		turns = posta__worker_run(worker, STEP_TURNS);
	}
	posta__pool_flush(worker);
	posta__worker_set_current(before);
	return turns;
}

static void on_time_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events; /* it ends the wait */
}

static void step_host(struct posta_system *system, uint64_t timeout_ms)
{
	ev_timer limit;
	ev_timer_init(&limit, on_time_out, (double)timeout_ms / 1e3, 0.);
	ev_timer_start(system->options.loop, &limit);
	ev_run(system->options.loop, EVRUN_ONCE);
	ev_timer_stop(system->options.loop, &limit);
}

bool posta_system_run_until(struct posta_system *system, bool (*done)(void *context), void *context,
			    uint64_t timeout_ms)
{
	uint64_t began = posta__clock_ms();
	while (!done(context)) {
		uint64_t passed = posta__clock_ms() - began;
		if (passed >= timeout_ms && timeout_ms != UINT64_MAX)
			return done(context);
		uint64_t left = timeout_ms - passed;
		if (posta__system_worker(system, 0)->drive == POSTA__DRIVE_HOST)
			step_host(system, left < 100 ? left : 100);
		else
			posta_system_step(system, left < 100 ? left : 100);
	}
	return true;
}

static bool flag_is_set(void *context)
{
	return *(const bool *)context;
}

void posta__drive_until(struct posta_system *system, const bool *done)
{
	if (system->options.workers != POSTA_HOST_DRIVEN)
		return;
	if (!system->options.virtual_clock)
		posta_system_run_until(system, flag_is_set, (void *)(uintptr_t)done, UINT64_MAX);
	while (!*done) /* a time that stands still would never end a wait for what does not come */
		if (!posta_system_step(system, 1))
			posta_system_advance(system, 1);
}

void posta_system_advance(struct posta_system *system, uint64_t ms)
{
	if (system->sim) {
		posta_sim_advance(system->sim, ms);
		return;
	}
	struct posta__worker *worker = posta__system_worker(system, 0);
	uint64_t target = atomic_load_explicit(&system->virtual_ns, memory_order_relaxed) + ms * 1000000u;
	while (posta_system_step(system, 0))
		;
	while (posta__timers_due_ns(worker) <= target) {
		uint64_t due = posta__timers_due_ns(worker);
		if (due > atomic_load_explicit(&system->virtual_ns, memory_order_relaxed))
			atomic_store_explicit(&system->virtual_ns, due, memory_order_relaxed);
		while (posta_system_step(system, 0))
			;
	}
	atomic_store_explicit(&system->virtual_ns, target, memory_order_relaxed);
	posta_system_step(system, 0);
}

uint64_t posta_system_now_ns(struct posta_system *system)
{
	if (system->options.virtual_clock)
		return atomic_load_explicit(&system->virtual_ns, memory_order_relaxed);
	return posta__clock_ns();
}

int posta_system_workers(const struct posta_system *system)
{
	return system->workers;
}
