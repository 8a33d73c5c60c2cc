/* SPDX-License-Identifier: MIT */
/* The AMQP bridge against a scripted broker: hostile, slow, silent, or wrong in a way that a real one is not. */
#include "amqp_scene.h"

#include "bridges/amqp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- the handshake */

static void handshake__byte_by_byte__up(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	struct posta_error error;

	scene.peer->dribble = true;
	assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
	while (!scene.core->ups && !scene.core->downs) {
		peer_dribble(scene.peer);
		core_run_once(scene.core);
	}
	assert_int_equal(scene.core->ups, 1);
	scene_end(scene);
}

static void handshake__silent__times_out(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	struct posta_error error;

	scene.peer->mute = true;
	scene.core->options.connect_timeout_ms = 300;
	assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
	assert_down(scene, POSTA_ETIMEDOUT, "handshake");
	scene_end(scene);
}

static void handshake__nested_tables__protocol_error(void **state)
{
	(void)state;
	static const unsigned depths[] = { 33, 1000, 20000 };

	for (size_t i = 0; i < 3; i++) {
		struct scene scene = scene_new();
		struct posta_error error;

		scene.peer->nesting = depths[i];
		assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
		assert_down(scene, POSTA_EPROTOCOL, "malformed");
		scene_end(scene);
	}
	struct scene scene = scene_new();

	scene.peer->nesting = 32;
	core_connected(scene.core);
	scene_end(scene);
}

static void handshake__other_protocol__says_so(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	struct posta_error error;

	scene.peer->greeting = "AMQP\1\1\0\x0A";
	scene.peer->greeting_len = 8;
	assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
	assert_down(scene, POSTA_EPROTOCOL, "AMQP 0-9-1");
	scene_end(scene);
	scene = scene_new();
	scene.peer->greeting = "HTTP/1.1 400 Bad Request\r\n";
	scene.peer->greeting_len = 26;
	assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
	assert_down(scene, POSTA_EPROTOCOL, "unknown type");
	scene_end(scene);
}

/* -- addresses */

struct attempt {
	int opened, failed;
	char text[POSTA_ERROR_TEXT_MAX];
};

static void on_opened(void *context)
{
	((struct attempt *)context)->opened++;
}

static size_t on_bytes(void *context, const uint8_t *bytes, size_t len)
{
	(void)context;
	(void)bytes;
	return len;
}

static void on_drained(void *context)
{
	(void)context;
}

static void on_failed(void *context, enum posta_err code, const char *text)
{
	struct attempt *attempt = context;

	attempt->failed++;
	assert_int_equal(code, POSTA_ECONNECTION);
	snprintf(attempt->text, sizeof attempt->text, "%s", text);
}

