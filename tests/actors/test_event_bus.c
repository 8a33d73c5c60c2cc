/* SPDX-License-Identifier: MIT */
#include "actors/service.h"
#include "services.h"

#include <posta/ask.h>

static struct posta_subscription *subscribe(struct scene *scene, const char *group, struct notes *notes,
					    const struct posta_consume_options *options)
{
	struct posta_error error = { 0 };
	struct posta_subscription *subscription =
		posta_event_bus_subscribe(scene->bus, "reservas", group, on_event, notes, options, &error);
	if (!subscription)
		fail_msg("%s", error.text);
	kit_settle(scene->system);
	assert_true(posta_subscription_ready(subscription));
	return subscription;
}

static void publish__every_group_gets_it_once(void **state)
{
	(void)state;
	struct scene scene;
	struct notes a = { 0 }, b = { 0 }, sent = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "a", &a, NULL);
	subscribe(&scene, "a", &a, NULL); /* a second member of the group */
	subscribe(&scene, "b", &b, NULL);
	for (int i = 0; i < 100; i++)
		publish_event(&scene, "reservas", "{\"a\":1}", NULL, &sent);
	kit_settle(scene.system);
	assert_int_equal(sent.ended, 100);
	assert_int_equal(sent.end, POSTA_OK);
	assert_int_equal(a.count, 100);
	assert_int_equal(b.count, 100);
	assert_string_equal(b.seen[99], "{\"a\":1}");
	notes_free(&a);
	notes_free(&b);
	scene_end(&scene);
}

static void subscribe__new_group__begins_with_the_oldest(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 }, late = { 0 };
	scene_begin(&scene);
	publish_event(&scene, "reservas", "1", NULL, NULL);
	kit_settle(scene.system);
	subscribe(&scene, "g", &notes, NULL);
	subscribe(&scene, "latest", &late, &(struct posta_consume_options){ .from_latest = true });
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	assert_int_equal(late.count, 0);
	notes_free(&notes);
	scene_end(&scene);
}

static void handler__fails__tried_again_after_1000_and_2000_ms_then_dead(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EFAILED, POSTA_EFAILED, POSTA_EIO } }, letters = { 0 };
	struct posta_error error;
	scene_begin(&scene);
	assert_non_null(posta_event_bus_subscribe(scene.bus, "reservas.dlq", "dlq", on_event, &letters, NULL, &error));
	subscribe(&scene, "g", &notes,
		  &(struct posta_consume_options){ .on_dead = on_dead, .on_dead_context = &notes });
	publish_event(&scene, "reservas", "7", NULL, NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	posta_system_advance(scene.system, 999);
	assert_int_equal(notes.count, 1);
	posta_system_advance(scene.system, 1);
	assert_int_equal(notes.count, 2);
	posta_system_advance(scene.system, 1999);
	assert_int_equal(notes.count, 2);
	posta_system_advance(scene.system, 1);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 3);
	assert_int_equal(notes.attempts[2], 3);
	assert_int_equal(notes.dead, 1);
	assert_int_equal(notes.dead_reason, POSTA_EIO);
	assert_int_equal(notes.dead_attempts, 3);
	assert_int_equal(letters.count, 1);
	assert_string_equal(letters.seen[0], "7");
	notes_free(&notes);
	notes_free(&letters);
	scene_end(&scene);
}

static void handler__fails__its_key_waits_and_others_go_on(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EFAILED } };
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	publish_event(&scene, "reservas", "\"a1\"", "a", NULL);
	publish_event(&scene, "reservas", "\"a2\"", "a", NULL);
	publish_event(&scene, "reservas", "\"b1\"", "b", NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 2);
	assert_string_equal(notes.seen[1], "\"b1\"");
	posta_system_advance(scene.system, 1000);
	assert_int_equal(notes.count, 4);
	assert_string_equal(notes.seen[2], "\"a1\"");
	assert_string_equal(notes.seen[3], "\"a2\"");
	notes_free(&notes);
	scene_end(&scene);
}

static void handler__pending__those_behind_follow_at_once(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EPENDING } };
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	for (int i = 0; i < 5; i++)
		publish_event(&scene, "reservas", "1", "k", NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	posta_job_done(notes.jobs[0], POSTA_OK);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 5);
	notes_free(&notes);
	scene_end(&scene);
}

