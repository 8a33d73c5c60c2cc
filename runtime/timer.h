/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_TIMER_H
#define POSTA_RUNTIME_TIMER_H

/* The timers of a worker: a 4-ary heap by due time over a table of records, so that a cancel is exact and cheap. */

#include <posta/timer.h>

struct posta__worker;

struct posta__timer {
	uint64_t due_ns;
	uint64_t period_ns; /* 0: once */
	uint64_t order;     /* first armed, first fired, when due at the same time */
	struct posta_actor *owner;
	posta_ref to;
	struct posta_message *message;
	uint32_t heap_at;
	uint32_t generation;
	uint32_t next, before; /* of the same owner; or the next free record. 1-based; 0: none */
};

struct posta__timers {
	struct posta__timer *table;
	uint32_t *heap;
	uint32_t count, room; /* in the heap; of both arrays */
	uint32_t free;        /* 1-based; 0: none */
	uint32_t used;        /* records ever used */
	uint64_t order;
};

/* Nanoseconds until the first is due, UINT64_MAX when there is none. */
uint64_t posta__timers_wait_ns(const struct posta__worker *worker);
uint64_t posta__timers_due_ns(const struct posta__worker *worker);
/* Sends what is due at worker->now_ns. */
void posta__timers_fire(struct posta__worker *worker);
/* The owner ends: none of its timers fires. */
void posta__timers_drop(struct posta__worker *worker, struct posta_actor *owner);
void posta__timers_fini(struct posta__worker *worker);
/* Arms one for a message made already. Takes: message, always. */
posta_timer posta__timer_arm(struct posta_actor *owner, uint64_t delay_ns, uint64_t period_ns, posta_ref to,
			     struct posta_message *message);

#endif
