/* SPDX-License-Identifier: MIT */
/*
 * The bridge to RabbitMQ and other brokers of AMQP 0-9-1: its ops table, and the life of its two connections.
 *
 *   connect: name ─▶ addresses ─▶ both connections, side by side ─▶ up when both are ready
 *   finish:  channels of the consumer closed behind their acknowledgements ─▶ both connections closed ─▶ ended
 */
#include "bridges/amqp.h"
#include "bridges/hosts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINISH_S 2.
#define BINDINGS_MAX 64 /* half of POSTA__KEPT_LIST_MAX */

static void set_deadline(struct posta__amqp *amqp, double after_s)
{
	ev_timer_stop(amqp->loop, &amqp->deadline);
	ev_timer_set(&amqp->deadline, after_s, 0.);
	ev_timer_start(amqp->loop, &amqp->deadline);
}

void posta__amqp_fail(struct posta__amqp *amqp, enum posta_err code, const char *format, ...)
{
	char text[POSTA_ERROR_TEXT_MAX];
	va_list arguments;

	if (amqp->failed)
		return;
	amqp->failed = true;
	ev_timer_stop(amqp->loop, &amqp->deadline);
	posta__amqp_connection_stop(&amqp->publishing);
	posta__amqp_connection_stop(&amqp->consuming);
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (amqp->finishing)
		set_deadline(amqp, 0.);
	else
		posta_bridge_down(amqp->bridge, code, "%s", text);
}

void posta__amqp_on_ready(struct posta__amqp *amqp)
{
	if (amqp->up || amqp->consuming.phase != POSTA__AMQP_OPEN || !posta__amqp_publisher_ready(amqp->publisher))
		return;
	amqp->up = true;
	freeaddrinfo(amqp->addresses);
	amqp->addresses = NULL;
	posta_bridge_up(amqp->bridge);
}

/* -- checks */

static const struct {
	const char *name;
	unsigned long min, max;
} extras[] = {
	{ "frame_max", 4096, 1048576 },
};

static enum posta_err check_extra(const char *name, const char *value, struct posta_error *error)
{
	char *rest;
	unsigned long number = strtoul(value ? value : "", &rest, 10);

	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		if (strcmp(extras[i].name, name) != 0)
			continue;
		if (!value || !*value || *rest || number < extras[i].min || number > extras[i].max)
			return posta_error_set(error, POSTA_EINVAL, "amqp: option %s must be a number from %lu to %lu",
					       name, extras[i].min, extras[i].max);
		return POSTA_OK;
	}
	return posta_error_set(error, POSTA_EINVAL, "amqp: no option \"%s\"; there is frame_max", name);
}

static enum posta_err check_url(const char *url, uint32_t n, struct posta_error *error)
{
	struct amqp_connection_info info;
	char redacted[128];
	char *copy = posta__url_of_host(url, n);

	if (!copy)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory");
	int status = amqp_parse_url(copy, &info);
	bool fits = !status && strlen(info.vhost) <= UINT8_MAX && *info.host;

	free(copy);
	if (fits)
		return POSTA_OK;
	return posta_error_set(
		error, POSTA_EINVAL,
		"%s: not of the form amqp://user:password@host:port/vhost (a vhost of at most 255 bytes)",
		posta_url_redact(url, redacted, sizeof redacted));
}

static enum posta_err check(const char *url, const struct posta_bridge_options *options, struct posta_error *error)
{
	uint32_t hosts = posta__url_hosts(url);
	enum posta_err code =
		hosts ? POSTA_OK : posta_error_set(error, POSTA_EINVAL, "amqp: one of the hosts is empty");

	for (uint32_t n = 0; !code && n < hosts; n++)
		code = check_url(url, n, error);
	for (const char *const *extra = options ? options->extra : NULL; !code && extra && extra[0]; extra += 2)
		code = check_extra(extra[0], extra[1], error);
	return code;
}

