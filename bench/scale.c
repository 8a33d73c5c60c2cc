/* SPDX-License-Identifier: MIT */
/*
 * bench_scale [--runs N] [--json FILE]: what a second worker brings or costs. Loads that talk much, free to be placed,
 * must stay together; handlers that take long must spread; and what is forced apart stands beside the cost of one cache
 * line.
 */
#include "floor.h"
#include "options.h"
#include "rows.h"
#include "savina/savina.h"

/* -- Handlers of 20 us: 64 actors, each with a message to itself -- */

enum { TURN = 1, FINISHED };
enum { HEAVY = 64, HANDLER_NS = 20000 };

static posta_ref join;
static uint64_t handled; /* the join's */

static enum posta_err heavy_start(struct posta_actor *self, void *state, void *argument)
{
	return savina_send(self, posta_self(self), TURN, savina_index(argument));
}

static enum posta_err heavy_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t *done = state;
	double until = floor_now_ns() + HANDLER_NS;
	while (floor_now_ns() < until)
		;
	++*done;
	if (savina_value(message) > 1)
		return savina_send(self, posta_self(self), TURN, savina_value(message) - 1);
	return savina_send(self, join, FINISHED, *done);
}

static enum posta_err join_start(struct posta_actor *self, void *state, void *argument)
{
	join = posta_self(self);
	handled = 0;
	return POSTA_OK;
}

static enum posta_err join_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *finished = state;
	handled += savina_value(message);
	if (++*finished == HEAVY)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class heavy_class = {
	.name = "heavy", .state_size = sizeof(uint64_t), .start = heavy_start, .receive = heavy_receive
};
static const struct posta_actor_class join_class = {
	.name = "join", .state_size = sizeof(uint32_t), .start = join_start, .receive = join_receive
};

static void setup_heavy(struct savina_run *run)
{
	savina_add(run, &join_class, NULL);
	for (size_t i = 0; i < HEAVY; i++)
		savina_add(run, &heavy_class, savina_argument(run->n / HEAVY));
}

static uint64_t heavy_messages(uint64_t n)
{
	return n / HEAVY * HEAVY;
}

static bool heavy_right(uint64_t n)
{
	return handled == heavy_messages(n);
}

static const struct savina_workload heavy = { "20-us-handlers", "message", heavy_messages, setup_heavy, heavy_right };

/* -- Cells -- */

/* The children in turn on the first and the second worker, for good. */
static void apart(struct savina_run *run)
{
	for (uint32_t i = 0; i < run->count; i++) {
		run->children[i].spawn.pinned = true;
		run->children[i].spawn.worker = (int)(i % 2) + 1;
	}
}

static struct posta_system *start_system(int workers)
{
	const struct posta_system_options options = { .workers = workers, .pin_cpus = true };
	struct posta_system *system;
	struct posta_error error;
	if (posta_system_start(&options, &system, &error))
		savina_die(error.text);
	return system;
}

struct cell {
	const struct savina_workload *workload;
	uint64_t n;
	const char *name;
	void (*adjust)(struct savina_run *run);
};

static double ns_of(struct posta_system *system, const struct cell *cell)
{
	double ns = savina_measure(system, cell->workload, cell->n, cell->adjust);
	return ns / (double)cell->workload->units(cell->n);
}

/* One worker and two in turn, each on a system of its own that is warm. */
static void beside(const struct cell *cell, unsigned runs)
{
	struct posta_system *one = start_system(1), *two = start_system(2);
	double ns[2][RUNS_MAX];
	ns_of(one, cell), ns_of(two, cell);
	for (unsigned run = 0; run < runs; run++)
		ns[0][run] = ns_of(one, cell), ns[1][run] = ns_of(two, cell);
	rows_add(cell->name, "posta", 1, "ns/message", ns[0], runs);
	rows_add(cell->name, "posta", 2, "ns/message", ns[1], runs);
	posta_system_stop(one, 10000, NULL);
	posta_system_stop(two, 10000, NULL);
}

/* Two workers that cannot but send each other cache lines, and the floor in turn with them. */
static void forced(const struct cell *cell, unsigned runs)
{
	struct posta_system *two = start_system(2);
	double ns[RUNS_MAX], line[RUNS_MAX];
	ns_of(two, cell);
	for (unsigned run = 0; run < runs; run++)
		ns[run] = ns_of(two, cell), line[run] = floor_line_ns();
	rows_add(cell->name, "posta", 2, "ns/message", ns, runs);
	rows_add(cell->name, "two threads, one line", 2, "ns/message", line, runs);
	posta_system_stop(two, 10000, NULL);
}

int main(int argc, char **argv)
{
	static const struct cell together[] = {
		{ &savina_ping_pong, 4000000, "ping-pong", NULL }, { &savina_counting, 10000000, "counting", NULL },
		{ &savina_ring, 4000000, "ring", NULL },           { &savina_big, 4000000, "big", NULL },
		{ &savina_fork_join, 6000000, "fork-join", NULL }, { &heavy, 25600, "20-us-handlers", NULL }
	};
	static const struct cell separate[] = { { &savina_counting, 5000000, "counting-apart", apart },
						{ &savina_ping_pong, 400000, "ping-pong-apart", apart } };
	const struct bench_options options = bench_options(argc, argv, 7);
	rows_begin("scale", options.json);
	for (size_t i = 0; i < sizeof together / sizeof together[0]; i++)
		beside(&together[i], options.runs);
	for (size_t i = 0; i < sizeof separate / sizeof separate[0]; i++)
		forced(&separate[i], options.runs);
	rows_end();
	return 0;
}
