/* SPDX-License-Identifier: MIT */
#include "dealer.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM = 1, DONE };
enum { WORKERS = 20, ITEM_MAX = 64 };

static posta_ref workers[WORKERS], master;
static uint64_t sum; /* the master's */

static struct {
	char data[ITEM_MAX];
	size_t bytes;
} first;

struct master {
	uint64_t missing, dealt;
};

enum posta_err savina_worker_start(struct posta_actor *self, void *state, void *argument)
{
	workers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

enum posta_err savina_deal(struct posta_actor *self, const void *item, size_t bytes)
{
	return posta_send(self, master, ITEM, item, bytes);
}

enum posta_err savina_dealt(struct posta_actor *self, uint64_t number)
{
	return savina_send(self, master, DONE, number);
}

uint64_t savina_dealer_sum(void)
{
	return sum;
}

static enum posta_err master_start(struct posta_actor *self, void *state, void *argument)
{
	master = posta_self(self);
	sum = 0;
	return savina_deal(self, first.data, first.bytes);
}

static enum posta_err master_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct master *here = state;
	if (message->type == ITEM) {
		here->missing++;
		return posta_forward(self, workers[here->dealt++ % WORKERS], message);
	}
	sum += savina_value(message);
	if (--here->missing == 0)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class master_class = {
	.name = "master", .state_size = sizeof(struct master), .start = master_start, .receive = master_receive
};

void savina_add_dealer(struct savina_run *run, const struct posta_actor_class *worker, const void *item, size_t bytes)
{
	if (bytes > ITEM_MAX)
		abort();
	memcpy(first.data, item, bytes);
	first.bytes = bytes;
	for (size_t i = 0; i < WORKERS; i++)
		savina_add(run, worker, savina_argument(i));
	savina_add(run, &master_class, NULL);
}
