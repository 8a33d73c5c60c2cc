/* SPDX-License-Identifier: MIT */
/* The memory broker on a virtual clock: delayed publications, whoever keeps the time; seeking in groups and queues. */
#include "bridges/memory.h"

#include <posta/bridge.h>
#include <posta/system.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define ORDER 1u
#define GOT_MAX 4096

/* A user of a bridge, which writes down what it gets. */
struct desk {
	posta_ref ref;
	struct posta_bridge *bridge;
	uint32_t subscription;
	bool acks;
	unsigned confirmed, got;
	uint32_t numbers[GOT_MAX];
	bool redelivered[GOT_MAX];
	struct posta_token tokens[GOT_MAX];
};

struct order {
	void (*run)(struct posta_actor *self, struct desk *desk, const void *what);
	const void *what;
};

static struct posta_system *system_;
static struct desk desks[2];

static void note(struct posta_actor *self, struct desk *desk, const struct posta_delivery *delivery)
{
	memcpy(&desk->numbers[desk->got], posta_envelope_body(delivery->envelope).data, sizeof desk->numbers[0]);
	desk->redelivered[desk->got] = delivery->redelivered;
	desk->tokens[desk->got++] = delivery->token;
	if (desk->acks)
		posta_settle(self, delivery->token, POSTA_ACK);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct desk *desk = state;
	struct order order;
	if (message->type == ORDER) {
		memcpy(&order, posta_data(message), sizeof order);
		order.run(self, desk, order.what);
	} else if (message->type == POSTA_MSG_DELIVERY) {
		note(self, desk, posta_data(message));
	} else if (message->type == POSTA_MSG_PUBLISHED) {
		desk->confirmed += ((const struct posta_published *)posta_data(message))->result == POSTA_OK;
	}
	return POSTA_OK;
}

static const struct posta_actor_class class = { .name = "desk", .receive = receive };

static void do_it(struct desk *desk, void (*run)(struct posta_actor *self, struct desk *desk, const void *what),
		  const void *what)
{
	const struct order order = { run, what };
	posta_system_send(system_, desk->ref, ORDER, &order, sizeof order);
	posta_system_advance(system_, 0);
}

struct publication {
	const struct posta_target *target;
	uint32_t number;
};

static void publish_one(struct posta_actor *self, struct desk *desk, const void *what)
{
	const struct publication *publication = what;
	struct posta_envelope *envelope = posta_envelope_new();
	posta_envelope_set_body(envelope, &publication->number, sizeof publication->number);
	assert_int_equal(posta_bridge_publish(self, desk->bridge, publication->target, envelope, 0), POSTA_OK);
	posta_envelope_unref(envelope);
}

static void publish(struct desk *desk, const struct posta_target *target, uint32_t number)
{
	const struct publication publication = { target, number };
	do_it(desk, publish_one, &publication);
}

static void publish_later(struct desk *desk, uint32_t number, uint32_t delay_ms)
{
	const struct posta_target target = { .size = sizeof target, .queue = "work", .delay_ms = delay_ms };
	publish(desk, &target, number);
}

static void subscribe_one(struct posta_actor *self, struct desk *desk, const void *source)
{
	assert_int_equal(posta_bridge_subscribe(self, desk->bridge, source, &desk->subscription, NULL), POSTA_OK);
}

static void seek_to(struct posta_actor *self, struct desk *desk, const void *position)
{
	assert_int_equal(posta_bridge_seek(self, desk->bridge, desk->subscription,
					   *(const struct posta_position *)position),
			 POSTA_OK);
}

static void pause_it(struct posta_actor *self, struct desk *desk, const void *nothing)
{
	(void)nothing;
	assert_int_equal(posta_bridge_pause(self, desk->bridge, desk->subscription), POSTA_OK);
}

static void open_desk(struct desk *desk)
{
	struct posta_error error;
	desk->bridge = posta_bridge_open(system_, "memory:shop", NULL, &error);
	assert_non_null(desk->bridge);
	desk->ref = posta_system_spawn(system_, &class, desk, NULL, &error);
	posta_system_advance(system_, 1);
}

static int begin(void **state)
{
	(void)state;
	const struct posta_system_options options = {
		.size = sizeof options, .workers = POSTA_HOST_DRIVEN, .virtual_clock = true, .seed = 3
	};
	struct posta_error error;
	memset(desks, 0, sizeof desks);
	assert_int_equal(posta_system_start(&options, &system_, &error), POSTA_OK);
	open_desk(&desks[0]);
	open_desk(&desks[1]);
	return 0;
}

