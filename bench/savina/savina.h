/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_SAVINA_H
#define POSTA_BENCH_SAVINA_H

/*
 * The Savina suite (Imam, Sarkar: AGERE 2014) on posta's public interface. A workload is a set of actors under one
 * supervisor; the start of the last of them begins it, and savina_done() from any of them ends it. The same workloads,
 * with the same parameter, stand in bench/peers for the other systems.
 */

#include <posta/posta.h>

#include <stdbool.h>
#include <stdint.h>

/* Messages that one actor sends in a row before it lets others run; the peers do the same. */
#define SAVINA_BURST 256u

struct savina_run;

struct savina_workload {
	const char *name;
	const char *unit;                      /* what the time is divided by */
	uint64_t (*units)(uint64_t n);         /* how many of them a run has; 0 function: one */
	void (*setup)(struct savina_run *run); /* adds the actors */
	bool (*verify)(uint64_t n);            /* after a run: is the result right? */
};

struct savina_run {
	uint64_t n; /* the workload's size */
	struct posta_child_spec *children;
	uint32_t count, capacity;
};

/* Adds a child to the run's supervisor; they start in the order in which they were added. */
void savina_add(struct savina_run *run, const struct posta_actor_class *klass, void *argument);
/*
 * Runs a workload once on a system, then stops its actors. adjust may change the children before they start; NULL:
 * none. Ends the program if the result is wrong. Returns: nanoseconds from the start of the supervisor to
 * savina_done().
 */
double savina_measure(struct posta_system *system, const struct savina_workload *workload, uint64_t n,
		      void (*adjust)(struct savina_run *run));
_Noreturn void savina_die(const char *why);

/* Ends the run. Thread: any. */
void savina_done(void);

/* An index as an actor's argument, and back. */
static inline void *savina_argument(size_t index)
{
	return (void *)(uintptr_t)index;
}

static inline size_t savina_index(const void *argument)
{
	return (size_t)(uintptr_t)argument;
}

static inline uint64_t savina_value(const struct posta_message *message)
{
	return *(const uint64_t *)posta_data(message);
}

static inline enum posta_err savina_send(struct posta_actor *self, posta_ref to, uint32_t type, uint64_t value)
{
	return posta_send(self, to, type, &value, sizeof value);
}

/* Returns: 16 uniform bits. All systems draw from the same generator. */
static inline uint32_t savina_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

/* Keeps the CPU busy for some iterations, each about 1.5 ns. Returns: what they make of seed. */
static inline uint32_t savina_work(uint32_t seed, uint32_t iterations)
{
	while (iterations--)
		seed = seed * 1664525u + 1013904223u;
	return seed;
}

extern const struct savina_workload savina_ping_pong, savina_counting, savina_ring, savina_big, savina_fork_join_create,
	savina_fork_join, savina_chameneos, savina_dictionary, savina_bounded_buffer, savina_philosophers,
	savina_sleeping_barber, savina_smokers, savina_logistic_map, savina_bank, savina_fib, savina_nqueens,
	savina_sieve, savina_radix_sort, savina_quicksort, savina_trapezoid, savina_matmul, savina_astar;

#endif
