/* SPDX-License-Identifier: MIT */
/* Feeds and their consumers: who gets which item, in what order, and what comes back. */
#include "bridges/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCAN_MAX 1024u /* items looked at for an idle consumer while another one of the group is busy */

/* -- Lists -- */

static void list_remove(struct posta__memory_list *list, struct posta__memory_item *item)
{
	*(item->previous ? &item->previous->next : &list->first) = item->next;
	*(item->next ? &item->next->previous : &list->last) = item->previous;
	list->count--;
}

static void list_insert_after(struct posta__memory_list *list, struct posta__memory_item *before,
			      struct posta__memory_item *item)
{
	item->previous = before;
	item->next = before ? before->next : list->first;
	*(item->next ? &item->next->previous : &list->last) = item;
	*(before ? &before->next : &list->first) = item;
	list->count++;
}

/* -- Items -- */

void posta__memory_item_drop(struct posta__memory_feed *feed, struct posta__memory_item *item)
{
	feed->count--;
	feed->bytes -= posta_envelope_size(item->envelope);
	posta_envelope_unref(item->envelope);
	free(item);
}

static void list_drop(struct posta__memory_feed *feed, struct posta__memory_list *list)
{
	while (list->first) {
		struct posta__memory_item *item = list->first;
		list_remove(list, item);
		posta__memory_item_drop(feed, item);
	}
}

/* Back to its place by seq, which is at or near the front. */
static void give_back(struct posta__memory_feed *feed, struct posta__memory_item *item)
{
	struct posta__memory_list *list = &feed->waiting[item->priority];
	struct posta__memory_item *before = NULL;
	for (struct posta__memory_item *at = list->first; at && at->seq < item->seq; at = at->next)
		before = at;
	list_insert_after(list, before, item);
}

static uint8_t priority_of(const struct posta__memory_feed *feed, const struct posta_envelope *envelope)
{
	int priority = posta_envelope_priority(envelope);
	if (priority < 0)
		return 0;
	return (uint8_t)(priority < feed->priority_max ? priority : feed->priority_max);
}

struct posta__memory_item *posta__memory_item_make(struct posta__memory_feed *feed, struct posta_envelope *envelope)
{
	struct posta__memory_item *item = calloc(1, sizeof *item);
	if (!item)
		return NULL;
	item->envelope = posta_envelope_ref(envelope);
	feed->count++;
	feed->bytes += posta_envelope_size(envelope);
	return item;
}

void posta__memory_feed_append(struct posta__memory_feed *feed, struct posta__memory_item *item)
{
	item->seq = feed->next_seq++;
	item->priority = priority_of(feed, item->envelope);
	struct posta__memory_list *list = &feed->waiting[item->priority];
	list_insert_after(list, list->last, item);
}

bool posta__memory_feed_push(struct posta__memory_feed *feed, struct posta_envelope *envelope)
{
	struct posta__memory_item *item = posta__memory_item_make(feed, envelope);
	if (item)
		posta__memory_feed_append(feed, item);
	return item;
}

void posta__memory_feed_forget(struct posta__memory_feed *feed, const struct posta_envelope *envelope)
{
	struct posta__memory_item *item = feed->waiting[0].first;
	if (!item || item->envelope != envelope)
		return;
	list_remove(&feed->waiting[0], item);
	posta__memory_item_drop(feed, item);
}

/* -- Who gets it -- */

static bool idle(const struct posta__memory_consumer *consumer)
{
	return !consumer->paused && !consumer->connection->lost &&
	       consumer->ready.count + consumer->unsettled.count < consumer->credit;
}

/* FNV-1a: the same key meets the same consumer in every run. */
static uint32_t hash(struct posta_bytes key)
{
	uint32_t value = 2166136261u;
	const unsigned char *bytes = key.data;
	for (size_t i = 0; i < key.len; i++)
		value = (value ^ bytes[i]) * 16777619u;
	return value;
}

static struct posta__memory_consumer *by_turns(struct posta__memory_feed *feed)
{
	for (uint32_t i = 0; i < feed->consumer_count; i++) {
		uint32_t at = (feed->turn + i) % feed->consumer_count;
		if (!idle(feed->consumers[at]))
			continue;
		feed->turn = at + 1;
		return feed->consumers[at];
	}
	return NULL;
}

static struct posta__memory_consumer *by_key(struct posta__memory_feed *feed, struct posta_bytes key)
{
	struct posta__memory_consumer *consumer = feed->consumers[hash(key) % feed->consumer_count];
	return idle(consumer) ? consumer : NULL;
}

