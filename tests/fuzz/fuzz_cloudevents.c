/* SPDX-License-Identifier: MIT */
/*
 * Input: a byte that chooses protocol and format; then headers, each a byte for the name's length, the name, a byte for
 * the value's, the value, up to a name of length 0; the rest is the body. What was received is sent on and received
 * again.
 */
#include "check.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/text.h"

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

static struct posta_bytes take(struct input *input)
{
	size_t len = input->at < input->end ? *input->at++ : 0;
	len = len < (size_t)(input->end - input->at) ? len : (size_t)(input->end - input->at);
	struct posta_bytes bytes = { input->at, len };
	input->at += len;
	return bytes;
}

struct hop {
	struct posta_envelope *envelope;
	enum posta__protocol protocol;
};

static enum posta_err pass(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct hop *hop = context;
	CHECK(count > 0 && (count == 1 || hop->protocol == POSTA__AMQP));
	enum posta_err err = POSTA_OK;
	for (size_t i = 0; !err && i < count; i++) {
		CHECK(hop->protocol != POSTA__MQTT5 || posta__utf8_printable(values[i].data, values[i].len));
		CHECK(hop->protocol != POSTA__MQTT5 || posta__utf8_printable(name, strlen(name)));
		err = posta__wire_header_in(hop->envelope, hop->protocol, name, strlen(name), values[i].data,
					    values[i].len);
	}
	return err;
}

static void carry_native(const struct posta_envelope *from, struct hop *hop)
{
	struct posta_bytes topic = posta_envelope_get(from, POSTA_ATTR_TOPIC);
	CHECK(posta_envelope_set(hop->envelope, POSTA_ATTR_TOPIC, topic.data, topic.len) == POSTA_OK);
	for (int i = 0; i < POSTA_ATTR_COUNT; i++) {
		struct posta_bytes value = posta__wire_native(from, hop->protocol, (enum posta_attribute)i);
		if (i != POSTA_ATTR_CONTENT_TYPE && value.data)
			CHECK(posta_envelope_set(hop->envelope, (enum posta_attribute)i, value.data, value.len) ==
			      POSTA_OK);
	}
	if (hop->protocol == POSTA__AMQP)
		posta_envelope_set_priority(hop->envelope, posta_envelope_priority(from));
}

static void send_on(const struct posta_envelope *from, enum posta__protocol protocol, enum posta_format format)
{
	struct posta__wire_body body;
	struct hop hop = { posta_envelope_new(), protocol };
	carry_native(from, &hop);
	enum posta_err err = posta__wire_encode(from, protocol, format, pass, &hop, &body);
	if (!err) {
		if (body.content_type.data && protocol != POSTA__KAFKA)
			CHECK(posta_envelope_set(hop.envelope, POSTA_ATTR_CONTENT_TYPE, body.content_type.data,
						 body.content_type.len) == POSTA_OK);
		CHECK(posta_envelope_set_body(hop.envelope, body.data, body.len) == POSTA_OK);
		posta__wire_body_fini(&body);
		CHECK(posta__wire_finish(&hop.envelope, protocol) == POSTA_OK);
		if (!changes_form(from))
			check_same(from, hop.envelope, true);
	} else {
		CHECK(err == POSTA_ETOOBIG);
	}
	posta_envelope_unref(hop.envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	unsigned choice = input.at < input.end ? *input.at++ : 0;
	enum posta__protocol protocol = (enum posta__protocol)(choice & 3);
	struct posta_envelope *envelope = posta_envelope_new();
	for (struct posta_bytes name; (name = take(&input)).len;) {
		struct posta_bytes value = take(&input);
		if (name.len == 1 && *(const char *)name.data == 'K')
			posta_envelope_set(envelope, POSTA_ATTR_KEY, value.data, value.len);
		else if (name.len == 1 && *(const char *)name.data == 'C')
			posta_envelope_set(envelope, POSTA_ATTR_CONTENT_TYPE, value.data, value.len);
		else
			posta__wire_header_in(envelope, protocol, name.data, name.len, value.data, value.len);
	}
	if (input.at < input.end)
		posta_envelope_set_body(envelope, input.at, (size_t)(input.end - input.at));
	CHECK(posta__wire_finish(&envelope, protocol) == POSTA_OK);
	for (unsigned to = 0; to < 4; to++) {
		send_on(envelope, (enum posta__protocol)to, POSTA_FORMAT_BINARY);
		if (posta_envelope_body(envelope).len < 512)
			send_on(envelope, (enum posta__protocol)to, POSTA_FORMAT_STRUCTURED);
	}
	posta_envelope_unref(envelope);
	return 0;
}
