/* SPDX-License-Identifier: MIT */
#include "bridges/amqp_codec.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_MAX (POSTA_HEADERS_MAX + 64u)
#define PERSISTENT 2
/* Seconds since 1970 beyond the year 5138 are taken for the milliseconds that some clients put there. */
#define SECONDS_MAX UINT64_C(100000000000)

/* -- envelope to properties */

/* One header table under construction; the names and values lie in scratch. */
struct table {
	struct posta__amqp_scratch *scratch;
	size_t entry_count, value_count;
	amqp_table_entry_t entries[ENTRIES_MAX];
	amqp_field_value_t values[ENTRIES_MAX]; /* of the arrays */
};

static bool keep(struct posta__amqp_scratch *scratch, const void *data, size_t len, amqp_bytes_t *kept)
{
	if (len > scratch->size - scratch->used)
		return false;
	kept->bytes = scratch->bytes + scratch->used;
	kept->len = len;
	if (len)
		memcpy(kept->bytes, data, len);
	scratch->used += len;
	return true;
}

static bool keep_value(struct table *table, struct posta_bytes bytes, amqp_field_value_t *value)
{
	value->kind = AMQP_FIELD_KIND_UTF8;
	return keep(table->scratch, bytes.data, bytes.len, &value->value.bytes);
}

static enum posta_err put_header(void *context, const char *name, const struct posta_bytes *values, size_t count)
{
	struct table *table = context;
	size_t name_len = strlen(name);

	if (name_len > UINT8_MAX || table->entry_count == ENTRIES_MAX || count > ENTRIES_MAX - table->value_count)
		return POSTA_ETOOBIG;
	amqp_table_entry_t *entry = &table->entries[table->entry_count];

	if (!keep(table->scratch, name, name_len, &entry->key))
		return POSTA_ETOOBIG;
	table->entry_count++;
	if (count == 1)
		return keep_value(table, values[0], &entry->value) ? POSTA_OK : POSTA_ETOOBIG;
	entry->value.kind = AMQP_FIELD_KIND_ARRAY;
	entry->value.value.array.num_entries = (int)count;
	entry->value.value.array.entries = table->values + table->value_count;
	for (size_t i = 0; i < count; i++)
		if (!keep_value(table, values[i], &table->values[table->value_count++]))
			return POSTA_ETOOBIG;
	return POSTA_OK;
}

static void set_bytes(amqp_basic_properties_t *properties, amqp_flags_t flag, amqp_bytes_t *field,
		      struct posta_bytes value)
{
	if (!value.data || value.len > UINT8_MAX)
		return;
	properties->_flags |= flag;
	field->bytes = (void *)(uintptr_t)value.data;
	field->len = value.len;
}

static struct posta_bytes native(const struct posta_envelope *envelope, enum posta_attribute attribute)
{
	return posta__wire_native(envelope, POSTA__AMQP, attribute);
}

static void set_natives(amqp_basic_properties_t *p, const struct posta_envelope *envelope)
{
	int64_t time_ms = posta_envelope_time(envelope);

	set_bytes(p, AMQP_BASIC_MESSAGE_ID_FLAG, &p->message_id, native(envelope, POSTA_ATTR_ID));
	set_bytes(p, AMQP_BASIC_TYPE_FLAG, &p->type, native(envelope, POSTA_ATTR_TYPE));
	set_bytes(p, AMQP_BASIC_CORRELATION_ID_FLAG, &p->correlation_id, native(envelope, POSTA_ATTR_CORRELATION_ID));
	set_bytes(p, AMQP_BASIC_REPLY_TO_FLAG, &p->reply_to, native(envelope, POSTA_ATTR_REPLY_TO));
	if (time_ms != POSTA_TIME_NONE && time_ms >= 0) {
		p->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
		p->timestamp = (uint64_t)time_ms / 1000;
	}
}

