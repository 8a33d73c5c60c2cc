/* SPDX-License-Identifier: MIT */
/*
 * Mailbox, inbox, sleep and move as runtime/mailbox.c, turn.c, worker.c, balance.c and spawn.c have them, for spin.
 *
 * WORKERS workers; A, an actor that receives; S, an actor that sends; a foreign thread that sends. Both actors move
 * between the workers, and A's slot may be used again for an actor on another worker. Checked:
 *
 *   - nothing is lost, nobody sleeps for ever with work: all sleep only when all is handled (else: invalid end state),
 *     and that is reached on every fair path (ltl all_handled);
 *   - FIFO for each sender;
 *   - A is in at most one inbox, once, and in at most one run queue, and runs on its home alone.
 *
 * Each step that others can see is one step here, and a comment "C FILE: WORDS" in front of it says which line of C it
 * stands for: the words stand in that file (tests/model/run looks). What only the home sees is joined to its neighbour.
 *
 * Memory: the store of 1 to `sleeping` goes through a store buffer, which the process memory() empties at some time,
 * and a fence at once. (The store of 0 is seen at once: seen late it only costs a write to the descriptor that none
 * needs.) A compare-and-exchange with release order is no fence either: a load after it may be done before its store is
 * seen, as on ARM: without the fence the load of `sleeping` may have been done early. A read of `home` from abroad may
 * be one move old. The rest is ordered by the release/acquire pairs that the C states.
 *
 * -DBREAK_... is one of the mistakes that this protocol is careful not to make; each must be found.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef MOVES
#define MOVES 2
#endif
#ifndef FROM_ACTOR
#define FROM_ACTOR 2
#endif
#ifndef FROM_FOREIGN
#define FROM_FOREIGN 2
#endif
#define TOTAL (FROM_ACTOR + FROM_FOREIGN)

#define A 0
#define S 1
#define FOREIGN WORKERS /* whose thread: a worker's number, or this */
#define TRANSIT 8       /* the lowest bit of the address in C */
#define HOME(h) ((h) & 7)
#define BIT(a) (1 << (a))

/* struct posta_actor */
byte home[2];
byte was;          /* A's home before this one */
byte stack[TOTAL]; /* oldest first: the last one is the head in C */
byte depth;
chan list = [TOTAL] of { byte }; /* head and tail */
bool queued[2];
bool notified;
bool linked;        /* inbox_next belongs to whoever entered A, until a drain has read it */
bool adopt_linked[2]; /* the same of adopt_next */

/* struct posta__worker */
byte ready[WORKERS];   /* the run queue, a bit an actor: any order */
bool inbox[WORKERS]; /* A is in it */
byte adopt[WORKERS];
bool poked[WORKERS];
bool sleeping[WORKERS];
bool wake_fd[WORKERS];

#define UNKNOWN 2
bool buffered[WORKERS]; /* its store of 1 to sleeping is not seen yet */

byte moves = MOVES;
byte left = FROM_ACTOR; /* what S has still to send */
byte expected[2];
byte handled;

#define DONE (handled == TOTAL)
#define NUMBER ((S << 4) | (FROM_ACTOR - left)) /* of what S sends next */

proctype memory()
{
end:
	do
	:: d_step { buffered[0] -> sleeping[0] = true; buffered[0] = false }
	:: d_step { buffered[1] -> sleeping[1] = true; buffered[1] = false }
#if WORKERS > 2
	:: d_step { buffered[2] -> sleeping[2] = true; buffered[2] = false }
#endif
	od
}

inline fence(by)
{
	if
	:: by < WORKERS && buffered[by] -> d_step { sleeping[by] = true; buffered[by] = false }
	:: else
	fi
}

/* -- worker.c, waking -- */

/* early: what a load of sleeping found that was done before the push; UNKNOWN: it was not */
inline wake(to, by)
{
	if
	/* C worker.c: if (worker == current_worker && worker->drive != POSTA__DRIVE_HOST) */
	:: to == by -> early = UNKNOWN
	:: else ->
#ifndef BREAK_NO_FENCE_IN_WAKE
		/* C worker.c: The fence of invariant 5 in mailbox.c: PAIRS with the one in posta__worker_sleep. */
		fence(by);
		early = UNKNOWN;
#endif
		/* C worker.c: if (!atomic_load_explicit(&worker->sleeping, memory_order_relaxed) || */
		if
		:: early == UNKNOWN -> early = sleeping[to]
		:: else
		fi;
		if
		:: early ->
			/* C worker.c: !atomic_exchange_explicit(&worker->sleeping, 0, memory_order_relaxed)) */
			d_step { early = sleeping[to]; sleeping[to] = false };
			if
#ifdef BREAK_SIGNAL_LOST
			:: early
#else
			/* C worker.c: written = write(worker->wake_fd, &one, sizeof one); */
			:: early -> wake_fd[to] = true
#endif
			:: else
			fi
		:: else
		fi;
		early = UNKNOWN
	fi
}