/* Names travel as short strings. */
static enum posta_err check_name(const char *field, const char *name, struct posta_error *error)
{
	if (!name || strlen(name) <= UINT8_MAX)
		return POSTA_OK;
	return posta_error_set(error, POSTA_EINVAL, "amqp: %s is longer than 255 bytes", field);
}

static enum posta_err unusable(const char *field, struct posta_error *error)
{
	return posta_error_set(error, POSTA_EINVAL,
			       "amqp has no use for %s; it takes queue, or exchange and routing_key", field);
}

static enum posta_err check_names(const char *queue, const char *exchange, const char *routing_key, int priority_max,
				  struct posta_error *error)
{
	enum posta_err code;

	if ((code = check_name("queue", queue, error)) || (code = check_name("exchange", exchange, error)) ||
	    (code = check_name("routing_key", routing_key, error)))
		return code;
	if (queue && !*queue)
		return posta_error_set(error, POSTA_EINVAL, "amqp: queue is empty");
	if (priority_max < 0 || priority_max > 255)
		return posta_error_set(error, POSTA_EINVAL, "amqp: queue_priority_max must be from 0 to 255");
	return POSTA_OK;
}

/* The broker may have types of its own: it has the last word. */
static enum posta_err check_exchange_type(const char *type, const char *exchange, struct posta_error *error)
{
	if (type && (!exchange || !*exchange))
		return posta_error_set(error, POSTA_EINVAL, "amqp: exchange_type needs an exchange with a name");
	return check_name("exchange_type", type, error);
}

static enum posta_err check_delay(const struct posta_target *target, struct posta_error *error)
{
	char wait_queue[UINT8_MAX + 1];

	if (!target->delay_ms)
		return POSTA_OK;
	if (!target->queue)
		return posta_error_set(error, POSTA_EINVAL, "amqp: delay_ms needs a queue");
	if (strlen(target->queue) + strlen(".wait.") + 10 >= sizeof wait_queue)
		return posta_error_set(error, POSTA_EINVAL, "amqp: the queue's name is too long for a delay");
	return POSTA_OK;
}

static enum posta_err check_target(const struct posta_target *target, struct posta_error *error)
{
	if (target->topic)
		return unusable("topic", error);
	if (target->retain)
		return unusable("retain", error);
	if (target->queue && (target->exchange || target->routing_key))
		return posta_error_set(error, POSTA_EINVAL,
				       "amqp: a target is either a queue, or an exchange with a routing_key");
	if (!target->queue && !target->exchange && !target->routing_key)
		return posta_error_set(error, POSTA_EINVAL,
				       "amqp: a target needs a queue, or an exchange with a routing_key");
	enum posta_err code =
		check_names(target->queue, target->exchange, target->routing_key, target->queue_priority_max, error);
	if (!code)
		code = check_exchange_type(target->exchange_type, target->exchange, error);
	if (!code)
		code = posta__amqp_arguments_check(target->queue_arguments, target->queue && !target->passive, error);
	return code ? code : check_delay(target, error);
}

static enum posta_err check_bindings(const char *const *list, struct posta_error *error)
{
	size_t n = 0;

	for (; list && list[n]; n += 2) {
		if (!list[n + 1])
			return posta_error_set(error, POSTA_EINVAL,
					       "amqp: bindings are exchanges and routing keys in turn");
		if (!*list[n] || strlen(list[n]) > UINT8_MAX || strlen(list[n + 1]) > UINT8_MAX)
			return posta_error_set(error, POSTA_EINVAL,
					       "amqp: a binding needs an exchange with a name, of at most 255 bytes");
		if (n / 2 == BINDINGS_MAX)
			return posta_error_set(error, POSTA_EINVAL, "amqp: more than %d bindings", BINDINGS_MAX);
	}
	return list && !n ? posta_error_set(error, POSTA_EINVAL, "amqp: the list of bindings is empty") : POSTA_OK;
}

