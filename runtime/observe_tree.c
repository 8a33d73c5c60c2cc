/* SPDX-License-Identifier: MIT */
/*
 * The tree as it is: on each worker a short-lived actor walks the slots, a few hundred a turn, and writes down those
 * that live there. So everything is read by the one thread that writes it, and all others go on meanwhile.
 */
#include "runtime/observe.h"
#include "runtime/clock.h"
#include "runtime/cold.h"

#include <posta/supervisor.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SLOTS_A_TURN 256u
#define MESSAGES_A_TURN 8192u
#define MAILBOX_MAX 65536u

enum { WALK = 1 };

/* Shared by the thread that asked and the walkers; freed by the last. */
struct survey {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct posta_system *system;
	int holders, walking;
	bool finished; /* all walkers are through, or nobody waits any more */
	bool failed;   /* out of memory */
	uint32_t used; /* slots */
	struct walk {
		struct survey *survey;
		posta_ref walker;
		uint32_t next;
		struct posta_actor_view *views;
		size_t count, room;
		bool through;
	} walks[POSTA__WORKERS_MAX];
};

static void survey_unref(struct survey *survey)
{
	pthread_mutex_lock(&survey->lock);
	bool last = --survey->holders == 0;
	pthread_mutex_unlock(&survey->lock);
	if (!last)
		return;
	for (int i = 0; i < survey->system->workers; i++)
		posta__free(survey->system, survey->walks[i].views,
			    survey->walks[i].room * sizeof *survey->walks[i].views);
	pthread_cond_destroy(&survey->done);
	pthread_mutex_destroy(&survey->lock);
	posta__free(survey->system, survey, sizeof *survey);
}

/* -- A walker -- */

static struct posta_actor_view *view_add(struct walk *walk)
{
	struct posta_system *system = walk->survey->system;
	if (walk->count == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 64;
		struct posta_actor_view *views = posta__alloc(system, 16, room * sizeof *views);
		if (!views)
			return NULL;
		if (walk->count)
			memcpy(views, walk->views, walk->count * sizeof *views);
		posta__free(system, walk->views, walk->room * sizeof *views);
		walk->views = views;
		walk->room = room;
	}
	return memset(&walk->views[walk->count++], 0, sizeof *walk->views);
}

static uint64_t count_list(const struct posta_message *message, uint64_t count)
{
	for (; !posta__stack_is_empty(message) && count < MAILBOX_MAX; message = message->next_)
		count++;
	return count;
}

/* From abroad others only add in front of what this thread, the home, alone takes away. */
static uint64_t mailbox_of(const struct posta_actor *actor)
{
	/* Acquire: PAIRS with the push's release; publishes the messages' links. */
	return count_list(atomic_load_explicit(&actor->stack, memory_order_acquire), count_list(actor->head, 0));
}

static enum posta_actor_state state_of(const struct posta_actor *actor)
{
	if (actor->status == POSTA__STARTING)
		return POSTA_ACTOR_STARTING;
	if (actor->status == POSTA__SUSPENDED)
		return POSTA_ACTOR_SUSPENDED;
	if (actor->status == POSTA__STOPPING)
		return POSTA_ACTOR_STOPPING;
	bool parked = atomic_load_explicit(&actor->parked_on, memory_order_relaxed) != POSTA_NOBODY;
	return parked && actor->attention & POSTA__ATTEND_HOLD ? POSTA_ACTOR_PARKED : POSTA_ACTOR_RUNNING;
}

static void fill_cold(struct posta_actor_view *view, const struct posta__cold *cold)
{
	if (cold->names.count)
		snprintf(view->name, sizeof view->name, "%s", ((char **)cold->names.items)[0]);
	view->restarts = cold->restarts;
	view->last_reason = (enum posta_err)cold->last_reason;
	snprintf(view->last_error, sizeof view->last_error, "%s", cold->error);
}

static void fill(struct posta_actor_view *view, const struct posta_actor *actor, posta_ref ref, int worker)
{
	view->ref = ref;
	view->parent = actor->parent ? posta__self(actor->parent) : POSTA_NOBODY;
	snprintf(view->class_name, sizeof view->class_name, "%s", actor->klass->name ? actor->klass->name : "actor");
	view->state = state_of(actor);
	view->worker = worker;
	view->mailbox = mailbox_of(actor);
	const struct posta__seen *seen = posta__observe_seen(posta__worker(actor)->system, actor);
	if (seen) {
		view->messages = seen->messages;
		view->time_ns = seen->time_ns;
	}
	if (actor->cold)
		fill_cold(view, actor->cold);
}

