/* SPDX-License-Identifier: MIT */
#include "bridges/memory.h"
#include "bridges/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64u
#define CHUNK 64u
#define DELIVER_MAX 256u /* a consumer and turn of the loop */

/* -- Names -- */

/* memory:NAME, memory://NAME, memory://user:password@NAME: as other URLs are written. Returns: false when too long. */
static bool name_of(const char *url, char name[NAME_MAX_LEN + 1])
{
	const char *from = strchr(url, ':') + 1;
	from += strncmp(from, "//", 2) == 0 ? 2 : 0;
	const char *at = strrchr(from, '@');
	from = at ? at + 1 : from;
	size_t len = strlen(from);
	if (len > NAME_MAX_LEN)
		return false;
	memcpy(name, from, len + 1);
	return true;
}

static enum posta_err check(const char *url, const struct posta_bridge_options *options, struct posta_error *error)
{
	(void)options;
	char name[NAME_MAX_LEN + 1];
	if (!name_of(url, name))
		return posta_error_set(error, POSTA_EINVAL, "memory: the broker's name is longer than %u bytes",
				       NAME_MAX_LEN);
	return POSTA_OK;
}

static enum posta_err check_target(const struct posta_target *target, struct posta_error *error)
{
	if (target->exchange || target->routing_key)
		return posta_error_set(error, POSTA_EUNSUPPORTED, "memory: no exchanges: name a topic or a queue");
	if (target->topic && target->queue)
		return posta_error_set(error, POSTA_EINVAL, "memory: name a topic or a queue, not both");
	if (target->retain && !target->topic)
		return posta_error_set(error, POSTA_EINVAL, "memory: only a topic retains");
	if (target->delay_ms && !target->queue)
		return posta_error_set(error, POSTA_EINVAL, "memory: delay_ms needs a queue");
	return target->topic ? posta__name_check(POSTA__NAME_MQTT, target->topic, error) : POSTA_OK;
}

static enum posta_err check_source(const struct posta_source *source, struct posta_error *error)
{
	if (source->exchange || source->routing_key)
		return posta_error_set(error, POSTA_EUNSUPPORTED,
				       "memory: no exchanges: name a topic, a queue or a filter");
	if (!!source->topic + !!source->queue + !!source->filter != 1)
		return posta_error_set(error, POSTA_EINVAL, "memory: name one of topic, queue and filter");
	if (source->queue && (source->group || source->share))
		return posta_error_set(error, POSTA_EINVAL, "memory: a queue has no groups");
	if (source->queue && source->position.start != POSTA_START_COMMITTED)
		return posta_error_set(error, POSTA_EUNSUPPORTED, "memory: a queue is no log: it has no positions");
	if ((source->group && !*source->group) || (source->share && !*source->share))
		return posta_error_set(error, POSTA_EINVAL, "memory: the group's name is empty");
	if (source->filter)
		return posta__filter_check(POSTA__NAME_MQTT, source->filter, error);
	return source->topic ? posta__name_check(POSTA__NAME_MQTT, source->topic, error) : POSTA_OK;
}

/* -- The connection -- */

static void deliver_all(struct posta__memory_connection *connection);

/* What is due goes into its queues, and the timer to the next that will be. */
static void keep_time(struct posta_bridge *bridge, void *state)
{
	struct posta__memory_connection *connection = state;
	struct posta__memory_broker *broker = connection->broker;
	uint64_t now_ms = posta_bridge_now_ms(bridge), due_ms = UINT64_MAX;
	pthread_mutex_lock(&broker->lock);
	posta__memory_delays_release(broker, now_ms);
	posta__memory_dispatch(broker);
	if (broker->connections == connection && broker->delays.count)
		due_ms = broker->delays.heap[0].due_ms;
	pthread_mutex_unlock(&broker->lock);
	if (due_ms != UINT64_MAX && !posta_bridge_timer(bridge, due_ms - now_ms))
		posta_bridge_down(bridge, POSTA_ENOMEM, "memory: out of memory for a timer");
}

