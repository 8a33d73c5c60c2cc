/* SPDX-License-Identifier: MIT */
/* One actor sends to sixty in turn. n: messages. */
#include "savina.h"

enum { WORK = 1, FINISHED, MORE };
enum { SINKS = 60 };

static posta_ref sinks[SINKS], source;
static uint64_t share;    /* messages that each sink gets */
static uint64_t received; /* the source's: what the sinks report */

struct sink {
	uint64_t got;
};

struct source {
	uint64_t left;
	uint32_t finished;
};

static uint64_t messages(uint64_t n)
{
	return n / SINKS * SINKS;
}

static enum posta_err sink_start(struct posta_actor *self, void *state, void *argument)
{
	sinks[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err sink_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct sink *sink = state;
	return ++sink->got == share ? savina_send(self, source, FINISHED, sink->got) : POSTA_OK;
}

static enum posta_err send_some(struct posta_actor *self, struct source *from)
{
	uint64_t burst = from->left < SAVINA_BURST ? from->left : SAVINA_BURST;
	for (uint64_t i = 0; i < burst; i++)
		savina_send(self, sinks[(from->left - i) % SINKS], WORK, i);
	from->left -= burst;
	return from->left > 0 ? savina_send(self, source, MORE, 0) : POSTA_OK;
}

static enum posta_err source_start(struct posta_actor *self, void *state, void *argument)
{
	struct source *from = state;
	source = posta_self(self);
	from->left = share * SINKS;
	received = 0;
	return send_some(self, from);
}

static enum posta_err source_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct source *from = state;
	if (message->type == MORE)
		return send_some(self, from);
	received += savina_value(message);
	if (++from->finished == SINKS)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class sink_class = {
	.name = "sink", .state_size = sizeof(struct sink), .start = sink_start, .receive = sink_receive
};
static const struct posta_actor_class source_class = {
	.name = "source", .state_size = sizeof(struct source), .start = source_start, .receive = source_receive
};

static void setup(struct savina_run *run)
{
	share = run->n / SINKS;
	for (size_t i = 0; i < SINKS; i++)
		savina_add(run, &sink_class, savina_argument(i));
	savina_add(run, &source_class, NULL);
}

static bool verify(uint64_t n)
{
	return received == messages(n);
}

const struct savina_workload savina_fork_join = { "fork-join", "message", messages, setup, verify };
