/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: one member of a group each, its events on the loop. What was fetched comes to a queue of its own:
 * while it may not be delivered it is left there, which the library bounds, and the group's events are read all the
 * same.
 */
#include "bridges/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 64   /* a turn */
#define RECORDS_MAX 256 /* a turn: the actors they go to have theirs before more are read, so that memory stays warm */
#define UNKNOWN_S 5. /* a topic is made by the first who asks, but not at once */

void posta__kafka_consumer_answer(struct posta__kafka_consumer *consumer, enum posta_err result, const char *text)
{
	if (consumer->answered)
		return;
	consumer->answered = true;
	posta_bridge_subscribed(consumer->kafka->bridge, consumer->subscription, result, text);
}

/* From the end: what is published after our answer must not be before that end, so that it is awaited. */
static void answer_if_placed(struct posta__kafka_consumer *consumer)
{
	for (uint32_t i = 0; consumer->from_latest && i < consumer->slot_count; i++)
		if (consumer->slots[i] && !consumer->slots[i]->placed)
			return;
	posta__kafka_consumer_answer(consumer, POSTA_OK, NULL);
}

void posta__kafka_consumer_placed(struct posta__kafka_consumer *consumer, struct posta__kafka_partition *partition)
{
	if (partition->placed)
		return;
	partition->placed = true;
	if (!consumer->answered)
		answer_if_placed(consumer);
}

static void on_end(struct posta__kafka_consumer *consumer, const rd_kafka_message_t *at)
{
	struct posta__kafka_partition *partition =
		posta__kafka_partition_find(consumer, rd_kafka_topic_name(at->rkt), at->partition);

	if (!partition)
		return;
	if (at->offset > partition->end)
		partition->end = at->offset;
	/* Committed, so that a new connection goes on here instead of at a later end. */
	if (!partition->placed && consumer->from_latest && at->offset > 0 && !partition->offsets.count &&
	    partition->offsets.settled < 0) {
		partition->offsets.settled = at->offset - 1;
		partition->offsets.dirty = consumer->dirty = true;
	}
	posta__kafka_consumer_placed(consumer, partition);
}

static void on_assign(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++)
		if (posta__kafka_partition_add(consumer, list->elems[i].topic, list->elems[i].partition)) {
			posta__kafka_fail(consumer->kafka, POSTA_ENOMEM, "kafka: no memory for a partition");
			return;
		}
	posta__kafka_position_assign(consumer, list);
}

void posta__kafka_consumer_assigned(struct posta__kafka_consumer *consumer, bool some)
{
	/* Known, but empty: it may be that its topic does not exist yet. */
	if (some || !*consumer->refusal)
		answer_if_placed(consumer);
}

static void on_revoke(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	posta__kafka_consumer_store(consumer);
	for (int i = 0; i < list->cnt; i++)
		posta__kafka_partition_remove(consumer, list->elems[i].topic, list->elems[i].partition);
	posta__kafka_partitions_revoked(consumer);
	/* Commits what is stored. */
	posta__kafka_rebalance(consumer->client->rk, false, list);
}

static void on_rebalance(struct posta__kafka_consumer *consumer, rd_kafka_event_t *event)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);

	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		atomic_store_explicit(&consumer->client->assigned, true, memory_order_relaxed);
		on_assign(consumer, list);
	} else {
		on_revoke(consumer, list);
	}
}

static bool reads_any(const struct posta__kafka_consumer *consumer)
{
	for (uint32_t i = 0; i < consumer->slot_count; i++)
		if (consumer->slots[i])
			return true;
	return false;
}

/* Returns: whether it is about a topic, or all topics, of ours, and not about the connection. */
static bool refused(struct posta__kafka_consumer *consumer, rd_kafka_resp_err_t err, const char *text)
{
	char words[POSTA_ERROR_TEXT_MAX];

	posta__kafka_words(text, words, sizeof words);
	switch (err) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		memcpy(consumer->refusal, words, sizeof words);
		return true;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
		/* One of several topics: the others flow. */
		if (reads_any(consumer))
			return true;
		consumer->answered = false;
		posta__kafka_consumer_answer(consumer, POSTA_EREFUSED, words);
		return true;
	default:
		return false;
	}
}

static void on_event(struct posta__kafka_consumer *consumer, rd_kafka_event_t *event)
{
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
		on_rebalance(consumer, event);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
		 !refused(consumer, rd_kafka_event_error(event), rd_kafka_event_error_string(event)))
		posta__kafka_on_error(consumer->kafka, consumer->client, rd_kafka_event_error(event),
				      rd_kafka_event_error_string(event));
	rd_kafka_event_destroy(event);
}