/* -- mailbox.c -- */

/* Its store is seen after the push's and, the fence in wake() being between, before the look at sleeping. */
inline poke(to)
{
#ifndef BREAK_NOT_POKED
	/* C worker.h: atomic_store_explicit(&worker->poked, true, memory_order_release); */
	poked[to] = true
#else
	skip
#endif
}

/* The loop of load and compare-and-exchange is one step: a try that fails changes nothing that others see. */
inline inbox_push(to, by)
{
#ifdef BREAK_NO_FENCE_IN_WAKE
	if
	:: early = sleeping[to]
	:: skip
	fi;
#endif
	/* C mailbox.c: while (!atomic_compare_exchange_weak_explicit(&worker->inbox, &old, actor, memory_order_release, */
	d_step { assert(!linked); linked = true; inbox[to] = true };
	poke(to);
	wake(to, by)
}

inline adopt_push(a, to, by)
{
#ifdef BREAK_NO_FENCE_IN_WAKE
	if
	:: early = sleeping[to]
	:: skip
	fi;
#endif
	/* C mailbox.c: while (!atomic_compare_exchange_weak_explicit(&worker->adopt, &old, actor, memory_order_release, */
	d_step { assert(!adopt_linked[a]); adopt_linked[a] = true; adopt[to] = adopt[to] | BIT(a) };
	poke(to);
	wake(to, by)
}

/* count messages of one sender, the first of that number: what it chained is pushed at once. */
inline mailbox_push(message, count, by)
{
	/* C mailbox.c: while (!atomic_compare_exchange_weak_explicit(&actor->stack, &old, newest, memory_order_acq_rel, */
	d_step {
		first = depth == 0;
		i = 0;
		do
		:: i < count -> stack[depth] = message + i; depth++; i++
		:: else -> break
		od;
		i = 0
	};
#ifdef BREAK_DOUBLE_ENQUEUE
	first = true;
#endif
	if
	:: first ->
		/* C mailbox.c: uintptr_t home = atomic_load_explicit(&actor->home, memory_order_acquire); */
		if
		:: target = HOME(home[A])
		:: target = was
		fi;
		first = false;
		inbox_push(target, by);
		target = 0
	/* C mailbox.c: if (!posta__stack_is_empty(old)) */
	:: else
	fi
}

/* C worker.h: if (!actor->queued) */
inline run_ready(a, w)
{
	if
	:: !queued[a] -> run_push(a, w)
	:: else
	fi
}

/* Its link is in one list only: two run queues that share it are both broken. */
inline run_push(a, w)
{
	assert(!(ready[0] & BIT(a)) && !(ready[1] & BIT(a)));
#if WORKERS > 2
	assert(!(ready[2] & BIT(a)));
#endif
	queued[a] = true;
	ready[w] = ready[w] | BIT(a)
}

/* C mailbox.c: struct posta_message *message = reverse(atomic_exchange_explicit(&actor->stack, empty, memory_order_acq_rel)); */
inline mailbox_take()
{
	d_step {
		/* C mailbox.c: actor->notified = false; */
		notified = false;
		i = 0;
		do
		:: i < depth ->
#ifdef BREAK_NOT_REVERSED
			list!stack[depth - 1 - i];
#else
			list!stack[i];
#endif
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < depth -> stack[i] = 0; i++
		:: else -> break
		od;
		depth = 0;
		i = 0
	}
}

/* -- turn.c -- */

inline handle()
{
	d_step {
		list?m;
		assert((m & 15) == expected[m >> 4]);
		expected[m >> 4]++;
		handled++;
		m = 0
	}
}

