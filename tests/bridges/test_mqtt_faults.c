/* SPDX-License-Identifier: MIT */
/* The MQTT bridge refused, broken and frozen; TLS. */
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

/* -- refusals */

static struct kit_broker *with_acl(char *path)
{
	static const char rules[] = "topic readwrite open/#\ntopic read seen/#\n";
	struct kit_broker_options options = { 0 };
	char config[128];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, rules, sizeof rules - 1), sizeof rules - 1);
	close(fd);
	/* Mosquitto 2.0.11 closes the connection behind a refusal when that queue has no bound. */
	snprintf(config, sizeof config, "max_queued_messages 1000\nacl_file %s", path);
	options.config = config;
	return kit_broker_start(KIT_MOSQUITTO, &options);
}

/* Its ACL file does not forbid subscriptions: see peer__refuses_a_subscription. */
static void acl__forbids__words_of_the_broker(void **state)
{
	char path[] = "/tmp/posta-acl-XXXXXX";
	struct kit_broker *strict = with_acl(path);
	struct posta_bridge *core = make_at(kit_broker_url(strict), 5);
	struct posta_target closed = to_topic("closed/x"), open_topic = to_topic("open/x");
	uint64_t id;

	(void)state;
	core_connected(core);
	id = core_publish(core, &closed, core_text("1", "1"), false);
	core_wait(core, core_confirm_of(core, id));
	assert_int_equal(core_confirm_of(core, id)->result, POSTA_EREFUSED);
	assert_text(core_confirm_of(core, id)->text, "authori");
	publish_numbers(core, &open_topic, 0, 3);
	assert_int_equal(core->downs, 0);
	finish(core);
	kit_broker_stop(strict);
	unlink(path);
}

static void connect__bad_password__is_eauth(void **state)
{
	struct kit_broker_options options = { .user = "u", .password = "p@ss:w/rd" };
	struct kit_broker *strict = kit_broker_start(KIT_MOSQUITTO, &options);
	struct posta_bridge *core;
	char url[64];

	(void)state;
	snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", kit_broker_port(strict));
	EACH_VERSION(version)
	{
		core = make_at(url, version);
		core->options.user = "u";
		core->options.password = "wrong";
		assert_down(core, POSTA_EAUTH, "uthori");
		core = make_at(url, version);
		core->options.user = "u";
		core->options.password = "p@ss:w/rd";
		core_connected(core);
		finish(core);
		snprintf(core->url, 0, " ");
	}
	snprintf(url, sizeof url, "mqtt://u:p%%40ss%%3Aw%%2Frd@127.0.0.1:%d/", kit_broker_port(strict));
	core = make_at(url, 5);
	core_connected(core);
	finish(core);
	kit_broker_stop(strict);
}

static void connect__nobody_listens__says_where(void **state)
{
	(void)state;
	assert_down(make_at("mqtt://127.0.0.1:1", 5), POSTA_ECONNECTION, "127.0.0.1:1: Connection refused");
	assert_down(make_at("mqtt://name.invalid:1883", 5), POSTA_ECONNECTION, "name.invalid");
	assert_down(make_at("mqtts://127.0.0.1:1", 5), POSTA_ECONNECTION, "127.0.0.1:1: Connection refused");
}

static void connect__several_hosts__each_try_takes_the_next(void **state)
{
	struct posta_bridge *core;
	struct posta_error error = { 0 };
	char url[128];

	(void)state;
	snprintf(url, sizeof url, "mqtt://127.0.0.1:1,127.0.0.1:%d", kit_broker_port(broker));
	core = make_at(url, 5);
	assert_int_equal(core->ops->check(url, &core->options, &error), POSTA_OK);
	for (core->attempt = 0; core->attempt < 4; core->attempt++) {
		int downs = core->downs, ups = core->ups;

		assert_int_equal(core_connect(core, &error), POSTA_OK);
		core_wait(core, core->downs > downs || core->ups > ups);
		assert_int_equal(core->ups > ups, core->attempt % 2);
		core_close(core);
	}
	assert_int_equal(core->ops->check("mqtt://a,,b", &core->options, &error), POSTA_EINVAL);
	core_free(core);
}

