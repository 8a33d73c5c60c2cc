/* SPDX-License-Identifier: MIT */
#include <posta/backoff.h>

#include <math.h>

static uint64_t cap_of(const struct posta_backoff *backoff)
{
	return backoff->max_ms ? backoff->max_ms : UINT32_MAX;
}

/* Uniform in low..high. The bias of the remainder is below 2^-32 for any span here. */
static uint64_t uniform(uint64_t low, uint64_t high, uint64_t random)
{
	return high > low ? low + random % (high - low + 1) : low;
}

static uint64_t exponential(const struct posta_backoff *backoff, uint32_t attempt)
{
	double factor = backoff->factor >= 1 ? backoff->factor : 2;
	double delay = (double)backoff->initial_ms * pow(factor, attempt);
	uint64_t cap = cap_of(backoff);
	return delay < (double)cap ? (uint64_t)delay : cap;
}

static uint64_t decorrelated(const struct posta_backoff *backoff, uint64_t previous_ms, uint64_t random)
{
	uint64_t cap = cap_of(backoff), last = previous_ms ? previous_ms : backoff->initial_ms;
	uint64_t delay = uniform(backoff->initial_ms, last > cap / 3 ? cap : last * 3, random);
	return delay < cap ? delay : cap;
}

uint64_t posta_backoff_delay_ms(const struct posta_backoff *backoff, uint32_t attempt, uint64_t previous_ms,
				uint64_t random)
{
	if (!backoff->initial_ms)
		return 0;
	uint64_t delay = exponential(backoff, attempt);
	switch (backoff->jitter) {
	case POSTA_JITTER_FULL:
		return uniform(0, delay, random);
	case POSTA_JITTER_EQUAL:
		return uniform(delay / 2, delay, random);
	case POSTA_JITTER_DECORRELATED:
		return decorrelated(backoff, previous_ms, random);
	case POSTA_JITTER_NONE:
	default:
		return delay;
	}
}
