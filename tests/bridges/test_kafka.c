/* SPDX-License-Identifier: MIT */
/*
 * The Kafka bridge against a real broker, its ops called by hand. What the common part adds is the conformance kit's.
 */
#include "kafka_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kit_broker *broker;
static const char *url;

/* -- publishing */

static void publish__a_thousand__in_order(void **state)
{
	const char *topic = kafka_name("order");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_subscribe(core, 1, topic, NULL);
	struct posta_target target = kafka_to(topic);

	kafka_send(core, &target, 0, 1000, "k");
	core_wait(core, core->confirm_count == 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(core->confirms[i].result, POSTA_OK);
	kafka_assert_numbers(core, 0, 0, 1000);
	kafka_finish(core);
}

static void publish__attributes__come_back(void **state)
{
	const char *topic = kafka_name("attributes");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to(topic);
	struct posta_envelope *sent = core_text("id-1", "{\"a\":1}");

	(void)state;
	posta_envelope_set_text(sent, POSTA_ATTR_CONTENT_TYPE, "application/json");
	posta_envelope_set(sent, POSTA_ATTR_CORRELATION_ID, "\001\002\377", 3);
	posta_envelope_set_text(sent, POSTA_ATTR_KEY, "k");
	posta_envelope_set_time(sent, 1764000000123);
	posta_envelope_set_priority(sent, 7);
	posta_envelope_add_header(sent, "h", "one", 3);
	posta_envelope_add_header(sent, "h", "two", 3);
	kafka_subscribe(core, 1, topic, NULL);
	core_publish(core, &target, sent, false);
	core_wait(core, core->delivery_count == 1);
	const struct posta_envelope *got = core->deliveries[0].envelope;

	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_ID), "id-1");
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_TYPE), "test.made");
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_CONTENT_TYPE), "application/json");
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_KEY), "k");
	assert_string_equal(posta_envelope_text(got, POSTA_ATTR_TOPIC), topic);
	assert_int_equal(posta_envelope_get(got, POSTA_ATTR_CORRELATION_ID).len, 3);
	assert_true(posta_envelope_time(got) == 1764000000123);
	assert_int_equal(posta_envelope_priority(got), 7);
	assert_int_equal(posta_envelope_header_count(got), 2);
	kafka_finish(core);
}

static void publish__no_body_and_an_empty_one__are_told_apart(void **state)
{
	const char *topic = kafka_name("tombstone");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to(topic);
	struct posta_envelope *none = core_text("1", "x");

	(void)state;
	posta_envelope_set_body(none, NULL, 0);
	kafka_subscribe(core, 1, topic, NULL);
	core_publish(core, &target, none, false);
	core_wait(core, core->delivery_count == 1);
	core_publish(core, &target, core_text("2", ""), false);
	core_wait(core, core->delivery_count == 2);
	assert_null(posta_envelope_body(core->deliveries[0].envelope).data);
	assert_non_null(posta_envelope_body(core->deliveries[1].envelope).data);
	assert_int_equal(posta_envelope_body(core->deliveries[1].envelope).len, 0);
	kafka_finish(core);
}

static void publish__structured_and_raw__arrive(void **state)
{
	const char *topic = kafka_name("formats");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target structured = kafka_to(topic), raw = kafka_to(topic);

	(void)state;
	structured.format = POSTA_FORMAT_STRUCTURED;
	raw.format = POSTA_FORMAT_RAW;
	kafka_subscribe(core, 1, topic, NULL);
	core_publish(core, &structured, core_text("id-s", "abc"), false);
	core_wait(core, core->delivery_count == 1);
	core_publish(core, &raw, core_text("id-r", "xyz"), false);
	core_wait(core, core->delivery_count == 2);
	assert_string_equal(posta_envelope_text(core->deliveries[0].envelope, POSTA_ATTR_ID), "id-s");
	assert_memory_equal(posta_envelope_body(core->deliveries[0].envelope).data, "abc", 3);
	assert_string_equal(posta_envelope_text(core->deliveries[1].envelope, POSTA_ATTR_TYPE), "");
	assert_memory_equal(posta_envelope_body(core->deliveries[1].envelope).data, "xyz", 3);
	kafka_finish(core);
}

