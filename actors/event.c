/* SPDX-License-Identifier: MIT */
/*
 * An event is an envelope whose body is its data as JSON. A received one also keeps the envelope it came in, and
 * gives that body back as long as nobody changes the event: so members which we don't know survive byte by byte.
 */
#include "event.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/scan.h"
#include "bridges/codec/structured.h"
#include "bridges/codec/text.h"
#include "bridges/codec/uuid.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TIMESTAMP "timestamp"
#define FIELD_MAX 256u

struct posta_event {
	_Atomic uint32_t refs;
	_Atomic bool sealed; /* published: others may read it now */
	struct posta_envelope *envelope;
	struct posta_envelope *origin; /* its body is the event on the wire; NULL: made here, or changed */
	char *data;                    /* NULL: none */
	size_t data_len;
};

static struct posta_event *event_new(struct posta_envelope *envelope)
{
	struct posta_event *event = envelope ? calloc(1, sizeof *event) : NULL;
	if (!event) {
		posta_envelope_unref(envelope);
		return NULL;
	}
	atomic_init(&event->refs, 1);
	atomic_init(&event->sealed, false);
	event->envelope = envelope;
	return event;
}

struct posta_event *posta_event_ref(const struct posta_event *event)
{
	struct posta_event *mine = (struct posta_event *)(uintptr_t)event;
	atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
	return mine;
}

void posta_event_unref(const struct posta_event *event)
{
	struct posta_event *mine = (struct posta_event *)(uintptr_t)event;
	if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1)
		return;
	posta_envelope_unref(mine->envelope);
	posta_envelope_unref(mine->origin);
	free(mine->data);
	free(mine);
}

/* The span of the value inside json, copied with a zero behind it. */
static enum posta_err set_data(struct posta_event *event, const void *json, size_t len)
{
	struct posta_bytes value = posta__json_value(json, len);
	event->data = malloc(value.len + 1);
	if (!event->data)
		return POSTA_ENOMEM;
	memcpy(event->data, value.data, value.len);
	event->data[value.len] = 0;
	event->data_len = value.len;
	return POSTA_OK;
}

static enum posta_err fill(struct posta_event *event, const char *type, const char *data_json, const char *source)
{
	struct posta_envelope *envelope = event->envelope;
	size_t len = data_json ? strlen(data_json) : 0;
	enum posta_err err = posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, type);
	if (!err && source)
		err = posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, source);
	if (!err && data_json)
		err = posta__json_scan(data_json, len, NULL);
	if (!err && data_json)
		err = posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	if (!err && data_json)
		err = set_data(event, data_json, len);
	if (!err && data_json)
		err = posta_envelope_set_body(envelope, event->data, event->data_len);
	return err ? err : posta_envelope_complete(envelope);
}

struct posta_event *posta_event_create(const char *type, const char *data_json, const char *source)
{
	if (!type || !*type)
		return NULL;
	struct posta_event *event = event_new(posta_envelope_new());
	if (event && fill(event, type, data_json, source)) {
		posta_event_unref(event);
		return NULL;
	}
	return event;
}

/* -- Changing */

static bool may_change(const struct posta_event *event)
{
	return !atomic_load_explicit(&event->sealed, memory_order_acquire);
}

/* After a change the text it came as is no longer the event. */
static enum posta_err changed(struct posta_event *event, enum posta_err err)
{
	if (!err) {
		posta_envelope_unref(event->origin);
		event->origin = NULL;
	}
	return err;
}

static enum posta_err set(struct posta_event *event, enum posta_attribute attribute, const char *text)
{
	if (!may_change(event))
		return POSTA_ESTATE;
	enum posta_err err = posta_envelope_edit(&event->envelope);
	if (!err)
		err = posta_envelope_set(event->envelope, attribute, text, text ? strlen(text) : 0);
	return changed(event, err);
}

enum posta_err posta_event_set_id(struct posta_event *event, const char *id)
{
	return set(event, POSTA_ATTR_ID, id);
}

enum posta_err posta_event_set_key(struct posta_event *event, const char *key)
{
	return set(event, POSTA_ATTR_KEY, key);
}

enum posta_err posta_event_set_subject(struct posta_event *event, const char *subject)
{
	return set(event, POSTA_ATTR_SUBJECT, subject);
}

enum posta_err posta_event_set_correlation_id(struct posta_event *event, const char *correlation_id)
{
	return set(event, POSTA_ATTR_CORRELATION_ID, correlation_id);
}

enum posta_err posta_event_set_traceparent(struct posta_event *event, const char *traceparent)
{
	return set(event, POSTA_ATTR_TRACEPARENT, traceparent);
}

enum posta_err posta_event_set_time(struct posta_event *event, int64_t time_ms)
{
	if (!may_change(event))
		return POSTA_ESTATE;
	enum posta_err err = posta_envelope_edit(&event->envelope);
	if (!err)
		posta_envelope_set_time(event->envelope, time_ms);
	return changed(event, err);
}

static bool is_extension(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
	return len && !name[len] && strcmp(name, TIMESTAMP) != 0 && strcmp(name, "data") != 0;
}

