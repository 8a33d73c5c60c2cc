/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_SIM_H
#define POSTA_RUNTIME_SIM_H

/* What the simulation's files share, and what the runtime asks it. See the essay in sim.c. */

#include "runtime/system.h"

#include <posta/sim.h>

#define POSTA__SIM_PACKETS_MAX 65536u

struct posta__sim_node {
	struct posta_system *system;
	uint32_t busy; /* workers in a turn, one bit each */
	uint32_t starts;
};

/* A message on a link. */
struct posta__sim_packet {
	struct posta__sim_packet *next; /* by due time, then by order */
	uint64_t due_ns, order;
	int from, to;
	uint32_t type;
	size_t size;
	char *name;
	unsigned char data[];
};

struct posta_sim {
	struct posta_sim_options options;
	uint64_t random;
	uint64_t now_ns;
	uint64_t hash;
	uint64_t steps;
	uint64_t loop_events; /* seen by the workers' loops */
	int depth;            /* of steps within steps */
	bool calm;
	struct posta__sim_node nodes[POSTA_SIM_NODES_MAX];
	struct posta_sim_link links[POSTA_SIM_NODES_MAX][POSTA_SIM_NODES_MAX];
	uint64_t link_due_ns[POSTA_SIM_NODES_MAX][POSTA_SIM_NODES_MAX]; /* of the last one that kept the order */
	struct posta__sim_packet *packets;
	uint32_t packet_count;
	uint64_t packet_order;
	char problem[128];
};

/* -- Asked by the runtime -- */

/* The look of a turn that knows no clock: by chance the turn has taken its time. */
bool posta__sim_look(struct posta__worker *worker);
/* What posta_system_step and _advance are in a simulated system. Returns: whether anything was done. */
bool posta__sim_drive(struct posta_sim *sim);

/* -- sim_trace.c -- */

void posta__sim_mix(struct posta_sim *sim, uint64_t value);
void posta__sim_trace_turn(struct posta_sim *sim, int node, const struct posta__worker *worker,
			   const struct posta_actor *actor, const char *what);
void posta__sim_trace(struct posta_sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void posta__sim_problem(struct posta_sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -- sim_link.c -- */

uint64_t posta__sim_packets_due_ns(const struct posta_sim *sim);
/* Delivers what is due. Returns: whether there was any. */
bool posta__sim_packets_deliver(struct posta_sim *sim);
/* node < 0: all. Of a node that crashed only what is on its way from it: the rest meets nobody. */
void posta__sim_packets_drop(struct posta_sim *sim, int node);

#endif
