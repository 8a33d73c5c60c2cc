/* SPDX-License-Identifier: MIT */
/* An actor for each message: it is made, gets one message, answers by a count, stops, and is reclaimed. n: actors. */
#include "savina.h"

enum { WORK = 1, DONE, MORE };

struct fork {
	uint64_t left, missing;
};

static uint64_t joined; /* the fork's */

static enum posta_err leaf_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	savina_send(self, message->sender, DONE, 1);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class leaf_class = { .name = "leaf", .receive = leaf_receive };

static enum posta_err fork_some(struct posta_actor *self, struct fork *fork)
{
	uint64_t burst = fork->left < SAVINA_BURST ? fork->left : SAVINA_BURST;
	for (uint64_t i = 0; i < burst; i++)
		savina_send(self, posta_spawn(self, &leaf_class, NULL), WORK, i);
	fork->left -= burst;
	return fork->left > 0 ? savina_send(self, posta_self(self), MORE, 0) : POSTA_OK;
}

static enum posta_err fork_start(struct posta_actor *self, void *state, void *argument)
{
	struct fork *fork = state;
	fork->left = fork->missing = savina_index(argument);
	joined = 0;
	return fork_some(self, fork);
}

static enum posta_err fork_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct fork *fork = state;
	if (message->type == MORE)
		return fork_some(self, fork);
	joined += savina_value(message);
	if (--fork->missing == 0)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class fork_class = {
	.name = "fork", .state_size = sizeof(struct fork), .start = fork_start, .receive = fork_receive
};

static void setup(struct savina_run *run)
{
	savina_add(run, &fork_class, savina_argument(run->n));
}

static uint64_t actors(uint64_t n)
{
	return n;
}

static bool verify(uint64_t n)
{
	return joined == n;
}

const struct savina_workload savina_fork_join_create = { "fork-join-create", "actor", actors, setup, verify };
