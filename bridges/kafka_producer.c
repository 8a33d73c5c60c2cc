/* SPDX-License-Identifier: MIT */
/*
 * Publications. librdkafka has room for small bodies in the message that it makes anyway: these are copied, and the id is
 * all that comes back with the delivery report. Of larger ones it keeps a pointer, so each flight holds a reference to its
 * envelope: what is in flight when a connection ends is released by the helper thread that empties the client.
 */
#include "bridges/codec/cloudevents.h"
#include "bridges/kafka.h"

#include <stdlib.h>

/* The library's RD_KAFKA_V_* check their types by statement expressions, in every place where they are used. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

#define EVENTS_MAX 64    /* a turn; one holds many reports */
#define COPIED_MAX 1024u /* bytes: copying costs less than a flight */

struct flight {
	uint64_t id;
	struct posta_envelope *envelope;
	void *owned; /* of the encoded body */
};

/* What goes with a message: a flight, or the id of one that was copied, told by the lowest bit. */
static bool is_id(const void *opaque)
{
	return (uintptr_t)opaque & 1;
}

static uint64_t id_of(const void *opaque)
{
	return is_id(opaque) ? (uintptr_t)opaque >> 1 : ((const struct flight *)opaque)->id;
}

static void owned_free(void *owned)
{
	struct posta__wire_body body = { .owned = owned };

	posta__wire_body_fini(&body);
}

static void flight_free(void *opaque)
{
	struct flight *flight = is_id(opaque) ? NULL : opaque;

	if (!flight)
		return;
	owned_free(flight->owned);
	posta_envelope_unref(flight->envelope);
	free(flight);
}

/* Takes: what record owns. Returns: NULL when out of memory. */
static void *flight_make(const struct posta_publication *publication, const struct posta__kafka_record *record)
{
	struct flight *flight = malloc(sizeof *flight);

	if (flight)
		*flight = (struct flight){ .id = publication->id,
					   .envelope = posta_envelope_ref(publication->envelope),
					   .owned = record->owned };
	else
		owned_free(record->owned);
	return flight;
}

void posta__kafka_reports_drop(rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	while ((message = rd_kafka_event_message_next(event)))
		flight_free(message->_private);
}

static void on_reports(struct posta__kafka_producer *producer, rd_kafka_event_t *event)
{
	struct posta_bridge *bridge = producer->kafka->bridge;
	const rd_kafka_message_t *message;

	while ((message = rd_kafka_event_message_next(event))) {
		uint64_t id = id_of(message->_private);

		producer->in_flight--;
		/* Not its own fault: a new producer sends it again. */
		if (message->err == RD_KAFKA_RESP_ERR__FATAL)
			posta__kafka_fail(producer->kafka, POSTA_EPROTOCOL, rd_kafka_err2str(message->err));
		if (producer->client->transactional)
			posta__kafka_transaction_report(&producer->kafka->transaction, id, message->err);
		else if (!producer->kafka->failed) /* else the core has all of them back */
			posta_bridge_confirm(bridge, id, posta__kafka_code(message->err),
					     message->err ? rd_kafka_err2str(message->err) : NULL);
		flight_free(message->_private);
	}
	producer->progress_at = ev_now(producer->kafka->loop);
}

static void on_event(struct posta__kafka_producer *producer, rd_kafka_event_t *event)
{
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
		on_reports(producer, event);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
		posta__kafka_topics_answered(producer->kafka, event);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
		posta__kafka_on_error(producer->kafka, producer->client, event);
	rd_kafka_event_destroy(event);
}

