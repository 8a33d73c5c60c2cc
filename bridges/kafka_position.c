/* SPDX-License-Identifier: MIT */
/*
 * Where partitions are read from when somebody says so (a source's position, a seek), and how far there is to go (lag).
 * Offsets of a time, and ends of partitions that are not fetched, are asked for on a helper thread: a question. A
 * partition that is read from elsewhere begins a new life, so that settlements of the old one mean nothing.
 *
 *   assigned, position by time ─▶ question ─▶ rd_kafka_assign() with its answer
 *   seek by time ───────────────▶ question ─▶ moved
 *   lag of paused partitions ───▶ question ─▶ told
 */
#include "bridges/kafka.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000
#define LAG_S 2.

/* -- questions */

static void *answer(void *argument)
{
	struct posta__kafka_question *question = argument;
	struct posta__kafka_client *client = question->client;

	question->err = rd_kafka_offsets_for_times(client->rk, question->list, ANSWER_MS);
	/* PAIRS with the acquire of the loop: the offsets are there. After it, question may be gone. */
	atomic_store_explicit(&question->answered, true, memory_order_release);
	posta__kafka_client_kick(client);
	posta__kafka_client_unref(client);
	posta__kafka_question_drop(question);
	return NULL;
}

void posta__kafka_question_drop(struct posta__kafka_question *question)
{
	/* PAIRS with itself: the other one is done with it. */
	if (atomic_fetch_sub_explicit(&question->refs, 1, memory_order_acq_rel) > 1)
		return;
	rd_kafka_topic_partition_list_destroy(question->list);
	free(question);
}

/* Takes: list. False: out of memory. */
static bool ask(struct posta__kafka_consumer *consumer, enum posta__kafka_question_kind kind,
		rd_kafka_topic_partition_list_t *list)
{
	struct posta__kafka_question *question = malloc(sizeof *question);

	if (!question) {
		rd_kafka_topic_partition_list_destroy(list);
		return false;
	}
	*question = (struct posta__kafka_question){ .client = consumer->client, .kind = kind, .list = list, .refs = 2 };
	posta__kafka_client_ref(consumer->client);
	if (posta__kafka_detach(answer, question)) {
		posta__kafka_client_unref(consumer->client);
		question->refs = 1;
		posta__kafka_question_drop(question);
		return false;
	}
	question->next = consumer->questions;
	consumer->questions = question;
	return true;
}

static void no_memory(struct posta__kafka_consumer *consumer)
{
	posta__kafka_fail(consumer->kafka, POSTA_ENOMEM, "kafka: no memory for a position");
}

/* -- positions */

static int64_t logical(struct posta_position position)
{
	switch (position.start) {
	case POSTA_START_BEGINNING:
		return RD_KAFKA_OFFSET_BEGINNING;
	case POSTA_START_END:
		return RD_KAFKA_OFFSET_END;
	default:
		return position.at;
	}
}

static rd_kafka_topic_partition_list_t *at_position(const rd_kafka_topic_partition_list_t *list,
						    struct posta_position position)
{
	rd_kafka_topic_partition_list_t *copy = rd_kafka_topic_partition_list_copy(list);

	for (int i = 0; i < copy->cnt; i++)
		copy->elems[i].offset = logical(position);
	return copy;
}

/* To be committed as it is: a connection that breaks before the first settlement goes on here. */
static void note(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_t *at)
{
	struct posta__kafka_partition *partition = posta__kafka_partition_find(consumer, at->topic, at->partition);

	if (!partition)
		return;
	if (at->offset == RD_KAFKA_OFFSET_END)
		partition->placed = false;
	if (at->offset < 0 && at->offset != RD_KAFKA_OFFSET_BEGINNING)
		return;
	partition->offsets.settled = at->offset > 0 ? at->offset - 1 : -1;
	partition->offsets.dirty = consumer->dirty = true;
}

