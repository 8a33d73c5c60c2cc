/* SPDX-License-Identifier: MIT */
/*
 * Publications. librdkafka has room for small bodies in the message that it makes anyway: these are copied, and the id
 * is all that comes back with the delivery report. Of larger ones it keeps a pointer, so each flight holds a reference
 * to its envelope: what is in flight when a connection ends is released by the helper thread that empties the client.
 */
#include "bridges/codec/cloudevents.h"
#include "bridges/kafka.h"

#include <stdlib.h>
#include <string.h>

/* The library's RD_KAFKA_V_* check their types by statement expressions, in every place where they are used. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

#define EVENTS_MAX 64    /* a turn; one holds many reports */
#define COPIED_MAX 256u  /* bytes: copying costs less than a flight */
#define RUN_MAX 256u

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
		posta__kafka_on_error(producer->kafka, producer->client, rd_kafka_event_error(event),
				      rd_kafka_event_error_string(event));
	rd_kafka_event_destroy(event);
}

/* The helper thread has asked a broker. */
static void look_at_probe(struct posta__kafka *kafka)
{
	struct posta__kafka_client *client = kafka->producer.client;
	/* PAIRS with the release of the helper thread. */
	int probe = atomic_load_explicit(&client->probe, memory_order_acquire);

	if (probe == POSTA__KAFKA_PROBE_NONE || (kafka->up && !kafka->doubted))
		return;
	kafka->doubted = false;
	if (probe == POSTA__KAFKA_PROBE_FAILED) {
		posta__kafka_fail(kafka, POSTA_ECONNECTION,
				  *kafka->last_error ? kafka->last_error : client->probe_text);
		return;
	}
	*kafka->last_error = '\0';
	if (!kafka->up) {
		kafka->up = true;
		posta_bridge_up(kafka->bridge);
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

/* The library looks a topic up by its name under a lock, for every message: once is enough. NULL: it can't be one. */
static rd_kafka_topic_t *handle_of(struct posta__kafka_producer *producer, const char *name)
{
	if (producer->last && strcmp(rd_kafka_topic_name(producer->last), name) == 0)
		return producer->last;
	uint32_t hash = 0;
	for (const char *at = name; *at; at++)
		hash = hash * 31 + (unsigned char)*at;
	rd_kafka_topic_t **handle = &producer->handles[hash % POSTA__KAFKA_HANDLES];
	if (!*handle || strcmp(rd_kafka_topic_name(*handle), name) != 0) {
		if (*handle)
			rd_kafka_topic_destroy(*handle);
		*handle = rd_kafka_topic_new(producer->client->rk, name, NULL);
	}
	return producer->last = *handle;
}

static void drop_handles(struct posta__kafka_producer *producer)
{
	for (size_t i = 0; i < POSTA__KAFKA_HANDLES; i++)
		if (producer->handles[i])
			rd_kafka_topic_destroy(producer->handles[i]);
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
	rd_kafka_topic_t *topic = handle_of(producer, target->topic);

	if (!topic)
		return rd_kafka_last_error();
	if (target->format == POSTA_FORMAT_RAW || time_ms < 0)
		time_ms = 0; /* the library takes the present */
	if (!record->headers)
		return rd_kafka_producev(producer->client->rk, RD_KAFKA_V_RKT(topic),
					 RD_KAFKA_V_KEY(key.data, key.len), RD_KAFKA_V_TIMESTAMP(time_ms),
					 RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->len),
					 RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	return rd_kafka_producev(producer->client->rk, RD_KAFKA_V_RKT(topic),
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

/* Shifted, an id must fit into a pointer. */
static bool is_copied(size_t len)
{
	return len <= COPIED_MAX && sizeof(void *) >= sizeof(uint64_t);
}

/* What goes with it. NULL: out of memory. Takes: what record owns, if it is not copied. */
static void *opaque_make(const struct posta_publication *publication, const struct posta__kafka_record *record)
{
	return is_copied(record->len) ? (void *)(uintptr_t)(publication->id << 1 | 1)
				      : flight_make(publication, record);
}

/* False: there is no room now. Takes: what record holds. */
static bool send_one(struct posta__kafka_producer *producer, const struct posta_publication *publication,
		     struct posta__kafka_record *record)
{
	bool copied = is_copied(record->len);
	void *opaque = opaque_make(publication, record);
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

/* -- runs: bare bodies for one topic, in one call of the library */

static bool is_bare(const struct posta_publication *publication)
{
	return publication->target->format == POSTA_FORMAT_RAW &&
	       posta_envelope_expiry(publication->envelope) == POSTA_TIME_NONE;
}

static bool alike(const struct posta_publication *one, const struct posta_publication *other)
{
	return is_bare(other) &&
	       (one->target == other->target || strcmp(one->target->topic, other->target->topic) == 0) &&
	       is_copied(posta_envelope_body(one->envelope).len) == is_copied(posta_envelope_body(other->envelope).len);
}

static size_t run_length(const struct posta_publication *const *batch, size_t n)
{
	size_t length = 0;

	if (is_bare(batch[0]))
		while (length < n && length < RUN_MAX && alike(batch[0], batch[length]))
			length++;
	return length;
}

static rd_kafka_message_t bare(const struct posta_publication *publication)
{
	struct posta_bytes body = posta_envelope_body(publication->envelope);
	struct posta_bytes key = posta_envelope_get(publication->envelope, POSTA_ATTR_KEY);
	const struct posta__kafka_record record = { .len = body.len };

	return (rd_kafka_message_t){
		.payload = (void *)(uintptr_t)body.data,
		.len = body.len,
		.key = (void *)(uintptr_t)key.data,
		.key_len = key.len,
		._private = opaque_make(publication, &record),
	};
}

/* Returns: how many were taken. */
static size_t look_at_run(struct posta__kafka_producer *producer, const struct posta_publication *const *batch,
			  const rd_kafka_message_t *messages, size_t length)
{
	size_t taken = 0;
	bool room = true;

	for (size_t i = 0; i < length; i++) {
		if (!messages[i].err) {
			launched(producer);
		} else {
			flight_free(messages[i]._private);
			room = room && refused(producer, batch[i], messages[i].err);
		}
		taken += room; /* those behind one without room are refused as well */
	}
	return taken;
}

/* length publications alike. Returns: how many were taken. */
static size_t write_run(struct posta__kafka_producer *producer, const struct posta_publication *const *batch,
			size_t length)
{
	rd_kafka_message_t messages[RUN_MAX];
	rd_kafka_topic_t *topic = handle_of(producer, batch[0]->target->topic);
	size_t made = 0;

	for (; made < length; made++) {
		messages[made] = bare(batch[made]);
		if (!messages[made]._private)
			break;
	}
	if (!topic || !made)
		return refused(producer, batch[0],
			       topic ? RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE : rd_kafka_last_error());
	rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, is_id(messages[0]._private) ? RD_KAFKA_MSG_F_COPY : 0,
			       messages, (int)made);
	return look_at_run(producer, batch, messages, made);
}

/* -- */

/* The first of batch, or several. Returns: how many were taken, 0: not now. */
static size_t take(struct posta__kafka_producer *producer, const struct posta_publication *const *batch, size_t n,
		   bool makes_topics)
{
	bool refused = false;

	if (makes_topics && (!topic_ready(producer, batch[0], &refused) || refused))
		return refused;
	if (producer->client->transactional)
		return posta__kafka_transaction_admits(&producer->kafka->transaction) &&
		       posta__kafka_producer_write(producer, batch[0]);
	size_t length = run_length(batch, n);
	return length > 1 ? write_run(producer, batch, length) : posta__kafka_producer_write(producer, batch[0]);
}

size_t posta__kafka_producer_take(struct posta__kafka_producer *producer, const struct posta_publication *const *batch,
				  size_t n)
{
	size_t k = 0, taken = 1;

	if (!producer->kafka->up)
		return 0;
	bool makes_topics = posta_bridge_get_options(producer->kafka->bridge)->topic_partitions > 0;
	while (k < n && taken && !producer->kafka->failed)
		k += taken = take(producer, batch + k, n - k, makes_topics);
	if (k < n)
		producer->starved = true;
	return k;
}

void posta__kafka_producer_close(struct posta__kafka_producer *producer)
{
	if (!producer->client)
		return;
	ev_io_stop(producer->kafka->loop, &producer->readable);
	drop_handles(producer);
	posta__kafka_client_close(producer->client);
	producer->client = NULL;
}
