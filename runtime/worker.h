/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_WORKER_H
#define POSTA_RUNTIME_WORKER_H

/*
 * A worker: one thread, one libev loop, one run queue, its timers and its message pool. Or no thread: then the
 * host drives it. Everything in it belongs to its thread, but for the lines marked shared.
 */

#include "runtime/actor.h"
#include "runtime/pool.h"
#include "runtime/slots.h"
#include "runtime/timer.h"

#include <ev.h>
#include <pthread.h>

enum posta__drive {
	POSTA__DRIVE_THREAD, /* a thread of ours runs the loop */
	POSTA__DRIVE_STEP,   /* posta_system_step, on a loop of ours */
	POSTA__DRIVE_HOST    /* the host's loop calls us */
};

/* Counters: written by the worker, read by anybody. Relaxed: they order nothing. */
struct posta__counters {
	_Atomic(uint64_t) spawned, stopped, restarts, failures, messages, turns, remote, moved, sleeps, wakes,
		dead_letters[POSTA_DEAD_REASONS], late_replies, timers, parked;
};

static inline void posta__count(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* What a worker and the others say to each other since the last look at it, balance.h. Its own. */
struct posta__talk {
	uint64_t since_ticks, idle_ticks;
	uint32_t messages; /* that crossed, either way */
	uint32_t votes;
	uint8_t partner; /* with whom most of them were: by majority vote */
	uint64_t relented_ticks;
	struct posta__worker *gather_to; /* actors that are notified from abroad go there to live; NULL: they stay */
};

/* What the handler in work has still to push to one actor, mailbox.c. Its own. */
struct posta__chain {
	struct posta_actor *to;                /* to whom that handler pushed last; NULL: to nobody */
	struct posta_message *newest, *oldest; /* NULL: nothing waits */
	uint32_t count;
	uint32_t until_look; /* the worker's, before it was set to 1 */
};

/* What somebody looks for: bits of observing. */
#define POSTA__OBSERVE_TIMES 1u
#define POSTA__OBSERVE_WATCHDOG 2u

struct posta__observed;

/* What a worker works on, for the watchdog. */
struct posta__working {
	_Atomic(uint64_t) number; /* odd: in a handler */
	_Atomic(posta_ref) ref;
	_Atomic(const struct posta_actor_class *) klass;
	_Atomic(uint32_t) type;
};

struct posta__worker {
	/* hot, its own */
	_Alignas(POSTA__LINE) struct posta_actor *run_head;
	struct posta_actor **run_tail;
	struct posta_message *current;  /* the message in work; NULL once kept, and outside of a turn */
	struct posta_actor *free_slots; /* linked by next_sibling */
	struct posta_system *system;
	struct posta_actor *slots; /* the system's table of slots */
	uint32_t slot_mask;
	uint32_t until_look; /* messages; 1 where a handler has pushed: what it chained is pushed then */
	uint32_t look_every; /* messages: few, where they take long */
	uint32_t turns;      /* since they were counted */
	uint16_t own_block;  /* owner and bits of a message that is a plain block of its pool */
	uint8_t id;
	bool dedicated;
	enum posta__drive drive;
	struct posta__pool pool;
	struct posta_actor *born, **born_at; /* spawned, not started yet; and where this turn's next one goes */
	uint64_t born_ticks;                 /* since then some have waited, and for so many turns: */
	uint32_t born_turns;
	/* its own */
	struct posta__chain chain;
	struct posta__counters counters;
	struct posta__timers timers;
	uint64_t random[2];
	uint64_t now_ns;       /* as of the last look at the clock */
	uint64_t polled_ticks; /* when the loop was last polled, in ticks */
	uint64_t look_ticks;   /* when the ticks were last looked at */
	uint64_t began_ticks;  /* at or after the beginning of the turn in which they were looked at */
	double ticks_per_us;
	double turn_ticks; /* mean of a turn */
	struct posta__talk talk;
	bool poll_due;
	bool rung; /* the wake descriptor has to be read */
	bool shuffled;   /* seeded order of ready actors */
	uint32_t pinned; /* actors that may own watchers: without any the busy loop is not polled */
	struct ev_loop *loop;
	ev_io wake_io;
	ev_timer wake_timer;
	ev_prepare prepare;
	ev_check check;
	ev_idle idle;
	pthread_t thread;
	bool thread_started;
	_Atomic(struct posta__observed *) observed;
	uint64_t handler_began_ns;
	bool handler_timed; /* times were measured when it began */
	_Atomic(bool) vacant; /* dedicated, and its actor ended */
	_Alignas(POSTA__LINE) struct posta__working working; /* read by the watchdog */
	/* shared: entered by other threads */
	_Alignas(POSTA__LINE) _Atomic(bool) poked; /* one of this and the next line was written: look at them */
	_Atomic(uint8_t) observing;                /* POSTA__OBSERVE_* */
	_Atomic(struct posta_actor *) inbox;       /* actors whose mailbox was notified */
	_Atomic(struct posta_actor *) adopt;       /* actors that come here to live */
	_Atomic(struct posta_actor *) reclaim;     /* slots that a parent elsewhere let go */
	_Alignas(POSTA__LINE) _Atomic(int) sleeping;
	_Atomic(struct posta__worker *) asker; /* an idle worker that wants work */
	_Atomic(uint32_t) load;                /* share of its time that is work, talk not counted: 0 to 1000 */
	_Atomic(uint32_t) reluctance;          /* to give work away, since it had to be gathered again */
	int wake_fd;
	_Alignas(POSTA__LINE) _Atomic(struct posta_message *) returned; /* small blocks that come home */
	_Atomic(struct posta_message *) returned_large;                 /* the other classes */
};

/* Cheap, monotonic, of no known unit: the worker calibrates it against the clock. */
static inline uint64_t posta__ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* Never NULL; whether it is the actor that ref names, its self tells. */
static inline struct posta_actor *posta__slot(const struct posta__worker *worker, posta_ref ref)
{
	return &worker->slots[(uint32_t)ref & worker->slot_mask];
}

/*
 * Makes the worker look at its shared lines. Any thread, after what it shall find was put there.
 * Release: PAIRS with the acquire exchange in the round; publishes what was put there. Weaker: a busy worker overlooks
 * it.
 */
static inline void posta__poke(struct posta__worker *worker)
{
	atomic_store_explicit(&worker->poked, true, memory_order_release);
}

static inline void posta__run_push(struct posta__worker *worker, struct posta_actor *actor)
{
	actor->queued = true;
	actor->run_next = NULL;
	*worker->run_tail = actor;
	worker->run_tail = &actor->run_next;
}

/*
 * An actor that was just spawned here, to be started. Newborns have a line of their own, those of the youngest turn
 * first: so a tree of actors grows branch by branch, and the memory of one is free, and warm, for the next; in the
 * common line it would grow level by level, until all of it is there. In a seeded order there is one line.
 */
static inline void posta__run_born(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->queued)
		return;
	if (POSTA__UNLIKELY(worker->shuffled)) {
		posta__run_push(worker, actor);
		return;
	}
	actor->queued = true;
	actor->run_next = *worker->born_at;
	*worker->born_at = actor;
	worker->born_at = &actor->run_next;
}

