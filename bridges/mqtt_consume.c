/* SPDX-License-Identifier: MIT */
/*
 * A subscription: a connection and a session of its own.
 *
 * libmosquitto queues the acknowledgement of a message before it shows us the message. What is queued leaves with the
 * next write, all of it. So while any message is not settled, nothing is written on this connection ("withheld"); at
 * the moment when all are settled, all acknowledgements go in one write. If the process is killed before that write,
 * the broker has no acknowledgement and sends the whole batch again.
 *
 * In a steady flow there might always be something unsettled, so a batch has a bound: when it is as large as the
 * credit nothing more is read ("deaf") until it is settled. MQTT 5 also tells the broker, as Receive Maximum; Mosquitto
 * adds a bound of its own (max_inflight_messages, 20 unless configured).
 *
 * Withheld means: also no PINGREQ. The broker gives up a client that is silent for 1.5 keepalives, so the keepalive
 * of this connection is long (3,600 s; option consumer_keepalive, and a broker of MQTT 5 may set a lower one). That
 * is how long the settlement of a batch may take; then the broker closes the connection, a new one is made, and the
 * batch comes again. A dead broker is noticed by the publishing connection, and by TCP's own keepalive on this one.
 *
 * REQUEUE brings a message again from memory, a little later: MQTT has no "give it back". It stays unsettled
 * meanwhile.
 *
 * The end, by unsubscribe() or finish(): when all is settled, acknowledgements and UNSUBSCRIBE are written; when
 * that is answered the acknowledgements have arrived, and DISCONNECT follows. A message that comes in between is
 * "given back": from then on nothing is written, and the connection is just closed. On finish() the session and its
 * subscription stay (the UNSUBSCRIBE names a filter that does not exist), unless the client id was random.
 */
#include "bridges/mqtt.h"

#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT_DEFAULT 1024u
#define REQUEUE_DELAY_S 0.05

struct posta__mqtt_consumer {
	struct posta__mqtt_client client;
	struct posta__mqtt_consumer *next;
	struct posta__mqtt *mqtt;
	uint32_t subscription;
	uint32_t credit;
	int qos;
	struct posta__mqtt_slots slots;   /* of what is not settled */
	uint32_t batch;                   /* messages since the last write */
	uint32_t again_first, again_last; /* to be delivered again, in order */
	ev_timer again;
	int leave_mid;
	bool paused;
	bool subscribed; /* SUBACK came */
	bool leaving;    /* no more deliveries */
	bool forget;     /* with its session */
	bool given_back; /* an acknowledgement waits that must never be written */
	bool over;
	uint32_t base; /* hash of filter and share */
	uint32_t ordinal;
	char filter[];
};

static struct posta_system *system_of(const struct posta__mqtt_consumer *consumer)
{
	return posta_system_of(posta_bridge_actor(consumer->mqtt->bridge));
}

/* -- What may be read and written now */

static void end(struct posta__mqtt_consumer *consumer)
{
	if (consumer->over)
		return;
	consumer->over = true;
	posta__mqtt_client_stop(&consumer->client);
	ev_timer_stop(consumer->mqtt->loop, &consumer->again);
	posta__mqtt_sweep_soon(consumer->mqtt);
	if (consumer->mqtt->finishing)
		posta__mqtt_on_gone(consumer->mqtt);
}

/* All is settled, or never will be. */
static void leave(struct posta__mqtt_consumer *consumer)
{
	if (consumer->given_back || consumer->client.phase != POSTA__MQTT_UP)
		end(consumer);
	else if (!consumer->leave_mid)
		consumer->leave_mid = posta__mqtt_client_unsubscribe(
			&consumer->client, consumer->forget ? consumer->filter : POSTA__MQTT_PROBE);
}

/* SUBACK comes behind what a resumed session brings, which the broker's window bounds: until then all is read. */
static bool must_not_read(const struct posta__mqtt_consumer *consumer)
{
	if (consumer->leaving)
		return consumer->slots.used;
	return consumer->subscribed && (consumer->paused || consumer->batch >= consumer->credit);
}