static void handler__pending__ends_when_it_is_done(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EPENDING, POSTA_EPENDING } };
	struct posta_connection_status status;
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	publish_event(&scene, "reservas", "1", "k", NULL);
	publish_event(&scene, "reservas", "2", "k", NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	posta_job_done(notes.jobs[0], POSTA_OK);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 2);
	posta_job_done(notes.jobs[1], POSTA_EIO);
	kit_settle(scene.system);
	posta_system_advance(scene.system, 1000);
	assert_int_equal(notes.count, 3);
	assert_int_equal(notes.attempts[2], 2);
	assert_int_equal(posta_event_bus_connection_status(scene.bus, &status), POSTA_OK);
	assert_int_equal(status.handled, 2);
	assert_int_equal(status.subscription_count, 1);
	assert_string_equal(status.subscriptions[0], "reservas");
	posta_connection_status_fini(&status);
	assert_status(posta_event_bus_connection_status_json(scene.bus), "\"handled\":2,");
	notes_free(&notes);
	scene_end(&scene);
}

static void body__not_json__is_a_dead_letter_and_the_flow_goes_on(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "g", &notes,
		  &(struct posta_consume_options){ .on_dead = on_dead, .on_dead_context = &notes });
	publish_raw(&scene, POSTA_MESSAGING_KAFKA, "reservas", "hola");
	publish_raw(&scene, POSTA_MESSAGING_KAFKA, "reservas", "{\"type\":\"t\",\"data\":{\"n\":1}}");
	assert_int_equal(notes.dead, 1);
	assert_int_equal(notes.dead_reason, POSTA_EFORMAT);
	assert_int_equal(notes.dead_attempts, 0);
	assert_string_equal(notes.dead_text, "not JSON, at byte 0");
	assert_int_equal(notes.count, 1);
	assert_string_equal(notes.seen[0], "{\"n\":1}");
	notes_free(&notes);
	scene_end(&scene);
}

static void connection__lost__nothing_is(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 }, sent = { 0 };
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	for (int i = 0; i < 50; i++)
		publish_event(&scene, "reservas", "1", NULL, &sent);
	posta__memory_drop(scene.system, "bus");
	for (int i = 0; i < 50; i++)
		publish_event(&scene, "reservas", "1", NULL, &sent);
	kit_settle(scene.system);
	for (int i = 0; i < 100; i++)
		posta_system_advance(scene.system, 10);
	kit_settle(scene.system);
	assert_int_equal(sent.ended, 100);
	assert_int_equal(sent.end, POSTA_OK);
	assert_true(notes.count >= 100);
	struct posta_connection_status status;
	assert_int_equal(posta_event_bus_connection_status(scene.bus, &status), POSTA_OK);
	assert_int_equal(status.reconnects, 1);
	assert_true(status.connected);
	posta_connection_status_fini(&status);
	notes_free(&notes);
	scene_end(&scene);
}

static void connection__lost_while_it_waits__the_broker_sends_it_again_once(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EFAILED, POSTA_OK, POSTA_EPENDING } };
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	publish_event(&scene, "reservas", "1", "k", NULL);
	publish_event(&scene, "reservas", "2", "k", NULL);
	publish_event(&scene, "reservas", "3", "other", NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 2);
	posta__memory_drop(scene.system, "bus");
	kit_settle(scene.system);
	for (int i = 0; i < 100; i++)
		posta_system_advance(scene.system, 50);
	assert_true(notes.count >= 3);
	assert_string_equal(notes.seen[2], "1");
	assert_int_equal(notes.attempts[2], 1);
	assert_false(notes.redelivered[0]);
	assert_true(notes.redelivered[2]);
	posta_job_done(notes.jobs[2], POSTA_OK);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 4);
	assert_string_equal(notes.seen[3], "2");
	notes_free(&notes);
	scene_end(&scene);
}

static void cancel__no_more_deliveries(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	struct posta_connection_status status;
	scene_begin(&scene);
	struct posta_subscription *subscription = subscribe(&scene, "g", &notes, NULL);
	posta_subscription_cancel(subscription);
	posta_subscription_cancel(NULL);
	kit_settle(scene.system);
	publish_event(&scene, "reservas", "1", NULL, NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 0);
	assert_int_equal(posta_event_bus_connection_status(scene.bus, &status), POSTA_OK);
	assert_int_equal(status.subscription_count, 0);
	posta_connection_status_fini(&status);
	scene_end(&scene);
}

