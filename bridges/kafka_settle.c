/* SPDX-License-Identifier: MIT */
/*
 * Deliveries of one subscription and their settlement. A token's id is epoch, slot of the partition and sequence, so
 * that a settlement that crosses a rebalance is told from one of the partition's next life, and one of a first delivery
 * from one of the second.
 *
 *   epoch 8 bits | slot 16 bits | attempt 4 bits | sequence 36 bits
 *
 * Credit: when it is used up, records are simply left in their queue.
 */
#include "bridges/kafka.h"

#include <posta/actor.h>
#include <posta/log.h>

#include <stdlib.h>
#include <string.h>

#define SEQUENCE_BITS 36
#define SLOT_SHIFT 40
#define SLOTS_MAX UINT16_MAX
#define REQUEUE_S .01

/* -- partitions */

static uint64_t id_of(const struct posta__kafka_partition *partition, uint64_t sequence, uint8_t attempt)
{
	return (uint64_t)partition->epoch << 56 | (uint64_t)partition->slot << SLOT_SHIFT |
	       (uint64_t)(attempt & 15) << SEQUENCE_BITS | (sequence & ((UINT64_C(1) << SEQUENCE_BITS) - 1));
}

static struct posta__kafka_partition *partition_of(const struct posta__kafka_consumer *consumer, uint64_t id)
{
	uint32_t slot = (id >> SLOT_SHIFT) & UINT16_MAX;
	struct posta__kafka_partition *partition = slot < consumer->slot_count ? consumer->slots[slot] : NULL;

	return partition && partition->epoch == id >> 56 ? partition : NULL;
}

static uint64_t sequence_of(uint64_t id)
{
	return id & ((UINT64_C(1) << SEQUENCE_BITS) - 1);
}

static bool is(const struct posta__kafka_partition *partition, const char *topic, int32_t number)
{
	return partition && partition->partition == number && strcmp(partition->topic, topic) == 0;
}

struct posta__kafka_partition *posta__kafka_partition_find(struct posta__kafka_consumer *consumer, const char *topic,
							   int32_t number)
{
	if (is(consumer->last, topic, number))
		return consumer->last;
	for (uint32_t i = 0; i < consumer->slot_count; i++)
		if (is(consumer->slots[i], topic, number))
			return consumer->last = consumer->slots[i];
	return NULL;
}

static bool free_slot(struct posta__kafka_consumer *consumer, uint32_t *slot)
{
	for (*slot = 0; *slot < consumer->slot_count; ++*slot)
		if (!consumer->slots[*slot])
			return true;
	if (consumer->slot_count >= SLOTS_MAX)
		return false;
	struct posta__kafka_partition **bigger = realloc(consumer->slots, (consumer->slot_count + 1) * sizeof *bigger);
	if (!bigger)
		return false;
	consumer->slots = bigger;
	consumer->slots[consumer->slot_count++] = NULL;
	return true;
}

enum posta_err posta__kafka_partition_add(struct posta__kafka_consumer *consumer, const char *topic, int32_t number)
{
	uint32_t slot;

	if (posta__kafka_partition_find(consumer, topic, number))
		return POSTA_OK;
	struct posta__kafka_partition *partition = calloc(1, sizeof *partition);
	if (partition)
		partition->topic = strdup(topic);
	if (!partition || !partition->topic || !free_slot(consumer, &slot)) {
		if (partition)
			free(partition->topic);
		free(partition);
		return POSTA_ENOMEM;
	}
	partition->partition = number;
	partition->slot = (uint16_t)slot;
	partition->epoch = consumer->epoch++;
	partition->offsets.settled = -1;
	consumer->slots[slot] = partition;
	return POSTA_OK;
}

static void forget(struct posta__kafka_consumer *consumer, struct posta__kafka_partition *partition)
{
	for (uint32_t i = 0; i < partition->offsets.count; i++) {
		struct posta__kafka_entry *entry =
			posta__kafka_offsets_find(&partition->offsets, partition->offsets.first + i);
		consumer->unsettled -= entry->state == POSTA__KAFKA_OPEN;
		consumer->waiting -= entry->state == POSTA__KAFKA_REQUEUED;
	}
	consumer->slots[partition->slot] = NULL;
	if (consumer->clogged == partition)
		consumer->clogged = NULL;
	if (consumer->last == partition)
		consumer->last = NULL;
	posta__kafka_offsets_fini(&partition->offsets);
	free(partition->topic);
	free(partition);
}

