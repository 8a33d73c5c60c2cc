/* SPDX-License-Identifier: MIT */
/* Brokers by name, their topics and queues, and the faults one can make them have. */
#include "bridges/memory.h"
#include "bridges/names.h"
#include "runtime/system.h"

#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* -- Brokers of a system -- */

struct hub {
	pthread_mutex_t lock;
	struct posta__memory_broker *brokers;
	_Atomic(unsigned) systems; /* that share it */
};

/* Of one system. */
struct place {
	struct hub *hub;
};

static const char hub_key;

static void *hub_make(struct posta_system *system)
{
	(void)system;
	struct place *place = calloc(1, sizeof *place);
	struct hub *hub = place ? calloc(1, sizeof *hub) : NULL;
	if (!hub) {
		free(place);
		return NULL;
	}
	pthread_mutex_init(&hub->lock, NULL);
	atomic_init(&hub->systems, 1);
	place->hub = hub;
	return place;
}

static void no_free(void *node)
{
	(void)node;
}

static void topic_free(struct posta__memory_topic *topic)
{
	for (uint32_t i = 0; i < topic->count; i++)
		posta_envelope_unref(topic->log[(topic->first + i) & (topic->room - 1)]);
	posta_envelope_unref(topic->retained);
	free(topic->log);
	free(topic->feeds);
	free(topic);
}

static void broker_free(struct posta__memory_broker *broker)
{
	tdestroy(broker->topic_index, no_free);
	tdestroy(broker->feed_index, no_free);
	while (broker->topics) {
		struct posta__memory_topic *topic = broker->topics;
		broker->topics = topic->next;
		topic_free(topic);
	}
	while (broker->feeds) {
		struct posta__memory_feed *feed = broker->feeds;
		broker->feeds = feed->next;
		posta__memory_feed_free(feed);
	}
	for (size_t i = 0; i < sizeof broker->refused / sizeof broker->refused[0]; i++)
		free(broker->refused[i]);
	pthread_mutex_destroy(&broker->lock);
	free(broker);
}