static void assign(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	posta__kafka_rebalance(consumer->client->rk, true, list);
	for (int i = 0; i < list->cnt; i++)
		note(consumer, &list->elems[i]);
	posta__kafka_consumer_assigned(consumer, list->cnt > 0);
}

void posta__kafka_position_assign(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	struct posta_position position = consumer->position;

	if (position.start == POSTA_START_COMMITTED || !list->cnt) {
		posta__kafka_rebalance(consumer->client->rk, true, list);
		posta__kafka_consumer_assigned(consumer, list->cnt > 0);
		return;
	}
	consumer->position = (struct posta_position){ 0 };
	consumer->from_latest |= position.start == POSTA_START_END;
	rd_kafka_topic_partition_list_t *copy = at_position(list, position);
	if (position.start == POSTA_START_TIME) {
		if (!ask(consumer, POSTA__KAFKA_ASK_ASSIGN, copy))
			no_memory(consumer);
		return;
	}
	assign(consumer, copy);
	rd_kafka_topic_partition_list_destroy(copy);
}

/* -- seeking */

static rd_kafka_topic_partition_list_t *all_of(const struct posta__kafka_consumer *consumer)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->slot_count);

	for (uint32_t i = 0; i < consumer->slot_count; i++)
		if (consumer->slots[i])
			rd_kafka_topic_partition_list_add(list, consumer->slots[i]->topic,
							  consumer->slots[i]->partition);
	return list;
}

/* Not before all are placed: a partition that looks for its first offset can't be moved. */
static bool all_placed(const struct posta__kafka_consumer *consumer)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < consumer->slot_count; i++) {
		if (consumer->slots[i] && !consumer->slots[i]->placed)
			return false;
		count += consumer->slots[i] != NULL;
	}
	return count > 0;
}

static void move(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *wanted)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(wanted->cnt);

	for (int i = 0; i < wanted->cnt; i++) {
		const rd_kafka_topic_partition_t *at = &wanted->elems[i];
		if (!posta__kafka_partition_find(consumer, at->topic, at->partition))
			continue;
		posta__kafka_partition_remove(consumer, at->topic, at->partition);
		if (posta__kafka_partition_add(consumer, at->topic, at->partition)) {
			no_memory(consumer);
			break;
		}
		note(consumer, at);
		posta__kafka_partition_find(consumer, at->topic, at->partition)->placed =
			at->offset != RD_KAFKA_OFFSET_END;
		rd_kafka_topic_partition_list_add(list, at->topic, at->partition)->offset = at->offset;
	}
	/* Without waiting; what was fetched before is thrown away by the library. */
	rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer->client->rk, list, 0);
	if (error) {
		posta__kafka_fail(consumer->kafka, POSTA_ECONNECTION, rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
	}
	rd_kafka_topic_partition_list_destroy(list);
	posta__kafka_partitions_revoked(consumer);
	posta__kafka_consumer_go_on(consumer);
}

static void seek_now(struct posta__kafka_consumer *consumer)
{
	struct posta_position position = consumer->position;
	rd_kafka_topic_partition_list_t *list = all_of(consumer);
	rd_kafka_topic_partition_list_t *copy = at_position(list, position);

	rd_kafka_topic_partition_list_destroy(list);
	consumer->position = (struct posta_position){ 0 };
	consumer->seeking = false;
	consumer->from_latest |= position.start == POSTA_START_END;
	if (position.start == POSTA_START_TIME) {
		if (!ask(consumer, POSTA__KAFKA_ASK_SEEK, copy))
			no_memory(consumer);
		return;
	}
	move(consumer, copy);
	rd_kafka_topic_partition_list_destroy(copy);
}

void posta__kafka_position_seek(struct posta__kafka_consumer *consumer, struct posta_position position)
{
	consumer->position = position;
	consumer->seeking = true;
	if (all_placed(consumer))
		seek_now(consumer);
}

/* -- lag */

