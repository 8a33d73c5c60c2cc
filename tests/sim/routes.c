/* SPDX-License-Identifier: MIT */
/*
 * A route from one broker to another, on a host that is cut off, whose confirmations get lost, whose actors crash, and
 * which crashes as a whole with only its brokers and the publisher's record left. Whatever happens: every message
 * arrives, and those of one key for the first time in their order. A retried one may come again, no other.
 */
#include "scene.h"

#include "bridges/memory.h"

#include <posta/envelope.h>
#include <posta/router.h>

#include <stdio.h>
#include <stdlib.h>

#define KEYS 4
#define EACH 12 /* messages of a key */
#define ALL (KEYS * EACH)
#define LIVES_MAX 5

enum { MSG_PUBLISH = 1 };

/* The store: what a crash does not take away. */
struct world {
	struct scene *scene;
	struct posta_bridge *a, *b; /* of this life */
	struct posta_router *router;
	posta_ref publisher;
	uint32_t subscription;
	unsigned sent;         /* by this life's publisher: the numbers below */
	unsigned given;        /* messages that the publisher was told to send */
	bool confirmed[ALL];   /* by broker a */
	unsigned first[KEYS];  /* how many of a key have arrived, each for the first time */
	unsigned arrived[ALL]; /* how often */
	unsigned disturbed;    /* faults: without any, nothing comes twice */
	bool strict;           /* a route with retries */
	bool closed;           /* the bridges: nobody may use them now */
};

/* Message i: of key i % KEYS, number i / KEYS. */
static void publish(struct world *world, struct posta_actor *self, unsigned i)
{
	struct posta_envelope *envelope = posta_envelope_new();
	struct posta_target target = { .size = sizeof target, .topic = "in" };
	char key[8], body[16];
	snprintf(key, sizeof key, "k%u", i % KEYS);
	snprintf(body, sizeof body, "%u", i);
	posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key);
	posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "t");
	posta_envelope_set_text(envelope, POSTA_ATTR_ID, body);
	posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "sim");
	posta_envelope_set_body(envelope, body, strlen(body));
	enum posta_err result = posta_bridge_publish(self, world->a, &target, envelope, i);
	scene_check(world->scene, !result, "publish: %s", posta_err_name(result));
	posta_envelope_unref(envelope);
}

/* In order, but for what an earlier life had confirmed. */
static void publish_up_to(struct world *world, struct posta_actor *self, unsigned end)
{
	for (; world->sent < end; world->sent++)
		if (!world->confirmed[world->sent])
			publish(world, self, world->sent);
}

static void arrives(struct world *world, const struct posta_envelope *envelope)
{
	struct posta_bytes body = posta_envelope_body(envelope);
	char text[16];
	snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.data);
	unsigned i = (unsigned)atoi(text), key = i % KEYS, number = i / KEYS;
	scene_check(world->scene, i < world->given, "message %u arrives, and was never published", i);
	posta_sim_note(world->scene->sim, "message %u arrives", i);
	if (i >= ALL || world->arrived[i]++)
		return;
	scene_check(world->scene, number == world->first[key], "key %u: message %u arrives before %u", key, number,
		    world->first[key]);
	world->first[key]++;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	if (message->type == MSG_PUBLISH && !world->closed) {
		publish_up_to(world, self, *(unsigned *)posta_data(message) + 1);
	} else if (message->type == POSTA_MSG_PUBLISHED) {
		const struct posta_published *published = posta_data(message);
		if (!published->result)
			world->confirmed[published->cookie] = true;
	} else if (message->type == POSTA_MSG_DELIVERY) {
		const struct posta_delivery *delivery = posta_data(message);
		arrives(world, delivery->envelope);
		posta_settle(self, delivery->token, POSTA_ACK);
	}
	return POSTA_OK;
}

/* What has no confirmation is published again, in order. */
static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct world *world = state;
	(void)argument;
	if (world->closed)
		return POSTA_ECLOSED;
	struct posta_source source = { .size = sizeof source, .topic = "out", .group = "reader", .credit = 8 };
	struct posta_error error;
	enum posta_err result = posta_bridge_subscribe(self, world->b, &source, &world->subscription, &error);
	if (result)
		scene_fail(world->scene, "subscribe: %s", error.text);
	world->sent = 0;
	publish_up_to(world, self, world->given);
	return POSTA_OK;
}

static const struct posta_actor_class publisher_class = { .name = "publisher", .receive = receive, .start = start };

/* -- A life of the host -- */

static struct posta_system *host(const struct world *world)
{
	return posta_sim_system(world->scene->sim, 0);
}

static struct posta_bridge *open_bridge(struct world *world, const char *url, const char *id)
{
	struct posta_error error;
	struct posta_bridge_options options = {
		.size = sizeof options,
		.client_id = id,
		.backoff = { .initial_ms = 10, .max_ms = 200, .factor = 2, .jitter = POSTA_JITTER_FULL },
	};
	struct posta_bridge *bridge = posta_bridge_open(host(world), url, &options, &error);
	scene_check(world->scene, bridge, "%s", error.text);
	return bridge;
}