static const struct posta_actor_class walker_class;

/* Returns: what it cost, in messages; UINT64_MAX when out of memory. */
static uint64_t visit(struct walk *walk, const struct posta__worker *worker, const struct posta_actor *actor)
{
	/* Acquire: PAIRS with the release in spawn.c's publish: who sees the reference sees where the actor lives. */
	posta_ref ref = atomic_load_explicit(&actor->self, memory_order_acquire);
	if (ref == POSTA_NOBODY || atomic_load_explicit(&actor->home, memory_order_acquire) != (uintptr_t)worker ||
	    actor->klass == &walker_class)
		return 0;
	struct posta_actor_view *view = view_add(walk);
	if (!view)
		return UINT64_MAX;
	fill(view, actor, ref, worker->id + 1);
	return view->mailbox;
}

static void through(struct walk *walk, bool failed)
{
	struct survey *survey = walk->survey;
	pthread_mutex_lock(&survey->lock);
	walk->through = true;
	survey->failed |= failed;
	if (--survey->walking == 0) {
		survey->finished = true;
		pthread_cond_signal(&survey->done);
	}
	pthread_mutex_unlock(&survey->lock);
}

static bool is_over(struct survey *survey)
{
	pthread_mutex_lock(&survey->lock);
	bool over = survey->finished;
	pthread_mutex_unlock(&survey->lock);
	return over;
}

/* Returns: false when out of memory. */
static bool walk_some(struct walk *walk, const struct posta__worker *worker)
{
	uint64_t cost = 0;
	for (uint32_t i = 0; i < SLOTS_A_TURN && walk->next < walk->survey->used && cost < MESSAGES_A_TURN; i++) {
		uint64_t more = visit(walk, worker, &worker->slots[walk->next++]);
		if (more == UINT64_MAX)
			return false;
		cost += more;
	}
	return true;
}

static enum posta_err walker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct walk *walk = state;
	if (is_over(walk->survey) || !walk_some(walk, posta__worker(self))) {
		posta_stop(self, posta_self(self), POSTA_ENOMEM);
		return POSTA_OK;
	}
	if (walk->next < walk->survey->used)
		return posta_send(self, posta_self(self), WALK, NULL, 0);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static enum posta_err walker_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	return posta_send(self, posta_self(self), WALK, NULL, 0);
}

static void walker_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self;
	struct walk *walk = state;
	through(walk, reason == POSTA_ENOMEM);
	survey_unref(walk->survey);
}

static const struct posta_actor_class walker_class = {
	.name = "walker",
	.receive = walker_receive,
	.start = walker_start,
	.stop = walker_stop,
};

/* -- The thread that asked -- */

static struct survey *survey_new(struct posta_system *system)
{
	struct survey *survey = posta__zalloc(system, sizeof *survey);
	if (!survey)
		return NULL;
	posta__cond_init(&survey->done);
	pthread_mutex_init(&survey->lock, NULL);
	pthread_mutex_lock(&system->lock);
	survey->used = system->slots.used;
	pthread_mutex_unlock(&system->lock);
	survey->system = system;
	survey->holders = 1 + system->workers;
	survey->walking = system->workers;
	return survey;
}

static bool send_out(struct survey *survey, struct posta_error *error)
{
	bool sent = true;
	for (int i = 0; i < survey->system->workers; i++) {
		struct walk *walk = &survey->walks[i];
		const struct posta_spawn_options options = { .pinned = true, .worker = i + 1 };
		walk->survey = survey;
		walk->next = POSTA__SLOT_BATCH;
		walk->walker = posta_system_spawn(survey->system, &walker_class, walk, &options, error);
		if (walk->walker != POSTA_NOBODY)
			continue;
		sent = false;
		through(walk, true);
		survey_unref(survey);
	}
	return sent;
}

static bool is_finished(void *context)
{
	return is_over(context);
}

static void wait_for(struct survey *survey, uint64_t timeout_ms)
{
	if (survey->system->options.workers == POSTA_HOST_DRIVEN)
		posta_system_run_until(survey->system, is_finished, survey, timeout_ms);
	struct timespec at = posta__clock_in(timeout_ms);
	pthread_mutex_lock(&survey->lock);
	while (!survey->finished && pthread_cond_timedwait(&survey->done, &survey->lock, &at) != ETIMEDOUT)
		;
	survey->finished = true; /* a walker that comes later has nobody to walk for */
	pthread_mutex_unlock(&survey->lock);
}

