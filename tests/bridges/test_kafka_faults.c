/* SPDX-License-Identifier: MIT */
/* The Kafka bridge and what goes wrong: nobody there, refused, killed, frozen. */
#include "kafka_scene.h"

#include "bridges/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kit_broker *broker; /* with all doors */

static char *url_at(const char *scheme, const char *user, enum kit_door door)
{
	char *url = malloc(128);

	assert_non_null(url);
	snprintf(url, 128, "%s://%s127.0.0.1:%d", scheme, user, kit_broker_door(broker, door));
	return url;
}

static struct posta_bridge *at_door(const char *scheme, const char *user, enum kit_door door)
{
	char *url = url_at(scheme, user, door);
	struct posta_bridge *core = kafka_at(url);

	free(url);
	return core;
}

/* -- connecting */

static void connect__nobody_listens__down_with_words(void **state)
{
	(void)state;
	kafka_assert_down(kafka_at("kafka://127.0.0.1:1"), POSTA_ECONNECTION, "refused");
}

static void connect__right_password__is_up(void **state)
{
	struct posta_bridge *core = at_door("kafka", "someone:s3cr3t@", KIT_SASL);

	(void)state;
	core_connected(core);
	kafka_publish(core, kafka_name("sasl"), 0, 3);
	kafka_finish(core);
}

static void connect__wrong_password__is_an_auth_error(void **state)
{
	struct posta_bridge *core = at_door("kafka", "someone:wr0ng@", KIT_SASL);
	struct posta_error error = { 0 };

	(void)state;
	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->downs);
	assert_int_equal(core->down_code, POSTA_EAUTH);
	assert_null(strstr(core->down_text, "wr0ng"));
	core_free(core);
}

/* The nonce that librdkafka before 2.6.1 sends is refused by this broker. */
static void connect__scram_with_an_old_library__the_error_says_why(void **state)
{
	static const char *const extra[] = { "sasl.mechanism", "SCRAM-SHA-256", NULL };
	struct posta_bridge *core = at_door("kafka", "scram:scram-secret@", KIT_SASL);

	(void)state;
	core->options.extra = extra;
	if (rd_kafka_version() >= 0x02060100) {
		core_connected(core);
		kafka_finish(core);
		return;
	}
	kafka_assert_down(core, POSTA_EAUTH, "2.6.1");
}

/* Brokers before 3.8.1 take it, both kinds. */
static void connect__scram_to_a_broker_that_takes_it__is_up(void **state)
{
	static const char *const kinds[] = { "SCRAM-SHA-256", "SCRAM-SHA-512" };
	struct kit_broker_options options = { .user = "someone", .password = "s3cr3t", .version = "3.7.2" };
	struct kit_broker *older = kit_broker_start(KIT_KAFKA, &options);
	char at[128];

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *const extra[] = { "sasl.mechanism", kinds[i], NULL };
		snprintf(at, sizeof at, "kafka://scram:scram-secret@127.0.0.1:%d", kit_broker_door(older, KIT_SASL));
		struct posta_bridge *core = kafka_at(at);
		core->options.extra = extra;
		core_connected(core);
		kafka_publish(core, "scram", i * 3, i * 3 + 3);
		kafka_subscribe(core, 1, "scram", NULL);
		core_wait(core, kafka_has_all(core, i * 3, i * 3 + 3));
		kafka_finish(core);
		snprintf(at, sizeof at, "kafka://scram:wr0ng@127.0.0.1:%d", kit_broker_door(older, KIT_SASL));
		core = kafka_at(at);
		core->options.extra = extra;
		kafka_assert_down(core, POSTA_EAUTH, "uthentication");
	}
	kit_broker_stop(older);
}

static void connect__tls__by_the_ca_of_the_broker_only(void **state)
{
	char *ca = kit_broker_file(broker, "tls/ca.pem");
	struct posta_bridge *core = at_door("kafkas", "", KIT_TLS);
	struct posta_error error = { 0 };

	(void)state;
	core->options.tls.ca = ca;
	core_connected(core);
	kafka_publish(core, kafka_name("tls"), 0, 3);
	kafka_finish(core);
	core = at_door("kafkas", "", KIT_TLS);
	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->downs);
	assert_int_equal(core->ups, 0);
	core_free(core);
	free(ca);
}

static void connect__mutual_tls__needs_a_certificate_of_that_ca(void **state)
{
	char *ca = kit_broker_file(broker, "tls/ca.pem");
	char *certs[] = { kit_broker_file(broker, "tls/client.pem"), kit_broker_file(broker, "tls/stranger.pem") };
	char *keys[] = { kit_broker_file(broker, "tls/client.key"), kit_broker_file(broker, "tls/stranger.key") };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct posta_bridge *core = at_door("kafkas", "", KIT_MTLS);
		struct posta_error error = { 0 };

		core->options.tls = (struct posta_tls){ .ca = ca, .cert = certs[i], .key = keys[i] };
		assert_int_equal(core_connect(core, &error), POSTA_OK);
		core_wait(core, core->ups || core->downs);
		assert_int_equal(core->ups, i == 0);
		core_free(core);
		free(certs[i]);
		free(keys[i]);
	}
	free(ca);
}