static void refresh(struct posta__mqtt_consumer *consumer)
{
	struct posta__mqtt_client *client = &consumer->client;

	if (client->inside || consumer->over)
		return;
	if (consumer->leaving && !consumer->slots.used && client->phase != POSTA__MQTT_LEAVING)
		leave(consumer);
	if (consumer->over || client->phase == POSTA__MQTT_LEAVING)
		return;
	client->withheld = consumer->slots.used || consumer->given_back;
	if (!client->withheld)
		consumer->batch = 0;
	client->deaf = must_not_read(consumer);
}

static void update(struct posta__mqtt_consumer *consumer)
{
	refresh(consumer);
	posta__mqtt_client_update(&consumer->client);
}

/* -- Deliveries */

static void deliver(struct posta__mqtt_consumer *consumer, const struct posta__mqtt_slot *slot, bool redelivered)
{
	struct posta_envelope *envelope = posta_envelope_ref(slot->envelope);

	bool more =
		posta_bridge_deliver(consumer->mqtt->bridge, consumer->subscription, envelope, slot->id, redelivered);

	if (consumer->subscribed && (!more || consumer->batch >= consumer->credit))
		consumer->client.deaf = true;
}

/* One that can never be delivered is acknowledged, or the broker would send it for ever. */
static void drop(struct posta__mqtt_consumer *consumer, const struct mosquitto_message *message, const char *why)
{
	posta_log(system_of(consumer), POSTA_LOG_WARNING, "mqtt.dropped",
		  "bridge=%s topic=\"%.128s\" bytes=%d why=\"%s\"", posta_bridge_name(consumer->mqtt->bridge),
		  message->topic, message->payloadlen, why);
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties,
		       bool duplicate)
{
	struct posta__mqtt_consumer *consumer = context;
	struct posta_envelope *envelope = NULL;
	struct posta__mqtt_slot *slot;
	enum posta_err err;

	if (consumer->leaving) {
		consumer->given_back |= message->qos > 0;
		consumer->client.withheld |= consumer->given_back;
		return;
	}
	consumer->client.withheld = true;
	consumer->batch++;
	if ((uint32_t)message->payloadlen > posta_bridge_get_options(consumer->mqtt->bridge)->message_bytes_max) {
		drop(consumer, message, "larger than message_bytes_max");
		return;
	}
	err = posta__mqtt_decode(message, properties, consumer->mqtt->settings.mqtt5, &envelope);
	if (err == POSTA_ETOOBIG) {
		drop(consumer, message, "more headers than an envelope holds");
		return;
	}
	slot = err ? NULL : posta__mqtt_slot_take(&consumer->slots, envelope);
	if (!slot) {
		posta_envelope_unref(envelope);
		consumer->given_back = true;
		posta__mqtt_fail(consumer->mqtt, POSTA_ENOMEM, "no memory for a delivery; it will come again");
		return;
	}
	deliver(consumer, slot, duplicate);
}

static void deliver_again(struct posta__mqtt_consumer *consumer)
{
	uint32_t index = consumer->again_first;

	/* Those that come back meanwhile wait for the next time. */
	consumer->again_first = consumer->again_last = POSTA__MQTT_NO_SLOT;
	while (index != POSTA__MQTT_NO_SLOT && !consumer->over) {
		struct posta__mqtt_slot *slot = &consumer->slots.all[index];

		index = slot->next;
		slot->next = POSTA__MQTT_NO_SLOT;
		posta__mqtt_slot_renew(&consumer->slots, slot);
		deliver(consumer, slot, true);
	}
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__mqtt_consumer *consumer = timer->data;

	(void)loop;
	(void)events;
	if (!consumer->paused && !consumer->leaving)
		deliver_again(consumer);
	update(consumer);
}

