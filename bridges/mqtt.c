/* SPDX-License-Identifier: MIT */
#include "bridges/hosts.h"
#include "bridges/mqtt.h"

#include <stdlib.h>
#include <string.h>

/* -- The state */

void posta__mqtt_fail(struct posta__mqtt *mqtt, enum posta_err code, const char *text)
{
	if (mqtt->failed)
		return;
	mqtt->failed = true;
	ev_timer_stop(mqtt->loop, &mqtt->resolving);
	posta__mqtt_client_stop(&mqtt->publisher.client);
	posta__mqtt_consumers_stop(mqtt);
	if (mqtt->finishing)
		posta__mqtt_on_gone(mqtt);
	else
		posta_bridge_down(mqtt->bridge, code, "%s", text);
}

void posta__mqtt_on_gone(struct posta__mqtt *mqtt)
{
	bool all =
		mqtt->failed || (mqtt->publisher.client.phase == POSTA__MQTT_OVER && posta__mqtt_consumers_gone(mqtt));

	if (!all || mqtt->ended || !mqtt->finishing)
		return;
	mqtt->ended = true;
	posta_bridge_ended(mqtt->bridge);
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	posta__mqtt_consumers_sweep(timer->data);
}

void posta__mqtt_sweep_soon(struct posta__mqtt *mqtt)
{
	if (ev_is_active(&mqtt->sweep))
		return;
	ev_timer_set(&mqtt->sweep, 0., 0.);
	ev_timer_start(mqtt->loop, &mqtt->sweep);
}

/* -- Connecting */

static void on_resolved(void *context, struct addrinfo *addresses, const char *text)
{
	struct posta__mqtt *mqtt = context;

	mqtt->resolve = NULL;
	mqtt->addresses = addresses;
	ev_timer_stop(mqtt->loop, &mqtt->resolving);
	if (addresses)
		posta__mqtt_client_start(&mqtt->publisher.client, addresses);
	else
		posta__mqtt_fail(mqtt, POSTA_ECONNECTION, text);
}

static void on_resolving_too_long(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	posta__mqtt_fail(timer->data, POSTA_ETIMEDOUT, "the name of the broker's host could not be resolved in time");
}

static enum posta_err start_tls(struct posta__mqtt *mqtt, struct posta_error *error)
{
	if (!mqtt->settings.tls)
		return POSTA_OK;
	mqtt->tls = posta__mqtt_tls_new(&posta_bridge_get_options(mqtt->bridge)->tls, mqtt->settings.host, error);
	return mqtt->tls ? POSTA_OK : error->code;
}

static enum posta_err choose_host(struct posta__mqtt *mqtt, struct posta_error *error)
{
	char *url = posta__url_of_host(posta_bridge_url(mqtt->bridge), posta_bridge_attempt(mqtt->bridge));
	enum posta_err err;

	if (!url)
		return posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for the URL");
	err = posta__mqtt_settings_init(&mqtt->settings, url, posta_bridge_get_options(mqtt->bridge), error);
	explicit_bzero(url, strlen(url));
	free(url);
	return err;
}

static enum posta_err op_connect(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(bridge);
	struct posta__mqtt *mqtt = state;
	struct posta_error local = { 0 };
	enum posta_err err;

	if (!error)
		error = &local;
	mqtt->bridge = bridge;
	mqtt->loop = posta_bridge_loop(bridge);
	mqtt->forget = !options->client_id || options->clean_session;
	ev_timer_init(&mqtt->sweep, on_sweep, 0., 0.);
	ev_timer_init(&mqtt->resolving, on_resolving_too_long, options->connect_timeout_ms / 1000., 0.);
	mqtt->sweep.data = mqtt->resolving.data = mqtt;
	err = choose_host(mqtt, error);
	if (!err)
		err = start_tls(mqtt, error);
	if (!err)
		err = posta__mqtt_publisher_init(&mqtt->publisher, mqtt, error);
	if (!err)
		err = posta__resolve_start(mqtt->loop, mqtt->settings.host, mqtt->settings.port, on_resolved, mqtt,
					   &mqtt->resolve, error);
	if (!err)
		ev_timer_start(mqtt->loop, &mqtt->resolving);
	return err;
}

static void op_finish(struct posta_bridge *bridge, void *state)
{
	struct posta__mqtt *mqtt = state;

	(void)bridge;
	mqtt->finishing = true;
	posta__resolve_cancel(mqtt->resolve);
	mqtt->resolve = NULL;
	ev_timer_stop(mqtt->loop, &mqtt->resolving);
	posta__mqtt_consumers_finish(mqtt);
	posta__mqtt_client_leave(&mqtt->publisher.client, false);
	posta__mqtt_on_gone(mqtt);
}

static void op_close(struct posta_bridge *bridge, void *state)
{
	struct posta__mqtt *mqtt = state;

	(void)bridge;
	posta__resolve_cancel(mqtt->resolve);
	ev_timer_stop(mqtt->loop, &mqtt->resolving);
	ev_timer_stop(mqtt->loop, &mqtt->sweep);
	posta__mqtt_consumers_free(mqtt);
	posta__mqtt_publisher_fini(&mqtt->publisher);
	posta__tls_free(mqtt->tls);
	if (mqtt->addresses)
		freeaddrinfo(mqtt->addresses);
	posta__mqtt_settings_fini(&mqtt->settings);
}

/* -- Publishing and consuming */

static size_t op_publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch,
			 size_t n)
{
	struct posta__mqtt *mqtt = state;

	(void)bridge;
	return posta__mqtt_publisher_take(&mqtt->publisher, batch, n);
}

