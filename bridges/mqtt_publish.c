/* SPDX-License-Identifier: MIT */
/*
 * Publications. libmosquitto's own queue has no bound, so a publication is taken only while the window has room: by
 * count (the broker's Receive Maximum for QoS 1 and 2), and by bytes, because it copies each one.
 *
 * The session of this connection is always a new one: what was not confirmed is offered again by the core.
 */
#include "bridges/mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNWRITTEN_MAX 1024u          /* publications of QoS 0 */
#define BYTES_MAX ((size_t)16 << 20) /* but one more is always taken */
/* 3.1.1 has no Receive Maximum: Mosquitto answers only so many at a time by default, and forgets those beyond. */
#define WINDOW_QOS2_V3 20u
#define KEEPALIVE_MIN_S 5 /* libmosquitto's */

static bool has_room(const struct posta__mqtt_publisher *publisher, int qos)
{
	uint32_t window = publisher->window;

	if (publisher->bytes >= BYTES_MAX)
		return false;
	if (qos == 2 && !publisher->mqtt->settings.mqtt5 && window > WINDOW_QOS2_V3)
		window = WINDOW_QOS2_V3;
	return qos ? publisher->unacked < window : publisher->unwritten < UNWRITTEN_MAX;
}

/* The core is asked for more when half is free: one at a time would be one write each. */
static bool has_much_room(const struct posta__mqtt_publisher *publisher)
{
	return publisher->bytes <= BYTES_MAX / 2 && publisher->unwritten <= UNWRITTEN_MAX / 2 &&
	       publisher->unacked <= publisher->window / 2;
}

static void on_connected(void *context, const mosquitto_property *properties)
{
	struct posta__mqtt_publisher *publisher = context;
	uint16_t receive_max = UINT16_MAX, aliases_max = 0;

	mosquitto_property_read_int16(properties, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, &aliases_max, false);
	posta__mqtt_aliases_begin(&publisher->aliases, publisher->mqtt->settings.topic_aliases, aliases_max);
	mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_max, false);
	publisher->window = publisher->mqtt->settings.window;
	if (receive_max && receive_max < publisher->window)
		publisher->window = receive_max;
	publisher->announce = true;
}

static void on_failed(void *context, enum posta_err code, const char *text)
{
	struct posta__mqtt_publisher *publisher = context;

	if (publisher->mqtt->finishing)
		posta__mqtt_on_gone(publisher->mqtt);
	else
		posta__mqtt_fail(publisher->mqtt, code, text);
}

static void on_closed(void *context)
{
	struct posta__mqtt_publisher *publisher = context;

	posta__mqtt_on_gone(publisher->mqtt);
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties,
		       bool duplicate)
{
	(void)context;
	(void)message;
	(void)properties;
	(void)duplicate; /* this session has no subscription */
}

static void on_published(void *context, int mid, int reason, const mosquitto_property *properties)
{
	struct posta__mqtt_publisher *publisher = context;
	struct posta__mqtt_flight *flight = &publisher->flights[(uint16_t)mid];
	struct posta_bridge *bridge = publisher->mqtt->bridge;
	char text[POSTA_ERROR_TEXT_MAX];

	if (!flight->used)
		return;
	flight->used = false;
	publisher->bytes -= flight->bytes;
	if (flight->qos && reason < 0x80 && publisher->mqtt->settings.confirm_saved) {
		posta__mqtt_saved_hold(&publisher->saved, flight->id);
		return;
	}
	if (flight->qos)
		publisher->unacked--;
	else
		publisher->unwritten--;
	if (reason < 0x80) {
		posta_bridge_confirm(bridge, flight->id, POSTA_OK, NULL);
		return;
	}
	posta__mqtt_reason(reason, properties, text, sizeof text);
	posta_bridge_confirm(bridge, flight->id, reason == MQTT_RC_PACKET_TOO_LARGE ? POSTA_ETOOBIG : POSTA_EREFUSED,
			     text);
}

static void on_unsubscribed(void *context, int mid)
{
	struct posta__mqtt_publisher *publisher = context;

	publisher->unacked -= posta__mqtt_saved_answered(&publisher->saved, publisher->mqtt->bridge, mid);
}

static void on_passed(void *context)
{
	struct posta__mqtt_publisher *publisher = context;

	posta__mqtt_saved_ask(&publisher->saved, &publisher->client);

	if (publisher->announce) {
		publisher->announce = false;
		posta_bridge_up(publisher->mqtt->bridge);
	}
	if (publisher->starved && has_much_room(publisher)) {
		publisher->starved = false;
		posta_bridge_writable(publisher->mqtt->bridge);
	}
}

static const struct posta__mqtt_client_ops client_ops = {
	.connected = on_connected,
	.failed = on_failed,
	.closed = on_closed,
	.message = on_message,
	.published = on_published,
	.unsubscribed = on_unsubscribed,
	.passed = on_passed,
};

enum posta_err posta__mqtt_publisher_init(struct posta__mqtt_publisher *publisher, struct posta__mqtt *mqtt,
					  struct posta_error *error)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(mqtt->bridge);
	uint32_t keepalive_s = (options->heartbeat_ms + 999) / 1000;
	char id[160];

	publisher->mqtt = mqtt;
	publisher->flights = calloc(POSTA__MQTT_MIDS, sizeof *publisher->flights);
	if (!publisher->flights || posta__mqtt_saved_init(&publisher->saved, mqtt->settings.window))
		return posta_error_set(error, POSTA_ENOMEM, "mqtt: no memory for the publications in flight");
	publisher->client.ops = &client_ops;
	publisher->client.context = publisher;
	publisher->client.mqtt = mqtt;
	snprintf(id, sizeof id, "%.140s-pub", posta_bridge_client_id(mqtt->bridge));
	return posta__mqtt_client_init(&publisher->client,
				       &(struct posta__mqtt_client_options){
					       .id = id,
					       .clean = true,
					       .keepalive_s = keepalive_s < KEEPALIVE_MIN_S ? KEEPALIVE_MIN_S
							      : keepalive_s > UINT16_MAX    ? UINT16_MAX
											    : (int)keepalive_s,
					       .receive_max = 1,
					       .will = true,
				       },
				       error);
}

