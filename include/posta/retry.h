/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RETRY_H
#define POSTA_RETRY_H

/*
 * Try again with growing waits, as an actor: nobody blocks. retryWithBackoff(fn, 3, 1000) is
 * posta_retry_start(self, &(struct posta_retry_options){ .attempts = 3, .backoff.initial_ms = 1000 }, ...):
 * three attempts, with 1,000 and 2,000 ms between them. Also deadlines for what may never answer.
 */

#include <posta/actor.h>
#include <posta/backoff.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One attempt (from 1), in the retry's own actor. OK: done. POSTA_EPENDING: posta_retry_result(retry, attempt, result)
 * says later. Any other error: failed.
 */
typedef enum posta_err posta_attempt_fn(struct posta_actor *self, posta_ref retry, uint32_t attempt, void *context);
/* After the end, in the same actor, once: OK, the last error, or ECANCELED. */
typedef void posta_retry_done_fn(void *context, enum posta_err result, uint32_t attempts);

struct posta_retry_options {
	size_t size;
	uint32_t attempts;            /* 0: 3 */
	struct posta_backoff backoff; /* all zero: 1,000 ms x 2, no jitter */
	uint64_t attempt_timeout_ms;  /* a pending attempt fails with ETIMEDOUT after this; 0: never */
	/* Whether to go on after this error; NULL: after any. posta_err_retriable is ready-made. */
	bool (*retriable)(enum posta_err error);
};

/*
 * A child of self: it ends with it. Returns: its reference; POSTA_NOBODY with error (EINVAL, ENOMEM). options may be
 * NULL.
 */
posta_ref posta_retry_start(struct posta_actor *self, const struct posta_retry_options *options,
			    posta_attempt_fn *attempt, posta_retry_done_fn *on_done, void *context,
			    struct posta_error *error);
/* The same from any thread, as a child of the system's root. */
posta_ref posta_system_retry_start(struct posta_system *system, const struct posta_retry_options *options,
				   posta_attempt_fn *attempt, posta_retry_done_fn *on_done, void *context,
				   struct posta_error *error);
/*
 * The end of a pending attempt; one that timed out meanwhile, or ended already, is ignored. Thread: any. Errors: EDEAD.
 */
enum posta_err posta_retry_result(struct posta_system *system, posta_ref retry, uint32_t attempt,
				  enum posta_err result);
/* Ends it with ECANCELED unless it has ended. Thread: any. */
void posta_retry_cancel(struct posta_system *system, posta_ref retry);

/* A deadline around one pending thing: one attempt with attempt_timeout_ms. Its timer is gone once it has ended. */
posta_ref posta_deadline_start(struct posta_actor *self, uint64_t timeout_ms, posta_attempt_fn *attempt,
			       posta_retry_done_fn *on_done, void *context, struct posta_error *error);

#ifdef __cplusplus
}
#endif
#endif
