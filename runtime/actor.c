/* SPDX-License-Identifier: MIT */
/*
 * The life of an actor. All of it runs on its home; what concerns parent and child at once goes by signals when
 * they live apart.
 *
 *   spawn ─▶ STARTING ─start─▶ RUNNING ─stop asked, or failed─▶ STOPPING ─children gone─▶ stop() ─┬─▶ gone
 *                 ▲                                                                              │
 *                 └────────── RESTART ◀── its supervisor ◀── SUSPENDED ◀──────── supervised ─────┘
 *
 * A parent outlives its children: it waits for them. So a child may hold a plain pointer to its parent's slot, and the
 * parent to a child's until it has unlinked it.
 */
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/life.h"
#include "runtime/mailbox.h"
#include "runtime/park.h"
#include "runtime/registry.h"
#include "runtime/watch.h"

#include <posta/log.h>
#include <posta/supervisor.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *class_name(const struct posta_actor *actor)
{
	return actor->klass && actor->klass->name ? actor->klass->name : "actor";
}

/*
 * A parent on this thread with no signal under way: it can be told by a plain call. With one under way (the link of a
 * child spawned from outside, a start) the news has to wait behind it.
 */
static bool hears_at_once(const struct posta_actor *parent, const struct posta__worker *worker)
{
	return posta__lives_here(parent, worker) && !parent->system_head && !parent->notified &&
	       posta__stack_is_empty(atomic_load_explicit(&parent->stack, memory_order_relaxed));
}

static void unlink_child(struct posta_actor *parent, struct posta_actor *child)
{
	if (child->prev_sibling)
		child->prev_sibling->next_sibling = child->next_sibling;
	else
		parent->first_child = child->next_sibling;
	if (child->next_sibling)
		child->next_sibling->prev_sibling = child->prev_sibling;
}

/* -- Start -- */

static void tell_started(struct posta__worker *worker, struct posta_actor *actor)
{
	if (!actor->supervised)
		return;
	struct posta_actor *parent = actor->parent;
	if (hears_at_once(parent, worker)) {
		/* At once, as its end is told: a signal would come after the news that it failed in its first turn. */
		if (parent->cold && parent->cold->hooks)
			parent->cold->hooks->child_started(parent, actor);
		return;
	}
	struct posta__signal_data data = { .slot = actor, .ref = posta__self(actor) };
	posta__signal_send(worker->system, worker, posta__self(parent), POSTA__SIGNAL_CHILD_STARTED, &data);
}

static void redeliver(struct posta_actor *actor)
{
	struct posta_message *poison = actor->cold ? actor->cold->poison : NULL;
	if (!poison)
		return;
	actor->cold->poison = NULL;
	poison->next_ = actor->head;
	if (!actor->head)
		actor->tail = &poison->next_;
	actor->head = poison;
	actor->attention |= POSTA__ATTEND_AGAIN;
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		atomic_fetch_add_explicit(&actor->length, 1, memory_order_relaxed);
}

static void start_ended(struct posta__worker *worker, struct posta_actor *actor, enum posta_err result)
{
	if (result != POSTA_OK) {
		posta__actor_failed(worker, actor, result, NULL);
		return;
	}
	actor->status = POSTA__RUNNING;
	actor->attention &= (uint8_t) ~(POSTA__ATTEND_START | POSTA__ATTEND_HOLD);
	redeliver(actor);
	tell_started(worker, actor);
	posta__run_ready(worker, actor);
}

static void start(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->attention &= (uint8_t)~POSTA__ATTEND_START;
	void *argument = actor->argument;
	actor->receive = actor->klass->receive;
	enum posta_err result = actor->klass->start ? actor->klass->start(actor, actor->state, argument) : POSTA_OK;
	if (actor->attention & POSTA__ATTEND_FAIL)
		posta__actor_failed(worker, actor, (enum posta_err)actor->reason, NULL);
	else if (result == POSTA_EPENDING && actor->status == POSTA__STARTING)
		actor->attention |= POSTA__ATTEND_HOLD;
	else if (result != POSTA_EPENDING)
		start_ended(worker, actor, result);
}

