/* SPDX-License-Identifier: MIT */
/*
 * Topics that are made where they are missing (options->topic_partitions): asked for once a connection, before the
 * first publication to one; publications wait for the answer, since the broker's own making of topics knows no
 * partitions.
 *
 *   UNKNOWN ──asked──▶ ASKED ──made, or there already──▶ READY
 *                        ├──no answer──▶ UNKNOWN, asked again a moment later
 *                        └──refused───▶ REFUSED, asked again some seconds later
 */
#include "bridges/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000
#define RETRY_S 1.
#define REFUSED_S 5.

static struct posta__kafka_topic *find(struct posta__kafka_topics *topics, const char *name)
{
	if (topics->last && strcmp(topics->last->name, name) == 0)
		return topics->last;
	for (struct posta__kafka_topic *topic = topics->first; topic; topic = topic->next)
		if (strcmp(topic->name, name) == 0)
			return topics->last = topic;
	return NULL;
}

static struct posta__kafka_topic *add(struct posta__kafka_topics *topics, const char *name)
{
	size_t size = strlen(name) + 1;
	struct posta__kafka_topic *topic =
		topics->count < POSTA__KAFKA_TOPICS_MAX ? calloc(1, sizeof *topic + size) : NULL;

	if (!topic)
		return NULL;
	memcpy(topic->name, name, size);
	topic->next = topics->first;
	topics->first = topics->last = topic;
	topics->count++;
	return topic;
}

static void ask(struct posta__kafka *kafka, struct posta__kafka_topic *topic)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(kafka->bridge);
	struct posta__kafka_client *client = kafka->producer.client;
	rd_kafka_AdminOptions_t *how = rd_kafka_AdminOptions_new(client->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	int replication = options->topic_replication ? options->topic_replication : -1;
	char words[128];
	rd_kafka_NewTopic_t *wanted =
		rd_kafka_NewTopic_new(topic->name, options->topic_partitions, replication, words, sizeof words);

	topic->state = POSTA__KAFKA_TOPIC_ASKED;
	if (how && wanted) {
		rd_kafka_AdminOptions_set_request_timeout(how, ANSWER_MS, words, sizeof words);
		rd_kafka_AdminOptions_set_operation_timeout(how, ANSWER_MS / 2, words, sizeof words);
		rd_kafka_CreateTopics(client->rk, &wanted, 1, how, client->queue);
	} else {
		topic->state = POSTA__KAFKA_TOPIC_REFUSED;
		topic->retry_at = ev_now(kafka->loop) + REFUSED_S;
		snprintf(topic->text, sizeof topic->text, "kafka: topic %.80s cannot be asked for: %s", topic->name,
			 wanted ? "out of memory" : words);
	}
	if (wanted)
		rd_kafka_NewTopic_destroy(wanted);
	if (how)
		rd_kafka_AdminOptions_destroy(how);
}

struct posta__kafka_topic *posta__kafka_topic_of(struct posta__kafka *kafka, const char *name)
{
	struct posta__kafka_topic *topic = find(&kafka->topics, name);

	if (!topic)
		topic = add(&kafka->topics, name);
	if (!topic || topic->state == POSTA__KAFKA_TOPIC_READY || topic->state == POSTA__KAFKA_TOPIC_ASKED)
		return topic;
	if (ev_now(kafka->loop) >= topic->retry_at)
		ask(kafka, topic);
	return topic;
}

static bool passes(rd_kafka_resp_err_t err)
{
	switch (posta__kafka_code(err)) {
	case POSTA_ECONNECTION:
	case POSTA_ETIMEDOUT:
		return err != RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR &&
		       err != RD_KAFKA_RESP_ERR_INVALID_PARTITIONS && err != RD_KAFKA_RESP_ERR_INVALID_CONFIG;
	default:
		return false;
	}
}

static void answered(struct posta__kafka *kafka, struct posta__kafka_topic *topic, rd_kafka_resp_err_t err,
		     const char *words)
{
	if (!err || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
		topic->state = POSTA__KAFKA_TOPIC_READY;
		return;
	}
	bool later = passes(err);
	topic->state = later ? POSTA__KAFKA_TOPIC_UNKNOWN : POSTA__KAFKA_TOPIC_REFUSED;
	topic->retry_at = ev_now(kafka->loop) + (later ? RETRY_S : REFUSED_S);
	kafka->topics.waits |= later;
	char clean[POSTA_ERROR_TEXT_MAX];
	posta__kafka_words(words ? words : rd_kafka_err2str(err), clean, sizeof clean);
	snprintf(topic->text, sizeof topic->text, "topic %.80s was not made: %.120s", topic->name, clean);
}

void posta__kafka_topics_answered(struct posta__kafka *kafka, rd_kafka_event_t *event)
{
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	rd_kafka_resp_err_t all = rd_kafka_event_error(event);
	size_t count = 0;
	const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;

	for (size_t i = 0; i < count; i++) {
		struct posta__kafka_topic *topic = find(&kafka->topics, rd_kafka_topic_result_name(topics[i]));
		if (topic)
			answered(kafka, topic, rd_kafka_topic_result_error(topics[i]),
				 rd_kafka_topic_result_error_string(topics[i]));
	}
	/* No answer names its topic: all that are asked for are asked for again. */
	for (struct posta__kafka_topic *topic = kafka->topics.first; all && topic; topic = topic->next)
		if (topic->state == POSTA__KAFKA_TOPIC_ASKED)
			answered(kafka, topic, all, rd_kafka_event_error_string(event));
}

bool posta__kafka_topics_due(struct posta__kafka *kafka)
{
	bool due = false, waits = false;

	if (!kafka->topics.waits)
		return false;
	for (struct posta__kafka_topic *topic = kafka->topics.first; topic; topic = topic->next) {
		if (topic->state != POSTA__KAFKA_TOPIC_UNKNOWN)
			continue;
		if (ev_now(kafka->loop) >= topic->retry_at) {
			ask(kafka, topic);
			due = true;
		} else {
			waits = true;
		}
	}
	kafka->topics.waits = waits;
	return due;
}

void posta__kafka_topics_fini(struct posta__kafka_topics *topics)
{
	while (topics->first) {
		struct posta__kafka_topic *next = topics->first->next;
		free(topics->first);
		topics->first = next;
	}
}
