/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BACKOFF_H
#define POSTA_BACKOFF_H

/*
 * How long to wait before the next try: min(cap, initial * factor^n), then jitter, never above the cap.
 * Pure arithmetic. Thread: any. Source for the jitters: M. Brooker, "Exponential Backoff and Jitter" (2015).
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum posta_jitter {
	POSTA_JITTER_NONE,
	POSTA_JITTER_FULL,        /* uniform in 0..delay */
	POSTA_JITTER_EQUAL,       /* half fixed, half uniform */
	POSTA_JITTER_DECORRELATED /* uniform in initial..3 x the last delay */
};

struct posta_backoff {
	uint64_t initial_ms; /* 0: restart at once, every time */
	uint64_t max_ms;     /* the cap; 0: none but UINT32_MAX */
	double factor;       /* >= 1; 0: 2 */
	enum posta_jitter jitter;
	/* Healthy for this long: the next failure counts as the first. 0: max_ms, else the last wait. */
	uint64_t reset_after_ms;
};

/*
 * attempt: 0 for the first wait; previous_ms: the wait before (0 at first); random: 64 uniform bits.
 * Returns: ms to wait.
 */
uint64_t posta_backoff_delay_ms(const struct posta_backoff *backoff, uint32_t attempt, uint64_t previous_ms,
				uint64_t random);

#ifdef __cplusplus
}
#endif
#endif