static enum posta_err send_error(int rc, int qos, char *text, size_t size)
{
	switch (rc) {
	case MOSQ_ERR_NOMEM:
		snprintf(text, size, "out of memory");
		return POSTA_ENOMEM;
	case MOSQ_ERR_OVERSIZE_PACKET:
		snprintf(text, size, "larger than the broker's Maximum Packet Size");
		return POSTA_ETOOBIG;
	case MOSQ_ERR_PAYLOAD_SIZE:
		snprintf(text, size, "larger than MQTT allows (268,435,455 bytes)");
		return POSTA_ETOOBIG;
	case MOSQ_ERR_QOS_NOT_SUPPORTED:
		snprintf(text, size, "the broker does not offer QoS %d", qos);
		return POSTA_EREFUSED;
	default:
		snprintf(text, size, "%s", mosquitto_strerror(rc));
		return POSTA_EINVAL;
	}
}

static int hand_over(struct posta__mqtt_publisher *publisher, const struct posta_publication *publication,
		     struct posta__mqtt_packet *packet, int qos, int *mid)
{
	const struct posta_target *target = publication->target;
	struct mosquitto *mosq = publisher->client.mosq;
	bool is_new = true;
	uint16_t alias =
		publisher->aliases.room ? posta__mqtt_alias_of(&publisher->aliases, target->topic, &is_new) : 0;
	int rc = alias ? mosquitto_property_add_int16(&packet->properties, MQTT_PROP_TOPIC_ALIAS, alias) : 0;

	if (rc)
		return rc;

	if (packet->body.len > MQTT_MAX_PAYLOAD)
		return MOSQ_ERR_PAYLOAD_SIZE;
	posta__mqtt_client_enter(&publisher->client);
	rc = mosquitto_publish_v5(mosq, mid, alias && !is_new ? NULL : target->topic, (int)packet->body.len,
				  packet->body.data, qos, target->retain, packet->properties);
	posta__mqtt_client_exit(&publisher->client, MOSQ_ERR_SUCCESS);
	if (alias && is_new && !rc)
		posta__mqtt_alias_known(&publisher->aliases, target->topic);
	return rc;
}

/* In flight from now on. False: the packet identifiers have gone round while one was not acknowledged. */
static bool launch(struct posta__mqtt_publisher *publisher, uint64_t id, int mid, int qos, size_t bytes)
{
	struct posta__mqtt_flight *flight = &publisher->flights[(uint16_t)mid];

	if (flight->used) {
		posta__mqtt_fail(publisher->mqtt, POSTA_EPROTOCOL,
				 "the broker acknowledged 65,535 publications, but not one before them");
		return false;
	}
	*flight = (struct posta__mqtt_flight){ .id = id, .bytes = (uint32_t)bytes, .qos = (uint8_t)qos, .used = true };
	publisher->bytes += bytes;
	publisher->client.queued++;
	if (qos)
		publisher->unacked++;
	else
		publisher->unwritten++;
	return true;
}

/* False: stop here. */
static bool take(struct posta__mqtt_publisher *publisher, const struct posta_publication *publication, int qos)
{
	struct posta_bridge *bridge = publisher->mqtt->bridge;
	struct posta__mqtt_packet packet;
	char text[POSTA_ERROR_TEXT_MAX];
	enum posta_err err = posta__mqtt_encode(publication->envelope, publication->target->format,
						publisher->mqtt->settings.mqtt5, &packet);
	bool going = true;
	int mid = 0;
	int rc;

	if (err) {
		posta_bridge_confirm(bridge, publication->id, err, posta_strerror(err));
		return true;
	}
	rc = hand_over(publisher, publication, &packet, qos, &mid);
	if (rc) {
		err = send_error(rc, qos, text, sizeof text);
		posta_bridge_confirm(bridge, publication->id, err, text);
	} else {
		going = launch(publisher, publication->id, mid, qos, packet.body.len);
	}
	posta__mqtt_packet_fini(&packet);
	return going;
}

size_t posta__mqtt_publisher_take(struct posta__mqtt_publisher *publisher, const struct posta_publication *const *batch,
				  size_t n)
{
	size_t k = 0;

	if (publisher->client.phase != POSTA__MQTT_UP)
		return 0;
	while (k < n && publisher->client.phase == POSTA__MQTT_UP) {
		int qos = batch[k]->target->qos < 0 ? 1 : batch[k]->target->qos;

		if (!has_room(publisher, qos)) {
			publisher->starved = true;
			break;
		}
		if (!take(publisher, batch[k], qos))
			break;
		k++;
	}
	/* Written by flush(), or by the loop if that should not come. */
	if (publisher->client.phase == POSTA__MQTT_UP)
		ev_io_start(publisher->mqtt->loop, &publisher->client.writing);
	return k;
}

void posta__mqtt_publisher_fini(struct posta__mqtt_publisher *publisher)
{
	posta__mqtt_client_close(&publisher->client);
	free(publisher->flights);
	publisher->flights = NULL;
	posta__mqtt_saved_fini(&publisher->saved);
	posta__mqtt_aliases_fini(&publisher->aliases);
}
