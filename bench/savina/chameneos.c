/* SPDX-License-Identifier: MIT */
/* 100 creatures meet in pairs at a mall and change their colours. n: meetings; four messages each. */
#include "savina.h"

enum { MEET = 1, CHANGE, EXIT, COUNT };
enum { CREATURES = 100 };
enum { YELLOW, BLUE, RED };

static posta_ref creatures[CREATURES], mall;
static uint64_t met; /* the mall's: what the creatures report */

struct creature {
	uint64_t colour, meetings;
};

struct mall {
	uint64_t left;
	posta_ref waiting;
	uint32_t gone;
};

static uint64_t complement(uint64_t a, uint64_t b)
{
	return a == b ? a : YELLOW + BLUE + RED - a - b;
}

static enum posta_err creature_start(struct posta_actor *self, void *state, void *argument)
{
	struct creature *creature = state;
	creature->colour = savina_index(argument) % 3;
	creatures[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err creature_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct creature *creature = state;
	if (message->type == EXIT)
		return savina_send(self, mall, COUNT, creature->meetings);
	if (message->sender != mall)
		creature->meetings++;
	if (message->type == MEET && message->sender != mall) {
		creature->colour = complement(creature->colour, savina_value(message));
		savina_send(self, message->sender, CHANGE, creature->colour);
	} else if (message->type == CHANGE) {
		creature->colour = savina_value(message);
	}
	return savina_send(self, mall, MEET, creature->colour);
}

static enum posta_err mall_start(struct posta_actor *self, void *state, void *argument)
{
	struct mall *here = state;
	mall = posta_self(self);
	here->left = savina_index(argument);
	met = 0;
	for (size_t i = 0; i < CREATURES; i++)
		savina_send(self, creatures[i], MEET, 0);
	return POSTA_OK;
}

static enum posta_err arrive(struct posta_actor *self, struct mall *here, struct posta_message *message)
{
	if (here->left == 0)
		return savina_send(self, message->sender, EXIT, 0);
	if (!here->waiting) {
		here->waiting = message->sender;
		return POSTA_OK;
	}
	posta_ref first = here->waiting;
	here->waiting = POSTA_NOBODY;
	here->left--;
	return posta_forward(self, first, message);
}

static enum posta_err mall_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct mall *here = state;
	if (message->type == MEET)
		return arrive(self, here, message);
	met += savina_value(message);
	if (++here->gone == CREATURES)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class creature_class = {
	.name = "creature", .state_size = sizeof(struct creature), .start = creature_start, .receive = creature_receive
};
static const struct posta_actor_class mall_class = {
	.name = "mall", .state_size = sizeof(struct mall), .start = mall_start, .receive = mall_receive
};

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < CREATURES; i++)
		savina_add(run, &creature_class, savina_argument(i));
	savina_add(run, &mall_class, savina_argument(run->n));
}

static uint64_t messages(uint64_t n)
{
	return 4 * n;
}

static bool verify(uint64_t n)
{
	return met == 2 * n;
}

const struct savina_workload savina_chameneos = { "chameneos", "message", messages, setup, verify };
