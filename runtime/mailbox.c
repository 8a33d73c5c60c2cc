/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes: no atomic read-modify-write at home, lock-free from abroad.
 *
 *   same worker:   sender ──append──▶ local list            plain loads and stores
 *   other thread:  sender ──push────▶ stack ──▶ (was empty?) home's inbox ──▶ (asleep?) wake
 *   home's turn:   local list + (if notified) the whole stack in one exchange, reversed
 *
 * What a handler sends to one actor abroad in a row is chained: the first is pushed at once, the rest together, when the
 * handler returns, at the latest after CHAIN_MAX, and before anything is pushed to another actor.
 *
 * Invariants:
 * 1. FIFO per sender-receiver pair, moves included. The local list is appended to only when the home is the
 *    sender's worker and the stack is seen empty: then nothing of this sender can be in the stack, since what
 *    it pushed itself it would see (same thread, or the move's release/acquire made it visible). A chain is pushed before
 *    its sender's turn goes on, so neither its sender nor its receiver moves meanwhile to where it would be overtaken.
 * 2. An actor is in an inbox at most once: only the push that found the stack empty enters it, and the stack is
 *    emptied only after the inbox entry was read (notified). So inbox_next is never linked twice.
 * 3. Only the home changes the home. It stores "in transit to T" and hands the actor to T's adopt list; T sets
 *    itself as home. An inbox entry that lands at an old home is passed on.
 * 4. A message carries the generation it is for; what does not fit on delivery is a dead letter.
 *    A reference of nobody, or of another system, finds a slot whose self is another one.
 * 5. Sleep: store sleeping, full fence, look at every queue, block. Sender: push, full fence, look at sleeping.
 *    One of the two sees the other. Only the one that clears sleeping writes the descriptor.
 *
 *        home = W ──(old home: store T|1, release)──▶ T|1 ──(T drains its adopt list: store T)──▶ home = T
 */
#include "runtime/mailbox.h"
#include "runtime/balance.h"
#include "runtime/block.h"
#include "runtime/cold.h"
#include "runtime/observe.h"
#include "runtime/park.h"

#include <string.h>

#define CHAIN_MAX 32u

void posta__inbox_push(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta_actor *old = NULL; /* as it mostly is; to look first would fetch the line twice */
	do
		actor->inbox_next = old;
	/* Release: PAIRS with the acquire exchange in posta__worker_drain; publishes inbox_next. */
	while (!atomic_compare_exchange_weak_explicit(&worker->inbox, &old, actor, memory_order_release,
						      memory_order_relaxed));
	posta__poke(worker);
	posta__worker_wake(worker);
}

void posta__adopt_push(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta_actor *old = atomic_load_explicit(&worker->adopt, memory_order_relaxed);
	do
		actor->adopt_next = old;
	/* Release: PAIRS with the acquire exchange in posta__worker_drain; publishes the whole slot to its new home. */
	while (!atomic_compare_exchange_weak_explicit(&worker->adopt, &old, actor, memory_order_release,
						      memory_order_relaxed));
	posta__poke(worker);
	posta__worker_wake(worker);
}

/* From newest on to oldest: they are linked already. */
static void push(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *newest,
		 struct posta_message *oldest)
{
	struct posta_message *old = NULL; /* as in the inbox */
	do
		oldest->next_ = old;
	/*
	 * Release: PAIRS with the acquire exchange in posta__mailbox_take; publishes the message.
	 * Acquire: so that the home read below is not older than the take that emptied the stack: weaker could send
	 * the inbox entry to a home before the last one for ever.
	 */
	while (!atomic_compare_exchange_weak_explicit(&actor->stack, &old, newest, memory_order_acq_rel,
						      memory_order_relaxed));
	if (!posta__stack_is_empty(old))
		return;
	uintptr_t home = atomic_load_explicit(&actor->home, memory_order_acquire);
	struct posta__worker *to = (struct posta__worker *)(home & ~(uintptr_t)1);
	if (worker)
		posta__talk_with(worker, to->id);
	posta__inbox_push(to, actor);
}

static void chain_push(struct posta__worker *worker)
{
	struct posta__chain *chain = &worker->chain;
	struct posta_message *newest = chain->newest;
	chain->newest = NULL;
	chain->count = 0;
	if (newest)
		push(worker, chain->to, newest, chain->oldest);
}

void posta__chain_end(struct posta__worker *worker)
{
	chain_push(worker);
	worker->chain.to = NULL;
	worker->until_look = worker->chain.until_look;
}

static void chain_add(struct posta__worker *worker, struct posta_message *message)
{
	struct posta__chain *chain = &worker->chain;
	if (!chain->newest)
		chain->oldest = message;
	message->next_ = chain->newest;
	chain->newest = message;
	if (++chain->count == CHAIN_MAX || message->bits_ & POSTA__BIT_SYSTEM)
		chain_push(worker);
}

/* A handler pushes to this actor: what follows is chained. Not on dedicated workers, where handlers may block. */
static void chain_begin(struct posta__worker *worker, struct posta_actor *actor)
{
	struct posta__chain *chain = &worker->chain;
	if (!worker->current || worker->dedicated)
		return;
	if (!chain->to) {
		chain->until_look = worker->until_look;
		worker->until_look = 1; /* the turn asks it after each handler, and nothing more */
	}
	chain->to = actor;
}

void posta__mailbox_push(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message)
{
	if (worker && worker->current && worker->chain.to == actor) {
		chain_add(worker, message);
		return;
	}
	if (worker) {
		chain_push(worker);
		chain_begin(worker, actor);
	}
	push(worker, actor, message, message);
}

static void append(struct posta_actor *actor, struct posta_message *message)
{
	message->next_ = NULL;
	*actor->tail = message;
	actor->tail = &message->next_;
}

static void append_signal(struct posta_actor *actor, struct posta_message *message)
{
	message->next_ = NULL;
	if (actor->system_head)
		actor->system_tail->next_ = message;
	else
		actor->system_head = message;
	actor->system_tail = message;
	actor->attention |= POSTA__ATTEND_SYSTEM;
}

static struct posta_message *reverse(struct posta_message *message)
{
	struct posta_message *first = NULL;
	while (!posta__stack_is_empty(message)) {
		struct posta_message *next = message->next_;
		message->next_ = first;
		first = message;
		message = next;
	}
	return first;
}

void posta__mailbox_guard(struct posta_actor *actor, bool guarded)
{
	struct posta_message *before = guarded ? NULL : POSTA__GUARD, *after = guarded ? POSTA__GUARD : NULL;
	actor->guarded = guarded;
	/*
	 * Relaxed: no message changes hands. If the stack is not empty, the take that empties it leaves what is right.
	 */
	atomic_compare_exchange_strong_explicit(&actor->stack, &before, after, memory_order_relaxed,
						memory_order_relaxed);
}

/* Whom it was for, who had this slot: a link or a watch that came too late is answered in his name. */
static posta_ref former(const struct posta__worker *worker, const struct posta_actor *actor,
			const struct posta_message *message)
{
	return posta__ref_make(worker->system->tag, message->generation_, actor->index);
}

void posta__mailbox_take(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->notified = false;
	uint32_t generation = posta__ref_generation(posta__self(actor)); /* 0 for a free slot: fits nothing */
	/*
	 * Acquire: PAIRS with the push's release; publishes the messages. Release: PAIRS with the push's acquire, when
	 * that finds the stack empty: our read of inbox_next came before, its write comes after. Weaker lets the two
	 * race.
	 */
	struct posta_message *empty = actor->guarded ? POSTA__GUARD : NULL;
	struct posta_message *message = reverse(atomic_exchange_explicit(&actor->stack, empty, memory_order_acq_rel));
	while (message) {
		struct posta_message *next = message->next_;
		worker->talk.messages++;
		posta__talk_with(worker, message->owner_);
		if (POSTA__UNLIKELY(message->generation_ != generation))
			posta__dead_letter(worker->system, worker, former(worker, actor, message), message,
					   POSTA_DEAD_NO_ACTOR);
		else if (POSTA__UNLIKELY(message->bits_ & POSTA__BIT_SYSTEM))
			append_signal(actor, message);
		else
			append(actor, message);
		message = next;
	}
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed) == POSTA_MAILBOX_DROP_OLDEST)
		actor->attention |= POSTA__ATTEND_TRIM;
}

