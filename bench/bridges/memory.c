/* SPDX-License-Identifier: MIT */
/* The source holds a million messages and the sink is away: credit is all that may come in. */
#include "bridges.h"

#include <posta/bridge.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SINK "amqp://127.0.0.1:1" /* nobody there */
#define FILLED_MS 3000u
#define WATCHED_MS 15000u
#define STEP_MS 100u

struct leg {
	struct job *job;
	struct posta_bridge *source, *sink;
	_Atomic(uint64_t) received;
};

static enum posta_err on_delivery(struct posta_actor *self, const struct leg *leg,
				  const struct posta_delivery *delivery)
{
	const struct posta_target target = { .size = sizeof target, .queue = "away" };
	return posta_bridge_publish(self, leg->sink, &target, delivery->envelope, delivery->token.id);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct leg *leg = state;
	if (message->type == POSTA_MSG_SUBSCRIBED) {
		bench_go(leg->job);
		return POSTA_OK;
	}
	if (message->type != POSTA_MSG_DELIVERY)
		return POSTA_OK;
	leg->received++;
	return on_delivery(self, leg, posta_data(message));
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct leg *leg = state;
	const struct bench_case *what = leg->job->what;
	struct posta_source source = { .size = sizeof source, .credit = what->window, .qos = what->qos };
	struct posta_error error = { 0 };
	uint32_t subscription;
	if (what->broker == KIT_RABBITMQ) {
		source.queue = leg->job->name;
	} else if (what->broker == KIT_MOSQUITTO) {
		source.filter = leg->job->name;
	} else {
		source.topic = leg->job->name;
		source.group = leg->job->group;
	}
	return posta_bridge_subscribe(self, leg->source, &source, &subscription, &error);
}

static const struct posta_actor_class leg_class = { .name = "leg", .start = start, .receive = receive };

static void pause_ms(unsigned ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	nanosleep(&pause, NULL);
}

static struct posta_bridge *open_bridge(struct posta_system *system, const char *url)
{
	const struct posta_bridge_options options = { .size = sizeof options };
	struct posta_error error = { 0 };
	struct posta_bridge *bridge = posta_bridge_open(system, url, &options, &error);
	if (!bridge)
		bench_give_up("posta", error.text);
	return bridge;
}

/* Whether the source has them all: it was filled before, or is now. */
static bool filled(const struct job *job)
{
	return !job->what->feed || job->lap->fed;
}

void ours_memory(struct job *job)
{
	static struct leg leg;
	const struct posta_system_options options = { .size = sizeof options, .workers = 1 };
	struct posta_system *system;
	struct posta_error error = { 0 };
	if (posta_system_start(&options, &system, &error))
		bench_give_up("posta", error.text);
	leg.job = job;
	leg.source = open_bridge(system, job->url);
	leg.sink = open_bridge(system, SINK);
	if (posta_system_spawn(system, &leg_class, &leg, NULL, &error) == POSTA_NOBODY)
		bench_give_up("posta", error.text);
	while (leg.received < job->what->window)
		pause_ms(STEP_MS);
	pause_ms(FILLED_MS);
	double least = bench_rss_mib(), most = least;
	bench_begin(job);
	for (unsigned at = 0; at < WATCHED_MS || !filled(job); at += STEP_MS) {
		double now = bench_rss_mib();
		least = now < least ? now : least;
		most = now > most ? now : most;
		pause_ms(STEP_MS);
	}
	bench_end(job, leg.received);
	job->lap->grown_mib = most - least;
}
