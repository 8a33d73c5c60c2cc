/* SPDX-License-Identifier: MIT */
/*
 * The bridge to Kafka: its ops table, connecting, errors, the end.
 *
 *   connect: producer ─▶ metadata from any broker (a helper thread) ─▶ up
 *   broken:  all connections are gone ─▶ metadata from any broker, within a second ─▶ up as before, or down
 *   finish:  reports awaited, offsets stored ─▶ consumers leave their groups (helper threads) ─▶ ended
 */
#include "bridges/kafka.h"

#include "bridges/names.h"

#include <posta/actor.h>
#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_S .2
#define TICK_FINISH_S .01
#define FINISH_S 5.
#define DOUBT_MS 1000
#define FIXED_SCRAM 0x020601ff

/* -- errors */

enum posta_err posta__kafka_code(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return POSTA_OK;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return POSTA_ETOOBIG;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return POSTA_EREFUSED;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		return POSTA_EAUTH;
	case RD_KAFKA_RESP_ERR__INVALID_ARG:
		return POSTA_EINVAL;
	case RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE:
		return POSTA_ENOMEM;
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
		return POSTA_ETIMEDOUT;
	default:
		return POSTA_ECONNECTION;
	}
}

void posta__kafka_fail(struct posta__kafka *kafka, enum posta_err code, const char *text)
{
	if (kafka->failed)
		return;
	kafka->failed = true;
	if (kafka->finishing)
		kafka->finish_by = 0; /* by the timer: whoever is on the stack still uses the state */
	else
		posta_bridge_down(kafka->bridge, code, "%s", text);
}

static bool wants_scram(const struct posta_bridge_options *options)
{
	for (const char *const *extra = options->extra; extra && extra[0]; extra += 2)
		if (strstr(extra[0], "mechanism") && extra[1] && strncmp(extra[1], "SCRAM", 5) == 0)
			return true;
	return false;
}

static void refused(struct posta__kafka *kafka, char words[POSTA_ERROR_TEXT_MAX])
{
	if (rd_kafka_version() < FIXED_SCRAM && wants_scram(posta_bridge_get_options(kafka->bridge))) {
		/* librdkafka sent its nonce twice, which brokers check since CVE-2024-56128. */
		char hint[POSTA_ERROR_TEXT_MAX];
		snprintf(hint, sizeof hint,
			 "%.120s (SCRAM of librdkafka %s is refused by brokers from 3.8.1 on: take 2.6.1, or PLAIN)",
			 words, rd_kafka_version_str());
		memcpy(words, hint, sizeof hint);
	}
	posta__kafka_fail(kafka, POSTA_EAUTH, words);
}

/*
 * The library connects again by itself, and then goes on where it was: nothing is published or delivered twice, and the
 * group need not share its partitions out anew. A member that left while it joined would hold that up until its session
 * expires. So only who finds no broker in time is down.
 */
static void doubt(struct posta__kafka *kafka, const char *words)
{
	if (kafka->doubted)
		return;
	if (!*kafka->last_error)
		snprintf(kafka->last_error, sizeof kafka->last_error, "%s", words);
	kafka->doubted = kafka->up && !kafka->finishing &&
			 !posta__kafka_client_probe(kafka->producer.client, DOUBT_MS);
	if (!kafka->doubted)
		posta__kafka_fail(kafka, POSTA_ECONNECTION, kafka->last_error);
}

void posta__kafka_on_error(struct posta__kafka *kafka, struct posta__kafka_client *client, rd_kafka_resp_err_t err,
			   const char *text)
{
	char words[POSTA_ERROR_TEXT_MAX];

	posta__kafka_words(text, words, sizeof words);
	posta__kafka_certificate_words(client, words);
	switch (err) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		refused(kafka, words);
		return;
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		doubt(kafka, words);
		return;
	case RD_KAFKA_RESP_ERR__FATAL:
		rd_kafka_fatal_error(client->rk, words, sizeof words);
		posta__kafka_fail(kafka, POSTA_EPROTOCOL, words);
		return;
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
		/* The only one there is: no need to wait until the library has counted them. */
		if (!kafka->up && !strchr(posta_bridge_url(kafka->bridge), ',')) {
			posta__kafka_fail(kafka, POSTA_ECONNECTION, words);
			return;
		}
		break;
	default:
		break;
	}
	/* One broker of several may come and go; its words are kept for when it was the last. */
	snprintf(kafka->last_error, sizeof kafka->last_error, "%s", words);
}

/* -- checks */

static enum posta_err check(const char *url, const struct posta_bridge_options *options, struct posta_error *error)
{
	static const enum posta__kafka_role roles[] = { POSTA__KAFKA_PRODUCER, POSTA__KAFKA_CONSUMER };
	struct posta_error own = { 0 };

	error = error ? error : &own;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		rd_kafka_conf_t *conf = posta__kafka_conf(url, options, roles[i], error);
		if (!conf)
			return error->code ? error->code : POSTA_EINVAL;
		rd_kafka_conf_destroy(conf);
	}
	return POSTA_OK;
}

