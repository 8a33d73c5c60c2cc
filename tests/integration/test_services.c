/* SPDX-License-Identifier: MIT */
/* The services on Kafka, RabbitMQ and Mosquitto. A bridge that this build lacks is played by the embedded broker. */
#include "bridges/features.h"
#include "brokers.h"

#include <posta/messaging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

enum { MANY = 200, WAIT_S = 60 };

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned count, failures;
	unsigned fail; /* this many of the first attempts */
	char last[512];
	unsigned next_of[10]; /* events of a key come in order */
	bool disorder;
};

static struct posta_messaging *messaging;

static const char *url_of(bool built, enum kit_kind kind)
{
	return built ? kit_broker_url(kit_broker_shared(kind)) : "memory:";
}

static int start(void **state)
{
	struct posta_error error = { 0 };
	(void)state;
	struct posta_messaging_options options = {
		.size = sizeof options,
		.workers = 2,
		.kafka_brokers = url_of(POSTA_HAVE_KAFKA, KIT_KAFKA),
		.rabbitmq_url = url_of(POSTA_HAVE_AMQP, KIT_RABBITMQ),
		.mqtt_broker_url = url_of(POSTA_HAVE_MQTT, KIT_MOSQUITTO),
		.require_brokers = true,
		.require_timeout_ms = 30000,
	};
	if (posta_messaging_start(&options, &messaging, &error) == POSTA_OK)
		return 0;
	fprintf(stderr, "%s\n", error.text);
	return -1;
}

static int stop(void **state)
{
	struct posta_messaging_report report = { 0 };
	(void)state;
	enum posta_err err = posta_messaging_stop(messaging, 20000, &report);
	posta_messaging_free(messaging);
	if (!err && !report.unsent && !report.unsettled)
		return 0;
	fprintf(stderr, "stop: %s, unsent %llu, unsettled %llu\n", posta_strerror(err),
		(unsigned long long)report.unsent, (unsigned long long)report.unsettled);
	return -1;
}

static enum posta_err saw(struct seen *seen, const char *text)
{
	enum posta_err answer = POSTA_OK;
	pthread_mutex_lock(&seen->lock);
	if (seen->failures < seen->fail) {
		seen->failures++;
		answer = POSTA_EIO;
	} else {
		seen->count++;
		snprintf(seen->last, sizeof seen->last, "%s", text);
	}
	pthread_cond_broadcast(&seen->changed);
	pthread_mutex_unlock(&seen->lock);
	return answer;
}

static void await(struct seen *seen, unsigned count)
{
	struct timespec end;
	int err = 0;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&seen->lock);
	while (!err && seen->count < count)
		err = pthread_cond_timedwait(&seen->changed, &seen->lock, &end);
	pthread_mutex_unlock(&seen->lock);
	if (err)
		fail_msg("%u of %u arrived within %d s", seen->count, count, WAIT_S);
}

static void ready(struct posta_subscription *subscription, const struct posta_error *refused)
{
	struct posta_error error = { 0 };
	if (!subscription)
		fail_msg("%s", refused->text);
	if (posta_subscription_wait(subscription, 30000, &error))
		fail_msg("%s", error.text);
}

#define SEEN                                                                                                           \
	{                                                                                                              \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                 \
	}

static enum posta_err on_event(void *context, const struct posta_event *event, struct posta_job *job)
{
	struct seen *seen = context;
	unsigned number = (unsigned)atoi(posta_event_data(event, NULL));
	(void)job;
	if (number != seen->next_of[number % 10] * 10 + number % 10)
		seen->disorder = true;
	seen->next_of[number % 10]++;
	return saw(seen, posta_event_type(event));
}

static void events__each_group_gets_all_in_the_order_of_their_keys(void **state)
{
	(void)state;
	struct posta_event_bus *bus = posta_messaging_event_bus(messaging);
	struct seen a = SEEN, b = SEEN;
	struct posta_error error = { 0 };
	char *topic = kit_unique("reservas"), *group = kit_unique("g"), *other = kit_unique("h");
	char text[16];
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "%d", i);
		struct posta_event *event = posta_event_create(POSTA_EVENT_RESERVA_CREADA, text, "test");
		posta_event_set_key(event, text + strlen(text) - 1);
		enum posta_err err = i == MANY - 1 ? posta_event_bus_publish_wait(bus, topic, event, 30000, &error)
						   : posta_event_bus_publish(bus, topic, event, NULL, NULL);
		if (err)
			fail_msg("%s", error.text);
		posta_event_unref(event);
	}
	ready(posta_event_bus_subscribe(bus, topic, group, on_event, &a, NULL, &error), &error);
	ready(posta_event_bus_subscribe(bus, topic, other, on_event, &b, NULL, &error), &error);
	await(&a, MANY);
	await(&b, MANY);
	assert_int_equal(a.count, MANY);
	assert_int_equal(b.count, MANY);
	assert_false(a.disorder || b.disorder);
	assert_string_equal(a.last, "reserva.creada");
	free(topic);
	free(group);
	free(other);
}

