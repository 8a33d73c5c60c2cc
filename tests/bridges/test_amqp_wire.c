/* SPDX-License-Identifier: MIT */
/* The AMQP bridge against a scripted broker: hostile, slow, silent, or wrong in a way that a real one is not. */
#include "amqp_core.h"
#include "amqp_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
	struct posta_bridge *core;
	struct peer *peer;
};

static struct scene scene_new(void)
{
	struct scene scene = {.core = core_new("amqp://guest:guest@127.0.0.1")};

	scene.peer = peer_new(scene.core->loop);
	snprintf(scene.core->url, sizeof scene.core->url, "amqp://guest:guest@127.0.0.1:%d", scene.peer->port);
	return scene;
}

static struct scene connected(void)
{
	struct scene scene = scene_new();

	core_connected(scene.core);
	return scene;
}

static void scene_end(struct scene scene)
{
	peer_free(scene.peer);
	core_free(scene.core);
}

static struct scene subscribed(void)
{
	struct scene scene = connected();
	struct posta_source source = {.size = sizeof source, .queue = "q", .credit = 100};

	scene.core->ops->subscribe(scene.core, scene.core->state, 1, &source);
	core_wait(scene.core, scene.core->subscribed_count == 1);
	assert_int_equal(scene.core->subscribed_result, POSTA_OK);
	return scene;
}

static void assert_down(struct scene scene, enum posta_err code, const char *words)
{
	core_wait(scene.core, scene.core->downs == 1);
	if (!strstr(scene.core->down_text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, scene.core->down_text);
	assert_int_equal(scene.core->down_code, code);
}

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
	static const unsigned depths[] = {33, 1000, 20000};

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
	static const uint8_t none[2] = {0, 0};

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
	static const uint8_t bad[] = {0x20, 0x00, 0, 0, 0, 4, 1, 'a', 'S', 0};

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
	struct posta_source source = {.size = sizeof source, .queue = "q"};

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
	static const uint8_t none[2] = {0, 0};

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

/* -- confirms */

static const struct posta_target to_exchange = {.size = sizeof(struct posta_target), .routing_key = "k"};

static void publish(struct scene scene, int n)
{
	int before = scene.peer->publishing->publishes;
	char id[16];

	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof id, "%d", (int)scene.core->next_id);
		core_publish(scene.core, &to_exchange, core_text(id, id), i < n - 1);
	}
	core_wait(scene.core, scene.peer->publishing->publishes == before + n);
}

static void ack(struct scene scene, uint64_t tag, bool multiple)
{
	amqp_basic_ack_t fields = {tag, multiple};

	peer_send(scene.peer->publishing, 1, AMQP_BASIC_ACK_METHOD, &fields);
}

static void confirms__in_any_order__meet_their_publications(void **state)
{
	(void)state;
	struct scene scene = connected();
	struct posta_bridge *core = scene.core;

	publish(scene, 10);
	ack(scene, 3, false);
	ack(scene, 3, false);
	core_wait(core, core->confirm_count == 1);
	assert_int_equal(core->confirms[0].id, 3);
	ack(scene, 5, true);
	core_wait(core, core->confirm_count == 5);
	ack(scene, 4, true);
	ack(scene, 99, false);
	ack(scene, 7, false);
	core_wait(core, core->confirm_count == 6);
	assert_int_equal(core->confirms[5].id, 7);
	amqp_basic_nack_t nack = {8, true, false};

	peer_send(scene.peer->publishing, 1, AMQP_BASIC_NACK_METHOD, &nack);
	core_wait(core, core->confirm_count == 8);
	assert_int_equal(core_confirm_of(core, 6)->result, POSTA_EREFUSED);
	assert_int_equal(core_confirm_of(core, 8)->result, POSTA_EREFUSED);
	ack(scene, 0, true);
	core_wait(core, core->confirm_count == 10);
	assert_int_equal(core_confirm_of(core, 10)->result, POSTA_OK);
	scene_end(scene);
}

/* A returned publication is acknowledged too: its end stays the refusal, and the next one is not confirmed in its place. */
static void returned__then_acknowledged__only_that_one_is_refused(void **state)
{
	(void)state;
	struct scene scene = connected();
	struct posta_bridge *core = scene.core;
	amqp_basic_return_t returned = {312, amqp_cstring_bytes("NO_ROUTE"), amqp_cstring_bytes(""),
					amqp_cstring_bytes("k")};
	static const uint8_t id_1[] = {0, 0x80, 1, '1'};

	publish(scene, 2);
	peer_send(scene.peer->publishing, 1, AMQP_BASIC_RETURN_METHOD, &returned);
	peer_send_content(scene.peer->publishing, 1, id_1, sizeof id_1, "1", 1);
	ack(scene, 1, true);
	core_wait(core, core->confirm_count == 1);
	core_run_for(core, .05);
	assert_int_equal(core->confirm_count, 1);
	assert_int_equal(core->confirms[0].id, 1);
	assert_int_equal(core->confirms[0].result, POSTA_EREFUSED);
	ack(scene, 2, true);
	core_wait(core, core->confirm_count == 2);
	assert_int_equal(core_confirm_of(core, 2)->result, POSTA_OK);
	scene_end(scene);
}

