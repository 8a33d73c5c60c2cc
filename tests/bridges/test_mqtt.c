/* SPDX-License-Identifier: MIT */
/* The MQTT bridge against a real Mosquitto, its ops called by hand; the conformance kit has the common part too. */
#include "mqtt_scene.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* -- publishing */

static void publish__every_qos__is_confirmed(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);

		for (int qos = -1; qos <= 2; qos++) {
			struct posta_target target = to_topic("a/qos");

			target.qos = qos;
			publish_numbers(core, &target, 0, 1500);
		}
		finish(core);
	}
}

static void publish__more_than_the_window__all_in_order(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("a/window");

		subscribe(core, 1, "a/window", 100);
		publish_numbers(core, &target, 0, 3000);
		assert_true(core->writables > 0);
		settle_as_they_come(core, 3000);
		for (int i = 0; i < 3000; i++)
			assert_int_equal(number_of(core, (size_t)i), i);
		finish(core);
	}
}

static void publish__attributes__come_back(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("a/attributes");
		struct posta_envelope *sent = core_text("id-1", "{\"a\":1}");
		const struct posta_envelope *got;

		posta_envelope_set_text(sent, POSTA_ATTR_CONTENT_TYPE, "application/json");
		posta_envelope_set_text(sent, POSTA_ATTR_REPLY_TO, "a/replies");
		posta_envelope_set(sent, POSTA_ATTR_CORRELATION_ID, "\001\002\377", 3);
		posta_envelope_set_text(sent, POSTA_ATTR_KEY, "k");
		posta_envelope_set_expiry(sent, posta__wall_ms() + 60000);
		posta_envelope_set_priority(sent, 7);
		posta_envelope_add_header(sent, "h", "one", 3);
		posta_envelope_add_header(sent, "h", "two", 3);
		subscribe(core, 1, "a/attributes", 10);
		core_publish(core, &target, sent, false);
		core_wait(core, core->delivery_count == 1);
		got = core->deliveries[0].envelope;
		assert_string_equal(posta_envelope_text(got, POSTA_ATTR_ID), "id-1");
		assert_string_equal(posta_envelope_text(got, POSTA_ATTR_TOPIC), "a/attributes");
		assert_string_equal(posta_envelope_text(got, POSTA_ATTR_CONTENT_TYPE), "application/json");
		assert_string_equal(posta_envelope_text(got, POSTA_ATTR_REPLY_TO), "a/replies");
		assert_string_equal(posta_envelope_text(got, POSTA_ATTR_KEY), "k");
		assert_int_equal(posta_envelope_get(got, POSTA_ATTR_CORRELATION_ID).len, 3);
		assert_memory_equal(posta_envelope_get(got, POSTA_ATTR_CORRELATION_ID).data, "\001\002\377", 3);
		assert_int_equal(posta_envelope_priority(got), 7);
		assert_int_equal(posta_envelope_header_count(got), 2);
		assert_true(posta_envelope_expiry(got) - posta__wall_ms() > 50000);
		assert_true(posta_envelope_expiry(got) - posta__wall_ms() < 61001);
		settle_all(core, POSTA_ACK);
		finish(core);
	}
}

static void publish__past_its_expiry__is_not_sent(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("a/expired");
	struct posta_envelope *envelope = core_text("1", "1");
	uint64_t id;

	(void)state;
	posta_envelope_set_expiry(envelope, posta__wall_ms() - 1);
	id = core_publish(core, &target, envelope, false);
	assert_int_equal(core_confirm_of(core, id)->result, POSTA_EEXPIRED);
	finish(core);
}

static void publish__retained__comes_to_a_later_subscriber(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("a/retained");

	(void)state;
	target.retain = true;
	publish_numbers(core, &target, 7, 8);
	subscribe(core, 1, "a/retained", 10);
	core_wait(core, core->delivery_count == 1);
	assert_int_equal(number_of(core, 0), 7);
	settle_all(core, POSTA_ACK);
	finish(core);
}

static void publish__larger_than_the_broker_takes__is_refused_and_the_connection_stays(void **state)
{
	struct kit_broker_options options = { .message_bytes_max = 10000 };
	struct kit_broker *small = kit_broker_start(KIT_MOSQUITTO, &options);
	struct posta_bridge *core = make_at(kit_broker_url(small), 5);
	struct posta_target target = to_topic("a/big");
	uint64_t id;

	(void)state;
	core_connected(core);
	id = core_publish(core, &target, big(20000), false);
	assert_int_equal(core_confirm_of(core, id)->result, POSTA_ETOOBIG);
	assert_text(core_confirm_of(core, id)->text, "Maximum Packet Size");
	publish_numbers(core, &target, 0, 1);
	finish(core);
	kit_broker_stop(small);
}