static enum posta_err check_source(const struct posta_source *source, struct posta_error *error)
{
	if (source->topic || source->group || source->filter || source->share)
		return unusable(source->topic    ? "topic"
				: source->group  ? "group (consumers of one queue share it)"
				: source->filter ? "filter"
						 : "share",
				error);
	if (!source->queue && !source->exchange && !source->bindings)
		return posta_error_set(error, POSTA_EINVAL,
				       "amqp: a source needs a queue, or an exchange to bind one to");
	if (source->routing_key && !source->exchange)
		return posta_error_set(error, POSTA_EINVAL, "amqp: a source's routing_key needs its exchange");
	if (source->exchange && !*source->exchange)
		return posta_error_set(error, POSTA_EINVAL, "amqp: nothing can be bound to the default exchange");
	enum posta_err code =
		check_names(source->queue, source->exchange, source->routing_key, source->queue_priority_max, error);
	if (!code)
		code = check_exchange_type(source->exchange_type, source->exchange, error);
	if (!code)
		code = check_bindings(source->bindings, error);
	return code ? code : posta__amqp_arguments_check(source->queue_arguments, !source->passive, error);
}

/* -- connecting */

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct posta__amqp *amqp = timer->data;

	if (!amqp->finishing) {
		posta__amqp_fail(amqp, POSTA_ETIMEDOUT, "cannot resolve %s: no answer in time", amqp->info.host);
		return;
	}
	posta__amqp_connection_stop(&amqp->publishing);
	posta__amqp_connection_stop(&amqp->consuming);
	if (!amqp->ended) {
		amqp->ended = true;
		posta_bridge_ended(amqp->bridge);
	}
}

static void on_resolved(void *context, struct addrinfo *addresses, const char *text)
{
	struct posta__amqp *amqp = context;

	amqp->resolve = NULL;
	amqp->addresses = addresses;
	ev_timer_stop(amqp->loop, &amqp->deadline);
	if (!addresses) {
		posta__amqp_fail(amqp, POSTA_ECONNECTION, "%s", text);
		return;
	}
	posta__amqp_connection_start(&amqp->publishing, amqp, &posta__amqp_publisher_role, addresses);
	posta__amqp_connection_start(&amqp->consuming, amqp, &posta__amqp_consumer_role, addresses);
}

static enum posta_err prepare(struct posta__amqp *amqp, struct posta_error *error)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(amqp->bridge);

	amqp->url = posta__url_of_host(posta_bridge_url(amqp->bridge), posta_bridge_attempt(amqp->bridge));
	amqp->user = options->user ? strdup(options->user) : NULL;
	amqp->password = options->password ? strdup(options->password) : NULL;
	amqp->publisher = posta__amqp_publisher_new(amqp);
	amqp->consumer = posta__amqp_consumer_new(amqp);
	if (!amqp->url || !amqp->publisher || !amqp->consumer || !amqp->user != !options->user ||
	    !amqp->password != !options->password)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for a connection");
	if (amqp_parse_url(amqp->url, &amqp->info))
		return posta_error_set(error, POSTA_EINVAL, "not a URL of AMQP");
	snprintf(amqp->peer, sizeof amqp->peer, "%.255s:%d", amqp->info.host, amqp->info.port);
	if (!amqp->info.ssl)
		return POSTA_OK;
	amqp->tls = posta__tls_new("amqp", &options->tls, error);
	return amqp->tls ? POSTA_OK : error ? error->code : POSTA_EINVAL;
}

static enum posta_err connect_(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	struct posta__amqp *amqp = state;
	struct posta_error own = { 0 };

	amqp->bridge = bridge;
	amqp->loop = posta_bridge_loop(bridge);
	ev_init(&amqp->deadline, on_deadline);
	amqp->deadline.data = amqp;
	enum posta_err code = prepare(amqp, error ? error : &own);

	if (!code)
		code = posta__resolve_start(amqp->loop, amqp->info.host, amqp->info.port, on_resolved, amqp,
					    &amqp->resolve, error);
	if (!code)
		set_deadline(amqp, posta_bridge_get_options(bridge)->connect_timeout_ms / 1000.);
	return code;
}

/* -- the end */

