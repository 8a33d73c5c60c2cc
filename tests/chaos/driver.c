/* SPDX-License-Identifier: MIT */
/* The actor that publishes and reads, and another one that looks how late the loop is. */
#include "chaos.h"

#include <posta/actor.h>
#include <posta/envelope.h>
#include <posta/timer.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MSG_TICK = 1 };

#define TICK_MS 10u
#define WINDOW 3000u /* published and not arrived, of one flow */
#define KEYS 100u
#define POSTA_OR_DIE(call)                                                                                             \
	do {                                                                                                           \
		enum posta_err err_ = (call);                                                                          \
		if (err_)                                                                                              \
			die(#call, posta_strerror(err_));                                                              \
	} while (0)

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "chaos: %s: %s\n", what, why);
	_exit(1);
}

/* -- Publishing */

static struct posta_envelope *make(const struct chaos *chaos, unsigned flow, unsigned number)
{
	struct posta_envelope *envelope = posta_envelope_new();
	char id[32], key[16], body[CHAOS_BODY_BYTES];
	bool poison = chaos->poison_every && number % chaos->poison_every == 0;

	if (!envelope)
		die("an envelope", "no memory");
	memset(body, '.', sizeof body);
	snprintf(id, sizeof id, "%u-%u", flow, number);
	snprintf(key, sizeof key, "key-%u", number % KEYS);
	body[snprintf(body, sizeof body, poison ? "<poison %u %u " : "{\"flow\":%u,\"number\":%u,\"fill\":\"", flow,
		      number)] = '.';
	memcpy(body + sizeof body - 2, poison ? "/>" : "\"}", 2);
	POSTA_OR_DIE(posta_envelope_set_text(envelope, POSTA_ATTR_ID, id));
	POSTA_OR_DIE(posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "chaos"));
	POSTA_OR_DIE(posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "chaos.number"));
	POSTA_OR_DIE(posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key));
	POSTA_OR_DIE(posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json"));
	POSTA_OR_DIE(posta_envelope_set_body(envelope, body, sizeof body));
	return envelope;
}

static void publish_some(struct posta_actor *self, struct chaos *chaos, unsigned index)
{
	struct chaos_flow *flow = &chaos->flows[index];
	unsigned budget = chaos->rate * TICK_MS / 1000;

	while (budget-- && flow->published < CHAOS_NUMBERS_MAX &&
	       flow->published - flow->arrived - flow->dead < WINDOW) {
		struct posta_envelope *envelope = make(chaos, index, flow->published);

		POSTA_OR_DIE(posta_bridge_publish_to(self, chaos->bridges[flow->from], flow->target, envelope, index));
		posta_envelope_unref(envelope);
		flow->published++;
	}
}

/* -- Reading */

static void arrived(struct chaos_flow *flow, unsigned index, const struct posta_envelope *envelope, bool dead)
{
	const char *id = posta_envelope_text(envelope, POSTA_ATTR_ID);
	unsigned from, number;

	if (!id || sscanf(id, "%u-%u", &from, &number) != 2 || from != index || number >= flow->published ||
	    posta_envelope_body(envelope).len != CHAOS_BODY_BYTES) {
		flow->strangers++;
		return;
	}
	if (flow->seen[number]) {
		flow->duplicates++;
		flow->strangers += flow->seen[number] != 1 + dead; /* both ways */
		return;
	}
	flow->seen[number] = (unsigned char)(1 + dead);
	if (dead)
		flow->dead++;
	else
		flow->arrived++;
}

static void on_delivery(struct posta_actor *self, struct chaos *chaos, const struct posta_delivery *delivery)
{
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		struct chaos_flow *flow = &chaos->flows[i];

		if (delivery->token.bridge != posta_bridge_ref(chaos->bridges[flow->to]))
			continue;
		if (delivery->token.subscription == flow->subscription)
			arrived(flow, i, delivery->envelope, false);
		else if (delivery->token.subscription == flow->dead_subscription)
			arrived(flow, i, delivery->envelope, true);
	}
	posta_settle(self, delivery->token, POSTA_ACK);
}

static void on_published(struct chaos *chaos, const struct posta_published *published)
{
	struct chaos_flow *flow = &chaos->flows[published->cookie];

	if (published->result == POSTA_OK)
		flow->confirmed++;
	else
		flow->refused++;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct chaos *chaos = state;

	switch (message->type) {
	case POSTA_MSG_DELIVERY:
		on_delivery(self, chaos, posta_data(message));
		break;
	case POSTA_MSG_PUBLISHED:
		on_published(chaos, posta_data(message));
		break;
	case POSTA_MSG_SUBSCRIBED:
		chaos->subscribed += ((const struct posta_subscribed *)posta_data(message))->result == POSTA_OK;
		break;
	case MSG_TICK:
		for (unsigned i = 0; i < chaos->flow_count && chaos->flowing; i++)
			publish_some(self, chaos, i);
		break;
	default:
		break;
	}
	return POSTA_OK;
}

/* -- The beginning */

static struct posta_target target_of(const struct chaos_flow *flow)
{
	struct posta_target target = { .size = sizeof target };

	if (flow->from == KIT_RABBITMQ)
		target.queue = flow->from_name;
	else
		target.topic = flow->from_name;
	target.qos = flow->from == KIT_MOSQUITTO ? -1 : 0;
	return target;
}

