/* SPDX-License-Identifier: MIT */
/* The beginning of an actor: its slot, its state, its home; from an actor or from outside. */
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/life.h"
#include "runtime/mailbox.h"
#include "runtime/registry.h"

#include <string.h>

/* A state is the payload of a block of the pools, when it fits: a spawn then costs no call of the allocator. */
#define STATE_MAX (POSTA__BLOCK_MAX - sizeof(struct posta_message))

void posta__state_release(struct posta__worker *worker, struct posta_system *system, struct posta_actor *actor)
{
	size_t size = actor->klass->state_size;
	if (size > STATE_MAX)
		posta__free(system, actor->state, size);
	else
		posta__message_release(worker, system, posta__payload_block(actor->state));
	actor->state = NULL;
	actor->state_owned = false;
}

static void *state_make(struct posta_system *system, struct posta__worker *worker, size_t size)
{
	if (size > STATE_MAX)
		return posta__zalloc(system, size);
	struct posta_message *block = posta__block_new(worker, system, 0, size);
	return block ? memset(block->payload_, 0, size) : NULL;
}

/* Returns: false when out of memory; the slot is as it was. */
static bool state_give(struct posta_system *system, struct posta__worker *worker, struct posta_actor *actor,
		       const struct posta_actor_class *klass, void *argument)
{
	void *state = klass->state_size ? state_make(system, worker, klass->state_size) : argument;
	if (klass->state_size && !state)
		return false;
	actor->state = state;
	actor->state_owned = klass->state_size > 0;
	return true;
}

/* Whether it needs what only some have: then the cold block is made now, so that failure is the spawn's. */
static bool wants_cold(const struct posta__spawn *spawn)
{
	return spawn->supervised || spawn->argument_free || spawn->hooks ||
	       (spawn->options && spawn->options->trap_exit);
}

static bool cold_make(struct posta_actor *actor, const struct posta__spawn *spawn)
{
	if (!wants_cold(spawn))
		return true;
	struct posta__cold *cold = posta__cold_get(actor);
	if (!cold)
		return false;
	cold->argument = spawn->argument;
	cold->argument_free = spawn->argument_free;
	cold->hooks = spawn->hooks;
	cold->redeliver_max = spawn->redeliver_max;
	cold->when_down = spawn->when_down;
	cold->when_down_max = spawn->when_down_max;
	cold->trap_exit = spawn->options && spawn->options->trap_exit;
	return true;
}

/* A free slot is clean: what is not written here is as posta__slot_clean() and the table's zeroes left it. */
static inline void slot_begin(struct posta_actor *actor, const struct posta_actor_class *klass, void *argument,
			      struct posta_actor *parent)
{
	actor->klass = klass;
	actor->parent = parent;
	if (klass->start) {
		actor->argument = argument;
		actor->status = POSTA__STARTING;
		actor->attention = POSTA__ATTEND_START;
	} else {
		actor->receive = klass->receive;
		actor->status = POSTA__RUNNING;
	}
}

static void slot_fill(struct posta_actor *actor, const struct posta__spawn *spawn)
{
	const struct posta_spawn_options *options = spawn->options;
	slot_begin(actor, spawn->klass, spawn->argument, spawn->parent);
	actor->supervised = spawn->supervised;
	actor->pinned = options && (options->pinned || options->dedicated);
	if (POSTA__UNLIKELY(options && options->mailbox.policy)) {
		atomic_store_explicit(&actor->bounded, (uint8_t)options->mailbox.policy, memory_order_relaxed);
		atomic_store_explicit(&actor->length_max, options->mailbox.length_max, memory_order_relaxed);
		atomic_store_explicit(&actor->length, 0, memory_order_relaxed);
		posta__mailbox_guard(actor, true);
	}
}

static posta_ref ref_of_next(const struct posta_system *system, const struct posta_actor *actor)
{
	return posta__ref_make(system->tag, actor->generation, actor->index);
}

static enum posta_err check(const struct posta__spawn *spawn, struct posta_error *error)
{
	const struct posta_spawn_options *options = spawn->options;
	if (!spawn->klass || !spawn->klass->receive)
		return posta_error_set(error, POSTA_EINVAL, "spawn: the class has no receive function");
	if (options && options->mailbox.policy && !options->mailbox.length_max)
		return posta_error_set(error, POSTA_EINVAL,
				       "spawn: mailbox.length_max is 0 with a bounded policy: say how many messages");
	if (options &&
	    (options->mailbox.policy < POSTA_MAILBOX_UNBOUNDED || options->mailbox.policy > POSTA_MAILBOX_PARK))
		return posta_error_set(error, POSTA_EINVAL, "spawn: unknown mailbox.policy %d",
				       (int)options->mailbox.policy);
	return POSTA_OK;
}

