/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_ROUTER_H
#define POSTA_ACTORS_ROUTER_ROUTER_H

/*
 * A router is a table of bridges and a table of routes, and one actor that keeps them: the manager. Callers build what
 * is new (plan.c) and hand it over in one message; the manager alone starts, drains, closes and counts ends. The lock
 * guards the tables against status calls; the manager holds it for its own changes only. Each second it looks again at
 * what could not start, and at what lacked memory: a watch, a message to a route, one of a caller's to itself.
 *
 *   manager ── supervisor ─┬─ route      A route that fails is restarted by the supervisor, with back-off: it keeps its
 *                          └─ route      subscription and its flights (route.c). The manager hears of final ends only.
 */

#include "route.h"

#define POSTA__SLOTS_MAX 4096u /* routes or bridges, with those of earlier files that are not over yet */

enum posta__slot_state {
	POSTA__SLOT_FREE,
	POSTA__SLOT_NEW,      /* built; starts when the one before it has ended */
	POSTA__SLOT_STARTING, /* the supervisor was asked */
	POSTA__SLOT_WAITING,  /* it could not start for now */
	POSTA__SLOT_RUNNING,
	POSTA__SLOT_ENDING,
	POSTA__SLOT_ENDED
};

struct posta__bridge_slot {
	enum posta__slot_state state;
	struct posta_bridge *bridge; /* not used any more once it is ENDING */
	posta_ref ref;
	uint64_t fingerprint;
	bool watched;
	bool retired; /* the newest file has no such broker */
	char name[64];
	struct posta_bridge_status last; /* when it began to end */
	bool closed;                     /* the router's use of it has ended */
};

struct posta__route_slot {
	enum posta__slot_state state;
	struct posta__route *route;
	posta_ref ref;
	bool watched;
	struct posta__route_slot *before; /* of the same name: it must have ended */
	bool retired;
};

/* A file and what runs by it: it goes with the last of its routes, at the next reload. */
struct posta__router_file {
	struct posta__router_file *next;
	struct posta_router_config *config;
};

struct posta_router {
	struct posta_system *system;
	struct posta_router_options options;
	posta_ref manager;
	posta_ref supervisor; /* the manager's own */
	_Atomic bool stopped;
	_Atomic uint64_t stop_unsent; /* a stop there was no memory to send: its deadline_ms + 1 */
	pthread_mutex_t lock; /* all below */
	struct posta__router_file *files;
	struct posta__bridge_slot **bridges;
	size_t bridge_count;
	struct posta__route_slot **routes;
	size_t route_count;
	uint32_t deadline_ms;
	uint64_t overdue_at_ns;
	bool stopping;
	bool overdue;  /* the deadline of the stop has passed */
	bool changing; /* a reload is on its way to the manager */
};

enum posta__router_message {
	POSTA__ROUTER_STOP = 0x7FFE3100, /* uint32_t deadline_ms */
	POSTA__ROUTER_CHANGE,
	POSTA__ROUTER_DEADLINE,
	POSTA__ROUTER_TICK /* what could not be done is tried again */
};


/*
 * Adds what config has and the router has not, as NEW slots, and marks what it has no more as retired. On an error
 * everything is as it was. Takes: config, always. The lock is held.
 */
enum posta_err posta__router_plan(struct posta_router *router, struct posta_router_config *config,
				  struct posta_error *error);
void posta__router_free_route(struct posta__route *route);

#endif
