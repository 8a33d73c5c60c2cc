/* SPDX-License-Identifier: MIT */
#include "bridges/bridge.h"
#include "bridges/features.h"
#include "bridges/kept_text.h"
#include "runtime/system.h"

#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_DEFAULT 65536u
#define PENDING_BYTES_DEFAULT ((size_t)256 << 20)
#define MESSAGE_BYTES_DEFAULT (16u << 20)
#define HEARTBEAT_DEFAULT_MS 10000u
#define CONNECT_DEFAULT_MS 10000u
#define PERMANENT_DEFAULT_MS 30000u
#define EXTRA_MAX 64u

#if POSTA_HAVE_KAFKA
extern const struct posta_bridge_ops posta__kafka_ops;
#endif
#if POSTA_HAVE_AMQP
extern const struct posta_bridge_ops posta__amqp_ops;
#endif
#if POSTA_HAVE_MQTT
extern const struct posta_bridge_ops posta__mqtt_ops;
#endif
extern const struct posta_bridge_ops posta__memory_ops;

static const struct posta_bridge_ops *const built_in[] = {
	&posta__memory_ops,
#if POSTA_HAVE_KAFKA
	&posta__kafka_ops,
#endif
#if POSTA_HAVE_AMQP
	&posta__amqp_ops,
#endif
#if POSTA_HAVE_MQTT
	&posta__mqtt_ops,
#endif
	NULL,
};

/* -- Which file speaks for a URL -- */

struct registered {
	pthread_mutex_t lock;
	const struct posta_bridge_ops *ops[32];
	unsigned count;
	unsigned opened; /* without a worker of their own */
};

static const char registered_key;

static void *registered_make(struct posta_system *system)
{
	(void)system;
	struct registered *registered = calloc(1, sizeof *registered);
	if (registered)
		pthread_mutex_init(&registered->lock, NULL);
	return registered;
}

static void registered_free(void *memory)
{
	struct registered *registered = memory;
	pthread_mutex_destroy(&registered->lock);
	free(registered);
}

static struct registered *registered_of(struct posta_system *system)
{
	return posta__system_extension(system, &registered_key, registered_make, registered_free);
}

static bool speaks(const struct posta_bridge_ops *ops, const char *scheme, size_t len)
{
	for (const char *const *own = ops->schemes; *own; own++)
		if (strlen(*own) == len && strncmp(*own, scheme, len) == 0)
			return true;
	return false;
}

static const struct posta_bridge_ops *find(struct posta_system *system, const char *scheme, size_t len)
{
	for (const struct posta_bridge_ops *const *ops = built_in; *ops; ops++)
		if (speaks(*ops, scheme, len))
			return *ops;
	struct registered *registered = registered_of(system);
	const struct posta_bridge_ops *found = NULL;
	if (!registered)
		return NULL;
	pthread_mutex_lock(&registered->lock);
	for (unsigned i = 0; i < registered->count && !found; i++)
		found = speaks(registered->ops[i], scheme, len) ? registered->ops[i] : NULL;
	pthread_mutex_unlock(&registered->lock);
	return found;
}

static enum posta_err missing_op(const struct posta_bridge_ops *ops, struct posta_error *error)
{
	const char *missing = !ops->name          ? "name"
			      : !ops->schemes     ? "schemes"
			      : !ops->connect     ? "connect"
			      : !ops->publish     ? "publish"
			      : !ops->subscribe   ? "subscribe"
			      : !ops->unsubscribe ? "unsubscribe"
			      : !ops->settle      ? "settle"
			      : !ops->pause       ? "pause"
			      : !ops->resume      ? "resume"
			      : !ops->finish      ? "finish"
			      : !ops->close       ? "close"
			      : !ops->replies && ops->capabilities & POSTA_CAN_ASK ? "replies"
						  : NULL;
	return missing ? posta_error_set(error, POSTA_EINVAL, "bridge: the required \"%s\" is missing from the ops",
					 missing)
		       : POSTA_OK;
}

