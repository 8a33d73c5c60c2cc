/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_ACTOR_H
#define POSTA_RUNTIME_ACTOR_H

/*
 * The slot of an actor. Slots are type-stable: the memory is a slot until the system is freed, so a stale
 * reference reads a slot, sees that it is not the one it names, and stops there.
 *
 * Line 0 belongs to the home worker alone. Line 1 has all that a sender on another thread reads and writes: so a
 * message from abroad moves one line of its receiver to the sender and back. Line 2 is cold.
 */

#include <posta/actor.h>
#include <posta/system.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define POSTA__LINE 64
#define POSTA__LIKELY(x) __builtin_expect(!!(x), 1)
#define POSTA__UNLIKELY(x) __builtin_expect(!!(x), 0)

struct posta__worker;
struct posta__cold;

enum posta__status {
	POSTA__FREE,
	POSTA__STARTING, /* its start has not run, or has not ended */
	POSTA__RUNNING,
	POSTA__SUSPENDED, /* ended after a failure; its supervisor will restart or release it */
	POSTA__STOPPING,  /* waits for its children */
};

/* Bits of attention: anything that takes a turn off the straight path. Home only. */
enum posta__attention {
	POSTA__ATTEND_SYSTEM = 1 << 0, /* system messages wait */
	POSTA__ATTEND_START = 1 << 1,
	POSTA__ATTEND_FAIL = 1 << 2, /* posta_fail was called */
	POSTA__ATTEND_STOP = 1 << 3, /* stop was asked, or the actor waits for its children */
	POSTA__ATTEND_HOLD = 1 << 4, /* suspended, starting or parked: no user messages now */
	POSTA__ATTEND_TRIM = 1 << 5, /* a bounded mailbox that drops its oldest */
	POSTA__ATTEND_UNSTASH = 1 << 6,
	POSTA__ATTEND_AGAIN = 1 << 7, /* the first message failed it before */
};

struct posta_actor {
	/* line 0 */
	_Alignas(POSTA__LINE) struct posta_message *head;
	struct posta_message **tail;
	struct posta_actor *run_next;
	union {
		posta_receive *receive;
		void *argument; /* of the spawn, until start has it; a supervised one's is in cold as well */
	};
	void *state;
	union {
		struct {
			uint8_t attention; /* enum posta__attention */
			bool notified;     /* the mailbox from abroad has to be taken */
			bool guarded; /* senders at home, too, take the long way: its empty stack is POSTA__GUARD */
			bool observed; /* its next turn is looked at: see observe.h */
		};
		uint32_t unusual; /* the four in one look: 0: nothing to do in its turn but to handle messages */
	};
	bool queued;    /* in the run queue, or in its turn */
	uint8_t status; /* enum posta__status */
	bool pinned;
	bool state_owned : 1;
	bool supervised : 1;
	bool parent_releases : 1; /* its end is final: the parent asked for it */
	uint32_t generation;      /* of the next actor in it */
	uint32_t timers; /* the first of those it has armed, 1-based; 0: none. With timers it does not move */
	int16_t reason;           /* why it ends, once stopping */
	/* line 1 */
	_Alignas(POSTA__LINE) _Atomic(struct posta_message *) stack; /* newest first; FIFO once reversed */
	_Atomic(uintptr_t) home;        /* struct posta__worker *, or'ed with 1 while in transit to it */
	_Atomic(posta_ref) self;        /* POSTA_NOBODY while the slot is free */
	struct posta_actor *inbox_next; /* owner: whoever made the stack non-empty, then the home's drain */
	struct posta_actor *adopt_next;
	_Atomic(uint32_t) length;     /* user messages waiting; kept only when bounded */
	_Atomic(uint32_t) length_max; /* changes when a supervised actor goes down and comes up */
	_Atomic(uint8_t) bounded;     /* enum posta_mailbox_policy; changes likewise */
	uint32_t index;               /* of the slot, constant */
	_Atomic(posta_ref) parked_on; /* whose full mailbox it waits for; see park.c */
	/* line 2 */
	_Alignas(POSTA__LINE) const struct posta_actor_class *klass;
	struct posta_actor *parent;
	struct posta_actor *first_child, *next_sibling, *prev_sibling; /* the parent's home's */
	struct posta__cold *cold;
	struct posta_message *system_head, *system_tail;
};

