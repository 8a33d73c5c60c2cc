/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_TURN_H
#define POSTA_RUNTIME_TURN_H

#include "runtime/worker.h"

/* One turn of an actor that was taken from the run queue. */
void posta__turn(struct posta__worker *worker, struct posta_actor *actor);

#endif