enum posta_err posta_bridge_register(struct posta_system *system, const struct posta_bridge_ops *ops,
				     struct posta_error *error)
{
	enum posta_err result = missing_op(ops, error);
	for (const char *const *scheme = ops->schemes; !result && *scheme; scheme++)
		if (find(system, *scheme, strlen(*scheme)))
			result = posta_error_set(error, POSTA_EEXISTS, "bridge: the scheme \"%s\" is taken", *scheme);
	struct registered *registered = result ? NULL : registered_of(system);
	if (!result && !registered)
		result = posta_error_set(error, POSTA_ENOMEM, "bridge: out of memory");
	if (result)
		return result;
	pthread_mutex_lock(&registered->lock);
	if (registered->count < sizeof registered->ops / sizeof registered->ops[0])
		registered->ops[registered->count++] = ops;
	else
		result = posta_error_set(error, POSTA_EFULL, "bridge: %u are registered already", registered->count);
	pthread_mutex_unlock(&registered->lock);
	return result;
}

/* -- Options: one block holds every string -- */

static unsigned extra_count(const char *const *extra)
{
	unsigned n = 0;
	while (extra && extra[n] && n < 2 * EXTRA_MAX)
		n++;
	return n & ~1u;
}

static void defaults(struct posta_bridge_options *options)
{
	options->pending_max = options->pending_max ? options->pending_max : PENDING_DEFAULT;
	options->pending_bytes_max = options->pending_bytes_max ? options->pending_bytes_max : PENDING_BYTES_DEFAULT;
	options->message_bytes_max = options->message_bytes_max ? options->message_bytes_max : MESSAGE_BYTES_DEFAULT;
	options->heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : HEARTBEAT_DEFAULT_MS;
	options->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_DEFAULT_MS;
	options->mqtt_version = options->mqtt_version ? options->mqtt_version : 5;
	options->permanent_retry_ms = options->permanent_retry_ms ? options->permanent_retry_ms : PERMANENT_DEFAULT_MS;
	if (!options->backoff.initial_ms)
		options->backoff = (struct posta_backoff){
			.initial_ms = 100, .max_ms = 30000, .factor = 2, .jitter = POSTA_JITTER_FULL
		};
}

static bool strings_copy(struct posta_bridge *bridge, const char *client_id)
{
	struct posta_bridge_options *o = &bridge->options;
	unsigned extras = extra_count(o->extra);
	const char **extra = calloc(extras + 1, sizeof *extra);
	if (!extra)
		return false;
	for (unsigned i = 0; i < extras; i++)
		extra[i] = o->extra[i];
	o->client_id = o->client_id ? o->client_id : client_id;
	o->name = o->name ? o->name : bridge->ops->name;
	const char **fields[] = { &bridge->url, &o->name,     &o->client_id, &o->user,       &o->password,
				  &o->tls.ca,   &o->tls.cert, &o->tls.key,   &o->will_topic, &o->transactional_id };
	size_t count = sizeof fields / sizeof fields[0], size = o->will_len;
	for (size_t i = 0; i < count; i++)
		size += posta__kept_size(*fields[i]);
	for (unsigned i = 0; i < extras; i++)
		size += posta__kept_size(extra[i]);
	char *at = bridge->strings = malloc(size + 1);
	if (!at) {
		free(extra);
		return false;
	}
	o->extra = extra;
	for (size_t i = 0; i < count; i++)
		posta__kept_move(fields[i], &at);
	for (unsigned i = 0; i < extras; i++)
		posta__kept_move(&extra[i], &at);
	if (o->will_body)
		o->will_body = memcpy(at, o->will_body, o->will_len);
	return true;
}

static void bridge_free(struct posta_bridge *bridge)
{
	pthread_mutex_destroy(&bridge->lock);
	if (bridge->strings) { /* credentials do not linger in freed memory */
		explicit_bzero((void *)(uintptr_t)bridge->url, strlen(bridge->url));
		if (bridge->options.password)
			explicit_bzero((void *)(uintptr_t)bridge->options.password, strlen(bridge->options.password));
		free((void *)(uintptr_t)bridge->options.extra);
	}
	free(bridge->strings);
	free(bridge);
}