static void try_ports(struct scene scene, const int ports[2], struct attempt *attempt)
{
	static const struct posta__amqp_socket_ops ops = { on_opened, on_bytes, on_drained, on_failed };
	struct sockaddr_in to[2];
	struct addrinfo list[2] = { { 0 }, { 0 } };
	struct posta__amqp_socket sock = { .ops = &ops,
					   .context = attempt,
					   .loop = scene.core->loop,
					   .host = "h",
					   .peer = "h:1",
					   .in_max = 4096,
					   .out_max = 4096 };

	for (int i = 0; i < 2; i++) {
		to[i] = (struct sockaddr_in){ .sin_family = AF_INET,
					      .sin_port = htons((uint16_t)ports[i]),
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		list[i] = (struct addrinfo){ .ai_family = AF_INET,
					     .ai_addr = (struct sockaddr *)&to[i],
					     .ai_addrlen = sizeof to[i] };
	}
	list[0].ai_next = &list[1];
	posta__amqp_socket_connect(&sock, list, 5.);
	assert_int_equal(attempt->opened + attempt->failed, 0);
	core_wait(scene.core, attempt->opened + attempt->failed > 0);
	posta__amqp_socket_close(&sock);
	posta__amqp_socket_close(&sock);
}

static void connect__first_address_refuses__takes_the_next(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	struct attempt good = { 0 }, bad = { 0 };

	try_ports(scene, (const int[2]){ 1, scene.peer->port }, &good);
	assert_int_equal(good.opened, 1);
	try_ports(scene, (const int[2]){ 1, 1 }, &bad);
	assert_int_equal(bad.failed, 1);
	assert_non_null(strstr(bad.text, "h:1: Connection refused"));
	scene_end(scene);
}

/* -- hostile frames on an open connection */

static void open__hostile_bytes__protocol_error(void **state)
{
	(void)state;
#define CASE(consuming, bytes)                                                                                         \
	{                                                                                                              \
		consuming, bytes, sizeof bytes - 1                                                                     \
	}
	static const struct {
		bool consuming;
		const char *bytes;
		size_t len;
	} cases[] = {
		CASE(true, "\x09\0\1\0\0\0\0\xCE"),                                /* type */
		CASE(true, "\1\0\1\x7F\xFF\xFF\xFF"),                              /* size */
		CASE(true, "\1\0\1\0\0\0\4\0\x3C\0\x50\0"),                        /* no end byte */
		CASE(true, "\1\0\1\0\0\0\4\0\x3C\0\x3C\xCE"),                      /* deliver without fields */
		CASE(true, "\1\0\1\0\0\0\x0B\0\x3C\0\x3C\xFFxxxxxx\xCE"),          /* a string longer than the frame */
		CASE(true, "\1\0\1\0\0\0\4\0\x32\0\x0A\xCE"),                      /* queue.declare: not a broker's */
		CASE(true, "\2\0\1\0\0\0\x0E\0\x3C\0\0\0\0\0\0\0\0\0\1\0\0\xCE"),  /* a header without a delivery */
		CASE(true, "\3\0\1\0\0\0\1x\xCE"),                                 /* a body without a header */
		CASE(true, "\1\0\x09\0\0\0\4\0\x14\0\x29\xCE"),                    /* a channel that is not open */
		CASE(true, "\2\0\1\0\0\0\4\0\x3C\0\0\xCE"),                        /* a header cut short */
		CASE(false, "\2\0\1\0\0\0\x0E\0\x3C\0\0\0\0\0\0\0\0\0\1\0\0\xCE"), /* content without a return */
		CASE(false, "\1\0\5\0\0\0\5\0\x14\0\x0B\0\xCE"),                   /* a channel that is not open */
		CASE(false, "\1\0\0\0\0\0\x0C\0\x0A\0\x1E\x07\xFF\0\2\0\0\0\x3C\xCE"), /* tune again */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene scene = subscribed();

		peer_send_raw(cases[i].consuming ? scene.peer->consuming : scene.peer->publishing, cases[i].bytes,
			      cases[i].len);
		core_wait(scene.core, scene.core->downs == 1);
		if (scene.core->down_code != POSTA_EPROTOCOL)
			fail_msg("case %zu: %s", i, scene.core->down_text);
		scene_end(scene);
	}
}

static void deliver__more_body_than_announced__protocol_error(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	static const uint8_t none[2] = { 0, 0 };

	peer_deliver(scene.peer->consuming, 1, NULL);
	peer_send_content(scene.peer->consuming, 1, none, 2, NULL, 3);
	peer_send_raw(scene.peer->consuming, "\3\0\1\0\0\0\4abcd\xCE", 12);
	assert_down(scene, POSTA_EPROTOCOL, "more than announced");
	scene_end(scene);
}

static void deliver__malformed_headers__rejected_and_the_flow_goes_on(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	static const uint8_t bad[] = { 0x20, 0x00, 0, 0, 0, 4, 1, 'a', 'S', 0 };

	peer_deliver(scene.peer->consuming, 1, NULL);
	peer_send_content(scene.peer->consuming, 1, bad, sizeof bad, "body", 4);
	peer_deliver(scene.peer->consuming, 2, "good");
	core_wait(scene.core, scene.core->delivery_count == 1 && scene.peer->consuming->ack_count == 1);
	assert_memory_equal(posta_envelope_body(scene.core->deliveries[0].envelope).data, "good", 4);
	assert_int_equal(scene.peer->consuming->acks[0].tag, 1);
	assert_true(scene.peer->consuming->acks[0].nack);
	assert_false(scene.peer->consuming->acks[0].requeue);
	assert_int_equal(scene.core->downs, 0);
	scene_end(scene);
}

static void deliver__larger_than_allowed__rejected(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	struct posta_source source = { .size = sizeof source, .queue = "q" };

	scene.core->options.message_bytes_max = 8;
	core_connected(scene.core);
	scene.core->ops->subscribe(scene.core, scene.core->state, 1, &source);
	core_wait(scene.core, scene.core->subscribed_count == 1);
	peer_deliver(scene.peer->consuming, 1, "123456789");
	peer_deliver(scene.peer->consuming, 2, "12345678");
	core_wait(scene.core, scene.core->delivery_count == 1 && scene.peer->consuming->ack_count == 1);
	assert_true(scene.peer->consuming->acks[0].nack);
	assert_int_equal(scene.peer->consuming->acks[0].tag, 1);
	scene_end(scene);
}

static void deliver__in_pieces__comes_whole(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	static const uint8_t none[2] = { 0, 0 };

	scene.peer->dribble = true;
	peer_deliver(scene.peer->consuming, 1, NULL);
	peer_send_content(scene.peer->consuming, 1, none, 2, NULL, 6);
	peer_send_raw(scene.peer->consuming, "\3\0\1\0\0\0\1a\xCE\3\0\1\0\0\0\0\xCE\3\0\1\0\0\0\5bcdef\xCE", 30);
	peer_deliver(scene.peer->consuming, 2, "");
	while (scene.core->delivery_count < 2 && !scene.core->downs) {
		peer_dribble(scene.peer);
		core_run_once(scene.core);
	}
	struct posta_bytes body = posta_envelope_body(scene.core->deliveries[0].envelope);

	assert_int_equal(body.len, 6);
	assert_memory_equal(body.data, "abcdef", 6);
	scene_end(scene);
}

static void settle(struct scene scene, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		core_settle(scene.core, &scene.core->deliveries[i], POSTA_ACK);
}

static void settle__a_few_after_a_few__are_acknowledged_in_one(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	struct peer_link *link = scene.peer->consuming;

	for (uint64_t tag = 1; tag <= 4; tag++)
		peer_deliver(link, tag, "body");
	core_wait(scene.core, scene.core->delivery_count == 4);
	settle(scene, 0, 2);
	ev_run(scene.core->loop, EVRUN_NOWAIT);
	settle(scene, 2, 4);
	core_wait(scene.core, link->ack_count > 0);
	assert_int_equal(link->acks[0].tag, 4);
	assert_true(link->acks[0].multiple);
	scene_end(scene);
}

/* -- heartbeats, closing */

static void heartbeat__idle__goes_out_and_silence_is_found(void **state)
{
	(void)state;
	struct scene scene = scene_new();

	scene.core->options.heartbeat_ms = 1000;
	core_connected(scene.core);
	core_wait(scene.core, scene.peer->publishing->heartbeats >= 2 && scene.peer->consuming->heartbeats >= 2);
	assert_down(scene, POSTA_ETIMEDOUT, "two heartbeats");
	scene_end(scene);
}

/* More than the kernel takes, to a broker that reads nothing but whose heartbeats come. */
static void fill_and_wait(struct scene scene, double seconds)
{
	static char body[100001];
	struct posta_bridge *core = scene.core;
	struct posta_envelope *envelope;

	memset(body, 'x', sizeof body - 1);
	envelope = core_text("1", body);
	scene.peer->deaf = true;
	for (int i = 0; i < 200; i++) {
		core->publications[core->next_id] =
			(struct posta_publication){ core->next_id, &to_exchange, posta_envelope_ref(envelope), NULL };
		const struct posta_publication *batch[1] = { &core->publications[core->next_id++] };

		core->ops->publish(core, core->state, batch, 1);
		core->ops->flush(core, core->state);
	}
	posta_envelope_unref(envelope);
	for (ev_tstamp until = ev_time() + seconds; ev_time() < until && !core->downs;) {
		core_run_for(core, .3);
		peer_send_raw(scene.peer->publishing, "\10\0\0\0\0\0\0\xCE", 8);
		peer_send_raw(scene.peer->consuming, "\10\0\0\0\0\0\0\xCE", 8);
	}
}

static void stuck_output__blocked__is_borne(void **state)
{
	(void)state;
	struct scene scene = scene_new();
	amqp_connection_blocked_t blocked = { amqp_cstring_bytes("low on memory") };

	scene.core->options.heartbeat_ms = 1000;
	core_connected(scene.core);
	fill_and_wait(scene, .1);
	peer_send(scene.peer->publishing, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
	core_wait(scene.core, scene.core->blocked == 1);
	fill_and_wait(scene, 3.);
	assert_int_equal(scene.core->downs, 0);
	scene_end(scene);
}

static void stuck_output__not_blocked__is_found(void **state)
{
	(void)state;
	struct scene scene = scene_new();

	scene.core->options.heartbeat_ms = 1000;
	core_connected(scene.core);
	fill_and_wait(scene, 6.);
	assert_down(scene, POSTA_ETIMEDOUT, "takes no bytes");
	scene_end(scene);
}

static void connection_closed__by_the_broker__its_words(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	amqp_connection_close_t close = { 320, amqp_cstring_bytes("CONNECTION_FORCED - broker\r\nshutdown"), 0, 0 };

	peer_send(scene.peer->consuming, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
	assert_down(scene, POSTA_ECONNECTION, "320 CONNECTION_FORCED - broker  shutdown");
	scene_end(scene);
}

static void finish__no_answer__ends_all_the_same(void **state)
{
	(void)state;
	struct scene scene = subscribed();

	scene.peer->mute = true;
	scene.core->ops->finish(scene.core, scene.core->state);
	core_wait(scene.core, scene.core->ended == 1);
	assert_int_equal(scene.core->downs, 0);
	scene_end(scene);
}

static void close__at_any_moment__leaves_nothing(void **state)
{
	(void)state;
	for (int turns = 0; turns < 12; turns++) {
		struct scene scene = scene_new();
		struct posta_error error;

		assert_int_equal(core_connect(scene.core, &error), POSTA_OK);
		for (int i = 0; i < turns; i++)
			ev_run(scene.core->loop, EVRUN_NOWAIT);
		core_close(scene.core);
		core_run_once(scene.core);
		assert_int_equal(scene.core->downs, 0);
		scene_end(scene);
	}
}

/* -- checks */

/* There are 127 types of BIO in a process; a number beyond them is taken for flags. */
static void tls__opened_300_times__its_socket_is_of_the_same_type(void **state)
{
	(void)state;
	const struct posta_tls options = { .insecure = true };
	struct posta_error error;
	int type = 0;

	for (int i = 0; i < 300; i++) {
		struct posta__tls *tls = posta__tls_new("test", &options, &error);
		SSL *ssl = tls ? posta__tls_open(tls, 0, "localhost") : NULL;

		assert_non_null(ssl);
		type = i ? type : BIO_method_type(SSL_get_rbio(ssl));
		assert_int_equal(BIO_method_type(SSL_get_rbio(ssl)), type);
		SSL_free(ssl);
		posta__tls_free(tls);
	}
}

static void check__what_amqp_has_no_use_for__is_named(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(&posta__amqp_ops, "amqp://x");
	const struct posta_bridge_ops *ops = core->ops;
	struct posta_error error;
	char long_name[300] = { 0 };
	const char *const odd[] = { "e", NULL }, *const unnamed[] = { "", "k", NULL }, *const none[] = { NULL },
			  *const too_long[] = { "e", long_name, NULL }, *many[2 * 65 + 1] = { 0 };

	memset(long_name, 'n', 256);
	for (size_t i = 0; i < 2 * 65; i++)
		many[i] = "e";
	const struct {
		struct posta_target target;
		const char *word;
	} targets[] = { { { .topic = "t" }, "topic" },
			{ { .queue = "q", .retain = true }, "retain" },
			{ { .queue = "q", .exchange = "e" }, "either" },
			{ { 0 }, "needs" },
			{ { .queue = long_name }, "255" },
			{ { .queue = "q", .queue_priority_max = 256 }, "queue_priority_max" } };
	const struct {
		struct posta_source source;
		const char *word;
	} sources[] = { { { .queue = "q", .group = "g" }, "group" },
			{ { .filter = "f" }, "filter" },
			{ { 0 }, "needs" },
			{ { .queue = "q", .routing_key = "k" }, "exchange" },
			{ { .queue = "q", .bindings = odd }, "in turn" },
			{ { .queue = "q", .bindings = unnamed }, "with a name" },
			{ { .queue = "q", .bindings = none }, "empty" },
			{ { .queue = "q", .bindings = too_long }, "255" },
			{ { .queue = "q", .bindings = many }, "more than 64" } };

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		assert_int_equal(ops->check_target(&targets[i].target, &error), POSTA_EINVAL);
		assert_non_null(strstr(error.text, targets[i].word));
	}
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		assert_int_equal(ops->check_source(&sources[i].source, &error), POSTA_EINVAL);
		assert_non_null(strstr(error.text, sources[i].word));
	}
	core_free(core);
}

static void check__url_and_extras__errors_hide_the_password(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new(&posta__amqp_ops, "amqp://x");
	const char *const good[] = { "frame_max", "8192", NULL }, *const bad[] = { "frame_max", "1", NULL },
			  *const unknown[] = { "x", "1", NULL };
	struct posta_bridge_options options = { .size = sizeof options };
	struct posta_error error;

	assert_int_equal(core->ops->check("amqp://u:s3cret@h:99999999/v", &options, &error), POSTA_EINVAL);
	assert_null(strstr(error.text, "s3cret"));
	assert_int_equal(core->ops->check("amqp://h", &options, &error), POSTA_OK);
	assert_int_equal(core->ops->check("amqps://u:p@h:1/%2f", &options, &error), POSTA_OK);
	options.extra = good;
	assert_int_equal(core->ops->check("amqp://h", &options, &error), POSTA_OK);
	options.extra = bad;
	assert_int_equal(core->ops->check("amqp://h", &options, &error), POSTA_EINVAL);
	options.extra = unknown;
	assert_int_equal(core->ops->check("amqp://h", &options, &error), POSTA_EINVAL);
	core_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake__byte_by_byte__up),
		cmocka_unit_test(handshake__silent__times_out),
		cmocka_unit_test(handshake__nested_tables__protocol_error),
		cmocka_unit_test(handshake__other_protocol__says_so),
		cmocka_unit_test(connect__first_address_refuses__takes_the_next),
		cmocka_unit_test(open__hostile_bytes__protocol_error),
		cmocka_unit_test(deliver__more_body_than_announced__protocol_error),
		cmocka_unit_test(deliver__malformed_headers__rejected_and_the_flow_goes_on),
		cmocka_unit_test(deliver__larger_than_allowed__rejected),
		cmocka_unit_test(deliver__in_pieces__comes_whole),
		cmocka_unit_test(settle__a_few_after_a_few__are_acknowledged_in_one),
		cmocka_unit_test(heartbeat__idle__goes_out_and_silence_is_found),
		cmocka_unit_test(stuck_output__blocked__is_borne),
		cmocka_unit_test(stuck_output__not_blocked__is_found),
		cmocka_unit_test(connection_closed__by_the_broker__its_words),
		cmocka_unit_test(finish__no_answer__ends_all_the_same),
		cmocka_unit_test(close__at_any_moment__leaves_nothing),
		cmocka_unit_test(tls__opened_300_times__its_socket_is_of_the_same_type),
		cmocka_unit_test(check__what_amqp_has_no_use_for__is_named),
		cmocka_unit_test(check__url_and_extras__errors_hide_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
