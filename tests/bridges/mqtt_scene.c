/* SPDX-License-Identifier: MIT */
#include "mqtt_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct kit_broker *broker;

struct posta_bridge *make_at(const char *url, int version)
{
	struct posta_bridge *core = core_new(&posta__mqtt_ops, url);

	core->options.mqtt_version = version;
	core->options.client_id = "test-client";
	return core;
}

struct posta_bridge *connected(int version)
{
	struct posta_bridge *core = make_at(kit_broker_url(broker), version);

	core_connected(core);
	return core;
}

enum posta_err subscribe_from(struct posta_bridge *core, uint32_t id, const struct posta_source *source)
{
	int before = core->subscribed_count;

	core->ops->subscribe(core, core->state, id, source);
	core_wait(core, core->subscribed_count > before);
	return core->subscribed_result;
}

void subscribe(struct posta_bridge *core, uint32_t id, const char *filter, uint32_t credit)
{
	struct posta_source source = { .size = sizeof source, .filter = filter, .credit = credit, .qos = -1 };

	assert_int_equal(subscribe_from(core, id, &source), POSTA_OK);
}

struct posta_target to_topic(const char *topic)
{
	return (struct posta_target){ .size = sizeof(struct posta_target), .topic = topic, .qos = -1 };
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
	for (size_t i = before; i < core->confirm_count; i++)
		assert_int_equal(core->confirms[i].result, POSTA_OK);
}

const char *body_of(const struct posta_bridge *core, size_t index, char *text, size_t size)
{
	struct posta_bytes body = posta_envelope_body(core->deliveries[index].envelope);

	snprintf(text, size, "%.*s", (int)body.len, (const char *)body.data);
	return text;
}

int number_of(const struct posta_bridge *core, size_t index)
{
	char text[16];

	return atoi(body_of(core, index, text, sizeof text));
}

/* Settles each delivery as it comes, until n have come. */
void settle_as_they_come(struct posta_bridge *core, size_t n)
{
	static size_t settled;

	settled = 0;
	while (settled < n) {
		core_wait(core, core->delivery_count > settled);
		while (settled < core->delivery_count)
			core_settle(core, &core->deliveries[settled++], POSTA_ACK);
	}
}

void settle_all(struct posta_bridge *core, enum posta_outcome outcome)
{
	for (size_t i = 0; i < core->delivery_count; i++)
		core_settle(core, &core->deliveries[i], outcome);
}

void finish(struct posta_bridge *core)
{
	core->ops->finish(core, core->state);
	core_wait(core, core->ended);
	core_free(core);
}

void assert_text(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, text);
}

/* A connection that cannot be made. */
void assert_down(struct posta_bridge *core, enum posta_err code, const char *words)
{
	struct posta_error error = { 0 };

	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->downs);
	assert_text(core->down_text, words);
	assert_int_equal(core->down_code, code);
	assert_int_equal(core->downs, 1);
	core_free(core);
}

struct posta_envelope *big(size_t size)
{
	struct posta_envelope *envelope = core_text("big", "");
	char *body = calloc(1, size);

	assert_non_null(body);
	assert_int_equal(posta_envelope_wrap_body(envelope, body, size, free, body), POSTA_OK);
	return envelope;
}