/* A failure is seen to in its next turn: who calls this may use its state still. */
void posta_started(struct posta_actor *self, enum posta_err result)
{
	if (self->status != POSTA__STARTING)
		return;
	if (result == POSTA_OK)
		start_ended(posta__worker(self), self, result);
	else
		posta_fail(self, result, NULL);
}

/* -- The end -- */

static uint32_t count_messages(const struct posta_message *message)
{
	uint32_t count = 0;
	for (; message; message = message->next_)
		count += !(message->bits_ & POSTA__BIT_REPLY);
	return count;
}

static void bury(struct posta__worker *worker, posta_ref to, struct posta_message *message)
{
	while (message) {
		struct posta_message *next = message->next_;
		posta__dead_letter(worker->system, worker, to, message, POSTA_DEAD_STOPPED);
		message = next;
	}
}

static void drop_stash(struct posta__worker *worker, struct posta__cold *cold, posta_ref to)
{
	struct posta_message *first = cold->stash_head;
	cold->stash_head = NULL;
	cold->stash_tail = &cold->stash_head;
	cold->stash_count = 0;
	bury(worker, to, first);
}

/*
 * to: who it was. What is on its way from abroad stays, and stays counted; what this calls forth is for the next call.
 */
static void drop_mailbox(struct posta__worker *worker, struct posta_actor *actor, posta_ref to)
{
	struct posta_message *first = actor->head;
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		atomic_fetch_sub_explicit(&actor->length, count_messages(first), memory_order_relaxed);
	actor->head = NULL;
	actor->tail = &actor->head;
	bury(worker, to, first);
	if (actor->cold)
		drop_stash(worker, actor->cold, to);
}

static void drop_poison(struct posta__worker *worker, struct posta_actor *actor)
{
	if (!actor->cold || !actor->cold->poison)
		return;
	posta__dead_letter(worker->system, worker, posta__self(actor), actor->cold->poison, POSTA_DEAD_POISON);
	actor->cold->poison = NULL;
}

/* A parent on its own thread: the child is suspended, or gone for good and its slot free to use again. */
static void child_down(struct posta__worker *worker, struct posta_actor *parent, struct posta_actor *child,
		       enum posta_err reason, bool suspended)
{
	if (!suspended)
		unlink_child(parent, child);
	if (parent->cold && parent->cold->hooks)
		parent->cold->hooks->child_down(parent, child, reason, suspended);
	if (!suspended)
		posta__slot_free(worker, child);
	if (parent->status == POSTA__STOPPING && !parent->first_child) {
		parent->attention |= POSTA__ATTEND_STOP; /* its own turn ends it: no recursion up a deep tree */
		posta__run_ready(worker, parent);
	}
}

static void tell_down(struct posta__worker *worker, struct posta_actor *actor, posta_ref ref, enum posta_err reason,
		      bool suspended)
{
	struct posta_actor *parent = actor->parent;
	if (!parent) {
		posta__root_ended(worker->system);
	} else if (hears_at_once(parent, worker)) {
		child_down(worker, parent, actor, reason, suspended);
	} else {
		struct posta__signal_data data = { .slot = actor, .ref = ref, .reason = reason, .number = suspended };
		posta__signal_send(worker->system, worker, posta__self(parent), POSTA__SIGNAL_CHILD_DOWN, &data);
	}
}

static void drop_signals(struct posta__worker *worker, struct posta_actor *actor)
{
	while (actor->system_head) {
		struct posta_message *message = actor->system_head;
		actor->system_head = message->next_;
		posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_NO_ACTOR);
	}
}

