/* SPDX-License-Identifier: MIT */
/*
 * The simulation: all workers of all nodes in one thread, one step of one of them at a time.
 *
 *   a step: a worker, by chance, of those that are awake
 *      its shared lines, or those and one turn, or (with nothing to do) its way to sleep
 *      and by chance: it gives actors away, its turn is cut short, the actor crashes, its handler fails
 *   nobody awake ─▶ the loops are polled ─▶ nothing came ─▶ the clock moves to what is due next
 *
 * The workers go through the very code that threads run: mailboxes, inboxes, moves, sleep and wake. A worker that
 * sleeps is left alone until the flag by which a thread would be woken is taken from it; one that sleeps while it has
 * work is a lost wake, and a problem of the run. Order within a step is the machine's: for that there is the model
 * (tests/model).
 *
 * Nothing here reads a clock, an address, or any chance but the seed's.
 */
#include "runtime/sim.h"
#include "runtime/balance.h"
#include "runtime/cold.h"
#include "runtime/mailbox.h"
#include "runtime/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS_MAX_DEFAULT 65536u
#define STEPS_MAX_DEFAULT UINT64_C(10000000)
#define NS_PER_MS UINT64_C(1000000)
#define DEPTH_MAX 4
#define STOP_STEPS_MAX UINT64_C(4000000)
#define TURN_CUT_PER_MILLE 250
#define ONLY_LOOK_PER_MILLE 125 /* a step that takes the shared lines and runs no turn */
#define POLL_PER_MILLE 100
#define ASK_PER_MILLE 500
#define IDLE_POLL_PER_MILLE 200

/* -- Chance -- */

/* splitmix64 */
uint64_t posta_sim_random(struct posta_sim *sim)
{
	uint64_t z = (sim->random += UINT64_C(0x9E3779B97F4A7C15));
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

bool posta_sim_chance(struct posta_sim *sim, uint32_t per_mille)
{
	return per_mille && posta_sim_random(sim) % 1000 < per_mille;
}

static bool fault(struct posta_sim *sim, uint32_t per_mille)
{
	return !sim->calm && posta_sim_chance(sim, per_mille);
}

bool posta__sim_look(struct posta__worker *worker)
{
	struct posta_sim *sim = worker->system->sim;
	posta__worker_count(worker);
	worker->look_every = worker->until_look = 1 + (uint32_t)(posta_sim_random(sim) % 16);
	return posta_sim_chance(sim, TURN_CUT_PER_MILLE);
}

/* -- Faults of actors -- */

static bool is_supervised_worker(const struct posta_actor *actor)
{
	return actor->supervised && !(actor->cold && actor->cold->hooks);
}

static bool may_fail(struct posta_sim *sim, const struct posta_actor *actor)
{
	const struct posta_sim_options *options = &sim->options;
	if (actor->status != POSTA__RUNNING || !actor->parent)
		return false;
	if (!options->may_fail)
		return is_supervised_worker(actor);
	return options->may_fail(options->may_fail_context, actor->klass->name, posta__self(actor));
}

static enum posta_err failing_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_EFAILED;
}

enum ill { WELL, CRASHES, FAILS };

static enum ill ill_of(struct posta_sim *sim, const struct posta_actor *actor)
{
	bool crashes = fault(sim, sim->options.crash_per_mille), fails = fault(sim, sim->options.fail_per_mille);
	if ((!crashes && !fails) || !may_fail(sim, actor))
		return WELL;
	return crashes ? CRASHES : actor->head ? FAILS : WELL;
}

/* -- A step of a worker -- */

static int node_of(const struct posta_sim *sim, const struct posta_system *system)
{
	int node = 0;
	while (sim->nodes[node].system != system)
		node++;
	return node;
}

static void turn_of(struct posta_sim *sim, struct posta__worker *worker, struct posta_actor *actor)
{
	static const char *const words[] = { "turn", "crash", "fail" };
	enum ill ill = ill_of(sim, actor);
	posta_receive *receive = actor->receive;
	posta_ref ref = posta__self(actor);
	posta__sim_trace_turn(sim, node_of(sim, worker->system), worker, actor, words[ill]);
	if (ill == CRASHES)
		posta_fail(actor, POSTA_EFAILED, "crashed by the simulation");
	if (ill == FAILS)
		actor->receive = failing_receive;
	posta__worker_run(worker, 1);
	if (ill == FAILS && posta__self(actor) == ref && actor->receive == failing_receive)
		actor->receive = receive;
}

static bool step_one(struct posta_sim *sim);

static void others_run(struct posta_sim *sim)
{
	if (sim->depth >= DEPTH_MAX)
		return;
	for (unsigned left = (unsigned)(posta_sim_random(sim) % 4); left && step_one(sim); left--)
		;
}

