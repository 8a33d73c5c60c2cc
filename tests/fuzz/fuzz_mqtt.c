/* SPDX-License-Identifier: MIT */
/*
 * Input: a byte that chooses 3.1.1 or 5; then properties, each a byte for its kind and two texts with a byte for their
 * length, up to a kind of 0; then the topic, likewise; the rest is the payload. What was received is sent on and
 * received again.
 */
#include "check.h"

#include "bridges/mqtt.h"

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

/* A copy with a zero behind it: what libmosquitto's own parser hands on. */
static char *take(struct input *input, size_t *len)
{
	size_t n = input->at < input->end ? *input->at++ : 0;

	n = n < (size_t)(input->end - input->at) ? n : (size_t)(input->end - input->at);
	char *text = malloc(n + 1);

	CHECK(text);
	memcpy(text, input->at, n);
	text[n] = '\0';
	input->at += n;
	*len = n;
	return text;
}

static mosquitto_property *properties_of(struct input *input)
{
	static const int kinds[] = { MQTT_PROP_CONTENT_TYPE, MQTT_PROP_RESPONSE_TOPIC, MQTT_PROP_CORRELATION_DATA,
				     MQTT_PROP_USER_PROPERTY };
	mosquitto_property *list = NULL;

	while (input->at < input->end && *input->at) {
		int kind = kinds[*input->at++ % 4];
		size_t name_len, value_len;
		char *name = take(input, &name_len), *value = take(input, &value_len);

		if (kind == MQTT_PROP_USER_PROPERTY)
			mosquitto_property_add_string_pair(&list, kind, name, value);
		else if (kind == MQTT_PROP_CORRELATION_DATA)
			mosquitto_property_add_binary(&list, kind, name, (uint16_t)name_len);
		else
			mosquitto_property_add_string(&list, kind, name);
		free(name);
		free(value);
	}
	input->at += input->at < input->end;
	return list;
}

static struct posta_envelope *decode(char *topic, const void *body, size_t len, const mosquitto_property *properties,
				     bool mqtt5)
{
	struct mosquitto_message message = { .topic = topic,
					     .payload = (void *)(uintptr_t)body,
					     .payloadlen = (int)len };
	struct posta_envelope *envelope = NULL;
	enum posta_err err = posta__mqtt_decode(&message, properties, mqtt5, &envelope);

	CHECK(err ? !envelope && (err == POSTA_ENOMEM || err == POSTA_ETOOBIG) : envelope != NULL);
	return envelope;
}

static void again(const struct posta_envelope *envelope, char *topic, bool mqtt5)
{
	struct posta__mqtt_packet packet;

	if (posta__mqtt_encode(envelope, POSTA_FORMAT_BINARY, mqtt5, &packet))
		return;
	struct posta_envelope *other = decode(topic, packet.body.data, packet.body.len, packet.properties, mqtt5);

	/* MQTT cannot tell an empty body from none. */
	if (other && mqtt5 && posta_envelope_body(envelope).len && !changes_form(envelope))
		check_same(envelope, other, true);
	posta_envelope_unref(other);
	posta__mqtt_packet_fini(&packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	bool mqtt5 = size && *input.at++ & 1;
	mosquitto_property *properties = properties_of(&input);
	size_t topic_len;
	char *topic = take(&input, &topic_len);
	struct posta_envelope *envelope =
		decode(topic, input.at, (size_t)(input.end - input.at), mqtt5 ? properties : NULL, mqtt5);

	if (envelope)
		again(envelope, topic, mqtt5);
	posta_envelope_unref(envelope);
	mosquitto_property_free_all(&properties);
	free(topic);
	return 0;
}
