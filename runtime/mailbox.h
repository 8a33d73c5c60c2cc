/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_MAILBOX_H
#define POSTA_RUNTIME_MAILBOX_H

/*
 * How a message gets from a sender to a mailbox. See the essay in mailbox.c.
 */

#include "runtime/system.h"

/*
 * From a thread that is not the home, or when the mailbox from abroad is not empty. worker: the sender's, NULL on a
 * foreign thread. Takes: message.
 */
void posta__mailbox_push(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message);
/* The handler that pushed has returned: what it chained is pushed. */
void posta__chain_end(struct posta__worker *worker);
/* The home takes everything from abroad into the local list, and acts on system messages' arrival. */
void posta__mailbox_take(struct posta__worker *worker, struct posta_actor *actor);
/* All of posta_post's less travelled ways: there the generation is looked at on delivery. Takes: message. */
enum posta_err posta__mailbox_post_slow(struct posta__worker *worker, posta_ref to, struct posta_actor *actor,
					struct posta_message *message);
/*
 * Home only. A guarded actor's senders take the long way, where limits are looked at: its empty stack is not NULL, so
 * that the straight way need not ask.
 */
void posta__mailbox_guard(struct posta_actor *actor, bool guarded);
/* Enters an actor into a worker's inbox / adopt list and wakes it. */
void posta__inbox_push(struct posta__worker *worker, struct posta_actor *actor);
void posta__adopt_push(struct posta__worker *worker, struct posta_actor *actor);
/* Sends to whoever is in the slot of ref, from a worker. Takes: message, always. */
static inline enum posta_err posta__post(struct posta__worker *worker, posta_ref to, struct posta_message *message)
{
	struct posta_actor *actor = posta__slot(worker, to);
	/* Relaxed: at home both fields change only on this thread; from abroad a stale look is caught on delivery. */
	if (POSTA__LIKELY(atomic_load_explicit(&actor->self, memory_order_relaxed) == to &&
			  atomic_load_explicit(&actor->home, memory_order_relaxed) == (uintptr_t)worker &&
			  !atomic_load_explicit(&actor->stack, memory_order_relaxed))) {
		message->next_ = NULL;
		*actor->tail = message;
		actor->tail = &message->next_;
		posta__run_ready(worker, actor);
		return POSTA_OK;
	}
	return posta__mailbox_post_slow(worker, to, actor, message);
}

/*
 * The runtime's own message to an actor at home here, in its place in the mailbox, whatever the limit. Takes: message.
 */
void posta__mailbox_post_own(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *message);
/* A message whose sender is another one than the actor that posts it, and so would be parked. Takes: message. */
enum posta_err posta__mailbox_post_for(struct posta__worker *worker, posta_ref parker, posta_ref to,
				       struct posta_message *message);

/* From now on its length is known, though it has no limit. Home only. */
void posta__mailbox_count(struct posta_actor *actor);

/* System messages: a lane of their own, never bounded, first in a turn. */
enum posta__signal {
	POSTA__SIGNAL_STOP = POSTA_MSG_SYSTEM_FIRST_,
	POSTA__SIGNAL_LINK_CHILD, /* to the root: a spawn from outside */
	POSTA__SIGNAL_CHILD_STARTED,
	POSTA__SIGNAL_CHILD_DOWN,
	POSTA__SIGNAL_RESTART,
	POSTA__SIGNAL_WATCH,
	POSTA__SIGNAL_UNWATCH,
	POSTA__SIGNAL_DOWN, /* of a watched actor */
	POSTA__SIGNAL_LINK,
	POSTA__SIGNAL_UNLINK,
	POSTA__SIGNAL_EXIT,  /* of a linked actor */
	POSTA__SIGNAL_TIMER, /* of a supervisor, to itself */
	POSTA__SIGNAL_PARKED, /* a sender waits for room */
	POSTA__SIGNAL_ROOM,
	POSTA__SIGNAL_COUNT, /* its length is wanted: it is kept from now on */
};

struct posta__signal_data {
	struct posta_actor *slot; /* a child or parent: they outlive the signal */
	posta_ref ref;
	int32_t reason;
	uint32_t number; /* a monitor; or flags */
};

/* worker NULL: a foreign thread. Best effort: false when out of memory. A dead receiver is no error. */
bool posta__signal_send(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			enum posta__signal signal, const struct posta__signal_data *data);

/* From any thread (worker NULL: a foreign one). Takes: message. */
enum posta_err posta__send_any(struct posta_system *system, struct posta__worker *worker, posta_ref to,
			       struct posta_message *message);

#endif