void posta__bridge_unref(struct posta_bridge *bridge)
{
	if (atomic_fetch_sub_explicit(&bridge->refs, 1, memory_order_acq_rel) == 1)
		bridge_free(bridge);
}

/* -- Open and close -- */

static const struct posta_bridge_ops *ops_of(struct posta_system *system, const char *url, struct posta_error *error)
{
	size_t len = url ? strcspn(url, ":") : 0;
	if (!len || url[len] != ':') {
		posta_error_set(error, POSTA_EINVAL,
				"bridge: not a URL: write kafka://host:9092, amqp://host, mqtt://host or memory:");
		return NULL;
	}
	const struct posta_bridge_ops *ops = find(system, url, len);
	if (!ops)
		posta_error_set(error, POSTA_EUNSUPPORTED, "bridge: no bridge for \"%.*s:\" in this build",
				(int)(len < 32 ? len : 32), url);
	return ops;
}

static struct posta_bridge *make(struct posta_system *system, const struct posta_bridge_ops *ops, const char *url,
				 const struct posta_bridge_options *options)
{
	struct posta_bridge *bridge = calloc(1, sizeof *bridge);
	if (!bridge)
		return NULL;
	pthread_mutex_init(&bridge->lock, NULL);
	atomic_init(&bridge->refs, 2); /* the caller's and the front's */
	bridge->system = system;
	bridge->ops = ops;
	bridge->url = url;
	bridge->next_id = 1;
	bridge->public_state = POSTA_BRIDGE_CONNECTING;
	atomic_init(&bridge->lag, -1);
	if (options)
		memcpy(&bridge->options, options,
		       options->size && options->size < sizeof *options ? options->size : sizeof *options);
	defaults(&bridge->options);
	char client_id[64], uuid[37];
	posta_uuid7(uuid);
	snprintf(client_id, sizeof client_id, "posta-%s", uuid + 24);
	if (strings_copy(bridge, client_id)) {
		posta__questions_init(bridge);
		return bridge;
	}
	bridge_free(bridge);
	return NULL;
}

/* Returns: 0 where there is nothing to choose. */
static int next_worker(struct posta_system *system)
{
	int workers = posta_system_workers(system);
	struct registered *registered = workers > 1 ? registered_of(system) : NULL;
	if (!registered)
		return 0;
	pthread_mutex_lock(&registered->lock);
	unsigned turn = registered->opened++;
	pthread_mutex_unlock(&registered->lock);
	return (int)(turn % (unsigned)workers) + 1;
}

struct posta_bridge *posta_bridge_open(struct posta_system *system, const char *url,
				       const struct posta_bridge_options *options, struct posta_error *error)
{
	const struct posta_bridge_ops *ops = ops_of(system, url, error);
	struct posta_bridge *bridge = ops ? make(system, ops, url, options) : NULL;
	if (!bridge) {
		if (ops)
			posta_error_set(error, POSTA_ENOMEM, "bridge: out of memory");
		return NULL;
	}
	if (ops->check && ops->check(bridge->url, &bridge->options, error)) {
		bridge_free(bridge);
		return NULL;
	}
	const int worker = bridge->options.worker ? bridge->options.worker : next_worker(system);
	const struct posta_spawn_options pinned = { .pinned = true, .worker = worker };
	posta_ref ref = posta_system_spawn(system, &posta__front_class, bridge, &pinned, error);
	if (ref == POSTA_NOBODY) {
		bridge_free(bridge);
		return NULL;
	}
	bridge->public_ref = ref;
	return bridge;
}

/* Without memory to say so it is stopped, which needs none: what is pending ends unconfirmed. */
static void ask_to_close(struct posta_bridge *bridge, uint32_t deadline_ms)
{
	if (posta_system_send(bridge->system, bridge->public_ref, POSTA__FRONT_CLOSE, &deadline_ms,
			      sizeof deadline_ms) == POSTA_ENOMEM)
		posta_system_stop_actor(bridge->system, bridge->public_ref, POSTA_OK);
}