static void connect__taken_over__says_so(void **state)
{
	(void)state;
	EACH_VERSION(version)
	{
		struct posta_bridge *first = connected(version), *second = connected(version);

		core_wait(first, first->downs);
		assert_text(first->down_text, "another client");
		assert_text(first->down_text, "test-client-pub");
		core_free(first);
		finish(second);
	}
}

/* A broker that answers by the book, but refuses every SUBSCRIBE: the packets of up to four connections. */
static void refuse_subscriptions(int listener)
{
	static const unsigned char connack[] = { 0x20, 3, 0, 0, 0 };
	struct pollfd fds[5] = { { .fd = listener, .events = POLLIN } };
	nfds_t count = 1;

	while (poll(fds, count, 20000) > 0) {
		if (fds[0].revents && count < 5)
			fds[count++] = (struct pollfd){ .fd = accept(listener, NULL, NULL), .events = POLLIN };
		for (nfds_t i = 1; i < count; i++) {
			unsigned char packet[512], suback[] = { 0x90, 4, 0, 0, 0, 0x87 };

			if (!fds[i].revents || read(fds[i].fd, packet, sizeof packet) <= 0)
				continue;
			memcpy(suback + 2, packet + 2, 2);
			if (packet[0] == 0x10 && write(fds[i].fd, connack, sizeof connack) < 0)
				_exit(1);
			if (packet[0] == 0x82 && write(fds[i].fd, suback, sizeof suback) < 0)
				_exit(1);
		}
	}
	_exit(0);
}

static pid_t start_peer(char *url, size_t size)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t child;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 5), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	snprintf(url, size, "mqtt://127.0.0.1:%d", ntohs(address.sin_port));
	child = fork();
	if (!child)
		refuse_subscriptions(listener);
	close(listener);
	return child;
}

static void peer__refuses_a_subscription__the_connection_stays(void **state)
{
	struct posta_source source = { .size = sizeof source, .filter = "closed/x", .qos = 1 };
	char url[64];
	pid_t peer = start_peer(url, sizeof url);
	struct posta_bridge *core = make_at(url, 5);

	(void)state;
	core_connected(core);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(subscribe_from(core, 1, &source), POSTA_EAUTH);
		assert_text(core->subscribed_text, "authori");
	}
	assert_int_equal(core->downs, 0);
	finish(core);
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

/* -- trouble */

static void broker__frozen__is_noticed_within_one_and_a_half_heartbeats(void **state)
{
	struct posta_bridge *core = make_at(kit_broker_url(broker), 5);
	ev_tstamp frozen_at;

	(void)state;
	core->options.heartbeat_ms = 1000;
	core_connected(core);
	subscribe(core, 1, "t/frozen", 10);
	core_run_for(core, 2.5);
	assert_int_equal(core->downs, 0);
	kit_broker_pause(broker);
	frozen_at = ev_time();
	core_wait(core, core->downs);
	kit_broker_cont(broker);
	assert_true(ev_time() - frozen_at < 1.6);
	assert_text(core->down_text, "no sign of life");
	core_free(core);
}

