/* SPDX-License-Identifier: MIT */
/*
 * CigaretteSmokers: an arbiter gives one of 200 smokers at random what it needs, and goes on when it smokes. n: rounds.
 */
#include "savina.h"

enum { SMOKE = 1, STARTED };
enum { SMOKERS = 200, COST = 50 };

static posta_ref smokers[SMOKERS];
static uint64_t started; /* the arbiter's */

struct arbiter {
	uint64_t left;
	uint32_t seed;
};

static enum posta_err smoker_start(struct posta_actor *self, void *state, void *argument)
{
	smokers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err smoker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *smoke = state;
	savina_send(self, message->sender, STARTED, 0);
	*smoke = savina_work(*smoke, (uint32_t)savina_value(message));
	return POSTA_OK;
}

static enum posta_err choose(struct posta_actor *self, struct arbiter *arbiter)
{
	uint32_t chosen = savina_random(&arbiter->seed) % SMOKERS;
	return savina_send(self, smokers[chosen], SMOKE, savina_random(&arbiter->seed) % COST);
}

static enum posta_err arbiter_start(struct posta_actor *self, void *state, void *argument)
{
	struct arbiter *arbiter = state;
	*arbiter = (struct arbiter){ .left = savina_index(argument), .seed = 1 };
	started = 0;
	return choose(self, arbiter);
}

static enum posta_err arbiter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct arbiter *arbiter = state;
	started++;
	if (--arbiter->left > 0)
		return choose(self, arbiter);
	savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class smoker_class = {
	.name = "smoker", .state_size = sizeof(uint32_t), .start = smoker_start, .receive = smoker_receive
};
static const struct posta_actor_class arbiter_class = {
	.name = "arbiter", .state_size = sizeof(struct arbiter), .start = arbiter_start, .receive = arbiter_receive
};

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < SMOKERS; i++)
		savina_add(run, &smoker_class, savina_argument(i));
	savina_add(run, &arbiter_class, savina_argument(run->n));
}

static uint64_t messages(uint64_t n)
{
	return 2 * n;
}

static bool verify(uint64_t n)
{
	return started == n;
}

const struct savina_workload savina_smokers = { "smokers", "message", messages, setup, verify };