/* What the broker itself acts on, in every format. ttl: decimal text of the expiration. */
static void set_common(amqp_basic_properties_t *p, const struct posta_envelope *envelope, int64_t ttl_ms, char ttl[24])
{
	int priority = posta_envelope_priority(envelope);

	p->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
	p->delivery_mode = PERSISTENT;
	if (priority >= 0) {
		p->_flags |= AMQP_BASIC_PRIORITY_FLAG;
		p->priority = (uint8_t)priority;
	}
	if (ttl_ms >= 0) {
		/*
		 * The broker refuses more than 32 bits: 49 days stand for ever here, the header has the exact moment.
		 */
		int len = snprintf(ttl, 24, "%" PRId64, ttl_ms < UINT32_MAX ? ttl_ms : (int64_t)UINT32_MAX);
		set_bytes(p, AMQP_BASIC_EXPIRATION_FLAG, &p->expiration, (struct posta_bytes){ ttl, (size_t)len });
	}
}

static enum posta_err encode_all(const struct posta_envelope *envelope, enum posta_format format, int64_t ttl_ms,
				 struct table *table, amqp_bytes_t out, size_t *len, struct posta__wire_body *body,
				 const char **why)
{
	amqp_basic_properties_t p = { 0 };
	char ttl[24];
	enum posta_err code = posta__wire_encode(envelope, POSTA__AMQP, format, put_header, table, body);

	if (code) {
		*why = code == POSTA_ETOOBIG ? "a header is too long for AMQP, or all together for one frame"
					     : posta_strerror(code);
		return code;
	}
	set_common(&p, envelope, ttl_ms, ttl);
	if (format != POSTA_FORMAT_RAW)
		set_natives(&p, envelope);
	set_bytes(&p, AMQP_BASIC_CONTENT_TYPE_FLAG, &p.content_type, body->content_type);
	if (table->entry_count) {
		p._flags |= AMQP_BASIC_HEADERS_FLAG;
		p.headers.num_entries = (int)table->entry_count;
		p.headers.entries = table->entries;
	}
	int used = amqp_encode_properties(AMQP_BASIC_CLASS, &p, out);

	if (used < 0) {
		posta__wire_body_fini(body);
		*why = "headers and properties do not fit into one frame";
		return POSTA_ETOOBIG;
	}
	*len = (size_t)used;
	return POSTA_OK;
}

enum posta_err posta__amqp_properties_encode(const struct posta_envelope *envelope, enum posta_format format,
					     int64_t now_ms, struct posta__amqp_scratch *scratch, uint8_t *out,
					     size_t size, size_t *len, struct posta__wire_body *body, const char **why)
{
	int64_t ttl_ms = posta__wire_ttl_ms(envelope, now_ms);
	struct table table;

	if (ttl_ms == 0) {
		*why = "expired before it was sent";
		return POSTA_EEXPIRED;
	}
	scratch->used = 0;
	table.scratch = scratch;
	table.entry_count = table.value_count = 0;
	return encode_all(envelope, format, ttl_ms, &table, (amqp_bytes_t){ size, out }, len, body, why);
}

/* -- properties to envelope */

static enum posta_err take(struct posta_envelope *envelope, enum posta_attribute attribute,
			   const amqp_basic_properties_t *p, amqp_flags_t flag, amqp_bytes_t value)
{
	return p->_flags & flag ? posta_envelope_set(envelope, attribute, value.bytes ? value.bytes : "", value.len)
				: POSTA_OK;
}

static void take_time(struct posta_envelope *envelope, uint64_t timestamp)
{
	if (timestamp < SECONDS_MAX)
		posta_envelope_set_time(envelope, (int64_t)timestamp * 1000);
	else if (timestamp < SECONDS_MAX * 1000)
		posta_envelope_set_time(envelope, (int64_t)timestamp);
}

static void take_expiration(struct posta_envelope *envelope, amqp_bytes_t text, int64_t now_ms)
{
	int64_t ttl_ms = 0;

	if (!text.len || text.len > 10)
		return;
	for (size_t i = 0; i < text.len; i++) {
		char digit = ((const char *)text.bytes)[i];

		if (digit < '0' || digit > '9')
			return;
		ttl_ms = ttl_ms * 10 + (digit - '0');
	}
	posta_envelope_set_expiry(envelope, now_ms + ttl_ms);
}