static void broker__killed_and_back__nothing_is_lost(void **state)
{
	struct kit_broker_options options = { .persistent = true };
	(void)state;
	EACH_VERSION(version)
	{
		struct kit_broker *mortal = kit_broker_start(KIT_MOSQUITTO, &options);
		struct posta_bridge *core = make_at(kit_broker_url(mortal), version);
		struct posta_target target = to_topic("t/mortal");
		bool seen[100] = { false };

		core_connected(core);
		subscribe(core, 1, "t/mortal", 10);
		publish_numbers(core, &target, 0, 100);
		core_wait(core, core->delivery_count > 0);
		for (size_t i = 0; i < core->delivery_count; i++)
			seen[number_of(core, i)] = true;
		settle_all(core, POSTA_ACK);
		kit_broker_kill9(mortal);
		core_wait(core, core->downs);
		for (size_t i = 0; i < core->delivery_count; i++)
			seen[number_of(core, i)] = true;
		core_free(core);
		kit_broker_start_again(mortal);
		core = make_at(kit_broker_url(mortal), version);
		core_connected(core);
		subscribe(core, 1, "t/mortal", 10);
		for (size_t settled = 0, missing = 100; missing;) {
			core_wait(core, core->delivery_count > settled);
			for (; settled < core->delivery_count; settled++) {
				seen[number_of(core, settled)] = true;
				core_settle(core, &core->deliveries[settled], POSTA_ACK);
			}
			missing = 0;
			for (int i = 0; i < 100; i++)
				missing += !seen[i];
		}
		finish(core);
		kit_broker_stop(mortal);
	}
}

static void will__is_published_when_the_connection_breaks_only(void **state)
{
	struct posta_bridge *watcher = connected(5), *core;

	(void)state;
	watcher->options.client_id = "watcher";
	subscribe(watcher, 1, "t/will", 10);
	for (int breaks = 0; breaks < 2; breaks++) {
		/* Takes over the watcher's publishing connection; its subscription lives on until that is noticed. */
		core = make_at(kit_broker_url(broker), 5);
		core->options.will_topic = "t/will";
		core->options.will_body = "gone";
		core->options.will_len = 4;
		core->options.will_qos = 1;
		core_connected(core);
		if (breaks)
			core_free(core);
		else
			finish(core);
		core_free(watcher);
		watcher = connected(5);
		subscribe(watcher, 1, "t/will", 10);
		core_run_for(watcher, .2);
		assert_int_equal(watcher->delivery_count, breaks);
	}
	settle_all(watcher, POSTA_ACK);
	finish(watcher);
}

/* In a process of its own: is connected, says so, and waits to be killed. */
static void live_with_a_will(int say)
{
	struct posta_bridge *core = make_at(kit_broker_url(broker), 5);

	core->client_id = "mortal";
	core->options.will_topic = "t/killed";
	core->options.will_body = "was killed";
	core->options.will_len = 10;
	core->options.will_qos = 1;
	core->options.will_retain = true;
	core_connected(core);
	if (write(say, "!", 1) != 1)
		_exit(1);
	core_run_for(core, 60.);
	_exit(1);
}