static void shared_lines(struct posta_sim *sim, struct posta__worker *worker)
{
	bool gives = fault(sim, sim->options.move_per_mille);
	worker->turn_ticks = gives ? 1e12 : 0; /* what the ready ones are worth: always a move, or never */
	worker->poll_due = worker->poll_due || posta_sim_chance(sim, POLL_PER_MILLE);
	if (gives) { /* as if others ran between the look at the inbox and the move: entries land at an old home */
		posta__worker_drain(worker);
		others_run(sim);
		posta__balance_serve(worker);
	}
	posta__worker_attend(worker);
	/* Nobody else can have left anything since: the actor in front is the one that the turn takes. */
	atomic_store_explicit(&worker->poked, false, memory_order_relaxed);
}

/* The loop costs a call of the kernel: it is polled seldom, and whenever all sleep. */
static void poll_by_chance(struct posta_sim *sim, struct posta__worker *worker)
{
	if (posta_sim_chance(sim, IDLE_POLL_PER_MILLE)) {
		posta__worker_poll(worker);
		return;
	}
	posta__worker_now(worker);
	posta__timers_fire(worker);
}

static void idle(struct posta_sim *sim, struct posta__worker *worker)
{
	posta__pool_flush(worker);
	poll_by_chance(sim, worker);
	if (worker->run_head)
		return;
	if (posta_sim_chance(sim, ASK_PER_MILLE))
		posta__balance_ask(worker);
	posta__worker_fall_asleep(worker);
}

static void work(struct posta_sim *sim, struct posta__worker *worker)
{
	bool poked = atomic_load_explicit(&worker->poked, memory_order_relaxed);
	shared_lines(sim, worker);
	if (poked && posta_sim_chance(sim, ONLY_LOOK_PER_MILLE))
		return;
	if (worker->run_head)
		turn_of(sim, worker, worker->run_head);
	else
		idle(sim, worker);
	/* The pokes of its own are for its next step. */
	if (worker->shuffled)
		posta__poke(worker);
}

static void step_of(struct posta_sim *sim, int node, struct posta__worker *worker,
		    void (*what)(struct posta_sim *sim, struct posta__worker *worker))
{
	struct posta__worker *before = posta__worker_current();
	posta__worker_set_current(worker);
	sim->nodes[node].busy |= UINT32_C(1) << worker->id;
	sim->depth++;
	what(sim, worker);
	sim->depth--;
	sim->nodes[node].busy &= ~(UINT32_C(1) << worker->id);
	posta__worker_set_current(before);
}

/* -- Whose turn it is -- */

static bool asleep(const struct posta__worker *worker)
{
	return atomic_load_explicit(&worker->sleeping, memory_order_relaxed);
}

static void wake(struct posta__worker *worker)
{
	atomic_store_explicit(&worker->sleeping, 0, memory_order_relaxed);
}

static bool busy(const struct posta__sim_node *node, const struct posta__worker *worker)
{
	return node->busy >> worker->id & 1;
}

/* For each worker that is not within a step. */
#define EACH_WORKER(sim, n, w)                                                                                         \
	for (int n = 0; n < (sim)->options.nodes; n++)                                                                 \
		if ((sim)->nodes[n].system)                                                                            \
			for (int i_ = 0; i_ < (sim)->options.workers; i_++)                                            \
				for (struct posta__worker *w = posta__system_worker((sim)->nodes[n].system, i_);       \
				     w && !busy(&(sim)->nodes[n], w); w = NULL)

static int count_awake(struct posta_sim *sim)
{
	int count = 0;
	EACH_WORKER(sim, n, worker)
	count += !asleep(worker);
	return count;
}

static bool step_one(struct posta_sim *sim)
{
	int count = count_awake(sim);
	if (!count)
		return false;
	int skip = (int)(posta_sim_random(sim) % (unsigned)count);
	EACH_WORKER(sim, n, worker)
	{
		if (asleep(worker) || skip-- > 0)
			continue;
		sim->steps++;
		step_of(sim, n, worker, work);
		return true;
	}
	return false;
}

/* -- Loops: what a thread in its loop would be woken by -- */

static void on_loop_events(struct ev_loop *loop)
{
	struct posta_sim *sim = ev_userdata(loop);
	sim->loop_events += ev_pending_count(loop);
	ev_invoke_pending(loop);
}

static void poll_loop(struct posta_sim *sim, struct posta__worker *worker)
{
	(void)sim;
	posta__worker_poll(worker);
}

static bool poll_loops(struct posta_sim *sim)
{
	bool any = false;
	EACH_WORKER(sim, n, worker)
	{
		if (!worker->pinned)
			continue;
		uint64_t before = sim->loop_events;
		step_of(sim, n, worker, poll_loop);
		if (sim->loop_events == before && !worker->run_head)
			continue;
		wake(worker);
		any = true;
	}
	return any;
}

