/* SPDX-License-Identifier: MIT */
/*
 * What Kafka has beyond the contract of all bridges: topics made, positions, lag, static members, transactions,
 * compression.
 */
#include "kafka_scene.h"

#include "bridges/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kit_broker *broker;
static const char *url;

/* The broker makes no topics by itself. */
static struct posta_bridge *connected_with_partitions(int partitions)
{
	struct posta_bridge *core = kafka_at(url);

	core->options.topic_partitions = partitions;
	core_connected(core);
	return core;
}

/* -- topics */

static int partitions_of(struct posta_bridge *core, const char *topic)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_t *rk = ((struct posta__kafka *)core->state)->producer.client->rk;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);

	assert_int_equal(rd_kafka_metadata(rk, 0, handle, &metadata, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
	assert_int_equal(metadata->topic_cnt, 1);
	int count = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
	return count;
}

static void topic__missing__is_made_with_its_partitions(void **state)
{
	const char *topic = kafka_name("made");
	struct posta_bridge *core = connected_with_partitions(5);

	(void)state;
	kafka_publish(core, topic, 0, 20);
	assert_int_equal(partitions_of(core, topic), 5);
	/* There already: as good. */
	struct posta_bridge *other = connected_with_partitions(3);
	kafka_publish(other, topic, 20, 25);
	assert_int_equal(partitions_of(other, topic), 5);
	kafka_finish(other);
	kafka_finish(core);
}

static void topic__of_a_source__is_made_too(void **state)
{
	const char *topic = kafka_name("read-first");
	struct posta_bridge *core = connected_with_partitions(2);

	(void)state;
	kafka_subscribe(core, 1, topic, NULL);
	assert_int_equal(partitions_of(core, topic), 2);
	kafka_publish(core, topic, 0, 3);
	core_wait(core, core->delivery_count == 3);
	kafka_finish(core);
}

static void topic__more_replicas_than_brokers__refused_with_words(void **state)
{
	struct posta_target target = kafka_to(kafka_name("replicas"));
	struct posta_bridge *core = kafka_at(url);

	(void)state;
	core->options.topic_partitions = 1;
	core->options.topic_replication = 3;
	core_connected(core);
	uint64_t id = core_publish(core, &target, core_text("1", "x"), false);
	core_wait(core, core_confirm_of(core, id));
	assert_int_equal(core_confirm_of(core, id)->result, POSTA_EREFUSED);
	kafka_assert_text(core_confirm_of(core, id)->text, "replication factor");
	kafka_finish(core);
}

/* -- positions */

/* One partition with the numbers 0 to 19, each a second after the one before. */
#define FIRST_MS 1764000000000

static void fill(struct posta_bridge *core, const char *topic)
{
	struct posta_target target = kafka_to(topic);
	size_t before = core->confirm_count;
	char text[16];

	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "%d", i);
		struct posta_envelope *envelope = core_text(text, text);
		posta_envelope_set_time(envelope, FIRST_MS + i * 1000);
		core_publish(core, &target, envelope, i < 19);
	}
	core_wait(core, core->confirm_count == before + 20);
}

static struct posta_source from(const char *topic, const char *group, enum posta_start start, int64_t at)
{
	return (struct posta_source){ .size = sizeof(struct posta_source),
				      .topic = topic,
				      .group = group,
				      .credit = 1000,
				      .position = { start, at } };
}

static void assert_reads_from(struct posta_bridge *core, const char *topic, enum posta_start start, int64_t at,
			      int first)
{
	static uint32_t id = 100;
	struct posta_source source = from(topic, NULL, start, at);
	size_t before = core->delivery_count;

	assert_int_equal(kafka_subscribe_from(core, ++id, &source), POSTA_OK);
	core_wait(core, core->delivery_count == before + (size_t)(20 - first));
	assert_int_equal(kafka_number(core, before), first);
	core->ops->unsubscribe(core, core->state, id);
}