enum posta_err posta_event_set_header(struct posta_event *event, const char *name, const char *value)
{
	if (!may_change(event))
		return POSTA_ESTATE;
	if (!name || !is_extension(name))
		return POSTA_EINVAL;
	enum posta_err err = posta_envelope_edit(&event->envelope);
	if (!err && value)
		err = posta_envelope_put_header(event->envelope, name, value, strlen(value));
	else if (!err)
		err = posta_envelope_remove_header(event->envelope, name);
	return changed(event, err);
}

/* -- Reading */

const char *posta_event_id(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_ID);
}

const char *posta_event_type(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_TYPE);
}

const char *posta_event_source(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_SOURCE);
}

const char *posta_event_subject(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_SUBJECT);
}

const char *posta_event_correlation_id(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_CORRELATION_ID);
}

const char *posta_event_traceparent(const struct posta_event *event)
{
	return posta_envelope_text(event->envelope, POSTA_ATTR_TRACEPARENT);
}

const char *posta_event_key(const struct posta_event *event)
{
	static const enum posta_attribute order[] = { POSTA_ATTR_KEY, POSTA_ATTR_SUBJECT };
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		if (posta_envelope_get(event->envelope, order[i]).len)
			return posta_envelope_text(event->envelope, order[i]);
	return posta_event_id(event);
}

const char *posta_event_header(const struct posta_event *event, const char *name)
{
	return posta_envelope_header(event->envelope, name).data;
}

int64_t posta_event_time(const struct posta_event *event)
{
	return posta_envelope_time(event->envelope);
}

const char *posta_event_data(const struct posta_event *event, size_t *len)
{
	if (len)
		*len = event->data ? event->data_len : 4;
	return event->data ? event->data : "null";
}

const char *posta_event_data_text(const struct posta_event *event, const char *path, char *out, size_t size)
{
	char field[FIELD_MAX] = "data.";
	size_t len = strlen(path);
	if (len >= sizeof field - 5)
		return NULL;
	memcpy(field + 5, path, len + 1);
	struct posta_value value = posta_envelope_field(event->envelope, field);
	if (value.kind != POSTA_VALUE_TEXT || value.text.len >= size)
		return NULL;
	memcpy(out, value.text.data, value.text.len);
	out[value.text.len] = 0;
	return out;
}

/* -- On the wire */

static enum posta_err write_json(const struct posta_event *event, struct posta__buffer *buffer)
{
	char time[25];
	enum posta_err err = posta__structured_write(event->envelope, false, buffer);
	if (err)
		return err;
	posta_time_format(posta_event_time(event), time);
	buffer->len--; /* the brace */
	posta__buffer_text(buffer, ",\"" TIMESTAMP "\":\"");
	posta__buffer_text(buffer, time);
	posta__buffer_text(buffer, "\"}");
	return posta__buffer_finish(buffer) ? POSTA_OK : POSTA_ENOMEM;
}

enum posta_err posta_event_to_json(const struct posta_event *event, char **json, size_t *len)
{
	struct posta__buffer buffer = { 0 };
	enum posta_err err = POSTA_OK;
	if (event->origin) {
		struct posta_bytes body = posta_envelope_body(event->origin);
		posta__buffer_add(&buffer, body.data, body.len);
		err = posta__buffer_finish(&buffer) ? POSTA_OK : POSTA_ENOMEM;
	} else {
		err = write_json(event, &buffer);
	}
	if (err)
		return err;
	*json = buffer.data;
	if (len)
		*len = buffer.len;
	return POSTA_OK;
}

/* Publishing is a hop of the trace, as in a bridge; here the trace is in the body. One parent is as long as another. */
static void next_hop(char *json, size_t len)
{
	struct posta_bytes raw = posta__json_member(posta__json_value(json, len), "traceparent", 11);
	char text[POSTA__TRACEPARENT_SIZE];
	uint64_t random;
	if (!posta__json_is_text(raw) || raw.len != sizeof text + 1)
		return;
	char *parent = json + ((const char *)raw.data - json) + 1;
	posta__random_bytes(&random, sizeof random);
	if (posta__trace_next_hop((struct posta_bytes){ parent, sizeof text - 1 }, random, text))
		memcpy(parent, text, sizeof text - 1);
}

enum posta_err posta__event_to_envelope(struct posta_event *event, struct posta_envelope **envelope)
{
	struct posta_envelope *made = posta_envelope_new();
	const char *key = posta_event_key(event);
	char *json;
	size_t len;
	enum posta_err err = made ? posta_event_to_json(event, &json, &len) : POSTA_ENOMEM;
	if (!err) {
		next_hop(json, len);
		err = posta_envelope_wrap_body(made, json, len, free, json);
	}
	if (!err)
		err = posta_envelope_set_text(made, POSTA_ATTR_KEY, key);
	if (!err)
		err = posta_envelope_set_text(made, POSTA_ATTR_CONTENT_TYPE, "application/cloudevents+json");
	if (err) {
		posta_envelope_unref(made);
		return err;
	}
	atomic_store_explicit(&event->sealed, true, memory_order_release);
	*envelope = made;
	return POSTA_OK;
}

