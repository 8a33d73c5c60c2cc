/* SPDX-License-Identifier: MIT */
/* A message of Kafka as an envelope, and the other way round: CloudEvents, Kafka Protocol Binding 1.0.2. */
#include "bridges/codec/cloudevents.h"
#include "bridges/envelope.h"
#include "bridges/kafka.h"

static enum posta_err put(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct posta__kafka_record *record = context;

	if (!record->headers)
		record->headers = rd_kafka_headers_new(8);
	if (!record->headers)
		return POSTA_ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_header_add(record->headers, name, -1, values[i].data, (ssize_t)values[i].len))
			return POSTA_ENOMEM;
	return POSTA_OK;
}

enum posta_err posta__kafka_encode(const struct posta_envelope *envelope, enum posta_format format,
				   struct posta__kafka_record *record)
{
	struct posta__wire_body body = { 0 };

	*record = (struct posta__kafka_record){ 0 };
	enum posta_err err = posta__wire_encode(envelope, POSTA__KAFKA, format, put, record, &body);

	if (err) {
		if (record->headers)
			rd_kafka_headers_destroy(record->headers);
		record->headers = NULL;
		return err;
	}
	record->value = body.data;
	record->len = body.len;
	record->owned = body.owned;
	return POSTA_OK;
}

/* The body of an envelope is the library's own memory. This lies in the envelope. */
struct hold {
	struct posta__kafka_client *client;
	rd_kafka_event_t *event;
};

static void release(void *context)
{
	struct hold *hold = context;

	rd_kafka_event_destroy(hold->event);
	posta__kafka_client_unref(hold->client);
}

static enum posta_err headers_in(struct posta_envelope *envelope, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	enum posta_err err = POSTA_OK;

	if (rd_kafka_message_headers(message, &headers))
		return POSTA_OK;
	for (size_t i = 0; !err; i++) {
		const char *name;
		const void *value;
		size_t len, name_len = 0;

		if (rd_kafka_header_get_all(headers, i, &name, &value, &len))
			break;
		while (name[name_len])
			name_len++;
		err = posta__wire_header_in(envelope, POSTA__KAFKA, name, name_len, value ? value : "",
					    value ? len : 0);
		/* One over the limits of an envelope is left out: the message itself is whole. */
		if (err == POSTA_ETOOBIG)
			err = POSTA_OK;
	}
	return err;
}

static enum posta_err fill(struct posta_envelope **envelope, const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t time_ms = rd_kafka_message_timestamp(message, &type);
	enum posta_err err = posta_envelope_set_text(*envelope, POSTA_ATTR_TOPIC, rd_kafka_topic_name(message->rkt));

	if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time_ms >= 0)
		posta_envelope_set_time(*envelope, time_ms);
	if (!err && message->key) {
		err = posta_envelope_set(*envelope, POSTA_ATTR_KEY, message->key, message->key_len);
		if (err == POSTA_ETOOBIG)
			err = POSTA_OK;
	}
	if (!err)
		err = headers_in(*envelope, message);
	return err ? err : posta__wire_finish(envelope, POSTA__KAFKA);
}

struct posta_envelope *posta__kafka_decode(struct posta__kafka_client *client, rd_kafka_event_t *event,
					   const rd_kafka_message_t *message)
{
	struct posta_envelope *envelope = posta_envelope_new();
	struct hold *hold = envelope ? posta__envelope_reserve(envelope, sizeof *hold) : NULL;
	bool wrapped = message->payload; /* fill() may unpack the body, and the message goes with it */
	enum posta_err err = POSTA_OK;

	if (!hold) {
		posta_envelope_unref(envelope);
		rd_kafka_event_destroy(event);
		return NULL;
	}
	*hold = (struct hold){ .client = posta__kafka_client_ref(client), .event = event };
	if (wrapped)
		err = posta_envelope_wrap_body(envelope, message->payload, message->len, release, hold);
	if (!err)
		err = fill(&envelope, message);
	if (!wrapped)
		release(hold);
	if (!err)
		return envelope;
	posta_envelope_unref(envelope);
	return NULL;
}