void posta_bridge_close(struct posta_bridge *bridge, uint32_t deadline_ms)
{
	if (!bridge)
		return;
	/* Acquire: PAIRS with the front's release at its end; after that the system may be gone. */
	if (!atomic_load_explicit(&bridge->ended, memory_order_acquire))
		ask_to_close(bridge, deadline_ms);
	posta__bridge_unref(bridge);
}

posta_ref posta_bridge_ref(const struct posta_bridge *bridge)
{
	return bridge->public_ref;
}

/* -- Calls of actors -- */

enum posta_err posta_bridge_publish_to(struct posta_actor *self, struct posta_bridge *bridge,
				       struct posta_route_target *target, struct posta_envelope *envelope,
				       uint64_t cookie)
{
	struct posta_message *message = posta__pending_make(self, target, envelope, cookie);
	if (!message)
		return POSTA_ENOMEM;
	if (!posta__front_near(self, bridge->public_ref))
		return posta_post(self, bridge->public_ref, message);
	posta__pending_accept(bridge, posta__pending_of(message));
	return POSTA_OK;
}

enum posta_err posta_bridge_publish(struct posta_actor *self, struct posta_bridge *bridge,
				    const struct posta_target *target, struct posta_envelope *envelope, uint64_t cookie)
{
	struct posta_error error;
	struct posta_route_target *prepared = posta_target_prepare(bridge, target, &error);
	if (!prepared)
		return error.code;
	enum posta_err result = posta_bridge_publish_to(self, bridge, prepared, envelope, cookie);
	posta_target_unref(prepared);
	return result;
}

static void subscription_release(void *data, void *context)
{
	(void)context;
	posta__subscription_free(data);
}

static enum posta_err check_source(const struct posta_bridge *bridge, const struct posta_source *source,
				   struct posta_error *error)
{
	if (!source->topic && !source->queue && !source->exchange && !source->filter && !source->bindings)
		return posta_error_set(error, POSTA_EINVAL,
				       "%s: a source needs a topic, a queue, an exchange or a filter",
				       bridge->ops->name);
	if (source->qos < -1 || source->qos > 2)
		return posta_error_set(error, POSTA_EINVAL, "%s: qos is %d: 0, 1, 2, or -1 for the default",
				       bridge->ops->name, source->qos);
	if (!(bridge->ops->capabilities & POSTA_CAN_DECLARE) &&
	    (source->exchange_type || source->queue_arguments || source->bindings))
		return posta_error_set(error, POSTA_EUNSUPPORTED, "%s: nothing is declared here", bridge->ops->name);
	return bridge->ops->check_source ? bridge->ops->check_source(source, error) : POSTA_OK;
}

static enum posta_err check_position(const struct posta_bridge *bridge, struct posta_position position,
				     struct posta_error *error)
{
	if (position.start < POSTA_START_COMMITTED || position.start > POSTA_START_TIME || position.at < 0)
		return posta_error_set(error, POSTA_EINVAL, "%s: no such position to read from", bridge->ops->name);
	if (position.start != POSTA_START_COMMITTED && !bridge->ops->seek)
		return posta_error_set(error, POSTA_EUNSUPPORTED, "%s: a position needs a log", bridge->ops->name);
	return POSTA_OK;
}

enum posta_err posta_bridge_subscribe(struct posta_actor *self, struct posta_bridge *bridge,
				      const struct posta_source *source, uint32_t *subscription,
				      struct posta_error *error)
{
	enum posta_err result = check_source(bridge, source, error);
	if (!result)
		result = check_position(bridge, source->position, error);
	if (result)
		return result;
	struct posta__subscription *made = posta__subscription_make(posta_self(self), source);
	if (!made)
		return posta_error_set(error, POSTA_ENOMEM, "%s: out of memory for a subscription", bridge->ops->name);
	made->id = atomic_fetch_add_explicit(&bridge->next_subscription, 1, memory_order_relaxed) + 1;
	*subscription = made->id;
	const struct posta_slice slice = { .data = made, .size = sizeof *made, .release = subscription_release };
	struct posta_message *message = posta_message_wrap(self, POSTA__FRONT_SUBSCRIBE, &slice);
	result = message ? posta_post(self, bridge->public_ref, message) : POSTA_ENOMEM;
	return result ? posta_error_set(error, result, "%s: %s", bridge->ops->name, posta_strerror(result)) : POSTA_OK;
}