static void position__offset_and_time__reading_begins_there(void **state)
{
	const char *topic = kafka_name("position");
	struct posta_bridge *core = connected_with_partitions(1);

	(void)state;
	fill(core, topic);
	assert_reads_from(core, topic, POSTA_START_OFFSET, 15, 15);
	assert_reads_from(core, topic, POSTA_START_TIME, FIRST_MS + 7000, 7);
	assert_reads_from(core, topic, POSTA_START_TIME, FIRST_MS + 7001, 8);
	assert_reads_from(core, topic, POSTA_START_BEGINNING, 0, 0);
	kafka_finish(core);
}

static void position__end__only_what_comes_later(void **state)
{
	const char *topic = kafka_name("position-end");
	struct posta_bridge *core = connected_with_partitions(1);
	struct posta_source source = from(topic, kafka_name("g"), POSTA_START_END, 0);

	(void)state;
	fill(core, topic);
	assert_int_equal(kafka_subscribe_from(core, 1, &source), POSTA_OK);
	kafka_publish(core, topic, 50, 51);
	core_wait(core, core->delivery_count == 1);
	assert_int_equal(kafka_number(core, 0), 50);
	kafka_finish(core);
}

/* The position is the group's now, though nothing was settled. */
static void position__connection_breaks_before_a_settlement__goes_on_there(void **state)
{
	const char *topic = kafka_name("position-kept"), *group = kafka_name("g");
	struct posta_bridge *core = connected_with_partitions(1);
	struct posta_source source = from(topic, group, POSTA_START_OFFSET, 12);

	(void)state;
	fill(core, topic);
	assert_int_equal(kafka_subscribe_from(core, 1, &source), POSTA_OK);
	core_wait(core, core->delivery_count == 8);
	kafka_finish(core);
	core = connected_with_partitions(1);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count >= 8);
	assert_int_equal(kafka_number(core, 0), 12);
	kafka_finish(core);
}

static void seek__back__all_from_there_comes_again(void **state)
{
	const char *topic = kafka_name("seek"), *group = kafka_name("g");
	struct posta_bridge *core = connected_with_partitions(1);

	(void)state;
	fill(core, topic);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 20);
	for (size_t i = 0; i < 15; i++)
		core_settle(core, &core->deliveries[i], POSTA_ACK);
	core->ops->seek(core, core->state, 1, (struct posta_position){ POSTA_START_OFFSET, 5 });
	core_wait(core, core->delivery_count == 35);
	assert_true(core->revoked > 0);
	assert_int_equal(kafka_number(core, 20), 5);
	core_settle(core, &core->deliveries[19], POSTA_ACK); /* of before: nothing */
	core->ops->seek(core, core->state, 1, (struct posta_position){ POSTA_START_TIME, FIRST_MS + 18000 });
	core_wait(core, core->delivery_count == 37);
	assert_int_equal(kafka_number(core, 35), 18);
	core_run_for(core, .3);
	assert_int_equal(core->delivery_count, 37);
	/* What is committed follows. */
	core->ops->seek(core, core->state, 1, (struct posta_position){ POSTA_START_OFFSET, 3 });
	core_wait(core, core->delivery_count == 54);
	kafka_finish(core);
	core = connected_with_partitions(1);
	kafka_subscribe(core, 1, topic, group);
	core_wait(core, core->delivery_count == 17);
	assert_int_equal(kafka_number(core, 0), 3);
	kafka_finish(core);
}

static void seek__while_paused__begins_there_at_resume(void **state)
{
	const char *topic = kafka_name("seek-paused");
	struct posta_bridge *core = connected_with_partitions(1);

	(void)state;
	fill(core, topic);
	kafka_subscribe(core, 1, topic, NULL);
	core_wait(core, core->delivery_count == 20);
	core->ops->pause(core, core->state, 1);
	core->ops->seek(core, core->state, 1, (struct posta_position){ POSTA_START_OFFSET, 16 });
	core_run_for(core, .5);
	assert_int_equal(core->delivery_count, 20);
	core->ops->resume(core, core->state, 1);
	core_wait(core, core->delivery_count == 24);
	assert_int_equal(kafka_number(core, 20), 16);
	kafka_finish(core);
}

/* -- lag */