static void on_poke(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop, (void)events;
	struct posta__memory_connection *connection = async->data;
	struct posta__memory_broker *broker = connection->broker;
	pthread_mutex_lock(&broker->lock);
	connection->poked = false;
	bool lost = connection->lost, waits = broker->connections == connection && broker->delays.count;
	pthread_mutex_unlock(&broker->lock);
	if (lost) {
		posta_bridge_down(connection->bridge, POSTA_ECONNECTION, "memory: the connection to \"%s\" was lost",
				  broker->name);
		return;
	}
	if (!connection->up) {
		connection->up = true;
		posta_bridge_up(connection->bridge);
	}
	if (waits)
		keep_time(connection->bridge, connection);
	deliver_all(connection);
	if (connection->finishing)
		posta_bridge_ended(connection->bridge);
}

static enum posta_err connect(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	struct posta__memory_connection *connection = state;
	char name[NAME_MAX_LEN + 1];
	name_of(posta_bridge_url(bridge), name);
	struct posta__memory_broker *broker = posta__memory_broker(posta_system_of(posta_bridge_actor(bridge)), name);
	if (!broker)
		return posta_error_set(error, POSTA_ENOMEM, "memory: out of memory for a broker");
	pthread_mutex_lock(&broker->lock);
	bool refused = broker->refusals > 0;
	if (refused && broker->refusals != UINT32_MAX)
		broker->refusals--;
	pthread_mutex_unlock(&broker->lock);
	if (refused)
		return posta_error_set(error, POSTA_ECONNECTION, "memory: \"%s\" refuses connections", name);
	connection->bridge = bridge;
	connection->loop = posta_bridge_loop(bridge);
	connection->next_id = 1;
	connection->touched_end = &connection->touched;
	ev_async_init(&connection->async, on_poke);
	connection->async.data = connection;
	ev_async_start(connection->loop, &connection->async);
	pthread_mutex_lock(&broker->lock);
	connection->broker = broker;
	connection->next = broker->connections;
	broker->connections = connection;
	posta__memory_poke(connection);
	pthread_mutex_unlock(&broker->lock);
	return POSTA_OK;
}

/* keep_own: groups of one subscription stay, for the next connection. */
static void consumer_end(struct posta__memory_broker *broker, struct posta__memory_consumer *consumer, bool keep_own)
{
	struct posta__memory_feed *feed = consumer->feed;
	posta__memory_consumer_remove(consumer);
	free(consumer);
	if (feed->own && !keep_own && !feed->consumer_count)
		posta__memory_feed_end(broker, feed);
	else
		posta__memory_dirty(broker, feed);
}

static void consumers_end(struct posta__memory_connection *connection, bool keep_own)
{
	for (uint32_t i = 0; i < POSTA__MEMORY_BUCKETS; i++)
		while (connection->consumers[i]) {
			struct posta__memory_consumer *consumer = connection->consumers[i];
			connection->consumers[i] = consumer->next;
			consumer_end(connection->broker, consumer, keep_own);
		}
	posta__memory_dispatch(connection->broker);
}

static void finish(struct posta_bridge *bridge, void *state)
{
	(void)bridge;
	struct posta__memory_connection *connection = state;
	pthread_mutex_lock(&connection->broker->lock);
	consumers_end(connection, false);
	connection->finishing = true;
	posta__memory_poke(connection);
	pthread_mutex_unlock(&connection->broker->lock);
}

static void close_connection(struct posta_bridge *bridge, void *state)
{
	(void)bridge;
	struct posta__memory_connection *connection = state;
	struct posta__memory_broker *broker = connection->broker;
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	connection->lost = true;
	struct posta__memory_connection **at = &broker->connections;
	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	if (broker->connections && broker->delays.count)
		posta__memory_poke(broker->connections); /* which may have to keep the time now */
	consumers_end(connection, true);
	ev_async_stop(connection->loop, &connection->async);
	pthread_mutex_unlock(&broker->lock);
}

/* -- Publishing -- */