static enum posta_err tell(struct posta_actor *self, struct posta_bridge *bridge, enum posta__front_message what,
			   uint32_t number)
{
	return posta_send(self, bridge->public_ref, what, &number, sizeof number);
}

enum posta_err posta_bridge_unsubscribe(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription)
{
	return tell(self, bridge, POSTA__FRONT_UNSUBSCRIBE, subscription);
}

enum posta_err posta_bridge_pause(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription)
{
	return tell(self, bridge, POSTA__FRONT_PAUSE, subscription);
}

enum posta_err posta_bridge_resume(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription)
{
	return tell(self, bridge, POSTA__FRONT_RESUME, subscription);
}

enum posta_err posta_bridge_seek(struct posta_actor *self, struct posta_bridge *bridge, uint32_t subscription,
				 struct posta_position position)
{
	const struct posta__seek seek = { .position = position, .subscription = subscription };
	enum posta_err result = check_position(bridge, position, NULL);
	if (!result && position.start == POSTA_START_COMMITTED)
		result = POSTA_EINVAL;
	return result ? result : posta_send(self, bridge->public_ref, POSTA__FRONT_SEEK, &seek, sizeof seek);
}

enum posta_err posta_bridge_watch(struct posta_actor *self, struct posta_bridge *bridge)
{
	return tell(self, bridge, POSTA__FRONT_WATCH, 0);
}

enum posta_err posta_settle(struct posta_actor *self, struct posta_token token, enum posta_outcome outcome)
{
	if (outcome < POSTA_ACK || outcome > POSTA_REJECT)
		return POSTA_EINVAL;
	struct posta_bridge *near = posta__front_near(self, token.bridge);
	if (near) {
		posta__settle_one(near, &token, outcome);
		return POSTA_OK;
	}
	const struct posta__settlement settlement = {
		.id = token.id,
		.subscription = token.subscription,
		.generation = token.generation,
		.outcome = (uint32_t)outcome,
	};
	return posta_send(self, token.bridge, POSTA__FRONT_SETTLE, &settlement, sizeof settlement);
}

/* -- Status -- */

static uint64_t figure(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void posta_bridge_status(const struct posta_bridge *bridge, struct posta_bridge_status *status)
{
	struct posta_bridge_status now = {
		.size = sizeof now,
		.connects = figure(&bridge->connects),
		.published = figure(&bridge->published),
		.publish_failed = figure(&bridge->publish_failed),
		.pending = figure(&bridge->pending_count),
		.delivered = figure(&bridge->delivered),
		.redelivered = figure(&bridge->redelivered),
		.settled = figure(&bridge->settled),
		.stale = figure(&bridge->stale),
		.unsettled = figure(&bridge->unsettled),
		.late_replies = figure(&bridge->late_replies),
		.subscriptions = atomic_load_explicit(&bridge->subscribed, memory_order_relaxed),
		.lag = atomic_load_explicit(&bridge->lag, memory_order_relaxed),
	};
	snprintf(now.name, sizeof now.name, "%s", bridge->options.name);
	snprintf(now.client_id, sizeof now.client_id, "%s", bridge->options.client_id);
	posta_url_redact(bridge->url, now.url, sizeof now.url);
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&bridge->lock;
	pthread_mutex_lock(lock);
	now.state = bridge->public_state;
	now.since_ms = bridge->since_ms;
	now.restarts = bridge->restarts;
	now.permanent = bridge->public_permanent;
	snprintf(now.last_error, sizeof now.last_error, "%s", bridge->last_error);
	pthread_mutex_unlock(lock);
	memcpy(status, &now, status->size && status->size < sizeof now ? status->size : sizeof now);
}