static enum posta_err unusable(const char *field, struct posta_error *error)
{
	return posta_error_set(error, POSTA_EINVAL, "kafka has no use for %s; it takes a topic", field);
}

static enum posta_err check_target(const struct posta_target *target, struct posta_error *error)
{
	if (target->queue || target->exchange || target->routing_key)
		return unusable(target->queue ? "queue" : target->exchange ? "exchange" : "routing_key", error);
	if (target->retain || target->qos > 0 || target->queue_priority_max)
		return unusable(target->retain ? "retain" : target->qos > 0 ? "qos" : "queue_priority_max", error);
	if (!target->topic)
		return posta_error_set(error, POSTA_EINVAL, "kafka: a target needs a topic");
	return posta__name_check(POSTA__NAME_KAFKA, target->topic, error);
}

static enum posta_err check_topics(const char *topics, struct posta_error *error)
{
	enum posta_err err = POSTA_OK;
	char *copy = strdup(topics), *rest = copy;

	if (!copy)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory");
	for (char *name; !err && (name = strsep(&rest, ","));)
		err = posta__name_check(POSTA__NAME_KAFKA, name, error);
	free(copy);
	return err;
}

static enum posta_err check_source(const struct posta_source *source, struct posta_error *error)
{
	if (source->queue || source->exchange || source->routing_key)
		return unusable(source->queue ? "queue" : source->exchange ? "exchange" : "routing_key", error);
	if (source->filter || source->share || source->qos > 0)
		return unusable(source->filter  ? "filter (a pattern is a topic that begins with ^)"
				: source->share ? "share (that is a group here)"
						: "qos",
				error);
	if (!source->topic)
		return posta_error_set(error, POSTA_EINVAL,
				       "kafka: a source needs a topic: a name, \"a,b\" or \"^pattern\"");
	if (source->group && !*source->group)
		return posta_error_set(error, POSTA_EINVAL,
				       "kafka: the group is empty; leave it out for one of its own");
	if (source->member && (!*source->member || !source->group))
		return posta_error_set(error, POSTA_EINVAL, "kafka: a static member needs a name and a group");
	return *source->topic == '^' ? POSTA_OK : check_topics(source->topic, error);
}

/* -- life */

static void watchdog(struct posta__kafka *kafka)
{
	const struct posta__kafka_producer *producer = &kafka->producer;
	double patience_s = 3 * posta_bridge_get_options(kafka->bridge)->heartbeat_ms / 1000.;

	if (producer->in_flight && ev_now(kafka->loop) - producer->progress_at > patience_s)
		posta__kafka_fail(kafka, POSTA_ETIMEDOUT, "publications are in flight, but the broker confirms none");
}

static bool all_done(const struct posta__kafka *kafka)
{
	if (ev_now(kafka->loop) >= kafka->finish_by)
		return true;
	for (uint32_t i = 0; i < kafka->leaving_count; i++)
		/* PAIRS with the release of the helper thread. */
		if (!atomic_load_explicit(&kafka->leaving[i]->closed, memory_order_acquire))
			return false;
	return !kafka->producer.in_flight;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__kafka *kafka = timer->data;

	(void)events;
	if (kafka->finishing) {
		if (!kafka->ended && all_done(kafka)) {
			kafka->ended = true;
			ev_timer_stop(loop, &kafka->tick);
			posta_bridge_ended(kafka->bridge);
		}
		return;
	}
	for (struct posta__kafka_consumer *at = kafka->consumers, *next; at && !kafka->failed; at = next) {
		next = at->next;
		posta__kafka_consumer_tick(at);
	}
	if (!kafka->failed && posta__kafka_topics_due(kafka))
		posta_bridge_writable(kafka->bridge);
	if (!kafka->failed)
		watchdog(kafka);
}

static void set_tick(struct posta__kafka *kafka, double every_s)
{
	kafka->tick.repeat = every_s;
	ev_timer_again(kafka->loop, &kafka->tick);
}

/* What whoever runs it should know before it fails. */
static void warn(const struct posta__kafka *kafka)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(kafka->bridge);
	struct posta_system *system = posta_system_of(posta_bridge_actor(kafka->bridge));

	if (options->tls.insecure)
		posta_log(system, POSTA_LOG_WARNING, "bridge.insecure",
			  "name=%s the broker's certificate is not verified", posta_bridge_name(kafka->bridge));
	if (wants_scram(options) && rd_kafka_version() < FIXED_SCRAM)
		posta_log(system, POSTA_LOG_WARNING, "bridge.scram",
			  "name=%s SCRAM of librdkafka %s is refused by brokers from 3.8.1 on: take 2.6.1, or PLAIN",
			  posta_bridge_name(kafka->bridge), rd_kafka_version_str());
}

static enum posta_err connect_(struct posta_bridge *bridge, void *state, struct posta_error *error)
{
	struct posta__kafka *kafka = state;
	struct posta_error own = { 0 };