/* Returns: whether more may be there. */
static bool read_events(struct posta__kafka_consumer *consumer)
{
	for (int i = 0; i < EVENTS_MAX && !consumer->kafka->failed; i++) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(consumer->client->queue, 0);
		if (!event)
			return false;
		on_event(consumer, event);
	}
	return true;
}

/* Takes: message. */
static void on_record(struct posta__kafka_consumer *consumer, rd_kafka_message_t *message)
{
	if (!message->err && !consumer->kafka->failed) {
		posta__kafka_consumer_fetched(consumer, message);
		return;
	}
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		on_end(consumer, message);
	else if (message->err && !refused(consumer, message->err, rd_kafka_message_errstr(message)))
		posta__kafka_on_error(consumer->kafka, consumer->client, message->err,
				      rd_kafka_message_errstr(message));
	rd_kafka_message_destroy(message);
}

/* Returns: whether more may be there, to be read now. */
static bool read_records(struct posta__kafka_consumer *consumer)
{
	rd_kafka_message_t *batch[RECORDS_MAX];
	uint32_t room = posta__kafka_consumer_room(consumer);
	uint32_t wanted = room < RECORDS_MAX ? room : RECORDS_MAX;
	size_t bytes = 0;
	ssize_t count = wanted ? rd_kafka_consume_batch_queue(consumer->client->records, 0, batch, wanted) : 0;

	for (ssize_t i = 0; i < count; i++) {
		bytes += batch[i]->len;
		on_record(consumer, batch[i]);
	}
	if (count > 0)
		posta__kafka_client_taken(consumer->client, (uint32_t)count, bytes, count < (ssize_t)wanted);
	if (posta__kafka_consumer_room(consumer))
		return count == (ssize_t)wanted;
	consumer->starved = true;
	return false;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct posta__kafka_consumer *consumer = io->data;

	(void)loop;
	(void)events;
	posta__kafka_client_hush(consumer->client);
	if (consumer->questions)
		posta__kafka_position_look(consumer);
	bool more = read_events(consumer);
	if (!consumer->kafka->failed && (read_records(consumer) || more))
		posta__kafka_client_kick(consumer->client);
}

/* -- the group */

static rd_kafka_topic_partition_list_t *topics_of(const char *topics)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	char *copy = strdup(topics), *rest = copy;

	if (copy && *copy == '^')
		rd_kafka_topic_partition_list_add(list, copy, RD_KAFKA_PARTITION_UA);
	else
		for (char *name; copy && (name = strsep(&rest, ","));)
			rd_kafka_topic_partition_list_add(list, name, RD_KAFKA_PARTITION_UA);
	free(copy);
	return list;
}

/*
 * Without a group one of its own: new for each subscription and process, but the same over reconnects, so that these
 * go on where they were.
 */
static enum posta_err set_group(rd_kafka_conf_t *conf, struct posta__kafka_consumer *consumer,
				const struct posta_source *source, struct posta_error *error)
{
	char own[320];
	enum posta_err err;

	/* The address tells processes apart whose ids are the same, as in containers. */
	snprintf(own, sizeof own, "posta-%.200s-%u-%lx-%llx", posta_bridge_client_id(consumer->kafka->bridge),
		 consumer->subscription, (unsigned long)getpid(),
		 (unsigned long long)((uintptr_t)consumer->kafka->bridge * UINT64_C(0x9E3779B97F4A7C15)));
	err = posta__kafka_set(conf, "group.id", source->group ? source->group : own, error);
	if (!err && source->member)
		err = posta__kafka_set(conf, "group.instance.id", source->member, error);
	if (!err)
		err = posta__kafka_set(conf, "auto.offset.reset", source->from_latest ? "latest" : "earliest", error);
	return err;
}

static enum posta_err make_client(struct posta__kafka_consumer *consumer, const struct posta_source *source,
				  struct posta_error *error)
{
	struct posta_bridge *bridge = consumer->kafka->bridge;
	rd_kafka_conf_t *conf = posta__kafka_conf(posta_bridge_url(bridge), posta_bridge_get_options(bridge),
						  POSTA__KAFKA_CONSUMER, error);

	if (!conf)
		return error->code;
	if (set_group(conf, consumer, source, error)) {
		rd_kafka_conf_destroy(conf);
		return error->code;
	}
	consumer->client = posta__kafka_client_new(conf, POSTA__KAFKA_CONSUMER, error);
	return consumer->client ? POSTA_OK : error->code;
}

