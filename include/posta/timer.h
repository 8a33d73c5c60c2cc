/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TIMER_H
#define POSTA_TIMER_H

/*
 * Timers of an actor: they send a message when due, on the worker's clock (monotonic, virtual in simulations,
 * resolution 1 ms). They end with the actor. Thread: the actor's own.
 */

#include <posta/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t posta_timer; /* 0: none */

/* One message after delay_ms. Returns: the timer; 0 when out of memory. */
posta_timer posta_send_after(struct posta_actor *self, uint64_t delay_ms, posta_ref to, uint32_t type, const void *data,
			     size_t size);
/* A message every period_ms (> 0), the first after one period, without drift; missed periods are skipped. */
posta_timer posta_send_every(struct posta_actor *self, uint64_t period_ms, posta_ref to, uint32_t type,
			     const void *data, size_t size);
/*
 * Exact: after it returns true the message will not come (a periodic one: not again). False: it fired already, or never
 * was.
 */
bool posta_cancel(struct posta_actor *self, posta_timer timer);

#ifdef __cplusplus
}
#endif
#endif
