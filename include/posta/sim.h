/* SPDX-License-Identifier: MIT */
#ifndef POSTA_SIM_H
#define POSTA_SIM_H

/*
 * Simulation: one or several systems, each with several workers, all in the calling thread, on a virtual clock. Which
 * worker goes next, which ready actor, which of them changes its worker, when an actor crashes, what a link between two
 * systems loses: all of it follows from a seed. The same seed gives the same run, so what a thousand seeds have found
 * is replayed by its one number.
 *
 * Delivery between actors of one system stays what it is, in order and without loss; only links between systems (and
 * the connections of memory brokers) lose, repeat, delay and reorder. Thread: all of it, one and the same.
 * docs/guides/simulation.md shows how a test is written.
 */

#include <posta/actor.h>
#include <posta/system.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTA_SIM_NODES_MAX 16
#define POSTA_SIM_WORKERS_MAX 16

struct posta_sim;

struct posta_sim_options {
	size_t size;
	uint64_t seed;
	int nodes;           /* systems; 0: 1; at most POSTA_SIM_NODES_MAX */
	int workers;         /* of each system; 0: 1; at most POSTA_SIM_WORKERS_MAX */
	uint32_t actors_max; /* of each system; 0: 65,536 */
	uint64_t steps_max;  /* then the run has a problem: it does not come to rest. 0: 10,000,000 */
	/* Chances in a thousand, before each turn. */
	uint32_t move_per_mille;  /* ready actors go to another worker that asks for work */
	uint32_t crash_per_mille; /* the actor fails between two messages: none is lost by it */
	uint32_t fail_per_mille;  /* its handler fails the next message, which its spec redelivers or buries */
	/* Who may crash and fail. NULL: whoever has a supervisor and is none. klass: its class's name. */
	bool (*may_fail)(void *context, const char *klass, posta_ref ref);
	void *may_fail_context;
	/* One line for each thing that happens. NULL: only their hash is kept. */
	void (*trace)(void *context, const char *line);
	void *trace_context;
	void (*dead_letter)(void *context, const struct posta_dead_letter *letter);
	void *dead_letter_context;
	void (*log)(void *context, int level, const char *event, const char *text);
	void *log_context;
	int log_level;
};

/* Errors: EINVAL names the option; ENOMEM; EIO. Returns: owned through *sim. */
enum posta_err posta_sim_start(const struct posta_sim_options *options, struct posta_sim **sim,
			       struct posta_error *error);
/*
 * Stops every system, children before parents, without faults, and frees all. NULL is allowed. report may be NULL.
 * Returns: ETIMEDOUT: actors were left.
 */
enum posta_err posta_sim_stop(struct posta_sim *sim, struct posta_stop_report *report);

/* A node's system; NULL while it is crashed. Its posta_system_* calls are those of a thread that is none of posta's. */
struct posta_system *posta_sim_system(struct posta_sim *sim, int node);
/*
 * The process of a node is killed: no stop() runs, no message is handled any more, all it held is gone. What its
 * actors reach outside of their state (a store) stays, and so does memory they allocated by themselves.
 * Thread: outside of handlers. Errors: ESTATE: inside of one, or crashed already.
 */
enum posta_err posta_sim_crash(struct posta_sim *sim, int node);
/* Stops a node in order, as its host would. Errors: ESTATE; ETIMEDOUT: actors were left. */
enum posta_err posta_sim_shut_down(struct posta_sim *sim, int node);
/* Starts a node again, empty. Errors: ESTATE: it runs. */
enum posta_err posta_sim_restart(struct posta_sim *sim, int node, struct posta_error *error);

/* -- Running -- */

/* One step of one worker at the present time. Returns: false: nothing can be done before time passes. */
bool posta_sim_step(struct posta_sim *sim);
/* Steps until nothing can be done before time passes. */
void posta_sim_settle(struct posta_sim *sim);
/* Lets ms pass, and runs what they bring, in order of time. */
void posta_sim_advance(struct posta_sim *sim, uint64_t ms);
/*
 * Runs, moving the clock when nothing else can be done, until done(context) or ms have passed. Returns: whether done.
 */
bool posta_sim_run_until(struct posta_sim *sim, bool (*done)(void *context), void *context, uint64_t ms);
uint64_t posta_sim_now_ns(const struct posta_sim *sim);
/*
 * Inside a handler: other workers may run here, as if this thread had been interrupted. It does nothing in a system
 * that is not simulated, so it may stay where it is.
 */
void posta_sim_yield(struct posta_actor *self);
/* No more crashes, failures, losses: to look whether everything recovers. */
void posta_sim_calm(struct posta_sim *sim);

/* -- Chance and trace -- */

/* Uniform 64 bits of the simulation's own generator. */
uint64_t posta_sim_random(struct posta_sim *sim);
/* True in per_mille of a thousand cases. */
bool posta_sim_chance(struct posta_sim *sim, uint32_t per_mille);
/* Words of the test's own in the trace and its hash. No addresses and no wall clock: they differ from run to run. */
void posta_sim_note(struct posta_sim *sim, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	;
/* Of everything that happened until now: two runs with the same hash went the same way. */
uint64_t posta_sim_hash(const struct posta_sim *sim);
/* Steps taken until now. */
uint64_t posta_sim_steps(const struct posta_sim *sim);
/* What is wrong with the runtime itself (a worker that sleeps on its work, a run that never rests); NULL: nothing. */
const char *posta_sim_problem(const struct posta_sim *sim);

/* -- Links between nodes -- */

struct posta_sim_link {
	uint32_t drop_per_mille;
	uint32_t duplicate_per_mille;
	uint32_t reorder_per_mille; /* a message may overtake; else a link keeps the order */
	uint64_t delay_ms_min, delay_ms_max;
	bool cut; /* nothing passes, also what is under way */
};

/* One direction. Without it a link is perfect and takes no time. Errors: EINVAL. */
enum posta_err posta_sim_link(struct posta_sim *sim, int from, int to, const struct posta_sim_link *link);
/*
 * To the actor registered as name on another node, as the link allows; the receiver sees no sender. Thread: inside a
 * handler of self, in a simulation. Errors: EINVAL, ENOMEM, EFULL (65,536 are under way), ESTATE (not simulated).
 */
enum posta_err posta_sim_send(struct posta_actor *self, int node, const char *name, uint32_t type, const void *data,
			      size_t size);
/* The node self lives on; -1: not simulated. */
int posta_sim_node(const struct posta_actor *self);

#ifdef __cplusplus
}
#endif
#endif
