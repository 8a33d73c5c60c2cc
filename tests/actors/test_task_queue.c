/* SPDX-License-Identifier: MIT */
#include "services.h"

static void subscribe(struct scene *scene, const char *name, struct notes *notes,
		      const struct posta_consume_options *options)
{
	struct posta_error error = { 0 };
	if (!posta_task_queue_subscribe(scene->queue, name, on_task, notes, options, &error))
		fail_msg("%s", error.text);
	kit_settle(scene->system);
}

static void backlog__high_before_normal_before_low(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	publish_task(&scene, "email", "\"low\"", POSTA_TASK_LOW);
	publish_task(&scene, "email", "\"normal\"", POSTA_TASK_NORMAL);
	publish_task(&scene, "email", "\"high\"", POSTA_TASK_HIGH);
	kit_settle(scene.system);
	subscribe(&scene, "email", &notes, &(struct posta_consume_options){ .credit = 1 });
	assert_int_equal(notes.count, 3);
	assert_string_equal(notes.seen[0], "\"high\"");
	assert_string_equal(notes.seen[1], "\"normal\"");
	assert_string_equal(notes.seen[2], "\"low\"");
	notes_free(&notes);
	scene_end(&scene);
}

static void two_workers__each_task_is_done_once(void **state)
{
	(void)state;
	struct scene scene;
	struct notes a = { 0 }, b = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "email", &a, &(struct posta_consume_options){ .credit = 1 });
	subscribe(&scene, "email", &b, &(struct posta_consume_options){ .credit = 1 });
	for (int i = 0; i < 100; i++)
		publish_task(&scene, "email", "1", POSTA_TASK_NORMAL);
	kit_settle(scene.system);
	assert_int_equal(a.count + b.count, 100);
	assert_true(a.count > 0 && b.count > 0);
	struct posta_connection_status status;
	assert_int_equal(posta_task_queue_connection_status(scene.queue, &status), POSTA_OK);
	assert_int_equal(status.handled, 100);
	assert_int_equal(status.subscription_count, 2);
	posta_connection_status_fini(&status);
	assert_status(posta_task_queue_connection_status_json(scene.queue), "\"handled\":100,");
	notes_free(&a);
	notes_free(&b);
	scene_end(&scene);
}

static enum posta_err on_dead_task(void *context, const struct posta_task *task, struct posta_job *job)
{
	struct notes *notes = context;
	notes->dead_attempts = posta_task_attempts(task);
	assert_non_null(posta_envelope_header(posta_job_envelope(job), "x-dead-reason").data);
	notes->count++;
	return POSTA_OK;
}

static void failing_task__goes_to_the_dlq_with_its_attempts(void **state)
{
	(void)state;
	struct scene scene;
	struct posta_error error;
	struct notes notes = { .answers = { POSTA_EIO, POSTA_EIO } }, letters = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "email", &notes, NULL);
	assert_non_null(posta_task_queue_subscribe(scene.queue, "email.dlq", on_dead_task, &letters, NULL, &error));
	struct posta_task *task = posta_task_create("t", "1", POSTA_TASK_NORMAL);
	posta_task_set_max_attempts(task, 2);
	assert_int_equal(posta_task_queue_publish_wait(scene.queue, "email", task, 1000, &error), POSTA_OK);
	posta_task_unref(task);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	posta_system_advance(scene.system, 999);
	assert_int_equal(notes.count, 1);
	posta_system_advance(scene.system, 1);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 2);
	assert_int_equal(notes.attempts[1], 2);
	assert_int_equal(letters.count, 1);
	assert_int_equal(letters.dead_attempts, 2);
	notes_free(&notes);
	scene_end(&scene);
}

static void retrying_task__others_do_not_wait(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EIO } };
	scene_begin(&scene);
	subscribe(&scene, "email", &notes, NULL);
	publish_task(&scene, "email", "1", POSTA_TASK_NORMAL);
	publish_task(&scene, "email", "2", POSTA_TASK_NORMAL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 2);
	posta_system_advance(scene.system, 1000);
	assert_int_equal(notes.count, 3);
	assert_string_equal(notes.seen[2], "1");
	notes_free(&notes);
	scene_end(&scene);
}

static void body__no_task__is_a_dead_letter_and_the_flow_goes_on(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "email", &notes,
		  &(struct posta_consume_options){
			  .on_dead = on_dead, .on_dead_context = &notes, .no_dead_letters = true });
	publish_raw(&scene, POSTA_MESSAGING_RABBITMQ, "email", "[1]");
	publish_raw(&scene, POSTA_MESSAGING_RABBITMQ, "email", "{\"type\":\"t\",\"payload\":5}");
	assert_int_equal(notes.dead, 1);
	assert_int_equal(notes.count, 1);
	assert_string_equal(notes.seen[0], "5");
	notes_free(&notes);
	scene_end(&scene);
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	unsigned *tasks = state;
	(void)self;
	if (message->type != POSTA_MSG_TASK)
		return POSTA_EUNHANDLED;
	const struct posta_task_message *arrived = posta_data(message);
	++*tasks;
	posta_job_done(arrived->job, POSTA_OK);
	return POSTA_OK;
}

static void actor__gets_tasks_as_messages(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .receive = worker_receive };
	struct scene scene;
	struct posta_error error;
	unsigned tasks = 0;
	scene_begin(&scene);
	posta_ref ref = posta_system_spawn(scene.system, &klass, &tasks, NULL, &error);
	assert_non_null(posta_task_queue_subscribe_actor(scene.queue, "email", ref, NULL, &error));
	for (int i = 0; i < 50; i++)
		publish_task(&scene, "email", "1", POSTA_TASK_NORMAL);
	kit_settle(scene.system);
	assert_int_equal(tasks, 50);
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backlog__high_before_normal_before_low),
		cmocka_unit_test(two_workers__each_task_is_done_once),
		cmocka_unit_test(failing_task__goes_to_the_dlq_with_its_attempts),
		cmocka_unit_test(retrying_task__others_do_not_wait),
		cmocka_unit_test(body__no_task__is_a_dead_letter_and_the_flow_goes_on),
		cmocka_unit_test(actor__gets_tasks_as_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