void posta__kafka_partition_remove(struct posta__kafka_consumer *consumer, const char *topic, int32_t number)
{
	struct posta__kafka_partition *partition = posta__kafka_partition_find(consumer, topic, number);

	if (partition)
		forget(consumer, partition);
}

void posta__kafka_partitions_fini(struct posta__kafka_consumer *consumer)
{
	for (uint32_t i = 0; i < consumer->slot_count; i++)
		if (consumer->slots[i])
			forget(consumer, consumer->slots[i]);
	free(consumer->slots);
	consumer->slots = NULL;
	consumer->slot_count = 0;
}

static bool is_void(uint64_t id, void *context)
{
	return !partition_of(context, id);
}

void posta__kafka_partitions_revoked(struct posta__kafka_consumer *consumer)
{
	posta_bridge_revoke(consumer->kafka->bridge, consumer->subscription, is_void, consumer);
}

/* -- offsets */

void posta__kafka_consumer_store(struct posta__kafka_consumer *consumer)
{
	if (!consumer->dirty)
		return;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->slot_count);
	for (uint32_t i = 0; i < consumer->slot_count; i++) {
		struct posta__kafka_partition *partition = consumer->slots[i];
		if (!partition || !partition->offsets.dirty)
			continue;
		partition->offsets.dirty = false;
		rd_kafka_topic_partition_list_add(list, partition->topic, partition->partition)->offset =
			partition->offsets.settled + 1;
	}
	/* One that is not ours any more is refused, which is right: it will come again, to its new owner. */
	rd_kafka_offsets_store(consumer->client->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	consumer->dirty = false;
}

/* -- deliveries */

uint32_t posta__kafka_consumer_room(const struct posta__kafka_consumer *consumer)
{
	/* What was given back goes first. */
	if (consumer->paused || consumer->waiting || consumer->unsettled >= consumer->credit ||
	    (consumer->clogged && consumer->clogged->offsets.count >= POSTA__KAFKA_WINDOW_MAX))
		return 0;
	return consumer->credit - consumer->unsettled;
}

static void too_big(const struct posta__kafka_consumer *consumer, const struct posta__kafka_partition *partition,
		    int64_t offset, size_t len)
{
	struct posta_bridge *bridge = consumer->kafka->bridge;

	posta_log(posta_system_of(posta_bridge_actor(bridge)), POSTA_LOG_WARNING, "bridge.too_big",
		  "name=%s topic=%s partition=%d offset=%lld bytes=%zu limit=%u", posta_bridge_name(bridge),
		  partition->topic, (int)partition->partition, (long long)offset, len,
		  posta_bridge_get_options(bridge)->message_bytes_max);
}

/* Of a record: its handle is the same as long as the partition is ours. */
static struct posta__kafka_partition *partition_read(struct posta__kafka_consumer *consumer,
						     const rd_kafka_message_t *message)
{
	struct posta__kafka_partition *last = consumer->last;

	if (last && last->handle == message->rkt && last->partition == message->partition)
		return last;
	last = posta__kafka_partition_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
	if (last)
		last->handle = message->rkt;
	return last;
}

void posta__kafka_consumer_fetched(struct posta__kafka_consumer *consumer, rd_kafka_message_t *message)
{
	struct posta__kafka_partition *partition = partition_read(consumer, message);
	int64_t offset = message->offset;
	size_t len = message->len;
	uint64_t sequence;

	if (!partition) {
		rd_kafka_message_destroy(message);
		return;
	}
	struct posta_envelope *envelope = posta__kafka_decode(consumer->client, message);
	enum posta_err err =
		envelope ? posta__kafka_offsets_add(&partition->offsets, offset, envelope, &sequence) : POSTA_ENOMEM;
	if (err) {
		posta_envelope_unref(envelope);
		posta__kafka_fail(consumer->kafka, err, "kafka: no memory for a message; it will be fetched again");
		return;
	}
	posta__kafka_consumer_placed(consumer, partition);
	if (partition->offsets.count >= POSTA__KAFKA_WINDOW_MAX)
		consumer->clogged = partition;
	if (len > posta_bridge_get_options(consumer->kafka->bridge)->message_bytes_max) {
		too_big(consumer, partition, offset, len);
		consumer->dirty |= posta__kafka_offsets_settle(&partition->offsets, sequence);
		posta_envelope_unref(envelope);
		return;
	}
	consumer->unsettled++;
	posta_bridge_deliver(consumer->kafka->bridge, consumer->subscription, envelope, id_of(partition, sequence, 0),
			     false);
}