/* A's turn. C turn.c: if (actor->notified) */
inline turn_of_receiver(w)
{
	d_step { assert(home[A] == w); ready[w] = ready[w] & ~BIT(A) };
#ifdef BREAK_TAKEN_UNNOTIFIED
	mailbox_take();
#else
	if
	:: notified -> mailbox_take()
	:: else
	fi;
#endif
	/* Any number of them: it may have taken its time. C turn.c: if (POSTA__UNLIKELY(--worker->until_look == 0) && posta__worker_look(worker)) { */
	atomic {
		if
		:: nempty(list) ->
			handle();
			do
			:: nempty(list) -> handle()
			:: break
			od
		:: empty(list)
		fi;
		/* C turn.c: if ((actor->head && !held) || actor->notified || (actor->attention & (uint8_t)~POSTA__ATTEND_HOLD)) */
		if
		:: nempty(list) || notified -> run_push(A, w)
		:: empty(list) && !notified -> queued[A] = false
		fi
	}
}

/* S's handler sends a message or more. C mailbox.h: static inline enum posta_err posta__post( */
inline turn_of_sender(w)
{
	atomic {
		assert(home[S] == w);
		ready[w] = ready[w] & ~BIT(S);
		number = NUMBER;
		left--
	};
	atomic {
		if
		/* C mailbox.h: !atomic_load_explicit(&actor->stack, memory_order_relaxed))) { */
#ifdef BREAK_APPEND_PAST_STACK
		:: home[A] == w ->
#else
		:: home[A] == w && depth == 0 ->
#endif
			list!number;
			run_ready(A, w);
			number = 0
		:: else
		fi
	};
	if
	:: number ->
		mailbox_push(number, 1, w);
		/* C mailbox.c: chain_add(worker, message); */
		number = NUMBER;
		atomic {
			do
			:: left -> chained++; left--
			:: break
			od
		}
	:: else
	fi;
#ifndef BREAK_CHAINED_PAST_TURN
	chain_push(w);
#endif
	atomic {
		if
		:: left -> run_push(S, w)
		:: else -> queued[S] = false
		fi
	}
}

/* C worker.c: if (worker->chain.to) { */
inline chain_push(w)
{
	if
	/* C mailbox.c: push(worker, chain->to, newest, chain->oldest); */
	:: chained -> mailbox_push(number, chained, w)
	:: else
	fi;
	d_step { chained = 0; number = 0 }
}

/* -- worker.c, the shared lines -- */

/* C worker.c: actor->queued = false; */
inline adopt_one(a, w)
{
	atomic {
		adopt_linked[a] = false;
		/* C worker.c: atomic_store_explicit(&actor->home, (uintptr_t)worker, memory_order_relaxed); */
		home[a] = w;
		queued[a] = false;
		run_ready(a, w)
	}
}

inline notify(w)
{
	/* C worker.c: uintptr_t home = atomic_load_explicit(&actor->home, memory_order_acquire); */
	target = home[A];
	if
	:: HOME(target) != w ->
		/* C worker.c: posta__inbox_push((struct posta__worker *)(home & ~(uintptr_t)1), actor); */
#ifndef BREAK_NOT_FORWARDED
		target = HOME(target);
		inbox_push(target, w)
#endif
	:: else ->
		/* C worker.c: actor->notified = true; */
		notified = true;
		/* C worker.c: if (home == (uintptr_t)worker && !posta__balance_gathers(worker, actor)) */
		if
		:: target == w -> run_ready(A, w)
		:: d_step { target == w && !queued[A] && moves -> moves-- } -> send_away(A, w)
		:: target != w
		fi
	fi;
	target = 0 /* a value that nobody will look at would only make more states */
}

inline attend(w)
{
#ifndef BREAK_POKE_CLEARED_LATE
	/* C worker.c: atomic_exchange_explicit(&worker->poked, false, memory_order_acquire); */
	poked[w] = false;
#endif
	/* C worker.c: posta__worker_drain(worker); */
	drain(w);
#ifdef BREAK_POKE_CLEARED_LATE
	poked[w] = false;
#endif
	skip
}

inline drain(w)
{
	/* C worker.c: adopted = atomic_exchange_explicit(&worker->adopt, NULL, memory_order_acquire); */
	d_step { adopted = adopt[w]; adopt[w] = 0 };
	/* C worker.c: struct posta_actor *inbox = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire); */
	d_step { entered = inbox[w]; inbox[w] = false };
	if
	:: adopted & BIT(A) -> adopt_one(A, w)
	:: else
	fi;
	if
	:: adopted & BIT(S) -> adopt_one(S, w)
	:: else
	fi;
	adopted = 0;
	if
	:: entered ->
		/* C worker.c: struct posta_actor *next = inbox->inbox_next; */
		d_step { entered = false; linked = false };
		notify(w)
	:: else
	fi
}

/* -- balance.c and spawn.c: the ways to another worker -- */

