/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_WATCH_H
#define POSTA_RUNTIME_WATCH_H

#include "runtime/mailbox.h"

/* Signals about watching and linking that arrived at actor. */
void posta__watch_signal(struct posta__worker *worker, struct posta_actor *actor, enum posta__signal signal,
			 const struct posta__signal_data *data);
/* The same for an actor that is gone: the sender learns it. worker NULL: a foreign thread. */
void posta__watch_signal_dead(struct posta_system *system, struct posta__worker *worker, enum posta__signal signal,
			      posta_ref to, const struct posta__signal_data *data);
/* The actor ended for good: DOWN to its watchers. */
void posta__watch_down(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason);
/* The actor ended, perhaps to be restarted: exit signals to those linked, and the links are gone. */
void posta__link_exit(struct posta__worker *worker, struct posta_actor *actor, enum posta_err reason);

#endif
