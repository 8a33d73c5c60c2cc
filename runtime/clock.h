/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_CLOCK_H
#define POSTA_RUNTIME_CLOCK_H

/* The monotonic clock, and waiting by it: nobody who sets the machine's time shortens a wait, or makes it endless. */

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t posta__clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t posta__clock_ms(void)
{
	return posta__clock_ns() / 1000000u;
}

/* For pthread_cond_timedwait on a condition of posta__cond_init. ms above 24 days are 24 days. */
static inline struct timespec posta__clock_in(uint64_t ms)
{
	uint64_t ns = posta__clock_ns() + (ms > INT32_MAX ? INT32_MAX : ms) * 1000000u;
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

static inline void posta__cond_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

#endif
