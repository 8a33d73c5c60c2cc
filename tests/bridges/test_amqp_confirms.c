/* SPDX-License-Identifier: MIT */
/* Which publication a confirm, a return or the close of a channel means, and how much is taken from the core. */
#include "amqp_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- confirms */

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
	amqp_basic_ack_t fields = { tag, multiple };

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
	amqp_basic_nack_t nack = { 8, true, false };

	peer_send(scene.peer->publishing, 1, AMQP_BASIC_NACK_METHOD, &nack);
	core_wait(core, core->confirm_count == 8);
	assert_int_equal(core_confirm_of(core, 6)->result, POSTA_EREFUSED);
	assert_int_equal(core_confirm_of(core, 8)->result, POSTA_EREFUSED);
	ack(scene, 0, true);
	core_wait(core, core->confirm_count == 10);
	assert_int_equal(core_confirm_of(core, 10)->result, POSTA_OK);
	scene_end(scene);
}

/*
 * A returned publication is acknowledged too: its end stays the refusal, and the next one is not confirmed in its
 * place.
 */
static void returned__then_acknowledged__only_that_one_is_refused(void **state)
{
	(void)state;
	struct scene scene = connected();
	struct posta_bridge *core = scene.core;
	amqp_basic_return_t returned = { 312, amqp_cstring_bytes("NO_ROUTE"), amqp_cstring_bytes(""),
					 amqp_cstring_bytes("k") };
	static const uint8_t id_1[] = { 0, 0x80, 1, '1' };

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
	amqp_channel_close_t close = { 406, amqp_cstring_bytes("PRECONDITION_FAILED - something"), 60, 40 };
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
		const struct posta_publication *batch[1] = { publication };

		*publication =
			(struct posta_publication){ core->next_id, &to_exchange, posta_envelope_ref(envelope), NULL };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confirms__in_any_order__meet_their_publications),
		cmocka_unit_test(returned__then_acknowledged__only_that_one_is_refused),
		cmocka_unit_test(channel_closed__for_one__others_are_sent_again_in_order),
		cmocka_unit_test(publish__peer_reads_nothing__is_bounded_and_told_when_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
