/* SPDX-License-Identifier: MIT */
/* The AMQP bridge against a real RabbitMQ, its ops called by hand: publishing and consuming. */
#include "amqp_rabbit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- publishing */

static struct posta_envelope *full_envelope(void)
{
	struct posta_envelope *e = core_text("id-1", "{\"a\":1}");

	posta_envelope_set_text(e, POSTA_ATTR_SUBJECT, "subject");
	posta_envelope_set_text(e, POSTA_ATTR_CONTENT_TYPE, "application/json");
	posta_envelope_set_text(e, POSTA_ATTR_KEY, "key");
	posta_envelope_set_text(e, POSTA_ATTR_CORRELATION_ID, "correlation");
	posta_envelope_set_text(e, POSTA_ATTR_REPLY_TO, "answers");
	posta_envelope_set_text(e, POSTA_ATTR_TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	posta_envelope_set_time(e, INT64_C(1764000000123));
	posta_envelope_set_priority(e, 5);
	posta_envelope_set_expiry(e, INT64_C(4000000000000));
	posta_envelope_add_header(e, "one", "1", 1);
	posta_envelope_add_header(e, "many", "a", 1);
	posta_envelope_add_header(e, "many", "b", 1);
	return e;
}

static void assert_same(const struct posta_envelope *a, const struct posta_envelope *b)
{
	for (int i = 0; i < POSTA_ATTR_TOPIC; i++)
		assert_string_equal(posta_envelope_text(a, (enum posta_attribute)i),
				    posta_envelope_text(b, (enum posta_attribute)i));
	assert_int_equal(posta_envelope_time(a), posta_envelope_time(b));
	assert_int_equal(posta_envelope_priority(a), posta_envelope_priority(b));
	assert_int_equal(posta_envelope_expiry(a), posta_envelope_expiry(b));
	assert_int_equal(posta_envelope_header_count(a), posta_envelope_header_count(b));
	for (size_t i = 0; i < posta_envelope_header_count(a); i++) {
		struct posta_bytes x, y;

		assert_string_equal(posta_envelope_header_at(a, i, &x), posta_envelope_header_at(b, i, &y));
		assert_int_equal(x.len, y.len);
		assert_memory_equal(x.data, y.data, x.len);
	}
	struct posta_bytes x = posta_envelope_body(a), y = posta_envelope_body(b);

	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
}

static void round_trip(enum posta_format format)
{
	struct posta_bridge *core = connected();
	struct posta_envelope *sent = full_envelope();
	char *queue = kit_unique("trip");
	struct posta_target target = to_queue(queue);

	target.format = format;
	uint64_t id = core_publish(core, &target, posta_envelope_ref(sent), false);

	core_wait(core, core->confirm_count == 1);
	assert_confirm(core, id, POSTA_OK, "");
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 1);
	assert_same(sent, core->deliveries[0].envelope);
	assert_string_equal(posta_envelope_text(core->deliveries[0].envelope, POSTA_ATTR_TOPIC), queue);
	assert_false(core->deliveries[0].redelivered);
	posta_envelope_unref(sent);
	finish(core);
	free(queue);
}

static void publish__binary__comes_back_whole(void **state)
{
	(void)state;
	round_trip(POSTA_FORMAT_BINARY);
}

static void publish__structured__comes_back_whole(void **state)
{
	(void)state;
	round_trip(POSTA_FORMAT_STRUCTURED);
}

static void publish__larger_than_a_frame__comes_back_whole(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("large"), *body = malloc(700001);
	struct posta_target target = to_queue(queue);

	for (int i = 0; i < 700000; i++)
		body[i] = (char)('a' + i % 23);
	body[700000] = '\0';
	core_publish(core, &target, core_text("1", body), true);
	core_publish(core, &target, core_text("2", ""), false);
	core_wait(core, core->confirm_count == 2);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 2);
	struct posta_bytes got = posta_envelope_body(core->deliveries[0].envelope);

	assert_int_equal(got.len, 700000);
	assert_memory_equal(got.data, body, 700000);
	assert_int_equal(posta_envelope_body(core->deliveries[1].envelope).len, 0);
	finish(core);
	free(body);
	free(queue);
}

