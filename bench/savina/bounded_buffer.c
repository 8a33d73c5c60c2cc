/* SPDX-License-Identifier: MIT */
/*
 * BoundedBuffer: 40 producers and 40 consumers around a manager with a buffer of 50. Making and using an item costs 25
 * iterations each. n: items; four messages each.
 */
#include "savina.h"

enum { PRODUCE = 1, ITEM, AVAILABLE, FINISHED };
enum { PRODUCERS = 40, CONSUMERS = 40, BUFFER = 50, COST = 25 };

/* What is asked of producers counts as used. */
#define ROOM ((uint32_t)(BUFFER - PRODUCERS))

static posta_ref producers[PRODUCERS], consumers[CONSUMERS], manager;
static uint64_t share; /* items that each producer makes */
static uint32_t sum;   /* the manager's: of all items */

struct queue {
	uint64_t items[BUFFER + PRODUCERS];
	uint32_t first, count;
};

struct manager {
	struct queue pending, consumers, producers;
	uint32_t finished;
};

struct producer {
	uint64_t left;
	uint32_t item;
};

static void push(struct queue *queue, uint64_t item)
{
	queue->items[(queue->first + queue->count++) % (BUFFER + PRODUCERS)] = item;
}

static uint64_t pop(struct queue *queue)
{
	uint64_t item = queue->items[queue->first];
	queue->first = (queue->first + 1) % (BUFFER + PRODUCERS);
	queue->count--;
	return item;
}

static enum posta_err producer_start(struct posta_actor *self, void *state, void *argument)
{
	struct producer *producer = state;
	producer->left = share;
	producer->item = (uint32_t)savina_index(argument) + 1;
	producers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err producer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct producer *producer = state;
	if (producer->left-- == 0)
		return savina_send(self, manager, FINISHED, 0);
	producer->item = savina_work(producer->item, COST);
	return savina_send(self, manager, ITEM, producer->item);
}

static enum posta_err consumer_start(struct posta_actor *self, void *state, void *argument)
{
	consumers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err consumer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *used = state;
	*used += savina_work((uint32_t)savina_value(message), COST);
	return savina_send(self, manager, AVAILABLE, *used);
}

static enum posta_err manager_start(struct posta_actor *self, void *state, void *argument)
{
	struct manager *here = state;
	manager = posta_self(self);
	sum = 0;
	for (size_t i = 0; i < CONSUMERS; i++)
		push(&here->consumers, consumers[i]);
	for (size_t i = 0; i < PRODUCERS; i++)
		savina_send(self, producers[i], PRODUCE, 0);
	return POSTA_OK;
}

static void take_item(struct posta_actor *self, struct manager *here, posta_ref producer, uint64_t item)
{
	sum += (uint32_t)item;
	if (here->consumers.count > 0)
		savina_send(self, pop(&here->consumers), ITEM, item);
	else
		push(&here->pending, item);
	if (here->pending.count >= ROOM)
		push(&here->producers, producer);
	else
		savina_send(self, producer, PRODUCE, 0);
}

static void serve(struct posta_actor *self, struct manager *here, posta_ref consumer)
{
	if (here->pending.count == 0) {
		push(&here->consumers, consumer);
		return;
	}
	savina_send(self, consumer, ITEM, pop(&here->pending));
	if (here->producers.count > 0)
		savina_send(self, pop(&here->producers), PRODUCE, 0);
}

static enum posta_err manager_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct manager *here = state;
	if (message->type == ITEM)
		take_item(self, here, message->sender, savina_value(message));
	else if (message->type == AVAILABLE)
		serve(self, here, message->sender);
	else
		here->finished++;
	if (here->finished == PRODUCERS && here->consumers.count == CONSUMERS)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class producer_class = {
	.name = "producer", .state_size = sizeof(struct producer), .start = producer_start, .receive = producer_receive
};
static const struct posta_actor_class consumer_class = {
	.name = "consumer", .state_size = sizeof(uint32_t), .start = consumer_start, .receive = consumer_receive
};
static const struct posta_actor_class manager_class = {
	.name = "manager", .state_size = sizeof(struct manager), .start = manager_start, .receive = manager_receive
};

static void setup(struct savina_run *run)
{
	share = run->n / PRODUCERS;
	for (size_t i = 0; i < PRODUCERS; i++)
		savina_add(run, &producer_class, savina_argument(i));
	for (size_t i = 0; i < CONSUMERS; i++)
		savina_add(run, &consumer_class, savina_argument(i));
	savina_add(run, &manager_class, NULL);
}

static uint64_t messages(uint64_t n)
{
	return n / PRODUCERS * PRODUCERS * 4;
}

static bool verify(uint64_t n)
{
	uint32_t expected = 0;
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		uint32_t item = i + 1;
		for (uint64_t k = 0; k < n / PRODUCERS; k++)
			expected += item = savina_work(item, COST);
	}
	return sum == expected;
}

const struct savina_workload savina_bounded_buffer = { "bounded-buffer", "message", messages, setup, verify };