/* The broker takes a mebibyte and a bit. */
static void publish__larger_than_the_broker_takes__says_so_and_the_flow_goes_on(void **state)
{
	const char *topic = kafka_name("large");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to(topic);
	struct posta_envelope *large = core_text("large", "");
	char *body = calloc(1, 3 << 20);

	(void)state;
	assert_non_null(body);
	posta_envelope_wrap_body(large, body, 3 << 20, free, body);
	uint64_t first = core_publish(core, &target, large, false);
	core_wait(core, core_confirm_of(core, first));
	assert_int_equal(core_confirm_of(core, first)->result, POSTA_ETOOBIG);
	assert_true(strlen(core_confirm_of(core, first)->text) > 0);
	kafka_publish(core, topic, 0, 1);
	assert_int_equal(core->downs, 0);
	kafka_finish(core);
}

/* -- bare bodies: several go in one call of the library */

static void make_bare(struct posta_bridge *core, const struct posta_target *target, int number, size_t size)
{
	struct posta_publication *publication = &core->publications[core->next_id];
	char body[2048];

	memset(body, ' ', sizeof body);
	snprintf(body, sizeof body, "%d", number);
	*publication = (struct posta_publication){
		.id = core->next_id++,
		.target = target,
		.envelope = posta_envelope_new(),
	};
	assert_int_equal(posta_envelope_set_body(publication->envelope, body, size), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(publication->envelope, POSTA_ATTR_KEY, "one partition"), POSTA_OK);
}

/* Connected with these settings; NULL: none. *target: for bare ones. */
static struct posta_bridge *bare_at(const char *topic, const char *const *extra, struct posta_target *target)
{
	struct posta_bridge *core = kafka_at(url);

	core->options.extra = extra;
	core_connected(core);
	*target = kafka_to(topic);
	target->format = POSTA_FORMAT_RAW;
	return core;
}

/* As the common part does: all at once, and what was not taken again when there is room. Returns: calls. */
static int offer(struct posta_bridge *core, uint64_t first, size_t count)
{
	const struct posta_publication *batch[256];
	int calls = 0;

	for (size_t i = 0; i < count; i++)
		batch[i] = &core->publications[first + i];
	for (size_t taken = 0; taken < count; calls++) {
		taken += core->ops->publish(core, core->state, batch + taken, count - taken);
		if (taken < count)
			core_run_once(core);
	}
	return calls;
}

static void assert_read(struct posta_bridge *core, const char *topic, int count)
{
	kafka_subscribe(core, 1, topic, NULL);
	kafka_assert_numbers(core, 0, 0, count);
}

/* Small and large ones, which are copied and which are not, in turn. */
static void publish__bare_ones_at_once__in_order_with_their_key(void **state)
{
	const char *topic = kafka_name("bare");
	struct posta_target target;
	struct posta_bridge *core = bare_at(topic, NULL, &target);

	(void)state;
	for (int i = 0; i < 200; i++)
		make_bare(core, &target, i, i / 10 % 2 ? 2000 : 20);
	assert_int_equal(offer(core, 1, 200), 1);
	core_wait(core, core->confirm_count == 200);
	assert_read(core, topic, 200);
	assert_string_equal(posta_envelope_text(core->deliveries[199].envelope, POSTA_ATTR_KEY), "one partition");
	assert_int_equal(posta_envelope_body(core->deliveries[199].envelope).len, 2000);
	kafka_finish(core);
}