static struct posta__memory_consumer *consumer_for(struct posta__memory_feed *feed,
						   const struct posta__memory_item *item)
{
	struct posta_bytes key = posta_envelope_get(item->envelope, POSTA_ATTR_KEY);
	return feed->is_queue || !key.data ? by_turns(feed) : by_key(feed, key);
}

static bool any_idle(const struct posta__memory_feed *feed)
{
	for (uint32_t i = 0; i < feed->consumer_count; i++)
		if (idle(feed->consumers[i]))
			return true;
	return false;
}

static bool expired(const struct posta__memory_item *item)
{
	int64_t expiry = posta_envelope_expiry(item->envelope);
	struct timespec now;
	if (expiry == POSTA_TIME_NONE)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return expiry <= (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void posta__memory_poke(struct posta__memory_connection *connection)
{
	if (connection->poked)
		return;
	connection->poked = true;
	ev_async_send(connection->loop, &connection->async);
}

void posta__memory_touch(struct posta__memory_consumer *consumer)
{
	struct posta__memory_connection *connection = consumer->connection;
	if (!consumer->touched) {
		consumer->touched = true;
		consumer->touched_next = NULL;
		*connection->touched_end = consumer;
		connection->touched_end = &consumer->touched_next;
		connection->touched_count++;
	}
	posta__memory_poke(connection);
}

static void untouch(struct posta__memory_consumer *consumer)
{
	struct posta__memory_connection *connection = consumer->connection;
	struct posta__memory_consumer **at = &connection->touched;
	if (!consumer->touched)
		return;
	while (*at != consumer)
		at = &(*at)->touched_next;
	*at = consumer->touched_next;
	if (connection->touched_end == &consumer->touched_next)
		connection->touched_end = at;
	connection->touched_count--;
	consumer->touched = false;
}

struct posta__memory_consumer *posta__memory_touched(struct posta__memory_connection *connection)
{
	struct posta__memory_consumer *consumer = connection->touched;
	if (consumer)
		untouch(consumer);
	return consumer;
}

static void assign(struct posta__memory_list *list, struct posta__memory_item *item,
		   struct posta__memory_consumer *consumer)
{
	list_remove(list, item);
	list_insert_after(&consumer->ready, consumer->ready.last, item);
	posta__memory_touch(consumer);
}

static void dispatch_list(struct posta__memory_feed *feed, struct posta__memory_list *list)
{
	uint32_t passed_over = 0;
	struct posta__memory_item *next;
	for (struct posta__memory_item *item = list->first; item && passed_over < SCAN_MAX && any_idle(feed);
	     item = next) {
		struct posta__memory_consumer *consumer = NULL;
		next = item->next;
		if (expired(item)) {
			list_remove(list, item);
			posta__memory_item_drop(feed, item);
		} else if ((consumer = consumer_for(feed, item))) {
			assign(list, item, consumer);
		} else {
			passed_over++;
		}
	}
}

static uint32_t waiting(const struct posta__memory_feed *feed)
{
	uint32_t count = 0;
	for (int priority = 0; priority < POSTA__MEMORY_PRIORITIES; priority++)
		count += feed->waiting[priority].count;
	return count;
}

void posta__memory_feed_dispatch(struct posta__memory_feed *feed)
{
	for (int priority = POSTA__MEMORY_PRIORITIES - 1; priority >= 0; priority--)
		dispatch_list(feed, &feed->waiting[priority]);
	if (feed->consumer_count && waiting(feed) != feed->told_waiting)
		posta__memory_touch(feed->consumers[0]);
}

void posta__memory_dirty(struct posta__memory_broker *broker, struct posta__memory_feed *feed)
{
	if (feed->dirty)
		return;
	feed->dirty = true;
	feed->dirty_next = broker->dirty;
	broker->dirty = feed;
}

void posta__memory_dispatch(struct posta__memory_broker *broker)
{
	while (broker->dirty) {
		struct posta__memory_feed *feed = broker->dirty;
		broker->dirty = feed->dirty_next;
		feed->dirty = false;
		posta__memory_feed_dispatch(feed);
	}
}

/* -- Consumers -- */

bool posta__memory_consumer_add(struct posta__memory_feed *feed, struct posta__memory_consumer *consumer)
{
	if (feed->consumer_count == feed->consumer_room) {
		uint32_t room = feed->consumer_room ? feed->consumer_room * 2 : 4;
		struct posta__memory_consumer **bigger = realloc(feed->consumers, room * sizeof(*bigger));
		if (!bigger)
			return false;
		feed->consumers = bigger;
		feed->consumer_room = room;
	}
	consumer->feed = feed;
	feed->consumers[feed->consumer_count++] = consumer;
	return true;
}

/* From the newest to the oldest: each goes right to the front. */
void posta__memory_consumer_return_ready(struct posta__memory_consumer *consumer)
{
	while (consumer->ready.last) {
		struct posta__memory_item *item = consumer->ready.last;
		list_remove(&consumer->ready, item);
		give_back(consumer->feed, item);
	}
}

static void return_unsettled(struct posta__memory_consumer *consumer)
{
	memset(consumer->buckets, 0, sizeof consumer->buckets);
	while (consumer->unsettled.last) {
		struct posta__memory_item *item = consumer->unsettled.last;
		list_remove(&consumer->unsettled, item);
		item->redelivered = true;
		give_back(consumer->feed, item);
	}
}

void posta__memory_consumer_void(struct posta__memory_consumer *consumer)
{
	if (consumer->feed->is_queue) {
		return_unsettled(consumer);
		return;
	}
	memset(consumer->buckets, 0, sizeof consumer->buckets);
	list_drop(consumer->feed, &consumer->unsettled);
}

void posta__memory_consumer_remove(struct posta__memory_consumer *consumer)
{
	struct posta__memory_feed *feed = consumer->feed;
	posta__memory_consumer_return_ready(consumer);
	return_unsettled(consumer);
	untouch(consumer);
	uint32_t i = 0;
	while (feed->consumers[i] != consumer)
		i++;
	memmove(&feed->consumers[i], &feed->consumers[i + 1], (--feed->consumer_count - i) * sizeof feed->consumers[0]);
	feed->told_waiting = 0; /* by this one, perhaps: the next first one has still to tell */
}

struct posta__memory_item *posta__memory_consumer_take(struct posta__memory_consumer *consumer, uint64_t id)
{
	struct posta__memory_item *item = consumer->ready.first;
	if (!item)
		return NULL;
	list_remove(&consumer->ready, item);
	list_insert_after(&consumer->unsettled, consumer->unsettled.last, item);
	item->id = id;
	item->chain = consumer->buckets[id % POSTA__MEMORY_BUCKETS];
	consumer->buckets[id % POSTA__MEMORY_BUCKETS] = item;
	return item;
}

void posta__memory_consumer_settle(struct posta__memory_consumer *consumer, uint64_t id, bool requeue)
{
	struct posta__memory_item **at = &consumer->buckets[id % POSTA__MEMORY_BUCKETS];
	while (*at && (*at)->id != id)
		at = &(*at)->chain;
	struct posta__memory_item *item = *at;
	if (!item)
		return;
	*at = item->chain;
	list_remove(&consumer->unsettled, item);
	if (!requeue) {
		posta__memory_item_drop(consumer->feed, item);
		return;
	}
	item->redelivered = true;
	give_back(consumer->feed, item);
}

int64_t posta__memory_consumer_lag(const struct posta__memory_consumer *consumer)
{
	struct posta__memory_feed *feed = consumer->feed;
	int64_t lag = (int64_t)consumer->ready.count + consumer->unsettled.count;
	if (feed->consumers[0] != consumer)
		return lag;
	feed->told_waiting = waiting(feed);
	return lag + feed->told_waiting;
}

/* -- Feeds -- */

struct posta__memory_feed *posta__memory_feed_make(const char *name, const char *group)
{
	size_t name_size = strlen(name) + 1, group_size = group ? strlen(group) + 1 : 0;
	struct posta__memory_feed *feed = calloc(1, sizeof *feed + name_size + group_size);
	if (!feed)
		return NULL;
	feed->key.name = memcpy(feed->texts, name, name_size);
	if (group)
		feed->key.group = memcpy(feed->texts + name_size, group, group_size);
	return feed;
}

void posta__memory_feed_clear(struct posta__memory_feed *feed)
{
	for (uint32_t i = 0; i < feed->consumer_count; i++)
		posta__memory_consumer_return_ready(feed->consumers[i]);
	for (int i = 0; i < POSTA__MEMORY_PRIORITIES; i++)
		list_drop(feed, &feed->waiting[i]);
}

void posta__memory_feed_free(struct posta__memory_feed *feed)
{
	for (int i = 0; i < POSTA__MEMORY_PRIORITIES; i++)
		list_drop(feed, &feed->waiting[i]);
	free(feed->consumers);
	free(feed);
}