/* Where brokers make topics on demand, a producer's question does, a consumer's does not always. */
static void ask_for_topics(struct posta__kafka_consumer *consumer)
{
	bool make = posta_bridge_get_options(consumer->kafka->bridge)->topic_partitions > 0;

	for (int i = 0; i < consumer->topics->cnt; i++) {
		const char *name = consumer->topics->elems[i].topic;
		rd_kafka_topic_t *topic =
			*name == '^' || make ? NULL
					     : rd_kafka_topic_new(consumer->kafka->producer.client->rk, name, NULL);
		if (topic)
			rd_kafka_topic_destroy(topic);
		else if (*name != '^')
			posta__kafka_topic_of(consumer->kafka, name);
	}
}

static enum posta_err join(struct posta__kafka_consumer *consumer, const struct posta_source *source,
			   struct posta_error *error)
{
	enum posta_err err = make_client(consumer, source, error);

	if (err)
		return err;
	consumer->topics = topics_of(source->topic);
	ask_for_topics(consumer);
	rd_kafka_resp_err_t refused = rd_kafka_subscribe(consumer->client->rk, consumer->topics);
	if (!refused)
		return POSTA_OK;
	rd_kafka_topic_partition_list_destroy(consumer->topics);
	posta__kafka_client_close(consumer->client);
	consumer->client = NULL;
	return posta_error_set(error, POSTA_EREFUSED, "kafka: %s: %s", source->topic, rd_kafka_err2str(refused));
}

static void watch(struct posta__kafka_consumer *consumer)
{
	ev_io_init(&consumer->readable, on_readable, consumer->client->fd, EV_READ);
	ev_timer_init(&consumer->requeue, posta__kafka_consumer_on_requeue, .01, 0.);
	consumer->readable.data = consumer->requeue.data = consumer;
	ev_io_start(consumer->kafka->loop, &consumer->readable);
	posta__kafka_client_kick(consumer->client);
}

void posta__kafka_consumer_open(struct posta__kafka *kafka, uint32_t subscription, const struct posta_source *source)
{
	struct posta__kafka_consumer *before = posta__kafka_consumer_find(kafka, subscription);
	struct posta_error error = { 0 };

	if (before) /* refused a while ago */
		posta__kafka_consumer_close(before);
	struct posta__kafka_consumer *consumer = calloc(1, sizeof *consumer);
	if (!consumer) {
		posta_bridge_subscribed(kafka->bridge, subscription, POSTA_ENOMEM, NULL);
		return;
	}
	consumer->kafka = kafka;
	consumer->subscription = subscription;
	consumer->credit = source->credit ? source->credit : 1024;
	consumer->from_latest = source->from_latest;
	consumer->position = source->position;
	consumer->since = ev_now(kafka->loop);
	if (join(consumer, source, &error)) {
		free(consumer);
		posta_bridge_subscribed(kafka->bridge, subscription, error.code, error.text);
		return;
	}
	watch(consumer);
	consumer->next = kafka->consumers;
	kafka->consumers = consumer;
}

struct posta__kafka_consumer *posta__kafka_consumer_find(struct posta__kafka *kafka, uint32_t subscription)
{
	struct posta__kafka_consumer *consumer = kafka->consumers;

	while (consumer && consumer->subscription != subscription)
		consumer = consumer->next;
	return consumer;
}

void posta__kafka_consumer_close(struct posta__kafka_consumer *consumer)
{
	struct posta__kafka *kafka = consumer->kafka;
	struct posta__kafka_consumer **at = &kafka->consumers;

	while (*at != consumer)
		at = &(*at)->next;
	*at = consumer->next;
	ev_io_stop(kafka->loop, &consumer->readable);
	ev_timer_stop(kafka->loop, &consumer->requeue);
	posta__kafka_consumer_store(consumer);
	posta__kafka_position_fini(consumer);
	posta__kafka_partitions_fini(consumer);
	posta__kafka_client_close(consumer->client);
	rd_kafka_topic_partition_list_destroy(consumer->topics);
	free(consumer);
}

void posta__kafka_consumer_tick(struct posta__kafka_consumer *consumer)
{
	posta__kafka_consumer_store(consumer);
	posta__kafka_position_tick(consumer);
	if (consumer->kafka->failed)
		return;
	/* Reading events is what keeps us in the group (max.poll.interval.ms), also when there are none. */
	posta__kafka_client_kick(consumer->client);
	if (*consumer->refusal && !consumer->answered && ev_now(consumer->kafka->loop) - consumer->since > UNKNOWN_S)
		posta__kafka_consumer_answer(consumer, POSTA_EREFUSED, consumer->refusal);
}
