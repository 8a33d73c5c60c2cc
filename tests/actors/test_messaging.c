/* SPDX-License-Identifier: MIT */
#include "services.h"

#include "actors/messaging.h"

#include <pthread.h>
#include <semaphore.h>

static void clear_environment(void)
{
	static const char *const names[] = { "KAFKA_BROKERS",   "KAFKA_CLIENT_ID", "RABBITMQ_URL",
					     "MQTT_BROKER_URL", "MQTT_CLIENT_ID",  "DEBUG" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
}

static void url_is(const struct posta_messaging_options *options, int which, const char *wanted)
{
	char *url = posta__messaging_url(options, which);
	assert_string_equal(url, wanted);
	free(url);
}

static void url__option_before_environment_before_default(void **state)
{
	(void)state;
	struct posta_messaging_options options = { 0 }, local = { .use_local_brokers = true };
	clear_environment();
	url_is(&options, POSTA_MESSAGING_KAFKA, "memory:");
	url_is(&local, POSTA_MESSAGING_KAFKA, "kafka://localhost:9092");
	url_is(&local, POSTA_MESSAGING_RABBITMQ, "amqp://guest:guest@localhost:5672");
	url_is(&local, POSTA_MESSAGING_MQTT, "mqtt://localhost:1883");
	setenv("KAFKA_BROKERS", "a:1,b:2", 1);
	setenv("RABBITMQ_URL", "amqp://u:p@h/v", 1);
	setenv("MQTT_BROKER_URL", "", 1); /* empty is as if it were not there */
	url_is(&local, POSTA_MESSAGING_KAFKA, "kafka://a:1,b:2");
	url_is(&options, POSTA_MESSAGING_RABBITMQ, "amqp://u:p@h/v");
	url_is(&options, POSTA_MESSAGING_MQTT, "memory:");
	options.kafka_brokers = "kafkas://c:3";
	url_is(&options, POSTA_MESSAGING_KAFKA, "kafkas://c:3");
	clear_environment();
}

static void client_id__mqtt_gets_a_suffix_unless_fixed(void **state)
{
	(void)state;
	struct posta_messaging_options options = { 0 };
	clear_environment();
	setenv("MQTT_CLIENT_ID", "gateway", 1);
	setenv("KAFKA_CLIENT_ID", "mi-servicio", 1);
	char *one = posta__messaging_client_id(&options, POSTA_MESSAGING_MQTT);
	char *two = posta__messaging_client_id(&options, POSTA_MESSAGING_MQTT);
	char *kafka = posta__messaging_client_id(&options, POSTA_MESSAGING_KAFKA);
	options.fixed_client_id = true;
	char *fixed = posta__messaging_client_id(&options, POSTA_MESSAGING_MQTT);
	assert_memory_equal(one, "gateway-", 8);
	assert_string_not_equal(one, two);
	assert_string_equal(fixed, "gateway");
	assert_string_equal(kafka, "mi-servicio");
	free(one);
	free(two);
	free(kafka);
	free(fixed);
	clear_environment();
}

static void start__bad_url__names_it(void **state)
{
	(void)state;
	struct posta_messaging *messaging = NULL;
	struct posta_error error = { 0 };
	clear_environment();
	struct posta_messaging_options options = { .rabbitmq_url = "gopher://u:secret@h" };
	assert_int_equal(posta_messaging_start(&options, &messaging, &error), POSTA_EUNSUPPORTED);
	assert_null(messaging);
	assert_non_null(strstr(error.text, "gopher"));
	assert_null(strstr(error.text, "secret"));
}

static void start__required_broker_is_down__fails_with_its_name(void **state)
{
	(void)state;
	struct posta_system *system;
	struct posta_system_options one = { .workers = 1 };
	struct posta_messaging *messaging = NULL;
	struct posta_error error = { 0 };
	assert_int_equal(posta_system_start(&one, &system, &error), POSTA_OK);
	posta__memory_refuse(system, "work", 1000000);
	struct posta_messaging_options options = {
		.system = system,
		.kafka_brokers = "memory:",
		.rabbitmq_url = "memory:work",
		.mqtt_broker_url = "memory:",
		.require_brokers = true,
		.require_timeout_ms = 100,
	};
	assert_int_equal(posta_messaging_start(&options, &messaging, &error), POSTA_ETIMEDOUT);
	assert_non_null(strstr(error.text, "task_queue is not connected to memory:work"));
	assert_int_equal(posta_system_stop(system, 5000, NULL), POSTA_OK);
}

/* The others go on when one broker is away, and the stop says what it left. */
static void stop__broker_away__reports_what_was_left_unsent(void **state)
{
	(void)state;
	struct scene scene;
	struct notes sent = { 0 }, tasks = { 0 };
	struct posta_messaging_report report, again;
	struct posta_error error;
	struct posta_system_options one = { .workers = 1 };
	assert_int_equal(posta_system_start(&one, &scene.system, &error), POSTA_OK);
	posta__memory_refuse(scene.system, "work", 1000000);
	scene_begin_with(&scene, scene.system, (struct posta_messaging_options){ 0 });
	struct posta_event *event = posta_event_create("t", "1", "s");
	assert_int_equal(posta_event_bus_publish_wait(scene.bus, "t", event, 5000, &error), POSTA_OK);
	posta_event_unref(event);
	assert_int_equal(posta_telemetry_publish_metric_wait(scene.telemetry, "m", "1", NULL, 5000, &error), POSTA_OK);
	assert_int_equal(posta_telemetry_publish_metric_wait(scene.telemetry, "m", "{", NULL, 5000, &error),
			 POSTA_EFORMAT);
	struct posta_task *task = posta_task_create("t", "1", POSTA_TASK_LOW);
	for (int i = 0; i < 3; i++)
		assert_int_equal(posta_task_queue_publish(scene.queue, "email", task, on_end, &tasks), POSTA_OK);
	assert_int_equal(posta_task_queue_publish_wait(scene.queue, "email", task, 20, &error), POSTA_ETIMEDOUT);
	assert_int_equal(posta_messaging_stop(scene.messaging, 100, &report), POSTA_ETIMEDOUT);
	assert_int_equal(report.unsent, 4);
	assert_int_equal(tasks.ended, 3);
	assert_int_equal(tasks.end, POSTA_ECLOSED);
	assert_int_equal(posta_messaging_stop(scene.messaging, 100, &again), POSTA_ETIMEDOUT);
	assert_int_equal(again.unsent, 4);
	assert_int_equal(posta_task_queue_publish(scene.queue, "email", task, on_end, &sent), POSTA_ECLOSED);
	posta_task_unref(task);
	posta_messaging_free(scene.messaging);
	assert_int_equal(posta_system_stop(scene.system, 5000, NULL), POSTA_OK);
	assert_int_equal(sent.ended, 0);
}

static void stop__in_flight_work__is_finished_first(void **state)
{
	(void)state;
	struct scene scene;
	struct notes sent = { 0 };
	struct posta_messaging_report report;
	clear_environment();
	scene_begin_with(&scene, NULL, (struct posta_messaging_options){ .workers = 2 });
	for (int i = 0; i < 1000; i++)
		publish_event(&scene, "reservas", "1", NULL, &sent);
	assert_int_equal(posta_messaging_stop(scene.messaging, 10000, &report), POSTA_OK);
	assert_int_equal(sent.ended, 1000);
	assert_int_equal(sent.end, POSTA_OK);
	assert_int_equal(report.unsent, 0);
	posta_messaging_free(scene.messaging);
	posta_messaging_free(NULL);
	assert_int_equal(posta_messaging_stop(NULL, 0, NULL), POSTA_OK);
}

/* -- Threads */

struct late {
	pthread_t thread;
	struct posta_job *job;
	atomic_uint handled;
};

static void *settle_late(void *argument)
{
	struct late *late = argument;
	posta_job_done(late->job, POSTA_OK);
	return NULL;
}

static enum posta_err on_late(void *context, const struct posta_event *event, struct posta_job *job)
{
	struct late *late = context;
	(void)event;
	late->job = job;
	assert_int_equal(pthread_create(&late->thread, NULL, settle_late, late), 0);
	atomic_fetch_add(&late->handled, 1);
	return POSTA_EPENDING;
}

static void job__done_by_another_thread(void **state)
{
	(void)state;
	struct scene scene;
	struct late late = { 0 };
	struct posta_error error;
	struct posta_messaging_report report;
	scene_begin_with(&scene, NULL, (struct posta_messaging_options){ .workers = 2 });
	struct posta_subscription *subscription = posta_event_bus_subscribe(
		scene.bus, "t", "g", on_late, &late, &(struct posta_consume_options){ .dedicated = true }, &error);
	assert_non_null(subscription);
	assert_int_equal(posta_subscription_wait(subscription, 5000, &error), POSTA_OK);
	publish_event(&scene, "t", "1", NULL, NULL);
	while (!atomic_load(&late.handled))
		sched_yield();
	pthread_join(late.thread, NULL);
	assert_int_equal(posta_messaging_stop(scene.messaging, 10000, &report), POSTA_OK);
	assert_int_equal(report.unsettled, 0);
	posta_messaging_free(scene.messaging);
}

struct stuck {
	_Atomic bool entered;
	sem_t go;
};

static enum posta_err on_stuck(void *context, const struct posta_event *event, struct posta_job *job)
{
	struct stuck *stuck = context;
	(void)event, (void)job;
	atomic_store(&stuck->entered, true);
	sem_wait(&stuck->go);
	return POSTA_OK;
}

static void stop__handler_does_not_return__what_it_uses_stays(void **state)
{
	(void)state;
	static struct scene scene; /* so that what is left alone is not taken for lost */
	struct stuck stuck = { 0 };
	struct posta_error error;
	struct posta_consume_options options = { .dedicated = true };
	assert_int_equal(posta_system_start(&(struct posta_system_options){ .workers = 2 }, &scene.system, &error),
			 POSTA_OK);
	sem_init(&stuck.go, 0, 0);
	scene_begin_with(&scene, scene.system, (struct posta_messaging_options){ 0 });
	assert_non_null(posta_event_bus_subscribe(scene.bus, "t", "g", on_stuck, &stuck, &options, &error));
	publish_event(&scene, "t", "1", NULL, NULL);
	while (!atomic_load(&stuck.entered))
		sched_yield();
	assert_int_equal(posta_messaging_stop(scene.messaging, 50, NULL), POSTA_ETIMEDOUT);
	posta_messaging_free(scene.messaging);
	sem_post(&stuck.go);
	assert_int_equal(posta_system_stop(scene.system, 5000, NULL), POSTA_OK);
	sem_destroy(&stuck.go);
}

static enum posta_err publish_inside(struct posta_actor *self, void *state, void *argument)
{
	struct scene *scene = argument;
	struct posta_error error = { 0 };
	(void)self, (void)state;
	struct posta_event *event = posta_event_create("t", "1", "s");
	assert_int_equal(posta_event_bus_publish_wait(scene->bus, "t", event, 1000, &error), POSTA_EWRONGTHREAD);
	assert_int_equal(posta_messaging_stop(scene->messaging, 1000, NULL), POSTA_EWRONGTHREAD);
	posta_event_unref(event);
	return POSTA_OK;
}

static enum posta_err ignore(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}

static void wait__on_a_worker__is_refused(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .start = publish_inside, .receive = ignore };
	struct scene scene;
	struct posta_error error;
	scene_begin(&scene);
	posta_system_spawn(scene.system, &klass, &scene, NULL, &error);
	kit_settle(scene.system);
	scene_end(&scene);
}