static enum posta_err on_task(void *context, const struct posta_task *task, struct posta_job *job)
{
	char text[128];
	snprintf(text, sizeof text, "%s %u %u", posta_task_payload(task, NULL), posta_job_attempt(job),
		 posta_task_attempts(task));
	return saw(context, text);
}

static void tasks__high_ones_first_and_failing_ones_again(void **state)
{
	(void)state;
	struct posta_task_queue *queue = posta_messaging_task_queue(messaging);
	struct seen seen = SEEN, letters = SEEN;
	struct posta_error error = { 0 };
	struct posta_consume_options options = { .size = sizeof options,
						 .credit = 1,
						 .backoff = { .initial_ms = 20, .factor = 2 } };
	char *name = kit_unique("email"), dead[256];
	static const enum posta_task_priority priorities[] = { POSTA_TASK_LOW, POSTA_TASK_NORMAL, POSTA_TASK_HIGH };
	snprintf(dead, sizeof dead, "%s.dlq", name);
	for (int i = 0; i < 3; i++) {
		char payload[8];
		snprintf(payload, sizeof payload, "%d", (int)priorities[i]);
		struct posta_task *task = posta_task_create(POSTA_TASK_ENVIAR_EMAIL, payload, priorities[i]);
		if (posta_task_queue_publish_wait(queue, name, task, 30000, &error))
			fail_msg("%s", error.text);
		posta_task_unref(task);
	}
	seen.fail = 3 + 1; /* the first task ends as a dead letter, the second one succeeds at its second attempt */
	ready(posta_task_queue_subscribe(queue, dead, on_task, &letters, NULL, &error), &error);
	ready(posta_task_queue_subscribe(queue, name, on_task, &seen, &options, &error), &error);
	await(&seen, 2);
	await(&letters, 1);
	assert_string_equal(seen.last, "1 1 0");
	assert_string_equal(letters.last, "9 4 3"); /* the dead-letter queue's own first attempt counts on */
	free(name);
}

static enum posta_err on_metric(void *context, const char *topic, const char *json, size_t len, struct posta_job *job)
{
	(void)topic, (void)len, (void)job;
	return saw(context, json);
}

static void health__is_retained_for_later_subscribers(void **state)
{
	(void)state;
	struct posta_telemetry *telemetry = posta_messaging_telemetry(messaging);
	struct seen first = SEEN, later = SEEN;
	struct posta_error error = { 0 };
	char *service = kit_unique("micro"), filter[256];
	snprintf(filter, sizeof filter, "servicios/health/%s", service);
	ready(posta_telemetry_subscribe(telemetry, filter, on_metric, &first, NULL, &error), &error);
	assert_int_equal(posta_telemetry_publish_health(telemetry, service, POSTA_HEALTHY, NULL, NULL), POSTA_OK);
	await(&first, 1);
	ready(posta_telemetry_subscribe(telemetry, filter, on_metric, &later, NULL, &error), &error);
	await(&later, 1);
	assert_non_null(strstr(later.last, "\"status\":\"healthy\""));
	free(service);
}

static void status__all_three_are_connected(void **state)
{
	(void)state;
	char *json = posta_messaging_connection_status_json(messaging);
	unsigned connected = 0;
	for (const char *at = json; (at = strstr(at, "\"connected\":true")); at++)
		connected++;
	assert_int_equal(connected, 3);
	assert_null(strstr(json, "guest:guest"));
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events__each_group_gets_all_in_the_order_of_their_keys),
		cmocka_unit_test(tasks__high_ones_first_and_failing_ones_again),
		cmocka_unit_test(health__is_retained_for_later_subscribers),
		cmocka_unit_test(status__all_three_are_connected),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