static enum posta_err take_natives(struct posta_envelope *e, const amqp_basic_properties_t *p, int64_t now_ms)
{
	enum posta_err code;

	if ((code = take(e, POSTA_ATTR_ID, p, AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id)) ||
	    (code = take(e, POSTA_ATTR_TYPE, p, AMQP_BASIC_TYPE_FLAG, p->type)) ||
	    (code = take(e, POSTA_ATTR_CONTENT_TYPE, p, AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type)) ||
	    (code = take(e, POSTA_ATTR_CORRELATION_ID, p, AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id)) ||
	    (code = take(e, POSTA_ATTR_REPLY_TO, p, AMQP_BASIC_REPLY_TO_FLAG, p->reply_to)))
		return code;
	if (p->_flags & AMQP_BASIC_TIMESTAMP_FLAG)
		take_time(e, p->timestamp);
	if (p->_flags & AMQP_BASIC_PRIORITY_FLAG)
		posta_envelope_set_priority(e, p->priority > 9 ? 9 : p->priority);
	if (p->_flags & AMQP_BASIC_EXPIRATION_FLAG)
		take_expiration(e, p->expiration, now_ms);
	return POSTA_OK;
}

static struct json_object *to_json(const amqp_field_value_t *value);

static struct json_object *table_to_json(const amqp_table_t *table)
{
	struct json_object *object = json_object_new_object();
	char key[UINT8_MAX + 1];

	for (int i = 0; object && i < table->num_entries; i++) {
		amqp_bytes_t name = table->entries[i].key;

		memcpy(key, name.bytes, name.len);
		key[name.len] = '\0';
		json_object_object_add(object, key, to_json(&table->entries[i].value));
	}
	return object;
}

static struct json_object *array_to_json(const amqp_array_t *array)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; list && i < array->num_entries; i++)
		json_object_array_add(list, to_json(&array->entries[i]));
	return list;
}

/* The whole number in a value; false where it holds none. */
static bool to_integer(const amqp_field_value_t *value, int64_t *number)
{
	switch (value->kind) {
	case AMQP_FIELD_KIND_I8:
		*number = value->value.i8;
		return true;
	case AMQP_FIELD_KIND_U8:
		*number = value->value.u8;
		return true;
	case AMQP_FIELD_KIND_I16:
		*number = value->value.i16;
		return true;
	case AMQP_FIELD_KIND_U16:
		*number = value->value.u16;
		return true;
	case AMQP_FIELD_KIND_I32:
		*number = value->value.i32;
		return true;
	case AMQP_FIELD_KIND_U32:
		*number = value->value.u32;
		return true;
	case AMQP_FIELD_KIND_I64:
		*number = value->value.i64;
		return true;
	default:
		return false;
	}
}

/* A value that is no string, array or table, as text. Returns: its length. */
static size_t scalar_text(const amqp_field_value_t *value, char out[64])
{
	int64_t number;

	if (to_integer(value, &number))
		return (size_t)snprintf(out, 64, "%" PRId64, number);
	switch (value->kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
		return (size_t)snprintf(out, 64, "%s", value->value.boolean ? "true" : "false");
	case AMQP_FIELD_KIND_U64:
		return (size_t)snprintf(out, 64, "%" PRIu64, value->value.u64);
	case AMQP_FIELD_KIND_F32:
		return (size_t)snprintf(out, 64, "%.9g", (double)value->value.f32);
	case AMQP_FIELD_KIND_F64:
		return (size_t)snprintf(out, 64, "%.17g", value->value.f64);
	case AMQP_FIELD_KIND_DECIMAL:
		return (size_t)snprintf(out, 64, "%" PRIu32 "e-%u", value->value.decimal.value,
					value->value.decimal.decimals);
	case AMQP_FIELD_KIND_TIMESTAMP:
		if (value->value.u64 >= SECONDS_MAX)
			return (size_t)snprintf(out, 64, "%" PRIu64, value->value.u64);
		posta_time_format((int64_t)value->value.u64 * 1000, out);
		return strlen(out);
	default:
		return 0;
	}
}

static struct json_object *to_json(const amqp_field_value_t *value)
{
	int64_t number;
	char text[64];

