/* SPDX-License-Identifier: MIT */
/* The AMQP bridge against a real RabbitMQ, its ops called by hand. What the common part adds is the conformance kit's. */
#include "amqp_core.h"

#include "brokers.h"

#include <posta/envelope.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE_MAX 1000000

static struct kit_broker *broker;

static struct posta_bridge *connected(void)
{
	struct posta_bridge *core = core_new(kit_broker_url(broker));

	core_connected(core);
	return core;
}

static void subscribe(struct posta_bridge *core, uint32_t id, const char *queue, uint32_t credit)
{
	struct posta_source source = {.size = sizeof source, .queue = queue, .credit = credit};
	int before = core->subscribed_count;

	core->ops->subscribe(core, core->state, id, &source);
	core_wait(core, core->subscribed_count > before);
	assert_int_equal(core->subscribed_result, POSTA_OK);
}

static struct posta_target to_queue(const char *queue)
{
	return (struct posta_target){.size = sizeof(struct posta_target), .queue = queue};
}

static void publish_numbers(struct posta_bridge *core, const struct posta_target *target, int from, int to)
{
	size_t before = core->confirm_count;
	char id[16];

	for (int i = from; i < to; i++) {
		snprintf(id, sizeof id, "%d", i);
		core_publish(core, target, core_text(id, id), i < to - 1);
	}
	core_wait(core, core->confirm_count == before + (size_t)(to - from));
}

static void assert_confirm(const struct posta_bridge *core, uint64_t id, enum posta_err result, const char *words)
{
	const struct core_confirm *confirm = core_confirm_of(core, id);

	assert_non_null(confirm);
	assert_int_equal(confirm->result, result);
	if (!strstr(confirm->text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, confirm->text);
}

/* Settled for good: a new consumer gets nothing. */
static void assert_empty(const char *queue)
{
	struct posta_bridge *core = connected();

	subscribe(core, 1, queue, 10);
	core_run_for(core, .2);
	assert_int_equal(core->delivery_count, 0);
	core_free(core);
}

static void finish(struct posta_bridge *core)
{
	core->ops->finish(core, core->state);
	core_wait(core, core->ended);
	assert_int_equal(core->downs, 0);
	core_free(core);
}

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
			    bad = {.size = sizeof bad, .exchange = "amq.direct", .routing_key = nowhere};
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
	struct posta_target good = to_queue(queue), bad = {.size = sizeof bad, .exchange = missing, .routing_key = "k"};
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
	uint64_t big[2] = {0};

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
	static const int order[] = {3, 1, 0, 2, 7, 5, 9, 8, 6, 4};
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
	struct posta_source source = {.size = sizeof source, .queue = queue, .queue_priority_max = 10};
	const char *const delete_queue[] = {"delete_queue", queue, NULL};

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
	const char *const delete_queue[] = {"delete_queue", queue, NULL};

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
	struct posta_source source = {.size = sizeof source, .exchange = "amq.topic", .routing_key = key};
	struct posta_target target = {.size = sizeof target, .exchange = "amq.topic", .routing_key = key};

	core->ops->subscribe(core, core->state, 1, &source);
	core_wait(core, core->subscribed_count == 1);
	assert_int_equal(core->subscribed_result, POSTA_OK);
	publish_numbers(core, &target, 0, 2);
	core_wait(core, core->delivery_count == 2);
	assert_string_equal(posta_envelope_text(core->deliveries[0].envelope, POSTA_ATTR_TOPIC), key);
	finish(core);
	char *left = kit_broker_ctl_output(broker, (const char *const[]){"list_queues", "name", NULL});

	assert_null(strstr(left, "posta.")); /* it ended with its connection */
	free(left);
	free(key);
}

/* -- connecting */

static void assert_down(const char *url, enum posta_err code, const char *words)
{
	struct posta_bridge *core = core_new(url);
	struct posta_error error = {0};

	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->downs || core->ups);
	assert_int_equal(core->ups, 0);
	assert_int_equal(core->downs, 1);
	if (!strstr(core->down_text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, core->down_text);
	assert_int_equal(core->down_code, code);
	assert_null(strstr(core->down_text, "s3cret"));
	core_free(core);
}

static const char *url_of(const char *format, int port)
{
	static char url[200];

	snprintf(url, sizeof url, format, port);
	return url;
}

static void connect__wrong_password__broker_says_so(void **state)
{
	(void)state;
	assert_down(url_of("amqp://guest:s3cret@127.0.0.1:%d", kit_broker_port(broker)), POSTA_EAUTH, "ACCESS_REFUSED");
}