static void cancel__could_not_begin__is_forgotten(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { 0 };
	struct posta_error error;
	struct posta_connection_status status;
	scene_begin(&scene);
	/* The broker's file refuses an empty group, later than the call. */
	struct posta_subscription *subscription =
		posta_event_bus_subscribe(scene.bus, "reservas", "", on_event, &notes, NULL, &error);
	assert_non_null(subscription);
	posta_subscription_cancel(subscription);
	kit_settle(scene.system);
	assert_int_equal(posta_event_bus_connection_status(scene.bus, &status), POSTA_OK);
	assert_int_equal(status.subscription_count, 0);
	posta_connection_status_fini(&status);
	scene_end(&scene);
}

/* A letter to the dead with as many headers as there may be: ours find no room. */
static enum posta_err crowded_start(struct posta_actor *self, void *state, void *argument)
{
	struct scene *scene = argument;
	struct posta_envelope *envelope = posta_envelope_new();
	const struct posta_target target = { .topic = "reservas", .qos = -1 };
	(void)state;
	posta_envelope_set_body(envelope, "1", 1);
	for (unsigned i = 0; i < POSTA_HEADERS_MAX; i++)
		assert_int_equal(posta_envelope_add_header(envelope, "h", "v", 1), POSTA_OK);
	enum posta_err err = posta_bridge_publish(
		self, posta_messaging_bridge(scene->messaging, POSTA_MESSAGING_KAFKA), &target, envelope, 0);
	posta_envelope_unref(envelope);
	return err;
}

struct waiters {
	const struct posta_subscription *subscription;
	unsigned answered, ready, timed_out;
};

static enum posta_err on_ready(struct posta_actor *self, void *state, enum posta_err status,
			       struct posta_message *reply, void *context)
{
	struct waiters *waiters = context;
	(void)self, (void)state;
	waiters->answered++;
	waiters->timed_out += status == POSTA_ETIMEDOUT;
	waiters->ready += !status && !((const struct posta_subscribed *)posta_data(reply))->result;
	return POSTA_OK;
}

/* As posta_subscription_wait() does it for a thread. */
static void await(struct posta_actor *self, struct waiters *waiters, uint64_t timeout_ms)
{
	struct posta_subscription *subscription = (struct posta_subscription *)(uintptr_t)waiters->subscription;
	const struct posta__await await = { subscription, posta_now_ns(self) + timeout_ms * 1000000 };
	assert_int_equal(posta_ask(self, subscription->service->ref, POSTA__SERVICE_AWAIT_SUBSCRIBED, &await,
				   sizeof await, timeout_ms, on_ready, waiters),
			 POSTA_OK);
}

static enum posta_err waiters_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	for (int i = 0; i < 3; i++)
		await(self, state, 60000);
	await(self, state, 10);
	return POSTA_OK;
}

static enum posta_err waiters_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	await(self, state, 60000);
	return POSTA_OK;
}

static unsigned noted(const struct posta_subscription *subscription)
{
	unsigned n = 0;
	for (const struct posta__waiter *at = subscription->waiters; at; at = at->next)
		n++;
	return n;
}

static void wait__several_for_one_subscription__all_are_answered(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .start = waiters_start, .receive = waiters_receive };
	struct scene scene;
	struct notes notes = { 0 };
	struct posta_error error = { 0 };
	scene_begin(&scene);
	posta__memory_refuse(scene.system, "bus", 1000000);
	posta__memory_drop(scene.system, "bus");
	kit_settle(scene.system);
	struct waiters waiters = {
		.subscription = posta_event_bus_subscribe(scene.bus, "reservas", "g", on_event, &notes, NULL, &error),
	};
	assert_non_null(waiters.subscription);
	posta_ref ref = posta_system_spawn(scene.system, &klass, &waiters, NULL, &error);
	posta_system_advance(scene.system, 100);
	assert_int_equal(waiters.timed_out, 1);
	posta_system_send(scene.system, ref, 1, NULL, 0);
	posta_system_advance(scene.system, 100);
	assert_int_equal(noted(waiters.subscription), 4); /* whoever gave up is forgotten */
	assert_int_equal(waiters.answered, 1);
	posta__memory_refuse(scene.system, "bus", 0);
	posta_system_advance(scene.system, 40000);
	assert_int_equal(waiters.ready, 4);
	assert_int_equal(waiters.answered, 5);
	assert_int_equal(noted(waiters.subscription), 0);
	scene_end(&scene);
}