/* {"type", "data"} of a Node service becomes a CloudEvent by the one member it lacks. */
static enum posta_err read_plain(const char *json, size_t len, struct posta_envelope **envelope,
				 struct posta_error *error)
{
	static const char version[] = "{\"specversion\":\"1.0\",";
	struct posta__buffer buffer = { 0 };
	struct posta_bytes object = posta__json_value(json, len);
	posta__buffer_text(&buffer, version);
	posta__buffer_add(&buffer, (const char *)object.data + 1, object.len - 1);
	if (!posta__buffer_finish(&buffer))
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for an event");
	enum posta_err err = posta_envelope_from_json(buffer.data, buffer.len, envelope, error);
	free(buffer.data);
	return err;
}

static enum posta_err read_body(const void *json, size_t len, bool *whole, struct posta_envelope **envelope,
				struct posta_error *error)
{
	enum posta_err err = posta__json_check(json, len, error);
	if (err)
		return err;
	struct posta_bytes object = posta__json_value(json, len);
	bool is_object = *(const char *)object.data == '{';
	bool versioned = is_object && posta__json_is_text(posta__json_member(object, "specversion", 11));
	bool typed = is_object && posta__json_is_text(posta__json_member(object, "type", 4)) &&
		     posta__json_member(object, "data", 4).data;
	*whole = versioned && posta__json_is_text(posta__json_member(object, "id", 2));
	if (!versioned && typed)
		return read_plain(json, len, envelope, error);
	return posta_envelope_from_json(json, len, envelope, error);
}

/* What the broker's own fields say besides the body. */
static enum posta_err overlay(struct posta_envelope *envelope, const struct posta_envelope *delivered)
{
	static const enum posta_attribute natives[] = { POSTA_ATTR_KEY, POSTA_ATTR_TOPIC, POSTA_ATTR_TRACEPARENT };
	enum posta_err err = POSTA_OK;
	for (size_t i = 0; !err && i < sizeof natives / sizeof natives[0]; i++) {
		struct posta_bytes value = posta_envelope_get(delivered, natives[i]);
		if (value.data)
			err = posta_envelope_set(envelope, natives[i], value.data, value.len);
	}
	return err;
}

static enum posta_err finish(struct posta_event *event, const struct posta_envelope *delivered,
			     struct posta_error *error)
{
	enum posta_err err = posta_envelope_edit(&event->envelope);
	struct posta_bytes body = posta_envelope_body(event->envelope);
	size_t offset;
	if (body.len && posta__json_scan(body.data, body.len, &offset)) /* also what came in base64, or as a text */
		return posta_error_set(error, POSTA_EFORMAT, "the data is not JSON, at byte %zu", offset);
	if (!err)
		err = overlay(event->envelope, delivered);
	if (!err)
		err = posta_envelope_remove_header(event->envelope, TIMESTAMP);
	if (!err)
		err = posta_envelope_complete(event->envelope);
	if (!err && body.len)
		err = set_data(event, body.data, body.len);
	return err ? posta_error_set(error, err, "an event: %s", posta_strerror(err)) : POSTA_OK;
}

/* A binary CloudEvent: attributes in headers, or structured and unpacked by its bridge. */
static bool is_unpacked(const struct posta_envelope *envelope)
{
	struct posta_bytes body = posta_envelope_body(envelope);
	if (!posta_envelope_get(envelope, POSTA_ATTR_TYPE).len)
		return false;
	if (posta__json_scan(body.data, body.len, NULL))
		return true;
	struct posta_bytes value = posta__json_value(body.data, body.len);
	return *(const char *)value.data != '{' || !posta__json_is_text(posta__json_member(value, "specversion", 11));
}

enum posta_err posta__event_from_envelope(struct posta_envelope *envelope, struct posta_event **event,
					  struct posta_error *error)
{
	struct posta_envelope *read = NULL;
	struct posta_bytes body = posta_envelope_body(envelope);
	bool whole = false, unpacked = is_unpacked(envelope);
	enum posta_err err = unpacked ? POSTA_OK : read_body(body.data, body.len, &whole, &read, error);
	if (err)
		return err;
	struct posta_event *made = event_new(unpacked ? posta_envelope_ref(envelope) : read);
	err = made ? finish(made, envelope, error) : posta_error_set(error, POSTA_ENOMEM, "out of memory for an event");
	if (err) {
		posta_event_unref(made);
		return err;
	}
	if (whole)
		made->origin = posta_envelope_ref(envelope);
	*event = made;
	return POSTA_OK;
}

enum posta_err posta_event_from_json(const char *json, size_t len, struct posta_event **event,
				     struct posta_error *error)
{
	struct posta_envelope *envelope = posta_envelope_new();
	enum posta_err err = envelope ? posta_envelope_set_body(envelope, json, len) : POSTA_ENOMEM;
	if (err)
		posta_error_set(error, err, "an event: %s", posta_strerror(err));
	else
		err = posta__event_from_envelope(envelope, event, error);
	posta_envelope_unref(envelope);
	return err;
}