/* What does not count: replies, and the runtime's own. */
static bool counted(const struct posta_message *message)
{
	return !(message->bits_ & (POSTA__BIT_SYSTEM | POSTA__BIT_REPLY));
}

/* Returns: whether there is room, and then it is taken. */
static bool admit(struct posta_actor *actor, uint8_t policy)
{
	/* Relaxed: a bound on a count; the message itself is published by the push. */
	uint32_t before = atomic_fetch_add_explicit(&actor->length, 1, memory_order_relaxed);
	if (policy == POSTA_MAILBOX_DROP_OLDEST || policy == POSTA_MAILBOX_COUNTED_ ||
	    before < atomic_load_explicit(&actor->length_max, memory_order_relaxed))
		return true;
	atomic_fetch_sub_explicit(&actor->length, 1, memory_order_relaxed);
	return false;
}

static enum posta_err refuse(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			     struct posta_message *message, uint8_t policy)
{
	if (policy == POSTA_MAILBOX_REJECT || policy == POSTA_MAILBOX_PARK) {
		posta__message_release(worker, system, message);
		return POSTA_EFULL;
	}
	posta__dead_letter(system, worker, to, message, POSTA_DEAD_MAILBOX);
	return POSTA_OK;
}

static void deliver(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message)
{
	if (!worker || atomic_load_explicit(&actor->home, memory_order_relaxed) != (uintptr_t)worker ||
	    !posta__stack_is_empty(atomic_load_explicit(&actor->stack, memory_order_relaxed))) {
		if (worker)
			worker->talk.messages++;
		posta__mailbox_push(worker, actor, message);
		return;
	}
	if (message->bits_ & POSTA__BIT_SYSTEM)
		append_signal(actor, message);
	else
		append(actor, message);
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed) == POSTA_MAILBOX_DROP_OLDEST)
		actor->attention |= POSTA__ATTEND_TRIM;
	posta__run_ready(worker, actor);
}

