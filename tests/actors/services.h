/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_ACTORS_SERVICES_H
#define POSTA_TESTS_ACTORS_SERVICES_H

/* What the tests of the services share: messaging on memory brokers, driven by hand on a clock moved by hand. */

#include "../runtime/kit.h"

#include "bridges/memory.h"

#include <posta/messaging.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES = 4096 };

/* What a handler saw, and what it is to answer. */
struct notes {
	unsigned count;
	char *seen[NOTES];
	enum posta_err answers[16]; /* for the first ones; then OK */
	struct posta_job *jobs[16]; /* of those answered EPENDING */
	uint32_t attempts[NOTES];
	bool redelivered[NOTES];
	unsigned dead;
	enum posta_err dead_reason;
	uint32_t dead_attempts;
	char dead_text[256];
	unsigned ended;
	enum posta_err end;
};

struct scene {
	struct posta_system *system;
	struct posta_messaging *messaging;
	struct posta_event_bus *bus;
	struct posta_task_queue *queue;
	struct posta_telemetry *telemetry;
};

static inline void scene_begin_with(struct scene *scene, struct posta_system *system,
				    struct posta_messaging_options options)
{
	struct posta_error error = { 0 };
	options.system = system;
	options.kafka_brokers = "memory:bus";
	options.rabbitmq_url = "memory:work";
	options.mqtt_broker_url = "memory:field";
	scene->system = system;
	if (posta_messaging_start(&options, &scene->messaging, &error))
		fail_msg("%s", error.text);
	assert_non_null(posta_messaging_system(scene->messaging));
	if (system)
		assert_ptr_equal(posta_messaging_system(scene->messaging), system);
	scene->bus = posta_messaging_event_bus(scene->messaging);
	scene->queue = posta_messaging_task_queue(scene->messaging);
	scene->telemetry = posta_messaging_telemetry(scene->messaging);
}

static inline void scene_begin(struct scene *scene)
{
	scene_begin_with(scene, kit_system(NULL), (struct posta_messaging_options){ 0 });
	kit_settle(scene->system);
}

/* Takes: status. */
static inline void assert_status(char *status, const char *part)
{
	assert_non_null(status);
	if (!strstr(status, part))
		fail_msg("%s is not in %s", part, status);
	free(status);
}

static inline void scene_end(struct scene *scene)
{
	struct posta_messaging_report report;
	assert_int_equal(posta_messaging_stop(scene->messaging, 10000, &report), POSTA_OK);
	assert_int_equal(report.unsent, 0);
	assert_int_equal(report.unsettled, 0);
	posta_messaging_free(scene->messaging);
	kit_stop(scene->system);
}

static inline void notes_free(struct notes *notes)
{
	for (unsigned i = 0; i < notes->count; i++)
		free(notes->seen[i]);
}

static inline enum posta_err note(struct notes *notes, const char *text, struct posta_job *job)
{
	unsigned n = notes->count++;
	assert_true(n < NOTES);
	notes->seen[n] = strdup(text);
	notes->attempts[n] = posta_job_attempt(job);
	notes->redelivered[n] = posta_job_redelivered(job);
	if (n >= 16)
		return POSTA_OK;
	notes->jobs[n] = notes->answers[n] == POSTA_EPENDING ? job : NULL;
	return notes->answers[n];
}

static inline enum posta_err on_event(void *context, const struct posta_event *event, struct posta_job *job)
{
	return note(context, posta_event_data(event, NULL), job);
}

static inline enum posta_err on_task(void *context, const struct posta_task *task, struct posta_job *job)
{
	return note(context, posta_task_payload(task, NULL), job);
}

static inline enum posta_err on_metric(void *context, const char *topic, const char *json, size_t len,
				       struct posta_job *job)
{
	assert_int_equal(strlen(json), len);
	assert_string_equal(topic, posta_job_topic(job));
	return note(context, json, job);
}

static inline void on_dead(void *context, const struct posta_dead_work *dead)
{
	struct notes *notes = context;
	notes->dead++;
	notes->dead_reason = dead->reason;
	notes->dead_attempts = dead->attempts;
	snprintf(notes->dead_text, sizeof notes->dead_text, "%s", dead->text);
}

static inline void on_end(void *context, enum posta_err result, const char *text)
{
	struct notes *notes = context;
	assert_non_null(text);
	notes->ended++;
	notes->end = result;
}

static inline void publish_event(struct scene *scene, const char *topic, const char *data, const char *key,
				 struct notes *notes)
{
	struct posta_event *event = posta_event_create(POSTA_EVENT_RESERVA_CREADA, data, "test");
	assert_int_equal(posta_event_set_key(event, key), POSTA_OK);
	assert_int_equal(posta_event_bus_publish(scene->bus, topic, event, notes ? on_end : NULL, notes), POSTA_OK);
	posta_event_unref(event);
}

static inline void publish_task(struct scene *scene, const char *queue, const char *payload,
				enum posta_task_priority priority)
{
	struct posta_task *task = posta_task_create(POSTA_TASK_ENVIAR_EMAIL, payload, priority);
	assert_int_equal(posta_task_queue_publish(scene->queue, queue, task, NULL, NULL), POSTA_OK);
	posta_task_unref(task);
}

/* An actor that publishes bytes as they are. */
struct raw {
	struct posta_bridge *bridge;
	struct posta_target target;
	const char *body;
};

static inline enum posta_err raw_start(struct posta_actor *self, void *state, void *argument)
{
	const struct raw *raw = argument;
	struct posta_envelope *envelope = posta_envelope_new();
	(void)state;
	posta_envelope_set_body(envelope, raw->body, strlen(raw->body));
	enum posta_err err = posta_bridge_publish(self, raw->bridge, &raw->target, envelope, 0);
	posta_envelope_unref(envelope);
	return err;
}

static inline enum posta_err raw_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static inline void publish_raw(struct scene *scene, enum posta_messaging_bridge which, const char *name,
			       const char *body)
{
	static const struct posta_actor_class klass = { .start = raw_start, .receive = raw_receive };
	struct posta_error error;
	struct raw raw = { .bridge = posta_messaging_bridge(scene->messaging, which),
			   .body = body,
			   .target = { .qos = -1, .format = POSTA_FORMAT_RAW } };
	*(which == POSTA_MESSAGING_RABBITMQ ? &raw.target.queue : &raw.target.topic) = name;
	raw.target.queue_priority_max = which == POSTA_MESSAGING_RABBITMQ ? 10 : 0;
	assert_true(posta_system_spawn(scene->system, &klass, &raw, NULL, &error) != POSTA_NOBODY);
	kit_settle(scene->system);
}

#endif