static void publish_chunk(struct posta__memory_connection *connection, const struct posta_publication *const *batch,
			  size_t n)
{
	struct posta__memory_broker *broker = connection->broker;
	enum posta_err results[CHUNK];
	const char *texts[CHUNK] = { NULL };
	uint64_t ids[CHUNK], now_ms = posta_bridge_now_ms(connection->bridge);
	pthread_mutex_lock(&broker->lock);
	bool lost = connection->lost; /* as in a broken socket: no confirmation, they are sent again */
	for (size_t i = 0; i < n && !lost; i++) {
		ids[i] = batch[i]->id;
		results[i] = posta__memory_store(broker, batch[i]->target, batch[i]->envelope, now_ms, &texts[i]);
	}
	posta__memory_dispatch(broker);
	if (!lost && broker->unconfirmed) {
		broker->unconfirmed--;
		lost = connection->lost = true;
		posta__memory_poke(connection);
	}
	pthread_mutex_unlock(&broker->lock);
	for (size_t i = 0; i < n && !lost; i++)
		posta_bridge_confirm(connection->bridge, ids[i], results[i], texts[i]);
}

static size_t publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch, size_t n)
{
	(void)bridge;
	for (size_t i = 0; i < n; i += CHUNK)
		publish_chunk(state, batch + i, n - i < CHUNK ? n - i : CHUNK);
	return n;
}

/* -- Subscriptions -- */

/* Where it is, or would be linked in. */
static struct posta__memory_consumer **place(struct posta__memory_connection *connection, uint32_t subscription)
{
	struct posta__memory_consumer **at = &connection->consumers[subscription % POSTA__MEMORY_BUCKETS];
	while (*at && (*at)->subscription != subscription)
		at = &(*at)->next;
	return at;
}

static enum posta_err consume(struct posta__memory_connection *connection, struct posta__memory_consumer *consumer,
			      const struct posta_source *source, const char *owner, const char **text)
{
	struct posta__memory_broker *broker = connection->broker;
	enum posta_err result = POSTA_OK;
	struct posta__memory_feed *feed = posta__memory_attach(broker, source, owner, &result, text);
	if (feed && !posta__memory_consumer_add(feed, consumer))
		result = POSTA_ENOMEM;
	if (result)
		return result;
	*place(connection, consumer->subscription) = consumer;
	posta__memory_touch(consumer); /* to tell its lag, of 0 too */
	posta__memory_feed_dispatch(feed);
	return POSTA_OK;
}

static void subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
		      const struct posta_source *source)
{
	struct posta__memory_connection *connection = state;
	struct posta__memory_consumer *consumer = calloc(1, sizeof *consumer);
	const char *text = NULL;
	char *owner = NULL;
	enum posta_err result = POSTA_ENOMEM;
	if (consumer && asprintf(&owner, "%s/%u", posta_bridge_client_id(bridge), subscription) > 0) {
		consumer->connection = connection;
		consumer->subscription = subscription;
		consumer->credit = source->credit;
		pthread_mutex_lock(&connection->broker->lock);
		result = consume(connection, consumer, source, owner, &text);
		pthread_mutex_unlock(&connection->broker->lock);
		free(owner);
	}
	if (result)
		free(consumer);
	posta_bridge_subscribed(bridge, subscription, result, text);
}

static void unsubscribe(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	struct posta__memory_connection *connection = state;
	struct posta__memory_consumer **at = place(connection, subscription), *consumer = *at;
	if (!consumer)
		return;
	pthread_mutex_lock(&connection->broker->lock);
	*at = consumer->next;
	consumer_end(connection->broker, consumer, false);
	posta__memory_dispatch(connection->broker);
	pthread_mutex_unlock(&connection->broker->lock);
}

static void pause_or_resume(struct posta__memory_connection *connection, uint32_t subscription, bool paused)
{
	struct posta__memory_consumer *consumer = *place(connection, subscription);
	if (!consumer)
		return;
	pthread_mutex_lock(&connection->broker->lock);
	consumer->paused = paused;
	if (paused)
		posta__memory_consumer_return_ready(consumer);
	posta__memory_feed_dispatch(consumer->feed);
	pthread_mutex_unlock(&connection->broker->lock);
}

static void pause_subscription(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	pause_or_resume(state, subscription, true);
}

static void resume_subscription(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	pause_or_resume(state, subscription, false);
}