static void *get_default(void *out)
{
	*(struct posta_messaging **)out = posta_messaging_default(NULL);
	return NULL;
}

static void default_one__concurrent_first_calls__start_it_once(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	struct posta_messaging *got[THREADS];
	clear_environment();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_default, &got[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		assert_ptr_equal(got[i], got[0]);
	assert_non_null(got[0]);
	assert_int_equal(posta_messaging_default_stop(5000, NULL), POSTA_OK);
	assert_int_equal(posta_messaging_default_stop(5000, NULL), POSTA_OK);
}

static void two_instances__share_a_process(void **state)
{
	(void)state;
	struct scene a, b;
	struct notes notes = { 0 };
	struct posta_error error;
	scene_begin(&a);
	scene_begin(&b);
	assert_non_null(posta_event_bus_subscribe(b.bus, "t", "g", on_event, &notes, NULL, &error));
	publish_event(&a, "t", "1", NULL, NULL);
	kit_settle(a.system);
	kit_settle(b.system);
	assert_int_equal(notes.count, 0); /* memory brokers belong to their system */
	publish_event(&b, "t", "2", NULL, NULL);
	kit_settle(b.system);
	assert_int_equal(notes.count, 1);
	notes_free(&notes);
	scene_end(&a);
	scene_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url__option_before_environment_before_default),
		cmocka_unit_test(client_id__mqtt_gets_a_suffix_unless_fixed),
		cmocka_unit_test(start__bad_url__names_it),
		cmocka_unit_test(start__required_broker_is_down__fails_with_its_name),
		cmocka_unit_test(stop__broker_away__reports_what_was_left_unsent),
		cmocka_unit_test(stop__in_flight_work__is_finished_first),
		cmocka_unit_test(job__done_by_another_thread),
		cmocka_unit_test(stop__handler_does_not_return__what_it_uses_stays),
		cmocka_unit_test(wait__on_a_worker__is_refused),
		cmocka_unit_test(default_one__concurrent_first_calls__start_it_once),
		cmocka_unit_test(two_instances__share_a_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