static int end(void **state)
{
	(void)state;
	posta_bridge_close(desks[0].bridge, 10);
	posta_bridge_close(desks[1].bridge, 10);
	posta_system_advance(system_, 5000);
	assert_int_equal(posta_system_stop(system_, 1000, NULL), POSTA_OK);
	return 0;
}

static const struct posta_source from_queue = { .size = sizeof from_queue, .queue = "work" };

/* Two hundred times of day, in a mixed order: each comes at its own, not before. */
static void delay__many_at_once__each_comes_at_its_time(void **state)
{
	(void)state;
	desks[0].acks = true;
	do_it(&desks[0], subscribe_one, &from_queue);
	for (uint32_t i = 0; i < 200; i++)
		publish_later(&desks[1], i * 73 % 200 + 1, (i * 73 % 200 + 1) * 10);
	assert_int_equal(desks[1].confirmed, 200);
	for (unsigned i = 1; i <= 200; i++) {
		posta_system_advance(system_, 9);
		assert_int_equal(desks[0].got, i - 1);
		posta_system_advance(system_, 1);
		assert_int_equal(desks[0].got, i);
		assert_int_equal(desks[0].numbers[i - 1], i);
	}
}

static void delay__of_one_time__come_in_their_order(void **state)
{
	(void)state;
	do_it(&desks[0], subscribe_one, &from_queue);
	for (uint32_t i = 0; i < 50; i++)
		publish_later(&desks[1], i, 100);
	posta_system_advance(system_, 100);
	assert_int_equal(desks[0].got, 50);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(desks[0].numbers[i], i);
}

/* A later one must not hide an earlier one behind the timer that is set already. */
static void delay__shorter_than_what_waits__comes_first(void **state)
{
	(void)state;
	do_it(&desks[0], subscribe_one, &from_queue);
	publish_later(&desks[1], 2, 60000);
	publish_later(&desks[1], 1, 50);
	posta_system_advance(system_, 50);
	assert_int_equal(desks[0].got, 1);
	posta_system_advance(system_, 59900);
	assert_int_equal(desks[0].got, 1);
	posta_system_advance(system_, 100);
	assert_int_equal(desks[0].got, 2);
}

/* The newest connection keeps the time; when it goes, another one does. */
static void delay__timekeeper_goes__another_one_keeps_the_time(void **state)
{
	(void)state;
	do_it(&desks[0], subscribe_one, &from_queue);
	publish_later(&desks[1], 1, 1000);
	posta_system_advance(system_, 500);
	posta_bridge_close(desks[1].bridge, 0);
	desks[1].bridge = NULL;
	posta_system_advance(system_, 499);
	assert_int_equal(desks[0].got, 0);
	posta_system_advance(system_, 2);
	assert_int_equal(desks[0].got, 1);
}

static void delay__all_connections_lost__comes_after_the_reconnect(void **state)
{
	(void)state;
	desks[0].acks = true;
	do_it(&desks[0], subscribe_one, &from_queue);
	publish_later(&desks[1], 1, 1000);
	posta__memory_drop(system_, "shop");
	posta_system_advance(system_, 999);
	assert_int_equal(desks[0].got, 0);
	posta_system_advance(system_, 1);
	assert_int_equal(desks[0].got, 1);
}

static void delay__never_due__is_freed_with_the_broker(void **state)
{
	(void)state;
	publish_later(&desks[1], 1, UINT32_MAX);
	assert_int_equal(desks[1].confirmed, 1);
}

static const struct posta_target to_topic = { .size = sizeof to_topic, .topic = "news" };

static struct posta_bridge_status status(const struct desk *desk)
{
	struct posta_bridge_status now = { .size = sizeof now };
	posta_bridge_status(desk->bridge, &now);
	return now;
}

