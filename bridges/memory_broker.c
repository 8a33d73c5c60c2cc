/* SPDX-License-Identifier: MIT */
/* Brokers by name, what is published to them and read from them, and the faults one can make them have. */
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

static void broker_free(struct posta__memory_broker *broker)
{
	tdestroy(broker->topic_index, no_free);
	tdestroy(broker->feed_index, no_free);
	while (broker->topics) {
		struct posta__memory_topic *topic = broker->topics;
		broker->topics = topic->next;
		posta__memory_topic_free(topic);
	}
	posta__memory_delays_free(&broker->delays);
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

/* -- Feeds -- */

/* A queue and a group of a topic of the same name are two: no group is called "". */
static struct posta__memory_feed *feed_find(struct posta__memory_broker *broker, const char *name, const char *group)
{
	const struct posta__memory_key key = { .name = name, .group = group };
	void *found = tfind(&key, &broker->feed_index, posta__memory_by_key);
	return found ? *(struct posta__memory_feed **)found : NULL;
}

static struct posta__memory_feed *feed_add(struct posta__memory_broker *broker, const char *name, const char *group)
{
	struct posta__memory_feed *feed = posta__memory_feed_make(name, group);
	if (!feed)
		return NULL;
	if (!tsearch(feed, &broker->feed_index, posta__memory_by_key)) {
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
	posta__memory_topics_leave(broker, feed);
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
	tdelete(feed, &broker->feed_index, posta__memory_by_key);
	broker->feed_count--;
	posta__memory_feed_free(feed);
}

/* A topic is read from its beginning; a filter, or "from latest", begins with what is retained. */
static struct posta__memory_feed *group_add(struct posta__memory_broker *broker, const struct posta_source *source,
					    const char *name, const char *group)
{
	struct posta__memory_feed *feed = feed_add(broker, name, group);
	if (!feed || posta__memory_topics_join(broker, feed, source->topic && !source->from_latest))
		return feed;
	posta__memory_feed_end(broker, feed);
	return NULL;
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
	if (feed)
		feed->own = is_new ? group == owner && group : feed->own;
	if (!feed || (source->position.start != POSTA_START_COMMITTED &&
		      !posta__memory_seek(broker, feed, source->position))) {
		*result = POSTA_ENOMEM;
		return NULL;
	}
	raise_priority(feed, source->queue_priority_max);
	return feed;
}

/* -- Publications -- */

static enum posta_err queue_store(struct posta__memory_broker *broker, const struct posta_target *target,
				  struct posta_envelope *envelope, uint64_t now_ms, const char **text)
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
	struct posta__memory_item *item = posta__memory_item_make(feed, envelope);
	if (!item)
		return POSTA_ENOMEM;
	if (!target->delay_ms) {
		posta__memory_feed_append(feed, item);
		posta__memory_dirty(broker, feed);
		return POSTA_OK;
	}
	if (posta__memory_delay(broker, feed, item, now_ms + target->delay_ms))
		return POSTA_OK;
	posta__memory_item_drop(feed, item);
	return POSTA_ENOMEM;
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
				   struct posta_envelope *envelope, uint64_t now_ms, const char **text)
{
	if (refuses(broker, target->topic ? target->topic : target->queue)) {
		*text = "memory: this name is refused";
		return POSTA_EREFUSED;
	}
	struct posta_envelope *stored = as_read(target, envelope);
	if (!stored)
		return POSTA_ENOMEM;
	enum posta_err result = target->topic ? posta__memory_topic_store(broker, target, stored, text)
					      : queue_store(broker, target, stored, now_ms, text);
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