/* The words name nobody: the guilty one is found by sending one at a time. */
static void channel_closed__for_one__others_are_sent_again_in_order(void **state)
{
	(void)state;
	struct scene scene = connected();
	struct posta_bridge *core = scene.core;
	struct peer_link *link;
	amqp_channel_close_t close = {406, amqp_cstring_bytes("PRECONDITION_FAILED - something"), 60, 40};
	uint64_t tag = 0;
	int seen;

	publish(scene, 6);
	link = scene.peer->publishing;
	ack(scene, 1, false);
	peer_send(link, 1, AMQP_CHANNEL_CLOSE_METHOD, &close);
	seen = link->publishes;
	for (int i = 2; i <= 6; i++) {
		core_wait(core, link->publishes == seen + 1);
		core_run_for(core, .05);
		assert_int_equal(link->publishes, seen + 1); /* one at a time */
		assert_int_equal(atoi(link->bodies[seen]), i);
		seen++;
		tag++;
		if (i == 4) {
			peer_send(link, 1, AMQP_CHANNEL_CLOSE_METHOD, &close);
			tag = 0;
		} else {
			ack(scene, tag, false);
		}
	}
	core_wait(core, core->confirm_count == 6);
	for (uint64_t id = 1; id <= 6; id++)
		assert_int_equal(core_confirm_of(core, id)->result, id == 4 ? POSTA_EREFUSED : POSTA_OK);
	publish(scene, 3);
	assert_int_equal(core->downs, 0);
	scene_end(scene);
}

static void publish__peer_reads_nothing__is_bounded_and_told_when_there_is_room(void **state)
{
	(void)state;
	struct scene scene = connected();
	struct posta_bridge *core = scene.core;
	static char body[100001];
	size_t taken = 0;
	struct posta_envelope *envelope;

	memset(body, 'x', sizeof body - 1);
	envelope = core_text("1", body);
	scene.peer->deaf = true;
	core_run_for(core, .05);
	for (; taken < 2000; taken++) {
		struct posta_publication *publication = &core->publications[core->next_id];
		const struct posta_publication *batch[1] = {publication};

		*publication =
			(struct posta_publication){core->next_id, &to_exchange, posta_envelope_ref(envelope), NULL};
		core->next_id++;
		size_t k = core->ops->publish(core, core->state, batch, 1);

		core->ops->flush(core, core->state);
		if (!k)
			break;
	}
	assert_true(taken > 10 && taken < 500); /* the kernel's buffers, and one high-water mark */
	assert_int_equal(core->writables, 0);
	scene.peer->deaf = false;
	ev_io_start(core->loop, &scene.peer->publishing->io);
	core_wait(core, core->writables == 1);
	core_wait(core, scene.peer->publishing->body_bytes == taken * 100000);
	assert_int_equal(scene.peer->publishing->publishes, taken);
	posta_envelope_unref(envelope);
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

static void connection_closed__by_the_broker__its_words(void **state)
{
	(void)state;
	struct scene scene = subscribed();
	amqp_connection_close_t close = {320, amqp_cstring_bytes("CONNECTION_FORCED - broker\r\nshutdown"), 0, 0};

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

static void check__what_amqp_has_no_use_for__is_named(void **state)
{
	(void)state;
	struct posta_bridge *core = core_new("amqp://x");
	const struct posta_bridge_ops *ops = core->ops;
	struct posta_error error;
	char long_name[300] = {0};

	memset(long_name, 'n', 256);
	const struct {
		struct posta_target target;
		const char *word;
	} targets[] = {{{.topic = "t"}, "topic"},
		       {{.queue = "q", .retain = true}, "retain"},
		       {{.queue = "q", .exchange = "e"}, "either"},
		       {{0}, "needs"},
		       {{.queue = long_name}, "255"},
		       {{.queue = "q", .queue_priority_max = 256}, "queue_priority_max"}};
	const struct {
		struct posta_source source;
		const char *word;
	} sources[] = {{{.queue = "q", .group = "g"}, "group"},
		       {{.filter = "f"}, "filter"},
		       {{0}, "needs"},
		       {{.queue = "q", .routing_key = "k"}, "exchange"}};

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
	struct posta_bridge *core = core_new("amqp://x");
	const char *const good[] = {"frame_max", "8192", NULL}, *const bad[] = {"frame_max", "1", NULL},
			  *const unknown[] = {"x", "1", NULL};
	struct posta_bridge_options options = {.size = sizeof options};
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
		cmocka_unit_test(open__hostile_bytes__protocol_error),
		cmocka_unit_test(deliver__more_body_than_announced__protocol_error),
		cmocka_unit_test(deliver__malformed_headers__rejected_and_the_flow_goes_on),
		cmocka_unit_test(deliver__larger_than_allowed__rejected),
		cmocka_unit_test(deliver__in_pieces__comes_whole),
		cmocka_unit_test(confirms__in_any_order__meet_their_publications),
		cmocka_unit_test(returned__then_acknowledged__only_that_one_is_refused),
		cmocka_unit_test(channel_closed__for_one__others_are_sent_again_in_order),
		cmocka_unit_test(publish__peer_reads_nothing__is_bounded_and_told_when_there_is_room),
		cmocka_unit_test(heartbeat__idle__goes_out_and_silence_is_found),
		cmocka_unit_test(connection_closed__by_the_broker__its_words),
		cmocka_unit_test(finish__no_answer__ends_all_the_same),
		cmocka_unit_test(close__at_any_moment__leaves_nothing),
		cmocka_unit_test(check__what_amqp_has_no_use_for__is_named),
		cmocka_unit_test(check__url_and_extras__errors_hide_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