/* What one has in hand stays its own; what nobody had yet, and what the seeker had, is read from there. */
static void seek__in_a_group__moves_all_of_it(void **state)
{
	(void)state;
	const struct posta_source source = { .size = sizeof source, .topic = "news", .group = "g", .credit = 4 };
	const struct posta_position third = { POSTA_START_OFFSET, 2 };
	do_it(&desks[0], subscribe_one, &source);
	do_it(&desks[1], subscribe_one, &source);
	for (uint32_t i = 0; i < 20; i++)
		publish(&desks[0], &to_topic, i);
	assert_int_equal(desks[0].got, 4);
	assert_int_equal(desks[1].got, 4);
	assert_int_equal(status(&desks[0]).lag + status(&desks[1]).lag, 20);
	do_it(&desks[1], pause_it, NULL);
	do_it(&desks[0], seek_to, &third);
	assert_int_equal(desks[0].got, 8);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(desks[0].numbers[4 + i], 2 + i);
	assert_int_equal(status(&desks[0]).unsettled, 4);
	assert_int_equal(status(&desks[1]).unsettled, 4);
	assert_int_equal(status(&desks[0]).lag + status(&desks[1]).lag, 18 + 4);
}

static void seek__to_the_end__only_what_comes_later(void **state)
{
	(void)state;
	const struct posta_source source = { .size = sizeof source, .filter = "news/#", .credit = 2 };
	const struct posta_target to = { .size = sizeof to, .topic = "news/today" };
	const struct posta_position at_end = { POSTA_START_END, 0 };
	do_it(&desks[0], subscribe_one, &source);
	for (uint32_t i = 0; i < 9; i++)
		publish(&desks[1], &to, i);
	assert_int_equal(desks[0].got, 2);
	do_it(&desks[0], seek_to, &at_end);
	assert_int_equal(status(&desks[0]).lag, 0);
	publish(&desks[1], &to, 77);
	assert_int_equal(desks[0].got, 3);
	assert_int_equal(desks[0].numbers[2], 77);
}

static void seek__beyond_the_end__waits_there(void **state)
{
	(void)state;
	const struct posta_source source = { .size = sizeof source, .topic = "news" };
	const struct posta_position beyond = { POSTA_START_OFFSET, 1000 };
	do_it(&desks[0], subscribe_one, &source);
	publish(&desks[1], &to_topic, 1);
	do_it(&desks[0], seek_to, &beyond);
	publish(&desks[1], &to_topic, 2);
	assert_int_equal(desks[0].got, 2);
	assert_int_equal(desks[0].numbers[1], 2);
}

static void seek__in_a_queue__what_is_unsettled_comes_again(void **state)
{
	(void)state;
	const struct posta_position first = { POSTA_START_BEGINNING, 0 };
	do_it(&desks[0], subscribe_one, &from_queue);
	for (uint32_t i = 0; i < 3; i++)
		publish_later(&desks[1], i, 0);
	do_it(&desks[0], seek_to, &first);
	assert_int_equal(desks[0].got, 6);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(desks[0].numbers[3 + i], i);
		assert_true(desks[0].redelivered[3 + i]);
	}
	assert_int_equal(status(&desks[0]).unsettled, 3);
	assert_int_equal(status(&desks[0]).lag, 3);
}

/* The first of a group tells what waits; when it goes the next one does. */
static void lag__teller_goes__the_next_one_tells(void **state)
{
	(void)state;
	const struct posta_source source = { .size = sizeof source, .queue = "work", .credit = 2 };
	do_it(&desks[0], subscribe_one, &source);
	do_it(&desks[0], pause_it, NULL);
	do_it(&desks[1], subscribe_one, &source);
	for (uint32_t i = 0; i < 10; i++)
		publish_later(&desks[1], i, 0);
	assert_int_equal(status(&desks[0]).lag, 8);
	assert_int_equal(status(&desks[1]).lag, 2);
	posta_system_stop_actor(system_, desks[0].ref, POSTA_OK);
	posta_system_advance(system_, 1);
	assert_int_equal(status(&desks[0]).lag, -1);
	assert_int_equal(status(&desks[1]).lag, 10);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(delay__many_at_once__each_comes_at_its_time),
		TEST(delay__of_one_time__come_in_their_order),
		TEST(delay__shorter_than_what_waits__comes_first),
		TEST(delay__timekeeper_goes__another_one_keeps_the_time),
		TEST(delay__all_connections_lost__comes_after_the_reconnect),
		TEST(delay__never_due__is_freed_with_the_broker),
		TEST(seek__in_a_group__moves_all_of_it),
		TEST(seek__to_the_end__only_what_comes_later),
		TEST(seek__beyond_the_end__waits_there),
		TEST(seek__in_a_queue__what_is_unsettled_comes_again),
		TEST(lag__teller_goes__the_next_one_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
