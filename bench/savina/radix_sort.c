/* SPDX-License-Identifier: MIT */
/*
 * RadixSort: numbers of 30 bits go through 30 actors, one a bit: zeros pass at once, ones when all have been seen. n:
 * numbers; 31 messages each.
 */
#include "savina.h"

#include <stdlib.h>

enum { NUMBER = 1, MORE };
enum { BITS = 30 };

static posta_ref sorters[BITS + 1]; /* the last one is the sink */
static uint64_t size;
static bool sorted; /* the sink's, and its sum */
static uint64_t sum;

struct sorter {
	uint32_t bit, kept_count;
	uint64_t seen;
	uint32_t *kept;
};

struct sink {
	uint64_t seen, last;
};

struct source {
	uint64_t left;
	uint32_t seed;
};

static uint32_t draw(uint32_t *seed)
{
	uint32_t high = savina_random(seed) & 0x7FFF;
	return high << 15 | (savina_random(seed) & 0x7FFF);
}

static enum posta_err sorter_start(struct posta_actor *self, void *state, void *argument)
{
	struct sorter *sorter = state;
	sorter->bit = (uint32_t)savina_index(argument);
	sorter->kept = malloc(size * sizeof *sorter->kept);
	sorters[sorter->bit] = posta_self(self);
	return sorter->kept ? POSTA_OK : POSTA_ENOMEM;
}

static enum posta_err sorter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct sorter *sorter = state;
	uint32_t number = (uint32_t)savina_value(message);
	posta_ref next = sorters[sorter->bit + 1];
	if (number >> sorter->bit & 1)
		sorter->kept[sorter->kept_count++] = number;
	else
		savina_send(self, next, NUMBER, number);
	if (++sorter->seen < size)
		return POSTA_OK;
	for (uint32_t i = 0; i < sorter->kept_count; i++)
		savina_send(self, next, NUMBER, sorter->kept[i]);
	return POSTA_OK;
}

static void sorter_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	free(((struct sorter *)state)->kept);
}

static enum posta_err sink_start(struct posta_actor *self, void *state, void *argument)
{
	sorters[BITS] = posta_self(self);
	sorted = true, sum = 0;
	return POSTA_OK;
}

static enum posta_err sink_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct sink *sink = state;
	uint64_t number = savina_value(message);
	sorted = sorted && number >= sink->last;
	sink->last = number;
	sum += number;
	if (++sink->seen == size)
		savina_done();
	return POSTA_OK;
}

static enum posta_err send_some(struct posta_actor *self, struct source *source)
{
	uint64_t burst = source->left < SAVINA_BURST ? source->left : SAVINA_BURST;
	for (uint64_t i = 0; i < burst; i++)
		savina_send(self, sorters[0], NUMBER, draw(&source->seed));
	source->left -= burst;
	return source->left > 0 ? savina_send(self, posta_self(self), MORE, 0) : POSTA_OK;
}

static enum posta_err source_start(struct posta_actor *self, void *state, void *argument)
{
	struct source *source = state;
	*source = (struct source){ size, 1 };
	return send_some(self, source);
}

static enum posta_err source_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	return send_some(self, state);
}

static const struct posta_actor_class sorter_class = { .name = "sorter",
						       .state_size = sizeof(struct sorter),
						       .start = sorter_start,
						       .receive = sorter_receive,
						       .stop = sorter_stop };
static const struct posta_actor_class sink_class = {
	.name = "sink", .state_size = sizeof(struct sink), .start = sink_start, .receive = sink_receive
};
static const struct posta_actor_class source_class = {
	.name = "source", .state_size = sizeof(struct source), .start = source_start, .receive = source_receive
};

static void setup(struct savina_run *run)
{
	size = run->n;
	for (size_t i = 0; i < BITS; i++)
		savina_add(run, &sorter_class, savina_argument(i));
	savina_add(run, &sink_class, NULL);
	savina_add(run, &source_class, NULL);
}

static uint64_t messages(uint64_t n)
{
	return n * (BITS + 1);
}

static bool verify(uint64_t n)
{
	uint64_t expected = 0;
	uint32_t seed = 1;
	for (uint64_t i = 0; i < n; i++)
		expected += draw(&seed);
	return sorted && sum == expected;
}

const struct savina_workload savina_radix_sort = { "radix-sort", "message", messages, setup, verify };