static_assert(sizeof(struct posta_actor) == 3 * POSTA__LINE, "three cache lines an actor");

/* What the empty stack of a guarded actor holds. The straight path of a send only asks whether the stack is NULL. */
#define POSTA__GUARD ((struct posta_message *)1)

static inline bool posta__stack_is_empty(const struct posta_message *top)
{
	return (uintptr_t)top <= (uintptr_t)POSTA__GUARD;
}

/* -- References -- */

#define POSTA__INDEX_BITS 28
#define POSTA__INDEX_MASK ((UINT32_C(1) << POSTA__INDEX_BITS) - 1)
#define POSTA__GENERATION_MASK POSTA__INDEX_MASK
#define POSTA__TAG_SHIFT 56

static inline posta_ref posta__ref_make(uint8_t tag, uint32_t generation, uint32_t index)
{
	return (uint64_t)tag << POSTA__TAG_SHIFT |
	       (uint64_t)(generation & POSTA__GENERATION_MASK) << POSTA__INDEX_BITS | index;
}

static inline uint32_t posta__ref_index(posta_ref ref)
{
	return (uint32_t)ref & POSTA__INDEX_MASK;
}

static inline uint32_t posta__ref_generation(posta_ref ref)
{
	return (uint32_t)(ref >> POSTA__INDEX_BITS) & POSTA__GENERATION_MASK;
}

/* The state of the actor's turn, readable by its home only. */
static inline posta_ref posta__self(const struct posta_actor *actor)
{
	return atomic_load_explicit(&actor->self, memory_order_relaxed);
}

/* The home of a running actor, as seen by itself: nobody else changes it meanwhile. */
static inline struct posta__worker *posta__worker(const struct posta_actor *self)
{
	return (struct posta__worker *)(atomic_load_explicit(&self->home, memory_order_relaxed) & ~(uintptr_t)1);
}

/* The same for an actor that is in its turn, and so not in transit. */
static inline struct posta__worker *posta__worker_running(const struct posta_actor *self)
{
	return (struct posta__worker *)atomic_load_explicit(&self->home, memory_order_relaxed);
}

/* -- Life, actor.c -- */

/* A spawn before it is handed to its home. parent's thread, or any with parent = the root (linked = false). */
struct posta__spawn {
	const struct posta_actor_class *klass;
	void *argument;
	const struct posta_spawn_options *options;
	struct posta_actor *parent;
	bool supervised;
	/* supervised only */
	uint32_t redeliver_max;
	uint8_t when_down;      /* enum posta_when_down */
	uint32_t when_down_max; /* with POSTA_DOWN_BOUNDED */
	/* of the argument, when the actor has ended for good; may be NULL */
	void (*argument_free)(struct posta_system *system, void *argument);
	const struct posta__supervisor_hooks *hooks;
};

/* Runs what draws attention. Returns: whether user messages may be handled in this turn. */
bool posta__actor_attend(struct posta__worker *worker, struct posta_actor *actor);
/*
 * Short cut of the commonest end: an actor without belongings stops itself. Returns: whether it was one, and is gone.
 */
bool posta__actor_end_quietly(struct posta__worker *worker, struct posta_actor *actor);
/* Its handler said so, or posta_fail. message: the one in work, taken; may be NULL. */
void posta__actor_failed(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason,
			 struct posta_message *message);
struct posta_actor *posta__actor_spawn(struct posta__worker *worker, const struct posta__spawn *spawn,
				       struct posta_error *error);
/* Any thread; spawn->parent is the root. */
posta_ref posta__actor_spawn_under_root(struct posta_system *system, const struct posta__spawn *spawn,
					struct posta_error *error);
/* Children first, then itself; the end is reported to its parent. Home only. */
void posta__actor_begin_stop(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason);

#endif
