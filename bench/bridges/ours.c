/* SPDX-License-Identifier: MIT */
/* The same by posta's bridges, as any user would write it: actors on one worker, an envelope a message. */
#include "bridges.h"

#include <posta/bridge.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 256u
#define SYSTEM_STOP_MS 5000u

enum { MORE = 1, TICK, READY };

struct world {
	struct job *job;
	struct posta_system *system;
	struct posta_bridge *bridge;
	posta_ref publisher;
	sem_t over;
	/* The publisher's */
	struct posta_route_target *target, *last_target;
	uint64_t sent, confirmed, total;
	bool more; /* a message to itself is under way */
	/* The consumer's */
	uint64_t received;
	struct samples samples;
	bool stamps;
	pthread_t metronome;
	_Atomic(bool) ended;
};

static void give_up(const struct posta_error *error)
{
	bench_give_up("posta", error->text);
}

static void open_world(struct world *world, struct job *job, const char *const *extra)
{
	static char window[16];
	static const char *mqtt_extra[] = { "max_inflight_messages", window, NULL };
	const struct posta_system_options options = { .size = sizeof options, .workers = 1 };
	struct posta_bridge_options bridge = { .size = sizeof bridge, .extra = extra };
	struct posta_error error = { 0 };
	snprintf(window, sizeof window, "%u", job->what->window);
	if (job->what->broker == KIT_MOSQUITTO)
		bridge.extra = mqtt_extra;
	world->job = job;
	sem_init(&world->over, 0, 0);
	if (posta_system_start(&options, &world->system, &error))
		give_up(&error);
	world->bridge = posta_bridge_open(world->system, job->url, &bridge, &error);
	if (!world->bridge)
		give_up(&error);
}

static void close_world(struct world *world)
{
	while (sem_wait(&world->over))
		;
	posta_bridge_close(world->bridge, 1000);
	posta_system_stop(world->system, SYSTEM_STOP_MS, NULL);
}

static posta_ref spawn(struct world *world, const struct posta_actor_class *klass)
{
	struct posta_error error = { 0 };
	posta_ref ref = posta_system_spawn(world->system, klass, world, NULL, &error);
	if (ref == POSTA_NOBODY)
		give_up(&error);
	return ref;
}

static struct posta_route_target *prepare(const struct world *world, int qos)
{
	const struct bench_case *what = world->job->what;
	struct posta_target target = { .size = sizeof target, .format = POSTA_FORMAT_RAW };
	struct posta_error error = { 0 };
	if (what->broker == KIT_RABBITMQ)
		target.queue = world->job->name;
	else
		target.topic = world->job->name;
	if (what->broker == KIT_MOSQUITTO)
		target.qos = qos;
	struct posta_route_target *prepared = posta_target_prepare(world->bridge, &target, &error);
	if (!prepared)
		give_up(&error);
	return prepared;
}

/* -- Publishing -- */

static void publish_one(struct posta_actor *self, struct world *world, struct posta_route_target *target,
			uint64_t stamp)
{
	char body[SIZE_MAX_];
	memset(body, 'x', world->job->what->size);
	memcpy(body, &stamp, sizeof stamp);
	struct posta_envelope *envelope = posta_envelope_new();
	if (!envelope || posta_envelope_set_body(envelope, body, world->job->what->size) ||
	    posta_bridge_publish_to(self, world->bridge, target, envelope, world->sent))
		bench_give_up("posta", "a publication was not taken");
	posta_envelope_unref(envelope);
	world->sent++;
}

static void fill_window(struct posta_actor *self, struct world *world)
{
	uint64_t n = 0;
	for (; n < BURST && world->sent < world->total && world->sent - world->confirmed < world->job->what->window;
	     n++)
		publish_one(self, world, world->sent + 1 == world->total ? world->last_target : world->target, 0);
	if (n == BURST && !world->more)
		world->more = !posta_send(self, posta_self(self), MORE, NULL, 0);
}

static void next_round(struct posta_actor *self, struct world *world)
{
	if (world->total == world->job->what->messages) {
		bench_end(world->job, world->total);
		sem_post(&world->over);
		return;
	}
	world->sent = world->confirmed = 0;
	world->total = world->job->what->messages;
	bench_begin(world->job);
	fill_window(self, world);
}

static void on_published(struct posta_actor *self, struct world *world, const struct posta_published *published)
{
	if (published->result)
		bench_give_up("posta", published->text);
	if (++world->confirmed == world->total)
		next_round(self, world);
	else if (!world->more)
		fill_window(self, world);
}

static enum posta_err publisher_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	if (message->type == POSTA_MSG_PUBLISHED) {
		on_published(self, world, posta_data(message));
	} else if (message->type == MORE) {
		world->more = false;
		fill_window(self, world);
	} else if (message->type == POSTA_MSG_BRIDGE_STATE) {
		const struct posta_bridge_status *status = posta_data(message);
		if (status->state == POSTA_BRIDGE_CONNECTED)
			fill_window(self, world);
	}
	return POSTA_OK;
}