static int64_t behind(const struct posta__kafka_partition *partition, int64_t end)
{
	const struct posta__kafka_offsets *offsets = &partition->offsets;
	int64_t next = offsets->settled >= 0 ? offsets->settled + 1
		       : offsets->count      ? posta__kafka_offsets_find(offsets, offsets->first)->offset
					     : -1;

	if (!offsets->count && partition->end >= end) /* all was read; what is behind the last message is no message */
		return 0;
	return next < 0 ? -1 : next < end ? end - next : 0;
}

static int64_t cached_end(const struct posta__kafka_consumer *consumer, const struct posta__kafka_partition *partition)
{
	int64_t low, high;

	return rd_kafka_get_watermark_offsets(consumer->client->rk, partition->topic, partition->partition, &low, &high)
		       ? -1
		       : high;
}

static void tell_lag(struct posta__kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *ends)
{
	int64_t sum = 0;

	for (uint32_t i = 0; sum >= 0 && i < consumer->slot_count; i++) {
		const struct posta__kafka_partition *partition = consumer->slots[i];
		if (!partition)
			continue;
		const rd_kafka_topic_partition_t *at =
			ends ? rd_kafka_topic_partition_list_find(ends, partition->topic, partition->partition) : NULL;
		int64_t end = at && !at->err ? at->offset : cached_end(consumer, partition);
		int64_t more = end < 0 ? -1 : behind(partition, end);
		sum = more < 0 ? -1 : sum + more;
	}
	posta_bridge_lag(consumer->kafka->bridge, consumer->subscription, sum);
}

/* What is not read is fetched no more at some time, and then has no end in the cache that anybody refreshes. */
static void look_for_lag(struct posta__kafka_consumer *consumer)
{
	double now = ev_now(consumer->kafka->loop);

	if (now < consumer->lag_at || !all_placed(consumer))
		return;
	consumer->lag_at = now + LAG_S;
	if (posta__kafka_consumer_room(consumer)) {
		tell_lag(consumer, NULL);
		return;
	}
	rd_kafka_topic_partition_list_t *list = all_of(consumer);
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = RD_KAFKA_OFFSET_END;
	if (!consumer->questions)
		ask(consumer, POSTA__KAFKA_ASK_LAG, list);
	else
		rd_kafka_topic_partition_list_destroy(list);
}

/* -- answers */

static void take_answer(struct posta__kafka_consumer *consumer, struct posta__kafka_question *question)
{
	if (question->kind == POSTA__KAFKA_ASK_LAG) {
		if (!question->err)
			tell_lag(consumer, question->list);
	} else if (question->err) {
		posta__kafka_fail(consumer->kafka, POSTA_ECONNECTION, rd_kafka_err2str(question->err));
	} else if (question->kind == POSTA__KAFKA_ASK_SEEK) {
		move(consumer, question->list);
	} else {
		assign(consumer, question->list);
	}
}

void posta__kafka_position_look(struct posta__kafka_consumer *consumer)
{
	struct posta__kafka_question **at = &consumer->questions;

	while (*at && !consumer->kafka->failed) {
		struct posta__kafka_question *question = *at;
		/* PAIRS with the release of the helper thread. */
		if (!atomic_load_explicit(&question->answered, memory_order_acquire)) {
			at = &question->next;
			continue;
		}
		*at = question->next;
		take_answer(consumer, question);
		posta__kafka_question_drop(question);
	}
}

void posta__kafka_position_tick(struct posta__kafka_consumer *consumer)
{
	posta__kafka_position_look(consumer);
	if (consumer->seeking && all_placed(consumer) && !consumer->kafka->failed)
		seek_now(consumer);
	if (!consumer->kafka->failed)
		look_for_lag(consumer);
}

void posta__kafka_position_fini(struct posta__kafka_consumer *consumer)
{
	while (consumer->questions) {
		struct posta__kafka_question *next = consumer->questions->next;
		posta__kafka_question_drop(consumer->questions);
		consumer->questions = next;
	}
}