/* Where it will live. NULL: with the spawner (or the first worker). */
static enum posta_err choose_home(struct posta_system *system, const struct posta_spawn_options *options,
				  struct posta__worker **home, struct posta_error *error)
{
	*home = NULL;
	if (options && options->dedicated && system->options.workers != POSTA_HOST_DRIVEN) {
		*home = posta__dedicated_start(system, error);
		return *home ? POSTA_OK : POSTA_EIO;
	}
	if (!options || !options->pinned || !options->worker)
		return POSTA_OK;
	if (options->worker < 0 || options->worker > system->workers)
		return posta_error_set(error, POSTA_EINVAL, "spawn: worker %d: this system has 1 to %d",
				       options->worker, system->workers);
	*home = posta__system_worker(system, options->worker - 1);
	return POSTA_OK;
}

static bool name_take(struct posta_system *system, struct posta_actor *actor, const struct posta__spawn *spawn,
		      struct posta_error *error)
{
	if (!spawn->options || !spawn->options->name)
		return true;
	enum posta_err result = posta__name_note(system, actor, spawn->options->name);
	if (!result)
		result = posta__name_take(system, spawn->options->name, ref_of_next(system, actor));
	if (result)
		posta_error_set(error, result, "spawn: name \"%s\": %s", spawn->options->name, posta_strerror(result));
	return result == POSTA_OK;
}

static void abandon(struct posta_system *system, struct posta__worker *worker, struct posta_actor *actor)
{
	posta__state_free(worker, system, actor);
	if (actor->cold)
		posta__names_drop(system, actor);
	posta__cold_free(actor);
	if (actor->guarded) {
		posta__mailbox_guard(actor, false);
		atomic_store_explicit(&actor->bounded, 0, memory_order_relaxed);
	}
	posta__slot_clean(actor);
	posta__slot_free(worker, actor);
}

static bool slot_equip(struct posta_system *system, struct posta__worker *worker, struct posta_actor *actor,
		       const struct posta__spawn *spawn)
{
	actor->klass = spawn->klass;
	return state_give(system, worker, actor, spawn->klass, spawn->argument) && cold_make(actor, spawn);
}

/* A thread that was to be its own is free again when the spawn fails. */
static void vacate(struct posta__worker *home)
{
	if (home && home->dedicated)
		atomic_store_explicit(&home->vacant, true, memory_order_release);
}

/* home: of choose_home. */
static struct posta_actor *slot_prepare(struct posta_system *system, struct posta__worker *worker,
					struct posta__worker *home, const struct posta__spawn *spawn,
					struct posta_error *error)
{
	struct posta_actor *actor = posta__slot_new(system, worker);
	if (actor && slot_equip(system, worker, actor, spawn)) {
		slot_fill(actor, spawn);
		return actor;
	}
	posta_error_set(error, POSTA_ENOMEM, "spawn: %s",
			actor ? "out of memory" : "no slot: out of memory, or actors_max is reached");
	if (actor)
		abandon(system, worker, actor);
	vacate(home);
	return NULL;
}

/*
 * A free slot is in the run queue when a late message came for the last actor in it. It leaves before it lives
 * elsewhere.
 */
static void run_remove(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta_actor **link = &worker->run_head; /* newborns live: none of them is free */
	while (*link && *link != actor)
		link = &(*link)->run_next;
	if (!*link)
		return;
	*link = actor->run_next;
	if (!*link)
		worker->run_tail = link;
	actor->queued = false;
}

static void publish(struct posta_system *system, struct posta_actor *actor)
{
	/*
	 * Release: PAIRS with the acquire in observe_tree.c, which finds references by itself; publishes where the
	 * actor lives. All others learn them through a message or a lookup, which order it.
	 */
	atomic_store_explicit(&actor->self, ref_of_next(system, actor), memory_order_release);
}

/*
 * It is published, and cannot be after all. Names go while it has a reference; what was sent to that fits nobody.
 * worker: of the thread that calls, NULL for a foreign one.
 */
static void withdraw(struct posta_system *system, struct posta__worker *worker, struct posta_actor *actor,
		     struct posta__worker *home)
{
	if (actor->cold)
		posta__names_drop(system, actor);
	atomic_store_explicit(&actor->self, POSTA_NOBODY, memory_order_relaxed);
	actor->generation++;
	atomic_store_explicit(&actor->home, (uintptr_t)home, memory_order_release);
	abandon(system, worker, actor);
	vacate(home);
}

/* It goes to live elsewhere, or stays: whoever finds its name can send to it. */
static bool settle(struct posta__worker *worker, struct posta_actor *actor, struct posta__worker *home,
		   const struct posta__spawn *spawn, struct posta_error *error)
{
	if (home != worker) {
		if (actor->queued)
			run_remove(worker, actor);
		atomic_store_explicit(&actor->home, (uintptr_t)home | 1, memory_order_release);
	}
	publish(worker->system, actor);
	if (name_take(worker->system, actor, spawn, error))
		return true;
	withdraw(worker->system, worker, actor, home);
	return false;
}