static void requeue(struct posta__mqtt_consumer *consumer, struct posta__mqtt_slot *slot)
{
	uint32_t index = (uint32_t)(slot - consumer->slots.all);

	if (consumer->leaving) {
		consumer->given_back = true;
		posta__mqtt_slot_release(&consumer->slots, slot);
		return;
	}
	slot->id = POSTA__MQTT_NOBODYS_ID;
	slot->next = POSTA__MQTT_NO_SLOT;
	if (consumer->again_first == POSTA__MQTT_NO_SLOT)
		consumer->again_first = index;
	else
		consumer->slots.all[consumer->again_last].next = index;
	consumer->again_last = index;
	if (!ev_is_active(&consumer->again)) {
		ev_timer_set(&consumer->again, REQUEUE_DELAY_S, 0.);
		ev_timer_start(consumer->mqtt->loop, &consumer->again);
	}
}

/* -- What the client says */

static void on_connected(void *context, const mosquitto_property *properties)
{
	struct posta__mqtt_consumer *consumer = context;
	int rc;

	(void)properties;
	if (consumer->leaving)
		return;
	rc = mosquitto_subscribe(consumer->client.mosq, NULL, consumer->filter, consumer->qos);
	/* SUBSCRIBE is written before the first message can withhold it. */
	consumer->client.deaf = true;
	if (rc)
		posta__mqtt_fail(consumer->mqtt, rc == MOSQ_ERR_NOMEM ? POSTA_ENOMEM : POSTA_EINVAL,
				 mosquitto_strerror(rc));
}

static void refuse(struct posta__mqtt_consumer *consumer, enum posta_err code, const char *text)
{
	bool leaving = consumer->leaving;

	end(consumer);
	if (!leaving)
		posta_bridge_subscribed(consumer->mqtt->bridge, consumer->subscription, code, text);
}

static void on_failed(void *context, enum posta_err code, const char *text)
{
	struct posta__mqtt_consumer *consumer = context;

	if (consumer->leaving)
		end(consumer);
	else if (consumer->client.refusal == POSTA_EAUTH || consumer->client.refusal == POSTA_EREFUSED)
		refuse(consumer, code, text);
	else
		posta__mqtt_fail(consumer->mqtt, code, text);
}

static void on_closed(void *context)
{
	end(context);
}

static void on_subscribed(void *context, int reason, const mosquitto_property *properties)
{
	struct posta__mqtt_consumer *consumer = context;
	char text[POSTA_ERROR_TEXT_MAX];

	if (consumer->leaving)
		return;
	if (reason >= 0x80) {
		posta__mqtt_reason(reason, properties, text, sizeof text);
		refuse(consumer, reason == MQTT_RC_NOT_AUTHORIZED ? POSTA_EAUTH : POSTA_EREFUSED, text);
		return;
	}
	if (reason < consumer->qos)
		posta_log(system_of(consumer), POSTA_LOG_WARNING, "mqtt.qos",
			  "bridge=%s filter=\"%.128s\" asked=%d granted=%d", posta_bridge_name(consumer->mqtt->bridge),
			  consumer->filter, consumer->qos, reason);
	consumer->subscribed = true;
	posta_bridge_subscribed(consumer->mqtt->bridge, consumer->subscription, POSTA_OK, NULL);
}

static void on_unsubscribed(void *context, int mid)
{
	struct posta__mqtt_consumer *consumer = context;

	if (!consumer->leave_mid || mid != consumer->leave_mid)
		return;
	if (consumer->given_back)
		end(consumer);
	else
		posta__mqtt_client_leave(&consumer->client, consumer->forget);
}

static void on_passed(void *context)
{
	refresh(context);
}

static const struct posta__mqtt_client_ops client_ops = {
	.connected = on_connected,
	.failed = on_failed,
	.closed = on_closed,
	.message = on_message,
	.subscribed = on_subscribed,
	.unsubscribed = on_unsubscribed,
	.passed = on_passed,
};

/* -- Subscriptions */

static struct posta__mqtt_consumer *find(const struct posta__mqtt *mqtt, uint32_t subscription)
{
	struct posta__mqtt_consumer *consumer = mqtt->consumers;

	while (consumer && (consumer->over || consumer->subscription != subscription))
		consumer = consumer->next;
	return consumer;
}