/* Full, and an actor sends: the message goes in, and the actor has to wait. From other threads it is refused. */
static bool admit_parking(struct posta__worker *worker, struct posta_actor *actor, posta_ref parker, posta_ref to)
{
	if (!worker)
		return false;
	atomic_fetch_add_explicit(&actor->length, 1, memory_order_relaxed);
	posta__park(worker, parker, to);
	return true;
}

static enum posta_err send(struct posta_system *system, struct posta__worker *worker, struct posta_actor *actor,
			   posta_ref to, struct posta_message *message, posta_ref parker)
{
	if (atomic_load_explicit(&actor->self, memory_order_relaxed) != to || to == POSTA_NOBODY) {
		bool foreign = to >> POSTA__TAG_SHIFT != system->tag && to != POSTA_NOBODY;
		posta__dead_letter(system, worker, to, message, POSTA_DEAD_NO_ACTOR);
		return foreign ? POSTA_EFOREIGN : POSTA_EDEAD;
	}
	uint8_t policy = atomic_load_explicit(&actor->bounded, memory_order_relaxed);
	if (policy && counted(message) && !admit(actor, policy) &&
	    !(policy == POSTA_MAILBOX_PARK && admit_parking(worker, actor, parker, to)))
		return refuse(system, worker, to, message, policy);
	if (POSTA__UNLIKELY(atomic_load_explicit(&system->observing, memory_order_relaxed) & POSTA__OBSERVE_TIMES) &&
	    !(message->bits_ & POSTA__BIT_SYSTEM))
		posta__observe_stamp(system, message);
	deliver(worker, actor, message);
	return POSTA_OK;
}

enum posta_err posta__mailbox_post_slow(struct posta__worker *worker, posta_ref to, struct posta_actor *actor,
					struct posta_message *message)
{
	message->generation_ = posta__ref_generation(to);
	return send(worker->system, worker, actor, to, message, message->sender);
}

enum posta_err posta__mailbox_post_for(struct posta__worker *worker, posta_ref parker, posta_ref to,
				       struct posta_message *message)
{
	message->generation_ = posta__ref_generation(to);
	return send(worker->system, worker, posta__slot(worker, to), to, message, parker);
}

void posta__mailbox_post_own(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message)
{
	message->generation_ = posta__ref_generation(posta__self(actor));
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		atomic_fetch_add_explicit(&actor->length, 1, memory_order_relaxed);
	deliver(worker, actor, message);
}

void posta__mailbox_count(struct posta_actor *actor)
{
	uint32_t length = 0;
	if (actor->status == POSTA__SUSPENDED && !actor->cold->policy_up) /* also when it is up again */
		actor->cold->policy_up = POSTA_MAILBOX_COUNTED_;
	if (atomic_load_explicit(&actor->bounded, memory_order_relaxed))
		return;
	for (const struct posta_message *message = actor->head; message; message = message->next_)
		length += !(message->bits_ & POSTA__BIT_REPLY);
	atomic_store_explicit(&actor->length, length, memory_order_relaxed);
	atomic_store_explicit(&actor->bounded, POSTA_MAILBOX_COUNTED_, memory_order_relaxed);
	posta__mailbox_guard(actor, true);
}

static struct posta_actor *slot_of(struct posta_system *system, posta_ref ref)
{
	return posta__slot(posta__system_worker(system, 0), ref);
}

enum posta_err posta__send_any(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			       struct posta_message *message)
{
	message->generation_ = posta__ref_generation(to);
	return send(system, worker, slot_of(system, to), to, message, message->sender);
}

static enum posta_err send_from_outside(struct posta_system *system, posta_ref to, struct posta_message *message)
{
	return message ? posta__send_any(system, NULL, to, message) : POSTA_ENOMEM;
}

enum posta_err posta_system_send(struct posta_system *system, posta_ref to, uint32_t type, const void *data,
				 size_t size)
{
	if (size > POSTA_COPY_MAX)
		return POSTA_EINVAL;
	return send_from_outside(system, to, posta__message_copy(NULL, system, type, data, size));
}

enum posta_err posta_system_send_slice(struct posta_system *system, posta_ref to, uint32_t type,
				       const struct posta_slice *slice)
{
	struct posta_message *message = posta__message_heap(system, type, sizeof *slice);
	if (!message) {
		if (slice->release)
			slice->release(slice->data, slice->context);
		return POSTA_ENOMEM;
	}
	memcpy(message->payload_, slice, sizeof *slice);
	message->bits_ |= POSTA_BIT_SLICE_;
	return send_from_outside(system, to, message);
}

bool posta__signal_send(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			enum posta__signal signal, const struct posta__signal_data *data)
{
	struct posta_message *message = posta__message_sure(worker, system, (uint32_t)signal, data, sizeof *data);
	if (!message)
		return false;
	message->bits_ |= POSTA__BIT_SYSTEM;
	return posta__send_any(system, worker, to, message) == POSTA_OK;
}
