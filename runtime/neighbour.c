/* SPDX-License-Identifier: MIT */
#include "runtime/neighbour.h"
#include "runtime/worker.h"

static bool at_home(const struct posta__worker *worker, const struct posta_actor *actor, posta_ref ref)
{
	/* Relaxed: both change on this thread only, if the actor is at home here. */
	return atomic_load_explicit(&actor->self, memory_order_relaxed) == ref &&
	       atomic_load_explicit(&actor->home, memory_order_relaxed) == (uintptr_t)worker;
}

static bool nothing_waits(const struct posta_actor *actor, uint32_t last)
{
	/* Relaxed: what self sent from another worker, before it came here, is seen here as well. */
	if (actor->unusual || atomic_load_explicit(&actor->stack, memory_order_relaxed))
		return false;
	return !actor->head || (actor->head->type == last && !actor->head->next_);
}

void *posta__neighbour(struct posta_actor *self, posta_ref ref, const struct posta_actor_class *klass, uint32_t last)
{
	struct posta__worker *worker = posta__worker_running(self);
	const struct posta_actor *actor = posta__slot(worker, ref);
	bool here = at_home(worker, actor, ref) && actor->klass == klass && actor->status == POSTA__RUNNING;
	return here && nothing_waits(actor, last) ? actor->state : NULL;
}