static void will__process_is_killed__is_published_and_retained(void **state)
{
	struct posta_bridge *watcher;
	int ends[2];
	char byte, text[32];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child)
		live_with_a_will(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	watcher = connected(5);
	subscribe(watcher, 1, "t/killed", 10);
	core_run_for(watcher, .2);
	assert_int_equal(watcher->delivery_count, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	core_wait(watcher, watcher->delivery_count == 1);
	assert_string_equal(body_of(watcher, 0, text, sizeof text), "was killed");
	settle_all(watcher, POSTA_ACK);
	subscribe(watcher, 2, "t/+", 10);
	core_wait(watcher, watcher->delivery_count == 2);
	settle_all(watcher, POSTA_ACK);
	finish(watcher);
}

static void sigpipe__stays_as_the_process_had_it(void **state)
{
	struct sigaction before = { .sa_handler = SIG_DFL }, after;
	struct posta_bridge *core;

	(void)state;
	sigaction(SIGPIPE, &before, NULL);
	core = connected(5);
	sigaction(SIGPIPE, NULL, &after);
	assert_true(after.sa_handler == SIG_DFL);
	finish(core);
}

/* -- TLS */

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void tls__right_and_wrong_certificates(void **state)
{
	struct kit_broker_options options = { .tls = true };
	struct kit_broker *secure = kit_broker_start(KIT_MOSQUITTO, &options);
	struct posta_target target = to_topic("tls/x");
	char *ca = kit_broker_file(secure, "tls/ca.pem"), *cert = kit_broker_file(secure, "tls/client.pem");
	char *key = kit_broker_file(secure, "tls/client.key");
	struct posta_bridge *core;
	char url[64];

	(void)state;
	for (int mutual = 0; mutual < 2; mutual++) {
		snprintf(url, sizeof url, "mqtts://localhost:%d", kit_broker_door(secure, mutual ? KIT_MTLS : KIT_TLS));
		core = make_at(url, mutual ? 4 : 5);
		core->options.tls =
			(struct posta_tls){ .ca = ca, .cert = mutual ? cert : NULL, .key = mutual ? key : NULL };
		core_connected(core);
		subscribe(core, 1, "tls/x", 100);
		publish_numbers(core, &target, 0, 500);
		settle_as_they_come(core, 500);
		core_publish(core, &target, big(3u << 20), false);
		core_wait(core, core->delivery_count == 501);
		settle_all(core, POSTA_ACK);
		finish(core);
	}
	core = make_at(url, 5);
	core->options.tls = (struct posta_tls){ .ca = ca };
	assert_down(core, POSTA_ECONNECTION, "certificate");
	snprintf(url, sizeof url, "mqtts://127.0.0.1:%d", kit_broker_door(secure, KIT_TLS));
	assert_down(make_at(url, 5), POSTA_ECONNECTION, "certificate");
	/* Another address, and a name, of the same listener that the certificate doesn't have. */
	snprintf(url, sizeof url, "mqtts://[::ffff:127.0.0.1]:%d", kit_broker_door(secure, KIT_TLS));
	core = make_at(url, 5);
	core->options.tls = (struct posta_tls){ .ca = ca };
	assert_down(core, POSTA_ECONNECTION, has_ipv6() ? "certificate" : "");
	snprintf(url, sizeof url, "mqtts://127.1:%d", kit_broker_door(secure, KIT_TLS));
	core = make_at(url, 5);
	core->options.tls = (struct posta_tls){ .ca = ca };
	assert_down(core, POSTA_ECONNECTION, "certificate");
	core = make_at(url, 5);
	core->options.tls.insecure = true;
	core_connected(core);
	finish(core);
	snprintf(url, sizeof url, "mqtts://127.0.0.1:%d", kit_broker_port(secure));
	core = make_at(url, 5);
	core->options.tls = (struct posta_tls){ .ca = ca };
	core->options.connect_timeout_ms = 2000;
	assert_down(core, POSTA_ECONNECTION, "");
	free(ca);
	free(cert);
	free(key);
	kit_broker_stop(secure);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acl__forbids__words_of_the_broker),
		cmocka_unit_test(connect__bad_password__is_eauth),
		cmocka_unit_test(connect__nobody_listens__says_where),
		cmocka_unit_test(connect__several_hosts__each_try_takes_the_next),
		cmocka_unit_test(connect__taken_over__says_so),
		cmocka_unit_test(peer__refuses_a_subscription__the_connection_stays),
		cmocka_unit_test(broker__frozen__is_noticed_within_one_and_a_half_heartbeats),
		cmocka_unit_test(broker__killed_and_back__nothing_is_lost),
		cmocka_unit_test(will__is_published_when_the_connection_breaks_only),
		cmocka_unit_test(will__process_is_killed__is_published_and_retained),
		cmocka_unit_test(sigpipe__stays_as_the_process_had_it),
		cmocka_unit_test(tls__right_and_wrong_certificates),
	};
	int failed;

	broker = kit_broker_start(KIT_MOSQUITTO, NULL);
	failed = cmocka_run_group_tests_name("mqtt_faults", tests, NULL, NULL);
	kit_broker_stop(broker);
	return failed;
}