/* Who lives and was seen by nobody: on a worker that did not answer, on a thread of its own, or on its way. */
static void fill_unknown(struct posta_actor_view *view, const struct posta_actor *actor, posta_ref ref)
{
	uintptr_t home = atomic_load_explicit(&actor->home, memory_order_acquire) & ~(uintptr_t)1;
	view->ref = ref;
	view->state = POSTA_ACTOR_UNKNOWN;
	view->worker = home ? ((const struct posta__worker *)home)->id + 1 : 0;
}

static const struct posta_actor_view *next_view(struct survey *survey, uint32_t slot)
{
	for (int i = 0; i < survey->system->workers; i++) {
		struct walk *walk = &survey->walks[i];
		if (!walk->through)
			continue;
		while (walk->next < walk->count && posta__ref_index(walk->views[walk->next].ref) < slot)
			walk->next++;
		if (walk->next < walk->count && posta__ref_index(walk->views[walk->next].ref) == slot)
			return &walk->views[walk->next];
	}
	return NULL;
}

static bool is_walker(const struct survey *survey, posta_ref ref)
{
	for (int i = 0; i < survey->system->workers; i++)
		if (survey->walks[i].walker == ref)
			return true;
	return false;
}

/*
 * Slot by slot: what was seen, and of those whom nobody saw the first so many, since they come and go still. A walker's
 * own next is at its end now, and counts its views here. tree NULL: only counts. Returns: how many nobody saw.
 */
static size_t merge(struct survey *survey, struct posta_tree *tree, size_t unseen_max)
{
	size_t unseen = 0;
	for (int i = 0; i < survey->system->workers; i++)
		if (survey->walks[i].through)
			survey->walks[i].next = 0;
	for (uint32_t slot = POSTA__SLOT_BATCH; slot < survey->used; slot++) {
		const struct posta_actor_view *view = next_view(survey, slot);
		const struct posta_actor *actor = &survey->system->slots.table[slot];
		posta_ref ref = view ? view->ref : atomic_load_explicit(&actor->self, memory_order_acquire);
		bool counts = !view && ref != POSTA_NOBODY && !is_walker(survey, ref) && unseen < unseen_max;
		unseen += counts;
		if (tree && view)
			tree->views[tree->count++] = *view;
		else if (tree && counts)
			fill_unknown(&tree->views[tree->count++], actor, ref);
	}
	return unseen;
}

static size_t seen_by_walkers(const struct survey *survey)
{
	size_t count = 0;
	for (int i = 0; i < survey->system->workers; i++)
		count += survey->walks[i].through ? survey->walks[i].count : 0;
	return count;
}

static struct posta_tree *tree_of(struct survey *survey, struct posta_error *error)
{
	struct posta_tree *tree = NULL;
	pthread_mutex_lock(&survey->lock);
	if (!survey->failed) {
		size_t unseen = merge(survey, NULL, SIZE_MAX);
		size_t size = sizeof *tree + (seen_by_walkers(survey) + unseen) * sizeof tree->views[0];
		tree = posta__zalloc(survey->system, size);
		if (tree) {
			tree->size_ = size;
			merge(survey, tree, unseen);
		}
	}
	pthread_mutex_unlock(&survey->lock);
	if (!tree)
		posta_error_set(error, POSTA_ENOMEM, "tree: out of memory");
	return tree;
}

struct posta_tree *posta_system_tree(struct posta_system *system, uint64_t timeout_ms, struct posta_error *error)
{
	if (posta__worker_current()) {
		posta_error_set(error, POSTA_EWRONGTHREAD, "tree: called from a worker, which it would wait for");
		return NULL;
	}
	struct survey *survey = survey_new(system);
	if (!survey) {
		posta_error_set(error, POSTA_ENOMEM, "tree: out of memory");
		return NULL;
	}
	bool sent = send_out(survey, error);
	wait_for(survey, timeout_ms);
	struct posta_tree *tree = sent ? tree_of(survey, error) : NULL;
	survey_unref(survey);
	return tree;
}

void posta_tree_free(struct posta_system *system, struct posta_tree *tree)
{
	if (tree)
		posta__free(system, tree, tree->size_);
}

const char *posta_actor_state_name(enum posta_actor_state state)
{
	static const char *const names[] = {
		[POSTA_ACTOR_UNKNOWN] = "unknown",     [POSTA_ACTOR_STARTING] = "starting",
		[POSTA_ACTOR_RUNNING] = "running",     [POSTA_ACTOR_PARKED] = "parked",
		[POSTA_ACTOR_SUSPENDED] = "suspended", [POSTA_ACTOR_STOPPING] = "stopping",
	};
	return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "?";
}