/* The helper thread has asked a broker. */
static void look_at_probe(struct posta__kafka *kafka)
{
	struct posta__kafka_client *client = kafka->producer.client;
	/* PAIRS with the release of the helper thread. */
	int probe = atomic_load_explicit(&client->probe, memory_order_acquire);

	if (probe == POSTA__KAFKA_PROBE_OK && !kafka->up) {
		kafka->up = true;
		posta_bridge_up(kafka->bridge);
	} else if (probe == POSTA__KAFKA_PROBE_FAILED && !kafka->up) {
		posta__kafka_fail(kafka, POSTA_ECONNECTION,
				  *kafka->last_error ? kafka->last_error : client->probe_text);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct posta__kafka_producer *producer = io->data;
	struct posta__kafka *kafka = producer->kafka;
	rd_kafka_event_t *event = NULL;

	(void)loop;
	(void)events;
	posta__kafka_client_hush(producer->client);
	for (int i = 0; i < EVENTS_MAX && !kafka->failed; i++) {
		event = rd_kafka_queue_poll(producer->client->queue, 0);
		if (!event)
			break;
		on_event(producer, event);
	}
	if (kafka->failed)
		return;
	if (event) /* the queue is not empty: no edge will come */
		posta__kafka_client_kick(producer->client);
	look_at_probe(kafka);
	if (producer->client->transactional && !kafka->failed)
		posta__kafka_transaction_look(&kafka->transaction);
	if (producer->starved && !kafka->failed) {
		producer->starved = false;
		posta_bridge_writable(kafka->bridge);
	}
}

enum posta_err posta__kafka_producer_open(struct posta__kafka_producer *producer, struct posta__kafka *kafka,
					  struct posta_error *error)
{
	const struct posta_bridge_options *options = posta_bridge_get_options(kafka->bridge);
	rd_kafka_conf_t *conf =
		posta__kafka_conf(posta_bridge_url(kafka->bridge), options, POSTA__KAFKA_PRODUCER, error);

	producer->kafka = kafka;
	if (!conf)
		return error->code ? error->code : POSTA_EINVAL;
	producer->client = posta__kafka_client_new(conf, POSTA__KAFKA_PRODUCER, error);
	if (!producer->client)
		return error->code ? error->code : POSTA_EINVAL;
	if (options->transactional_id && posta__kafka_transaction_init(&kafka->transaction, kafka))
		return posta_error_set(error, POSTA_ENOMEM, "kafka: no memory for transactions");
	producer->client->transactional = options->transactional_id;
	ev_io_init(&producer->readable, on_readable, producer->client->fd, EV_READ);
	producer->readable.data = producer;
	ev_io_start(kafka->loop, &producer->readable);
	if (posta__kafka_client_probe(producer->client, (int)options->connect_timeout_ms))
		return posta_error_set(error, POSTA_ENOMEM, "kafka: no thread to ask for metadata");
	return POSTA_OK;
}

/* Everything of it is the library's until the report. */
static rd_kafka_resp_err_t hand_over(struct posta__kafka_producer *producer,
				     const struct posta_publication *publication, struct posta__kafka_record *record,
				     void *opaque)
{
	const struct posta_target *target = publication->target;
	struct posta_bytes key = posta_envelope_get(publication->envelope, POSTA_ATTR_KEY);
	int64_t time_ms = posta_envelope_time(publication->envelope);
	int flags = is_id(opaque) ? RD_KAFKA_MSG_F_COPY : 0;

	if (target->format == POSTA_FORMAT_RAW || time_ms < 0)
		time_ms = 0; /* the library takes the present */
	if (!record->headers)
		return rd_kafka_producev(producer->client->rk, RD_KAFKA_V_TOPIC(target->topic),
					 RD_KAFKA_V_KEY(key.data, key.len), RD_KAFKA_V_TIMESTAMP(time_ms),
					 RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->len),
					 RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	return rd_kafka_producev(producer->client->rk, RD_KAFKA_V_TOPIC(target->topic),
				 RD_KAFKA_V_KEY(key.data, key.len), RD_KAFKA_V_TIMESTAMP(time_ms),
				 RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->len),
				 RD_KAFKA_V_HEADERS(record->headers), RD_KAFKA_V_MSGFLAGS(flags),
				 RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

static void launched(struct posta__kafka_producer *producer)
{
	if (!producer->in_flight++)
		producer->progress_at = ev_now(producer->kafka->loop);
}

/* False: there is no room now. */
static bool refused(struct posta__kafka_producer *producer, const struct posta_publication *publication,
		    rd_kafka_resp_err_t err)
{
	struct posta__kafka *kafka = producer->kafka;

	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return false;
	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		posta__kafka_fail(kafka, POSTA_EPROTOCOL,
				  rd_kafka_err2str(rd_kafka_fatal_error(producer->client->rk, NULL, 0)));
		return false;
	}
	posta_bridge_confirm(kafka->bridge, publication->id, posta__kafka_code(err), rd_kafka_err2str(err));
	return true;
}

/* False: there is no room now. Takes: what record holds. */
static bool send_one(struct posta__kafka_producer *producer, const struct posta_publication *publication,
		     struct posta__kafka_record *record)
{
	/* Shifted, an id must fit into a pointer. */
	bool copied = record->len <= COPIED_MAX && sizeof(void *) >= sizeof(uint64_t);
	void *opaque = copied ? (void *)(uintptr_t)(publication->id << 1 | 1) : flight_make(publication, record);
	rd_kafka_resp_err_t err =
		opaque ? hand_over(producer, publication, record, opaque) : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

	if (copied)
		owned_free(record->owned);
	if (!err) {
		launched(producer);
		if (producer->client->transactional)
			posta__kafka_transaction_add(&producer->kafka->transaction, publication);
		return true;
	}
	if (opaque)
		flight_free(opaque);
	if (record->headers)
		rd_kafka_headers_destroy(record->headers);
	return refused(producer, publication, err);
}

static bool expired(const struct posta_publication *publication)
{
	return posta_envelope_expiry(publication->envelope) != POSTA_TIME_NONE &&
	       posta__wire_ttl_ms(publication->envelope, posta__wall_ms()) == 0;
}

bool posta__kafka_producer_write(struct posta__kafka_producer *producer, const struct posta_publication *publication)
{
	struct posta_bridge *bridge = producer->kafka->bridge;
	struct posta__kafka_record record;
	enum posta_err err = expired(publication)
				     ? POSTA_EEXPIRED
				     : posta__kafka_encode(publication->envelope, publication->target->format, &record);

	if (!err)
		return send_one(producer, publication, &record);
	posta_bridge_confirm(bridge, publication->id, err, posta_strerror(err));
	return true;
}

/* False: not now. */
static bool topic_ready(struct posta__kafka_producer *producer, const struct posta_publication *publication,
			bool *refused)
{
	struct posta__kafka *kafka = producer->kafka;
	struct posta__kafka_topic *topic = posta__kafka_topic_of(kafka, publication->target->topic);

	*refused = !topic || topic->state == POSTA__KAFKA_TOPIC_REFUSED;
	if (*refused)
		posta_bridge_confirm(kafka->bridge, publication->id, topic ? POSTA_EREFUSED : POSTA_ENOMEM,
				     topic ? topic->text : "kafka: no memory for a topic");
	return *refused || topic->state == POSTA__KAFKA_TOPIC_READY;
}

static bool take(struct posta__kafka_producer *producer, const struct posta_publication *publication, bool makes_topics)
{
	bool refused = false;

	if (makes_topics && (!topic_ready(producer, publication, &refused) || refused))
		return refused;
	if (producer->client->transactional && !posta__kafka_transaction_admits(&producer->kafka->transaction))
		return false;
	return posta__kafka_producer_write(producer, publication);
}

size_t posta__kafka_producer_take(struct posta__kafka_producer *producer, const struct posta_publication *const *batch,
				  size_t n)
{
	size_t k = 0;

	if (!producer->kafka->up)
		return 0;
	bool makes_topics = posta_bridge_get_options(producer->kafka->bridge)->topic_partitions > 0;
	while (k < n && !producer->kafka->failed && take(producer, batch[k], makes_topics))
		k++;
	if (k < n)
		producer->starved = true;
	return k;
}

void posta__kafka_producer_close(struct posta__kafka_producer *producer)
{
	if (!producer->client)
		return;
	ev_io_stop(producer->kafka->loop, &producer->readable);
	posta__kafka_client_close(producer->client);
	producer->client = NULL;
}
