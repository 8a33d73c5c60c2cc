/* SPDX-License-Identifier: MIT */
#include "messaging.h"

#include "bridges/codec/text.h"

#include <posta/ask.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_MS 10000u
#define CLOSE_TRIES 3
#define STOP_MS 5000u

/* -- Start */

static enum posta_err start_system(struct posta_messaging *messaging, const struct posta_messaging_options *options,
				   struct posta_error *error)
{
	int level = options->log_level, debug = (int)posta_log_level_from_environment();
	struct posta_system_options own = {
		.size = sizeof own,
		.workers = options->workers,
		.log = options->log,
		.log_context = options->log_context,
		.log_level = debug == POSTA_LOG_DEBUG ? debug : level,
	};
	messaging->system = options->system;
	messaging->owns_system = !options->system;
	return options->system ? POSTA_OK : posta_system_start(&own, &messaging->system, error);
}

static posta_ref supervise(struct posta_messaging *messaging, struct posta_error *error)
{
	struct posta_supervisor_options options = {
		.size = sizeof options,
		.strategy = POSTA_ONE_FOR_ONE,
		.intensity = POSTA_INTENSITY_UNLIMITED,
		.backoff = { .initial_ms = 100, .factor = 2, .max_ms = 30000, .jitter = POSTA_JITTER_FULL },
	};
	return posta_system_supervise(messaging->system, &options, error);
}

static struct posta_bridge *open_bridge(struct posta_messaging *messaging,
					const struct posta_messaging_options *options, int which,
					struct posta_bridge_options *with, struct posta_error *error)
{
	static const char *const names[POSTA__BRIDGES] = { "event_bus", "task_queue", "telemetry" };
	char *url = posta__messaging_url(options, which);
	char *client_id = posta__messaging_client_id(options, which);
	struct posta_bridge *bridge = NULL;
	with->size = sizeof *with;
	with->name = names[which];
	with->client_id = client_id;
	if (url && client_id)
		bridge = posta_bridge_open(messaging->system, url, with, error);
	else
		posta_error_set(error, POSTA_ENOMEM, "out of memory for the connection of %s", names[which]);
	free(url);
	free(client_id);
	return bridge;
}

/* The Last Will: what the broker says of us when we say nothing any more. */
static char *set_will(struct posta_bridge_options *with, const struct posta_messaging_options *options, char *topic,
		      size_t size)
{
	char *body = options->service_name ? posta__health_json(options->service_name, POSTA_UNHEALTHY) : NULL;
	if (!body)
		return NULL;
	snprintf(topic, size, "%s%s", POSTA__HEALTH_TOPIC, options->service_name);
	with->will_topic = topic;
	with->will_body = body;
	with->will_len = strlen(body);
	with->will_qos = 1;
	with->will_retain = true;
	return body;
}

static enum posta_err open_bridges(struct posta_messaging *messaging, const struct posta_messaging_options *options,
				   struct posta_error *error)
{
	const struct posta_bridge_options *const given[POSTA__BRIDGES] = { options->kafka, options->rabbitmq,
									   options->mqtt };
	for (int i = 0; i < POSTA__BRIDGES; i++) {
		struct posta_bridge_options with = { 0 };
		char topic[512], *will = NULL;
		if (given[i])
			with = *given[i];
		if (i == POSTA_MESSAGING_MQTT)
			will = set_will(&with, options, topic, sizeof topic);
		messaging->bridges[i] = open_bridge(messaging, options, i, &with, error);
		free(will);
		if (!messaging->bridges[i])
			return error->code;
	}
	return POSTA_OK;
}