/* -- the broker goes away */

static void broker_killed__in_mid_flow__nothing_is_lost(void **state)
{
	const char *topic = kafka_name("killed");
	struct posta_bridge *core = kafka_connected(kit_broker_url(broker));
	struct posta_target target = kafka_to(topic);

	(void)state;
	kafka_publish(core, topic, 0, 1);
	kafka_send(core, &target, 1, 2000, "k");
	core_wait(core, core->confirm_count > 500);
	kit_broker_kill9(broker);
	kafka_send(core, &target, 2000, 3000, "k");
	kit_broker_start_again(broker);
	while (core->confirm_count < 3000) {
		core_run_once(core);
		if (core->downs)
			kafka_again(core);
	}
	struct posta_bridge *reader = kafka_connected(kit_broker_url(broker));

	kafka_subscribe(reader, 1, topic, NULL);
	core_wait(reader, reader->delivery_count >= 3000);
	core_wait(reader, kafka_has_all(reader, 0, 3000));
	kafka_finish(reader);
	kafka_finish(core);
}

static void broker_killed__unsettled__comes_again_and_settled_does_not(void **state)
{
	const char *topic = kafka_name("reader"), *group = kafka_name("group");
	struct posta_bridge *core = kafka_connected(kit_broker_url(broker));

	(void)state;
	kafka_publish(core, topic, 0, 10);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 10);
	for (size_t i = 0; i < 5; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	core_run_for(core, 1.5); /* the commit's interval */
	kit_broker_kill9(broker);
	core_wait(core, core->downs);
	kit_broker_start_again(broker);
	while (core->downs)
		kafka_again(core);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count >= 15);
	assert_int_equal(core->delivery_count, 15);
	assert_int_equal(kafka_number(core, 10), 5);
	kafka_finish(core);
}

static void broker_frozen__publications_in_flight__is_down(void **state)
{
	struct posta_bridge *core = kafka_at(kit_broker_url(broker));
	const char *topic = kafka_name("frozen");
	struct posta_target target = kafka_to(topic);

	(void)state;
	core->options.heartbeat_ms = 1000;
	core_connected(core);
	kafka_publish(core, topic, 0, 1);
	kit_broker_pause(broker);
	kafka_send(core, &target, 1, 2, NULL);
	core_wait(core, core->downs);
	assert_int_equal(core->confirm_count, 1);
	kit_broker_cont(broker);
	ev_tstamp before = ev_time();

	core_free(core);
	assert_true(ev_time() - before < 1.5);
}

/* -- */

static int start(void **state)
{
	struct kit_broker_options options = { .tls = true, .user = "someone", .password = "s3cr3t" };

	(void)state;
	broker = kit_broker_start(KIT_KAFKA, &options);
	return 0;
}

/*
 * At every moment of the joining, because librdkafka before 2.4.0 aborts the process in some of them (kafka_client.c).
 * The connection is closed as after a fault, without finish().
 */
static void closed__while_joining_a_group__the_process_lives(void **state)
{
	const char *topic = kafka_name("joining");
	struct posta_bridge *core = kafka_connected(kit_broker_url(broker));

	(void)state;
	kafka_publish(core, topic, 0, 3);
	kafka_finish(core);
	for (int ms = 0; ms < 120; ms += 4) {
		struct posta_source source = { .size = sizeof source, .topic = topic, .group = kafka_name("joiner") };

		core = kafka_connected(kit_broker_url(broker));
		core->ops->subscribe(core, core->state, 1, &source);
		core_run_for(core, ms / 1000.);
		core_free(core);
	}
}

static int stop(void **state)
{
	(void)state;
	kafka_assert_nothing_left();
	kit_broker_stop(broker);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect__nobody_listens__down_with_words),
		cmocka_unit_test(connect__right_password__is_up),
		cmocka_unit_test(connect__wrong_password__is_an_auth_error),
		cmocka_unit_test(connect__scram_with_an_old_library__the_error_says_why),
		cmocka_unit_test(connect__scram_to_a_broker_that_takes_it__is_up),
		cmocka_unit_test(connect__tls__by_the_ca_of_the_broker_only),
		cmocka_unit_test(connect__mutual_tls__needs_a_certificate_of_that_ca),
		cmocka_unit_test(broker_killed__in_mid_flow__nothing_is_lost),
		cmocka_unit_test(broker_killed__unsettled__comes_again_and_settled_does_not),
		cmocka_unit_test(broker_frozen__publications_in_flight__is_down),
		cmocka_unit_test(closed__while_joining_a_group__the_process_lives),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
