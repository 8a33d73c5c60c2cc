/* SPDX-License-Identifier: MIT */
/*
 * 64 actors: each asks another one at random, waits for the answer, and asks again. n: messages, half of them answers.
 */
#include "savina.h"

enum { ASK = 1, ANSWER, FINISHED };
enum { BIG = 64 };

static posta_ref bigs[BIG], sink;

struct big {
	uint64_t left, answers;
	uint32_t seed;
};

static uint64_t rounds;            /* of each */
static uint64_t finished, answers; /* the sink's */

static uint64_t messages(uint64_t n)
{
	return n / 2 / BIG * 2 * BIG;
}

static enum posta_err big_start(struct posta_actor *self, void *state, void *argument)
{
	struct big *big = state;
	big->left = rounds;
	big->seed = (uint32_t)savina_index(argument) * 7919 + 1;
	bigs[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err big_next(struct posta_actor *self, struct big *big)
{
	if (big->left == 0)
		return savina_send(self, sink, FINISHED, big->answers);
	big->left--;
	return savina_send(self, bigs[savina_random(&big->seed) % BIG], ASK, 0);
}

static enum posta_err big_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct big *big = state;
	if (message->type == ASK)
		return message->sender == sink ? big_next(self, big) : savina_send(self, message->sender, ANSWER, 0);
	big->answers++;
	return big_next(self, big);
}

static enum posta_err sink_start(struct posta_actor *self, void *state, void *argument)
{
	sink = posta_self(self);
	finished = answers = 0;
	for (size_t i = 0; i < BIG; i++)
		savina_send(self, bigs[i], ASK, 0);
	return POSTA_OK;
}

static enum posta_err sink_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	answers += savina_value(message);
	if (++finished == BIG)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class big_class = {
	.name = "big", .state_size = sizeof(struct big), .start = big_start, .receive = big_receive
};
static const struct posta_actor_class sink_class = { .name = "sink", .start = sink_start, .receive = sink_receive };

static void setup(struct savina_run *run)
{
	rounds = run->n / 2 / BIG;
	for (size_t i = 0; i < BIG; i++)
		savina_add(run, &big_class, savina_argument(i));
	savina_add(run, &sink_class, NULL);
}

static bool verify(uint64_t n)
{
	return answers == n / 2 / BIG * BIG;
}

const struct savina_workload savina_big = { "big", "message", messages, setup, verify };