/* Mosquitto allows ten; those beyond go by their name. Settled and sent again on a new connection. */
static void publish__by_topic_aliases__each_arrives_under_its_topic(void **state)
{
	static const char *const extra[] = { "topic_aliases", "64", NULL };
	struct posta_bridge *core = make_at(kit_broker_url(broker), 5);
	char topics[15][32];

	(void)state;
	core->options.extra = extra;
	core_connected(core);
	subscribe(core, 1, "alias/+", 1000);
	for (int i = 0; i < 60; i++) {
		struct posta_target target = to_topic(topics[i % 15]);

		snprintf(topics[i % 15], sizeof topics[0], "alias/%d", i % 15);
		target.qos = i % 3;
		core_publish(core, &target, core_text("x", topics[i % 15]), true);
	}
	core->ops->flush(core, core->state);
	settle_as_they_come(core, 60);
	core_wait(core, core->confirm_count == 60);
	assert_int_equal(((struct posta__mqtt *)core->state)->publisher.aliases.count, 10);
	for (size_t i = 0; i < 60; i++) {
		char body[32];

		assert_string_equal(posta_envelope_text(core->deliveries[i].envelope, POSTA_ATTR_TOPIC),
				    body_of(core, i, body, sizeof body));
		assert_int_equal(core->confirms[i].result, POSTA_OK);
	}
	finish(core);
}

static void publish__megabytes__arrive_whole(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("a/mega");

		subscribe(core, 1, "a/mega", 10);
		for (int i = 0; i < 8; i++)
			core_publish(core, &target, big(3u << 20), i < 7);
		settle_as_they_come(core, 8);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(posta_envelope_body(core->deliveries[i].envelope).len, 3u << 20);
		core_wait(core, core->confirm_count == 8);
		finish(core);
	}
}

/* -- settlement */

/* A session that has this subscription, and nobody connected. */
static void leave_a_session(int version, const char *filter)
{
	struct posta_bridge *core = connected(version);

	subscribe(core, 1, filter, 100);
	finish(core);
}

/* Settles batches until n have come; those of the last batch are left. Returns: where it begins. */
static size_t last_batch(struct posta_bridge *core, size_t n)
{
	size_t settled = 0;

	for (;;) {
		core_wait(core, core->delivery_count > settled);
		if (core->delivery_count == n)
			return settled;
		while (settled < core->delivery_count)
			core_settle(core, &core->deliveries[settled++], POSTA_ACK);
	}
}

static void settle__one_is_left__the_whole_batch_comes_again(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("s/left");
		size_t first, again;

		subscribe(core, 1, "s/left", 10);
		publish_numbers(core, &target, 0, 5);
		first = last_batch(core, 5);
		for (size_t i = first; i < 4; i++)
			core_settle(core, &core->deliveries[i], POSTA_ACK);
		core_run_for(core, .1);
		core_free(core);

		core = connected(version);
		subscribe(core, 1, "s/left", 10);
		again = 5 - first;
		core_wait(core, core->delivery_count == again);
		for (size_t i = 0; i < again; i++) {
			assert_int_equal(number_of(core, i), (int)(first + i));
			assert_true(core->deliveries[i].redelivered);
		}
		settle_all(core, POSTA_ACK);
		publish_numbers(core, &target, 9, 10);
		core_wait(core, core->delivery_count == again + 1);
		assert_false(core->deliveries[again].redelivered);
		core_settle(core, &core->deliveries[again], POSTA_REJECT);
		finish(core);

		core = connected(version);
		subscribe(core, 1, "s/left", 10);
		core_run_for(core, .2);
		assert_int_equal(core->delivery_count, 0);
		finish(core);
	}
}

/* In a process of its own: takes all there is, says so, and waits to be killed. */
static void consume_and_hang(int version, const char *filter, size_t n, int say)
{
	struct posta_bridge *core = connected(version);

	subscribe(core, 1, filter, 100);
	core_wait(core, core->delivery_count >= n);
	core_settle(core, &core->deliveries[0], POSTA_ACK);
	core_run_for(core, .1);
	if (write(say, "!", 1) != 1)
		_exit(1);
	core_run_for(core, 60.);
	_exit(1);
}

static void kill9__before_settlement__all_comes_again(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_target target = to_topic("s/kill");
		struct posta_bridge *core;
		int ends[2];
		char byte;
		pid_t child;

		leave_a_session(version, "s/kill");
		core = connected(version);
		publish_numbers(core, &target, 0, 20);
		finish(core);
		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (!child)
			consume_and_hang(version, "s/kill", 1, ends[1]);
		assert_int_equal(read(ends[0], &byte, 1), 1);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(ends[0]);
		close(ends[1]);

		core = connected(version);
		subscribe(core, 1, "s/kill", 100);
		settle_as_they_come(core, 20);
		for (int i = 0; i < 20; i++)
			assert_int_equal(number_of(core, (size_t)i), i);
		assert_true(core->deliveries[0].redelivered);
		finish(core);
	}
}