static void find_lost_wakes(struct posta_sim *sim)
{
	EACH_WORKER(sim, n, worker)
	{
		if (worker->run_head || atomic_load_explicit(&worker->inbox, memory_order_relaxed) ||
		    atomic_load_explicit(&worker->adopt, memory_order_relaxed))
			posta__sim_problem(sim, "node %d worker %u sleeps while it has work", n, worker->id + 1u);
	}
}

bool posta_sim_step(struct posta_sim *sim)
{
	if (sim->problem[0] || sim->depth)
		return false;
	if (sim->steps >= sim->options.steps_max) {
		posta__sim_problem(sim, "no rest after %llu steps", (unsigned long long)sim->steps);
		return false;
	}
	posta__sim_packets_deliver(sim);
	if (step_one(sim) || poll_loops(sim))
		return true;
	find_lost_wakes(sim);
	return false;
}

void posta_sim_yield(struct posta_actor *self)
{
	struct posta_sim *sim = posta_system_of(self)->sim;
	if (sim)
		others_run(sim);
}

/* -- Time -- */

static uint64_t due_ns(struct posta_sim *sim)
{
	uint64_t due = posta__sim_packets_due_ns(sim);
	EACH_WORKER(sim, n, worker)
	{
		uint64_t first = posta__timers_due_ns(worker);
		due = first < due ? first : due;
	}
	return due;
}

static void set_time(struct posta_sim *sim, uint64_t ns)
{
	if (ns < sim->now_ns)
		ns = sim->now_ns;
	sim->now_ns = ns;
	for (int i = 0; i < sim->options.nodes; i++)
		if (sim->nodes[i].system)
			atomic_store_explicit(&sim->nodes[i].system->virtual_ns, ns, memory_order_relaxed);
	EACH_WORKER(sim, n, worker)
	{
		if (posta__timers_due_ns(worker) <= ns)
			wake(worker);
	}
}

/* To what is due next, if that is not after limit. */
static bool skip_time(struct posta_sim *sim, uint64_t limit)
{
	uint64_t due = due_ns(sim);
	if (sim->problem[0] || due > limit)
		return false;
	set_time(sim, due);
	return true;
}

static uint64_t in_ms(const struct posta_sim *sim, uint64_t ms)
{
	return ms < (UINT64_MAX - sim->now_ns) / NS_PER_MS ? sim->now_ns + ms * NS_PER_MS : UINT64_MAX - 1;
}

void posta_sim_settle(struct posta_sim *sim)
{
	while (posta_sim_step(sim))
		;
}

void posta_sim_advance(struct posta_sim *sim, uint64_t ms)
{
	uint64_t target = in_ms(sim, ms);
	do
		posta_sim_settle(sim);
	while (skip_time(sim, target));
	set_time(sim, target);
	posta_sim_settle(sim);
}

bool posta_sim_run_until(struct posta_sim *sim, bool (*done)(void *context), void *context, uint64_t ms)
{
	uint64_t limit = in_ms(sim, ms);
	while (!done(context)) {
		if (posta_sim_step(sim) || skip_time(sim, limit))
			continue;
		set_time(sim, limit);
		return done(context);
	}
	return true;
}

bool posta__sim_drive(struct posta_sim *sim)
{
	return posta_sim_step(sim) || (!sim->depth && skip_time(sim, UINT64_MAX - 1));
}

uint64_t posta_sim_now_ns(const struct posta_sim *sim)
{
	return sim->now_ns;
}

uint64_t posta_sim_steps(const struct posta_sim *sim)
{
	return sim->steps;
}

void posta_sim_calm(struct posta_sim *sim)
{
	sim->calm = true;
}

/* -- Nodes -- */

static enum posta_err node_start(struct posta_sim *sim, int index, struct posta_error *error)
{
	const struct posta_sim_options *given = &sim->options;
	struct posta__sim_node *node = &sim->nodes[index];
	struct posta_system_options options = {
		.name = "sim",
		.workers = POSTA_HOST_DRIVEN,
		.virtual_clock = true,
		.seed = (given->seed * 64 + (unsigned)index) * 1024 + ++node->starts,
		.actors_max = given->actors_max,
		.log = given->log,
		.log_context = given->log_context,
		.log_level = given->log_level,
		.dead_letter = given->dead_letter,
		.dead_letter_context = given->dead_letter_context,
	};
	const struct posta__simulated simulated = { .sim = sim,
						    .workers = given->workers,
						    .tag = (uint8_t)(index + 1) };
	enum posta_err result = posta__system_start_simulated(&options, &simulated, &node->system, error);
	if (result)
		return result;
	atomic_store_explicit(&node->system->virtual_ns, sim->now_ns, memory_order_relaxed);
	for (int i = 0; i < given->workers; i++) {
		struct ev_loop *loop = posta__system_worker(node->system, i)->loop;
		ev_set_userdata(loop, sim);
		ev_set_invoke_pending_cb(loop, on_loop_events);
	}
	return POSTA_OK;
}

