/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ENVELOPE_H
#define POSTA_ENVELOPE_H

/*
 * The one message type of bridges, routes and services: the attributes of a
 * CloudEvent plus what brokers add (key, priority, reply-to, expiry), free
 * headers, and a body that stays opaque bytes until somebody asks for a field.
 *
 * An envelope is reference counted. While its maker holds the only reference it
 * may be changed; once shared it is read-only (posta_envelope_edit gives a copy).
 * Thread: any one at a time while it is being built; after that, any.
 * Source: CloudEvents 1.0.2, sections "Context Attributes" and "Event Data".
 */

#include <posta/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_envelope;

/* Bytes somebody else owns. data is NULL where the thing is absent; len 0 with data set is "empty". */
struct posta_bytes {
	const void *data;
	size_t len;
};

/* The text attributes. Values are UTF-8 without a zero, at most POSTA_ATTRIBUTE_MAX bytes. */
enum posta_attribute {
	POSTA_ATTR_ID,     /* unique with source; at-least-once is deduplicated by it */
	POSTA_ATTR_SOURCE, /* URI reference of the producer */
	POSTA_ATTR_TYPE,   /* reverse-DNS or dotted name: "reserva.creada" */
	POSTA_ATTR_SUBJECT,
	POSTA_ATTR_CONTENT_TYPE, /* of the body: RFC 2046 media type */
	POSTA_ATTR_DATASCHEMA,
	POSTA_ATTR_KEY,            /* ordering and partition key; any bytes */
	POSTA_ATTR_CORRELATION_ID, /* any bytes */
	POSTA_ATTR_REPLY_TO,
	POSTA_ATTR_TRACEPARENT, /* W3C Trace Context, level 1 */
	POSTA_ATTR_TRACESTATE,
	POSTA_ATTR_TOPIC, /* where a bridge read it: Kafka topic, AMQP routing key, MQTT topic */
	POSTA_ATTR_COUNT
};

#define POSTA_ATTRIBUTE_MAX 65535u
#define POSTA_HEADERS_MAX 256u /* free headers an envelope may hold */
#define POSTA_PRIORITY_NONE (-1)
#define POSTA_TIME_NONE INT64_MIN

/* Returns: owned, empty, one reference; NULL when out of memory. */
struct posta_envelope *posta_envelope_new(void);
/* Returns: the same one. Thread: any. */
struct posta_envelope *posta_envelope_ref(struct posta_envelope *envelope);
/* The last one frees it. NULL is allowed. Thread: any. */
void posta_envelope_unref(struct posta_envelope *envelope);

/*
 * Makes *envelope safe to change: itself when this is the only reference, else a
 * copy (the body is shared, not copied) that replaces it; the old reference is released.
 * Errors: POSTA_ENOMEM, *envelope unchanged.
 */
enum posta_err posta_envelope_edit(struct posta_envelope **envelope);

/* Copies value (len bytes; NULL removes). Errors: ENOMEM, ETOOBIG, EINVAL (attribute out of range), ESTATE (shared). */
enum posta_err posta_envelope_set(struct posta_envelope *envelope, enum posta_attribute attribute, const void *value,
				  size_t len);
/* The same for a zero-terminated text. */
enum posta_err posta_envelope_set_text(struct posta_envelope *envelope, enum posta_attribute attribute,
				       const char *text);
/* Borrows: until the envelope is changed or released. The value is also zero-terminated. */
struct posta_bytes posta_envelope_get(const struct posta_envelope *envelope, enum posta_attribute attribute);
/* Returns: borrowed text, "" where absent. */
const char *posta_envelope_text(const struct posta_envelope *envelope, enum posta_attribute attribute);

/* Milliseconds since 1970-01-01 UTC, POSTA_TIME_NONE where absent. */
void posta_envelope_set_time(struct posta_envelope *envelope, int64_t time_ms);
int64_t posta_envelope_time(const struct posta_envelope *envelope);
/* The moment after which nobody wants it, in the same unit; POSTA_TIME_NONE: never. */
void posta_envelope_set_expiry(struct posta_envelope *envelope, int64_t expiry_ms);
int64_t posta_envelope_expiry(const struct posta_envelope *envelope);
/* 0 (least) to 9 (first), or POSTA_PRIORITY_NONE. */
void posta_envelope_set_priority(struct posta_envelope *envelope, int priority);
int posta_envelope_priority(const struct posta_envelope *envelope);

/*
 * The body. _set_body copies; _wrap_body keeps the caller's memory and calls release(context)
 * once, from whichever thread drops the last reference, when nobody needs it any more (also
 * when _wrap_body itself fails). data NULL: no body at all (a Kafka tombstone).
 * Errors: ENOMEM, ESTATE (shared).
 */
