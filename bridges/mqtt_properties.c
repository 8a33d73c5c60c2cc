/* SPDX-License-Identifier: MIT */
/* Source: MQTT 5.0, sections 2.2.2 "Properties" and 3.3 "PUBLISH"; CloudEvents MQTT Protocol Binding 1.0.2. */
#include "bridges/mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum posta_err library_error(int rc)
{
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
		return POSTA_OK;
	case MOSQ_ERR_NOMEM:
		return POSTA_ENOMEM;
	default:
		return POSTA_EFORMAT; /* not UTF-8, or a character MQTT forbids */
	}
}

/* bytes need not end with a zero. */
static enum posta_err add_string(mosquitto_property **list, int identifier, struct posta_bytes bytes)
{
	char small[256];
	char *text = small;
	int rc;

	if (bytes.len > UINT16_MAX)
		return POSTA_ETOOBIG;
	if (bytes.len >= sizeof small) {
		text = malloc(bytes.len + 1);
		if (!text)
			return POSTA_ENOMEM;
	}
	memcpy(text, bytes.data, bytes.len);
	text[bytes.len] = '\0';
	rc = mosquitto_property_add_string(list, identifier, text);
	if (text != small)
		free(text);
	return library_error(rc);
}

static enum posta_err add_native(struct posta__mqtt_packet *packet, const struct posta_envelope *envelope)
{
	struct posta_bytes reply_to = posta__wire_native(envelope, POSTA__MQTT5, POSTA_ATTR_REPLY_TO);
	struct posta_bytes correlation = posta__wire_native(envelope, POSTA__MQTT5, POSTA_ATTR_CORRELATION_ID);
	enum posta_err err = POSTA_OK;

	if (packet->body.content_type.data)
		err = add_string(&packet->properties, MQTT_PROP_CONTENT_TYPE, packet->body.content_type);
	if (!err && reply_to.data)
		err = add_string(&packet->properties, MQTT_PROP_RESPONSE_TOPIC, reply_to);
	if (!err && correlation.data)
		err = library_error(mosquitto_property_add_binary(&packet->properties, MQTT_PROP_CORRELATION_DATA,
								  correlation.data, (uint16_t)correlation.len));
	return err;
}

static enum posta_err add_expiry(struct posta__mqtt_packet *packet, int64_t ttl_ms)
{
	int64_t seconds = (ttl_ms + 999) / 1000;

	if (ttl_ms < 0)
		return POSTA_OK;
	return library_error(mosquitto_property_add_int32(&packet->properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
							  seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds));
}

/* Values of this protocol end with a zero. */
static enum posta_err put(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct posta__mqtt_packet *packet = context;

	(void)count;
	return library_error(
		mosquitto_property_add_string_pair(&packet->properties, MQTT_PROP_USER_PROPERTY, name, values->data));
}

enum posta_err posta__mqtt_encode(const struct posta_envelope *envelope, enum posta_format format, bool mqtt5,
				  struct posta__mqtt_packet *packet)
{
	int64_t ttl_ms = posta__wire_ttl_ms(envelope, posta__wall_ms());
	enum posta_err err;

	*packet = (struct posta__mqtt_packet){ 0 };
	if (ttl_ms == 0)
		return POSTA_EEXPIRED;
	err = posta__wire_encode(envelope, mqtt5 ? POSTA__MQTT5 : POSTA__MQTT3, format, put, packet, &packet->body);
	if (!err && mqtt5 && format != POSTA_FORMAT_RAW)
		err = add_native(packet, envelope);
	if (!err && mqtt5)
		err = add_expiry(packet, ttl_ms);
	if (err)
		posta__mqtt_packet_fini(packet);
	return err;
}

void posta__mqtt_packet_fini(struct posta__mqtt_packet *packet)
{
	mosquitto_property_free_all(&packet->properties);
	posta__wire_body_fini(&packet->body);
	packet->body = (struct posta__wire_body){ 0 };
}