static bool node_runs(const struct posta_sim *sim, int node)
{
	return node >= 0 && node < sim->options.nodes && sim->nodes[node].system;
}

struct posta_system *posta_sim_system(struct posta_sim *sim, int node)
{
	return node_runs(sim, node) ? sim->nodes[node].system : NULL;
}

enum posta_err posta_sim_restart(struct posta_sim *sim, int node, struct posta_error *error)
{
	if (node < 0 || node >= sim->options.nodes || sim->nodes[node].system)
		return posta_error_set(error, POSTA_ESTATE, "simulation: node %d runs, or there is none", node);
	posta__sim_trace(sim, "node %d starts", node);
	return node_start(sim, node, error);
}

enum posta_err posta_sim_crash(struct posta_sim *sim, int node)
{
	if (!node_runs(sim, node) || sim->depth)
		return POSTA_ESTATE;
	posta__sim_trace(sim, "node %d crashes", node);
	posta__sim_packets_drop(sim, node);
	struct posta_stop_report report = { 0 };
	posta__system_finish(sim->nodes[node].system, &report);
	sim->nodes[node].system = NULL;
	return POSTA_OK;
}

static void shut_down(struct posta_sim *sim, int node, struct posta_stop_report *report)
{
	struct posta_system *system = sim->nodes[node].system;
	posta__sim_trace(sim, "node %d shuts down", node);
	posta__system_begin_stop(system);
	sim->options.steps_max = sim->steps + STOP_STEPS_MAX;
	while (!system->root_ended && posta__sim_drive(sim))
		;
	posta__system_finish(system, report);
	sim->nodes[node].system = NULL;
}

enum posta_err posta_sim_shut_down(struct posta_sim *sim, int node)
{
	struct posta_stop_report report = { 0 };
	if (!node_runs(sim, node) || sim->depth)
		return POSTA_ESTATE;
	shut_down(sim, node, &report);
	return report.actors_left ? POSTA_ETIMEDOUT : POSTA_OK;
}

/* -- Start and stop -- */

static enum posta_err check(const struct posta_sim_options *options, struct posta_error *error)
{
	if (options->nodes < 0 || options->nodes > POSTA_SIM_NODES_MAX)
		return posta_error_set(error, POSTA_EINVAL, "simulation: nodes is %d: use 1 to %d", options->nodes,
				       POSTA_SIM_NODES_MAX);
	if (options->workers < 0 || options->workers > POSTA_SIM_WORKERS_MAX)
		return posta_error_set(error, POSTA_EINVAL, "simulation: workers is %d: use 1 to %d", options->workers,
				       POSTA_SIM_WORKERS_MAX);
	return POSTA_OK;
}

static void options_fill(struct posta_sim_options *options, const struct posta_sim_options *given)
{
	if (given)
		memcpy(options, given, given->size && given->size < sizeof *options ? given->size : sizeof *options);
	options->nodes = options->nodes ? options->nodes : 1;
	options->workers = options->workers ? options->workers : 1;
	options->actors_max = options->actors_max ? options->actors_max : ACTORS_MAX_DEFAULT;
	options->steps_max = options->steps_max ? options->steps_max : STEPS_MAX_DEFAULT;
}

enum posta_err posta_sim_start(const struct posta_sim_options *options, struct posta_sim **sim,
			       struct posta_error *error)
{
	if (options && check(options, error))
		return POSTA_EINVAL;
	struct posta_sim *made = calloc(1, sizeof *made);
	if (!made)
		return posta_error_set(error, POSTA_ENOMEM, "simulation: out of memory");
	options_fill(&made->options, options);
	made->random = made->options.seed;
	enum posta_err result = POSTA_OK;
	for (int i = 0; i < made->options.nodes && !result; i++)
		result = node_start(made, i, error);
	if (result) {
		posta_sim_stop(made, NULL);
		return result;
	}
	*sim = made;
	return POSTA_OK;
}

enum posta_err posta_sim_stop(struct posta_sim *sim, struct posta_stop_report *report)
{
	struct posta_stop_report own = { 0 };
	if (!sim)
		return POSTA_OK;
	posta_sim_calm(sim);
	for (int i = 0; i < sim->options.nodes; i++)
		if (sim->nodes[i].system)
			shut_down(sim, i, &own);
	posta__sim_packets_drop(sim, -1);
	free(sim);
	if (report)
		*report = own;
	return own.actors_left ? POSTA_ETIMEDOUT : POSTA_OK;
}