static void connect__no_such_vhost__refused(void **state)
{
	(void)state;
	assert_down(url_of("amqp://guest:guest@127.0.0.1:%d/nowhere", kit_broker_port(broker)), POSTA_EREFUSED,
		    "nowhere");
}

static void connect__nobody_there__down(void **state)
{
	(void)state;
	assert_down("amqp://guest:s3cret@127.0.0.1:1", POSTA_ECONNECTION, "127.0.0.1:1: Connection refused");
}

static void connect__unknown_host__down(void **state)
{
	(void)state;
	assert_down("amqp://guest:s3cret@no-such-host.invalid", POSTA_ECONNECTION,
		    "cannot resolve no-such-host.invalid");
}

static void connect__by_name__tries_all_addresses(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(url_of("amqp://guest:guest@localhost:%d", kit_broker_port(broker)));

	core_connected(core);
	finish(core);
}

static void tls_connect(const char *host, const char *ca, const char *cert, const char *key, const char *down_words)
{
	char url[200];
	char *ca_file = ca ? kit_broker_file(broker, ca) : NULL;
	char *cert_file = cert ? kit_broker_file(broker, cert) : NULL,
	     *key_file = key ? kit_broker_file(broker, key) : NULL;
	struct posta_error error = {0};

	snprintf(url, sizeof url, "amqps://guest:guest@%s:%d", host, kit_broker_door(broker, KIT_TLS));
	struct posta_bridge *core = core_new(url);

	core->options.tls = (struct posta_tls){.ca = ca_file, .cert = cert_file, .key = key_file};
	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->ups || core->downs);
	if (down_words) {
		assert_int_equal(core->ups, 0);
		if (!strstr(core->down_text, down_words))
			fail_msg("\"%s\" is not in \"%s\"", down_words, core->down_text);
		core_free(core);
	} else {
		if (core->downs)
			fail_msg("down: %s", core->down_text);
		char *queue = kit_unique("tls"), *body = malloc(400001);
		struct posta_target target = to_queue(queue);

		memset(body, 'y', 400000);
		body[400000] = '\0';
		publish_numbers(core, &target, 0, 500);
		core_publish(core, &target, core_text("large", body), false);
		subscribe(core, 1, queue, 1000);
		core_wait(core, core->delivery_count == 501);
		assert_int_equal(posta_envelope_body(core->deliveries[500].envelope).len, 400000);
		finish(core);
		free(queue);
		free(body);
	}
	free(ca_file);
	free(cert_file);
	free(key_file);
}

static void tls__known_ca__works(void **state)
{
	(void)state;
	tls_connect("localhost", "tls/ca.pem", NULL, NULL, NULL);
	tls_connect("127.0.0.1", "tls/ca.pem", NULL, NULL, NULL);
}

static void tls__unknown_ca__is_refused(void **state)
{
	(void)state;
	tls_connect("localhost", NULL, NULL, NULL, "certificate was not accepted");
}

static void tls__client_certificate__is_checked_by_the_broker(void **state)
{
	(void)state;
	tls_connect("localhost", "tls/ca.pem", "tls/client.pem", "tls/client.key", NULL);
	tls_connect("localhost", "tls/ca.pem", "tls/stranger.pem", "tls/stranger.key", "TLS: ");
}

/* -- faults */

static void broker_stopped__heartbeats_find_out(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(kit_broker_url(broker));

	core->options.heartbeat_ms = 1000;
	core_connected(core);
	core_run_for(core, 3.);
	assert_int_equal(core->downs, 0);
	kit_broker_pause(broker);
	core_wait(core, core->downs);
	kit_broker_cont(broker);
	assert_int_equal(core->down_code, POSTA_ETIMEDOUT);
	core_free(core);
}

static void set_memory_limit(const char *how, const char *value)
{
	const char *const argv[] = {"set_vm_memory_high_watermark", how, value, NULL};

	if (*how)
		kit_broker_ctl(broker, argv);
	else
		kit_broker_ctl(broker, (const char *const[]){"set_vm_memory_high_watermark", value, NULL});
}

