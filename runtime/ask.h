/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_ASK_H
#define POSTA_RUNTIME_ASK_H

#include "runtime/worker.h"

#include <posta/ask.h>

/* A reply arrived at the one who asked. Returns what the reply function returns; late replies are counted. */
enum posta_err posta__ask_answer(struct posta__worker *worker, struct posta_actor *actor, struct posta_message *reply);
/* posta_ask; forget is told of context when self ends before an answer, may be NULL. */
enum posta_err posta__ask(struct posta_actor *self, posta_ref to, uint32_t type, const void *data, size_t size,
			  uint64_t timeout_ms, posta_reply_fn *on_reply, void *context, void (*forget)(void *context));
/* posta_reply_to with a message of one's own. Takes: reply; NULL: there was no memory for it. */
enum posta_err posta__reply_with(struct posta_actor *self, struct posta_caller caller, struct posta_message *reply);
/* A small reply that comes also without memory: whoever waits for it has no time-out. */
void posta__reply_sure(struct posta_actor *self, struct posta_caller caller, uint32_t type, const void *data,
		       size_t size);
/* The actor ends: nobody waits for its answers any more. Their timers go with all of its timers. */
void posta__ask_drop(struct posta_actor *actor);

/* A question that will never be answered: its sender is told. worker NULL: a foreign thread. */
void posta__ask_dead(struct posta_system *system, struct posta__worker *worker, const struct posta_message *question);

#endif
