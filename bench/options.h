/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_OPTIONS_H
#define POSTA_BENCH_OPTIONS_H

/* What the benches of the runtime take: [--runs N] [--json FILE]. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { RUNS_MAX = 101 };

struct bench_options {
	unsigned runs;
	const char *json;
};

/* Ends the program with a word on its use if it cannot. */
static inline struct bench_options bench_options(int argc, char **argv, unsigned runs)
{
	static const struct option longs[] = { { "runs", required_argument, NULL, 'r' },
					       { "json", required_argument, NULL, 'j' },
					       { NULL, 0, NULL, 0 } };
	struct bench_options options = { .runs = runs };
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (c == 'r')
			options.runs = (unsigned)atoi(optarg);
		else if (c == 'j')
			options.json = optarg;
		else
			options.runs = 0;
	}
	if (options.runs >= 1 && options.runs <= RUNS_MAX && optind == argc)
		return options;
	fprintf(stderr, "usage: %s [--runs N] [--json FILE]\n", argv[0]);
	exit(2);
}

#endif
