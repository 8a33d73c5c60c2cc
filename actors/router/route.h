/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_ROUTE_H
#define POSTA_ACTORS_ROUTER_ROUTE_H

/*
 * One route is one actor. Each delivery is a flight from its arrival to its settlement; there are at most as many as
 * the source's credit, and a few times that while a reconnected source sends again what is still on its way.
 *
 *   delivery ─▶ steps ─▶ held ─▶ out ─▶ all confirmed ─▶ settled (ACK)
 *                 │       ▲       │ failed
 *                 │       └─ retry ◀┤ tries left
 *                 └──── failed ─────┴─▶ dead ─▶ kept by the dead-letter target (ACK), or rejected (REJECT)
 *
 * Flights of one key share a lane, in their order of arrival. A flight leaves only when none before it in its lane
 * waits for a retry; on routes with a retry policy it leaves only as the first of its lane, for then a failure that
 * is found out late could not keep the order any more.
 *
 * A route that fails is suspended and restarted by its supervisor. Its flights and its subscription are no part of what
 * is lost then: answers and deliveries wait in its mailbox meanwhile, so nothing comes twice and no order is broken.
 */

#include "config.h"

#include <posta/timer.h>

#include <pthread.h>
#include <stdatomic.h>

#define POSTA__LANE_BUCKETS 1024u
#define POSTA__DEAD_TARGET 255u

enum posta__route_message {
	POSTA__ROUTE_DRAIN = 0x7FFE3000,
	POSTA__ROUTE_RETRY /* uint64_t cookie */
};

enum posta__flight_phase {
	POSTA__FLIGHT_FREE,
	POSTA__FLIGHT_HELD,
	POSTA__FLIGHT_OUT,
	POSTA__FLIGHT_RETRY,
	POSTA__FLIGHT_DEAD
};

struct posta__lane;

struct posta__flight {
	struct posta__flight *lane_next;
	struct posta__lane *lane; /* NULL: no key, no order */
	struct posta_envelope *envelope;
	struct posta_token token;
	uint32_t serial;    /* tells answers to earlier flights of this place apart */
	uint32_t attempts;  /* begun */
	uint32_t confirmed; /* a bit a target */
	uint32_t waiting;   /* a bit a target: its answer is due */
	uint64_t wait_ms;   /* the last wait */
	enum posta__flight_phase phase;
	bool dead; /* given up: it goes to the dead-letter target */
	enum posta_err reason;
	char *words; /* owned; of the last failure */
};

struct posta__lane {
	struct posta__lane *chain;
	struct posta__flight *first, *last;
	uint32_t hash;
	uint32_t retrying; /* flights that wait for a retry */
	bool moving;       /* its flights are being let go: it stays, even if it gets empty */
	size_t len;
	char key[];
};

/* One writer, the route's worker; relaxed: they order nothing. */
struct posta__route_counters {
	_Atomic uint64_t received, sent, filtered, dead_lettered, redelivered, retried, in_flight, restarts;
};

struct posta__outlet {
	struct posta_bridge *bridge;
	struct posta_route_target *target; /* owned */
	const struct posta__template *key;
};

struct posta__route {
	/* constant since start */
	const struct posta__route_config *config;
	const struct posta_router_options *options;
	struct posta_system *system;
	struct posta_bridge *source;
	const char *source_name;
	struct posta__outlet outlets[POSTA__TARGETS_MAX];
	struct posta__outlet dead_letter; /* bridge NULL: none */
	/* the worker's own */
	struct posta_actor *self;
	uint32_t subscription;     /* 0: none yet */
	uint32_t generation;       /* of the newest token */
	uint32_t stale;            /* flights with an older one */
	enum posta_err subscribed; /* the last answer */
	bool draining;
	struct posta__flight *flights;
	uint32_t flight_max;
	uint32_t in_flight;
	uint32_t *free_places;
	struct posta__lane **lanes;
	char *scratch; /* of templates */
	size_t scratch_room;
	/* any thread */
	struct posta__route_counters counters;
	_Atomic bool down;    /* failed, and not restarted yet */
	pthread_mutex_t lock; /* last_error */
	char last_error[POSTA_ERROR_TEXT_MAX];
};

extern const struct posta_actor_class posta__route_class;

static inline void posta__route_count(_Atomic uint64_t *counter, int64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)n,
			      memory_order_relaxed);
}

void posta__route_error(struct posta__route *route, const char *text);

/* -- route_step.c */
enum posta__verdict { POSTA__PASS, POSTA__FILTERED, POSTA__BROKEN };
/* May replace *envelope by a changed copy. BROKEN: error says why. */
enum posta__verdict posta__route_steps(struct posta__route *route, struct posta_envelope **envelope,
				       struct posta_error *error);

/* -- route_flight.c */
enum posta_err posta__flights_init(struct posta__route *route);
/* Idempotent. */
void posta__flights_fini(struct posta__route *route);
/* After a restart, which dropped the timers: what waited waits again. */
void posta__flights_resume(struct posta__route *route);
/* Takes: envelope. Returns: false when there is no place; the envelope is released then too. */
bool posta__flight_begin(struct posta__route *route, struct posta_envelope *envelope, struct posta_token token,
			 enum posta_err broken, const char *words);
/* The same message, still on its way from before its source reconnected, now answers for this token. */
bool posta__flight_adopt(struct posta__route *route, const struct posta_envelope *envelope, struct posta_token token);
/* The source reconnected: what was not sent yet will come again. */
void posta__flights_stale(struct posta__route *route);
void posta__flight_answer(struct posta__route *route, const struct posta_published *published);
void posta__flight_retry(struct posta__route *route, uint64_t cookie);

/* -- lane.c */
/* NULL key: none. False: out of memory. */
bool posta__lane_join(struct posta__route *route, struct posta__flight *flight, struct posta_bytes key);
/* Takes the flight out. Returns: its lane, unless that went with it. */
struct posta__lane *posta__lane_leave(struct posta__route *route, struct posta__flight *flight);
/* Frees it if it is empty and nobody is moving it. Returns: whether it did. */
bool posta__lane_prune(struct posta__route *route, struct posta__lane *lane);

#endif