/* Gone for good: nothing names the slot any more. */
static void terminate(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	posta_ref ref = posta__self(actor);
	drop_poison(worker, actor);
	drop_mailbox(worker, actor, ref);
	drop_signals(worker, actor);
	if (POSTA__UNLIKELY(actor->cold != NULL)) {
		posta__link_exit(worker, actor, reason); /* one that was down: of those made since */
		posta__watch_down(worker, actor, reason);
		posta__park_drop(worker, actor);
		posta__names_drop(worker->system, actor);
		posta__groups_drop(worker->system, actor);
		if (actor->cold->argument_free)
			actor->cold->argument_free(worker->system, actor->cold->argument);
		posta__cold_free(actor);
	}
	posta__state_free(worker, worker->system, actor);
	/* Relaxed: who still sends with the old reference is caught by the generation on delivery. */
	atomic_store_explicit(&actor->self, POSTA_NOBODY, memory_order_relaxed);
	if (POSTA__UNLIKELY(actor->head != NULL)) /* what it had asked itself was answered above */
		drop_mailbox(worker, actor, ref);
	if (POSTA__UNLIKELY(actor->guarded)) {
		posta__mailbox_guard(actor, false);
		atomic_store_explicit(&actor->bounded, 0, memory_order_relaxed);
	}
	actor->generation++;
	worker->pinned -= actor->pinned;
	posta__slot_clean(actor);
	if (worker->dedicated && !worker->pinned) /* it was the one the thread is for, not one of its children */
		atomic_store_explicit(&worker->vacant, true, memory_order_release);
	posta__count(&worker->counters.stopped, 1);
	tell_down(worker, actor, ref, reason, false);
}

/* Whether nobody and nothing has to be told of its end but its parent, who is here and only forgets it. */
static bool ends_quietly(const struct posta__worker *worker, const struct posta_actor *actor)
{
	const struct posta_actor *parent = actor->parent;
	return actor->attention == POSTA__ATTEND_STOP && !actor->notified && !actor->guarded &&
	       actor->status == POSTA__RUNNING && !actor->cold && !actor->first_child && !actor->timers &&
	       !actor->pinned && !actor->supervised && !actor->klass->stop && !actor->head &&
	       actor->generation < POSTA__GENERATION_MASK && parent && !(parent->cold && parent->cold->hooks) &&
	       parent->status == POSTA__RUNNING && hears_at_once(parent, worker);
}

bool posta__actor_end_quietly(struct posta__worker *worker, struct posta_actor *actor)
{
	if (!ends_quietly(worker, actor))
		return false;
	posta__state_free(worker, worker->system, actor);
	/* Relaxed: as in terminate(). */
	atomic_store_explicit(&actor->self, POSTA_NOBODY, memory_order_relaxed);
	actor->generation++;
	posta__slot_clean(actor);
	posta__count(&worker->counters.stopped, 1);
	unlink_child(actor->parent, actor);
	actor->next_sibling = worker->free_slots;
	worker->free_slots = actor;
	return true;
}

/* While it is down its mailbox has another policy. A sender on another thread may see the old one for a moment. */
static void close_mailbox(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta__cold *cold = actor->cold;
	cold->policy_up = atomic_load_explicit(&actor->bounded, memory_order_relaxed);
	cold->length_max_up = atomic_load_explicit(&actor->length_max, memory_order_relaxed);
	if (cold->when_down == POSTA_DOWN_KEEP)
		return;
	if (cold->when_down == POSTA_DOWN_DEAD_LETTER)
		drop_mailbox(worker, actor, posta__self(actor));
	if (!cold->policy_up)
		atomic_store_explicit(&actor->length, count_messages(actor->head), memory_order_relaxed);
	atomic_store_explicit(&actor->length_max, cold->when_down == POSTA_DOWN_BOUNDED ? cold->when_down_max : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&actor->bounded,
			      cold->when_down == POSTA_DOWN_DEAD_LETTER ? POSTA_MAILBOX_DROP_NEWEST
									: POSTA_MAILBOX_REJECT,
			      memory_order_relaxed);
	posta__mailbox_guard(actor, true);
}

static void open_mailbox(struct posta_actor *actor)
{
	atomic_store_explicit(&actor->length_max, actor->cold->length_max_up, memory_order_relaxed);
	atomic_store_explicit(&actor->bounded, actor->cold->policy_up, memory_order_relaxed);
	posta__mailbox_guard(actor, actor->cold->policy_up);
}

/* Waits, with its reference and perhaps its mailbox, for what its supervisor decides. */
static void suspend(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	actor->status = POSTA__SUSPENDED;
	actor->attention = (uint8_t)(POSTA__ATTEND_HOLD | (actor->attention & POSTA__ATTEND_SYSTEM));
	close_mailbox(worker, actor);
	posta__link_exit(worker, actor, reason);
	tell_down(worker, actor, posta__self(actor), reason, true);
}

