/* SPDX-License-Identifier: MIT */
/*
 * bench_wake [--runs N] [--json FILE]: from a send to the handler of an actor whose worker sleeps, beside a bare
 * eventfd in epoll, in turn, in rounds; and the CPU that 100,000 idle actors cost.
 */
#include "floor.h"
#include "options.h"
#include "rows.h"

#include <posta/posta.h>

#include <stdatomic.h>
#include <sys/resource.h>

enum { KNOCK = 1, ROUND = 400, IDLERS = 100000, IDLE_US = 2000000 };

static _Atomic(double) woken;

static enum posta_err knock(struct posta_actor *self, void *state, struct posta_message *message)
{
	atomic_store(&woken, floor_now_ns());
	return POSTA_OK;
}

static enum posta_err ignore(struct posta_actor *self, void *state, struct posta_message *message)
{
	return POSTA_OK;
}

static enum posta_err spawn_idlers(struct posta_actor *self, void *state, struct posta_message *message);

static const struct posta_actor_class sleeper_class = { .name = "sleeper", .receive = knock };
static const struct posta_actor_class idler_class = { .name = "idler", .receive = ignore };
static const struct posta_actor_class mother_class = { .name = "mother", .receive = spawn_idlers };

static enum posta_err spawn_idlers(struct posta_actor *self, void *state, struct posta_message *message)
{
	for (size_t i = 0; i < IDLERS; i++)
		if (!posta_spawn(self, &idler_class, NULL))
			return POSTA_ENOMEM;
	return POSTA_OK;
}

static uint64_t sleeps(struct posta_system *system)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	return metrics.sleeps;
}

/* Each time it is asleep again first: its worker has said so, and had time to reach the kernel. */
static void wake_ns(struct posta_system *system, posta_ref sleeper, double *ns, size_t count)
{
	uint64_t seen = 0;
	for (size_t i = 0; i < count; i++) {
		for (int tries = 0; sleeps(system) == seen && tries < 1000; tries++)
			floor_sleep_us(20);
		seen = sleeps(system);
		floor_sleep_us(200);
		atomic_store(&woken, 0);
		double began = floor_now_ns();
		posta_system_send(system, sleeper, KNOCK, NULL, 0);
		while (atomic_load(&woken) == 0)
			;
		ns[i] = atomic_load(&woken) - began;
	}
}

static double cpu_us(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Returns: percent of one CPU. */
static double idle_cpu(void)
{
	double before = cpu_us(), began = floor_now_ns();
	floor_sleep_us(IDLE_US);
	return (cpu_us() - before) / ((floor_now_ns() - began) / 1e3) * 100;
}

static struct posta_system *start_system(int workers)
{
	/* The floor's sleeper sits on the second CPU, its waker on the first: so do ours, by a worker without work. */
	const struct posta_system_options options = { .workers = workers, .pin_cpus = true };
	struct posta_system *system;
	struct posta_error error;
	if (posta_system_start(&options, &system, &error)) {
		fprintf(stderr, "bench_wake: %s\n", error.text);
		exit(1);
	}
	return system;
}

static void wake(unsigned runs)
{
	static double ours[RUNS_MAX * ROUND], bare[RUNS_MAX * ROUND];
	struct posta_system *system = start_system(2);
	const struct posta_spawn_options second = { .pinned = true, .worker = 2 };
	posta_ref sleeper = posta_system_spawn(system, &sleeper_class, NULL, &second, NULL);
	floor_pin(0);
	for (unsigned run = 0; run < runs; run++) {
		wake_ns(system, sleeper, ours + run * ROUND, ROUND);
		floor_wake_ns(bare + run * ROUND, ROUND);
	}
	for (size_t i = 0; i < runs * ROUND; i++)
		ours[i] /= 1e3, bare[i] /= 1e3;
	rows_add_percentiles("wake", "posta", 0, "us", ours, runs * ROUND);
	rows_add_percentiles("wake", "bare eventfd", 0, "us", bare, runs * ROUND);
	posta_system_stop(system, 10000, NULL);
}

static void idle(unsigned runs)
{
	double percent[RUNS_MAX];
	struct posta_system *system = start_system(2);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_ref mother = posta_system_spawn(system, &mother_class, NULL, NULL, NULL);
	posta_system_send(system, mother, KNOCK, NULL, 0);
	for (int tries = 0; metrics.actors < IDLERS && tries < 1000; tries++) {
		floor_sleep_us(10000);
		posta_system_metrics(system, &metrics);
	}
	if (metrics.actors < IDLERS) {
		fprintf(stderr, "bench_wake: no %d actors\n", IDLERS);
		exit(1);
	}
	floor_sleep_us(200000);
	for (unsigned run = 0; run < runs; run++)
		percent[run] = idle_cpu();
	rows_add("idle-cpu", "posta", 0, "% of a CPU with 100,000 idle actors", percent, runs);
	posta_system_stop(system, 30000, NULL);
}

int main(int argc, char **argv)
{
	const struct bench_options options = bench_options(argc, argv, 5);
	rows_begin("wake", options.json);
	wake(options.runs);
	idle(options.runs > 3 ? 3 : options.runs);
	rows_end();
	return 0;
}