static enum posta_err read_text(struct posta_envelope *envelope, enum posta_attribute attribute,
				const mosquitto_property *property)
{
	enum posta_err err = POSTA_ENOMEM;
	char *text = NULL;

	if (mosquitto_property_read_string(property, mosquitto_property_identifier(property), &text, false) && text)
		err = posta_envelope_set_text(envelope, attribute, text);
	free(text);
	return err;
}

static enum posta_err read_correlation(struct posta_envelope *envelope, const mosquitto_property *property)
{
	enum posta_err err = POSTA_ENOMEM;
	uint16_t len = 0;
	void *data = NULL;

	if (mosquitto_property_read_binary(property, MQTT_PROP_CORRELATION_DATA, &data, &len, false))
		err = len ? posta_envelope_set(envelope, POSTA_ATTR_CORRELATION_ID, data, len) : POSTA_OK;
	free(data);
	return err;
}

static enum posta_err read_user(struct posta_envelope *envelope, const mosquitto_property *property)
{
	enum posta_err err = POSTA_ENOMEM;
	char *name = NULL, *value = NULL;

	if (mosquitto_property_read_string_pair(property, MQTT_PROP_USER_PROPERTY, &name, &value, false) && name &&
	    value)
		err = posta__wire_header_in(envelope, POSTA__MQTT5, name, strlen(name), value, strlen(value));
	free(name);
	free(value);
	return err;
}

static void read_expiry(struct posta_envelope *envelope, const mosquitto_property *property)
{
	uint32_t seconds = 0;

	if (mosquitto_property_read_int32(property, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, &seconds, false))
		posta_envelope_set_expiry(envelope, posta__wall_ms() + (int64_t)seconds * 1000);
}

static enum posta_err read_native(struct posta_envelope *envelope, const mosquitto_property *property)
{
	switch (mosquitto_property_identifier(property)) {
	case MQTT_PROP_CONTENT_TYPE:
		return read_text(envelope, POSTA_ATTR_CONTENT_TYPE, property);
	case MQTT_PROP_RESPONSE_TOPIC:
		return read_text(envelope, POSTA_ATTR_REPLY_TO, property);
	case MQTT_PROP_CORRELATION_DATA:
		return read_correlation(envelope, property);
	case MQTT_PROP_MESSAGE_EXPIRY_INTERVAL:
		read_expiry(envelope, property);
		return POSTA_OK;
	default:
		return POSTA_OK;
	}
}

/* Native ones first, wherever they stand: a header wins over them. */
static enum posta_err read_properties(struct posta_envelope *envelope, const mosquitto_property *properties)
{
	enum posta_err err = POSTA_OK;

	for (const mosquitto_property *p = properties; p && !err; p = mosquitto_property_next(p))
		err = read_native(envelope, p);
	for (const mosquitto_property *p = properties; p && !err; p = mosquitto_property_next(p))
		if (mosquitto_property_identifier(p) == MQTT_PROP_USER_PROPERTY)
			err = read_user(envelope, p);
	return err;
}

enum posta_err posta__mqtt_decode(const struct mosquitto_message *message, const mosquitto_property *properties,
				  bool mqtt5, struct posta_envelope **envelope)
{
	struct posta_envelope *made = posta_envelope_new();
	enum posta_err err;

	if (!made)
		return POSTA_ENOMEM;
	err = posta_envelope_set_text(made, POSTA_ATTR_TOPIC, message->topic);
	if (!err)
		err = posta_envelope_set_body(made, message->payloadlen ? message->payload : "",
					      (size_t)message->payloadlen);
	if (!err)
		err = read_properties(made, properties);
	if (!err)
		err = posta__wire_finish(&made, mqtt5 ? POSTA__MQTT5 : POSTA__MQTT3);
	if (err) {
		posta_envelope_unref(made);
		return err;
	}
	*envelope = made;
	return POSTA_OK;
}

const char *posta__mqtt_reason(int reason, const mosquitto_property *properties, char *out, size_t size)
{
	char *text = NULL;

	mosquitto_property_read_string(properties, MQTT_PROP_REASON_STRING, &text, false);
	if (text && *text)
		snprintf(out, size, "%s (%s)", mosquitto_reason_string(reason), text);
	else
		snprintf(out, size, "%s", mosquitto_reason_string(reason));
	free(text);
	return out;
}
