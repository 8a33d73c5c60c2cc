/* SPDX-License-Identifier: MIT */
/*
 * The broker is a list of connections under a lock. A publication is put into the queue of every subscription to its
 * topic, whose connection hands it on from its own worker: it is woken by an ev_async.
 */
#include "pipe.h"

#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 65536u

struct item {
	struct item *next;
	struct posta_envelope *envelope;
};

struct subscription {
	struct subscription *next;
	uint32_t id;
	bool paused;
	struct item *first, **last;
	unsigned count;
	char topic[];
};

/* The state of the ops: the core gives it zeroed, and frees it. */
struct connection {
	struct connection *next;
	struct posta_bridge *bridge;
	struct ev_loop *loop;
	ev_async wake;
	struct subscription *subscriptions; /* under the lock: others put in */
	uint64_t next_id;
	bool listed, up, finishing;
};

static struct {
	pthread_mutex_t lock;
	struct connection *connections;
	bool away;
} broker = { .lock = PTHREAD_MUTEX_INITIALIZER };

void pipe_set_away(bool away)
{
	pthread_mutex_lock(&broker.lock);
	broker.away = away;
	for (struct connection *at = broker.connections; at; at = at->next)
		ev_async_send(at->loop, &at->wake);
	pthread_mutex_unlock(&broker.lock);
}

/* -- Queues. The lock is held. */

static bool put(struct subscription *subscription, struct posta_envelope *envelope)
{
	struct item *item = subscription->count < QUEUE_MAX ? malloc(sizeof *item) : NULL;
	if (!item)
		return false;
	*item = (struct item){ .envelope = posta_envelope_ref(envelope) };
	*subscription->last = item;
	subscription->last = &item->next;
	subscription->count++;
	return true;
}

/* Returns: owned; NULL when there is none. */
static struct posta_envelope *get(struct subscription *subscription)
{
	struct item *item = subscription->first;
	if (!item)
		return NULL;
	struct posta_envelope *envelope = item->envelope;
	subscription->first = item->next;
	if (!subscription->first)
		subscription->last = &subscription->first;
	subscription->count--;
	free(item);
	return envelope;
}

static void subscription_free(struct subscription *subscription)
{
	struct posta_envelope *envelope;
	while ((envelope = get(subscription)))
		posta_envelope_unref(envelope);
	free(subscription);
}

static struct subscription **find(struct connection *connection, uint32_t id)
{
	struct subscription **at = &connection->subscriptions;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* -- Delivering */

/* The next for a subscription that takes one; *id names it. Returns: owned; NULL when all is handed on. */
static struct posta_envelope *next_delivery(struct connection *connection, uint32_t *id)
{
	struct posta_envelope *envelope = NULL;
	pthread_mutex_lock(&broker.lock);
	for (struct subscription *at = connection->subscriptions; at && !envelope; at = at->next) {
		envelope = at->paused ? NULL : get(at);
		*id = at->id;
	}
	pthread_mutex_unlock(&broker.lock);
	return envelope;
}

static void deliver_all(struct connection *connection)
{
	struct posta_envelope *envelope;
	uint32_t id;
	while ((envelope = next_delivery(connection, &id)))
		/* False: its credit is used up. The core pauses it, but only later. */
		if (!posta_bridge_deliver(connection->bridge, id, envelope, ++connection->next_id, false)) {
			pthread_mutex_lock(&broker.lock);
			if (*find(connection, id))
				(*find(connection, id))->paused = true;
			pthread_mutex_unlock(&broker.lock);
		}
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int events)
{
	struct connection *connection = wake->data;
	(void)loop, (void)events;
	pthread_mutex_lock(&broker.lock);
	bool away = broker.away;
	pthread_mutex_unlock(&broker.lock);
	if (away) {
		posta_bridge_down(connection->bridge, POSTA_ECONNECTION, "pipe: nobody at the other end");
		return;
	}
	if (!connection->up) {
		connection->up = true;
		posta_bridge_up(connection->bridge);
	}
	deliver_all(connection);
	if (connection->finishing)
		posta_bridge_ended(connection->bridge);
}

/* -- The contract: include/posta/bridge_ops.h */

static enum posta_err pipe_connect(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	struct connection *connection = state;
	(void)error;
	connection->bridge = bridge;
	connection->loop = posta_bridge_loop(bridge);
	ev_async_init(&connection->wake, on_wake);
	connection->wake.data = connection;
	ev_async_start(connection->loop, &connection->wake);
	pthread_mutex_lock(&broker.lock);
	connection->next = broker.connections;
	broker.connections = connection;
	connection->listed = true;
	pthread_mutex_unlock(&broker.lock);
	ev_async_send(connection->loop, &connection->wake); /* up, or down, but not from within this call */
	return POSTA_OK;
}

/* What arrives: where it was read, and in raw format nothing but the body. Returns: owned; NULL when out of memory. */
static struct posta_envelope *carried(const struct posta_publication *publication)
{
	struct posta_bytes body = posta_envelope_body(publication->envelope);
	bool raw = publication->target->format == POSTA_FORMAT_RAW;
	struct posta_envelope *envelope = raw ? posta_envelope_new() : posta_envelope_ref(publication->envelope);
	enum posta_err err = !envelope ? POSTA_ENOMEM
			     : raw     ? posta_envelope_set_body(envelope, body.data, body.len)
				       : posta_envelope_edit(&envelope);
	if (!err)
		err = posta_envelope_set_text(envelope, POSTA_ATTR_TOPIC, publication->target->topic);
	if (!err)
		return envelope;
	posta_envelope_unref(envelope);
	return NULL;
}

static enum posta_err publish_one(const struct posta_publication *publication)
{
	struct posta_envelope *envelope = carried(publication);
	bool all = envelope != NULL;
	pthread_mutex_lock(&broker.lock);
	for (struct connection *to = broker.connections; to && all; to = to->next) {
		for (struct subscription *at = to->subscriptions; at && all; at = at->next)
			if (strcmp(at->topic, publication->target->topic) == 0)
				all = put(at, envelope);
		ev_async_send(to->loop, &to->wake);
	}
	pthread_mutex_unlock(&broker.lock);
	posta_envelope_unref(envelope);
	return all ? POSTA_OK : POSTA_EFULL; /* retriable: the core offers it again */
}

static size_t pipe_publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch,
			   size_t n)
{
	(void)state;
	pthread_mutex_lock(&broker.lock);
	bool away = broker.away;
	pthread_mutex_unlock(&broker.lock);
	if (away)
		return 0; /* none is taken: the core keeps them for the next connection */
	for (size_t i = 0; i < n; i++)
		posta_bridge_confirm(bridge, batch[i]->id, publish_one(batch[i]), NULL);
	return n;
}

