/* SPDX-License-Identifier: MIT */
#include "demo.h"

#include "bridges/memory.h" /* to break a connection on purpose */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_COUNT = 10000, MAX_COUNT = 60000, SECONDS_MAX = 60, REFUSALS = 3 };

struct sending {
	struct demo *demo;
	unsigned number;
};

static void on_confirmed(void *context, enum posta_err result, const char *text)
{
	struct sending *sending = context;
	if (result == POSTA_OK)
		demo_sent(sending->demo, LEG_EVENTS, sending->number);
	else
		fprintf(stderr, "event %u: %s\n", sending->number, text);
	free(sending);
}

static enum posta_err publish(struct demo *demo, unsigned number)
{
	char data[96];
	struct sending *sending = malloc(sizeof *sending);
	snprintf(data, sizeof data, "{\"reservaId\":\"%u\",\"estudianteId\":\"456\",\"maestroId\":\"789\"}", number);
	struct posta_event *event = posta_event_create(POSTA_EVENT_RESERVA_CREADA, data, "micro-estudiantes");
	enum posta_err err = sending && event ? POSTA_OK : POSTA_ENOMEM;
	if (!err) {
		*sending = (struct sending){ demo, number };
		err = posta_event_bus_publish(posta_messaging_event_bus(demo->messaging), TOPIC, event, on_confirmed,
					      sending);
	}
	if (err)
		free(sending);
	posta_event_unref(event);
	return err;
}

static void break_connection(struct demo *demo)
{
	printf("half of the tasks are done: the task queue's connection breaks, and is refused %d times\n\n", REFUSALS);
	posta__memory_refuse(demo->system, "work", REFUSALS);
	posta__memory_drop(demo->system, "work");
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum posta_err run(struct demo *demo, struct posta_error *error)
{
	enum posta_err err = demo_flow(demo, error);
	double began = seconds_now();
	for (unsigned i = 0; !err && i < demo->count; i++) {
		err = publish(demo, i);
		if (err)
			posta_error_set(error, err, "event %u: %s", i, posta_strerror(err));
	}
	if (!err && demo_await(demo, LEG_TASKS, demo->count / 2, SECONDS_MAX))
		break_connection(demo);
	if (!err && !demo_await(demo, LEG_METRICS, demo->count, SECONDS_MAX))
		fprintf(stderr, "not all arrived within %d s\n", SECONDS_MAX);
	demo->seconds = seconds_now() - began;
	return err;
}

static enum posta_err start(struct demo *demo, struct posta_error *error)
{
	struct posta_system_options system = {
		.size = sizeof system, .workers = 2, .log = demo_log, .log_context = demo, .log_level = POSTA_LOG_INFO
	};
	enum posta_err err = posta_system_start(&system, &demo->system, error);
	struct posta_bridge_options work = { .size = sizeof work,
					     .backoff = { .initial_ms = 50, .factor = 2, .max_ms = 2000 } };
	struct posta_messaging_options options = {
		.size = sizeof options,
		.system = demo->system,
		.kafka_brokers = "memory:bus",
		.rabbitmq_url = "memory:work",
		.mqtt_broker_url = "memory:field",
		.rabbitmq = &work,
		.in_flight_max = MAX_COUNT,
		.require_brokers = true,
	};
	return err ? err : posta_messaging_start(&options, &demo->messaging, error);
}

int main(int argc, char **argv)
{
	struct demo demo;
	struct posta_error error = { 0 };
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : DEFAULT_COUNT;
	if (argc > 2 || count < 2 || count > MAX_COUNT) {
		fprintf(stderr, "usage: demo [RESERVATIONS]   2 to %d, default %d\n", MAX_COUNT, DEFAULT_COUNT);
		return 2;
	}
	if (!demo_init(&demo, (unsigned)count))
		return 1;
	enum posta_err err = start(&demo, &error);
	if (!err)
		err = run(&demo, &error);
	posta_messaging_free(demo.messaging);
	posta_system_stop(demo.system, 5000, NULL);
	if (err)
		fprintf(stderr, "demo: %s\n", error.text);
	unsigned lost = err ? 1 : demo_print(&demo);
	demo_fini(&demo);
	return lost ? 1 : 0;
}