static void publish__no_queue_bound__that_one_is_refused(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("bound"), *nowhere = kit_unique("nowhere");
	struct posta_target good = to_queue(queue),
			    bad = { .size = sizeof bad, .exchange = "amq.direct", .routing_key = nowhere };
	uint64_t first = core_publish(core, &good, core_text("1", "a"), true);
	uint64_t lost = core_publish(core, &bad, core_text("2", "b"), true);
	uint64_t last = core_publish(core, &good, core_text("3", "c"), false);

	core_wait(core, core->confirm_count == 3);
	assert_confirm(core, first, POSTA_OK, "");
	assert_confirm(core, lost, POSTA_EREFUSED, "NO_ROUTE");
	assert_confirm(core, last, POSTA_OK, "");
	finish(core);
	free(queue);
	free(nowhere);
}

static void publish__exchange_missing__others_go_on(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("good"), *missing = kit_unique("missing");
	struct posta_target good = to_queue(queue),
			    bad = { .size = sizeof bad, .exchange = missing, .routing_key = "k" };
	uint64_t refused = core_publish(core, &bad, core_text("1", "a"), true);
	uint64_t ok = core_publish(core, &good, core_text("2", "b"), false);

	core_wait(core, core->confirm_count == 2);
	assert_confirm(core, refused, POSTA_EREFUSED, "no exchange");
	assert_confirm(core, ok, POSTA_OK, "");
	finish(core);
	free(queue);
	free(missing);
}

static void publish__queue_has_other_arguments__its_own_are_refused(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("plain"), *other = kit_unique("other");
	struct posta_target plain = to_queue(queue), changed = to_queue(queue), good = to_queue(other);

	publish_numbers(core, &plain, 0, 1);
	changed.queue_priority_max = 10;
	uint64_t refused = core_publish(core, &changed, core_text("1", "a"), true);
	uint64_t again = core_publish(core, &changed, core_text("2", "a"), true);
	uint64_t ok = core_publish(core, &good, core_text("3", "b"), false);

	core_wait(core, core->confirm_count == 4);
	assert_confirm(core, refused, POSTA_EREFUSED, "x-max-priority");
	assert_confirm(core, again, POSTA_EREFUSED, "x-max-priority");
	assert_confirm(core, ok, POSTA_OK, "");
	finish(core);
	free(queue);
	free(other);
}

static void publish__larger_than_the_broker_takes__that_one_is_too_big(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("limit"), *body = malloc(MESSAGE_MAX + 2), id[16];
	struct posta_target target = to_queue(queue);
	uint64_t big[2] = { 0 };

	memset(body, 'x', MESSAGE_MAX + 1);
	body[MESSAGE_MAX + 1] = '\0';
	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof id, "%d", i);
		core_publish(core, &target, core_text(id, id), true);
		if (i == 100)
			big[0] = core_publish(core, &target, core_text("big", body), true);
	}
	core->ops->flush(core, core->state);
	core_wait(core, core->confirm_count == 201);
	big[1] = core_publish(core, &target, core_text("big", body), false);
	core_wait(core, core->confirm_count == 202);
	assert_confirm(core, big[0], POSTA_ETOOBIG, "max size");
	assert_confirm(core, big[1], POSTA_ETOOBIG, "max_message_size");
	for (uint64_t i = 1; i < core->next_id; i++)
		if (i != big[0] && i != big[1])
			assert_confirm(core, i, POSTA_OK, "");
	assert_int_equal(core->downs, 0);
	finish(core);
	free(body);
	free(queue);
}

static void publish__expired__is_not_sent(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("late");
	struct posta_target target = to_queue(queue);
	struct posta_envelope *late = core_text("1", "a");

	posta_envelope_set_expiry(late, 1000);
	uint64_t id = core_publish(core, &target, late, false);

	core_wait(core, core->confirm_count == 1);
	assert_confirm(core, id, POSTA_EEXPIRED, "expired");
	finish(core);
	free(queue);
}

static void publish__many__are_confirmed_and_come_in_order(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("many");
	struct posta_target target = to_queue(queue);
	size_t settled = 0;

	subscribe(core, 1, queue, 64);
	publish_numbers(core, &target, 0, 3000);
	while (settled < 3000) {
		core_wait(core, core->delivery_count > settled);
		for (; settled < core->delivery_count; settled++)
			core_settle(core, &core->deliveries[settled], POSTA_ACK);
	}
	for (int i = 0; i < 3000; i++)
		assert_int_equal(atoi(posta_envelope_text(core->deliveries[i].envelope, POSTA_ATTR_ID)), i);
	finish(core);
	assert_empty(queue);
	free(queue);
}

/* -- consuming */

