/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CIRCUIT_BREAKER_H
#define POSTA_CIRCUIT_BREAKER_H

/*
 * A circuit breaker: after threshold failures in a row it is open and refuses at once; after timeout_ms one probe is
 * let through (half-open), whose end closes it or opens it again. It is told the time, so it needs neither thread nor
 * timer.
 *
 *   closed ──threshold failures──▶ open ──timeout──▶ half-open ──probe succeeds──▶ closed
 *                                   ▲                    └───────probe fails──────▶ open
 *
 * Thread: any; its functions exclude each other.
 */

#include <posta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_circuit_breaker;

enum posta_circuit { POSTA_CIRCUIT_CLOSED, POSTA_CIRCUIT_OPEN, POSTA_CIRCUIT_HALF_OPEN };

struct posta_circuit_breaker_options {
	size_t size;
	uint32_t threshold;  /* 0: 5 */
	uint64_t timeout_ms; /* 0: 60,000; also how long a probe may take until the next one. UINT64_MAX: no probe */
	/* Whether an error counts as a failure; NULL: every one. */
	bool (*counts)(enum posta_err error);
	/* Each change of state, on the thread that caused it, outside of the lock. */
	void (*on_change)(void *context, enum posta_circuit from, enum posta_circuit to);
	void *context;
	uint64_t (*now_ms)(void *context); /* NULL: the monotonic clock. For simulations */
	void *now_context;
};

/* options may be NULL. Returns: owned; NULL when out of memory. */
struct posta_circuit_breaker *posta_circuit_breaker_new(const struct posta_circuit_breaker_options *options);
/* NULL is allowed. */
void posta_circuit_breaker_free(struct posta_circuit_breaker *breaker);

/*
 * Before the call. OK: make it, and report its end by posta_circuit_breaker_report() with *ticket, once.
 * Errors: EBLOCKED: open, or the probe is under way; *wait_ms (may be NULL): when to come again.
 */
enum posta_err posta_circuit_breaker_acquire(struct posta_circuit_breaker *breaker, uint64_t *ticket,
					     uint64_t *wait_ms);
/* The end of a call. Reports from before the last change of state are counted, and change nothing. */
void posta_circuit_breaker_report(struct posta_circuit_breaker *breaker, uint64_t ticket, enum posta_err result);

/* Both around a call that ends at once. Returns: the call's result, or EBLOCKED without calling. */
enum posta_err posta_circuit_breaker_call(struct posta_circuit_breaker *breaker, enum posta_err (*call)(void *argument),
					  void *argument);

struct posta_circuit_metrics {
	enum posta_circuit state;
	uint32_t failures; /* in a row */
	uint64_t calls;
	uint64_t succeeded;
	uint64_t failed;
	uint64_t refused;
	uint64_t opened; /* times */
};
/* A snapshot. */
void posta_circuit_breaker_metrics(struct posta_circuit_breaker *breaker, struct posta_circuit_metrics *metrics);
/* "closed", "open", "half-open". */
const char *posta_circuit_name(enum posta_circuit state);

#ifdef __cplusplus
}
#endif
#endif