/* While there are newborns: whose turn it is, theirs or the others'. */
struct posta_actor *posta__run_pop_born(struct posta__worker *worker);

static inline struct posta_actor *posta__run_pop(struct posta__worker *worker)
{
	struct posta_actor *actor = worker->run_head;
	if (POSTA__UNLIKELY(!actor || worker->born))
		return worker->born ? posta__run_pop_born(worker) : NULL;
	worker->run_head = actor->run_next;
	if (!worker->run_head)
		worker->run_tail = &worker->run_head;
	return actor;
}

/* How many are ready, up to max: counted when it is asked, so that each push and pop need not. */
static inline size_t posta__run_count(const struct posta__worker *worker, size_t max)
{
	size_t n = 0;
	for (const struct posta_actor *actor = worker->run_head; actor && n < max; actor = actor->run_next)
		n++;
	return n;
}

/* Makes an actor of this worker run, for attention or for messages. */
static inline void posta__run_ready(struct posta__worker *worker, struct posta_actor *actor)
{
	if (!actor->queued)
		posta__run_push(worker, actor);
}

enum posta_err posta__worker_init(struct posta__worker *worker, struct posta_system *system, uint8_t id,
				  enum posta__drive drive, struct ev_loop *loop, struct posta_error *error);
enum posta_err posta__worker_start(struct posta__worker *worker, int cpu, struct posta_error *error);
void posta__worker_fini(struct posta__worker *worker);
/* Wakes it if it sleeps. Any thread; after a push with release order. */
void posta__worker_wake(struct posta__worker *worker);
/* Does what is due beside turns: the shared lines, what others ask, the loop. */
void posta__worker_attend(struct posta__worker *worker);
/* Adds to the counters what the straight path only noted. */
void posta__worker_count(struct posta__worker *worker);
/* Blocks in the loop until something happens, at most timeout_ns. */
void posta__worker_sleep(struct posta__worker *worker, uint64_t timeout_ns);
/* Returns: whether it may block: nothing waits, and whoever pushes now will wake it. */
bool posta__worker_fall_asleep(struct posta__worker *worker);
void posta__worker_poll(struct posta__worker *worker);
/* Takes what others left in the shared lines. */
void posta__worker_drain(struct posta__worker *worker);
/*
 * Looks at the ticks: it is called every look_every messages. Returns: whether the turn has taken its time. What else
 * is due by then is done after the turn.
 */
bool posta__worker_look(struct posta__worker *worker);
/* The worker of the calling thread, NULL on a foreign one. */
struct posta__worker *posta__worker_current(void);
void posta__worker_set_current(struct posta__worker *worker);
/* Looks at the clock (virtual in simulations) and keeps it in now_ns. */
uint64_t posta__worker_now(struct posta__worker *worker);
uint64_t posta__worker_random(struct posta__worker *worker);

#endif