static void subscribe(struct posta_actor *self, struct chaos *chaos, struct chaos_flow *flow, const char *name,
		      uint32_t *subscription)
{
	struct posta_source source = { .size = sizeof source, .credit = 1024 };
	struct posta_error error;

	if (flow->to == KIT_RABBITMQ)
		source.queue = name;
	else if (flow->to == KIT_KAFKA)
		source.topic = name;
	else
		source.filter = name;
	source.group = flow->to == KIT_KAFKA ? chaos->group : NULL;
	source.qos = flow->to == KIT_MOSQUITTO ? -1 : 0;
	if (posta_bridge_subscribe(self, chaos->bridges[flow->to], &source, subscription, &error))
		die("subscribe", error.text);
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct chaos *chaos = argument;
	struct posta_error error;
	char dead[160];

	(void)state;
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		struct chaos_flow *flow = &chaos->flows[i];
		struct posta_target target = target_of(flow);

		flow->target = posta_target_prepare(chaos->bridges[flow->from], &target, &error);
		if (!flow->target)
			die("target", error.text);
		subscribe(self, chaos, flow, flow->to_name, &flow->subscription);
		snprintf(dead, sizeof dead, "%s-dead", flow->to_name);
		if (chaos->poison_every)
			subscribe(self, chaos, flow, dead, &flow->dead_subscription);
	}
	return posta_send_every(self, TICK_MS, posta_self(self), MSG_TICK, NULL, 0) ? POSTA_OK : POSTA_ENOMEM;
}

static const struct posta_actor_class driver_class = { .name = "driver", .receive = receive, .start = start };

/* -- The loop's lateness */

#define LOOK_MS 5u

struct look {
	struct chaos *chaos;
	int fd;           /* schedstat of the worker's thread */
	uint64_t last_us; /* 0: none yet */
	uint64_t waited_us;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* How long this thread has waited for a CPU while it could have run: that is the machine's doing, not ours. */
static uint64_t waited_us(const struct look *look)
{
	char text[96] = "";
	unsigned long long ran, waited = 0;

	if (look->fd >= 0 && pread(look->fd, text, sizeof text - 1, 0) > 0)
		sscanf(text, "%llu %llu", &ran, &waited);
	return waited / 1000;
}

static enum posta_err look_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct look *look = state;
	uint64_t now = now_us(), waited = waited_us(look);
	uint64_t expected = LOOK_MS * 1000 + waited - look->waited_us;
	uint64_t since = now - look->last_us;

	(void)message;
	if (look->last_us && look->chaos->watching && since > expected && since - expected > look->chaos->stall_us)
		look->chaos->stall_us = since - expected;
	look->last_us = now;
	look->waited_us = waited;
	return posta_send_after(self, LOOK_MS, posta_self(self), MSG_TICK, NULL, 0) ? POSTA_OK : POSTA_ENOMEM;
}

static enum posta_err look_start(struct posta_actor *self, void *state, void *argument)
{
	struct look *look = state;
	char path[64];

	look->chaos = argument;
	snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", (long)gettid());
	look->fd = open(path, O_RDONLY | O_CLOEXEC);
	return posta_send_after(self, LOOK_MS, posta_self(self), MSG_TICK, NULL, 0) ? POSTA_OK : POSTA_ENOMEM;
}

static void look_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	const struct look *look = state;

	(void)self;
	(void)reason;
	if (look->fd >= 0)
		close(look->fd);
}

static const struct posta_actor_class look_class = { .name = "look",
						     .state_size = sizeof(struct look),
						     .receive = look_receive,
						     .start = look_start,
						     .stop = look_stop };

static void open_bridge(struct chaos *chaos, enum kit_kind kind)
{
	static const char *const saved[] = { "confirm_saved", "1", NULL };
	char *client = kit_unique("driver");
	char url[256];
	struct posta_error error;
	struct posta_bridge_options options = {
		.size = sizeof options,
		.client_id = client,
		.heartbeat_ms = chaos->heartbeat_ms,
		.backoff = { 100, 2000, 2, POSTA_JITTER_FULL, 0 },
		.extra = chaos->saved && kind == KIT_MOSQUITTO ? saved : NULL,
	};

	chaos_url(chaos, kind, chaos->all_proxied, url, sizeof url);
	chaos->bridges[kind] = posta_bridge_open(chaos->system, url, &options, &error);
	free(client);
	if (!chaos->bridges[kind])
		die("bridge", error.text);
}

void chaos_driver_start(struct chaos *chaos)
{
	struct posta_system_options options = { .size = sizeof options, .workers = 1 };
	struct posta_error error;

	if (posta_system_start(&options, &chaos->system, &error))
		die("system", error.text);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		if (chaos->brokers[i])
			open_bridge(chaos, (enum kit_kind)i);
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		chaos->flows[i].seen = calloc(1, CHAOS_NUMBERS_MAX);
		if (!chaos->flows[i].seen)
			die("numbers", "no memory");
	}
	chaos->driver = posta_system_spawn(chaos->system, &driver_class, chaos, NULL, NULL);
	posta_system_spawn(chaos->system, &look_class, chaos, NULL, NULL);
}

void chaos_driver_stop(struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->flow_count; i++)
		posta_target_unref(chaos->flows[i].target);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		posta_bridge_close(chaos->bridges[i], 0);
	posta_system_stop(chaos->system, 5000, NULL);
	chaos->system = NULL;
}