/* FNV-1a, 32 bits. */
static uint32_t hash(const char *text)
{
	uint32_t value = 2166136261u;

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * 16777619u;
	return value;
}

/* The lowest that no other connection to this filter has, so that the next run finds the same ones. */
static uint32_t free_ordinal(const struct posta__mqtt *mqtt, uint32_t base)
{
	uint32_t ordinal = 0;
	bool taken = true;

	while (taken) {
		taken = false;
		for (const struct posta__mqtt_consumer *other = mqtt->consumers; other && !taken; other = other->next)
			taken = !other->over && other->base == base && other->ordinal == ordinal;
		ordinal += taken;
	}
	return ordinal;
}

static void make_id(const struct posta__mqtt_consumer *consumer, char *out, size_t size)
{
	int n = snprintf(out, size, "%.100s-sub-%08x", posta_bridge_client_id(consumer->mqtt->bridge), consumer->base);

	if (consumer->ordinal)
		snprintf(out + n, size - (size_t)n, "-%u", consumer->ordinal);
}

static struct posta__mqtt_consumer *make(struct posta__mqtt *mqtt, uint32_t subscription,
					 const struct posta_source *source)
{
	size_t share_len = source->share ? strlen(source->share) + 8 : 0;
	size_t size = share_len + strlen(source->filter) + 1;
	struct posta__mqtt_consumer *consumer = calloc(1, sizeof *consumer + size);

	if (!consumer)
		return NULL;
	if (source->share)
		snprintf(consumer->filter, size, "$share/%s/%s", source->share, source->filter);
	else
		snprintf(consumer->filter, size, "%s", source->filter);
	consumer->mqtt = mqtt;
	consumer->subscription = subscription;
	consumer->credit = source->credit ? source->credit : CREDIT_DEFAULT;
	if (consumer->credit > POSTA__MQTT_SLOTS_MAX - 1)
		consumer->credit = POSTA__MQTT_SLOTS_MAX - 1;
	consumer->qos = source->qos == 0 ? 0 : 1;
	consumer->slots.free = consumer->again_first = consumer->again_last = POSTA__MQTT_NO_SLOT;
	consumer->base = hash(consumer->filter);
	consumer->ordinal = free_ordinal(mqtt, consumer->base);
	ev_timer_init(&consumer->again, on_again, REQUEUE_DELAY_S, 0.);
	consumer->again.data = consumer;
	return consumer;
}

static enum posta_err open_client(struct posta__mqtt_consumer *consumer, struct posta_error *error)
{
	const struct posta__mqtt *mqtt = consumer->mqtt;
	char id[160];

	make_id(consumer, id, sizeof id);
	consumer->client.ops = &client_ops;
	consumer->client.context = consumer;
	consumer->client.mqtt = consumer->mqtt;
	return posta__mqtt_client_init(&consumer->client,
				       &(struct posta__mqtt_client_options){
					       .id = id,
					       .clean = posta_bridge_get_options(mqtt->bridge)->clean_session,
					       .keepalive_s = (int)mqtt->settings.consumer_keepalive_s,
					       .receive_max = consumer->credit,
				       },
				       error);
}

void posta__mqtt_subscribe(struct posta__mqtt *mqtt, uint32_t subscription, const struct posta_source *source)
{
	struct posta__mqtt_consumer *consumer = make(mqtt, subscription, source);
	struct posta_error error = { 0 };

	if (!consumer) {
		posta_bridge_subscribed(mqtt->bridge, subscription, POSTA_ENOMEM, "out of memory");
		return;
	}
	consumer->next = mqtt->consumers;
	mqtt->consumers = consumer;
	if (source->qos == 2)
		posta_log(system_of(consumer), POSTA_LOG_WARNING, "mqtt.qos",
			  "bridge=%s filter=\"%.128s\" asked=2 granted=1 why=\"QoS 2 is lost with the process, QoS 1 "
			  "not\"",
			  posta_bridge_name(mqtt->bridge), consumer->filter);
	if (open_client(consumer, &error)) {
		refuse(consumer, error.code, error.text);
		return;
	}
	posta__mqtt_client_start(&consumer->client, mqtt->addresses);
}

