/* SPDX-License-Identifier: MIT */
/* The workloads of the core, as an ordinary user would write them: with the public interface and nothing else. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

enum { START = 1, PING, COUNT, TOKEN, WORK, REQUEST, ANSWER };

#define BURST 256u /* messages a producer sends before it lets others run */

static struct bench *running;

static posta_ref spawn(const struct posta_actor_class *klass, void *argument)
{
	return posta_system_spawn(running->system, klass, argument, NULL, NULL);
}

static void kick(posta_ref to, uint64_t value)
{
	posta_system_send(running->system, to, START, &value, sizeof value);
}

static inline uint64_t value_of(const struct posta_message *message)
{
	return *(const uint64_t *)posta_data(message);
}

static inline enum posta_err send_value(struct posta_actor *self, posta_ref to, uint32_t type, uint64_t value)
{
	return posta_send(self, to, type, &value, sizeof value);
}

/* -- Ping-pong: two actors, one message back and forth -- */

static enum posta_err ping(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t left = value_of(message);
	if (left == 0)
		bench_finish(running);
	else
		send_value(self, message->sender ? message->sender : *(posta_ref *)state, PING, left - 1);
	return POSTA_OK;
}

static const struct posta_actor_class ping_class = { .name = "ping", .receive = ping };
static posta_ref pong;

static void start_ping_pong(struct bench *bench)
{
	pong = spawn(&ping_class, &pong);
	kick(spawn(&ping_class, &pong), bench->messages);
}

/* -- Counting: one sends, one counts -- */

static posta_ref counter;
static uint64_t counted;

static enum posta_err count(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	if (++counted == running->messages)
		bench_finish(running);
	return POSTA_OK;
}

static enum posta_err produce(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	uint64_t left = value_of(message), burst = left < BURST ? left : BURST;
	for (uint64_t i = 0; i < burst; i++)
		send_value(self, counter, COUNT, i);
	return left > burst ? send_value(self, posta_self(self), START, left - burst) : POSTA_OK;
}

static const struct posta_actor_class count_class = { .name = "counter", .receive = count };
static const struct posta_actor_class produce_class = { .name = "producer", .receive = produce };

static void start_counting(struct bench *bench)
{
	counted = 0;
	counter = spawn(&count_class, NULL);
	kick(spawn(&produce_class, NULL), bench->messages);
}

/* -- Ring of 100: a token goes round -- */

enum { RING = 100 };
static posta_ref ring[RING];

static enum posta_err pass(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t left = value_of(message);
	if (left == 0)
		bench_finish(running);
	else
		send_value(self, *(posta_ref *)state, TOKEN, left - 1);
	return POSTA_OK;
}

static const struct posta_actor_class ring_class = { .name = "ring", .receive = pass };

static void start_ring(struct bench *bench)
{
	for (unsigned i = 0; i < RING; i++)
		ring[i] = spawn(&ring_class, &ring[(i + 1) % RING]);
	kick(ring[0], bench->messages);
}

/* -- Big: 64 actors, each asks another one at random, and answers -- */

enum { BIG = 64 };

struct big {
	uint64_t left;
	uint32_t random;
};

static posta_ref bigs[BIG];
static struct big big_states[BIG];

static enum posta_err big_next(struct posta_actor *self, struct big *big)
{
	if (big->left == 0) {
		bench_finish(running);
		return POSTA_OK;
	}
	big->left--;
	big->random = big->random * 1664525u + 1013904223u;
	return send_value(self, bigs[(big->random >> 16) % BIG], REQUEST, 0);
}

static enum posta_err talk(struct posta_actor *self, void *state, struct posta_message *message)
{
	return message->type == REQUEST ? send_value(self, message->sender, ANSWER, 0) : big_next(self, state);
}

static const struct posta_actor_class big_class = { .name = "big", .receive = talk };

static void start_big(struct bench *bench)
{
	bench->left = BIG;
	for (unsigned i = 0; i < BIG; i++) {
		big_states[i] = (struct big){ .left = bench->messages / 2 / BIG, .random = i * 7919 + 1 };
		bigs[i] = spawn(&big_class, &big_states[i]);
	}
	for (unsigned i = 0; i < BIG; i++)
		kick(bigs[i], 0);
}

/* -- Fork-join create: an actor for each message; it stops and is reclaimed -- */

static enum posta_err work_and_stop(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	bench_finish(running);
	return POSTA_OK;
}

static const struct posta_actor_class leaf_class = { .name = "leaf", .receive = work_and_stop };

static enum posta_err fork_some(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	uint64_t left = value_of(message), burst = left < BURST ? left : BURST;
	for (uint64_t i = 0; i < burst; i++)
		send_value(self, posta_spawn(self, &leaf_class, NULL), WORK, i);
	return left > burst ? send_value(self, posta_self(self), START, left - burst) : POSTA_OK;
}

static const struct posta_actor_class fork_class = { .name = "fork", .receive = fork_some };

static void start_create(struct bench *bench)
{
	bench->left = (uint32_t)bench->messages;
	kick(spawn(&fork_class, NULL), bench->messages);
}

/* -- Fork-join throughput: one sends to sixty in turn -- */

enum { SINKS = 60 };
static posta_ref sinks[SINKS];
static uint64_t sink_counts[SINKS], sink_share;

static enum posta_err sink(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)message;
	uint64_t *got = state;
	if (++*got == sink_share)
		bench_finish(running);
	return POSTA_OK;
}

static enum posta_err spray(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	uint64_t left = value_of(message), burst = left < BURST ? left : BURST;
	for (uint64_t i = 0; i < burst; i++)
		send_value(self, sinks[(left - i) % SINKS], WORK, i);
	return left > burst ? send_value(self, posta_self(self), START, left - burst) : POSTA_OK;
}

static const struct posta_actor_class sink_class = { .name = "sink", .receive = sink };
static const struct posta_actor_class spray_class = { .name = "spray", .receive = spray };

static void start_throughput(struct bench *bench)
{
	bench->left = SINKS;
	sink_share = bench->messages / SINKS;
	memset(sink_counts, 0, sizeof sink_counts);
	for (unsigned i = 0; i < SINKS; i++)
		sinks[i] = spawn(&sink_class, &sink_counts[i]);
	kick(spawn(&spray_class, NULL), bench->messages);
}

static void remember(struct bench *bench, void (*start)(struct bench *bench))
{
	running = bench;
	bench->left = 1;
	start(bench);
}

#define WORKLOAD(function)                                                                                             \
	static void run_##function(struct bench *bench)                                                                \
	{                                                                                                              \
		remember(bench, start_##function);                                                                     \
	}
WORKLOAD(ping_pong)
WORKLOAD(counting)
WORKLOAD(ring)
WORKLOAD(big)
WORKLOAD(create)
WORKLOAD(throughput)

const struct workload bench_workloads[] = {
	{ "ping-pong", 20000000, run_ping_pong },    { "counting", 30000000, run_counting },
	{ "ring of 100", 20000000, run_ring },       { "big, 64 actors", 128 * 100000, run_big },
	{ "fork-join create", 3000000, run_create }, { "fork-join 1 to 60", 30000000, run_throughput },
};
const unsigned bench_workload_count = sizeof bench_workloads / sizeof bench_workloads[0];
