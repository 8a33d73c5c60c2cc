/* SPDX-License-Identifier: MIT */
/*
 * LogisticMap: ten series x' = r x (1 - x), each an actor that has an actor of its own compute the next term; a master
 * wants all terms at once. n: terms; three messages each.
 */
#include "savina.h"

#include <math.h>

enum { NEXT = 1, COMPUTE, TERM, GET };
enum { SERIES = 10 };

static posta_ref computers[SERIES], series[SERIES];
static double sum; /* the master's: of the last terms */

struct series {
	size_t index;
	double term;
	uint64_t wanted;  /* terms that were asked for and are not there yet */
	posta_ref master; /* not 0: waits for the last term */
};

struct master {
	uint64_t share;
	uint32_t finished;
};

static double rate(size_t index)
{
	return 3.46 + 0.0025 * (double)index;
}

static double first_term(size_t index)
{
	return 0.1 + 0.01 * (double)index;
}

static double real(const struct posta_message *message)
{
	return *(const double *)posta_data(message);
}

static enum posta_err send_real(struct posta_actor *self, posta_ref to, uint32_t type, double value)
{
	return posta_send(self, to, type, &value, sizeof value);
}

static enum posta_err computer_start(struct posta_actor *self, void *state, void *argument)
{
	*(double *)state = rate(savina_index(argument));
	computers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err computer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	double term = real(message);
	return send_real(self, message->sender, TERM, *(double *)state * term * (1 - term));
}

static enum posta_err series_start(struct posta_actor *self, void *state, void *argument)
{
	struct series *here = state;
	here->index = savina_index(argument);
	here->term = first_term(here->index);
	series[here->index] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err compute(struct posta_actor *self, struct series *here)
{
	return send_real(self, computers[here->index], COMPUTE, here->term);
}

static enum posta_err series_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct series *here = state;
	if (message->type == NEXT)
		return ++here->wanted == 1 ? compute(self, here) : POSTA_OK;
	if (message->type == GET)
		here->master = message->sender;
	else
		here->term = real(message), here->wanted--;
	if (here->wanted == 0 && here->master)
		return send_real(self, here->master, TERM, here->term);
	return message->type == TERM && here->wanted > 0 ? compute(self, here) : POSTA_OK;
}

static enum posta_err master_start(struct posta_actor *self, void *state, void *argument)
{
	struct master *master = state;
	sum = 0;
	master->share = savina_index(argument) / SERIES;
	for (uint64_t k = 0; k < master->share; k++)
		for (size_t i = 0; i < SERIES; i++)
			savina_send(self, series[i], NEXT, 0);
	for (size_t i = 0; i < SERIES; i++)
		savina_send(self, series[i], GET, 0);
	return POSTA_OK;
}

static enum posta_err master_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct master *master = state;
	sum += real(message);
	if (++master->finished == SERIES)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class computer_class = {
	.name = "computer", .state_size = sizeof(double), .start = computer_start, .receive = computer_receive
};
static const struct posta_actor_class series_class = {
	.name = "series", .state_size = sizeof(struct series), .start = series_start, .receive = series_receive
};
static const struct posta_actor_class master_class = {
	.name = "master", .state_size = sizeof(struct master), .start = master_start, .receive = master_receive
};

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < SERIES; i++)
		savina_add(run, &computer_class, savina_argument(i));
	for (size_t i = 0; i < SERIES; i++)
		savina_add(run, &series_class, savina_argument(i));
	savina_add(run, &master_class, savina_argument(run->n));
}

static uint64_t messages(uint64_t n)
{
	return n / SERIES * SERIES * 3;
}

static bool verify(uint64_t n)
{
	double expected = 0;
	for (size_t i = 0; i < SERIES; i++) {
		double term = first_term(i);
		for (uint64_t k = 0; k < n / SERIES; k++)
			term = rate(i) * term * (1 - term);
		expected += term;
	}
	return fabs(sum - expected) < 1e-9;
}

const struct savina_workload savina_logistic_map = { "logistic-map", "message", messages, setup, verify };
