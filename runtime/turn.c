/* SPDX-License-Identifier: MIT */
#include "runtime/turn.h"
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"
#include "runtime/observe.h"
#include "runtime/park.h"

#include <stddef.h>
#include <string.h>

/*
 * A turn takes the whole mailbox in its hand and handles it message by message; what comes meanwhile is for the next
 * turn. If it has to end before, because of a failure or of its time, it puts the rest back in front.
 *
 *   attention, notified or guarded? ──yes──▶ see to it first
 *        │ no
 *   in hand: m1 ─▶ m2 ─▶ m3        each: handler ─▶ block freed ─▶ every so many: look at the ticks
 *        │ all handled                     └─ failed, stopped, kept, special ..: after()
 *   mailbox empty? asleep : in line again
 */

static_assert(offsetof(struct posta_message, next_) == 0, "the tail, which is the last one's next_, is the last one");

static struct posta_message *last_of(const struct posta_actor *actor)
{
	return (struct posta_message *)(void *)actor->tail;
}

static void uncount(struct posta_actor *actor, const struct posta_message *message)
{
	if (!(message->bits_ & POSTA__BIT_REPLY))
		atomic_fetch_sub_explicit(&actor->length, 1, memory_order_relaxed);
}

/* A bounded mailbox that keeps the newest: the oldest above the limit go, but for the runtime's own. */
static void trim(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->attention &= (uint8_t)~POSTA__ATTEND_TRIM;
	uint32_t max = atomic_load_explicit(&actor->length_max, memory_order_relaxed);
	struct posta_message **at = &actor->head, *message;
	while ((message = *at) && atomic_load_explicit(&actor->length, memory_order_relaxed) > max) {
		if (message->type == POSTA_MSG_DOWN || message->type == POSTA_MSG_EXIT ||
		    message->bits_ & POSTA__BIT_REPLY) {
			at = &message->next_;
			continue;
		}
		*at = message->next_;
		if (!*at)
			actor->tail = at;
		uncount(actor, message);
		posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_MAILBOX);
	}
}

static void count_in(struct posta_actor *actor, const struct posta_message *message)
{
	if (!(message->bits_ & POSTA__BIT_REPLY))
		atomic_fetch_add_explicit(&actor->length, 1, memory_order_relaxed);
}

static void unstash(struct posta_actor *actor)
{
	struct posta__cold *cold = actor->cold;
	actor->attention &= (uint8_t)~POSTA__ATTEND_UNSTASH;
	if (!cold || !cold->stash_head)
		return;
	*cold->stash_tail = actor->head;
	if (!actor->head)
		actor->tail = cold->stash_tail;
	actor->head = cold->stash_head;
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		atomic_fetch_add_explicit(&actor->length, cold->stash_count, memory_order_relaxed);
	cold->stash_head = NULL;
	cold->stash_tail = &cold->stash_head;
	cold->stash_count = 0;
}

static bool expired(struct posta__worker *worker, const struct posta_message *message)
{
	uint64_t deadline;
	memcpy(&deadline, message->payload_ + ((message->size_ + 7u) & ~7u), sizeof deadline);
	return posta__worker_now(worker) > deadline;
}

/* Replies and messages with a deadline. Returns: what a handler returns; *handled: the handler need not see it. */
static enum posta_err special(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message,
			      bool *handled)
{
	*handled = true;
	if (message->bits_ & POSTA__BIT_REPLY)
		return posta__ask_answer(worker, actor, message);
	if (!expired(worker, message)) {
		*handled = false;
		return POSTA_OK;
	}
	worker->current = NULL;
	posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_EXPIRED);
	return POSTA_OK;
}

/*
 * What is in hand, from first on, goes back to the front of the mailbox. last: of what was in hand. counted: whether
 * its length has it still; a mailbox that began to be counted in this turn has not.
 */
static void put_back(struct posta_actor *actor, struct posta_message *first, struct posta_message *last, bool counted)
{
	if (!first)
		return;
	if (!counted && atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		for (const struct posta_message *message = first; message; message = message->next_)
			count_in(actor, message);
	last->next_ = actor->head;
	if (!actor->head)
		actor->tail = &last->next_;
	actor->head = first;
}

static bool goes_on(const struct posta_actor *actor, enum posta_err result)
{
	return !actor->attention && (result == POSTA_OK || result == POSTA_EUNHANDLED);
}

/* A message that was not simply handled: kept, not understood, failed .. If the turn ends, the mailbox is whole. */
static void settle(struct posta__worker *worker, struct posta_actor *actor, enum posta_err result)
{
	struct posta_message *message = worker->current;
	worker->current = NULL;
	if (actor->attention & POSTA__ATTEND_FAIL) { /* posta_fail, whatever it returned then */
		posta__actor_failed(worker, actor, (enum posta_err)actor->reason, message);
		return;
	}
	if (result != POSTA_OK && result != POSTA_EUNHANDLED) {
		posta__actor_failed(worker, actor, result, message);
		return;
	}
	actor->attention &= (uint8_t)~POSTA__ATTEND_AGAIN;
	if (message && result == POSTA_EUNHANDLED)
		posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_UNHANDLED);
	else if (message)
		posta__block_free(worker, message);
}