static void dead_letter__no_room_for_our_headers__goes_without(void **state)
{
	(void)state;
	static const struct posta_actor_class crowded = { .start = crowded_start, .receive = raw_receive };
	struct scene scene;
	struct posta_error error;
	struct notes notes = { .answers = { POSTA_EFAILED } }, letters = { 0 };
	scene_begin(&scene);
	assert_non_null(posta_event_bus_subscribe(scene.bus, "reservas.dlq", "dlq", on_event, &letters, NULL, &error));
	subscribe(&scene, "g", &notes, &(struct posta_consume_options){ .attempts_max = 1 });
	assert_true(posta_system_spawn(scene.system, &crowded, &scene, NULL, &error) != POSTA_NOBODY);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	assert_int_equal(letters.count, 1);
	notes_free(&notes);
	notes_free(&letters);
	scene_end(&scene);
}

static void stop__a_handler_has_a_job__may_let_go_of_it_later(void **state)
{
	(void)state;
	struct scene scene;
	struct notes notes = { .answers = { POSTA_EPENDING } };
	struct posta_messaging_report report;
	scene_begin(&scene);
	subscribe(&scene, "g", &notes, NULL);
	publish_event(&scene, "reservas", "1", NULL, NULL);
	kit_settle(scene.system);
	assert_int_equal(notes.count, 1);
	assert_int_equal(posta_messaging_stop(scene.messaging, 100, &report), POSTA_ETIMEDOUT);
	assert_int_equal(report.unsettled, 1);
	posta_messaging_free(scene.messaging);
	posta_job_done(notes.jobs[0], POSTA_OK); /* nobody hears it, and nothing of it is left */
	notes_free(&notes);
	kit_stop(scene.system);
}

static void strict_types__unknown_ones_are_refused(void **state)
{
	(void)state;
	struct scene scene;
	scene_begin_with(&scene, kit_system(NULL), (struct posta_messaging_options){ .strict_types = true });
	struct posta_event *event = posta_event_create("pago.hecho", NULL, "test");
	assert_int_equal(posta_event_bus_publish(scene.bus, "pagos", event, NULL, NULL), POSTA_EUNSUPPORTED);
	assert_int_equal(posta_event_type_register(scene.bus, "pago.hecho"), POSTA_OK);
	assert_int_equal(posta_event_type_register(scene.bus, "pago.hecho"), POSTA_OK);
	assert_int_equal(posta_event_bus_publish(scene.bus, "pagos", event, NULL, NULL), POSTA_OK);
	posta_event_unref(event);
	publish_event(&scene, "reservas", "1", NULL, NULL);
	kit_settle(scene.system);
	scene_end(&scene);
}

static void publish__bad_arguments__are_refused(void **state)
{
	(void)state;
	struct scene scene;
	struct posta_error error;
	struct notes notes = { 0 };
	scene_begin(&scene);
	struct posta_event *event = posta_event_create("t", NULL, "test");
	assert_int_equal(posta_event_bus_publish(scene.bus, NULL, event, NULL, NULL), POSTA_EINVAL);
	assert_int_equal(posta_event_bus_publish(scene.bus, "a/b", event, NULL, NULL), POSTA_EINVAL);
	assert_int_equal(posta_event_bus_publish(scene.bus, "t", NULL, NULL, NULL), POSTA_EINVAL);
	assert_int_equal(posta_event_bus_publish_wait(scene.bus, "t", event, 1000, &error), POSTA_OK);
	assert_null(posta_event_bus_subscribe(scene.bus, "a b", "g", on_event, &notes, NULL, &error));
	assert_null(posta_event_bus_subscribe(scene.bus, "t", "g", NULL, &notes, NULL, &error));
	posta_event_unref(event);
	scene_end(&scene);
}

/* -- The forms for actors */

struct worker {
	struct scene *scene;
	unsigned events, published;
	bool keep; /* do not settle */
};

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct worker *worker = state;
	if (message->type == POSTA_MSG_PUBLISHED) {
		const struct posta_published *published = posta_data(message);
		assert_int_equal(published->cookie, 42);
		assert_int_equal(published->result, POSTA_OK);
		worker->published++;
	} else if (message->type == POSTA_MSG_EVENT) {
		const struct posta_event_message *arrived = posta_data(message);
		worker->events++;
		if (!worker->keep)
			posta_job_done(arrived->job, POSTA_OK);
	} else {
		struct posta_event *event = posta_event_create("t", "1", "actor");
		posta_event_bus_publish_from(self, worker->scene->bus, "reservas", event, 42);
		posta_event_unref(event);
	}
	return POSTA_OK;
}