static void settle__in_a_steady_flow__nothing_is_left_behind(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("s/flow");

	(void)state;
	subscribe(core, 1, "s/flow", 16);
	for (int i = 0; i < 2000; i++) {
		char id[16];

		snprintf(id, sizeof id, "%d", i);
		core_publish(core, &target, core_text(id, id), i % 7 != 0);
	}
	settle_as_they_come(core, 2000);
	finish(core);

	core = connected(5);
	subscribe(core, 1, "s/flow", 16);
	core_run_for(core, .2);
	assert_int_equal(core->delivery_count, 0);
	finish(core);
}

static void credit__is_what_comes_unsettled(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("s/credit");

		subscribe(core, 1, "s/credit", 5);
		for (int i = 0; i < 12; i += 3)
			publish_numbers(core, &target, i, i + 3);
		core_wait(core, core->delivery_count == 5);
		core_run_for(core, .1);
		assert_int_equal(core->delivery_count, 5);
		for (size_t i = 0; i < 4; i++)
			core_settle(core, &core->deliveries[i], POSTA_ACK);
		core_run_for(core, .1);
		assert_int_equal(core->delivery_count, 5);
		core_settle(core, &core->deliveries[4], POSTA_ACK);
		core_wait(core, core->delivery_count == 10);
		for (size_t i = 5; i < 10; i++)
			core_settle(core, &core->deliveries[i], POSTA_ACK);
		core_wait(core, core->delivery_count == 12);
		core_settle(core, &core->deliveries[10], POSTA_ACK);
		core_settle(core, &core->deliveries[11], POSTA_ACK);
		finish(core);
	}
}

static void requeue__comes_again_from_memory(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("s/requeue");

	(void)state;
	subscribe(core, 1, "s/requeue", 10);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 1);
	core_settle(core, &core->deliveries[0], POSTA_REQUEUE);
	core_wait(core, core->delivery_count == 2);
	assert_true(core->deliveries[1].redelivered);
	assert_true(core->deliveries[1].id != core->deliveries[0].id);
	core_settle(core, &core->deliveries[0], POSTA_ACK); /* an old id means nothing */
	core_settle(core, &core->deliveries[1], POSTA_REQUEUE);
	core_wait(core, core->delivery_count == 3);
	core_settle(core, &core->deliveries[2], POSTA_ACK);
	publish_numbers(core, &target, 1, 2);
	core_wait(core, core->delivery_count == 4);
	settle_all(core, POSTA_ACK);
	finish(core);
}

static void finish__with_unsettled__gives_them_back(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("s/finish");

	(void)state;
	subscribe(core, 1, "s/finish", 10);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 1);
	finish(core);

	core = connected(5);
	subscribe(core, 1, "s/finish", 10);
	core_wait(core, core->delivery_count == 1);
	settle_all(core, POSTA_ACK);
	finish(core);
}

/* -- subscriptions */

static void subscribe__overlapping_filters__one_delivery_each(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("o/a/b");
		int counts[4] = { 0 };

		subscribe(core, 1, "o/#", 10);
		subscribe(core, 2, "o/+/b", 10);
		subscribe(core, 3, "o/a/b", 10);
		publish_numbers(core, &target, 0, 1);
		core_wait(core, core->delivery_count == 3);
		core_run_for(core, .1);
		assert_int_equal(core->delivery_count, 3);
		for (int i = 0; i < 3; i++)
			counts[core->deliveries[i].subscription]++;
		for (int i = 1; i < 4; i++)
			assert_int_equal(counts[i], 1);
		settle_all(core, POSTA_ACK);
		finish(core);
	}
}

static void subscribe__slow_one__does_not_hold_up_another(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("o/slow");

	(void)state;
	subscribe(core, 1, "o/slow", 1);
	subscribe(core, 2, "o/slow", 10);
	for (int i = 0; i < 3; i++) {
		publish_numbers(core, &target, i, i + 1);
		core_wait(core, core->delivery_count == (i ? (size_t)i + 2 : 2));
		for (size_t k = 0; k < core->delivery_count; k++)
			if (core->deliveries[k].subscription == 2)
				core_settle(core, &core->deliveries[k], POSTA_ACK);
	}
	finish(core);
}

static void subscribe__shared__each_message_to_one(void **state)
{
	struct posta_source source = {
		.size = sizeof source, .filter = "o/shared", .share = "g", .credit = 10, .qos = -1
	};
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("o/shared");
	int counts[3] = { 0 };

	(void)state;
	assert_int_equal(subscribe_from(core, 1, &source), POSTA_OK);
	assert_int_equal(subscribe_from(core, 2, &source), POSTA_OK);
	publish_numbers(core, &target, 0, 10);
	settle_as_they_come(core, 10);
	core_run_for(core, .1);
	assert_int_equal(core->delivery_count, 10);
	for (int i = 0; i < 10; i++)
		counts[core->deliveries[i].subscription]++;
	assert_true(counts[1] > 0 && counts[2] > 0);
	finish(core);
}

