/* SPDX-License-Identifier: MIT */
/* Two actors send one message back and forth. n: messages. */
#include "savina.h"

enum { BALL = 1 };

static posta_ref pong;
static uint64_t rallies; /* seen by ping alone */

static uint64_t messages(uint64_t n)
{
	return n / 2 * 2;
}

static enum posta_err pong_start(struct posta_actor *self, void *state, void *argument)
{
	pong = posta_self(self);
	return POSTA_OK;
}

static enum posta_err pong_receive(struct posta_actor *self, void *state, struct posta_message *ball)
{
	return savina_send(self, ball->sender, BALL, savina_value(ball) - 1);
}

static enum posta_err ping_start(struct posta_actor *self, void *state, void *argument)
{
	rallies = 0;
	return savina_send(self, pong, BALL, messages(savina_index(argument)) - 1);
}

static enum posta_err ping_receive(struct posta_actor *self, void *state, struct posta_message *ball)
{
	uint64_t left = savina_value(ball);
	rallies++;
	if (left > 0)
		return savina_send(self, ball->sender, BALL, left - 1);
	savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class pong_class = { .name = "pong", .start = pong_start, .receive = pong_receive };
static const struct posta_actor_class ping_class = { .name = "ping", .start = ping_start, .receive = ping_receive };

static void setup(struct savina_run *run)
{
	savina_add(run, &pong_class, NULL);
	savina_add(run, &ping_class, savina_argument(run->n));
}

static bool verify(uint64_t n)
{
	return rallies == n / 2;
}

const struct savina_workload savina_ping_pong = { "ping-pong", "message", messages, setup, verify };