static enum posta_err init_services(struct posta_messaging *messaging, const struct posta_messaging_options *options,
				    struct posta_error *error)
{
	struct posta__service *services[POSTA__BRIDGES] = { &messaging->bus.service, &messaging->queue.service,
							    &messaging->telemetry.service };
	const struct posta__service_kind *kinds[POSTA__BRIDGES] = { &posta__event_bus_kind, &posta__task_queue_kind,
								    &posta__telemetry_kind };
	enum posta_err err = POSTA_OK;
	messaging->bus.strict_types = options->strict_types;
	messaging->telemetry.service.ring_max =
		options->metric_buffer_max ? options->metric_buffer_max : POSTA__METRICS_MAX;
	for (int i = 0; !err && i < POSTA__BRIDGES; i++)
		err = posta__service_init(services[i], kinds[i], messaging->system, messaging->bridges[i],
					  messaging->supervisor, options->in_flight_max);
	for (int i = 0; !err && i < POSTA__BRIDGES; i++)
		err = posta__service_start(services[i], START_MS);
	return err ? posta_error_set(error, err, "a service did not start: %s", posta_strerror(err)) : POSTA_OK;
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t left_ms(uint64_t end_ms)
{
	uint64_t now = now_ms();
	return end_ms > now ? end_ms - now : 1;
}

static enum posta_err await_brokers(struct posta_messaging *messaging, uint64_t timeout_ms, struct posta_error *error)
{
	struct posta__service *services[] = { &messaging->bus.service, &messaging->queue.service,
					      &messaging->telemetry.service };
	uint64_t end = now_ms() + (timeout_ms ? timeout_ms : START_MS);
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
		struct posta_bridge_status status = { .size = sizeof status };
		enum posta_err err =
			posta_system_ask(messaging->system, services[i]->ref, POSTA__SERVICE_AWAIT_CONNECTED, NULL, 0,
					 left_ms(end), NULL, NULL, NULL);
		if (!err)
			continue;
		posta_bridge_status(services[i]->bridge, &status);
		return posta_error_set(error, err, "%s is not connected to %s: %s", services[i]->kind->name, status.url,
				       status.last_error[0] ? status.last_error : posta_strerror(err));
	}
	return POSTA_OK;
}

static enum posta_err start_all(struct posta_messaging *messaging, const struct posta_messaging_options *options,
				struct posta_error *error)
{
	enum posta_err err = start_system(messaging, options, error);
	if (err)
		return err;
	messaging->supervisor = supervise(messaging, error);
	if (messaging->supervisor == POSTA_NOBODY)
		return error->code;
	err = open_bridges(messaging, options, error);
	if (!err)
		err = init_services(messaging, options, error);
	if (!err && options->require_brokers)
		err = await_brokers(messaging, options->require_timeout_ms, error);
	return err;
}

enum posta_err posta_messaging_start(const struct posta_messaging_options *options, struct posta_messaging **messaging,
				     struct posta_error *error)
{
	struct posta_messaging_options none = { .log_level = POSTA_LOG_INFO };
	struct posta_error own = { 0 };
	struct posta_messaging *made = calloc(1, sizeof *made);
	if (!made)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for messaging");
	enum posta_err err = start_all(made, options ? options : &none, &own);
	if (!err) {
		*messaging = made;
		return POSTA_OK;
	}
	if (error)
		*error = own;
	if (made->system)
		posta_messaging_free(made);
	else
		free(made);
	return err;
}

/* -- Stop */

static enum posta_err drain(struct posta__service *service, uint64_t timeout_ms)
{
	if (service->ref == POSTA_NOBODY)
		return POSTA_OK;
	return posta_system_ask(service->system, service->ref, POSTA__SERVICE_DRAIN, NULL, 0, timeout_ms, NULL, NULL,
				NULL);
}

static void note_left(struct posta_messaging_report *report, const struct posta__service *service)
{
	report->unsent += atomic_load_explicit(&service->in_flight, memory_order_acquire);
	report->unsettled += atomic_load_explicit(&service->unsettled, memory_order_acquire);
}

static void end_services(struct posta_messaging *messaging)
{
	posta__service_end(&messaging->bus.service);
	posta__service_end(&messaging->queue.service);
	posta__service_end(&messaging->telemetry.service);
}

