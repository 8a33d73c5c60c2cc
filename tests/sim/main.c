/* SPDX-License-Identifier: MIT */
/* Runs scenes over seeds. A seed that failed is printed with the command that replays it. */
#include "scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FAILURES_SHOWN 10
#define TWICE_EVERY 16 /* seeds: the same seed again must go the same way */

static const struct scene_kind *const kinds[] = { &scene_mailboxes, &scene_supervision, &scene_routes,
						  &scene_services, &scene_bonds };
#define KINDS (sizeof kinds / sizeof kinds[0])

struct choice {
	uint64_t from, count;
	const char *scene; /* NULL: all */
	bool verbose, twice;
	const char *command;
};

/* The seed in work, for whoever finds the process dead. */
static char epitaph[256];
static size_t epitaph_len;

static void say_epitaph(void)
{
	ssize_t n = write(STDOUT_FILENO, epitaph, epitaph_len);
	(void)n;
}

static void on_crash(int number)
{
	say_epitaph();
	signal(number, SIG_DFL);
	raise(number);
}

/* Sanitizers die in their own way, and tell by this. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_for_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(say_epitaph);
		return;
	}
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		signal(numbers[i], on_crash);
}

static void print_line(void *context, const char *line)
{
	(void)context;
	puts(line);
}

static struct scene play(const struct scene_kind *kind, uint64_t seed, bool verbose)
{
	struct scene scene = { .seed = seed, .trace = verbose ? print_line : NULL };
	kind->run(&scene);
	return scene;
}

/* Returns: whether it failed. */
static bool failed(const struct choice *choice, const struct scene_kind *kind, uint64_t seed, uint64_t *steps)
{
	epitaph_len = (size_t)snprintf(
		epitaph, sizeof epitaph, "FAILED %s, seed %llu: it crashes\n  replay: %s --scene %s --seed %llu -v\n",
		kind->name, (unsigned long long)seed, choice->command, kind->name, (unsigned long long)seed);
	struct scene scene = play(kind, seed, choice->verbose);
	*steps += scene.steps;
	if (!scene.problem[0] && (choice->twice || seed % TWICE_EVERY == 0)) {
		struct scene again = play(kind, seed, false);
		if (again.hash != scene.hash || again.steps != scene.steps)
			scene_fail(&scene, "it is no function of its seed: trace %016llx, then %016llx",
				   (unsigned long long)scene.hash, (unsigned long long)again.hash);
	}
	if (choice->verbose)
		printf("%s, seed %llu: trace %016llx, %llu steps\n", kind->name, (unsigned long long)seed,
		       (unsigned long long)scene.hash, (unsigned long long)scene.steps);
	if (!scene.problem[0])
		return false;
	printf("FAILED %s, seed %llu: %s\n  replay: %s --scene %s --seed %llu -v\n", kind->name,
	       (unsigned long long)seed, scene.problem, choice->command, kind->name, (unsigned long long)seed);
	return true;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns: failures. */
static uint64_t run_kind(const struct choice *choice, const struct scene_kind *kind)
{
	double began = seconds();
	uint64_t failures = 0, steps = 0, done = 0;
	for (uint64_t seed = choice->from; done < choice->count && failures < FAILURES_SHOWN; seed++, done++)
		failures += failed(choice, kind, seed, &steps);
	double passed = seconds() - began;
	printf("%-12s %llu seeds, %llu failures, %.0f seeds/s, %.0f steps/s\n", kind->name, (unsigned long long)done,
	       (unsigned long long)failures, (double)done / passed, (double)steps / passed);
	return failures;
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--seeds N] [--from S] | --seed S [-v]   [--scene NAME] [--twice]\n"
		"  --seeds N    seeds S .. S+N-1 of each scene (default 1000, from 1)\n"
		"  --seed S     one seed; -v prints its trace\n"
		"  --scene NAME one scene:",
		name);
	for (size_t i = 0; i < KINDS; i++)
		fprintf(stderr, " %s", kinds[i]->name);
	fprintf(stderr, "\n  --twice      each seed twice, the traces compared (else every 16th)\n");
	return 2;
}

/* Returns: whether text is a whole number. */
static bool number(const char *text, uint64_t *value)
{
	char *end = NULL;
	*value = text ? strtoull(text, &end, 10) : 0;
	return end && end != text && !*end;
}

static bool read_choice(int argc, char **argv, struct choice *choice)
{
	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(argv[i], "-v")) {
			choice->verbose = true;
		} else if (!strcmp(argv[i], "--twice")) {
			choice->twice = true;
		} else if (!strcmp(argv[i], "--scene") && next) {
			choice->scene = argv[++i];
		} else if (!strcmp(argv[i], "--seeds") && number(next, &choice->count)) {
			i++;
		} else if (!strcmp(argv[i], "--from") && number(next, &choice->from)) {
			i++;
		} else if (!strcmp(argv[i], "--seed") && number(next, &choice->from)) {
			choice->count = 1;
			i++;
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *command = getenv("POSTA_SIM_COMMAND");
	struct choice choice = { .from = 1, .count = 1000, .command = command ? command : argv[0] };
	if (!read_choice(argc, argv, &choice))
		return usage(argv[0]);
	uint64_t failures = 0;
	size_t played = 0;
	watch_for_crashes();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < KINDS; i++) {
		if (choice.scene && strcmp(choice.scene, kinds[i]->name) != 0)
			continue;
		failures += run_kind(&choice, kinds[i]);
		played++;
	}
	if (!played)
		return usage(argv[0]);
	printf("%llu failures\n", (unsigned long long)failures);
	return failures > 0;
}