static void pipe_subscribe(struct posta_bridge *bridge, void *state, uint32_t id, const struct posta_source *source)
{
	struct connection *connection = state;
	size_t size = strlen(source->topic) + 1;
	struct subscription *made = calloc(1, sizeof *made + size);
	if (made) {
		made->id = id;
		made->last = &made->first;
		memcpy(made->topic, source->topic, size);
		pthread_mutex_lock(&broker.lock);
		*find(connection, id) = made;
		pthread_mutex_unlock(&broker.lock);
	}
	posta_bridge_subscribed(bridge, id, made ? POSTA_OK : POSTA_ENOMEM, NULL);
}

static void pipe_unsubscribe(struct posta_bridge *bridge, void *state, uint32_t id)
{
	(void)bridge;
	pthread_mutex_lock(&broker.lock);
	struct subscription **at = find(state, id), *gone = *at;
	if (gone)
		*at = gone->next;
	pthread_mutex_unlock(&broker.lock);
	if (gone)
		subscription_free(gone);
}

/* Nothing to tell: what was taken out of the queue is gone. */
static void pipe_settle(struct posta_bridge *bridge, void *state, uint32_t id, const uint64_t *ids, size_t n,
			enum posta_outcome outcome)
{
	(void)bridge, (void)state, (void)id, (void)ids, (void)n, (void)outcome;
}

static void set_paused(struct connection *connection, uint32_t id, bool paused)
{
	pthread_mutex_lock(&broker.lock);
	if (*find(connection, id))
		(*find(connection, id))->paused = paused;
	pthread_mutex_unlock(&broker.lock);
	ev_async_send(connection->loop, &connection->wake);
}

static void pipe_pause(struct posta_bridge *bridge, void *state, uint32_t id)
{
	(void)bridge;
	set_paused(state, id, true);
}

static void pipe_resume(struct posta_bridge *bridge, void *state, uint32_t id)
{
	(void)bridge;
	set_paused(state, id, false);
}

static void pipe_finish(struct posta_bridge *bridge, void *state)
{
	struct connection *connection = state;
	(void)bridge;
	connection->finishing = true;
	ev_async_send(connection->loop, &connection->wake);
}

static void pipe_close(struct posta_bridge *bridge, void *state)
{
	struct connection *connection = state;
	(void)bridge;
	if (!connection->listed)
		return;
	pthread_mutex_lock(&broker.lock);
	struct connection **at = &broker.connections;
	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	pthread_mutex_unlock(&broker.lock);
	ev_async_stop(connection->loop, &connection->wake);
	while (connection->subscriptions) {
		struct subscription *next = connection->subscriptions->next;
		subscription_free(connection->subscriptions);
		connection->subscriptions = next;
	}
}

static enum posta_err pipe_check_target(const struct posta_target *target, struct posta_error *error)
{
	return target->topic ? POSTA_OK : posta_error_set(error, POSTA_EUNSUPPORTED, "pipe: a target is a topic");
}

static enum posta_err pipe_check_source(const struct posta_source *source, struct posta_error *error)
{
	return source->topic ? POSTA_OK : posta_error_set(error, POSTA_EUNSUPPORTED, "pipe: a source is a topic");
}

static const char *const schemes[] = { "pipe", NULL };

const struct posta_bridge_ops pipe_ops = {
	.name = "pipe",
	.schemes = schemes,
	.capabilities = POSTA_CAN_HEADERS | POSTA_CAN_KEY_ORDER,
	.state_size = sizeof(struct connection),
	.check_target = pipe_check_target,
	.check_source = pipe_check_source,
	.connect = pipe_connect,
	.publish = pipe_publish,
	.subscribe = pipe_subscribe,
	.unsubscribe = pipe_unsubscribe,
	.settle = pipe_settle,
	.pause = pipe_pause,
	.resume = pipe_resume,
	.finish = pipe_finish,
	.close = pipe_close,
};
