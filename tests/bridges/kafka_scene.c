/* SPDX-License-Identifier: MIT */
#include "kafka_scene.h"

#include "bridges/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMES_MAX 128

struct posta_bridge *kafka_at(const char *url)
{
	struct posta_bridge *core = core_new(&posta__kafka_ops, url);

	core->options.heartbeat_ms = 6000;
	return core;
}

struct posta_bridge *kafka_connected(const char *url)
{
	struct posta_bridge *core = kafka_at(url);

	core_connected(core);
	return core;
}

struct posta_bridge *kafka_transactional(const char *url, const char *id, int partitions)
{
	struct posta_bridge *core = kafka_at(url);

	core->options.transactional_id = id;
	core->options.topic_partitions = partitions;
	core_connected(core);
	return core;
}

void kafka_again(struct posta_bridge *core)
{
	struct posta_error error = { 0 };
	int ups = core->ups;

	core_close(core);
	core->downs = 0;
	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->ups > ups || core->downs);
	for (uint64_t id = 1; id < core->next_id; id++) {
		const struct posta_publication *publication = &core->publications[id];

		while (!core->confirmed[id] && !core->downs && !core->ops->publish(core, core->state, &publication, 1))
			core_run_once(core);
	}
}

void kafka_finish(struct posta_bridge *core)
{
	core->ops->finish(core, core->state);
	core_wait(core, core->ended);
	core_free(core);
}

const char *kafka_name(const char *prefix)
{
	static char *names[NAMES_MAX];
	static size_t count;

	assert_true(count < NAMES_MAX);
	return names[count++] = kit_unique(prefix);
}

enum posta_err kafka_subscribe_from(struct posta_bridge *core, uint32_t id, const struct posta_source *source)
{
	int before = core->subscribed_count;

	core->ops->subscribe(core, core->state, id, source);
	core_wait(core, core->subscribed_count > before);
	return core->subscribed_result;
}

void kafka_subscribe(struct posta_bridge *core, uint32_t id, const char *topic, const char *group)
{
	struct posta_source source = { .size = sizeof source, .topic = topic, .group = group, .credit = 10000 };

	assert_int_equal(kafka_subscribe_from(core, id, &source), POSTA_OK);
}

struct posta_target kafka_to(const char *topic)
{
	return (struct posta_target){ .size = sizeof(struct posta_target), .topic = topic };
}

void kafka_send(struct posta_bridge *core, const struct posta_target *target, int from, int to, const char *key)
{
	char text[16];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof text, "%d", i);
		struct posta_envelope *envelope = core_text(text, text);

		if (key)
			assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_KEY, key), POSTA_OK);
		core_publish(core, target, envelope, i < to - 1);
	}
}

void kafka_publish(struct posta_bridge *core, const char *topic, int from, int to)
{
	struct posta_target target = kafka_to(topic);
	size_t before = core->confirm_count;

	kafka_send(core, &target, from, to, "one partition");
	core_wait(core, core->confirm_count == before + (size_t)(to - from));
	for (size_t i = before; i < core->confirm_count; i++)
		assert_int_equal(core->confirms[i].result, POSTA_OK);
}

int kafka_number(const struct posta_bridge *core, size_t delivery)
{
	struct posta_bytes body = posta_envelope_body(core->deliveries[delivery].envelope);
	char text[16];

	snprintf(text, sizeof text, "%.*s", (int)(body.len < 15 ? body.len : 15), (const char *)body.data);
	return atoi(text);
}

void kafka_assert_numbers(struct posta_bridge *core, size_t delivery, int first, int count)
{
	core_wait(core, core->delivery_count >= delivery + (size_t)count);
	assert_int_equal(core->delivery_count, delivery + (size_t)count);
	for (int i = 0; i < count; i++)
		assert_int_equal(kafka_number(core, delivery + (size_t)i), first + i);
}

void kafka_settle_from(struct posta_bridge *core, size_t delivery, enum posta_outcome outcome)
{
	for (; delivery < core->delivery_count; delivery++)
		core_settle(core, &core->deliveries[delivery], outcome);
}

bool kafka_has_all(const struct posta_bridge *core, int from, int to)
{
	bool *seen = calloc((size_t)(to - from), 1);
	int missing = to - from;

	assert_non_null(seen);
	for (size_t i = 0; i < core->delivery_count; i++) {
		int number = kafka_number(core, i);

		if (number < from || number >= to || seen[number - from])
			continue;
		seen[number - from] = true;
		missing--;
	}
	free(seen);
	return !missing;
}

void kafka_assert_text(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, text);
}

void kafka_assert_down(struct posta_bridge *core, enum posta_err code, const char *words)
{
	struct posta_error error = { 0 };

	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->downs);
	kafka_assert_text(core->down_text, words);
	assert_int_equal(core->down_code, code);
	assert_int_equal(core->ups, 0);
	core_free(core);
}

void kafka_assert_nothing_left(void)
{
	assert_int_equal(rd_kafka_wait_destroyed(20000), 0);
}
