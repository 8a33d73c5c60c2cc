/* SPDX-License-Identifier: MIT */
/*
 * Topics, which are logs: groups get what comes, or read again what is still there. An entry's offset is its number in
 * the topic, from 0; the oldest ones are forgotten when there are too many.
 */
#include "bridges/memory.h"
#include "bridges/names.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- The log -- */

static struct posta__memory_entry *entry(const struct posta__memory_topic *topic, uint32_t i)
{
	return &topic->log[(topic->first + i) & (topic->room - 1)];
}

static bool log_grow(struct posta__memory_topic *topic)
{
	uint32_t room = topic->room ? topic->room * 2 : 64;
	struct posta__memory_entry *log = calloc(room, sizeof(*log));
	if (!log)
		return false;
	for (uint32_t i = 0; i < topic->count; i++)
		log[i] = *entry(topic, i);
	free(topic->log);
	topic->log = log;
	topic->room = room;
	topic->first = 0;
	return true;
}

static void log_forget_oldest(struct posta__memory_topic *topic)
{
	struct posta_envelope *oldest = entry(topic, 0)->envelope;
	topic->first = (topic->first + 1) & (topic->room - 1);
	topic->count--;
	topic->offset++;
	topic->bytes -= posta_envelope_size(oldest);
	for (uint32_t i = 0; i < topic->feed_count; i++)
		posta__memory_feed_forget(topic->feeds[i], oldest);
	posta_envelope_unref(oldest);
}