static void hub_leave(struct hub *hub)
{
	/* Release: PAIRS with the acquire of the last one, which frees what the others wrote. */
	if (atomic_fetch_sub_explicit(&hub->systems, 1, memory_order_acq_rel) > 1)
		return;
	while (hub->brokers) {
		struct posta__memory_broker *broker = hub->brokers;
		hub->brokers = broker->next;
		broker_free(broker);
	}
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

static void hub_free(void *extension)
{
	struct place *place = extension;
	hub_leave(place->hub);
	free(place);
}

static struct place *place_of(struct posta_system *system)
{
	return posta__system_extension(system, &hub_key, hub_make, hub_free);
}

bool posta__memory_share(struct posta_system *from, struct posta_system *to)
{
	struct place *theirs = place_of(from), *ours = place_of(to);
	if (!theirs || !ours)
		return false;
	atomic_fetch_add_explicit(&theirs->hub->systems, 1, memory_order_relaxed); /* we hold one: it stays */
	hub_leave(ours->hub);
	ours->hub = theirs->hub;
	return true;
}

static struct posta__memory_broker *broker_add(struct hub *hub, const char *name)
{
	size_t size = strlen(name) + 1;
	struct posta__memory_broker *broker = calloc(1, sizeof *broker + size);
	if (!broker)
		return NULL;
	memcpy(broker->name, name, size);
	pthread_mutex_init(&broker->lock, NULL);
	broker->topics_end = &broker->topics;
	broker->feeds_end = &broker->feeds;
	broker->next = hub->brokers;
	hub->brokers = broker;
	return broker;
}

struct posta__memory_broker *posta__memory_broker(struct posta_system *system, const char *name)
{
	struct place *place = place_of(system);
	if (!place)
		return NULL;
	struct hub *hub = place->hub;
	pthread_mutex_lock(&hub->lock);
	struct posta__memory_broker *broker = hub->brokers;
	while (broker && strcmp(broker->name, name) != 0)
		broker = broker->next;
	if (!broker)
		broker = broker_add(hub, name);
	pthread_mutex_unlock(&hub->lock);
	return broker;
}

/* -- Topics -- */

static int by_key(const void *left, const void *right)
{
	const struct posta__memory_key *one = left, *other = right;
	int order = strcmp(one->name, other->name);
	return order ? order : strcmp(one->group ? one->group : "", other->group ? other->group : "");
}

static bool topic_attach(struct posta__memory_topic *topic, struct posta__memory_feed *feed)
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
		if (reads(feed, topic) && !topic_attach(topic, feed))
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
	if (!topic_meet_feeds(broker, topic) || !tsearch(topic, &broker->topic_index, by_key)) {
		topic_free(topic);
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
	void *found = tfind(&key, &broker->topic_index, by_key);
	return found ? *(struct posta__memory_topic **)found : NULL;
}

static bool log_grow(struct posta__memory_topic *topic)
{
	uint32_t room = topic->room ? topic->room * 2 : 64;
	struct posta_envelope **log = calloc(room, sizeof(*log));
	if (!log)
		return false;
	for (uint32_t i = 0; i < topic->count; i++)
		log[i] = topic->log[(topic->first + i) & (topic->room - 1)];
	free(topic->log);
	topic->log = log;
	topic->room = room;
	topic->first = 0;
	return true;
}

static void log_forget_oldest(struct posta__memory_topic *topic)
{
	struct posta_envelope *oldest = topic->log[topic->first];
	topic->first = (topic->first + 1) & (topic->room - 1);
	topic->count--;
	topic->bytes -= posta_envelope_size(oldest);
	for (uint32_t i = 0; i < topic->feed_count; i++)
		posta__memory_feed_forget(topic->feeds[i], oldest);
	posta_envelope_unref(oldest);
}

static bool log_append(struct posta__memory_topic *topic, struct posta_envelope *envelope)
{
	size_t bytes = posta_envelope_size(envelope);
	while (topic->count &&
	       (topic->count >= POSTA__MEMORY_MESSAGES_MAX || topic->bytes + bytes > POSTA__MEMORY_BYTES_MAX))
		log_forget_oldest(topic);
	if (topic->count == topic->room && !log_grow(topic))
		return false;
	topic->log[(topic->first + topic->count++) & (topic->room - 1)] = posta_envelope_ref(envelope);
	topic->bytes += bytes;
	return true;
}

/* As MQTT has it: an empty body takes the retained one away. */
static void retain(struct posta__memory_topic *topic, struct posta_envelope *envelope)
{
	posta_envelope_unref(topic->retained);
	topic->retained = posta_envelope_body(envelope).len ? posta_envelope_ref(envelope) : NULL;
}

static enum posta_err topic_store(struct posta__memory_broker *broker, const struct posta_target *target,
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

/* -- Feeds -- */

/* A queue and a group of a topic of the same name are two: no group is called "". */
static struct posta__memory_feed *feed_find(struct posta__memory_broker *broker, const char *name, const char *group)
{
	const struct posta__memory_key key = { .name = name, .group = group };
	void *found = tfind(&key, &broker->feed_index, by_key);
	return found ? *(struct posta__memory_feed **)found : NULL;
}

static struct posta__memory_feed *feed_add(struct posta__memory_broker *broker, const char *name, const char *group)
{
	struct posta__memory_feed *feed = posta__memory_feed_make(name, group);
	if (!feed)
		return NULL;
	if (!tsearch(feed, &broker->feed_index, by_key)) {
		posta__memory_feed_free(feed);
		return NULL;
	}
	feed->is_queue = !group;
	*broker->feeds_end = feed;
	broker->feeds_end = &feed->next;
	broker->feed_count++;
	return feed;
}

void posta__memory_feed_end(struct posta__memory_broker *broker, struct posta__memory_feed *feed)
{
	for (struct posta__memory_topic *topic = broker->topics; topic; topic = topic->next) {
		uint32_t kept = 0;
		for (uint32_t i = 0; i < topic->feed_count; i++)
			if (topic->feeds[i] != feed)
				topic->feeds[kept++] = topic->feeds[i];
		topic->feed_count = kept;
	}
	struct posta__memory_feed **at = &broker->dirty;
	while (*at && *at != feed)
		at = &(*at)->dirty_next;
	if (*at)
		*at = feed->dirty_next;
	for (at = &broker->feeds; *at != feed; at = &(*at)->next)
		;
	*at = feed->next;
	if (broker->feeds_end == &feed->next)
		broker->feeds_end = at;
	tdelete(feed, &broker->feed_index, by_key);
	broker->feed_count--;
	posta__memory_feed_free(feed);
}

static bool feed_history(struct posta__memory_feed *feed, const struct posta__memory_topic *topic, bool whole)
{
	if (!whole)
		return !topic->retained || posta__memory_feed_push(feed, topic->retained);
	for (uint32_t i = 0; i < topic->count; i++)
		if (!posta__memory_feed_push(feed, topic->log[(topic->first + i) & (topic->room - 1)]))
			return false;
	return true;
}

/* A topic is read from its beginning; a filter, or "from latest", begins with what is retained. */
static struct posta__memory_feed *group_add(struct posta__memory_broker *broker, const struct posta_source *source,
					    const char *name, const char *group)
{
	struct posta__memory_feed *feed = feed_add(broker, name, group);
	bool fine = feed;
	for (struct posta__memory_topic *topic = broker->topics; fine && topic; topic = topic->next)
		if (reads(feed, topic))
			fine = topic_attach(topic, feed) &&
			       feed_history(feed, topic, source->topic && !source->from_latest);
	if (feed && !fine)
		posta__memory_feed_end(broker, feed);
	return fine ? feed : NULL;
}

static bool refuses(const struct posta__memory_broker *broker, const char *name)
{
	for (size_t i = 0; i < sizeof broker->refused / sizeof broker->refused[0]; i++)
		if (broker->refused[i] && strcmp(broker->refused[i], name) == 0)
			return true;
	return false;
}

static void raise_priority(struct posta__memory_feed *feed, int priority_max)
{
	if (priority_max > POSTA__MEMORY_PRIORITIES - 1)
		priority_max = POSTA__MEMORY_PRIORITIES - 1;
	if (priority_max > feed->priority_max)
		feed->priority_max = (uint8_t)priority_max;
}

static enum posta_err may_attach(const struct posta__memory_broker *broker, const struct posta_source *source,
				 const char *name, const struct posta__memory_feed *feed, const char **text)
{
	if (refuses(broker, name))
		*text = "memory: this name is refused";
	else if (!feed && source->queue && source->passive)
		*text = "memory: no such queue";
	else if (!feed && broker->feed_count >= POSTA__MEMORY_NAMES_MAX)
		*text = "memory: 65536 queues and groups exist: use fewer";
	else
		return POSTA_OK;
	return POSTA_EREFUSED;
}

struct posta__memory_feed *posta__memory_attach(struct posta__memory_broker *broker, const struct posta_source *source,
						const char *owner, enum posta_err *result, const char **text)
{
	const char *name = source->queue ? source->queue : source->topic ? source->topic : source->filter;
	const char *given = source->group ? source->group : source->share;
	const char *group = source->queue ? NULL : given ? given : owner;
	struct posta__memory_feed *feed = feed_find(broker, name, group);
	*result = may_attach(broker, source, name, feed, text);
	if (*result)
		return NULL;
	bool is_new = !feed;
	if (is_new)
		feed = group ? group_add(broker, source, name, group) : feed_add(broker, name, NULL);
	if (!feed) {
		*result = POSTA_ENOMEM;
		return NULL;
	}
	feed->own = is_new ? group == owner && group : feed->own;
	raise_priority(feed, source->queue_priority_max);
	return feed;
}

/* -- Publications -- */

static enum posta_err queue_store(struct posta__memory_broker *broker, const struct posta_target *target,
				  struct posta_envelope *envelope, const char **text)
{
	struct posta__memory_feed *feed = feed_find(broker, target->queue, NULL);
	if (!feed && (target->passive || broker->feed_count >= POSTA__MEMORY_NAMES_MAX)) {
		*text = target->passive ? "memory: no such queue" : "memory: 65536 queues and groups exist: use fewer";
		return POSTA_EREFUSED;
	}
	if (!feed)
		feed = feed_add(broker, target->queue, NULL);
	if (!feed)
		return POSTA_ENOMEM;
	raise_priority(feed, target->queue_priority_max);
	if (feed->count >= POSTA__MEMORY_MESSAGES_MAX ||
	    feed->bytes + posta_envelope_size(envelope) > POSTA__MEMORY_BYTES_MAX) {
		*text = "memory: the queue is full";
		return POSTA_EFULL;
	}
	if (!posta__memory_feed_push(feed, envelope))
		return POSTA_ENOMEM;
	posta__memory_dirty(broker, feed);
	return POSTA_OK;
}

static void release_envelope(void *envelope)
{
	posta_envelope_unref(envelope);
}

/* What every protocol has fields of its own for, and so keeps in raw mode, too. */
static enum posta_err copy_native(struct posta_envelope *to, const struct posta_envelope *from)
{
	struct posta_bytes key = posta_envelope_get(from, POSTA_ATTR_KEY);
	posta_envelope_set_priority(to, posta_envelope_priority(from));
	posta_envelope_set_expiry(to, posta_envelope_expiry(from));
	return key.data ? posta_envelope_set(to, POSTA_ATTR_KEY, key.data, key.len) : POSTA_OK;
}

/* The envelope as a reader gets it: with its topic, and raw with little more than the body. Bodies are shared. */
static struct posta_envelope *as_read(const struct posta_target *target, struct posta_envelope *envelope)
{
	struct posta_bytes body = posta_envelope_body(envelope);
	bool raw = target->format == POSTA_FORMAT_RAW;
	struct posta_envelope *copy = raw ? posta_envelope_new() : posta_envelope_ref(envelope);
	if (!copy)
		return NULL;
	const char *name = target->topic ? target->topic : target->queue;
	enum posta_err result = raw ? posta_envelope_wrap_body(copy, body.data, body.len, release_envelope,
							       posta_envelope_ref(envelope))
				    : posta_envelope_edit(&copy);
	if (!result && raw)
		result = copy_native(copy, envelope);
	if (!result)
		result = posta_envelope_set_text(copy, POSTA_ATTR_TOPIC, name);
	if (!result)
		return copy;
	posta_envelope_unref(copy);
	return NULL;
}

enum posta_err posta__memory_store(struct posta__memory_broker *broker, const struct posta_target *target,
				   struct posta_envelope *envelope, const char **text)
{
	if (refuses(broker, target->topic ? target->topic : target->queue)) {
		*text = "memory: this name is refused";
		return POSTA_EREFUSED;
	}
	struct posta_envelope *stored = as_read(target, envelope);
	if (!stored)
		return POSTA_ENOMEM;
	enum posta_err result =
		target->topic ? topic_store(broker, target, stored, text) : queue_store(broker, target, stored, text);
	posta_envelope_unref(stored);
	return result;
}

/* -- Faults -- */

void posta__memory_drop(struct posta_system *system, const char *name)
{
	struct posta__memory_broker *broker = posta__memory_broker(system, name);
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	for (struct posta__memory_connection *connection = broker->connections; connection;
	     connection = connection->next) {
		connection->lost = true;
		posta__memory_poke(connection);
	}
	pthread_mutex_unlock(&broker->lock);
}

void posta__memory_lose_confirmations(struct posta_system *system, const char *name, uint32_t n)
{
	struct posta__memory_broker *broker = posta__memory_broker(system, name);
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	broker->unconfirmed = n;
	pthread_mutex_unlock(&broker->lock);
}

void posta__memory_refuse(struct posta_system *system, const char *name, uint32_t n)
{
	struct posta__memory_broker *broker = posta__memory_broker(system, name);
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	broker->refusals = n;
	pthread_mutex_unlock(&broker->lock);
}

static void refuse_name(struct posta__memory_broker *broker, const char *topic)
{
	for (size_t i = 0; i < sizeof broker->refused / sizeof broker->refused[0]; i++) {
		if (topic && broker->refused[i])
			continue;
		free(broker->refused[i]);
		broker->refused[i] = topic ? strdup(topic) : NULL;
		if (topic)
			return;
	}
}

void posta__memory_refuse_topic(struct posta_system *system, const char *name, const char *topic)
{
	struct posta__memory_broker *broker = posta__memory_broker(system, name);
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	refuse_name(broker, topic);
	pthread_mutex_unlock(&broker->lock);
}