static void finish(struct posta__worker *worker, struct posta_actor *actor)
{
	enum posta_err reason = (enum posta_err)actor->reason;
	if (actor->klass->stop)
		actor->klass->stop(actor, actor->state, reason);
	posta__timers_drop(worker, actor);
	if (POSTA__UNLIKELY(actor->cold != NULL))
		posta__ask_drop(actor);
	if (actor->supervised && !actor->parent_releases)
		suspend(worker, actor, reason);
	else
		terminate(worker, actor, reason);
}

static void stop_children(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	struct posta__signal_data data = { .reason = reason, .number = 1 };
	for (struct posta_actor *child = actor->first_child; child; child = child->next_sibling)
		posta__signal_send(worker->system, worker, posta__self(child), POSTA__SIGNAL_STOP, &data);
}

void posta__actor_begin_stop(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	if (actor->status == POSTA__STOPPING || actor->status == POSTA__FREE)
		return;
	actor->status = POSTA__STOPPING;
	actor->reason = (int16_t)reason;
	actor->attention = (uint8_t)((actor->attention & POSTA__ATTEND_SYSTEM) | POSTA__ATTEND_HOLD);
	if (!actor->first_child)
		finish(worker, actor);
	else if (actor->cold && actor->cold->hooks)
		actor->cold->hooks->stop(actor);
	else
		stop_children(worker, actor, POSTA_ESHUTDOWN);
}

static void log_failure(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason)
{
	const char *words = posta_strerror(reason);
	struct posta__cold *cold = actor->cold;
	if (cold) {
		if (!cold->has_words)
			snprintf(cold->error, sizeof cold->error, "%s", words);
		cold->last_reason = (int16_t)reason;
		words = cold->error;
	}
	posta_log(worker->system, POSTA_LOG_WARNING, "actor.failed", "class=%s ref=%016llx reason=%s error=%s",
		  class_name(actor), (unsigned long long)posta__self(actor), posta_err_name(reason), words);
}

static void keep_or_bury(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message)
{
	struct posta__cold *cold = actor->cold;
	if (cold && !(actor->attention & POSTA__ATTEND_AGAIN))
		cold->redelivered = 0;
	if (cold && cold->redelivered < cold->redeliver_max && !(message->bits_ & POSTA__BIT_REPLY)) {
		cold->redelivered++;
		cold->poison = message;
		return;
	}
	posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_POISON);
}

void posta__actor_failed(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason,
			 struct posta_message *message)
{
	actor->attention &= (uint8_t)~POSTA__ATTEND_FAIL;
	posta__count(&worker->counters.failures, 1);
	log_failure(worker, actor, reason);
	if (message)
		keep_or_bury(worker, actor, message);
	posta__actor_begin_stop(worker, actor, reason);
}

void posta_fail(struct posta_actor *self, enum posta_err reason, const char *format, ...)
{
	if (self->status != POSTA__RUNNING && self->status != POSTA__STARTING)
		return;
	struct posta__cold *cold = posta__cold_get(self);
	if (cold && format) {
		va_list args;
		va_start(args, format);
		vsnprintf(cold->error, sizeof cold->error, format, args);
		cold->has_words = true;
		va_end(args);
	}
	self->reason = (int16_t)(reason == POSTA_OK ? POSTA_EFAILED : reason);
	self->attention |= POSTA__ATTEND_FAIL;
	posta__run_ready(posta__worker(self), self);
}

void posta_stop(struct posta_actor *self, posta_ref ref, enum posta_err reason)
{
	struct posta__worker *worker = posta__worker(self);
	struct posta__signal_data data = { .ref = posta__self(self), .reason = reason };
	if (ref != posta__self(self)) {
		posta__signal_send(worker->system, worker, ref, POSTA__SIGNAL_STOP, &data);
		return;
	}
	self->reason = (int16_t)reason;
	self->attention |= POSTA__ATTEND_STOP; /* no message needed to end oneself: it cannot fail */
	posta__run_ready(worker, self);
}

void posta_system_stop_actor(struct posta_system *system, posta_ref ref, enum posta_err reason)
{
	struct posta__signal_data data = { .reason = reason };
	posta__signal_send(system, NULL, ref, POSTA__SIGNAL_STOP, &data);
}

/* -- Attention -- */