void posta__mqtt_unsubscribe(struct posta__mqtt *mqtt, uint32_t subscription)
{
	struct posta__mqtt_consumer *consumer = find(mqtt, subscription);

	if (!consumer || consumer->leaving)
		return;
	consumer->leaving = true;
	consumer->forget = true;
	/* Those that wait for being delivered again have nobody to settle them. */
	while (consumer->again_first != POSTA__MQTT_NO_SLOT) {
		struct posta__mqtt_slot *slot = &consumer->slots.all[consumer->again_first];

		consumer->again_first = slot->next;
		requeue(consumer, slot);
	}
	update(consumer);
}

void posta__mqtt_settle(struct posta__mqtt *mqtt, uint32_t subscription, const uint64_t *ids, size_t n,
			enum posta_outcome outcome)
{
	struct posta__mqtt_consumer *consumer = find(mqtt, subscription);

	if (!consumer)
		return;
	for (size_t i = 0; i < n; i++) {
		struct posta__mqtt_slot *slot = posta__mqtt_slot_find(&consumer->slots, ids[i]);

		if (slot && outcome == POSTA_REQUEUE)
			requeue(consumer, slot);
		else if (slot)
			posta__mqtt_slot_release(&consumer->slots, slot);
	}
	if (!consumer->slots.used)
		update(consumer);
}

void posta__mqtt_pause(struct posta__mqtt *mqtt, uint32_t subscription, bool paused)
{
	struct posta__mqtt_consumer *consumer = find(mqtt, subscription);

	if (!consumer || consumer->paused == paused)
		return;
	consumer->paused = paused;
	if (!paused && consumer->again_first != POSTA__MQTT_NO_SLOT && !ev_is_active(&consumer->again)) {
		ev_timer_set(&consumer->again, 0., 0.);
		ev_timer_start(mqtt->loop, &consumer->again);
	}
	update(consumer);
}

/* -- The end of all */

void posta__mqtt_consumers_finish(struct posta__mqtt *mqtt)
{
	for (struct posta__mqtt_consumer *consumer = mqtt->consumers; consumer; consumer = consumer->next) {
		if (consumer->over)
			continue;
		if (!consumer->leaving)
			consumer->forget = mqtt->forget;
		consumer->leaving = true;
		/* The broker is not told what is settled beside what is not: all of the batch comes again. */
		if (consumer->slots.used)
			end(consumer);
		else
			update(consumer);
	}
}

static void free_consumer(struct posta__mqtt_consumer *consumer)
{
	ev_timer_stop(consumer->mqtt->loop, &consumer->again);
	posta__mqtt_client_close(&consumer->client);
	posta__mqtt_slots_fini(&consumer->slots);
	free(consumer);
}

void posta__mqtt_consumers_sweep(struct posta__mqtt *mqtt)
{
	struct posta__mqtt_consumer **link = &mqtt->consumers;

	while (*link) {
		struct posta__mqtt_consumer *consumer = *link;

		if (!consumer->over) {
			link = &consumer->next;
			continue;
		}
		*link = consumer->next;
		free_consumer(consumer);
	}
}

void posta__mqtt_consumers_stop(struct posta__mqtt *mqtt)
{
	for (struct posta__mqtt_consumer *consumer = mqtt->consumers; consumer; consumer = consumer->next) {
		ev_timer_stop(mqtt->loop, &consumer->again);
		posta__mqtt_client_stop(&consumer->client);
	}
}

void posta__mqtt_consumers_free(struct posta__mqtt *mqtt)
{
	while (mqtt->consumers) {
		struct posta__mqtt_consumer *consumer = mqtt->consumers;

		mqtt->consumers = consumer->next;
		free_consumer(consumer);
	}
}

bool posta__mqtt_consumers_gone(const struct posta__mqtt *mqtt)
{
	const struct posta__mqtt_consumer *consumer = mqtt->consumers;

	while (consumer && consumer->over)
		consumer = consumer->next;
	return !consumer;
}
