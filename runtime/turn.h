/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_TURN_H
#define POSTA_RUNTIME_TURN_H

#include "runtime/worker.h"

/* Runs at most turns turns of the actors that are ready. Returns: how many ran. Thread: the worker's. */
size_t posta__worker_run(struct posta__worker *worker, size_t turns);

#endif