static void broker_short_of_memory__blocked_but_acknowledges(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(kit_broker_url(broker));
	char *queue = kit_unique("alarm");
	struct posta_target target = to_queue(queue);

	core->options.heartbeat_ms = 1000;
	core_connected(core);
	publish_numbers(core, &target, 0, 2);
	set_memory_limit("absolute", "10MiB");
	core_publish(core, &target, core_text("2", "x"), false);
	core_wait(core, core->blocked);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count >= 2);
	for (size_t i = 0; i < core->delivery_count; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	core_run_for(core, 3.); /* more than two heartbeats */
	assert_int_equal(core->downs, 0);
	set_memory_limit("", "0.4");
	core_wait(core, core->unblocked);
	core_wait(core, core->confirm_count == 3);
	finish(core);
	free(queue);
}

#define FLOW 5000

/* One round of what the common part does all the time. Returns: how many of the numbers have arrived. */
static int flow_round(struct posta_bridge *core, size_t *settled, bool arrived[FLOW])
{
	int count = 0;

	core_run_once(core);
	for (; *settled < core->delivery_count && !core->downs; ++*settled) {
		arrived[atoi(posta_envelope_text(core->deliveries[*settled].envelope, POSTA_ATTR_ID))] = true;
		core_settle(core, &core->deliveries[*settled], POSTA_ACK);
	}
	for (int i = 0; i < FLOW; i++)
		count += arrived[i];
	return count;
}

static void offer_unconfirmed(struct posta_bridge *core)
{
	for (uint64_t id = 1; id < core->next_id; id++) {
		const struct posta_publication *batch[1] = {&core->publications[id]};

		if (!core->confirmed[id])
			assert_int_equal(core->ops->publish(core, core->state, batch, 1), 1);
	}
	core->ops->flush(core, core->state);
}

static void reconnect(struct posta_bridge *core, const char *queue)
{
	core_close(core);
	core->downs = 0;
	core_connected(core);
	subscribe(core, 1, queue, 200);
	offer_unconfirmed(core);
}

/* Offered again, what had no confirm when the broker died arrives; what had one was kept. */
static void broker_killed__in_mid_flow__nothing_is_lost(void **state)
{
	(void)state;
	struct posta_bridge *core = connected();
	char *queue = kit_unique("killed"), id[16];
	struct posta_target target = to_queue(queue);
	static bool arrived[FLOW];
	size_t settled = 0;

	subscribe(core, 1, queue, 200);
	for (int i = 0; i < FLOW; i++) {
		snprintf(id, sizeof id, "%d", i);
		core_publish(core, &target, core_text(id, id), i % 50);
	}
	while (core->confirm_count < FLOW / 10 && !core->downs)
		flow_round(core, &settled, arrived);
	kit_broker_kill9(broker);
	core_wait(core, core->downs == 1);
	assert_int_equal(core->down_code, POSTA_ECONNECTION);
	assert_true(core->confirm_count < FLOW);
	settled = core->delivery_count;
	kit_broker_start_again(broker);
	reconnect(core, queue);
	for (ev_tstamp until = ev_time() + 60.; flow_round(core, &settled, arrived) < FLOW && ev_time() < until;)
		assert_int_equal(core->downs, 0);
	assert_int_equal(flow_round(core, &settled, arrived), FLOW);
	core_wait(core, core->confirm_count == FLOW);
	finish(core);
	assert_empty(queue);
	free(queue);
}

static int start_broker(void **state)
{
	(void)state;
	struct kit_broker_options options = {.tls = true, .message_bytes_max = MESSAGE_MAX};

	broker = kit_broker_start(KIT_RABBITMQ, &options);
	return 0;
}

static int stop_broker(void **state)
{
	(void)state;
	kit_broker_stop(broker);
	return 0;
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
		cmocka_unit_test(unsubscribe__unsettled__may_still_be_settled),
		cmocka_unit_test(subscribe__other_arguments__refused_until_they_fit),
		cmocka_unit_test(subscribe__queue_deleted__comes_in_force_again),
		cmocka_unit_test(subscribe__exchange_without_queue__has_one_of_its_own),
		cmocka_unit_test(connect__wrong_password__broker_says_so),
		cmocka_unit_test(connect__no_such_vhost__refused),
		cmocka_unit_test(connect__nobody_there__down),
		cmocka_unit_test(connect__unknown_host__down),
		cmocka_unit_test(connect__by_name__tries_all_addresses),
		cmocka_unit_test(tls__known_ca__works),
		cmocka_unit_test(tls__unknown_ca__is_refused),
		cmocka_unit_test(tls__client_certificate__is_checked_by_the_broker),
		cmocka_unit_test(broker_stopped__heartbeats_find_out),
		cmocka_unit_test(broker_short_of_memory__blocked_but_acknowledges),
		cmocka_unit_test(broker_killed__in_mid_flow__nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
