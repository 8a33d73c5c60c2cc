/* SPDX-License-Identifier: MIT */
#include "bridges.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 500u /* samples: connections, caches and JITs are warm then */
#define TICK_NS 1000000u
#define RUN_S 120    /* longer is a failure */

uint64_t bench_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_tick(uint64_t *at)
{
	*at = (*at ? *at : bench_now_ns()) + TICK_NS;
	const struct timespec until = { (time_t)(*at / 1000000000u), (long)(*at % 1000000000u) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
	return bench_now_ns();
}

static double cpu_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

void bench_begin(struct job *job)
{
	job->lap->cpu_s = cpu_s();
	job->lap->wall_s = (double)bench_now_ns() * 1e-9;
}

void bench_end(struct job *job, uint64_t messages)
{
	job->lap->wall_s = (double)bench_now_ns() * 1e-9 - job->lap->wall_s;
	job->lap->cpu_s = cpu_s() - job->lap->cpu_s;
	job->lap->messages = messages;
	job->lap->ok = true;
}

void bench_go(const struct job *job)
{
	if (job->go >= 0 && write(job->go, "g", 1) != 1)
		bench_give_up("the feeder", "is gone");
}

void bench_look(const struct job *job, const void *body, size_t len)
{
	const char *bytes = body;
	if (len != job->what->size || bytes[0] != 'x' || bytes[len - 1] != 'x')
		bench_give_up(job->what->name, "a message is not what was published");
}

void bench_give_up(const char *what, const char *why)
{
	fprintf(stderr, "bench_bridges: %s: %s\n", what, why);
	_exit(1);
}

/* A child that ends with its parent. */
static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		bench_give_up("fork", "failed");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	alarm(RUN_S);
	return 0;
}

static pid_t start_feeder(struct job *job, bench_side *feed)
{
	int ends[2];
	char byte;
	if (pipe(ends))
		bench_give_up("pipe", "failed");
	pid_t pid = child();
	job->go = ends[1];
	if (pid) {
		close(ends[0]);
		return pid;
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 1)
		feed(job);
	job->lap->fed = true;
	_exit(0);
}

struct lap bench_fork(struct job *job, bench_side *side, bench_side *feed)
{
	struct lap *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	if (shared == MAP_FAILED)
		bench_give_up("mmap", "out of memory");
	job->lap = shared;
	job->go = -1;
	pid_t feeder = feed ? start_feeder(job, feed) : 0;
	pid_t pid = child();
	if (!pid) {
		side(job);
		_exit(0);
	}
	if (job->go >= 0)
		close(job->go);
	waitpid(pid, &status, 0);
	if (feeder) {
		kill(feeder, SIGKILL);
		waitpid(feeder, NULL, 0);
	}
	struct lap lap = *shared;
	lap.ok = lap.ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	munmap(shared, sizeof *shared);
	return lap;
}

bool bench_sample(struct samples *samples, uint64_t stamp_ns)
{
	if (samples->skipped < SKIPPED)
		samples->skipped++;
	else if (samples->count < SAMPLES_MAX)
		samples->us[samples->count++] = (double)(bench_now_ns() - stamp_ns) * 1e-3;
	return samples->count == SAMPLES_MAX;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

void bench_summary(struct job *job, struct samples *samples)
{
	qsort(samples->us, samples->count, sizeof samples->us[0], by_value);
	job->lap->p50_us = samples->us[samples->count / 2];
	job->lap->p99_us = samples->us[samples->count * 99 / 100];
}

double bench_rss_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0, resident = 0;
	if (file) {
		if (fscanf(file, "%lu %lu", &pages, &resident) != 2)
			resident = 0;
		fclose(file);
	}
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}
