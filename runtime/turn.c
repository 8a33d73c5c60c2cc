/* SPDX-License-Identifier: MIT */
#include "runtime/turn.h"
#include "runtime/ask.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"

#include <stddef.h>
#include <string.h>

/*
 * The ticks are looked at after 64 messages of a turn and after every 64 then; where turns are long, after 2, 4, 8 .. 64.
 * The instruction that reads them can cost as much as several messages (20 ns in virtual machines).
 */
#define FIRST_LOOK 2u
#define LOOK_MAX 64u

static struct posta_message *last_of(const struct posta_actor *actor)
{
	return (struct posta_message *)(void *)((char *)actor->tail - offsetof(struct posta_message, next_));
}

static inline struct posta_message *pop(struct posta_actor *actor, bool bounded)
{
	struct posta_message *message = actor->head;
	actor->head = message->next_;
	if (actor->head)
		__builtin_prefetch(actor->head);
	else
		actor->tail = &actor->head;
	if (POSTA__UNLIKELY(bounded) && !(message->bits_ & POSTA__BIT_REPLY))
		atomic_fetch_sub_explicit(&actor->length, 1, memory_order_relaxed);
	return message;
}

/* A bounded mailbox that keeps the newest: the oldest above the limit go. */
static void trim(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->attention &= (uint8_t)~POSTA__ATTEND_TRIM;
	while (actor->head && atomic_load_explicit(&actor->length, memory_order_relaxed) > actor->length_max)
		posta__dead_letter(worker->system, worker, posta__self(actor), pop(actor, true), POSTA_DEAD_MAILBOX);
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

static inline enum posta_err handle(struct posta__worker *worker, struct posta_actor *actor,
				    struct posta_message *message)
{
	worker->current = message;
	if (POSTA__UNLIKELY(message->bits_ & POSTA__BITS_SPECIAL)) {
		bool handled;
		enum posta_err result = special(worker, actor, message, &handled);
		if (handled)
			return result;
	}
	return actor->receive(actor, actor->state, message);
}

/* The handler did not just succeed. Returns: whether the turn goes on. */
static bool after(struct posta__worker *worker, struct posta_actor *actor, enum posta_err result)
{
	struct posta_message *message = worker->current;
	worker->current = NULL;
	if (actor->attention & POSTA__ATTEND_FAIL) { /* posta_fail, whatever it returned then */
		posta__actor_failed(worker, actor, (enum posta_err)actor->reason, message);
		return false;
	}
	if (result == POSTA_EUNHANDLED && message) {
		posta__dead_letter(worker->system, worker, posta__self(actor), message, POSTA_DEAD_UNHANDLED);
		message = NULL;
	} else if (result != POSTA_OK && result != POSTA_EUNHANDLED) {
		posta__actor_failed(worker, actor, result, message);
		return false;
	}
	if (message)
		posta__block_free(worker, message);
	return !actor->attention;
}

/* Returns: whether this turn has taken its time. The first look only notes it. */
static bool spent(struct posta__worker *worker, uint64_t *began, uint32_t handled, uint32_t *next_look)
{
	*next_look = handled + (handled < LOOK_MAX ? handled : LOOK_MAX);
	uint64_t ticks = posta__ticks();
	if (!*began)
		*began = ticks;
	return (double)(ticks - *began) > worker->ticks_per_us * (double)worker->system->options.turn_us_max;
}

static uint32_t first_look(const struct posta__worker *worker)
{
	if (POSTA__UNLIKELY(worker->shuffled || worker->system->options.virtual_clock))
		return UINT32_MAX; /* simulations: what a turn does must not depend on the clock of the machine */
	return worker->look_every == 1 ? FIRST_LOOK : LOOK_MAX;
}

static uint32_t run(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta_message *last = last_of(actor);
	uint64_t began = 0;
	uint32_t handled = 0, next_look = first_look(worker);
	bool final = !actor->head, bounded = atomic_load_explicit(&actor->bounded, memory_order_relaxed);
	while (!final) {
		struct posta_message *message = pop(actor, bounded);
		final = message == last;
		enum posta_err result = handle(worker, actor, message);
		handled++;
		if (POSTA__UNLIKELY(result != POSTA_OK || actor->attention)) {
			if (!after(worker, actor, result))
				break;
		} else if (POSTA__LIKELY(worker->current != NULL)) {
			posta__block_free(worker, worker->current);
		}
		if (POSTA__UNLIKELY(handled >= next_look && spent(worker, &began, handled, &next_look)))
			break;
	}
	return handled;
}

/* What drew attention during the turn is seen to at once; whoever has more to do gets in line again. */
static void end_turn(struct posta__worker *worker, struct posta_actor *actor)
{
	if (POSTA__UNLIKELY(actor->attention & (uint8_t)~POSTA__ATTEND_HOLD))
		posta__actor_attend(worker, actor);
	bool held = actor->attention & POSTA__ATTEND_HOLD;
	if ((actor->head && !held) || actor->notified || (actor->attention & (uint8_t)~POSTA__ATTEND_HOLD))
		posta__run_push(worker, actor);
	else
		actor->queued = false;
}

/*
 * Most turns are one message for an actor that nothing else concerns. Returns: whether this was such a turn, and is over.
 */
static inline bool run_single(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta_message *message = actor->head;
	if (!message || message->next_ || message->bits_ & POSTA__BITS_SPECIAL || actor->notified || actor->attention ||
	    atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		return false;
	actor->head = NULL;
	actor->tail = &actor->head;
	worker->current = message;
	enum posta_err result = actor->receive(actor, actor->state, message);
	posta__count(&worker->counters.messages, 1);
	if (POSTA__UNLIKELY(result != POSTA_OK || actor->attention)) {
		after(worker, actor, result);
		end_turn(worker, actor);
		return true;
	}
	if (POSTA__LIKELY(worker->current != NULL))
		posta__block_free(worker, worker->current);
	if (POSTA__UNLIKELY(actor->head != NULL))
		posta__run_push(worker, actor);
	else
		actor->queued = false;
	return true;
}

void posta__turn(struct posta__worker *worker, struct posta_actor *actor)
{
	if (POSTA__LIKELY(run_single(worker, actor)))
		return;
	if (POSTA__UNLIKELY(actor->notified))
		posta__mailbox_take(worker, actor);
	bool go = POSTA__LIKELY(!actor->attention) || posta__actor_attend(worker, actor);
	if (POSTA__UNLIKELY(actor->attention & POSTA__ATTEND_TRIM))
		trim(worker, actor);
	if (go && actor->head) {
		uint32_t handled = run(worker, actor);
		posta__count(&worker->counters.messages, handled);
	}
	end_turn(worker, actor);
}
