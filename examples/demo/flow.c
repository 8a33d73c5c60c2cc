/* SPDX-License-Identifier: MIT */
/*
 * Two actors between the services. Each keeps the message that brought its work until the broker behind it has
 * confirmed what came of it, and only then acknowledges: a crash in between gives the work back, and nothing is lost.
 */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>

struct relay {
	struct demo *demo;
};

static enum posta_err relay_start(struct posta_actor *self, void *state, void *argument)
{
	(void)self;
	((struct relay *)state)->demo = argument;
	return POSTA_OK;
}

/* Keeps the message for as long as its cookie is on the way. */
static uint64_t keep(struct posta_actor *self, struct posta_message *message)
{
	return (uint64_t)(uintptr_t)posta_keep(self, message);
}

static struct posta_message *kept(const struct posta_published *published)
{
	return (struct posta_message *)(uintptr_t)published->cookie;
}

/* -- The route: an event becomes a task */

static enum posta_err route_event(struct posta_actor *self, struct relay *relay, struct posta_message *message)
{
	struct demo *demo = relay->demo;
	const struct posta_event_message *arrived = posta_data(message);
	unsigned number = demo_number(posta_event_data(arrived->event, NULL));
	demo_received(demo, LEG_EVENTS, number);
	if (demo_was_sent(demo, LEG_TASKS, number)) {
		posta_job_done(arrived->job, POSTA_OK); /* its task is safe already */
		return POSTA_OK;
	}
	struct posta_task *task =
		posta_task_create(POSTA_TASK_ENVIAR_EMAIL, posta_event_data(arrived->event, NULL), POSTA_TASK_HIGH);
	uint64_t cookie = keep(self, message);
	enum posta_err err = task ? posta_task_queue_publish_from(self, posta_messaging_task_queue(demo->messaging),
								  QUEUE, task, cookie)
				  : POSTA_ENOMEM;
	posta_task_unref(task);
	if (err) {
		posta_job_done(arrived->job, err);
		posta_message_free(self, message);
	}
	return POSTA_OK;
}

static enum posta_err route_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct relay *relay = state;
	if (message->type == POSTA_MSG_EVENT)
		return route_event(self, relay, message);
	if (message->type != POSTA_MSG_PUBLISHED)
		return POSTA_EUNHANDLED;
	const struct posta_published *published = posta_data(message);
	const struct posta_event_message *arrived = posta_data(kept(published));
	if (published->result == POSTA_OK)
		demo_sent(relay->demo, LEG_TASKS, demo_number(posta_event_data(arrived->event, NULL)));
	posta_job_done(arrived->job, published->result);
	posta_message_free(self, kept(published));
	return POSTA_OK;
}

/* -- The worker: a task is done, and a metric tells of it */

static enum posta_err work(struct posta_actor *self, struct relay *relay, struct posta_message *message)
{
	struct demo *demo = relay->demo;
	const struct posta_task_message *arrived = posta_data(message);
	unsigned number = demo_number(posta_task_payload(arrived->task, NULL));
	char metric[64];
	demo_received(demo, LEG_TASKS, number);
	if (demo_was_sent(demo, LEG_METRICS, number)) {
		posta_job_done(arrived->job, POSTA_OK); /* done before, and told */
		return POSTA_OK;
	}
	snprintf(metric, sizeof metric, "{\"reservaId\":\"%u\"}", number);
	enum posta_err err = posta_telemetry_publish_metric_from(self, posta_messaging_telemetry(demo->messaging),
								 METRICS, metric, NULL, keep(self, message));
	if (err) {
		posta_job_done(arrived->job, err);
		posta_message_free(self, message);
	}
	return POSTA_OK;
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct relay *relay = state;
	if (message->type == POSTA_MSG_TASK)
		return work(self, relay, message);
	if (message->type != POSTA_MSG_PUBLISHED)
		return POSTA_EUNHANDLED;
	const struct posta_published *published = posta_data(message);
	const struct posta_task_message *arrived = posta_data(kept(published));
	if (published->result == POSTA_OK)
		demo_sent(relay->demo, LEG_METRICS, demo_number(posta_task_payload(arrived->task, NULL)));
	posta_job_done(arrived->job, published->result);
	posta_message_free(self, kept(published));
	return POSTA_OK;
}

/* -- The dashboard: a handler is enough */

static enum posta_err on_metric(void *context, const char *topic, const char *json, size_t len, struct posta_job *job)
{
	(void)topic, (void)len, (void)job;
	demo_received(context, LEG_METRICS, demo_number(json));
	return POSTA_OK;
}

static const struct posta_actor_class route_class = {
	.name = "route",
	.state_size = sizeof(struct relay),
	.start = relay_start,
	.receive = route_receive,
};
static const struct posta_actor_class worker_class = {
	.name = "worker",
	.state_size = sizeof(struct relay),
	.start = relay_start,
	.receive = worker_receive,
};

enum posta_err demo_flow(struct demo *demo, struct posta_error *error)
{
	struct posta_consume_options many = { .credit = 256, .qos = 1 };
	struct posta_subscription *all[LEGS] = { 0 };
	all[0] = posta_telemetry_subscribe(posta_messaging_telemetry(demo->messaging), METRICS, on_metric, demo, &many,
					   error);
	posta_ref worker = posta_system_spawn(demo->system, &worker_class, demo, NULL, error);
	posta_ref route = posta_system_spawn(demo->system, &route_class, demo, NULL, error);
	if (all[0] && worker && route) {
		all[1] = posta_task_queue_subscribe_actor(posta_messaging_task_queue(demo->messaging), QUEUE, worker,
							  &many, error);
		all[2] = posta_event_bus_subscribe_actor(posta_messaging_event_bus(demo->messaging), TOPIC, "emailer",
							 route, &many, error);
	}
	for (int i = 0; i < LEGS; i++) {
		if (!all[i])
			return error->code;
		enum posta_err err = posta_subscription_wait(all[i], 5000, error);
		if (err)
			return err;
	}
	return POSTA_OK;
}
