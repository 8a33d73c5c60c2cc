/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_CLOUDEVENTS_H
#define POSTA_CODEC_CLOUDEVENTS_H

/*
 * The neutral form between an envelope and a protocol, so that a client library's types stay in the file of its
 * bridge. Pure functions. Thread: any one at a time per envelope.
 * Source: CloudEvents 1.0.2, with its Kafka, AMQP and MQTT bindings and its JSON Event Format.
 *
 *   sending:    native properties from posta__wire_native(), time, expiry, priority and key (table below);
 *               posta__wire_encode() for everything else, which also gives the bytes to send
 *   receiving:  posta_envelope_new(); native properties and TOPIC by posta_envelope_set*(); the body by _wrap_body;
 *               then every header through posta__wire_header_in(); at last posta__wire_finish()
 *
 * What a bridge reads from and writes to the protocol's own fields ("native"), in binary and structured mode alike;
 * in raw mode only key, priority and expiry, and nothing else:
 *
 *   Kafka   key = record key, time = record timestamp (ms). The content type is a header and comes by put().
 *   AMQP    wire_native: ID message_id, TYPE type, CONTENT_TYPE content_type, CORRELATION_ID correlation_id,
 *           REPLY_TO reply_to. time = timestamp (whole seconds), priority = priority,
 *           expiry = expiration (posta__wire_ttl_ms() as decimal text)
 *   MQTT 5  wire_native: CONTENT_TYPE, CORRELATION_ID Correlation Data, REPLY_TO Response Topic.
 *           expiry = Message Expiry Interval (posta__wire_ttl_ms() in seconds, rounded up)
 *   MQTT 3  nothing: everything is in the JSON body (and a raw body is the body alone)
 *
 * A header always wins over the native time and expiry, which are coarser. A message past its expiry has a
 * time to live of 0: do not send it, confirm it with EEXPIRED.
 */

#include <posta/bridge.h>
#include <posta/envelope.h>

enum posta__protocol { POSTA__KAFKA, POSTA__AMQP, POSTA__MQTT5, POSTA__MQTT3, POSTA__MEMORY };

#define POSTA__CONTENT_TYPE_CLOUDEVENT "application/cloudevents+json"
#define POSTA__CONTENT_TYPE_BATCH "application/cloudevents-batch+json"

/*
 * One header to be sent; name is zero-terminated, values are valid during the call (not zero-terminated, MQTT
 * excepted). count is 1, but for AMQP, where a name that repeats comes once with all its values in order: a field-array
 * of longstr
 * ('A' of 'S'); one value is a longstr. An error ends the encoding and is returned by it.
 */
typedef enum posta_err posta__wire_put(void *context, const char *name, const struct posta_bytes *values, size_t count);

/* The bytes to send. data NULL: no body at all (Kafka: null value; AMQP, MQTT: empty). */
struct posta__wire_body {
	const void *data;
	size_t len;
	struct posta_bytes content_type; /* for AMQP's and MQTT 5's own field; data NULL: leave it out */
	void *owned;                     /* data points into the envelope where this is NULL */
};

/*
 * Errors: ENOMEM, ETOOBIG (a name or value the protocol can't hold), put's own. On an error body holds nothing.
 * Borrows: body->data is the envelope's as long as owned is NULL.
 */
enum posta_err posta__wire_encode(const struct posta_envelope *envelope, enum posta__protocol protocol,
				  enum posta_format format, posta__wire_put *put, void *context,
				  struct posta__wire_body *body);
void posta__wire_body_fini(struct posta__wire_body *body);

/*
 * The attribute as the protocol's own field; data NULL: leave the field out (absent, or it doesn't fit there and goes
 * as a header). CONTENT_TYPE is not asked here but taken from posta__wire_body. Borrows: from the envelope.
 */
struct posta_bytes posta__wire_native(const struct posta_envelope *envelope, enum posta__protocol protocol,
				      enum posta_attribute attribute);

/* Milliseconds until the expiry, 0: past it, -1: never expires. now_ms: wall clock, posta__wall_ms(). */
int64_t posta__wire_ttl_ms(const struct posta_envelope *envelope, int64_t now_ms);
/* Milliseconds since 1970, now. */
int64_t posta__wall_ms(void);

/*
 * One header as received: an attribute of ours or of a foreign CloudEvent, else a free header. AMQP: call it once per
 * element of a field-array, and with numbers, booleans and times as decimal text, "true"/"false", RFC 3339; nested
 * tables as JSON text. name need not be zero-terminated. Errors: ENOMEM, ETOOBIG (over the envelope's limits).
 */
enum posta_err posta__wire_header_in(struct posta_envelope *envelope, enum posta__protocol protocol, const char *name,
				     size_t name_len, const void *value, size_t len);

/*
 * After the last header. A structured CloudEvent (told by its content type; MQTT 3: by looking into the body) is
 * unpacked: its members become attributes and headers, its data the body. Everything else stays opaque: a malformed
 * structured body is kept as it came, and so is a batch, which is one delivery with one token: splitting is a route's
 * business. *envelope may be replaced. Errors: ENOMEM; *envelope is still whole then.
 */
enum posta_err posta__wire_finish(struct posta_envelope **envelope, enum posta__protocol protocol);

/*
 * The traceparent for the next hop: same trace, new span. random: 64 uniform bits. Returns: false, out untouched, when
 * parent is none by W3C Trace Context level 1.
 */
#define POSTA__TRACEPARENT_SIZE 56
bool posta__trace_next_hop(struct posta_bytes parent, uint64_t random, char out[POSTA__TRACEPARENT_SIZE]);

#endif