static void publish__one_of_many_bare_ones_is_too_large__that_one_is_refused(void **state)
{
	static const char *const extra[] = { "message.max.bytes", "1000", NULL };
	const char *topic = kafka_name("bare-large");
	struct posta_target target;
	struct posta_bridge *core = bare_at(topic, extra, &target);

	(void)state;
	for (int i = 0; i < 100; i++)
		make_bare(core, &target, i < 50 ? i : i - 1, i == 50 ? 1010 : 20);
	assert_int_equal(offer(core, 1, 100), 1);
	core_wait(core, core->confirm_count == 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(core->confirms[i].result, core->confirms[i].id == 51 ? POSTA_ETOOBIG : POSTA_OK);
	assert_read(core, topic, 99);
	kafka_finish(core);
}

static void publish__more_bare_ones_than_there_is_room_for__the_rest_later_in_order(void **state)
{
	static const char *const extra[] = { "queue.buffering.max.messages", "30", NULL };
	const char *topic = kafka_name("bare-many");
	struct posta_target target;
	struct posta_bridge *core = bare_at(topic, extra, &target);

	(void)state;
	for (int i = 0; i < 200; i++)
		make_bare(core, &target, i, i / 100 ? 2000 : 20);
	assert_true(offer(core, 1, 200) > 2);
	core_wait(core, core->confirm_count == 200);
	assert_read(core, topic, 200);
	kafka_finish(core);
}

/*
 * More topics than the producer keeps at hand; made one by one, since the broker's own making of so many takes its
 * time.
 */
static void publish__seventy_topics__each_gets_its_own(void **state)
{
	const char *prefix = kafka_name("seventy");
	struct posta_bridge *core = kafka_at(url);
	struct posta_target targets[70];
	char names[70][96];

	(void)state;
	core->options.topic_partitions = 1;
	core_connected(core);
	for (int i = 0; i < 70; i++) {
		snprintf(names[i], sizeof names[i], "%s-%d", prefix, i);
		targets[i] = kafka_to(names[i]);
	}
	for (int i = 0; i < 210; i++)
		kafka_send(core, &targets[i % 70], i % 70, i % 70 + 1, NULL);
	core_wait(core, core->confirm_count == 210);
	for (int i = 0; i < 210; i++)
		assert_int_equal(core->confirms[i].result, POSTA_OK);
	for (uint32_t i = 0; i < 70; i += 23) {
		size_t before = core->delivery_count;
		kafka_subscribe(core, 1 + i, names[i], NULL);
		core_wait(core, core->delivery_count == before + 3);
		assert_int_equal(kafka_number(core, before), i);
	}
	kafka_finish(core);
}

/* -- settling */

static void reopen(struct posta_bridge **core, const char *topic, const char *group)
{
	kafka_finish(*core);
	*core = kafka_connected(url);
	kafka_subscribe(*core, 1, topic, group);
}

static void settle__out_of_order__commits_only_what_has_no_gap(void **state)
{
	const char *topic = kafka_name("gap"), *group = kafka_name("group");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_publish(core, topic, 0, 10);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 10);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	core_settle(core, &core->deliveries[0], POSTA_ACK);
	for (size_t i = 4; i < 10; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	reopen(&core, topic, group);
	core_wait(core, core->delivery_count == 8);
	assert_int_equal(kafka_number(core, 0), 2);
	kafka_settle_from(core, 0, POSTA_ACK);
	reopen(&core, topic, group);
	kafka_publish(core, topic, 10, 11);
	core_wait(core, core->delivery_count >= 1);
	assert_int_equal(kafka_number(core, 0), 10);
	kafka_finish(core);
}

static void settle__reject__is_not_seen_again(void **state)
{
	const char *topic = kafka_name("reject"), *group = kafka_name("group");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_publish(core, topic, 0, 3);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 3);
	kafka_settle_from(core, 0, POSTA_REJECT);
	reopen(&core, topic, group);
	kafka_publish(core, topic, 3, 4);
	core_wait(core, core->delivery_count >= 1);
	assert_int_equal(kafka_number(core, 0), 3);
	kafka_finish(core);
}

static void settle__requeue__comes_again_as_redelivered(void **state)
{
	const char *topic = kafka_name("requeue"), *group = kafka_name("group");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_publish(core, topic, 0, 3);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 3);
	core_settle(core, &core->deliveries[0], POSTA_REQUEUE);
	core_settle(core, &core->deliveries[1], POSTA_ACK);
	core_settle(core, &core->deliveries[2], POSTA_ACK);
	core_wait(core, core->delivery_count == 4);
	assert_int_equal(kafka_number(core, 3), 0);
	assert_true(core->deliveries[3].redelivered);
	assert_false(core->deliveries[0].redelivered);
	/* What was given back holds the commit back. */
	reopen(&core, topic, group);
	core_wait(core, core->delivery_count == 3);
	kafka_finish(core);
}

static void close__unsettled__comes_again(void **state)
{
	const char *topic = kafka_name("close"), *group = kafka_name("group");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_publish(core, topic, 0, 5);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 5);
	core_free(core);
	core = kafka_connected(url);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 5);
	kafka_finish(core);
}

/* -- sources */

static void source__no_group__each_gets_all(void **state)
{
	const char *topic = kafka_name("all");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_publish(core, topic, 0, 5);
	kafka_subscribe(core, 1, topic, NULL);
	kafka_subscribe(core, 2, topic, NULL);
	core_wait(core, core->delivery_count == 10);
	kafka_finish(core);
}