static void lag__unsettled_and_unread__are_counted_and_settling_takes_them_off(void **state)
{
	const char *topic = kafka_name("lag");
	struct posta_bridge *core = connected_with_partitions(1);
	struct posta_source source = { .size = sizeof source, .topic = topic, .credit = 5 };

	(void)state;
	kafka_publish(core, topic, 0, 40);
	assert_int_equal(kafka_subscribe_from(core, 1, &source), POSTA_OK);
	core_wait(core, core->lag == 40);
	assert_int_equal(core->delivery_count, 5);
	/* Paused by its credit: what comes now is not fetched, and is counted all the same. */
	core_run_for(core, .5);
	kafka_publish(core, topic, 40, 60);
	core_wait(core, core->lag == 60);
	size_t settled = 0;
	while (settled < 60) {
		core_wait(core, core->delivery_count > settled);
		for (; settled < core->delivery_count; settled++)
			core_settle(core, &core->deliveries[settled], POSTA_ACK);
	}
	core_wait(core, core->lag == 0);
	kafka_finish(core);
}

/* -- static membership */

static void member__comes_back_in_time__the_others_keep_theirs(void **state)
{
	const char *topic = kafka_name("member"), *group = kafka_name("g");
	struct posta_bridge *stays = connected_with_partitions(2), *restarts = connected_with_partitions(2);
	struct posta_source source = { .size = sizeof source, .topic = topic, .group = group, .member = "one" };

	(void)state;
	assert_int_equal(kafka_subscribe_from(stays, 1, &source), POSTA_OK);
	source.member = "two";
	assert_int_equal(kafka_subscribe_from(restarts, 1, &source), POSTA_OK);
	/* Both partitions have their owners when what is written to each arrives. */
	int sent = 0;
	for (int i = 0; !stays->delivery_count || !restarts->delivery_count; i++, sent++) {
		struct posta_target target = kafka_to(topic);
		char key[16];
		assert_true(i < 400);
		snprintf(key, sizeof key, "key-%d", i);
		kafka_send(stays, &target, i, i + 1, key);
		core_run_once(restarts);
		core_run_once(stays);
	}
	while (stays->delivery_count + restarts->delivery_count < (size_t)sent) {
		core_run_once(restarts);
		core_run_once(stays);
	}
	int revoked = stays->revoked;
	kafka_finish(restarts);
	restarts = connected_with_partitions(2);
	size_t before = stays->delivery_count;
	assert_int_equal(kafka_subscribe_from(restarts, 1, &source), POSTA_OK);
	core_run_for(stays, 1.);
	assert_int_equal(stays->revoked, revoked);
	assert_int_equal(stays->delivery_count, before);
	kafka_finish(restarts);
	kafka_finish(stays);
}

/* -- transactions */

static void transaction__confirmed__is_committed(void **state)
{
	const char *topic = kafka_name("committed");
	struct posta_bridge *writer = kafka_transactional(url, kafka_name("tx"), 1);
	struct posta_bridge *reader = connected_with_partitions(1);

	(void)state;
	kafka_subscribe(reader, 1, topic, NULL);
	/* More than one transaction holds. */
	kafka_publish(writer, topic, 0, 10000);
	kafka_assert_numbers(reader, 0, 0, 10000);
	kafka_settle_from(reader, 0, POSTA_ACK);
	core_wait(reader, reader->lag == 0); /* the markers of commits are no messages */
	kafka_finish(writer);
	kafka_finish(reader);
}

/* Nobody sees what was written and not committed; and it does not hide what comes after. */
static void transaction__connection_ends_before_the_commit__nothing_is_seen(void **state)
{
	const char *topic = kafka_name("uncommitted"), *id = kafka_name("tx");
	struct posta_bridge *writer = kafka_transactional(url, id, 1), *reader = connected_with_partitions(1);
	struct posta_target target = kafka_to(topic);

	(void)state;
	kafka_subscribe(reader, 1, topic, NULL);
	kafka_publish(writer, topic, 0, 1);
	kafka_send(writer, &target, 1, 50, NULL);
	assert_int_equal(writer->confirm_count, 1);
	core_free(writer);
	writer = kafka_transactional(url, id, 1);
	kafka_publish(writer, topic, 50, 60);
	core_wait(reader, reader->delivery_count == 11);
	assert_int_equal(kafka_number(reader, 0), 0);
	kafka_assert_numbers(reader, 1, 50, 10);
	kafka_finish(writer);
	kafka_finish(reader);
}