	if (to_integer(value, &number))
		return json_object_new_int64(number);
	switch (value->kind) {
	case AMQP_FIELD_KIND_TABLE:
		return table_to_json(&value->value.table);
	case AMQP_FIELD_KIND_ARRAY:
		return array_to_json(&value->value.array);
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		return json_object_new_string_len(value->value.bytes.bytes ? value->value.bytes.bytes : "",
						  (int)value->value.bytes.len);
	case AMQP_FIELD_KIND_BOOLEAN:
		return json_object_new_boolean(value->value.boolean);
	case AMQP_FIELD_KIND_F64:
		return json_object_new_double(value->value.f64);
	case AMQP_FIELD_KIND_VOID:
		return NULL;
	default:
		scalar_text(value, text);
		return json_object_new_string(text);
	}
}

static enum posta_err take_text(struct posta_envelope *envelope, amqp_bytes_t key, const void *text, size_t len)
{
	return posta__wire_header_in(envelope, POSTA__AMQP, key.bytes ? key.bytes : "", key.len, text, len);
}

static enum posta_err take_nested(struct posta_envelope *envelope, amqp_bytes_t key, const amqp_field_value_t *value)
{
	struct json_object *json = to_json(value);
	size_t len;
	const char *text = json ? json_object_to_json_string_length(json, JSON_C_TO_STRING_PLAIN, &len) : NULL;
	enum posta_err code = text ? take_text(envelope, key, text, len) : POSTA_ENOMEM;

	json_object_put(json);
	return code;
}

static enum posta_err take_value(struct posta_envelope *envelope, amqp_bytes_t key, const amqp_field_value_t *value)
{
	char text[64];

	switch (value->kind) {
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		return take_text(envelope, key, value->value.bytes.bytes ? value->value.bytes.bytes : "",
				 value->value.bytes.len);
	case AMQP_FIELD_KIND_TABLE:
	case AMQP_FIELD_KIND_ARRAY:
		return take_nested(envelope, key, value);
	default:
		return take_text(envelope, key, text, scalar_text(value, text));
	}
}

static enum posta_err take_header(struct posta_envelope *envelope, const amqp_table_entry_t *entry)
{
	enum posta_err code = POSTA_OK;

	if (entry->value.kind != AMQP_FIELD_KIND_ARRAY)
		return take_value(envelope, entry->key, &entry->value);
	for (int i = 0; !code && i < entry->value.value.array.num_entries; i++)
		code = take_value(envelope, entry->key, &entry->value.value.array.entries[i]);
	return code;
}

static enum posta_err take_all(struct posta_envelope *envelope, const amqp_basic_properties_t *p,
			       amqp_bytes_t routing_key, int64_t now_ms)
{
	enum posta_err code = posta_envelope_set(envelope, POSTA_ATTR_TOPIC, routing_key.bytes, routing_key.len);

	if (!code)
		code = take_natives(envelope, p, now_ms);
	if (!(p->_flags & AMQP_BASIC_HEADERS_FLAG))
		return code;
	for (int i = 0; !code && i < p->headers.num_entries; i++)
		code = take_header(envelope, &p->headers.entries[i]);
	return code;
}

enum posta_err posta__amqp_properties_decode(amqp_bytes_t properties, amqp_bytes_t routing_key, int64_t now_ms,
					     amqp_pool_t *pool, struct posta_envelope **out, const char **why)
{
	void *decoded = NULL;

	if (!posta__amqp_properties_ok(properties.bytes, properties.len) ||
	    amqp_decode_properties(AMQP_BASIC_CLASS, pool, properties, &decoded) < 0) {
		*why = "malformed properties or headers";
		return POSTA_EFORMAT;
	}
	struct posta_envelope *envelope = posta_envelope_new();
	enum posta_err code = envelope ? take_all(envelope, decoded, routing_key, now_ms) : POSTA_ENOMEM;

	if (code) {
		posta_envelope_unref(envelope);
		*why = code == POSTA_ETOOBIG ? "more or longer headers than an envelope holds" : posta_strerror(code);
		return code;
	}
	*out = envelope;
	return POSTA_OK;
}
