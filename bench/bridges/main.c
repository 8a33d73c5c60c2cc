/* SPDX-License-Identifier: MIT */
/*
 * bench_bridges [--runs N] [--only NAME] [--messages N] [--json FILE]: ours against a bare loop on the same client
 * library, in turns. Medians, with the lowest and the highest run; CPU time is the client's process alone.
 */
#include "bridges.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX 101u

struct options {
	unsigned runs;
	uint32_t messages; /* 0: as many as the case has */
	const char *only, *json;
};

struct series {
	struct lap laps[RUNS_MAX];
	unsigned count;
};

struct figure {
	double median, low, high;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double rate(const struct lap *lap)
{
	return (double)lap->messages / lap->wall_s;
}

static double cpu_ns(const struct lap *lap)
{
	return lap->cpu_s * 1e9 / (double)lap->messages;
}

static double p50(const struct lap *lap)
{
	return lap->p50_us;
}

static double p99(const struct lap *lap)
{
	return lap->p99_us;
}

static double grown(const struct lap *lap)
{
	return lap->grown_mib;
}

static struct figure figure(const struct series *series, double (*value)(const struct lap *lap))
{
	double values[RUNS_MAX];
	for (unsigned i = 0; i < series->count; i++)
		values[i] = value(&series->laps[i]);
	qsort(values, series->count, sizeof values[0], by_value);
	return (struct figure){ values[series->count / 2], values[0], values[series->count - 1] };
}

/* -- One case -- */

static void run_once(const struct bench_case *what, struct kit_broker *broker, unsigned run, bench_side *side,
		     const char *shared_name, struct series *series)
{
	char *own = kit_unique(what->name), *group = kit_unique("group");
	struct job job = {
		.what = what,
		.url = kit_broker_url(broker),
		.port = kit_broker_port(broker),
		.name = what->run_names ? own : shared_name,
		.group = group,
		.run = run,
	};
	if (what->prepare && !bench_fork(&job, what->prepare, NULL).ok)
		bench_give_up(what->name, "the broker could not be filled");
	struct lap lap = bench_fork(&job, side, what->feed);
	if (lap.ok)
		series->laps[series->count++] = lap;
	else
		fprintf(stderr, "bench_bridges: %s: a run of %s failed\n", what->name,
			side == what->bare ? "bare" : "posta");
	free(own);
	free(group);
}

static void run_case(const struct bench_case *what, struct kit_broker *broker, unsigned runs, struct series *bare,
		     struct series *ours)
{
	char *name = kit_unique(what->name);
	bare->count = ours->count = 0;
	for (unsigned i = 0; i < runs; i++) {
		if (what->bare)
			run_once(what, broker, 2 * i, what->bare, name, bare);
		run_once(what, broker, 2 * i + 1 - !what->bare, what->ours, name, ours);
	}
	free(name);
}

/* -- What is told -- */

static void json_row(FILE *json, bool *first, const char *workload, const char *system, const char *unit,
		     const char *better, struct figure value, unsigned runs)
{
	fprintf(json,
		"%s\n  {\"workload\": \"%s\", \"system\": \"%s\", \"version\": \"%s\", \"workers\": 1, \"unit\": "
		"\"%s\", "
		"\"better\": \"%s\", \"median\": %.3f, \"min\": %.3f, \"max\": %.3f, \"runs\": %u}",
		*first ? "" : ",", workload, system, posta_version(), unit, better, value.median, value.low, value.high,
		runs);
	*first = false;
}

struct told {
	const char *suffix, *unit, *better;
	double (*value)(const struct lap *lap);
};

static void tell_one(const struct bench_case *what, const struct told *told, const struct series *bare,
		     const struct series *ours, FILE *json, bool *first)
{
	char workload[96];
	struct figure mine = figure(ours, told->value);
	snprintf(workload, sizeof workload, "%s%s", what->name, told->suffix);
	printf("%-28s %-8s", workload, told->unit);
	printf(" %10.1f (%.1f .. %.1f)", mine.median, mine.low, mine.high);
	if (json)
		json_row(json, first, workload, "posta", told->unit, told->better, mine, ours->count);
	if (bare->count) {
		struct figure other = figure(bare, told->value);
		printf("  bare %10.1f (%.1f .. %.1f)  x %.2f", other.median, other.low, other.high,
		       mine.median / other.median);
		if (json)
			json_row(json, first, workload, "bare", told->unit, told->better, other, bare->count);
	}
	putchar('\n');
	fflush(stdout);
}

static void tell(const struct bench_case *what, const struct series *bare, const struct series *ours, FILE *json,
		 bool *first)
{
	static const struct told throughput[] = { { "", "msg/s", "higher", rate },
						  { "-cpu", "ns/msg", "lower", cpu_ns } };
	static const struct told latency[] = { { "-p50", "us", "lower", p50 }, { "-p99", "us", "lower", p99 } };
	static const struct told memory[] = { { "", "MiB", "lower", grown } };
	const struct told *all = throughput;
	unsigned count = 2;
	if (strcmp(what->metric, "latency") == 0)
		all = latency;
	else if (strcmp(what->metric, "memory") == 0)
		all = memory, count = 1;
	for (unsigned i = 0; ours->count && i < count; i++)
		tell_one(what, &all[i], bare, ours, json, first);
}

static FILE *json_open(const char *path)
{
	char line[256], model[128] = "unknown";
	FILE *cpuinfo = fopen("/proc/cpuinfo", "r"), *json = fopen(path, "w");
	while (cpuinfo && fgets(line, sizeof line, cpuinfo))
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (cpuinfo)
		fclose(cpuinfo);
	if (json)
		fprintf(json, "{\"name\": \"bridges\", \"machine\": {\"cpus\": %ld, \"model\": \"%s\"}, \"rows\": [",
			sysconf(_SC_NPROCESSORS_ONLN), model);
	else
		bench_give_up(path, "cannot be written");
	return json;
}

/* -- The program -- */

static bool wanted(const struct options *options, const struct bench_case *what)
{
	return !options->only || strstr(what->name, options->only);
}

static const struct kit_broker_options *broker_options(enum kit_kind kind)
{
	static const struct kit_broker_options mosquitto = {
		.config = "max_inflight_messages 1000\nmax_queued_messages 0\n",
	};
	static const struct kit_broker_options plain = { 0 };
	return kind == KIT_MOSQUITTO ? &mosquitto : &plain;
}

/* Brokers one after the other: an idle one takes CPU, too. */
static bool run_broker(const struct options *options, enum kit_kind kind, FILE *json, bool *first)
{
	static struct series bare, ours;
	struct kit_broker *broker = NULL;
	bool ok = true;
	for (unsigned i = 0; i < bench_case_count; i++) {
		struct bench_case one = bench_cases[i], *what = &one;
		if (what->broker != kind || !wanted(options, what))
			continue;
		one.messages = options->messages ? options->messages : one.messages;
		if (!broker)
			broker = kit_broker_start(kind, broker_options(kind));
		unsigned runs = strcmp(what->metric, "memory") == 0 ? 1 : options->runs;
		run_case(what, broker, runs, &bare, &ours);
		tell(what, &bare, &ours, json, first);
		ok = ok && ours.count == runs && (!what->bare || bare.count == runs);
	}
	if (broker)
		kit_broker_stop(broker);
	return ok;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: bench_bridges [--runs N] [--only NAME] [--messages N] [--json FILE]\n");
	return status;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "runs", required_argument, NULL, 'r' }, { "only", required_argument, NULL, 'o' },
		{ "json", required_argument, NULL, 'j' }, { "messages", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
	};
	struct options options = { .runs = 5 };
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (c == 'r')
			options.runs = (unsigned)atoi(optarg);
		else if (c == 'o')
			options.only = optarg;
		else if (c == 'j')
			options.json = optarg;
		else if (c == 'm')
			options.messages = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return usage(c == 'h' ? 0 : 2);
	}
	if (optind < argc || options.runs < 1 || options.runs > RUNS_MAX)
		return usage(2);
	FILE *json = options.json ? json_open(options.json) : NULL;
	bool first = true, ok = true;
	for (int kind = 0; kind < KIT_KIND_COUNT; kind++)
		ok = run_broker(&options, (enum kit_kind)kind, json, &first) && ok;
	if (json) {
		fprintf(json, "\n]}\n");
		fclose(json);
	}
	return !ok;
}
