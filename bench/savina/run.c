/* SPDX-License-Identifier: MIT */
/* One run of a workload: its supervisor is started, its end awaited, everything is stopped again. */
#include "savina.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

void savina_die(const char *why)
{
	fprintf(stderr, "bench: %s\n", why);
	exit(1);
}

void savina_add(struct savina_run *run, const struct posta_actor_class *klass, void *argument)
{
	if (run->count == run->capacity) {
		run->capacity = run->capacity ? run->capacity * 2 : 16;
		run->children = realloc(run->children, run->capacity * sizeof *run->children);
		if (!run->children)
			savina_die("out of memory");
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
			savina_die("actors do not stop");
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

double savina_measure(struct posta_system *system, const struct savina_workload *workload, uint64_t n,
		      void (*adjust)(struct savina_run *run))
{
	struct savina_run run = { .n = n };
	struct posta_error error;
	workload->setup(&run);
	if (adjust)
		adjust(&run);
	const struct posta_supervisor_options options = { .strategy = POSTA_ONE_FOR_ONE,
							  .children = run.children,
							  .child_count = run.count };
	uint64_t before = actors(system);
	double began = now_ns();
	posta_ref supervisor = posta_system_supervise(system, &options, &error);
	if (!supervisor)
		savina_die(error.text);
	wait_until_done();
	double took = now_ns() - began;
	stop(system, supervisor, before);
	free_children(&run);
	if (!workload->verify(n))
		savina_die("wrong result");
	return took;
}