	kafka->bridge = bridge;
	kafka->loop = posta_bridge_loop(bridge);
	ev_init(&kafka->tick, on_tick);
	kafka->tick.data = kafka;
	set_tick(kafka, TICK_S);
	warn(kafka);
	return posta__kafka_producer_open(&kafka->producer, kafka, error ? error : &own);
}

/* No memory to wait for it: it leaves all the same. */
static void keep_leaving(struct posta__kafka *kafka, struct posta__kafka_client *client)
{
	if (kafka->leaving_count == kafka->leaving_room) {
		uint32_t room = kafka->leaving_room ? kafka->leaving_room * 2 : 8;
		struct posta__kafka_client **bigger = realloc(kafka->leaving, room * sizeof *bigger);
		if (!bigger)
			return;
		kafka->leaving = bigger;
		kafka->leaving_room = room;
	}
	kafka->leaving[kafka->leaving_count++] = posta__kafka_client_ref(client);
}

static void finish(struct posta_bridge *bridge, void *state)
{
	struct posta__kafka *kafka = state;

	(void)bridge;
	kafka->finishing = true;
	kafka->finish_by = kafka->up ? ev_now(kafka->loop) + FINISH_S : 0;
	while (kafka->consumers) {
		keep_leaving(kafka, kafka->consumers->client);
		posta__kafka_consumer_close(kafka->consumers);
	}
	set_tick(kafka, TICK_FINISH_S);
}

static void close_(struct posta_bridge *bridge, void *state)
{
	struct posta__kafka *kafka = state;

	(void)bridge;
	kafka->failed = true;
	if (!kafka->loop)
		return;
	ev_timer_stop(kafka->loop, &kafka->tick);
	while (kafka->consumers)
		posta__kafka_consumer_close(kafka->consumers);
	posta__kafka_producer_close(&kafka->producer);
	posta__kafka_transaction_fini(&kafka->transaction);
	posta__kafka_topics_fini(&kafka->topics);
	for (uint32_t i = 0; i < kafka->leaving_count; i++)
		posta__kafka_client_unref(kafka->leaving[i]);
	free(kafka->leaving);
}

/* -- ops */

static size_t publish(struct posta_bridge *bridge, void *state, const struct posta_publication *const *batch, size_t n)
{
	(void)bridge;
	return posta__kafka_producer_take(&((struct posta__kafka *)state)->producer, batch, n);
}

static void subscribe(struct posta_bridge *bridge, void *state, uint32_t subscription,
		      const struct posta_source *source)
{
	(void)bridge;
	posta__kafka_consumer_open(state, subscription, source);
}

static void unsubscribe(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	struct posta__kafka_consumer *consumer = posta__kafka_consumer_find(state, subscription);

	(void)bridge;
	if (consumer)
		posta__kafka_consumer_close(consumer);
}

static void settle(struct posta_bridge *bridge, void *state, uint32_t subscription, const uint64_t *ids, size_t n,
		   enum posta_outcome outcome)
{
	struct posta__kafka_consumer *consumer = posta__kafka_consumer_find(state, subscription);

	(void)bridge;
	if (consumer)
		posta__kafka_consumer_settle(consumer, ids, n, outcome);
}

static void pause_(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	struct posta__kafka_consumer *consumer = posta__kafka_consumer_find(state, subscription);

	(void)bridge;
	if (consumer)
		posta__kafka_consumer_pause(consumer, true);
}

static void resume(struct posta_bridge *bridge, void *state, uint32_t subscription)
{
	struct posta__kafka_consumer *consumer = posta__kafka_consumer_find(state, subscription);

	(void)bridge;
	if (consumer)
		posta__kafka_consumer_pause(consumer, false);
}

static void seek(struct posta_bridge *bridge, void *state, uint32_t subscription, struct posta_position position)
{
	struct posta__kafka_consumer *consumer = posta__kafka_consumer_find(state, subscription);

	(void)bridge;
	if (consumer)
		posta__kafka_position_seek(consumer, position);
}

static const char *const schemes[] = { "kafka", "kafkas", NULL };

const struct posta_bridge_ops posta__kafka_ops = {
	.name = "kafka",
	.schemes = schemes,
	.capabilities = POSTA_CAN_GROUPS | POSTA_CAN_WILDCARDS | POSTA_CAN_REQUEUE | POSTA_CAN_HEADERS |
			POSTA_CAN_REPLAY | POSTA_CAN_KEY_ORDER | POSTA_CAN_CREDIT,
	.state_size = sizeof(struct posta__kafka),
	.check = check,
	.check_target = check_target,
	.check_source = check_source,
	.connect = connect_,
	.publish = publish,
	.subscribe = subscribe,
	.unsubscribe = unsubscribe,
	.settle = settle,
	.pause = pause_,
	.resume = resume,
	.seek = seek,
	.finish = finish,
	.close = close_,
};
