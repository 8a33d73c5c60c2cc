/* SPDX-License-Identifier: MIT */
/*
 * bench_core [--runs N] [--workers N[,N...]] [--json FILE] [--only NAME]: nanoseconds a message of the runtime's core.
 * Prints a table; the ratio is to the one-worker figures of the first prototype, the bound is 1.5.
 */
#include "core.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 101

/* The prototype, 64-byte messages, one worker, medians of 5, on two cores of a server of 2026: docs/BENCHMARKS.md. */
static const double prototype_ns[] = { 5.6, 2.8, 6.5, 11, 18, 3.2 };

struct options {
	unsigned runs;
	const char *workers, *json, *only;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

void bench_finish(struct bench *bench)
{
	if (atomic_fetch_sub(&bench->left, 1) != 1)
		return;
	pthread_mutex_lock(&lock);
	bench->done = true;
	pthread_cond_signal(&ended);
	pthread_mutex_unlock(&lock);
}

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void wait_for(struct bench *bench)
{
	pthread_mutex_lock(&lock);
	while (!bench->done)
		pthread_cond_wait(&ended, &lock);
	pthread_mutex_unlock(&lock);
}

/* Returns: ns a message. */
static double run_once(const struct workload *workload, int workers)
{
	struct bench bench = { .messages = workload->messages };
	const struct posta_system_options options = { .workers = workers, .pin_cpus = true };
	struct posta_error error;
	if (posta_system_start(&options, &bench.system, &error)) {
		fprintf(stderr, "bench_core: %s\n", error.text);
		exit(1);
	}
	double began = now_ns();
	workload->start(&bench);
	wait_for(&bench);
	double took = now_ns() - began;
	posta_system_stop(bench.system, 10000, NULL);
	return took / (double)bench.messages;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void report(const struct options *options, unsigned index, int workers, const double *ns, FILE *json,
		   bool *first)
{
	const struct workload *workload = &bench_workloads[index];
	double median = ns[options->runs / 2], low = ns[0], high = ns[options->runs - 1];
	printf("%-20s %7d %9.2f %9.2f %9.2f", workload->name, workers, median, low, high);
	if (workers == 1)
		printf(" %9.1f %6.2f", prototype_ns[index], median / prototype_ns[index]);
	putchar('\n');
	fflush(stdout);
	if (!json)
		return;
	fprintf(json,
		"%s\n  {\"workload\": \"%s\", \"system\": \"posta\", \"version\": \"%s\", \"workers\": %d, \"unit\": "
		"\"ns/message\", "
		"\"median\": %.3f, \"min\": %.3f, \"max\": %.3f, \"runs\": %u}",
		*first ? "" : ",", workload->name, posta_version(), workers, median, low, high, options->runs);
	*first = false;
}

static void bench_all(const struct options *options, int workers, FILE *json, bool *first)
{
	for (unsigned i = 0; i < bench_workload_count; i++) {
		double ns[RUNS_MAX];
		if (options->only && !strstr(bench_workloads[i].name, options->only))
			continue;
		run_once(&bench_workloads[i], workers); /* warm-up */
		for (unsigned run = 0; run < options->runs; run++)
			ns[run] = run_once(&bench_workloads[i], workers);
		qsort(ns, options->runs, sizeof ns[0], by_value);
		report(options, i, workers, ns, json, first);
	}
}

static void cpu_model(char *out, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");
	snprintf(out, size, "unknown");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "model name : %127[^\n]", out) == 1)
			break;
	if (file)
		fclose(file);
}

static FILE *json_open(const char *path)
{
	FILE *json = path ? fopen(path, "w") : NULL;
	char model[128];
	if (!json)
		return NULL;
	cpu_model(model, sizeof model);
	fprintf(json, "{\"name\": \"core\", \"machine\": {\"cpus\": %ld, \"model\": \"%s\"}, \"rows\": [",
		sysconf(_SC_NPROCESSORS_ONLN), model);
	return json;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: bench_core [--runs N] [--workers N[,N...]] [--json FILE] [--only NAME]\n");
	return status;
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "runs", required_argument, NULL, 'r' }, { "workers", required_argument, NULL, 'w' },
		{ "json", required_argument, NULL, 'j' }, { "only", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (c == 'r')
			options->runs = (unsigned)atoi(optarg);
		else if (c == 'w')
			options->workers = optarg;
		else if (c == 'j')
			options->json = optarg;
		else if (c == 'o')
			options->only = optarg;
		else
			return usage(c == 'h' ? 0 : 2) + 1;
	}
	return options->runs < 1 || options->runs > RUNS_MAX ? usage(2) + 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options = { .runs = 5, .workers = "1,2" };
	int parsed = parse(argc, argv, &options);
	if (parsed)
		return parsed - 1;
	FILE *json = json_open(options.json);
	bool first = true;
	printf("%-20s %7s %9s %9s %9s %9s %6s\n", "ns a message", "workers", "median", "min", "max", "prototype",
	       "ratio");
	for (const char *at = options.workers; at; at = strchr(at, ','), at += at != NULL)
		bench_all(&options, atoi(at), json, &first);
	if (json) {
		fprintf(json, "\n]}\n");
		fclose(json);
	}
	return 0;
}
