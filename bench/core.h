/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_CORE_H
#define POSTA_BENCH_CORE_H

/* A workload: sets up actors on a system, and says when all is done. */

#include <posta/posta.h>

#include <stdatomic.h>

struct bench {
	struct posta_system *system;
	uint64_t messages; /* to be exchanged; what the time is divided by */
	_Atomic(bool) done;
	_Atomic(uint32_t) left; /* participants that have not finished */
};

struct workload {
	const char *name;
	uint64_t messages;
	void (*start)(struct bench *bench);
};

extern const struct workload bench_workloads[];
extern const unsigned bench_workload_count;

/* One participant has finished; the last one ends the run. */
void bench_finish(struct bench *bench);

#endif
