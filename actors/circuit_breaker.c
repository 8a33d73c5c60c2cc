/* SPDX-License-Identifier: MIT */
/*
 * A ticket is the number of the state's period in which the call began. A call that began before the last change of
 * state says nothing about the present one: its end is counted, and that is all.
 */
#include <posta/circuit_breaker.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define THRESHOLD 5u
#define TIMEOUT_MS 60000u

struct posta_circuit_breaker {
	struct posta_circuit_breaker_options options;
	pthread_mutex_t lock;
	struct posta_circuit_metrics metrics;
	uint64_t period;
	uint64_t until_ms; /* open: when to probe; half-open: when the probe counts as lost */
};

struct change {
	bool happened;
	enum posta_circuit from, to;
};

static uint64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(const struct posta_circuit_breaker *breaker)
{
	return breaker->options.now_ms ? breaker->options.now_ms(breaker->options.now_context) : monotonic_ms();
}

struct posta_circuit_breaker *posta_circuit_breaker_new(const struct posta_circuit_breaker_options *options)
{
	struct posta_circuit_breaker *breaker = calloc(1, sizeof *breaker);
	if (!breaker)
		return NULL;
	if (pthread_mutex_init(&breaker->lock, NULL)) {
		free(breaker);
		return NULL;
	}
	if (options)
		breaker->options = *options;
	if (!breaker->options.threshold)
		breaker->options.threshold = THRESHOLD;
	if (!breaker->options.timeout_ms)
		breaker->options.timeout_ms = TIMEOUT_MS;
	return breaker;
}

void posta_circuit_breaker_free(struct posta_circuit_breaker *breaker)
{
	if (!breaker)
		return;
	pthread_mutex_destroy(&breaker->lock);
	free(breaker);
}

/* A time-out of UINT64_MAX is for ever. */
static uint64_t later(uint64_t now, uint64_t ms)
{
	return ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
}

/* With the lock. */
static struct change turn(struct posta_circuit_breaker *breaker, enum posta_circuit to)
{
	struct change change = { true, breaker->metrics.state, to };
	breaker->metrics.state = to;
	breaker->metrics.failures = 0;
	breaker->period++;
	if (to == POSTA_CIRCUIT_OPEN)
		breaker->metrics.opened++;
	if (to != POSTA_CIRCUIT_CLOSED)
		breaker->until_ms = later(now_ms(breaker), breaker->options.timeout_ms);
	return change;
}

/* Without the lock. */
static void tell(const struct posta_circuit_breaker *breaker, struct change change)
{
	if (change.happened && breaker->options.on_change)
		breaker->options.on_change(breaker->options.context, change.from, change.to);
}

enum posta_err posta_circuit_breaker_acquire(struct posta_circuit_breaker *breaker, uint64_t *ticket, uint64_t *wait_ms)
{
	struct change change = { 0 };
	uint64_t left = 0;
	pthread_mutex_lock(&breaker->lock);
	if (breaker->metrics.state != POSTA_CIRCUIT_CLOSED) {
		uint64_t now = now_ms(breaker);
		left = breaker->until_ms > now ? breaker->until_ms - now : 0;
		if (!left)
			change = turn(breaker, POSTA_CIRCUIT_HALF_OPEN);
	}
	if (left)
		breaker->metrics.refused++;
	else
		breaker->metrics.calls++;
	*ticket = breaker->period;
	pthread_mutex_unlock(&breaker->lock);
	if (wait_ms)
		*wait_ms = left;
	if (change.from != change.to)
		tell(breaker, change);
	return left ? POSTA_EBLOCKED : POSTA_OK;
}

static struct change succeeded(struct posta_circuit_breaker *breaker)
{
	breaker->metrics.failures = 0;
	return breaker->metrics.state == POSTA_CIRCUIT_HALF_OPEN ? turn(breaker, POSTA_CIRCUIT_CLOSED)
								 : (struct change){ 0 };
}

static struct change failed(struct posta_circuit_breaker *breaker)
{
	breaker->metrics.failures++;
	bool opens = breaker->metrics.state == POSTA_CIRCUIT_HALF_OPEN ||
		     breaker->metrics.failures >= breaker->options.threshold;
	return opens ? turn(breaker, POSTA_CIRCUIT_OPEN) : (struct change){ 0 };
}

void posta_circuit_breaker_report(struct posta_circuit_breaker *breaker, uint64_t ticket, enum posta_err result)
{
	struct change change = { 0 };
	bool bad = result != POSTA_OK && (!breaker->options.counts || breaker->options.counts(result));
	pthread_mutex_lock(&breaker->lock);
	*(bad ? &breaker->metrics.failed : &breaker->metrics.succeeded) += 1;
	if (ticket == breaker->period)
		change = bad ? failed(breaker) : succeeded(breaker);
	pthread_mutex_unlock(&breaker->lock);
	tell(breaker, change);
}

enum posta_err posta_circuit_breaker_call(struct posta_circuit_breaker *breaker, enum posta_err (*call)(void *argument),
					  void *argument)
{
	uint64_t ticket;
	enum posta_err err = posta_circuit_breaker_acquire(breaker, &ticket, NULL);
	if (err)
		return err;
	err = call(argument);
	posta_circuit_breaker_report(breaker, ticket, err);
	return err;
}

void posta_circuit_breaker_metrics(struct posta_circuit_breaker *breaker, struct posta_circuit_metrics *metrics)
{
	pthread_mutex_lock(&breaker->lock);
	*metrics = breaker->metrics;
	pthread_mutex_unlock(&breaker->lock);
}

const char *posta_circuit_name(enum posta_circuit state)
{
	static const char *const names[] = { "closed", "open", "half-open" };
	return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}
