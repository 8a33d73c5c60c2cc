/* SPDX-License-Identifier: MIT */
/*
 * bench_savina WORKLOAD WORKERS N [paced]: one run of a workload after a warm-up, as one line of JSON; with "paced" one
 * run for each line of standard input, so that several systems can take turns. The programs in bench/peers do the same.
 */
#include "savina.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct savina_workload *const workloads[] = {
	&savina_ping_pong,
	&savina_counting,
	&savina_ring,
	&savina_big,
	&savina_fork_join_create,
	&savina_fork_join,
	&savina_chameneos,
	&savina_dictionary,
	&savina_bounded_buffer,
	&savina_philosophers,
	&savina_sleeping_barber,
	&savina_smokers,
	&savina_logistic_map,
	&savina_bank,
	&savina_fib,
	&savina_nqueens,
	&savina_sieve,
	&savina_radix_sort,
	&savina_quicksort,
	&savina_trapezoid,
	&savina_matmul,
	&savina_astar,
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
} end = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

void savina_done(void)
{
	pthread_mutex_lock(&end.lock);
	end.done = true;
	pthread_cond_signal(&end.changed);
	pthread_mutex_unlock(&end.lock);
}

static void wait_until_done(void)
{
	pthread_mutex_lock(&end.lock);
	while (!end.done)
		pthread_cond_wait(&end.changed, &end.lock);
	end.done = false;
	pthread_mutex_unlock(&end.lock);
}

static void die(const char *why)
{
	fprintf(stderr, "bench_savina: %s\n", why);
	exit(1);
}

void savina_add(struct savina_run *run, const struct posta_actor_class *klass, void *argument)
{
	if (run->count == run->capacity) {
		run->capacity = run->capacity ? run->capacity * 2 : 16;
		run->children = realloc(run->children, run->capacity * sizeof *run->children);
		if (!run->children)
			die("out of memory");
	}
	char id[16];
	snprintf(id, sizeof id, "%u", run->count);
	run->children[run->count++] = (struct posta_child_spec){
		.id = strdup(id), .klass = klass, .argument = argument, .restart = POSTA_TRANSIENT
	};
}

static void free_children(struct savina_run *run)
{
	for (uint32_t i = 0; i < run->count; i++)
		free((char *)(uintptr_t)run->children[i].id);
	free(run->children);
}

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t actors(struct posta_system *system)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	return metrics.actors;
}

/* Ends all actors of the run, so that the next one begins as this one did. */
static void stop(struct posta_system *system, posta_ref supervisor, uint64_t before)
{
	posta_system_stop_actor(system, supervisor, POSTA_OK);
	for (int i = 0; actors(system) > before; i++) {
		if (i == 50000)
			die("actors do not stop");
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

/* Returns: nanoseconds. */
static double run_once(struct posta_system *system, const struct savina_workload *workload, uint64_t n)
{
	struct savina_run run = { .n = n };
	struct posta_error error;
	workload->setup(&run);
	const struct posta_supervisor_options options = { .strategy = POSTA_ONE_FOR_ONE,
							  .children = run.children,
							  .child_count = run.count };
	uint64_t before = actors(system);
	double began = now_ns();
	posta_ref supervisor = posta_system_supervise(system, &options, &error);
	if (!supervisor)
		die(error.text);
	wait_until_done();
	double took = now_ns() - began;
	stop(system, supervisor, before);
	free_children(&run);
	if (!workload->verify(n))
		die("wrong result");
	return took;
}

static void report(const struct savina_workload *workload, uint64_t n, double ns)
{
	double units = workload->units ? (double)workload->units(n) : 1;
	printf("{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", \"ms\": %.3f}\n", workload->name,
	       ns / units, workload->unit, ns / 1e6);
	fflush(stdout);
}

static const struct savina_workload *find(const char *name)
{
	for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
		if (!strcmp(workloads[i]->name, name))
			return workloads[i];
	return NULL;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench_savina WORKLOAD WORKERS N [paced]\nworkloads:");
	for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
		fprintf(stderr, " %s", workloads[i]->name);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct savina_workload *workload = argc >= 4 ? find(argv[1]) : NULL;
	const struct posta_system_options options = { .workers = argc >= 4 ? atoi(argv[2]) : 1, .pin_cpus = true };
	uint64_t n = argc >= 4 ? strtoull(argv[3], NULL, 10) : 0;
	bool paced = argc == 5 && !strcmp(argv[4], "paced");
	struct posta_system *system;
	struct posta_error error;
	if (!workload || !n || options.workers < 1)
		return usage();
	if (posta_system_start(&options, &system, &error))
		die(error.text);
	run_once(system, workload, n);
	if (paced) {
		printf("ready\n");
		fflush(stdout);
		while (getchar() != EOF)
			report(workload, n, run_once(system, workload, n));
	} else {
		report(workload, n, run_once(system, workload, n));
	}
	return posta_system_stop(system, 10000, NULL) ? 1 : 0;
}