/* Off the straight path, after a handler. Returns: whether the turn goes on. */
static bool after(struct posta__worker *worker, struct posta_actor *actor, enum posta_err result,
		  struct posta_message *next, struct posta_message *last, bool counted)
{
	bool on = goes_on(actor, result);
	if (worker->chain.to)
		posta__chain_end(worker);
	if (!on)
		put_back(actor, next, last, counted);
	settle(worker, actor, result);
	return on;
}

/* Blocks of others, and what is not for the handler alone. */
static __attribute__((noinline)) enum posta_err handle_other(struct posta__worker *worker, struct posta_actor *actor,
							     struct posta_message *message)
{
	bool handled = false;
	enum posta_err result = POSTA_OK;
	if (message->bits_ & POSTA__BITS_SPECIAL)
		result = special(worker, actor, message, &handled);
	return handled ? result : actor->receive(actor, actor->state, message);
}

static inline __attribute__((always_inline)) void run(struct posta__worker *worker, struct posta_actor *actor,
						      bool counted, bool observed)
{
	struct posta_message *message = actor->head, *last = last_of(actor), *next;
	actor->head = NULL;
	actor->tail = &actor->head;
	for (; message; message = next) {
		enum posta_err result;
		next = message->next_;
		__builtin_prefetch(next ? next : message); /* of NULL it would walk the page tables each time */
		worker->current = message;
		if (counted)
			uncount(actor, message);
		if (observed)
			posta__observe_begin(worker, actor, message);
		bool own = posta__block_is_own(worker, message); /* and so it stays, unless it is kept */
		if (POSTA__LIKELY(own))
			result = actor->receive(actor, actor->state, message);
		else
			result = handle_other(worker, actor, message);
		if (observed)
			posta__observe_end(worker, actor);
		if (POSTA__LIKELY(own && !((uint32_t)result | actor->attention) && worker->current == message)) {
			posta__block_push(worker, message);
		} else if (!after(worker, actor, result, next, last, counted)) {
			return;
		}
		if (POSTA__UNLIKELY(--worker->until_look == 0) && posta__worker_look(worker)) {
			put_back(actor, next, last, counted);
			break;
		}
	}
	worker->current = NULL; /* it is gone: who replies outside of a handler hears so */
}

/* What drew attention is seen to at once; whoever has more to do gets in line again. */
static __attribute__((noinline)) void end_turn(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->attention & POSTA__ATTEND_STOP && posta__actor_end_quietly(worker, actor)) {
		actor->queued = false;
		return;
	}
	if (actor->attention & (uint8_t)~POSTA__ATTEND_HOLD)
		posta__actor_attend(worker, actor);
	bool held = actor->attention & POSTA__ATTEND_HOLD;
	if ((actor->head && !held) || actor->notified || (actor->attention & (uint8_t)~POSTA__ATTEND_HOLD))
		posta__run_push(worker, actor);
	else
		actor->queued = false;
}

static __attribute__((noinline)) void attentive_turn(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->notified)
		posta__mailbox_take(worker, actor);
	bool go = !actor->attention || posta__actor_attend(worker, actor);
	if (actor->attention & POSTA__ATTEND_UNSTASH) /* asked for in the last turn, or by the restart just now */
		unstash(actor);
	if (actor->attention & POSTA__ATTEND_TRIM)
		trim(worker, actor);
	if (go && actor->head) {
		/* Asked of the policy, not of the guard: who is only observed is guarded too, and not counted. */
		bool counted = atomic_load_explicit(&actor->bounded, memory_order_relaxed);
		if (actor->observed)
			run(worker, actor, counted, true);
		else if (counted)
			run(worker, actor, true, false);
		else
			run(worker, actor, false, false);
	}
	actor->observed = false;
	if (actor->guarded) {
		posta__park_room(worker, actor);
		posta__observe_unguard(worker, actor);
	}
	end_turn(worker, actor);
}

static inline void turn(struct posta__worker *worker, struct posta_actor *actor)
{
	worker->turns++;
	if (POSTA__UNLIKELY(actor->unusual)) {
		attentive_turn(worker, actor);
		return;
	}
	run(worker, actor, false, false);
	if (POSTA__UNLIKELY(actor->attention || actor->head))
		end_turn(worker, actor);
	else
		actor->queued = false;
}

size_t posta__worker_run(struct posta__worker *worker, size_t turns)
{
	size_t left = turns;
	for (; left; left--) {
		/* Relaxed: a poke that comes just now is seen in the next round. */
		if (POSTA__UNLIKELY(atomic_load_explicit(&worker->poked, memory_order_relaxed)))
			posta__worker_attend(worker);
		struct posta_actor *actor = posta__run_pop(worker);
		if (!actor)
			break;
		turn(worker, actor);
	}
	posta__worker_count(worker);
	return turns - left;
}
