/* SPDX-License-Identifier: MIT */
/* What AMQP has beyond the contract of all bridges: queues and exchanges as asked for, dead letters, delays. */
#include "amqp_rabbit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void subscribe_from(struct posta_bridge *core, uint32_t id, const struct posta_source *source)
{
	int before = core->subscribed_count;

	core->ops->subscribe(core, core->state, id, source);
	core_wait(core, core->subscribed_count > before);
	assert_int_equal(core->subscribed_result, POSTA_OK);
}

static bool body_is(const struct posta_bridge *core, size_t delivery, const char *text)
{
	struct posta_bytes body = posta_envelope_body(core->deliveries[delivery].envelope);

	return body.len == strlen(text) && memcmp(body.data, text, body.len) == 0;
}

/* A quorum queue counts deliveries; the third is one too many, and what is rejected goes the same way. */
static void queue__quorum_with_a_limit__dead_letters_what_comes_too_often(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *work = kit_unique("quorum"), *dead = kit_unique("dead");
	const char *const arguments[] = { "x-queue-type",
					  "quorum",
					  "x-delivery-limit",
					  "2",
					  "x-dead-letter-exchange",
					  "",
					  "x-dead-letter-routing-key",
					  dead,
					  NULL };
	struct posta_target target = to_queue(work);
	struct posta_source source = {
		.size = sizeof source, .queue = work, .queue_arguments = arguments, .credit = 10
	};

	target.queue_arguments = arguments;
	subscribe(core, 2, dead, 10);
	subscribe_from(core, 1, &source);
	publish_numbers(core, &target, 7, 8);
	for (size_t n = 0; n < 3; n++) {
		core_wait(core, core->delivery_count > n);
		assert_int_equal(core->deliveries[n].subscription, 1);
		core_settle(core, &core->deliveries[n], POSTA_REQUEUE);
	}
	core_wait(core, core->delivery_count == 4);
	assert_int_equal(core->deliveries[3].subscription, 2);
	assert_true(body_is(core, 3, "7"));
	core_settle(core, &core->deliveries[3], POSTA_ACK);
	publish_numbers(core, &target, 8, 9);
	core_wait(core, core->delivery_count == 5);
	core_settle(core, &core->deliveries[4], POSTA_REJECT);
	core_wait(core, core->delivery_count == 6);
	assert_int_equal(core->deliveries[5].subscription, 2);
	assert_true(body_is(core, 5, "8"));
	core_settle(core, &core->deliveries[5], POSTA_ACK);
	const char *const list[] = { "list_queues", "name", "type", NULL };
	char *queues = kit_broker_ctl_output(broker, list), line[128];
	snprintf(line, sizeof line, "%.100s\tquorum", work);
	assert_non_null(strstr(queues, line));
	free(queues);
	core_free(core);
	free(work);
	free(dead);
}

static void queue__arguments_it_was_not_made_with__its_own_are_refused(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("args");
	static const char *const limited[] = { "x-max-length", "5", NULL };
	struct posta_target plain = to_queue(queue), other = to_queue(queue);

	other.queue_arguments = limited;
	publish_numbers(core, &plain, 0, 1);
	uint64_t id = core_publish(core, &other, core_text("x", "x"), false);
	core_wait(core, core_confirm_of(core, id));
	assert_confirm(core, id, POSTA_EREFUSED, "406");
	publish_numbers(core, &plain, 1, 2);
	finish(core);
	free(queue);
}

static void exchange__with_a_type__is_declared_by_both_sides(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *name = kit_unique("fanout"), *later = kit_unique("topics");
	struct posta_source source = {
		.size = sizeof source, .exchange = name, .exchange_type = "fanout", .routing_key = ""
	};
	struct posta_target target = { .size = sizeof target, .exchange = name, .routing_key = "any" };

	for (uint32_t id = 1; id <= 2; id++)
		subscribe_from(core, id, &source);
	publish_numbers(core, &target, 0, 1);
	core_wait(core, core->delivery_count == 2);
	/* By the publisher: there, but nothing is bound. */
	target = (struct posta_target){
		.size = sizeof target, .exchange = later, .routing_key = "a.b", .exchange_type = "topic"
	};
	uint64_t id = core_publish(core, &target, core_text("1", "1"), false);
	core_wait(core, core_confirm_of(core, id));
	assert_confirm(core, id, POSTA_EREFUSED, "no queue");
	source = (struct posta_source){ .size = sizeof source, .exchange = later, .routing_key = "a.*" };
	subscribe_from(core, 3, &source);
	publish_numbers(core, &target, 2, 3);
	core_wait(core, core->delivery_count == 3);
	core_free(core);
	free(name);
	free(later);
}

