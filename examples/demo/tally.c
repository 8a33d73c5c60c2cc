/* SPDX-License-Identifier: MIT */
#include "demo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool demo_init(struct demo *demo, unsigned count)
{
	memset(demo, 0, sizeof *demo);
	demo->count = count;
	pthread_mutex_init(&demo->lock, NULL);
	pthread_cond_init(&demo->changed, NULL);
	for (int i = 0; i < LEGS; i++) {
		demo->legs[i].was_sent = calloc(count, sizeof *demo->legs[i].was_sent);
		demo->legs[i].was_received = calloc(count, sizeof *demo->legs[i].was_received);
		if (!demo->legs[i].was_sent || !demo->legs[i].was_received)
			return false;
	}
	return true;
}

void demo_fini(struct demo *demo)
{
	for (int i = 0; i < LEGS; i++) {
		free(demo->legs[i].was_sent);
		free(demo->legs[i].was_received);
	}
	pthread_cond_destroy(&demo->changed);
	pthread_mutex_destroy(&demo->lock);
}

unsigned demo_number(const char *json)
{
	unsigned number;
	const char *at = strstr(json, "\"reservaId\":\"");
	return at && sscanf(at, "\"reservaId\":\"%u\"", &number) == 1 ? number : UINT_MAX;
}

void demo_sent(struct demo *demo, enum leg leg, unsigned number)
{
	if (number < demo->count && !atomic_exchange(&demo->legs[leg].was_sent[number], 1))
		atomic_fetch_add(&demo->legs[leg].sent, 1);
}

bool demo_was_sent(const struct demo *demo, enum leg leg, unsigned number)
{
	return number < demo->count && atomic_load(&demo->legs[leg].was_sent[number]);
}

void demo_received(struct demo *demo, enum leg leg, unsigned number)
{
	struct tally *tally = &demo->legs[leg];
	if (number >= demo->count)
		return;
	if (atomic_exchange(&tally->was_received[number], 1)) {
		atomic_fetch_add(&tally->redelivered, 1);
		return;
	}
	unsigned received = atomic_fetch_add(&tally->received, 1) + 1;
	if (received == demo->count || received == demo->count / 2) {
		pthread_mutex_lock(&demo->lock);
		pthread_cond_broadcast(&demo->changed);
		pthread_mutex_unlock(&demo->lock);
	}
}

bool demo_await(struct demo *demo, enum leg leg, unsigned received, unsigned seconds)
{
	struct timespec end;
	int err = 0;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += seconds;
	pthread_mutex_lock(&demo->lock);
	while (!err && atomic_load(&demo->legs[leg].received) < received)
		err = pthread_cond_timedwait(&demo->changed, &demo->lock, &end);
	pthread_mutex_unlock(&demo->lock);
	return !err;
}

void demo_log(void *context, int level, const char *event, const char *text)
{
	struct demo *demo = context;
	struct restart restart;
	const char *child = strstr(text, "child="), *wait = strstr(text, "wait_ms=");
	(void)level;
	if (strcmp(event, "supervisor.restart") != 0 || !child || !wait)
		return;
	if (sscanf(child, "child=%31s", restart.child) != 1 || sscanf(wait, "wait_ms=%llu", &restart.wait_ms) != 1)
		return;
	pthread_mutex_lock(&demo->lock);
	if (demo->restart_count < RESTARTS_MAX)
		demo->restarts[demo->restart_count++] = restart;
	pthread_mutex_unlock(&demo->lock);
}

static unsigned print_leg(const struct demo *demo, enum leg leg, const char *name)
{
	const struct tally *tally = &demo->legs[leg];
	unsigned lost = demo->count - atomic_load(&tally->received);
	printf("%-36s %8u %8u %11u %6u\n", name, atomic_load(&tally->sent), atomic_load(&tally->received),
	       atomic_load(&tally->redelivered), lost);
	return lost;
}

static void print_restarts(const struct demo *demo)
{
	printf("\n%u restarts of connections by their supervisors", demo->restart_count);
	for (unsigned i = 0; i < demo->restart_count; i++)
		printf("%s %s after %llu ms", i ? "," : ":", demo->restarts[i].child, demo->restarts[i].wait_ms);
	printf("\n");
}

unsigned demo_print(const struct demo *demo)
{
	unsigned lost = 0;
	printf("%-36s %8s %8s %11s %6s\n", "leg", "sent", "received", "redelivered", "lost");
	lost += print_leg(demo, LEG_EVENTS, "producer > EventBus > route");
	lost += print_leg(demo, LEG_TASKS, "route > TaskQueue > worker");
	lost += print_leg(demo, LEG_METRICS, "worker > Telemetry > dashboard");
	print_restarts(demo);
	printf("%u reservations in %.2f s, lost %u\n", demo->count, demo->seconds, lost);
	return lost;
}
