/* SPDX-License-Identifier: MIT */
#ifndef POSTA_OBSERVE_H
#define POSTA_OBSERVE_H

/*
 * Looking at a system while it runs: the tree of its actors, how long messages wait and handlers take, and handlers
 * that do not return. Nothing stops for it. What times are measured is only measured while posta_observe() is on: off,
 * a message costs not one instruction more.
 */

#include <posta/actor.h>
#include <posta/system.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Times of handlers and of waiting in mailboxes, per system and per actor: on or off, at any time. On, a message costs
 * two looks at the clock, and an actor that gets any 24 bytes. Thread: any.
 */
void posta_observe(struct posta_system *system, bool on);

/* -- Histograms -- */

#define POSTA_HISTOGRAM_BUCKETS 640

/* Log-linear: 16 buckets for each power of two, so a quantile is at most 1/16 too high. Only ever grows. */
struct posta_histogram {
	uint64_t count, sum_ns, max_ns;
	uint64_t buckets[POSTA_HISTOGRAM_BUCKETS];
};

/*
 * Sums over the workers; either may be NULL. waits: from a send to the handler; messages that fill their block to the
 * last 8 bytes have no room for the time and are left out. Thread: any.
 */
void posta_system_histograms(struct posta_system *system, struct posta_histogram *waits,
			     struct posta_histogram *handlers);
/* The largest time, in ns, that belongs into a bucket; UINT64_MAX for the last. */
uint64_t posta_histogram_limit_ns(unsigned bucket);
/* quantile: 0 to 1. Returns: ns; 0 when nothing was measured. */
uint64_t posta_histogram_quantile_ns(const struct posta_histogram *histogram, double quantile);

/* -- The tree -- */

enum posta_actor_state {
	POSTA_ACTOR_UNKNOWN,  /* its worker did not answer in time, or it was moving: only ref and worker are told */
	POSTA_ACTOR_STARTING, /* its start is not finished */
	POSTA_ACTOR_RUNNING,
	POSTA_ACTOR_PARKED,    /* waits for room in a mailbox */
	POSTA_ACTOR_SUSPENDED, /* ended; its supervisor will restart it, or let it go */
	POSTA_ACTOR_STOPPING   /* waits for its children to end */
};

/* "running" */
const char *posta_actor_state_name(enum posta_actor_state state);

struct posta_actor_view {
	posta_ref ref;
	posta_ref parent; /* POSTA_NOBODY: the root */
	char class_name[32];
	char name[64]; /* the first of its names; both are cut where longer */
	enum posta_actor_state state;
	int worker;        /* from 1; above posta_system_workers(): a thread of its own */
	uint64_t mailbox;  /* messages waiting; counted up to 65,536 */
	uint64_t messages; /* handled, and */
	uint64_t time_ns;  /* ns spent on them, while posta_observe() was on */
	uint64_t restarts;
	enum posta_err last_reason; /* of its last failure */
	char last_error[POSTA_ERROR_TEXT_MAX];
};

struct posta_tree {
	size_t count;
	size_t size_;
#ifdef __GNUC__
	__extension__ /* C++ has no such array */
#endif
		struct posta_actor_view views[]; /* in the order of their slots */
};

/*
 * All actors as they are now, each as its own worker sees it between two turns; an actor on a thread of its own, which
 * may block, is UNKNOWN but for its place. A worker that is stuck in a handler has its actors told as UNKNOWN after
 * timeout_ms. Thread: none of posta's (host-driven: the driving one). Returns: owned, posta_tree_free(); NULL with
 * error: ENOMEM, EWRONGTHREAD, ECLOSED (it stops).
 */
struct posta_tree *posta_system_tree(struct posta_system *system, uint64_t timeout_ms, struct posta_error *error);
/* NULL is allowed. */
void posta_tree_free(struct posta_system *system, struct posta_tree *tree);

#ifdef __cplusplus
}
#endif
#endif