static void bindings__several__each_leads_to_the_queue(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *key = kit_unique("key"), *direct = kit_unique("direct"), *queue = kit_unique("bound");
	const char *const bindings[] = { "amq.direct", direct, "amq.topic", direct, NULL };
	struct posta_source source = { .size = sizeof source,
				       .queue = queue,
				       .exchange = "amq.topic",
				       .routing_key = key,
				       .bindings = bindings };
	struct posta_target target = { .size = sizeof target, .exchange = "amq.topic", .routing_key = key };

	subscribe_from(core, 1, &source);
	publish_numbers(core, &target, 0, 1);
	target.routing_key = direct;
	publish_numbers(core, &target, 1, 2);
	target.exchange = "amq.direct";
	publish_numbers(core, &target, 2, 3);
	core_wait(core, core->delivery_count == 3);
	/* Without a queue's name, and nothing but the list. */
	source = (struct posta_source){ .size = sizeof source, .bindings = bindings };
	subscribe_from(core, 2, &source);
	publish_numbers(core, &target, 3, 4);
	core_wait(core, core->delivery_count == 5);
	core_free(core);
	free(key);
	free(direct);
	free(queue);
}

/* In tiers: each delay has a queue of its own, so that a long one does not hold up a short one. */
static void delay__in_tiers__each_comes_when_its_time_is_over(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("later");
	struct posta_target now = to_queue(queue), soon = now, late = now;

	soon.delay_ms = 400;
	late.delay_ms = 1200;
	subscribe(core, 1, queue, 10);
	ev_tstamp began = ev_time();
	publish_numbers(core, &late, 3, 4);
	publish_numbers(core, &soon, 2, 3);
	publish_numbers(core, &now, 1, 2);
	core_wait(core, core->delivery_count == 1);
	assert_true(body_is(core, 0, "1"));
	core_wait(core, core->delivery_count == 2);
	assert_true(ev_time() - began >= .4);
	assert_true(body_is(core, 1, "2"));
	core_wait(core, core->delivery_count == 3);
	assert_true(ev_time() - began >= 1.2);
	assert_true(body_is(core, 2, "3"));
	core_free(core);
	free(queue);
}

static void check__declarations__say_what_is_wrong(void **state)
{
	(void)state;
	static const char *const odd[] = { "x-queue-type", NULL }, *const good[] = { "x-queue-type", "quorum", NULL };
	struct posta_bridge *core = core_new(&posta__amqp_ops, "amqp://h");
	struct posta_target target = to_queue("q");
	struct posta_error error = { 0 };

	target.queue_arguments = good;
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_OK);
	target.passive = true;
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_EINVAL);
	target = to_queue("q");
	target.queue_arguments = odd;
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_EINVAL);
	target = to_queue("q");
	target.exchange_type = "topic";
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_EINVAL);
	target = (struct posta_target){ .size = sizeof target, .exchange = "x", .routing_key = "k", .delay_ms = 5 };
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_EINVAL);
	core_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue__quorum_with_a_limit__dead_letters_what_comes_too_often),
		cmocka_unit_test(queue__arguments_it_was_not_made_with__its_own_are_refused),
		cmocka_unit_test(exchange__with_a_type__is_declared_by_both_sides),
		cmocka_unit_test(bindings__several__each_leads_to_the_queue),
		cmocka_unit_test(delay__in_tiers__each_comes_when_its_time_is_over),
		cmocka_unit_test(check__declarations__say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