static void actor__publishes_and_gets_messages(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .receive = worker_receive };
	struct scene scene;
	struct posta_error error;
	scene_begin(&scene);
	struct worker worker = { .scene = &scene };
	posta_ref ref = posta_system_spawn(scene.system, &klass, &worker, NULL, &error);
	assert_non_null(posta_event_bus_subscribe_actor(scene.bus, "reservas", "g", ref, NULL, &error));
	kit_send(scene.system, ref, 1);
	kit_settle(scene.system);
	assert_int_equal(worker.published, 1);
	assert_int_equal(worker.events, 1);
	worker.keep = true; /* freed without posta_job_done(): failed */
	kit_send(scene.system, ref, 1);
	kit_settle(scene.system);
	worker.keep = false;
	posta_system_advance(scene.system, 1000);
	assert_int_equal(worker.events, 3);
	scene_end(&scene);
}

/* Settles each event at once, but keeps the last message. */
struct keeper {
	struct posta_message *kept;
	bool settles;
};

static enum posta_err keeper_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct keeper *keeper = state;
	if (message->type != POSTA_MSG_EVENT) {
		posta_message_free(self, keeper->kept);
		return POSTA_OK;
	}
	keeper->kept = posta_keep(self, message);
	if (keeper->settles)
		posta_job_done(((const struct posta_event_message *)posta_data(message))->job, POSTA_OK);
	return POSTA_OK;
}

static posta_ref keep_one(struct scene *scene, struct keeper *keeper, struct posta_subscription **subscription)
{
	static const struct posta_actor_class klass = { .receive = keeper_receive };
	struct posta_error error;
	posta_ref ref = posta_system_spawn(scene->system, &klass, keeper, NULL, &error);
	*subscription = posta_event_bus_subscribe_actor(scene->bus, "reservas", "g", ref, NULL, &error);
	assert_non_null(*subscription);
	publish_event(scene, "reservas", "1", NULL, NULL);
	kit_settle(scene->system);
	assert_non_null(keeper->kept);
	return ref;
}

static void message__kept_longer_than_the_subscription__is_whole(void **state)
{
	(void)state;
	struct scene scene;
	struct keeper keeper = { .settles = true };
	struct posta_subscription *subscription;
	scene_begin(&scene);
	posta_ref ref = keep_one(&scene, &keeper, &subscription);
	posta_subscription_cancel(subscription);
	kit_settle(scene.system);
	const struct posta_event_message *message = posta_data(keeper.kept);
	assert_string_equal(posta_job_topic(message->job), "reservas");
	assert_string_equal(posta_event_data(message->event, NULL), "1");
	kit_send(scene.system, ref, 1);
	kit_settle(scene.system);
	scene_end(&scene);
}

static void message__kept_longer_than_messaging__is_whole(void **state)
{
	(void)state;
	struct scene scene;
	struct keeper keeper = { .settles = false };
	struct posta_subscription *subscription;
	struct posta_messaging_report report;
	scene_begin(&scene);
	posta_ref ref = keep_one(&scene, &keeper, &subscription);
	assert_int_equal(posta_messaging_stop(scene.messaging, 100, &report), POSTA_ETIMEDOUT);
	posta_messaging_free(scene.messaging);
	kit_send(scene.system, ref, 1);
	kit_settle(scene.system);
	kit_stop(scene.system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish__every_group_gets_it_once),
		cmocka_unit_test(subscribe__new_group__begins_with_the_oldest),
		cmocka_unit_test(handler__fails__tried_again_after_1000_and_2000_ms_then_dead),
		cmocka_unit_test(handler__fails__its_key_waits_and_others_go_on),
		cmocka_unit_test(handler__pending__those_behind_follow_at_once),
		cmocka_unit_test(handler__pending__ends_when_it_is_done),
		cmocka_unit_test(body__not_json__is_a_dead_letter_and_the_flow_goes_on),
		cmocka_unit_test(connection__lost__nothing_is),
		cmocka_unit_test(connection__lost_while_it_waits__the_broker_sends_it_again_once),
		cmocka_unit_test(cancel__no_more_deliveries),
		cmocka_unit_test(cancel__could_not_begin__is_forgotten),
		cmocka_unit_test(wait__several_for_one_subscription__all_are_answered),
		cmocka_unit_test(dead_letter__no_room_for_our_headers__goes_without),
		cmocka_unit_test(stop__a_handler_has_a_job__may_let_go_of_it_later),
		cmocka_unit_test(strict_types__unknown_ones_are_refused),
		cmocka_unit_test(publish__bad_arguments__are_refused),
		cmocka_unit_test(actor__publishes_and_gets_messages),
		cmocka_unit_test(message__kept_longer_than_the_subscription__is_whole),
		cmocka_unit_test(message__kept_longer_than_messaging__is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