struct posta_actor *posta__actor_spawn(struct posta__worker *worker, const struct posta__spawn *spawn,
				       struct posta_error *error)
{
	struct posta_system *system = worker->system;
	struct posta__worker *home;
	if (check(spawn, error) || choose_home(system, spawn->options, &home, error))
		return NULL;
	struct posta_actor *actor = slot_prepare(system, worker, home, spawn, error);
	home = home ? home : worker;
	if (!actor || !settle(worker, actor, home, spawn, error))
		return NULL;
	posta__link_child(spawn->parent, actor);
	posta__count(&worker->counters.spawned, 1);
	if (home != worker) {
		posta__adopt_push(home, actor);
		return actor;
	}
	worker->pinned += actor->pinned;
	if (actor->attention && spawn->supervised)
		posta__run_ready(worker, actor);
	else if (actor->attention)
		posta__run_born(worker, actor);
	return actor;
}

posta_ref posta_spawn_with(struct posta_actor *self, const struct posta_actor_class *klass, void *argument,
			   const struct posta_spawn_options *options, struct posta_error *error)
{
	struct posta__spawn spawn = { .klass = klass, .argument = argument, .options = options, .parent = self };
	struct posta_actor *actor = posta__actor_spawn(posta__worker(self), &spawn, error);
	return actor ? ref_of_next(posta__worker(self)->system, actor) : POSTA_NOBODY;
}

/* Most spawns: no options, and a slot is at hand. */
posta_ref posta_spawn(struct posta_actor *self, const struct posta_actor_class *klass, void *argument)
{
	struct posta__worker *worker = posta__worker_running(self);
	struct posta_actor *actor = worker->free_slots;
	if (POSTA__UNLIKELY(!actor || !klass->receive))
		return posta_spawn_with(self, klass, argument, NULL, NULL);
	if (POSTA__UNLIKELY(!state_give(worker->system, worker, actor, klass, argument)))
		return POSTA_NOBODY;
	worker->free_slots = actor->next_sibling;
	posta_ref ref = ref_of_next(worker->system, actor);
	slot_begin(actor, klass, argument, self);
	posta__link_child(self, actor);
	posta__count(&worker->counters.spawned, 1);
	atomic_store_explicit(&actor->self, ref, memory_order_relaxed); /* relaxed: as in publish() */
	if (klass->start)
		posta__run_born(worker, actor);
	return ref;
}

/* From outside: the root, on its own thread, is told to take the child before the child can report anything. */
static posta_ref spawn_from_outside(struct posta_system *system, const struct posta__spawn *spawn,
				    struct posta_error *error)
{
	struct posta__worker *home;
	if (check(spawn, error) || choose_home(system, spawn->options, &home, error))
		return POSTA_NOBODY;
	struct posta_actor *actor = slot_prepare(system, NULL, home, spawn, error);
	if (!actor)
		return POSTA_NOBODY;
	home = home ? home : posta__system_worker(system, 0);
	posta_ref ref = ref_of_next(system, actor);
	atomic_store_explicit(&actor->home, (uintptr_t)home | 1, memory_order_release);
	publish(system, actor); /* before the root hears of it: if it is stopping, it tells the child at once */
	if (!name_take(system, actor, spawn, error)) {
		withdraw(system, NULL, actor, home);
		return POSTA_NOBODY;
	}
	struct posta__signal_data data = { .slot = actor, .ref = ref };
	if (!posta__signal_send(system, NULL, posta__self(system->root), POSTA__SIGNAL_LINK_CHILD, &data)) {
		posta_error_set(error, POSTA_ECLOSED, "spawn: the system stops");
		withdraw(system, NULL, actor, home);
		return POSTA_NOBODY;
	}
	posta__adopt_push(home, actor);
	return ref;
}

posta_ref posta__actor_spawn_under_root(struct posta_system *system, const struct posta__spawn *spawn,
					struct posta_error *error)
{
	struct posta__worker *worker = posta__worker_current();
	if (!worker || worker->system != system || !posta__lives_here(system->root, worker))
		return spawn_from_outside(system, spawn, error);
	struct posta_actor *actor = posta__actor_spawn(worker, spawn, error);
	return actor ? ref_of_next(system, actor) : POSTA_NOBODY;
}

posta_ref posta_system_spawn(struct posta_system *system, const struct posta_actor_class *klass, void *argument,
			     const struct posta_spawn_options *options, struct posta_error *error)
{
	struct posta__spawn spawn = {
		.klass = klass, .argument = argument, .options = options, .parent = system->root
	};
	return posta__actor_spawn_under_root(system, &spawn, error);
}