static void subscribe__qos_2__becomes_1(void **state)
{
	struct posta_source source = { .size = sizeof source, .filter = "o/two", .qos = 2 };
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("o/two");

	(void)state;
	target.qos = 2;
	assert_int_equal(subscribe_from(core, 1, &source), POSTA_OK);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 1);
	core_free(core);

	core = connected(5);
	assert_int_equal(subscribe_from(core, 1, &source), POSTA_OK);
	core_wait(core, core->delivery_count == 1);
	settle_all(core, POSTA_ACK);
	finish(core);
}

static void pause__holds_back_until_resume(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("o/pause");

	(void)state;
	subscribe(core, 1, "o/pause", 10);
	core->ops->pause(core, core->state, 1);
	core->ops->pause(core, core->state, 1);
	publish_numbers(core, &target, 0, 3);
	core_run_for(core, .2);
	assert_int_equal(core->delivery_count, 0);
	core->ops->resume(core, core->state, 1);
	settle_as_they_come(core, 3);
	finish(core);
}

static void unsubscribe__no_more_comes_and_the_rest_is_settled(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = connected(version);
		struct posta_target target = to_topic("o/unsubscribe");
		size_t before;

		subscribe(core, 1, "o/unsubscribe", 10);
		publish_numbers(core, &target, 0, 3);
		last_batch(core, 3);
		core->ops->unsubscribe(core, core->state, 1);
		before = core->delivery_count;
		settle_all(core, POSTA_ACK);
		core_run_for(core, .1);
		publish_numbers(core, &target, 3, 6);
		core_run_for(core, .2);
		assert_int_equal(core->delivery_count, before);
		/* The session is gone: what came meanwhile was for nobody. */
		subscribe(core, 2, "o/unsubscribe", 10);
		core_run_for(core, .2);
		assert_int_equal(core->delivery_count, before);
		publish_numbers(core, &target, 6, 7);
		core_wait(core, core->delivery_count == before + 1);
		core_settle(core, &core->deliveries[before], POSTA_ACK);
		finish(core);
	}
}

static void unsubscribe__then_requeue__the_next_one_gets_it(void **state)
{
	struct posta_bridge *core = connected(5);
	struct posta_target target = to_topic("o/given");

	(void)state;
	subscribe(core, 1, "o/given", 10);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 1);
	core->ops->unsubscribe(core, core->state, 1);
	core_settle(core, &core->deliveries[0], POSTA_REQUEUE);
	core_run_for(core, .1);
	subscribe(core, 2, "o/given", 10);
	core_wait(core, core->delivery_count == 2);
	assert_int_equal(core->deliveries[1].subscription, 2);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	finish(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish__every_qos__is_confirmed),
		cmocka_unit_test(publish__more_than_the_window__all_in_order),
		cmocka_unit_test(publish__attributes__come_back),
		cmocka_unit_test(publish__past_its_expiry__is_not_sent),
		cmocka_unit_test(publish__retained__comes_to_a_later_subscriber),
		cmocka_unit_test(publish__larger_than_the_broker_takes__is_refused_and_the_connection_stays),
		cmocka_unit_test(publish__by_topic_aliases__each_arrives_under_its_topic),
		cmocka_unit_test(publish__megabytes__arrive_whole),
		cmocka_unit_test(settle__one_is_left__the_whole_batch_comes_again),
		cmocka_unit_test(kill9__before_settlement__all_comes_again),
		cmocka_unit_test(settle__in_a_steady_flow__nothing_is_left_behind),
		cmocka_unit_test(credit__is_what_comes_unsettled),
		cmocka_unit_test(requeue__comes_again_from_memory),
		cmocka_unit_test(finish__with_unsettled__gives_them_back),
		cmocka_unit_test(subscribe__overlapping_filters__one_delivery_each),
		cmocka_unit_test(subscribe__slow_one__does_not_hold_up_another),
		cmocka_unit_test(subscribe__shared__each_message_to_one),
		cmocka_unit_test(subscribe__qos_2__becomes_1),
		cmocka_unit_test(pause__holds_back_until_resume),
		cmocka_unit_test(unsubscribe__no_more_comes_and_the_rest_is_settled),
		cmocka_unit_test(unsubscribe__then_requeue__the_next_one_gets_it),
	};
	int failed;

	broker = kit_broker_start(KIT_MOSQUITTO, NULL);
	failed = cmocka_run_group_tests_name("mqtt", tests, NULL, NULL);
	kit_broker_stop(broker);
	return failed;
}