static void settle(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		   enum posta_outcome outcome)
{
	struct posta__memory_connection *connection = state;
	struct posta__memory_consumer *consumer = *place(connection, subscription);
	if (!consumer)
		return;
	pthread_mutex_lock(&connection->broker->lock);
	for (size_t i = 0; i < n && !connection->lost; i++)
		posta__memory_consumer_settle(consumer, ids[i], outcome == POSTA_REQUEUE);
	posta__memory_feed_dispatch(consumer->feed);
	int64_t lag = posta__memory_consumer_lag(consumer);
	pthread_mutex_unlock(&connection->broker->lock);
	posta_bridge_lag(bridge, subscription, lag);
}

/* The position is the group's: the others of it read from there too, and keep what they have. */
static void seek(struct posta_bridge *bridge, void *state, uint32_t subscription, struct posta_position position)
{
	struct posta__memory_connection *connection = state;
	struct posta__memory_consumer *consumer = *place(connection, subscription);
	if (!consumer)
		return;
	pthread_mutex_lock(&connection->broker->lock);
	struct posta__memory_feed *feed = consumer->feed;
	posta__memory_consumer_void(consumer);
	bool done = feed->is_queue || posta__memory_seek(connection->broker, feed, position);
	posta__memory_touch(consumer);
	posta__memory_feed_dispatch(feed);
	pthread_mutex_unlock(&connection->broker->lock);
	if (!done)
		posta_bridge_down(bridge, POSTA_ENOMEM, "memory: out of memory for a position");
}

/* -- Deliveries -- */

struct parcel {
	struct posta_envelope *envelope;
	uint64_t id;
	bool redelivered;
};

/* Under the lock. What is more stays for another round. */
static uint32_t take_some(struct posta__memory_connection *connection, struct posta__memory_consumer *consumer,
			  struct parcel *parcels)
{
	uint32_t n = 0;
	struct posta__memory_item *item;
	while (n < DELIVER_MAX && (item = posta__memory_consumer_take(consumer, connection->next_id)))
		parcels[n++] =
			(struct parcel){ posta_envelope_ref(item->envelope), connection->next_id++, item->redelivered };
	if (consumer->ready.count)
		posta__memory_touch(consumer);
	return n;
}

/* Consumers end on this thread only, and not while it delivers. */
static void deliver_next(struct posta__memory_connection *connection)
{
	struct parcel parcels[DELIVER_MAX];
	pthread_mutex_lock(&connection->broker->lock);
	struct posta__memory_consumer *consumer = posta__memory_touched(connection);
	uint32_t n = take_some(connection, consumer, parcels);
	int64_t lag = posta__memory_consumer_lag(consumer);
	pthread_mutex_unlock(&connection->broker->lock);
	for (uint32_t i = 0; i < n; i++)
		posta_bridge_deliver(connection->bridge, consumer->subscription, parcels[i].envelope, parcels[i].id,
				     parcels[i].redelivered);
	posta_bridge_lag(connection->bridge, consumer->subscription, lag);
}

/* One round: who is touched meanwhile pokes for the next. */
static void deliver_all(struct posta__memory_connection *connection)
{
	pthread_mutex_lock(&connection->broker->lock);
	uint32_t count = connection->touched_count;
	pthread_mutex_unlock(&connection->broker->lock);
	while (count--)
		deliver_next(connection);
}

static void replies(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source)
{
	source->queue = address;
}

static void reply_target(const char *address, struct posta_target *target)
{
	target->queue = address;
}

static const char *const schemes[] = { "memory", NULL };

const struct posta_bridge_ops posta__memory_ops = {
	.name = "memory",
	.schemes = schemes,
	.capabilities = POSTA_CAN_PRIORITY | POSTA_CAN_GROUPS | POSTA_CAN_QUEUES | POSTA_CAN_WILDCARDS |
			POSTA_CAN_RETAIN | POSTA_CAN_REQUEUE | POSTA_CAN_HEADERS | POSTA_CAN_REPLAY |
			POSTA_CAN_KEY_ORDER | POSTA_CAN_CREDIT | POSTA_CAN_DELAY | POSTA_CAN_ASK,
	.state_size = sizeof(struct posta__memory_connection),
	.check = check,
	.check_target = check_target,
	.check_source = check_source,
	.connect = connect,
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.settle = settle,
	.pause = pause_subscription,
	.resume = resume_subscription,
	.seek = seek,
	.timer = keep_time,
	.replies = replies,
	.reply_target = reply_target,
	.finish = finish,
	.close = close_connection,
};
