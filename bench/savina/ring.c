/* SPDX-License-Identifier: MIT */
/* A token goes round a ring of 100 actors. n: hops. */
#include "savina.h"

enum { TOKEN = 1 };
enum { RING = 100 };

static posta_ref ring[RING];
static size_t last; /* who got the last token */

struct member {
	size_t index;
	posta_ref next;
};

static enum posta_err member_start(struct posta_actor *self, void *state, void *argument)
{
	struct member *member = state;
	member->index = savina_index(argument);
	ring[member->index] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err member_receive(struct posta_actor *self, void *state, struct posta_message *token)
{
	struct member *member = state;
	uint64_t left = savina_value(token);
	if (!member->next)
		member->next = ring[(member->index + 1) % RING];
	if (left > 0)
		return savina_send(self, member->next, TOKEN, left - 1);
	last = member->index;
	savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class member_class = {
	.name = "member", .state_size = sizeof(struct member), .start = member_start, .receive = member_receive
};

static enum posta_err starter_start(struct posta_actor *self, void *state, void *argument)
{
	return savina_send(self, ring[0], TOKEN, savina_index(argument) - 1);
}

static enum posta_err starter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	return POSTA_EUNHANDLED;
}

static const struct posta_actor_class starter_class = { .name = "starter",
							.start = starter_start,
							.receive = starter_receive };

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < RING; i++)
		savina_add(run, &member_class, savina_argument(i));
	savina_add(run, &starter_class, savina_argument(run->n));
}

static uint64_t messages(uint64_t n)
{
	return n;
}

static bool verify(uint64_t n)
{
	return last == (n - 1) % RING;
}

const struct savina_workload savina_ring = { "ring", "message", messages, setup, verify };
