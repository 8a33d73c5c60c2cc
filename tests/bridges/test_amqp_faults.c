/* SPDX-License-Identifier: MIT */
/* The AMQP bridge against a real RabbitMQ that refuses, hides behind TLS, stops, or dies. */
#include "amqp_rabbit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- connecting */

static void assert_down(const char *url, enum posta_err code, const char *words)
{
	struct posta_bridge *core = core_new(&posta__amqp_ops, url);
	struct posta_error error = { 0 };

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
	const char *by_name = url_of("amqp://guest:guest@localhost:%d", kit_broker_port(broker));
	struct posta_bridge *core = core_new(&posta__amqp_ops, by_name);

	core_connected(core);
	finish(core);
}

static void connect__several_hosts__each_try_takes_the_next(void **state)
{
	(void)state;
	const char *url = url_of("amqp://guest:guest@127.0.0.1:1,127.0.0.1:%d,127.0.0.1:2", kit_broker_port(broker));
	struct posta_bridge *core = core_new(&posta__amqp_ops, url);
	struct posta_error error = { 0 };

	assert_int_equal(core->ops->check(url, &core->options, &error), POSTA_OK);
	for (core->attempt = 0; core->attempt < 5; core->attempt++) {
		int downs = core->downs, ups = core->ups;
		assert_int_equal(core_connect(core, &error), POSTA_OK);
		core_wait(core, core->downs > downs || core->ups > ups);
		assert_int_equal(core->ups > ups, core->attempt % 3 == 1);
		assert_non_null(strstr(core->down_text, core->attempt < 2 ? "127.0.0.1:1" : "127.0.0.1:"));
		core_close(core);
	}
	assert_int_equal(core->ops->check("amqp://a,,b", &core->options, &error), POSTA_EINVAL);
	core_free(core);
}

static void tls_connect(const char *host, const char *ca, const char *cert, const char *key, const char *down_words)
{
	char url[200];
	char *ca_file = ca ? kit_broker_file(broker, ca) : NULL;
	char *cert_file = cert ? kit_broker_file(broker, cert) : NULL,
	     *key_file = key ? kit_broker_file(broker, key) : NULL;
	struct posta_error error = { 0 };

	snprintf(url, sizeof url, "amqps://guest:guest@%s:%d", host, kit_broker_door(broker, KIT_TLS));
	struct posta_bridge *core = core_new(&posta__amqp_ops, url);

	core->options.tls = (struct posta_tls){ .ca = ca_file, .cert = cert_file, .key = key_file };
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
	struct posta_bridge *core = core_new(&posta__amqp_ops, kit_broker_url(broker));

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

struct ctl {
	const char *const *argv;
	atomic_bool done;
};

static void *run_ctl(void *context)
{
	struct ctl *ctl = context;

	kit_broker_ctl(broker, ctl->argv);
	atomic_store(&ctl->done, true);
	return NULL;
}

/* rabbitmqctl while the loop goes on: on a busy machine it takes longer than two heartbeats. */
static void ctl_beside(struct posta_bridge *core, const char *const *argv)
{
	struct ctl ctl = { .argv = argv };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run_ctl, &ctl), 0);
	while (!atomic_load(&ctl.done))
		core_run_once(core);
	pthread_join(thread, NULL);
}

static void broker_short_of_memory__blocked_but_acknowledges(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(&posta__amqp_ops, kit_broker_url(broker));
	char *queue = kit_unique("alarm");
	struct posta_target target = to_queue(queue);
	const char *const low[] = { "set_vm_memory_high_watermark", "absolute", "10MiB", NULL },
			  *const usual[] = { "set_vm_memory_high_watermark", "0.4", NULL };

	core->options.heartbeat_ms = 2000;
	core_connected(core);
	publish_numbers(core, &target, 0, 2);
	ctl_beside(core, low);
	core_publish(core, &target, core_text("2", "x"), false);
	core_wait(core, core->blocked);
	subscribe(core, 1, queue, 10);
	core_wait(core, core->delivery_count >= 2);
	for (size_t i = 0; i < core->delivery_count; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	core_run_for(core, 4.5); /* more than two heartbeats */
	assert_int_equal(core->downs, 0);
	ctl_beside(core, usual);
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

static void offer_numbers(struct posta_bridge *core, const struct posta_target *target, int from, int to)
{
	char id[16];

	for (int i = from; i < to; i++) {
		snprintf(id, sizeof id, "%d", i);
		core_publish(core, target, core_text(id, id), i % 50);
	}
}

static void offer_unconfirmed(struct posta_bridge *core)
{
	for (uint64_t id = 1; id < core->next_id; id++) {
		const struct posta_publication *batch[1] = { &core->publications[id] };

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
	char *queue = kit_unique("killed");
	struct posta_target target = to_queue(queue);
	static bool arrived[FLOW];
	size_t settled = 0;

	subscribe(core, 1, queue, 200);
	offer_numbers(core, &target, 0, FLOW / 2);
	while (core->confirm_count < FLOW / 10 && !core->downs)
		flow_round(core, &settled, arrived);
	kit_broker_pause(broker); /* what is offered now has no confirm for certain */
	offer_numbers(core, &target, FLOW / 2, FLOW);
	kit_broker_kill9(broker);
	core_wait(core, core->downs == 1);
	assert_int_equal(core->down_code, POSTA_ECONNECTION);
	assert_true(core->confirm_count <= FLOW / 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect__wrong_password__broker_says_so),
		cmocka_unit_test(connect__no_such_vhost__refused),
		cmocka_unit_test(connect__nobody_there__down),
		cmocka_unit_test(connect__unknown_host__down),
		cmocka_unit_test(connect__by_name__tries_all_addresses),
		cmocka_unit_test(connect__several_hosts__each_try_takes_the_next),
		cmocka_unit_test(tls__known_ca__works),
		cmocka_unit_test(tls__unknown_ca__is_refused),
		cmocka_unit_test(tls__client_certificate__is_checked_by_the_broker),
		cmocka_unit_test(broker_stopped__heartbeats_find_out),
		cmocka_unit_test(broker_short_of_memory__blocked_but_acknowledges),
		cmocka_unit_test(broker_killed__in_mid_flow__nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
