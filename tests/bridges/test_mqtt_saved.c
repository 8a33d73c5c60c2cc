/* SPDX-License-Identifier: MIT */
/* confirm_saved: what comes between Mosquitto's acknowledgement and ours. */
#include "mqtt_scene.h"

#include "proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PUBACK 0x40
#define UNSUBACK 0xB0

static struct kit_proxy *proxy;
static atomic_uint pubacks, unsubacks;

/* The broker's packets are small here, and each comes in one piece or several in one. */
static void tap(void *context, unsigned connection, bool from_broker, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	(void)context;
	(void)connection;
	for (size_t i = 0; from_broker && i + 1 < len; i += 2u + at[i + 1]) {
		pubacks += at[i] == PUBACK;
		unsubacks += at[i] == UNSUBACK;
	}
}

static int start(void **state)
{
	struct kit_broker_options options = { .persistent = true };

	(void)state;
	broker = kit_broker_start(KIT_MOSQUITTO, &options);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kit_broker_stop(broker);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	proxy = kit_proxy_start(kit_broker_port(broker));
	kit_proxy_set_tap(proxy, tap, NULL);
	pubacks = unsubacks = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	kit_proxy_stop(proxy);
	return 0;
}

static struct posta_bridge *through_proxy(int version, const char *const *extra)
{
	struct posta_bridge *core;
	char url[64];

	snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", kit_proxy_port(proxy));
	core = make_at(url, version);
	core->options.extra = extra;
	core_connected(core);
	return core;
}

static const char *const saved[] = { "confirm_saved", "1", "max_inflight_messages", "8", NULL };

static void saved__one_publication__two_answers_come_first(void **state)
{
	struct posta_target target = to_topic("saved/one");

	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *core = through_proxy(version, saved);
		unsigned before = unsubacks;

		publish_numbers(core, &target, 0, 1);
		assert_int_equal(unsubacks - before, 2);
		finish(core);
	}
}

static void not_saved__one_publication__the_acknowledgement_is_enough(void **state)
{
	struct posta_target target = to_topic("saved/one");
	struct posta_bridge *core = through_proxy(5, NULL);

	(void)state;
	publish_numbers(core, &target, 0, 1);
	assert_int_equal(unsubacks, 0);
	assert_int_equal(pubacks, 1);
	finish(core);
}

static void saved__more_than_the_window__all_in_order(void **state)
{
	struct posta_target target = to_topic("saved/many");
	struct posta_bridge *core = through_proxy(5, saved);

	(void)state;
	publish_numbers(core, &target, 0, 500);
	for (size_t i = 1; i < core->confirm_count; i++)
		assert_true(core->confirms[i].id > core->confirms[i - 1].id);
	assert_int_equal(pubacks, 500);
	finish(core);
}

static void saved__qos_0__is_confirmed_when_written(void **state)
{
	struct posta_target target = to_topic("saved/none");
	struct posta_bridge *core = through_proxy(5, saved);

	(void)state;
	target.qos = 0;
	publish_numbers(core, &target, 0, 3);
	assert_int_equal(unsubacks, 0);
	finish(core);
}

static void saved__broken_behind_the_acknowledgement__is_not_confirmed(void **state)
{
	struct posta_target target = to_topic("saved/broken");
	struct posta_bridge *core = through_proxy(5, saved);

	(void)state;
	kit_proxy_delay(proxy, 50);
	core_publish(core, &target, core_text("1", "1"), false);
	core_wait(core, unsubacks == 2); /* so it has seen the PUBACK and the first answer */
	kit_proxy_reset(proxy);
	core_wait(core, core->downs);
	assert_int_equal(core->confirm_count, 0);
	core_free(core);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(saved__one_publication__two_answers_come_first),
		TEST(not_saved__one_publication__the_acknowledgement_is_enough),
		TEST(saved__more_than_the_window__all_in_order),
		TEST(saved__qos_0__is_confirmed_when_written),
		TEST(saved__broken_behind_the_acknowledgement__is_not_confirmed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