static struct posta_router_config *route_by_chance(struct world *world)
{
	char text[1024];
	struct posta_error error;
	snprintf(text, sizeof text,
		 "brokers: { a: { url: 'memory:a', client_id: ra, reconnect_initial: 10ms, reconnect_max: 200ms },\n"
		 "           b: { url: 'memory:b', client_id: rb, reconnect_initial: 10ms, reconnect_max: 200ms } }\n"
		 "routes:\n  - name: r\n    from: { broker: a, topic: in, group: route, credit: %u }\n"
		 "    to: { broker: b, topic: out }\n%s",
		 1 + scene_random(world->scene, 20),
		 world->strict ? "    retry: { attempts: 50, initial: 10ms, max: 100ms }\n" : "");
	struct posta_router_config *config = posta_router_config_parse(text, strlen(text), "f", NULL, NULL, &error);
	scene_check(world->scene, config, "%s", error.text);
	return config;
}

static void live(struct world *world)
{
	struct posta_error error;
	struct posta_router_config *config = route_by_chance(world);
	world->closed = false;
	world->a = open_bridge(world, "memory:a", "pa");
	world->b = open_bridge(world, "memory:b", "pb");
	if (config)
		world->router = posta_router_start(host(world), config, NULL, &error);
	scene_check(world->scene, world->router, "%s", error.text);
	world->publisher = posta_system_spawn(host(world), &publisher_class, world, NULL, NULL);
}

/* In order, once its connections are cut: to the brokers that is a crash, and nothing of the host's leaks. */
static void die(struct world *world)
{
	static const char *const names[] = { "a", "b" };
	for (int i = 0; i < 2; i++) {
		posta__memory_refuse(host(world), names[i], UINT32_MAX);
		posta__memory_drop(host(world), names[i]);
	}
	world->closed = true;
	posta_bridge_close(world->a, 0);
	posta_bridge_close(world->b, 0);
	posta_router_stop(world->router, 0);
	enum posta_err result = posta_sim_shut_down(world->scene->sim, 0);
	scene_check(world->scene, !result, "the host does not stop: %s", posta_err_name(result));
	if (!result) /* else what is left of it would call a system that is gone */
		posta_router_free(world->router);
	world->router = NULL;
}

/* Node 1 is where the brokers are; they are all that it has. */
static void crash_and_restart(struct world *world)
{
	struct posta_sim *sim = world->scene->sim;
	struct posta_error error;
	die(world);
	scene_check(world->scene, !posta_sim_restart(sim, 0, &error), "restart: %s", error.text);
	scene_check(world->scene, posta__memory_share(posta_sim_system(sim, 1), host(world)), "out of memory");
	posta__memory_refuse(host(world), "a", 0);
	posta__memory_refuse(host(world), "b", 0);
	live(world);
}

/* -- The scene -- */

static void disturb(struct world *world, unsigned *lives)
{
	struct scene *scene = world->scene;
	const char *name = scene_chance(scene, 500) ? "a" : "b";
	world->disturbed++;
	switch (scene_random(scene, 4)) {
	case 0:
		posta__memory_drop(host(world), name);
		break;
	case 1:
		posta__memory_lose_confirmations(host(world), name, 1);
		break;
	case 2:
		posta__memory_refuse(host(world), name, 1 + scene_random(scene, 3));
		posta__memory_drop(host(world), name);
		break;
	default:
		if (*lives && (*lives)--)
			crash_and_restart(world);
	}
}

static bool all_arrived(void *context)
{
	const struct world *world = context;
	unsigned count = 0;
	for (unsigned i = 0; i < world->given; i++)
		count += world->arrived[i] > 0;
	return count == world->given;
}

static void play(struct world *world)
{
	struct scene *scene = world->scene;
	unsigned lives = scene_random(scene, LIVES_MAX), wild = scene_chance(scene, 900) ? 120 : 0;
	if (!posta__memory_share(posta_sim_system(scene->sim, 1), host(world)))
		scene_fail(scene, "out of memory");
	live(world);
	while (world->given < ALL) {
		unsigned i = world->given++;
		posta_system_send(host(world), world->publisher, MSG_PUBLISH, &i, sizeof i);
		scene_some_steps(scene, 30);
		if (scene_chance(scene, wild))
			disturb(world, &lives);
		if (scene_chance(scene, 200))
			posta_sim_advance(scene->sim, scene_random(scene, 60));
	}
	posta_sim_calm(scene->sim);
	bool all = posta_sim_run_until(scene->sim, all_arrived, world, 120000);
	for (unsigned i = 0; i < ALL && !all; i++)
		scene_check(scene, world->arrived[i], "message %u is lost", i);
	posta_sim_advance(scene->sim, 1000);
	for (unsigned i = 0; i < ALL && !world->disturbed; i++)
		scene_check(scene, world->arrived[i] == 1, "message %u arrives %u times, and nothing was disturbed", i,
			    world->arrived[i]);
	die(world);
}

static void run(struct scene *scene)
{
	struct world *world = calloc(1, sizeof *world);
	struct posta_sim_options options = { .nodes = 2, .workers = 1 + (int)(scene->seed % 3), .move_per_mille = 100 };
	if (!world) {
		scene_fail(scene, "out of memory");
		return;
	}
	world->scene = scene;
	if (scene_start(scene, options)) {
		world->strict = scene_chance(scene, 500);
		play(world);
		scene_stop(scene);
	}
	free(world);
}

const struct scene_kind scene_routes = { "routes", run };