static void transaction__one_too_large__that_one_is_refused_and_the_order_stays(void **state)
{
	const char *topic = kafka_name("poison");
	struct posta_bridge *writer = kafka_transactional(url, kafka_name("tx"), 1);
	struct posta_bridge *reader = connected_with_partitions(1);
	struct posta_target target = kafka_to(topic);
	size_t size = 3u << 20; /* the broker takes 1 MiB: it says no, not the library */
	char *large = malloc(size + 1);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', size);
	large[size] = '\0';
	kafka_subscribe(reader, 1, topic, NULL);
	kafka_publish(writer, topic, 0, 1);
	kafka_send(writer, &target, 1, 10, NULL);
	uint64_t id = core_publish(writer, &target, core_text("large", large), false);
	kafka_send(writer, &target, 10, 20, NULL);
	core_wait(writer, writer->confirm_count == 21);
	assert_int_equal(core_confirm_of(writer, id)->result, POSTA_ETOOBIG);
	for (size_t i = 0; i < writer->confirm_count; i++)
		assert_true(writer->confirms[i].id == id || writer->confirms[i].result == POSTA_OK);
	kafka_assert_numbers(reader, 0, 0, 20);
	free(large);
	kafka_finish(writer);
	kafka_finish(reader);
}

static void transaction__another_of_its_id__the_older_one_is_down(void **state)
{
	const char *topic = kafka_name("fenced"), *id = kafka_name("tx");
	struct posta_bridge *older = kafka_transactional(url, id, 1);
	struct posta_target target = kafka_to(topic);

	(void)state;
	kafka_publish(older, topic, 0, 1);
	struct posta_bridge *younger = kafka_transactional(url, id, 1);
	kafka_send(older, &target, 1, 2, NULL);
	core_wait(older, older->downs);
	kafka_publish(younger, topic, 2, 3);
	core_free(older);
	kafka_finish(younger);
}

/* -- what has a name at librdkafka already */

static void extra__each_compression__arrives(void **state)
{
	static const char *const kinds[] = { "gzip", "snappy", "lz4", "zstd" };
	const char *topic = kafka_name("compressed");
	struct posta_bridge *reader = connected_with_partitions(1);

	(void)state;
	kafka_subscribe(reader, 1, topic, NULL);
	for (int i = 0; i < 4; i++) {
		const char *const extra[] = { "compression.type", kinds[i], "linger.ms", "2",
					      "batch.size",       "65536",  NULL };
		struct posta_bridge *core = kafka_at(url);

		core->options.topic_partitions = 1;
		core->options.extra = extra;
		core_connected(core);
		kafka_publish(core, topic, i * 100, i * 100 + 100);
		kafka_finish(core);
	}
	core_wait(reader, reader->delivery_count == 400);
	assert_true(kafka_has_all(reader, 0, 400));
	kafka_finish(reader);
}

static int start(void **state)
{
	struct kit_broker_options options = { .no_auto_create = true };

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
		cmocka_unit_test(topic__missing__is_made_with_its_partitions),
		cmocka_unit_test(topic__of_a_source__is_made_too),
		cmocka_unit_test(topic__more_replicas_than_brokers__refused_with_words),
		cmocka_unit_test(position__offset_and_time__reading_begins_there),
		cmocka_unit_test(position__end__only_what_comes_later),
		cmocka_unit_test(position__connection_breaks_before_a_settlement__goes_on_there),
		cmocka_unit_test(seek__back__all_from_there_comes_again),
		cmocka_unit_test(seek__while_paused__begins_there_at_resume),
		cmocka_unit_test(lag__unsettled_and_unread__are_counted_and_settling_takes_them_off),
		cmocka_unit_test(member__comes_back_in_time__the_others_keep_theirs),
		cmocka_unit_test(transaction__confirmed__is_committed),
		cmocka_unit_test(transaction__connection_ends_before_the_commit__nothing_is_seen),
		cmocka_unit_test(transaction__one_too_large__that_one_is_refused_and_the_order_stays),
		cmocka_unit_test(transaction__another_of_its_id__the_older_one_is_down),
		cmocka_unit_test(extra__each_compression__arrives),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
