/* SPDX-License-Identifier: MIT */
/*
 * bench_savina WORKLOAD WORKERS N [paced]: one run of a workload after a warm-up, as one line of JSON; with "paced" one
 * run for each line of standard input, so that several systems can take turns. The programs in bench/peers do the same.
 */
#include "savina.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		savina_die(error.text);
	savina_measure(system, workload, n, NULL);
	if (paced) {
		printf("ready\n");
		fflush(stdout);
		while (getchar() != EOF)
			report(workload, n, savina_measure(system, workload, n, NULL));
	} else {
		report(workload, n, savina_measure(system, workload, n, NULL));
	}
	return posta_system_stop(system, 10000, NULL) ? 1 : 0;
}
