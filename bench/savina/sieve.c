/* SPDX-License-Identifier: MIT */
/*
 * The sieve of Eratosthenes as a chain of actors, each with up to 1,000 primes; it grows at its end. n: numbers below
 * it.
 */
#include "savina.h"

enum { CANDIDATE = 1, END, MORE };
enum { PRIMES = 1000 };

static uint64_t primes; /* counted when the last actor of the chain has seen the end */

struct filter {
	uint32_t primes[PRIMES];
	uint32_t count;
	posta_ref next;
};

struct source {
	posta_ref first;
	uint64_t candidate, end;
};

static enum posta_err filter_receive(struct posta_actor *self, void *state, struct posta_message *message);

static const struct posta_actor_class filter_class = { .name = "filter",
						       .state_size = sizeof(struct filter),
						       .receive = filter_receive };

static enum posta_err pass_end(struct posta_actor *self, struct filter *filter, uint64_t before)
{
	if (filter->next)
		return savina_send(self, filter->next, END, before + filter->count);
	primes = before + filter->count;
	savina_done();
	return POSTA_OK;
}

static enum posta_err filter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct filter *filter = state;
	uint32_t candidate = (uint32_t)savina_value(message);
	if (message->type == END)
		return pass_end(self, filter, savina_value(message));
	for (uint32_t i = 0; i < filter->count; i++)
		if (candidate % filter->primes[i] == 0)
			return POSTA_OK;
	if (filter->count < PRIMES) {
		filter->primes[filter->count++] = candidate;
		return POSTA_OK;
	}
	if (!filter->next)
		filter->next = posta_spawn(self, &filter_class, NULL);
	return savina_send(self, filter->next, CANDIDATE, candidate);
}

static enum posta_err send_some(struct posta_actor *self, struct source *source)
{
	for (uint32_t i = 0; i < SAVINA_BURST && source->candidate < source->end; i++, source->candidate += 2)
		savina_send(self, source->first, CANDIDATE, source->candidate);
	return source->candidate < source->end ? savina_send(self, posta_self(self), MORE, 0)
					       : savina_send(self, source->first, END, 1); /* 2 is one */
}

static enum posta_err source_start(struct posta_actor *self, void *state, void *argument)
{
	struct source *source = state;
	primes = 0;
	*source = (struct source){ posta_spawn(self, &filter_class, NULL), 3, savina_index(argument) };
	return send_some(self, source);
}

static enum posta_err source_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	return send_some(self, state);
}

static const struct posta_actor_class source_class = {
	.name = "source", .state_size = sizeof(struct source), .start = source_start, .receive = source_receive
};

static void setup(struct savina_run *run)
{
	savina_add(run, &source_class, savina_argument(run->n));
}

static bool is_prime(uint64_t n)
{
	for (uint64_t i = 2; i * i <= n; i++)
		if (n % i == 0)
			return false;
	return true;
}

static bool verify(uint64_t n)
{
	uint64_t expected = 0;
	for (uint64_t i = 2; i < n; i++)
		expected += is_prime(i);
	return primes == expected;
}

const struct savina_workload savina_sieve = { "sieve", "run", NULL, setup, verify };