static void restart(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->status != POSTA__SUSPENDED)
		return;
	if (actor->state_owned)
		memset(actor->state, 0, actor->klass->state_size);
	open_mailbox(actor);
	posta_unstash(actor); /* what the last one had put aside comes first again */
	actor->argument = actor->cold->argument;
	actor->status = POSTA__STARTING;
	actor->reason = POSTA_OK;
	actor->attention |= POSTA__ATTEND_START;
	actor->cold->restarts++;
	actor->cold->has_words = false;
	posta__count(&worker->counters.restarts, 1);
	posta__run_ready(worker, actor);
}

static void stop_asked(struct posta__worker *worker, struct posta_actor *actor, const struct posta__signal_data *data)
{
	if (data->number)
		actor->parent_releases = true;
	if (actor->status == POSTA__SUSPENDED && !actor->parent_releases)
		return; /* it is down already, and its supervisor hears of it: a restart is not ours to say */
	if (actor->status == POSTA__SUSPENDED)
		terminate(worker, actor, (enum posta_err)data->reason);
	else if (actor->status == POSTA__STOPPING && data->reason == POSTA_EKILLED)
		stop_children(worker, actor, POSTA_EKILLED); /* no more order: all that is below, at once */
	else
		posta__actor_begin_stop(worker, actor, (enum posta_err)data->reason);
}

static void take_child(struct posta__worker *worker, struct posta_actor *actor, struct posta_actor *child,
		       posta_ref ref)
{
	posta__link_child(actor, child);
	posta__count(&worker->counters.spawned, 1);
	if (actor->status == POSTA__RUNNING)
		return;
	struct posta__signal_data data = { .reason = POSTA_ESHUTDOWN, .number = 1 };
	posta__signal_send(worker->system, worker, ref, POSTA__SIGNAL_STOP, &data);
}

static void act(struct posta__worker *worker, struct posta_actor *actor, enum posta__signal signal,
		const struct posta__signal_data *data)
{
	switch (signal) {
	case POSTA__SIGNAL_STOP:
		stop_asked(worker, actor, data);
		break;
	case POSTA__SIGNAL_RESTART:
		restart(worker, actor);
		break;
	case POSTA__SIGNAL_LINK_CHILD:
		take_child(worker, actor, data->slot, data->ref);
		break;
	case POSTA__SIGNAL_CHILD_STARTED:
		if (actor->cold && actor->cold->hooks)
			actor->cold->hooks->child_started(actor, data->slot);
		break;
	case POSTA__SIGNAL_TIMER:
		if (actor->cold && actor->cold->hooks)
			actor->cold->hooks->timer(actor, (enum posta__due)data->reason, data->ref, data->number);
		break;
	case POSTA__SIGNAL_CHILD_DOWN:
		child_down(worker, actor, data->slot, (enum posta_err)data->reason, data->number);
		break;
	default:
		posta__watch_signal(worker, actor, signal, data);
		break;
	}
}

static void act_on_signals(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->attention &= (uint8_t)~POSTA__ATTEND_SYSTEM;
	while (actor->system_head) {
		struct posta_message *message = actor->system_head;
		actor->system_head = message->next_;
		struct posta__signal_data data;
		memcpy(&data, message->payload_, sizeof data);
		enum posta__signal signal = (enum posta__signal)message->type;
		posta__block_free(worker, message);
		act(worker, actor, signal, &data);
	}
}

bool posta__actor_attend(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->attention & POSTA__ATTEND_SYSTEM)
		act_on_signals(worker, actor);
	if (actor->attention & POSTA__ATTEND_FAIL)
		posta__actor_failed(worker, actor, (enum posta_err)actor->reason, NULL);
	if (actor->attention & POSTA__ATTEND_STOP) {
		actor->attention &= (uint8_t)~POSTA__ATTEND_STOP;
		if (actor->status != POSTA__STOPPING)
			posta__actor_begin_stop(worker, actor, (enum posta_err)actor->reason);
		else if (!actor->first_child)
			finish(worker, actor);
	}
	if (actor->attention & POSTA__ATTEND_START)
		start(worker, actor);
	return !(actor->attention & (POSTA__ATTEND_HOLD | POSTA__ATTEND_FAIL | POSTA__ATTEND_STOP)) &&
	       actor->status == POSTA__RUNNING;
}