static void source__from_latest__only_what_is_published_later(void **state)
{
	const char *topic = kafka_name("latest");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_source source = { .size = sizeof source, .topic = topic, .from_latest = true, .credit = 100 };

	(void)state;
	kafka_publish(core, topic, 0, 5);
	assert_int_equal(kafka_subscribe_from(core, 1, &source), POSTA_OK);
	/* It is in force: not one of these may be missed. */
	kafka_publish(core, topic, 5, 8);
	core_wait(core, core->delivery_count == 3);
	assert_int_equal(kafka_number(core, 0), 5);
	kafka_finish(core);
}

static void source__several_topics_and_a_pattern__gets_them_all(void **state)
{
	const char *one = kafka_name("pattern"), *two = kafka_name("pattern");
	struct posta_bridge *core = kafka_connected(url);
	char both[256], pattern[256];

	(void)state;
	kafka_publish(core, one, 0, 1);
	kafka_publish(core, two, 1, 2);
	snprintf(both, sizeof both, "%s,%s", one, two);
	snprintf(pattern, sizeof pattern, "^(%s|%s)$", one, two);
	kafka_subscribe(core, 1, both, NULL);
	core_wait(core, core->delivery_count == 2);
	kafka_subscribe(core, 2, pattern, NULL);
	core_wait(core, core->delivery_count == 4);
	kafka_finish(core);
}

static void pause__nothing_comes_until_resume(void **state)
{
	const char *topic = kafka_name("pause");
	struct posta_bridge *core = kafka_connected(url);

	(void)state;
	kafka_subscribe(core, 1, topic, NULL);
	kafka_publish(core, topic, 0, 1);
	core_wait(core, core->delivery_count == 1);
	core->ops->pause(core, core->state, 1);
	/* What was on its way may still come. */
	core_run_for(core, .3);
	size_t before = core->delivery_count;

	kafka_publish(core, topic, 1, 5);
	core_run_for(core, .5);
	assert_int_equal(core->delivery_count, before);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count == 5);
	assert_true(kafka_has_all(core, 0, 5));
	kafka_finish(core);
}

/* -- groups */

static void group__second_member__takes_over_and_nothing_is_missed(void **state)
{
	static const char *const keys[] = { "a", "b", "c", "d" };
	const char *topic = kafka_name("group"), *group = kafka_name("group");
	struct posta_bridge *first = kafka_connected(url), *second = kafka_connected(url);
	struct posta_source source = { .size = sizeof source, .topic = topic, .group = group, .credit = 1000 };
	struct posta_target target = kafka_to(topic);

	(void)state;
	kafka_publish(first, topic, 0, 1);
	kafka_subscribe(first, 1, topic, group);
	second->ops->subscribe(second, second->state, 1, &source);
	core_wait(first, (core_run_once(second), first->revoked > 0));
	core_wait(second, (core_run_once(first), second->subscribed_count > 0));
	for (int i = 0; i < 4; i++)
		kafka_send(first, &target, 1 + i * 100, 1 + (i + 1) * 100, keys[i]);
	core_wait(first, (core_run_once(second), first->delivery_count + second->delivery_count >= 401));
	assert_true(first->delivery_count > 0 && second->delivery_count > 0);
	/* Who stays gets what the other one had not settled. */
	kafka_settle_from(second, 0, POSTA_ACK);
	kafka_finish(first);
	core_wait(second, kafka_has_all(second, 0, 401));
	kafka_finish(second);
}

/* -- memory */

static void close__with_messages_held__does_not_wait_and_they_stay_whole(void **state)
{
	const char *topic = kafka_name("held");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to(topic);

	(void)state;
	target.format = POSTA_FORMAT_RAW;
	for (int i = 0; i < 3; i++)
		make_bare(core, &target, i, 2000); /* large enough to be left where the library has it */
	offer(core, 1, 3);
	kafka_subscribe(core, 1, topic, NULL);
	core_wait(core, core->delivery_count == 3);
	struct posta_envelope *held = posta_envelope_ref(core->deliveries[1].envelope);
	ev_tstamp before = ev_time();

	core_close(core);
	assert_true(ev_time() - before < 1.);
	core_free(core);
	assert_int_equal(posta_envelope_body(held).len, 2000);
	assert_memory_equal(posta_envelope_body(held).data, "1", 2);
	posta_envelope_unref(held);
	kafka_assert_nothing_left();
}

/* Bodies without a copy: what is in flight is read by the library beyond the end of the connection. */
static void close__with_publications_in_flight__lets_them_go(void **state)
{
	const char *topic = kafka_name("flight");
	struct posta_bridge *core = kafka_connected(url);
	struct posta_target target = kafka_to(topic);

	(void)state;
	kafka_send(core, &target, 0, 500, NULL);
	core_free(core);
	kafka_assert_nothing_left();
}

