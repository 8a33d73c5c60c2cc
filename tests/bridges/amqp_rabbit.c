/* SPDX-License-Identifier: MIT */
#include "amqp_rabbit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct kit_broker *broker;

struct posta_bridge *connected(void)
{
	struct posta_bridge *core = core_new(&posta__amqp_ops, kit_broker_url(broker));

	core_connected(core);
	return core;
}

void subscribe(struct posta_bridge *core, uint32_t id, const char *queue, uint32_t credit)
{
	struct posta_source source = { .size = sizeof source, .queue = queue, .credit = credit };
	int before = core->subscribed_count;

	core->ops->subscribe(core, core->state, id, &source);
	core_wait(core, core->subscribed_count > before);
	assert_int_equal(core->subscribed_result, POSTA_OK);
}

struct posta_target to_queue(const char *queue)
{
	return (struct posta_target){ .size = sizeof(struct posta_target), .queue = queue };
}

void publish_numbers(struct posta_bridge *core, const struct posta_target *target, int from, int to)
{
	size_t before = core->confirm_count;
	char id[16];

	for (int i = from; i < to; i++) {
		snprintf(id, sizeof id, "%d", i);
		core_publish(core, target, core_text(id, id), i < to - 1);
	}
	core_wait(core, core->confirm_count == before + (size_t)(to - from));
}

void assert_confirm(const struct posta_bridge *core, uint64_t id, enum posta_err result, const char *words)
{
	const struct core_confirm *confirm = core_confirm_of(core, id);

	assert_non_null(confirm);
	assert_int_equal(confirm->result, result);
	if (!strstr(confirm->text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, confirm->text);
}

void assert_empty(const char *queue)
{
	struct posta_bridge *core = connected();

	subscribe(core, 1, queue, 10);
	core_run_for(core, .2);
	assert_int_equal(core->delivery_count, 0);
	core_free(core);
}

void finish(struct posta_bridge *core)
{
	core->ops->finish(core, core->state);
	core_wait(core, core->ended);
	assert_int_equal(core->downs, 0);
	core_free(core);
}

int start_broker(void **state)
{
	(void)state;
	struct kit_broker_options options = { .tls = true, .message_bytes_max = MESSAGE_MAX };

	broker = kit_broker_start(KIT_RABBITMQ, &options);
	return 0;
}

int stop_broker(void **state)
{
	(void)state;
	kit_broker_stop(broker);
	return 0;
}