static void settle__in_any_order__nothing_comes_again(void **state)
{
	(void)state;
	static const int order[] = { 3, 1, 0, 2, 7, 5, 9, 8, 6, 4 };
	struct posta_bridge *core = connected();
	char *queue = kit_unique("order");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 10);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 10);
	for (int i = 0; i < 10; i++) {
		core_settle(core, &core->deliveries[order[i]], POSTA_ACK);
		core_run_once(core);
	}
	finish(core);
	assert_empty(queue);
	free(queue);
}

static void settle__requeue__comes_again(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("again");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 3);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 3);
	core_settle(core, &core->deliveries[0], POSTA_ACK);
	core_settle(core, &core->deliveries[1], POSTA_REQUEUE);
	core_settle(core, &core->deliveries[2], POSTA_REJECT);
	core_wait(core, core->delivery_count == 4);
	assert_string_equal(posta_envelope_text(core->deliveries[3].envelope, POSTA_ATTR_ID), "1");
	assert_true(core->deliveries[3].redelivered);
	core_settle(core, &core->deliveries[3], POSTA_ACK);
	finish(core);
	assert_empty(queue);
	free(queue);
}

static void finish__unsettled__are_given_back(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("back");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 3);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 3);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	finish(core);
	core = connected();
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 2);
	assert_string_equal(posta_envelope_text(core->deliveries[0].envelope, POSTA_ATTR_ID), "0");
	assert_string_equal(posta_envelope_text(core->deliveries[1].envelope, POSTA_ATTR_ID), "2");
	finish(core);
	free(queue);
}

static void credit__used_up__no_more_come(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("credit");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 10);
	subscribe(core, 1, queue, 3);
	core_wait(core, core->delivery_count == 3);
	core_run_for(core, .1);
	assert_int_equal(core->delivery_count, 3);
	core->ops->pause(core, core->state, 1);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	core_run_for(core, .1);
	assert_int_equal(core->delivery_count, 3);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count > 3);
	finish(core);
	free(queue);
}

static void pause__then_resume__nothing_is_lost(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("pause");
	struct posta_target target = to_queue(queue);

	subscribe(core, 1, queue, 100);
	core->ops->pause(core, core->state, 1);
	core->ops->pause(core, core->state, 1);
	core_run_for(core, .1);
	publish_numbers(core, &target, 0, 5);
	core_run_for(core, .1);
	assert_int_equal(core->delivery_count, 0);
	core->ops->resume(core, core->state, 1);
	core->ops->resume(core, core->state, 1);
	core->ops->pause(core, core->state, 1);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count == 5);
	for (size_t i = 0; i < 5; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	finish(core);
	assert_empty(queue);
	free(queue);
}

/* A resumed consumer has its whole prefetch while earlier deliveries are out: the credit holds all the same. */
static void resume__unsettled_are_out__credit_is_kept(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("exact");
	struct posta_target target = to_queue(queue);
	size_t settled = 0;

	publish_numbers(core, &target, 0, 2);
	subscribe(core, 1, queue, 3);
	core_wait(core, core->delivery_count == 2);
	core->ops->pause(core, core->state, 1);
	core_run_for(core, .1);
	publish_numbers(core, &target, 2, 20);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count == 3);
	for (; settled < 20; settled++) {
		core_run_for(core, .02);
		assert_true(core->delivery_count <= settled + 3);
		core_wait(core, core->delivery_count > settled);
		assert_int_equal(atoi(posta_envelope_text(core->deliveries[settled].envelope, POSTA_ATTR_ID)), settled);
		core_settle(core, &core->deliveries[settled], POSTA_ACK);
	}
	finish(core);
	assert_empty(queue);
	free(queue);
}

/* What is held for the credit goes back too. */
static void unsubscribe__more_than_the_credit_came__all_go_back(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("heldback");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 2);
	subscribe(core, 1, queue, 3);
	core_wait(core, core->delivery_count == 2);
	core->ops->pause(core, core->state, 1);
	core_run_for(core, .1);
	publish_numbers(core, &target, 2, 6);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count == 3);
	core_run_for(core, .1);
	for (size_t i = 0; i < 3; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	core->ops->unsubscribe(core, core->state, 1);
	subscribe(core, 2, queue, 10);
	core_wait(core, core->delivery_count == 6);
	for (size_t i = 3; i < 6; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	finish(core);
	assert_empty(queue);
	free(queue);
}

static void unsubscribe__unsettled__may_still_be_settled(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("leave");
	struct posta_target target = to_queue(queue);

	publish_numbers(core, &target, 0, 2);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count == 2);
	core->ops->unsubscribe(core, core->state, 1);
	publish_numbers(core, &target, 2, 3);
	core_run_for(core, .1);
	assert_int_equal(core->delivery_count, 2);
	core_settle(core, &core->deliveries[0], POSTA_ACK);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	subscribe(core, 2, queue, 10);
	core_wait(core, core->delivery_count == 3);
	assert_string_equal(posta_envelope_text(core->deliveries[2].envelope, POSTA_ATTR_ID), "2");
	core_settle(core, &core->deliveries[2], POSTA_ACK);
	finish(core);
	assert_empty(queue);
	free(queue);
}