static void check__what_kafka_has_not__is_refused(void **state)
{
	struct posta_target target = kafka_to("t");
	struct posta_source source = { .size = sizeof source, .topic = "a,b" };
	struct posta_bridge *core = kafka_at("kafka://h:1");
	struct posta_error error = { 0 };

	(void)state;
	assert_int_equal(core->ops->check_target(&target, &error), POSTA_OK);
	assert_int_equal(core->ops->check_source(&source, &error), POSTA_OK);
	target.topic = "a/b";
	assert_int_not_equal(core->ops->check_target(&target, &error), POSTA_OK);
	target = kafka_to("t");
	target.queue = "q";
	assert_int_not_equal(core->ops->check_target(&target, &error), POSTA_OK);
	source.topic = "a,,b";
	assert_int_not_equal(core->ops->check_source(&source, &error), POSTA_OK);
	source = (struct posta_source){ .size = sizeof source, .filter = "a" };
	assert_int_not_equal(core->ops->check_source(&source, &error), POSTA_OK);
	core_free(core);
}

static enum posta_err checked(const char *at, const char *const *extra, struct posta_error *error)
{
	struct posta_bridge *core = kafka_at(at);
	enum posta_err err;

	core->options.extra = extra;
	err = core->ops->check(at, &core->options, error);
	core_free(core);
	return err;
}

static void check__urls_and_extras__say_what_is_wrong(void **state)
{
	static const char *const good[] = { "linger.ms", "5", "compression.type", "lz4", NULL };
	static const char *const bad[] = { "linger.msx", "5", NULL };
	struct posta_error error = { 0 };

	(void)state;
	assert_int_equal(checked("kafka://u:p%40@a:1,b:2", good, &error), POSTA_OK);
	assert_int_equal(checked("kafkas://a", NULL, &error), POSTA_OK);
	assert_int_equal(checked("kafka://", NULL, &error), POSTA_EINVAL);
	assert_int_equal(checked("kafka://u:secret@h:1/topic", NULL, &error), POSTA_EINVAL);
	assert_null(strstr(error.text, "secret"));
	assert_int_equal(checked("kafka://a:1", bad, &error), POSTA_EINVAL);
	kafka_assert_text(error.text, "linger.msx");
}

static int start(void **state)
{
	struct kit_broker_options options = { .partitions = 2 };

	(void)state;
	broker = kit_broker_start(KIT_KAFKA, &options);
	url = kit_broker_url(broker);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kafka_assert_nothing_left();
	kit_broker_stop(broker);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish__a_thousand__in_order),
		cmocka_unit_test(publish__attributes__come_back),
		cmocka_unit_test(publish__no_body_and_an_empty_one__are_told_apart),
		cmocka_unit_test(publish__structured_and_raw__arrive),
		cmocka_unit_test(publish__larger_than_the_broker_takes__says_so_and_the_flow_goes_on),
		cmocka_unit_test(publish__bare_ones_at_once__in_order_with_their_key),
		cmocka_unit_test(publish__one_of_many_bare_ones_is_too_large__that_one_is_refused),
		cmocka_unit_test(publish__more_bare_ones_than_there_is_room_for__the_rest_later_in_order),
		cmocka_unit_test(publish__seventy_topics__each_gets_its_own),
		cmocka_unit_test(settle__out_of_order__commits_only_what_has_no_gap),
		cmocka_unit_test(settle__reject__is_not_seen_again),
		cmocka_unit_test(settle__requeue__comes_again_as_redelivered),
		cmocka_unit_test(close__unsettled__comes_again),
		cmocka_unit_test(source__no_group__each_gets_all),
		cmocka_unit_test(source__from_latest__only_what_is_published_later),
		cmocka_unit_test(source__several_topics_and_a_pattern__gets_them_all),
		cmocka_unit_test(pause__nothing_comes_until_resume),
		cmocka_unit_test(group__second_member__takes_over_and_nothing_is_missed),
		cmocka_unit_test(close__with_messages_held__does_not_wait_and_they_stay_whole),
		cmocka_unit_test(close__with_publications_in_flight__lets_them_go),
		cmocka_unit_test(check__what_kafka_has_not__is_refused),
		cmocka_unit_test(check__urls_and_extras__say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