inline send_away(a, w)
{
	atomic {
#ifdef BREAK_SPAWNED_WHILE_QUEUED
		if
		:: a == A -> was = w
		:: else -> ready[w] = ready[w] & ~BIT(a)
		fi;
#else
		/* C spawn.c: run_remove(worker, actor); */
		ready[w] = ready[w] & ~BIT(a);
		if
		:: a == A -> was = w
		:: else
		fi;
#endif
		/* C balance.c: atomic_store_explicit(&actor->home, (uintptr_t)to | 1, memory_order_release); */
		if
		:: target = (w + 1) % WORKERS
#if WORKERS > 2
		:: target = (w + 2) % WORKERS
#endif
		fi;
		home[a] = target | TRANSIT
	};
	adopt_push(a, target, w);
	target = 0
}

/* C balance.c: struct posta_actor *actor = posta__run_pop(worker); */
inline give(a, w)
{
	send_away(a, w)
}

/* A's actor has ended and its slot gets one that lives elsewhere. What was sent to the old one may be on its way. */
inline spawn_elsewhere(w)
{
	/* C spawn.c: atomic_store_explicit(&actor->home, (uintptr_t)home | 1, memory_order_release); */
	send_away(A, w)
}

/* -- worker.c, the round -- */

/* C worker.c: bool posta__worker_fall_asleep(struct posta__worker *worker) */
inline sleep(w)
{
#ifdef BREAK_LOOKED_FIRST
	(!inbox[w] && !adopt[w]);
	buffered[w] = true;
	fence(w);
	awake = false;
#else
	/* C worker.c: atomic_store_explicit(&worker->sleeping, 1, memory_order_relaxed); */
	buffered[w] = true;
#ifndef BREAK_NO_FENCE_IN_SLEEP
	/* C worker.c: atomic_thread_fence(memory_order_seq_cst); /* PAIRS with the one in posta__worker_wake */
	fence(w);
#endif
	/* C worker.c: return worker->run_head || worker->born || shared_lines(worker); */
	awake = inbox[w];
	if
	:: !awake -> awake = adopt[w] != 0
	:: else
	fi;
#endif
	if
	:: awake -> awake = false
	/* C worker.c: ev_run(worker->loop, EVRUN_ONCE); */
	:: else ->
		if
		:: wake_fd[w] -> wake_fd[w] = false
		:: DONE -> goto over
		fi
	fi;
	/* C worker.c: atomic_store_explicit(&worker->sleeping, 0, memory_order_relaxed); */
	d_step { buffered[w] = false; sleeping[w] = false }
}

proctype worker(byte w)
{
	byte target, early = UNKNOWN, number, chained, i, m, adopted;
	bool first, entered, awake;
	do
	:: DONE -> break
	/* C turn.c: if (POSTA__UNLIKELY(atomic_load_explicit(&worker->poked, memory_order_relaxed))) */
	:: poked[w] -> attend(w)
	/* C balance.c: give_half(worker, asker, waiting); */
	:: d_step { ready[w] & BIT(A) && moves -> moves-- } -> give(A, w)
	:: d_step { ready[w] & BIT(S) && moves -> moves-- } -> give(S, w)
	:: d_step { home[A] == w && moves && empty(list) -> moves-- } -> spawn_elsewhere(w)
	/* C turn.c: turn(worker, actor); */
	:: ready[w] & BIT(A) -> turn_of_receiver(w)
#ifdef BREAK_CHAINED_PAST_TURN
	:: chained -> chain_push(w)
	:: ready[w] & BIT(S) && !chained -> turn_of_sender(w)
#else
	:: ready[w] & BIT(S) -> turn_of_sender(w)
#endif
	/* C worker.c: if (posta__worker_run(worker, 1024) == 0) */
	:: !ready[w] && !poked[w] -> sleep(w)
	od;
over:
	skip
}

proctype foreign()
{
	byte target, early = UNKNOWN, sent, i;
	bool first;
	do
	:: sent < FROM_FOREIGN ->
		/* C mailbox.c: push(worker, actor, message, message); */
		mailbox_push(sent, 1, FOREIGN);
		sent++
	:: else -> break
	od
}

init {
	atomic {
		byte w;
		/* S, ready, lives with A on the first worker. */
		ready[0] = BIT(S);
		queued[S] = true;
		run memory();
		for (w : 0 .. WORKERS - 1) {
			run worker(w)
		}
		run foreign()
	}
}

ltl all_handled { <> DONE }