static void subscribe__other_arguments__refused_until_they_fit(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("args"), *good = kit_unique("good");
	struct posta_target target = to_queue(queue), other = to_queue(good);
	struct posta_source source = { .size = sizeof source, .queue = queue, .queue_priority_max = 10 };
	const char *const delete_queue[] = { "delete_queue", queue, NULL };

	publish_numbers(core, &target, 0, 1);
	subscribe(core, 1, good, 10);
	core->ops->subscribe(core, core->state, 2, &source);
	core_wait(core, core->subscribed_count == 2);
	assert_int_equal(core->subscribed_result, POSTA_EREFUSED);
	assert_non_null(strstr(core->subscribed_text, "x-max-priority"));
	publish_numbers(core, &other, 0, 1);
	core_wait(core, core->delivery_count == 1);
	kit_broker_ctl(broker, delete_queue);
	core_wait(core, core->subscribed_result == POSTA_OK);
	assert_int_equal(core->downs, 0);
	finish(core);
	free(queue);
	free(good);
}

static void subscribe__queue_deleted__comes_in_force_again(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("gone");
	struct posta_target target = to_queue(queue);
	const char *const delete_queue[] = { "delete_queue", queue, NULL };

	subscribe(core, 1, queue, 10);
	kit_broker_ctl(broker, delete_queue);
	core_wait(core, core->subscribed_count == 2);
	assert_int_equal(core->subscribed_result, POSTA_EREFUSED);
	core_wait(core, core->subscribed_count == 3);
	assert_int_equal(core->subscribed_result, POSTA_OK);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 1);
	finish(core);
	free(queue);
}

static void subscribe__exchange_without_queue__has_one_of_its_own(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *key = kit_unique("key");
	struct posta_source source = { .size = sizeof source, .exchange = "amq.topic", .routing_key = key };
	struct posta_target target = { .size = sizeof target, .exchange = "amq.topic", .routing_key = key };

	core->ops->subscribe(core, core->state, 1, &source);
	core_wait(core, core->subscribed_count == 1);
	assert_int_equal(core->subscribed_result, POSTA_OK);
	publish_numbers(core, &target, 0, 2);
	core_wait(core, core->delivery_count == 2);
	assert_string_equal(posta_envelope_text(core->deliveries[0].envelope, POSTA_ATTR_TOPIC), key);
	finish(core);
	char *left = kit_broker_ctl_output(broker, (const char *const[]){ "list_queues", "name", NULL });

	assert_null(strstr(left, "posta.")); /* it ended with its connection */
	free(left);
	free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish__binary__comes_back_whole),
		cmocka_unit_test(publish__structured__comes_back_whole),
		cmocka_unit_test(publish__larger_than_a_frame__comes_back_whole),
		cmocka_unit_test(publish__no_queue_bound__that_one_is_refused),
		cmocka_unit_test(publish__exchange_missing__others_go_on),
		cmocka_unit_test(publish__queue_has_other_arguments__its_own_are_refused),
		cmocka_unit_test(publish__larger_than_the_broker_takes__that_one_is_too_big),
		cmocka_unit_test(publish__expired__is_not_sent),
		cmocka_unit_test(publish__many__are_confirmed_and_come_in_order),
		cmocka_unit_test(settle__in_any_order__nothing_comes_again),
		cmocka_unit_test(settle__requeue__comes_again),
		cmocka_unit_test(finish__unsettled__are_given_back),
		cmocka_unit_test(credit__used_up__no_more_come),
		cmocka_unit_test(pause__then_resume__nothing_is_lost),
		cmocka_unit_test(resume__unsettled_are_out__credit_is_kept),
		cmocka_unit_test(unsubscribe__more_than_the_credit_came__all_go_back),
		cmocka_unit_test(unsubscribe__unsettled__may_still_be_settled),
		cmocka_unit_test(subscribe__other_arguments__refused_until_they_fit),
		cmocka_unit_test(subscribe__queue_deleted__comes_in_force_again),
		cmocka_unit_test(subscribe__exchange_without_queue__has_one_of_its_own),
	};

	return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