enum posta_err posta_envelope_set_body(struct posta_envelope *envelope, const void *data, size_t len);
enum posta_err posta_envelope_wrap_body(struct posta_envelope *envelope, const void *data, size_t len,
					void (*release)(void *context), void *context);
/* Borrows: until the envelope is changed or released. */
struct posta_bytes posta_envelope_body(const struct posta_envelope *envelope);

/*
 * Free headers: name (UTF-8) and value (any bytes), in order, names may repeat.
 * _add appends, _put replaces all of that name, _remove drops all of that name.
 * Errors: ENOMEM, ETOOBIG (more than POSTA_HEADERS_MAX, or longer than POSTA_ATTRIBUTE_MAX), ESTATE (shared).
 */
enum posta_err posta_envelope_add_header(struct posta_envelope *envelope, const char *name, const void *value,
					 size_t len);
enum posta_err posta_envelope_put_header(struct posta_envelope *envelope, const char *name, const void *value,
					 size_t len);
enum posta_err posta_envelope_remove_header(struct posta_envelope *envelope, const char *name);
/* First of that name; data NULL where there is none. Borrows as above. */
struct posta_bytes posta_envelope_header(const struct posta_envelope *envelope, const char *name);
size_t posta_envelope_header_count(const struct posta_envelope *envelope);
/* index < count. Borrows as above. */
const char *posta_envelope_header_at(const struct posta_envelope *envelope, size_t index, struct posta_bytes *value);

/* Bytes it holds on to: attributes, headers and body. */
size_t posta_envelope_size(const struct posta_envelope *envelope);

/* Fills what a CloudEvent must have and lacks: id (UUID v7, RFC 9562), time (now). Errors: ENOMEM, ESTATE. */
enum posta_err posta_envelope_complete(struct posta_envelope *envelope);

/* Writes a fresh UUID v7 in text (37 bytes with its zero). */
void posta_uuid7(char out[37]);

/* RFC 3339, UTC, milliseconds: "2026-11-24T10:00:00.000Z" (25 bytes with its zero). */
void posta_time_format(int64_t time_ms, char out[25]);
/* Accepts any RFC 3339 time. Errors: EFORMAT. */
enum posta_err posta_time_parse(const char *text, size_t len, int64_t *time_ms);

/*
 * Structured mode: the whole envelope as one JSON object (application/cloudevents+json).
 * A JSON body becomes "data", any other "data_base64". Returns: owned, free(); *len without its zero.
 * Source: CloudEvents JSON Event Format 1.0.2.
 */
enum posta_err posta_envelope_to_json(const struct posta_envelope *envelope, char **json, size_t *len);
/*
 * Reads structured mode, and plain JSON as well: a body that is no CloudEvent is kept whole as the body
 * with its "id", "type", "source", "subject" and "time"/"timestamp" taken over as attributes where they are text.
 * Hostile input: bounded depth and size. Errors: EFORMAT with the offset in error, ETOOBIG, ENOMEM.
 */
enum posta_err posta_envelope_from_json(const void *json, size_t len, struct posta_envelope **envelope,
					struct posta_error *error);

/*
 * The form between our own services and on disk: one msgpack map. Returns: owned, free().
 * Hostile input meets a bounded scan first. Errors: EFORMAT, ETOOBIG, ENOMEM.
 */
enum posta_err posta_envelope_to_msgpack(const struct posta_envelope *envelope, void **data, size_t *len);
enum posta_err posta_envelope_from_msgpack(const void *data, size_t len, struct posta_envelope **envelope,
					   struct posta_error *error);

/*
 * One field of the envelope by path, as routes name it: an attribute ("type", "key", "topic", "priority", ...),
 * "header.NAME", or "data.a.b.0" inside a JSON or msgpack body (decoded on the first such question, then kept).
 * Where an attribute is absent and the body is a JSON object of the same field, that field is the answer.
 * kind says which member holds it; text is borrowed until the envelope is changed or released.
 */
enum posta_value_kind {
	POSTA_VALUE_NONE,
	POSTA_VALUE_NULL,
	POSTA_VALUE_BOOL,
	POSTA_VALUE_INT,
	POSTA_VALUE_DOUBLE,
	POSTA_VALUE_TEXT,
	POSTA_VALUE_JSON
};
struct posta_value {
	enum posta_value_kind kind;
	bool boolean;
	int64_t integer;
	double number;
	struct posta_bytes text; /* TEXT: UTF-8; JSON: an object or array, serialised */
};
struct posta_value posta_envelope_field(struct posta_envelope *envelope, const char *path);

#ifdef __cplusplus
}
#endif
#endif
