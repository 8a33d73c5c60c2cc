/* SPDX-License-Identifier: MIT */
/* One actor sends, another one counts. n: messages. */
#include "savina.h"

enum { COUNT = 1, MORE };

static posta_ref counter;
static uint64_t counted, wanted; /* the counter's */

static uint64_t messages(uint64_t n)
{
	return n;
}

static enum posta_err counter_start(struct posta_actor *self, void *state, void *argument)
{
	counter = posta_self(self);
	counted = 0;
	wanted = savina_index(argument);
	return POSTA_OK;
}

static enum posta_err counter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (++counted == wanted)
		savina_done();
	return POSTA_OK;
}

static enum posta_err produce(struct posta_actor *self, uint64_t left)
{
	uint64_t burst = left < SAVINA_BURST ? left : SAVINA_BURST;
	for (uint64_t i = 0; i < burst; i++)
		savina_send(self, counter, COUNT, i);
	return left > burst ? savina_send(self, posta_self(self), MORE, left - burst) : POSTA_OK;
}

static enum posta_err producer_start(struct posta_actor *self, void *state, void *argument)
{
	return produce(self, savina_index(argument));
}

static enum posta_err producer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	return produce(self, savina_value(message));
}

static const struct posta_actor_class counter_class = { .name = "counter",
							.start = counter_start,
							.receive = counter_receive };
static const struct posta_actor_class producer_class = { .name = "producer",
							 .start = producer_start,
							 .receive = producer_receive };

static void setup(struct savina_run *run)
{
	savina_add(run, &counter_class, savina_argument(run->n));
	savina_add(run, &producer_class, savina_argument(run->n));
}

static bool verify(uint64_t n)
{
	return counted == n;
}

const struct savina_workload savina_counting = { "counting", "message", messages, setup, verify };
