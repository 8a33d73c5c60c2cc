/* SPDX-License-Identifier: MIT */
/* A message of Kafka as an envelope, and the other way round: CloudEvents, Kafka Protocol Binding 1.0.2. */
#include "bridges/codec/cloudevents.h"
#include "bridges/envelope.h"
#include "bridges/kafka.h"

/*
 * Bytes of a body: to copy them costs less than to hold on to the library's message, and to all that was fetched with
 * it.
 */
#define COPIED_MAX 256u

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

/* A large body is the library's own memory: its message is held as long. This lies in the envelope. */
struct hold {
	struct posta__kafka_client *client;
	rd_kafka_message_t *message;
};

static void release(void *context)
{
	struct hold *hold = context;

	rd_kafka_message_destroy(hold->message);
	posta__kafka_client_unref(hold->client);
}

/* Takes: message, on success. */
static enum posta_err wrap(struct posta_envelope *envelope, struct posta__kafka_client *client,
			   rd_kafka_message_t *message)
{
	struct hold *hold = posta__envelope_reserve(envelope, sizeof *hold);

	if (!hold)
		return POSTA_ENOMEM;
	*hold = (struct hold){ .client = posta__kafka_client_ref_spare(client), .message = message };
	return posta_envelope_wrap_body(envelope, message->payload, message->len, release, hold);
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

struct posta_envelope *posta__kafka_decode(struct posta__kafka_client *client, rd_kafka_message_t *message)
{
	struct posta_envelope *envelope = posta_envelope_new();
	bool wrapped = false;
	enum posta_err err = POSTA_ENOMEM;

	if (envelope && message->len > COPIED_MAX)
		wrapped = !(err = wrap(envelope, client, message));
	else if (envelope)
		err = posta_envelope_set_body(envelope, message->payload, message->len);
	if (!err)
		err = fill(&envelope, message);
	if (!wrapped)
		rd_kafka_message_destroy(message);
	if (!err)
		return envelope;
	posta_envelope_unref(envelope);
	return NULL;
}
