/* SPDX-License-Identifier: MIT */
/* Direct reply-to on the publishing channel, against a scripted broker; the rest is in the conformance suite. */
#include "amqp_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t no_properties[2] = { 0, 0 };

static void ask(struct scene scene, const char *reply_to, enum posta_format format)
{
	static const struct posta_target targets[] = {
		{ .size = sizeof *targets, .routing_key = "k", .format = POSTA_FORMAT_BINARY },
		{ .size = sizeof *targets, .routing_key = "k", .format = POSTA_FORMAT_STRUCTURED },
		{ .size = sizeof *targets, .routing_key = "k", .format = POSTA_FORMAT_RAW },
	};
	struct posta_envelope *question = core_text("id", "question");
	int before = scene.peer->publishing ? scene.peer->publishing->publishes : 0;

	posta_envelope_set_text(question, POSTA_ATTR_REPLY_TO, reply_to);
	core_publish(scene.core, &targets[format], question, false);
	core_wait(scene.core, scene.peer->publishing && scene.peer->publishing->publishes == before + 1);
}

static struct scene asked(void)
{
	struct scene scene = connected();

	ask(scene, POSTA__AMQP_DIRECT_REPLY_TO, POSTA_FORMAT_BINARY);
	return scene;
}

static void assert_reply(struct scene scene, int count, const char *text)
{
	core_wait(scene.core, scene.core->replied == count);
	struct posta_bytes body = posta_envelope_body(scene.core->reply);

	assert_int_equal(body.len, strlen(text));
	assert_memory_equal(body.data, text, body.len);
	if (scene.core->downs)
		fail_msg("down: %s", scene.core->down_text);
}

static void publish__no_question__nothing_is_consumed(void **state)
{
	(void)state;
	struct scene scene = connected();

	ask(scene, "some.queue", POSTA_FORMAT_BINARY);
	ask(scene, POSTA__AMQP_DIRECT_REPLY_TO "s", POSTA_FORMAT_BINARY);
	ask(scene, POSTA__AMQP_DIRECT_REPLY_TO, POSTA_FORMAT_RAW); /* leaves without its reply-to */
	assert_int_equal(scene.peer->publishing->consumer_channel, 0);
	scene_end(scene);
}

static void question__first__is_heard_before_it_is_sent(void **state)
{
	(void)state;
	struct scene scene = asked();

	assert_int_equal(scene.peer->publishing->consumer_channel, 1);
	scene.peer->publishing->consumer_channel = 0;
	ask(scene, POSTA__AMQP_DIRECT_REPLY_TO, POSTA_FORMAT_STRUCTURED);
	assert_int_equal(scene.peer->publishing->consumer_channel, 0); /* once is enough */
	scene_end(scene);
}

static void reply__in_pieces__comes_whole(void **state)
{
	(void)state;
	struct scene scene = asked();

	scene.peer->dribble = true;
	peer_deliver(scene.peer->publishing, 1, NULL);
	peer_send_content(scene.peer->publishing, 1, no_properties, 2, NULL, 6);
	peer_send_raw(scene.peer->publishing, "\3\0\1\0\0\0\1a\xCE\3\0\1\0\0\0\5bcdef\xCE", 22);
	peer_deliver(scene.peer->publishing, 2, "next");
	while (scene.core->replied < 1 && !scene.core->downs) {
		peer_dribble(scene.peer);
		core_run_once(scene.core);
	}
	assert_reply(scene, 1, "abcdef");
	while (peer_dribble(scene.peer))
		core_run_once(scene.core);
	assert_reply(scene, 2, "next");
	scene_end(scene);
}

static void reply__malformed_or_too_large__the_next_one_comes(void **state)
{
	(void)state;
	static const uint8_t bad[] = { 0x20, 0x00, 0, 0, 0, 4, 1, 'a', 'S', 0 };
	struct scene scene = scene_new();

	scene.core->options.message_bytes_max = 8;
	core_connected(scene.core);
	ask(scene, POSTA__AMQP_DIRECT_REPLY_TO, POSTA_FORMAT_BINARY);
	peer_deliver(scene.peer->publishing, 1, NULL);
	peer_send_content(scene.peer->publishing, 1, bad, sizeof bad, "body", 4);
	peer_deliver(scene.peer->publishing, 2, "123456789");
	peer_deliver(scene.peer->publishing, 3, "12345678");
	assert_reply(scene, 1, "12345678");
	scene_end(scene);
}

static void reply__out_of_turn__protocol_error(void **state)
{
	(void)state;
	struct scene scene = connected();

	ask(scene, "some.queue", POSTA_FORMAT_BINARY);
	scene.peer->publishing->consumer_channel = 1;
	peer_deliver(scene.peer->publishing, 1, "answer");
	assert_down(scene, POSTA_EPROTOCOL, "nobody waits for");
	scene_end(scene);
	scene = asked();
	peer_send_content(scene.peer->publishing, 1, no_properties, 2, "answer", 6);
	assert_down(scene, POSTA_EPROTOCOL, "out of its turn");
	scene_end(scene);
	scene = asked();
	peer_deliver(scene.peer->publishing, 1, NULL);
	peer_deliver(scene.peer->publishing, 2, NULL);
	assert_down(scene, POSTA_EPROTOCOL, "nobody waits for");
	scene_end(scene);
	scene = asked();
	peer_deliver(scene.peer->publishing, 1, NULL);
	peer_send_content(scene.peer->publishing, 1, no_properties, 2, NULL, 3);
	peer_send_raw(scene.peer->publishing, "\3\0\1\0\0\0\4abcd\xCE", 12);
	assert_down(scene, POSTA_EPROTOCOL, "more than announced");
	scene_end(scene);
}

/* What was half there went with the channel. */
static void channel_closed__question_is_sent_again__is_heard_again(void **state)
{
	(void)state;
	struct scene scene = asked();
	struct peer_link *link = scene.peer->publishing;
	amqp_channel_close_t close = { 406, amqp_cstring_bytes("PRECONDITION_FAILED - something"), 60, 40 };

	peer_deliver(link, 1, NULL);
	peer_send_content(link, 1, no_properties, 2, NULL, 6);
	link->consumer_channel = 0;
	peer_send(link, 1, AMQP_CHANNEL_CLOSE_METHOD, &close);
	core_wait(scene.core, link->publishes == 2);
	assert_int_equal(link->consumer_channel, 1);
	peer_deliver(link, 1, "answer");
	assert_reply(scene, 1, "answer");
	scene_end(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish__no_question__nothing_is_consumed),
		cmocka_unit_test(question__first__is_heard_before_it_is_sent),
		cmocka_unit_test(reply__in_pieces__comes_whole),
		cmocka_unit_test(reply__malformed_or_too_large__the_next_one_comes),
		cmocka_unit_test(reply__out_of_turn__protocol_error),
		cmocka_unit_test(channel_closed__question_is_sent_again__is_heard_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