static int64_t time_of(const struct posta_envelope *envelope)
{
	int64_t time_ms = posta_envelope_time(envelope);
	struct timespec now;
	if (time_ms != POSTA_TIME_NONE)
		return time_ms;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool log_append(struct posta__memory_topic *topic, struct posta_envelope *envelope)
{
	size_t bytes = posta_envelope_size(envelope);
	while (topic->count &&
	       (topic->count >= POSTA__MEMORY_MESSAGES_MAX || topic->bytes + bytes > POSTA__MEMORY_BYTES_MAX))
		log_forget_oldest(topic);
	if (topic->count == topic->room && !log_grow(topic))
		return false;
	*entry(topic, topic->count++) =
		(struct posta__memory_entry){ posta_envelope_ref(envelope), time_of(envelope) };
	topic->bytes += bytes;
	return true;
}

/* -- Topics by name -- */

int posta__memory_by_key(const void *left, const void *right)
{
	const struct posta__memory_key *one = left, *other = right;
	int order = strcmp(one->name, other->name);
	return order ? order : strcmp(one->group ? one->group : "", other->group ? other->group : "");
}

void posta__memory_topic_free(struct posta__memory_topic *topic)
{
	for (uint32_t i = 0; i < topic->count; i++)
		posta_envelope_unref(entry(topic, i)->envelope);
	posta_envelope_unref(topic->retained);
	free(topic->log);
	free(topic->feeds);
	free(topic);
}

static bool attach(struct posta__memory_topic *topic, struct posta__memory_feed *feed)
{
	if (topic->feed_count == topic->feed_room) {
		uint32_t room = topic->feed_room ? topic->feed_room * 2 : 4;
		struct posta__memory_feed **bigger = realloc(topic->feeds, room * sizeof(*bigger));
		if (!bigger)
			return false;
		topic->feeds = bigger;
		topic->feed_room = room;
	}
	topic->feeds[topic->feed_count++] = feed;
	return true;
}

/* A feed's name may be a filter; a topic's name can't look like one. */
static bool reads(const struct posta__memory_feed *feed, const struct posta__memory_topic *topic)
{
	return !feed->is_queue && posta__mqtt_match(feed->key.name, topic->key.name);
}

static bool topic_meet_feeds(struct posta__memory_broker *broker, struct posta__memory_topic *topic)
{
	for (struct posta__memory_feed *feed = broker->feeds; feed; feed = feed->next)
		if (reads(feed, topic) && !attach(topic, feed))
			return false;
	return true;
}

static struct posta__memory_topic *topic_add(struct posta__memory_broker *broker, const char *name)
{
	size_t size = strlen(name) + 1;
	struct posta__memory_topic *topic = calloc(1, sizeof *topic + size);
	if (!topic)
		return NULL;
	topic->key.name = memcpy(topic->text, name, size);
	if (!topic_meet_feeds(broker, topic) || !tsearch(topic, &broker->topic_index, posta__memory_by_key)) {
		posta__memory_topic_free(topic);
		return NULL;
	}
	*broker->topics_end = topic;
	broker->topics_end = &topic->next;
	broker->topic_count++;
	return topic;
}

static struct posta__memory_topic *topic_find(struct posta__memory_broker *broker, const char *name)
{
	const struct posta__memory_key key = { .name = name };
	void *found = tfind(&key, &broker->topic_index, posta__memory_by_key);
	return found ? *(struct posta__memory_topic **)found : NULL;
}

/* -- What is published -- */

/* As MQTT has it: an empty body takes the retained one away. */
static void retain(struct posta__memory_topic *topic, struct posta_envelope *envelope)
{
	posta_envelope_unref(topic->retained);
	topic->retained = posta_envelope_body(envelope).len ? posta_envelope_ref(envelope) : NULL;
}

enum posta_err posta__memory_topic_store(struct posta__memory_broker *broker, const struct posta_target *target,
					 struct posta_envelope *envelope, const char **text)
{
	struct posta__memory_topic *topic = topic_find(broker, target->topic);
	if (!topic && broker->topic_count >= POSTA__MEMORY_NAMES_MAX) {
		*text = "memory: 65536 topics exist: use fewer names";
		return POSTA_EREFUSED;
	}
	if (!topic)
		topic = topic_add(broker, target->topic);
	if (!topic || !log_append(topic, envelope))
		return POSTA_ENOMEM;
	if (target->retain)
		retain(topic, envelope);
	for (uint32_t i = 0; i < topic->feed_count; i++) {
		if (!posta__memory_feed_push(topic->feeds[i], envelope))
			return POSTA_ENOMEM;
		posta__memory_dirty(broker, topic->feeds[i]);
	}
	return POSTA_OK;
}

/* -- Who reads it, and from where -- */

static bool history(struct posta__memory_feed *feed, const struct posta__memory_topic *topic, bool whole)
{
	if (!whole)
		return !topic->retained || posta__memory_feed_push(feed, topic->retained);
	for (uint32_t i = 0; i < topic->count; i++)
		if (!posta__memory_feed_push(feed, entry(topic, i)->envelope))
			return false;
	return true;
}

bool posta__memory_topics_join(struct posta__memory_broker *broker, struct posta__memory_feed *feed, bool whole)
{
	for (struct posta__memory_topic *topic = broker->topics; topic; topic = topic->next)
		if (reads(feed, topic) && !(attach(topic, feed) && history(feed, topic, whole)))
			return false;
	return true;
}

void posta__memory_topics_leave(struct posta__memory_broker *broker, const struct posta__memory_feed *feed)
{
	for (struct posta__memory_topic *topic = broker->topics; topic; topic = topic->next) {
		uint32_t kept = 0;
		for (uint32_t i = 0; i < topic->feed_count; i++)
			if (topic->feeds[i] != feed)
				topic->feeds[kept++] = topic->feeds[i];
		topic->feed_count = kept;
	}
}

static uint32_t index_of(const struct posta__memory_topic *topic, struct posta_position position)
{
	uint32_t i = 0;
	switch (position.start) {
	case POSTA_START_END:
		return topic->count;
	case POSTA_START_OFFSET:
		if (position.at <= topic->offset)
			return 0;
		return position.at - topic->offset < topic->count ? (uint32_t)(position.at - topic->offset)
								  : topic->count;
	case POSTA_START_TIME:
		while (i < topic->count && entry(topic, i)->time_ms < position.at)
			i++;
		return i;
	default:
		return 0;
	}
}

/* Returns: whether there was memory for all. */
static bool collect(struct posta__memory_feed *feed, const struct posta__memory_topic *topic,
		    struct posta_position position, struct posta__memory_item ***end)
{
	for (uint32_t i = index_of(topic, position); i < topic->count; i++) {
		struct posta__memory_item *item = posta__memory_item_make(feed, entry(topic, i)->envelope);
		if (!item)
			return false;
		**end = item;
		*end = &item->next;
	}
	return true;
}

bool posta__memory_seek(struct posta__memory_broker *broker, struct posta__memory_feed *feed,
			struct posta_position position)
{
	struct posta__memory_item *items = NULL, **end = &items, *next;
	bool all = true;
	for (struct posta__memory_topic *topic = broker->topics; topic && all; topic = topic->next)
		all = !reads(feed, topic) || collect(feed, topic, position, &end);
	if (all)
		posta__memory_feed_clear(feed);
	for (; items; items = next) {
		next = items->next;
		if (all)
			posta__memory_feed_append(feed, items);
		else
			posta__memory_item_drop(feed, items);
	}
	return all;
}
