/* SPDX-License-Identifier: MIT */
/*
 * The Kafka bridge in the conformance suite: a broker of its own, killed and started again where the broker goes away.
 * It makes no topic by itself, so that one can be missing; those of the suite are made at the start.
 */
#include "own_broker.h"

#include "bridges/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS 240
#define MAKE_MS 60000

static char *prefix;
static unsigned used; /* topics */

static void give_up(const char *what)
{
	fprintf(stderr, "kafka: topics for the suite: %s\n", what);
	exit(1);
}

static rd_kafka_t *admin_new(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char words[256];
	rd_kafka_t *rk;

	if (rd_kafka_conf_set(conf, "bootstrap.servers", kit_own_url() + strlen("kafka://"), words, sizeof words))
		give_up(words);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
	if (!rk)
		give_up(words);
	return rk;
}

static void check_made(rd_kafka_event_t *event)
{
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	size_t count = 0;
	const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;

	if (!topics)
		give_up("no answer");
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_topic_result_error(topics[i]))
			give_up(rd_kafka_err2str(rd_kafka_topic_result_error(topics[i])));
}

static void topic_name(char name[KIT_NAME_MAX], unsigned number)
{
	snprintf(name, KIT_NAME_MAX, "%s.%03u", prefix, number);
}

static void make_topics(void)
{
	rd_kafka_t *rk = admin_new();
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_NewTopic_t *topics[TOPICS];
	char name[KIT_NAME_MAX], words[256];
	rd_kafka_event_t *event;

	rd_kafka_AdminOptions_set_operation_timeout(options, MAKE_MS, words, sizeof words);
	rd_kafka_AdminOptions_set_request_timeout(options, MAKE_MS, words, sizeof words);
	for (unsigned i = 0; i < TOPICS; i++) {
		topic_name(name, i);
		topics[i] = rd_kafka_NewTopic_new(name, 1, 1, words, sizeof words);
	}
	rd_kafka_CreateTopics(rk, topics, TOPICS, options, queue);
	event = rd_kafka_queue_poll(queue, 2 * MAKE_MS);
	if (!event)
		give_up("no answer in time");
	check_made(event);
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy_array(topics, TOPICS);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

static void start(void)
{
	struct kit_broker_options options = { .no_auto_create = true, .message_bytes_max = 4 << 20 };

	kit_own_start(KIT_KAFKA, &options);
	prefix = kit_unique("suite");
	used = 0;
	make_topics();
}

static void stop(void)
{
	kit_own_stop();
	free(prefix);
	rd_kafka_wait_destroyed(5000);
}

static void next_topic(char name[KIT_NAME_MAX])
{
	if (used == TOPICS)
		give_up("all are used");
	topic_name(name, used++);
}

static void aim(struct kit_pair *pair)
{
	pair->target = (struct posta_target){ .size = sizeof pair->target, .topic = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .topic = pair->names[0] };
}

/* What one member of a group settles no other one gets. */
static void queue(struct kit_pair *pair)
{
	next_topic(pair->names[0]);
	snprintf(pair->names[1], KIT_NAME_MAX, "group-%.120s", pair->names[0]);
	aim(pair);
	pair->source.group = pair->names[1];
}

static void topic(struct kit_pair *pair)
{
	next_topic(pair->names[0]);
	aim(pair);
}

static void wildcard(struct kit_pair *first, struct kit_pair *second, struct posta_source *source,
		     char name[KIT_NAME_MAX])
{
	topic(first);
	topic(second);
	snprintf(name, KIT_NAME_MAX, "^%s\\.(%s|%s)$", prefix, strrchr(first->names[0], '.') + 1,
		 strrchr(second->names[0], '.') + 1);
	*source = (struct posta_source){ .size = sizeof *source, .topic = name };
}

static void no_such(struct kit_pair *pair)
{
	snprintf(pair->names[0], KIT_NAME_MAX, "%s.missing", prefix);
	aim(pair);
}

const struct kit_bridge kit_bridge_kafka = {
	.name = "kafka",
	.ops = &posta__kafka_ops,
	.patience_ms = 60000,
	.start = start,
	.stop = stop,
	.url = kit_own_url,
	.far_url = kit_own_far_url,
	.fault = kit_own_fault,
	.options = kit_own_patience,
	.queue = queue,
	.topic = topic,
	.wildcard = wildcard,
	.no_such = no_such,
	.down = kit_own_kill,
	.up = kit_own_up,
};