static void op_flush(struct posta_bridge *bridge, void *state)
{
	struct posta__mqtt *mqtt = state;

	(void)bridge;
	posta__mqtt_client_update(&mqtt->publisher.client);
}

static void op_subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
			 const struct posta_source *source)
{
	(void)bridge;
	posta__mqtt_subscribe(state, subscription, source);
}

static void op_unsubscribe(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__mqtt_unsubscribe(state, subscription);
}

static void op_settle(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		      enum posta_outcome outcome)
{
	(void)bridge;
	posta__mqtt_settle(state, subscription, ids, n, outcome);
}

static void op_pause(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__mqtt_pause(state, subscription, true);
}

static void op_resume(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	(void)bridge;
	posta__mqtt_pause(state, subscription, false);
}

/* -- Checks */

static enum posta_err check_one(const char *url, const struct posta_bridge_options *options, struct posta_error *error)
{
	struct posta__mqtt_settings settings;
	enum posta_err err = posta__mqtt_settings_init(&settings, url, options, error);

	if (!err && settings.tls) {
		struct posta__tls *tls = posta__mqtt_tls_new(&options->tls, settings.host, error);

		err = tls ? POSTA_OK : POSTA_EINVAL;
		posta__tls_free(tls);
	}
	if (!err)
		posta__mqtt_settings_fini(&settings);
	return err;
}

static enum posta_err op_check(const char *url, const struct posta_bridge_options *options, struct posta_error *error)
{
	uint32_t hosts = posta__url_hosts(url);
	enum posta_err err = hosts ? POSTA_OK : posta_error_set(error, POSTA_EINVAL, "mqtt: one of the hosts is empty");

	for (uint32_t n = 0; !err && n < hosts; n++) {
		char *one = posta__url_of_host(url, n);

		err = one ? check_one(one, options, error)
			  : posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for the URL");
		free(one);
	}
	return err;
}

static enum posta_err useless(struct posta_error *error, const char *field, const char *instead)
{
	return posta_error_set(error, POSTA_EUNSUPPORTED, "mqtt: %s means nothing here: use %s", field, instead);
}

static enum posta_err op_check_target(const struct posta_target *target, struct posta_error *error)
{
	if (target->queue || target->queue_priority_max || target->passive)
		return useless(error, "queue", "topic");
	if (target->exchange || target->routing_key)
		return useless(error, "exchange", "topic");
	if (!target->topic || !*target->topic || mosquitto_pub_topic_check(target->topic) ||
	    mosquitto_validate_utf8(target->topic, (int)strlen(target->topic)))
		return posta_error_set(error, POSTA_EINVAL,
				       "mqtt: a target needs a topic of 1 to 65,535 bytes of UTF-8 without + and #");
	if (target->qos < -1 || target->qos > 2)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: qos must be 0, 1 or 2 (or -1, which is 1)");
	return POSTA_OK;
}

static enum posta_err check_share(const char *share, struct posta_error *error)
{
	if (share && (!*share || strpbrk(share, "/+#") || mosquitto_validate_utf8(share, (int)strlen(share))))
		return posta_error_set(error, POSTA_EINVAL, "mqtt: share must be a name without /, + and #");
	return POSTA_OK;
}

static enum posta_err op_check_source(const struct posta_source *source, struct posta_error *error)
{
	if (source->topic)
		return useless(error, "topic", "filter");
	if (source->group)
		return useless(error, "group", "share");
	if (source->queue || source->exchange || source->routing_key || source->queue_priority_max || source->passive)
		return useless(error, "queue", "filter");
	if (source->from_latest)
		return useless(error, "from_latest", "clean_session of the bridge");
	if (!source->filter || !*source->filter || strlen(source->filter) > 65000 ||
	    mosquitto_sub_topic_check(source->filter) ||
	    mosquitto_validate_utf8(source->filter, (int)strlen(source->filter)))
		return posta_error_set(
			error, POSTA_EINVAL,
			"mqtt: a source needs a filter: UTF-8, + alone between slashes, # alone at the end");
	if (source->qos < -1 || source->qos > 2)
		return posta_error_set(error, POSTA_EINVAL, "mqtt: qos must be 0, 1 or 2 (or -1, which is 1)");
	return check_share(source->share, error);
}

/* A topic of its own for each client: MQTT knows no queues. */
static void op_replies(char address[POSTA_REPLY_ADDRESS_SIZE], struct posta_source *source)
{
	memcpy(address, "posta/reply/", strlen("posta.reply."));
	source->filter = address;
}

static const char *const schemes[] = { "mqtt", "mqtts", NULL };

const struct posta_bridge_ops posta__mqtt_ops = {
	.name = "mqtt",
	.schemes = schemes,
	.capabilities =
		POSTA_CAN_WILDCARDS | POSTA_CAN_RETAIN | POSTA_CAN_REQUEUE | POSTA_CAN_HEADERS | POSTA_CAN_CREDIT |
		POSTA_CAN_ASK,
	.state_size = sizeof(struct posta__mqtt),
	.check = op_check,
	.check_target = op_check_target,
	.check_source = op_check_source,
	.connect = op_connect,
	.publish = op_publish,
	.flush = op_flush,
	.subscribe = op_subscribe,
	.unsubscribe = op_unsubscribe,
	.settle = op_settle,
	.pause = op_pause,
	.resume = op_resume,
	.replies = op_replies,
	.finish = op_finish,
	.close = op_close,
};
