/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_PARK_H
#define POSTA_RUNTIME_PARK_H

#include "runtime/mailbox.h"

/*
 * The actor named parker, at home on worker, sent to a mailbox that is full: it gets no more messages until there is
 * room. Returns: false when it was let through.
 */
bool posta__park(struct posta__worker *worker, posta_ref parker, posta_ref to);
/* Signals PARKED (to whom is waited for) and ROOM (to who waits). */
void posta__park_wait(struct posta__worker *worker, struct posta_actor *actor, posta_ref parker);
void posta__park_resume(struct posta__worker *worker, struct posta_actor *actor, posta_ref target);
/* At the end of a guarded actor's turn: those who wait for it, if there is room now. */
void posta__park_room(struct posta__worker *worker, struct posta_actor *actor);
/* The actor ended: it waits for nobody, and nobody waits for it. */
void posta__park_drop(struct posta__worker *worker, struct posta_actor *actor);

#endif