/* Nothing may be left that knows what is freed next: want of memory is tried again. */
static enum posta_err close_all(struct posta_messaging *messaging, uint64_t end)
{
	enum posta_err err = posta__messaging_close(messaging, left_ms(end));
	for (int tries = 1; err && err != POSTA_ETIMEDOUT && err != POSTA_EWRONGTHREAD && tries < CLOSE_TRIES; tries++)
		err = posta__messaging_close(messaging, left_ms(end));
	return err;
}

static enum posta_err stop_all(struct posta_messaging *messaging, uint64_t deadline_ms)
{
	/* In this order: a handler of events may publish tasks, one of tasks metrics. */
	struct posta__service *services[] = { &messaging->bus.service, &messaging->queue.service,
					      &messaging->telemetry.service };
	uint64_t end = now_ms() + deadline_ms;
	enum posta_err result = POSTA_OK;
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
		enum posta_err err = drain(services[i], left_ms(end));
		if (err == POSTA_EWRONGTHREAD)
			return err;
		atomic_store_explicit(&services[i]->closed, true, memory_order_release);
		result = result ? result : err;
	}
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		note_left(&messaging->report, services[i]);
	enum posta_err err = close_all(messaging, end);
	if (messaging->owns_system) {
		struct posta_stop_report report = { 0 };
		err = posta_system_stop(messaging->system, left_ms(end) + 1000, &report);
		messaging->report.actors_left = report.actors_left;
	}
	messaging->abandoned = err != POSTA_OK;
	return result ? result : err;
}

enum posta_err posta_messaging_stop(struct posta_messaging *messaging, uint64_t deadline_ms,
				    struct posta_messaging_report *report)
{
	if (!messaging)
		return POSTA_OK;
	if (!messaging->stopped) {
		enum posta_err err = stop_all(messaging, deadline_ms);
		if (err == POSTA_EWRONGTHREAD)
			return err;
		messaging->stop_result = err;
		messaging->stopped = true;
		if (!messaging->abandoned)
			end_services(messaging);
	}
	if (report)
		*report = messaging->report;
	return messaging->stop_result;
}

void posta_messaging_free(struct posta_messaging *messaging)
{
	if (!messaging || posta_messaging_stop(messaging, STOP_MS, NULL) == POSTA_EWRONGTHREAD || messaging->abandoned)
		return;
	for (int i = 0; i < POSTA__BRIDGES; i++) /* where there was no memory to end them in order */
		posta_bridge_close(messaging->bridges[i], 0);
	posta__event_bus_fini(&messaging->bus);
	posta__service_fini(&messaging->queue.service);
	posta__service_fini(&messaging->telemetry.service);
	free(messaging);
}

/* -- What it holds */

struct posta_event_bus *posta_messaging_event_bus(struct posta_messaging *messaging)
{
	return &messaging->bus;
}

struct posta_task_queue *posta_messaging_task_queue(struct posta_messaging *messaging)
{
	return &messaging->queue;
}

struct posta_telemetry *posta_messaging_telemetry(struct posta_messaging *messaging)
{
	return &messaging->telemetry;
}

struct posta_system *posta_messaging_system(struct posta_messaging *messaging)
{
	return messaging->system;
}

struct posta_bridge *posta_messaging_bridge(struct posta_messaging *messaging, enum posta_messaging_bridge which)
{
	return (unsigned)which < POSTA__BRIDGES ? messaging->bridges[which] : NULL;
}

char *posta_messaging_connection_status_json(struct posta_messaging *messaging)
{
	struct posta__service *services[] = { &messaging->bus.service, &messaging->queue.service,
					      &messaging->telemetry.service };
	static const char *const names[] = { "{\"eventBus\":", ",\"messageQueue\":", ",\"telemetry\":" };
	struct posta__buffer buffer = { 0 };
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
		char *json = posta__service_status_json(services[i]);
		posta__buffer_text(&buffer, names[i]);
		posta__buffer_text(&buffer, json ? json : "null");
		free(json);
	}
	posta__buffer_text(&buffer, "}");
	return posta__buffer_finish(&buffer) ? buffer.data : NULL;
}