static enum posta_err publisher_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct world *world = state;
	world->target = prepare(world, world->job->what->qos);
	world->last_target = prepare(world, 1);
	world->total = WARM_UP;
	return posta_bridge_watch(self, world->bridge);
}

static const struct posta_actor_class publisher_class = {
	.name = "publisher",
	.start = publisher_start,
	.receive = publisher_receive,
};

void ours_publish(struct job *job)
{
	static struct world world;
	open_world(&world, job, NULL);
	spawn(&world, &publisher_class);
	close_world(&world);
}

/* -- Consuming -- */

static void count(struct world *world, struct posta_bytes body)
{
	bench_look(world->job, body.data, body.len);
	if (!world->received++)
		bench_begin(world->job);
	if (world->received == world->job->what->messages) {
		bench_end(world->job, world->received - 1);
		sem_post(&world->over);
	}
}

static void take_sample(struct world *world, const struct posta_delivery *delivery)
{
	struct posta_bytes body = posta_envelope_body(delivery->envelope);
	uint64_t stamp = 0;
	if (body.len >= sizeof stamp)
		memcpy(&stamp, body.data, sizeof stamp);
	if (!stamp || world->samples.count == SAMPLES_MAX || !bench_sample(&world->samples, stamp))
		return;
	bench_summary(world->job, &world->samples);
	bench_end(world->job, world->samples.count);
	sem_post(&world->over);
}

static void on_subscribed(struct posta_actor *self, struct world *world, const struct posta_subscribed *subscribed)
{
	if (subscribed->result)
		bench_give_up("posta", subscribed->text);
	bench_go(world->job);
	if (world->stamps)
		posta_send(self, world->publisher, READY, NULL, 0);
}

static enum posta_err consumer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	if (message->type == POSTA_MSG_SUBSCRIBED)
		on_subscribed(self, world, posta_data(message));
	if (message->type != POSTA_MSG_DELIVERY)
		return POSTA_OK;
	const struct posta_delivery *delivery = posta_data(message);
	if (world->stamps)
		take_sample(world, delivery);
	else
		count(world, posta_envelope_body(delivery->envelope));
	return posta_settle(self, delivery->token, POSTA_ACK);
}

static enum posta_err consumer_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct world *world = state;
	const struct bench_case *what = world->job->what;
	struct posta_source source = { .size = sizeof source, .credit = what->window };
	struct posta_error error = { 0 };
	uint32_t subscription;
	if (what->broker == KIT_RABBITMQ) {
		source.queue = world->job->name;
	} else if (what->broker == KIT_MOSQUITTO) {
		source.filter = world->job->name;
		source.qos = what->qos;
	} else {
		source.topic = world->job->name;
		source.group = world->job->group;
	}
	if (posta_bridge_subscribe(self, world->bridge, &source, &subscription, &error))
		give_up(&error);
	return POSTA_OK;
}

static const struct posta_actor_class consumer_class = {
	.name = "consumer",
	.start = consumer_start,
	.receive = consumer_receive,
};

void ours_consume(struct job *job)
{
	static struct world world;
	open_world(&world, job, NULL);
	spawn(&world, &consumer_class);
	close_world(&world);
}

/* -- Latency: a thread beats time, as bare has one, for an actor that publishes what the consumer reads -- */

static void *beat(void *argument)
{
	struct world *world = argument;
	for (uint64_t at = 0; !atomic_load(&world->ended);) {
		bench_tick(&at);
		if (posta_system_send(world->system, world->publisher, TICK, NULL, 0))
			bench_give_up("posta", "a tick was not taken");
	}
	return NULL;
}

static enum posta_err publisher_of_stamps(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	if (message->type == READY && pthread_create(&world->metronome, NULL, beat, world))
		bench_give_up("posta", "no thread");
	if (message->type == TICK)
		publish_one(self, world, world->target, bench_now_ns());
	if (message->type == POSTA_MSG_PUBLISHED && !world->confirmed++)
		spawn(world, &consumer_class);
	return POSTA_OK;
}

/* One before all others: the topic is there when the consumer comes. */
static enum posta_err start_of_stamps(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct world *world = state;
	world->target = prepare(world, world->job->what->qos);
	world->publisher = posta_self(self);
	publish_one(self, world, world->target, 0);
	return POSTA_OK;
}

static const struct posta_actor_class stamps_class = {
	.name = "stamps",
	.start = start_of_stamps,
	.receive = publisher_of_stamps,
};

void ours_latency(struct job *job)
{
	static const char *const no_linger[] = { "linger.ms", "0", NULL };
	static struct world world;
	world.stamps = true;
	open_world(&world, job, job->what->broker == KIT_KAFKA ? no_linger : NULL);
	spawn(&world, &stamps_class);
	while (sem_wait(&world.over))
		;
	atomic_store(&world.ended, true);
	pthread_join(world.metronome, NULL);
	sem_post(&world.over);
	close_world(&world);
}
