/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_DEALER_H
#define POSTA_BENCH_DEALER_H

/*
 * A master that deals items to 20 workers in turn. A worker does an item, or gives parts of it back (savina_deal), and
 * says with a number that it is done (savina_dealt); when nothing is missing the run ends. One at a time.
 */

#include "savina.h"

/* Adds the workers and the master, which begins with a copy of first. worker.start is savina_worker_start. */
void savina_add_dealer(struct savina_run *run, const struct posta_actor_class *worker, const void *first, size_t bytes);
enum posta_err savina_worker_start(struct posta_actor *self, void *state, void *argument);

/* From a worker: an item for any of them. */
enum posta_err savina_deal(struct posta_actor *self, const void *item, size_t bytes);
/* From a worker: its item is done. */
enum posta_err savina_dealt(struct posta_actor *self, uint64_t number);

/* Returns: the sum of the numbers, after a run. */
uint64_t savina_dealer_sum(void);

#endif
