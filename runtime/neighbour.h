/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_NEIGHBOUR_H
#define POSTA_RUNTIME_NEIGHBOUR_H

/*
 * For rooms above whose actors are a matter of their own: a caller on the same worker may then do at once what a
 * message would have asked for. The order of what it sent before stays, since nothing may be waiting.
 */

#include <posta/actor.h>

/*
 * The state of the actor that ref names, if it is of klass, at home on self's worker, in no special state, and nothing
 * waits for it but at most one message of type last (what comes last in a turn anyway). NULL: send to it.
 * Thread: the running actor's own. Borrows: until the end of self's handler.
 */
void *posta__neighbour(struct posta_actor *self, posta_ref ref, const struct posta_actor_class *klass, uint32_t last);

#endif