static void deliver_again(struct posta__kafka_consumer *consumer, struct posta__kafka_partition *partition)
{
	struct posta__kafka_offsets *offsets = &partition->offsets;

	for (uint32_t i = 0; i < offsets->count && offsets->waiting; i++) {
		struct posta__kafka_entry *entry = posta__kafka_offsets_find(offsets, offsets->first + i);
		if (entry->state != POSTA__KAFKA_REQUEUED)
			continue;
		entry->state = POSTA__KAFKA_OPEN;
		entry->attempt++;
		offsets->waiting--;
		consumer->waiting--;
		consumer->unsettled++;
		posta_bridge_deliver(consumer->kafka->bridge, consumer->subscription,
				     posta_envelope_ref(entry->envelope),
				     id_of(partition, offsets->first + i, entry->attempt), true);
	}
}

void posta__kafka_consumer_on_requeue(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__kafka_consumer *consumer = timer->data;

	(void)loop;
	(void)events;
	if (consumer->kafka->failed || consumer->paused)
		return;
	for (uint32_t i = 0; i < consumer->slot_count; i++)
		if (consumer->slots[i] && consumer->slots[i]->offsets.waiting)
			deliver_again(consumer, consumer->slots[i]);
	posta__kafka_client_kick(consumer->client);
}

/* -- pauses */

void posta__kafka_consumer_go_on(struct posta__kafka_consumer *consumer)
{
	if (!posta__kafka_consumer_room(consumer))
		return;
	consumer->starved = false;
	posta__kafka_client_kick(consumer->client);
}

/* Fetched or not: the library fetches no more than it may hold. */
void posta__kafka_consumer_pause(struct posta__kafka_consumer *consumer, bool paused)
{
	consumer->paused = paused;
	if (!paused && consumer->waiting)
		ev_timer_start(consumer->kafka->loop, &consumer->requeue);
	posta__kafka_consumer_go_on(consumer);
}

/* -- settlements */

static void settle_one(struct posta__kafka_consumer *consumer, uint64_t id, enum posta_outcome outcome)
{
	struct posta__kafka_partition *partition = partition_of(consumer, id);
	const struct posta__kafka_entry *entry =
		partition ? posta__kafka_offsets_find(&partition->offsets, sequence_of(id)) : NULL;
	bool again = outcome == POSTA_REQUEUE;

	if (!entry || (entry->attempt & 15) != ((id >> SEQUENCE_BITS) & 15) ||
	    !(again ? posta__kafka_offsets_requeue(&partition->offsets, sequence_of(id))
		    : posta__kafka_offsets_settle(&partition->offsets, sequence_of(id))))
		return;
	consumer->unsettled--;
	consumer->waiting += again;
	consumer->dirty |= partition->offsets.dirty;
}

void posta__kafka_consumer_settle(struct posta__kafka_consumer *consumer, const uint64_t *ids, size_t n,
				  enum posta_outcome outcome)
{
	struct ev_loop *loop = consumer->kafka->loop;

	for (size_t i = 0; i < n; i++)
		settle_one(consumer, ids[i], outcome);
	if (consumer->waiting && !ev_is_active(&consumer->requeue) && !consumer->paused) {
		ev_timer_set(&consumer->requeue, REQUEUE_S, 0.);
		ev_timer_start(loop, &consumer->requeue);
	}
	/* At half of the credit: one at a time would be one turn each. */
	if (consumer->starved && consumer->unsettled <= consumer->credit / 2)
		posta__kafka_consumer_go_on(consumer);
}
