/* SPDX-License-Identifier: MIT */
/* The Kafka bridge at the end of a slow link, and of one that breaks. */
#include "kafka_scene.h"
#include "proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY (50u << 10)
#define COUNT 30

static struct kit_proxy *proxy;
static struct kit_broker *broker;

/* Batches that a link may carry: whole ones are all that a broker sends. */
static void fill(const char *topic)
{
	static const char *const extra[] = { "batch.size", "60000", NULL };
	struct posta_bridge *core = kafka_at(kit_broker_url(broker));
	struct posta_target target = kafka_to(topic);
	char *body = malloc(BODY + 1);

	assert_non_null(body);
	memset(body, 'x', BODY);
	body[BODY] = '\0';
	core->options.extra = extra;
	core_connected(core);
	for (int i = 0; i < COUNT; i++)
		core_publish(core, &target, core_text("id", body), i < COUNT - 1);
	core_wait(core, core->confirm_count == COUNT);
	free(body);
	kafka_finish(core);
}

/* All of what the broker would send at once takes longer than the patience with a broker that says nothing. */
static void fetch__slow_link_and_short_heartbeat__moves_on(void **state)
{
	const char *topic = kafka_name("slow");
	struct posta_bridge *core = kafka_at(kit_broker_url(broker));

	(void)state;
	fill(topic);
	kit_proxy_throttle(proxy, 150000);
	core->options.heartbeat_ms = 2000;
	core_connected(core);
	kafka_subscribe(core, 1, topic, NULL);
	core_wait(core, core->delivery_count >= 8);
	assert_int_equal(core->downs, 0);
	kit_proxy_pass(proxy);
	core_wait(core, core->delivery_count == COUNT);
	kafka_finish(core);
}

static struct posta_bridge *through_the_proxy(void)
{
	char url[64];

	snprintf(url, sizeof url, "kafka://127.0.0.1:%d", kit_proxy_port(proxy));
	return kafka_connected(url);
}

/* What was delivered before is settled behind it, and does not come again. */
static void reset__connects_again_at_once__nobody_notices(void **state)
{
	const char *topic = kafka_name("reset");
	struct posta_bridge *core = through_the_proxy();

	(void)state;
	kafka_publish(core, topic, 0, 3);
	kafka_subscribe(core, 1, topic, "reset");
	kafka_assert_numbers(core, 0, 0, 3);
	kit_proxy_reset(proxy);
	kafka_publish(core, topic, 3, 6);
	kafka_assert_numbers(core, 0, 0, 6);
	kafka_settle_from(core, 0, POSTA_ACK);
	assert_int_equal(core->downs + core->revoked, 0);
	kafka_finish(core);
	core = kafka_connected(kit_broker_url(broker));
	kafka_publish(core, topic, 6, 7);
	kafka_subscribe(core, 1, topic, "reset");
	kafka_assert_numbers(core, 0, 6, 1);
	kafka_finish(core);
}

static void reset__nobody_there_any_more__down_with_words(void **state)
{
	struct posta_bridge *core = through_the_proxy();

	(void)state;
	kit_proxy_refuse(proxy);
	kit_proxy_reset(proxy);
	core_wait(core, core->downs);
	assert_int_equal(core->down_code, POSTA_ECONNECTION);
	assert_true(core->down_text[0] != '\0');
	kit_proxy_pass(proxy);
	kafka_again(core);
	assert_int_equal(core->downs, 0);
	kafka_finish(core);
}

/* A broker tells its clients where to connect: at the proxy. */
static int start(void **state)
{
	char advertised[96];
	struct kit_broker_options options = { .config = advertised };

	(void)state;
	proxy = kit_proxy_start(0);
	snprintf(advertised, sizeof advertised, "advertised.listeners=PLAINTEXT://127.0.0.1:%d", kit_proxy_port(proxy));
	broker = kit_broker_begin(KIT_KAFKA, &options);
	kit_broker_wait(broker);
	kit_proxy_aim(proxy, kit_broker_port(broker));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kafka_assert_nothing_left();
	kit_broker_stop(broker);
	kit_proxy_stop(proxy);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch__slow_link_and_short_heartbeat__moves_on),
		cmocka_unit_test(reset__connects_again_at_once__nobody_notices),
		cmocka_unit_test(reset__nobody_there_any_more__down_with_words),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