void posta__amqp_on_consumer_done(struct posta__amqp *amqp)
{
	if (amqp->consuming.phase < POSTA__AMQP_WAIT_CLOSE)
		posta__amqp_connection_finish(&amqp->consuming, FINISH_S);
}

void posta__amqp_on_closed(struct posta__amqp *amqp)
{
	if (!amqp->finishing || amqp->publishing.phase != POSTA__AMQP_CLOSED ||
	    amqp->consuming.phase != POSTA__AMQP_CLOSED)
		return;
	/* By the timer: whoever is on the stack still uses the state. */
	set_deadline(amqp, 0.);
}

static void finish(struct posta_bridge *bridge, void *state)
{
	(void)bridge;
	struct posta__amqp *amqp = state;

	amqp->finishing = true;
	set_deadline(amqp, amqp->up ? FINISH_S : 0.);
	if (!amqp->up)
		return;
	posta__amqp_connection_finish(&amqp->publishing, FINISH_S);
	posta__amqp_consumer_finish(amqp->consumer);
}

static void close_(struct posta_bridge *bridge, void *state)
{
	(void)bridge;
	struct posta__amqp *amqp = state;

	amqp->failed = true;
	if (amqp->loop)
		ev_timer_stop(amqp->loop, &amqp->deadline);
	posta__resolve_cancel(amqp->resolve);
	posta__amqp_connection_close(&amqp->publishing);
	posta__amqp_connection_close(&amqp->consuming);
	posta__amqp_publisher_free(amqp->publisher);
	posta__amqp_consumer_free(amqp->consumer);
	posta__tls_free(amqp->tls);
	if (amqp->addresses)
		freeaddrinfo(amqp->addresses);
	free(amqp->user);
	free(amqp->password);
	free(amqp->url);
}

/* -- questions */

/* They come by themselves: there is nothing to subscribe to. */
static void replies(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source)
{
	(void)source;
	strcpy(address, POSTA__AMQP_DIRECT_REPLY_TO);
}

static void reply_target(const char *address, struct posta_target *target)
{
	target->queue = address;
	target->passive = true;
}

/* -- ops */

static size_t publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch, size_t n)
{
	(void)bridge;
	return posta__amqp_publisher_take(((struct posta__amqp *)state)->publisher, batch, n);
}

static void flush(struct posta_bridge *bridge, void *state)
{
	(void)bridge;
	posta__amqp_publisher_pump(((struct posta__amqp *)state)->publisher);
}

static void subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
		      const struct posta_source *source)
{
	(void)bridge;
	posta__amqp_consumer_subscribe(((struct posta__amqp *)state)->consumer, subscription, source);
}

static void unsubscribe(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__amqp_consumer_unsubscribe(((struct posta__amqp *)state)->consumer, subscription);
}

static void settle(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		   enum posta_outcome outcome)
{
	(void)bridge;
	posta__amqp_consumer_settle(((struct posta__amqp *)state)->consumer, subscription, ids, n, outcome);
}

static void pause_(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__amqp_consumer_pause(((struct posta__amqp *)state)->consumer, subscription, true);
}

static void resume(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__amqp_consumer_pause(((struct posta__amqp *)state)->consumer, subscription, false);
}

static const char *const schemes[] = { "amqp", "amqps", NULL };

const struct posta_bridge_ops posta__amqp_ops = {
	.name = "amqp",
	.schemes = schemes,
	.capabilities = POSTA_CAN_PRIORITY | POSTA_CAN_QUEUES | POSTA_CAN_WILDCARDS | POSTA_CAN_REQUEUE |
			POSTA_CAN_HEADERS | POSTA_CAN_CREDIT | POSTA_CAN_DECLARE | POSTA_CAN_DELAY | POSTA_CAN_ASK,
	.state_size = sizeof(struct posta__amqp),
	.check = check,
	.check_target = check_target,
	.check_source = check_source,
	.connect = connect_,
	.publish = publish,
	.flush = flush,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.settle = settle,
	.pause = pause_,
	.resume = resume,
	.replies = replies,
	.reply_target = reply_target,
	.finish = finish,
	.close = close_,
};
