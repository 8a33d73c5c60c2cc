/* SPDX-License-Identifier: MIT */
#include "structured.h"

#include "../envelope.h"
#include "attribute.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS "postaheaders"
#define BASE64 "base64"
#define VALUE_BITS 1
#define NAME_BITS 2

/* -- Writing */

/* Names an extension attribute can't have, for they mean something else here. */
static bool is_reserved(const char *name, size_t len, bool with_topic)
{
	enum posta__kind kind = posta__kind_of(name, len);
	if (kind == (enum posta__kind)POSTA_ATTR_TOPIC)
		return with_topic;
	if (kind != POSTA__KIND_FREE)
		return true;
	size_t mark = sizeof BASE64 - 1;
	if (len > mark && memcmp(name + len - mark, BASE64, mark) == 0)
		return posta__kind_of(name, len - mark) != POSTA__KIND_FREE;
	return (len == 4 && memcmp(name, "data", 4) == 0) ||
	       (len == sizeof HEADERS - 1 && memcmp(name, HEADERS, len) == 0);
}

/* Source: CloudEvents 1.0.2, "Naming Conventions": lower-case letters and digits. */
static bool is_extension_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9')))
			return false;
	return len > 0;
}

static bool all_are_extensions(const struct posta_envelope *envelope, bool with_topic)
{
	for (size_t i = 0; i < envelope->header_count; i++) {
		const struct posta__header *header = &envelope->headers[i];
		if (!is_extension_name(header->name, header->name_len) ||
		    is_reserved(header->name, header->name_len, with_topic) ||
		    !posta__utf8_valid(header->value, header->value_len) ||
		    posta__envelope_header(envelope, header->name, header->name_len).data != header->value)
			return false;
	}
	return true;
}

static void write_text(struct posta__buffer *buffer, const void *value, size_t len, bool base64)
{
	if (base64)
		posta__buffer_base64(buffer, value, len);
	else
		posta__buffer_json(buffer, value, len);
}

static void write_kind(const struct posta_envelope *envelope, unsigned kind, struct posta__buffer *buffer)
{
	char scratch[POSTA__KIND_SCRATCH];
	struct posta_bytes value = posta__kind_get(envelope, kind, scratch);
	if (!value.data)
		return;
	bool base64 = !posta__utf8_valid(value.data, value.len);
	posta__buffer_text(buffer, ",\"");
	posta__buffer_text(buffer, posta__kind_names[kind]);
	posta__buffer_text(buffer, base64 ? BASE64 "\":" : "\":");
	if (kind == POSTA__KIND_PRIORITY)
		posta__buffer_add(buffer, value.data, value.len);
	else
		write_text(buffer, value.data, value.len, base64);
}

static void write_headers_text(const struct posta_envelope *envelope, struct posta__buffer *buffer)
{
	struct posta__buffer list = { 0 };
	for (size_t i = 0; i < envelope->header_count; i++) {
		const struct posta__header *header = &envelope->headers[i];
		int bits = (posta__utf8_valid(header->value, header->value_len) ? 0 : VALUE_BITS) |
			   (posta__utf8_valid(header->name, header->name_len) ? 0 : NAME_BITS);
		posta__buffer_text(&list, i ? ",[" : "[[");
		write_text(&list, header->name, header->name_len, bits & NAME_BITS);
		posta__buffer_text(&list, ",");
		write_text(&list, header->value, header->value_len, bits & VALUE_BITS);
		posta__buffer_add(&list, bits ? (const char[]){ ',', (char)('0' + bits) } : "", bits ? 2 : 0);
		posta__buffer_text(&list, "]");
	}
	posta__buffer_text(&list, "]");
	buffer->failed |= list.failed;
	posta__buffer_text(buffer, ",\"" HEADERS "\":");
	if (!list.failed)
		posta__buffer_json(buffer, list.data, list.len);
	free(list.data);
}

static void write_headers(const struct posta_envelope *envelope, bool with_topic, struct posta__buffer *buffer)
{
	if (envelope->header_count && !all_are_extensions(envelope, with_topic)) {
		write_headers_text(envelope, buffer);
		return;
	}
	for (size_t i = 0; i < envelope->header_count; i++) {
		const struct posta__header *header = &envelope->headers[i];
		posta__buffer_text(buffer, ",");
		posta__buffer_json(buffer, header->name, header->name_len);
		posta__buffer_text(buffer, ":");
		posta__buffer_json(buffer, header->value, header->value_len);
	}
}

/*
 * Of a body that says it is JSON the white space around it is dropped; one that says nothing is JSON only if there is
 * none, so that no byte of a text is lost that looks like JSON by chance.
 */
static bool is_json(struct posta_bytes type, struct posta_bytes body, struct posta_bytes *value)
{
	if ((type.data && !posta__media_type_json(type)) || posta__json_scan(body.data, body.len, NULL))
		return false;
	*value = posta__json_value(body.data, body.len);
	return type.data || value->len == body.len;
}

static void write_data(const struct posta_envelope *envelope, struct posta__buffer *buffer)
{
	struct posta_bytes body = envelope->body;
	struct posta_bytes value;
	if (!body.data)
		return;
	if (is_json(posta_envelope_get(envelope, POSTA_ATTR_CONTENT_TYPE), body, &value)) {
		posta__buffer_text(buffer, ",\"data\":");
		posta__buffer_add(buffer, value.data, value.len);
	} else {
		posta__buffer_text(buffer, ",\"data_base64\":");
		posta__buffer_base64(buffer, body.data, body.len);
	}
}

enum posta_err posta__structured_write(const struct posta_envelope *envelope, bool with_topic,
				       struct posta__buffer *buffer)
{
	posta__buffer_reserve(buffer, 512 + envelope->body.len);
	posta__buffer_text(buffer, "{\"specversion\":\"1.0\"");
	for (unsigned kind = 0; kind < POSTA__KIND_COUNT; kind++)
		if (kind != POSTA__KIND_SPECVERSION && (with_topic || kind != POSTA_ATTR_TOPIC))
			write_kind(envelope, kind, buffer);
	write_headers(envelope, with_topic, buffer);
	write_data(envelope, buffer);
	posta__buffer_text(buffer, "}");
	return posta__buffer_finish(buffer) ? POSTA_OK : POSTA_ENOMEM;
}

enum posta_err posta_envelope_to_json(const struct posta_envelope *envelope, char **json, size_t *len)
{
	struct posta__buffer buffer = { 0 };
	enum posta_err err = posta__structured_write(envelope, true, &buffer);
	if (err)
		return err;
	*json = buffer.data;
	if (len)
		*len = buffer.len;
	return POSTA_OK;
}

/* -- Reading */

struct reader {
	struct posta_envelope *envelope;
	bool with_topic;
	size_t headers_before;
	char *name; /* both have room for the whole text */
	char *value;
	struct posta_bytes data;
	struct posta_bytes data_base64;
	struct posta_bytes content_type; /* raw, with its quotes */
	bool content_type_base64;
};

static bool is_null(struct posta_bytes value)
{
	return value.len == 4 && memcmp(value.data, "null", 4) == 0;
}

/* A string's text, or of anything else its JSON. */
static struct posta_bytes plain_text(struct posta_bytes value, char *scratch)
{
	if (!posta__json_is_text(value))
		return value;
	return (struct posta_bytes){ scratch, posta__json_unescape(value, scratch) };
}

static enum posta_err add_extension(struct reader *reader, const char *name, size_t name_len, struct posta_bytes value)
{
	for (size_t i = 0; i < reader->headers_before; i++) {
		const struct posta__header *header = &reader->envelope->headers[i];
		if (header->name_len == name_len && memcmp(header->name, name, name_len) == 0)
			return POSTA_OK;
	}
	return posta__envelope_add_header(reader->envelope, name, name_len, value.data, value.len);
}

static bool decode(struct posta_bytes *text, bool base64)
{
	return !base64 || posta__base64_decode(text->data, text->len, (void *)(uintptr_t)text->data, &text->len);
}

/* One [name, value, bits]; what is malformed is passed over. */
static enum posta_err add_listed(struct reader *reader, struct posta_bytes entry, char *scratch)
{
	struct posta__json_walk walk;
	struct posta_bytes parts[3] = { { NULL, 0 } };
	if (!posta__json_walk(&walk, entry) || walk.object)
		return POSTA_OK;
	for (size_t i = 0; i < 3 && posta__json_next(&walk); i++)
		parts[i] = walk.value;
	if (!posta__json_is_text(parts[0]) || !posta__json_is_text(parts[1]))
		return POSTA_OK;
	int bits = parts[2].len == 1 ? *(const char *)parts[2].data - '0' : 0;
	struct posta_bytes name = plain_text(parts[0], scratch);
	struct posta_bytes value = plain_text(parts[1], scratch + name.len);
	if (!decode(&name, bits & NAME_BITS) || !decode(&value, bits & VALUE_BITS))
		return POSTA_OK;
	return posta__envelope_add_header(reader->envelope, name.data, name.len, value.data, value.len);
}

static enum posta_err add_headers_text(struct reader *reader, struct posta_bytes text)
{
	struct posta__json_walk walk;
	enum posta_err err = POSTA_OK;
	if (posta__json_scan(text.data, text.len, NULL) ||
	    !posta__json_walk(&walk, posta__json_value(text.data, text.len)) || walk.object)
		return add_extension(reader, HEADERS, sizeof HEADERS - 1, text);
	char *scratch = malloc(text.len);
	if (!scratch)
		return POSTA_ENOMEM;
	while (!err && posta__json_next(&walk))
		err = add_listed(reader, walk.value, scratch);
	free(scratch);
	return err;
}

/* "keybase64" and the like. Returns: EFORMAT when it is none. */
static enum posta_err set_base64(struct reader *reader, const char *name, size_t len, struct posta_bytes text)
{
	size_t mark = sizeof BASE64 - 1;
	if (len <= mark || memcmp(name + len - mark, BASE64, mark) != 0)
		return POSTA_EFORMAT;
	enum posta__kind kind = posta__kind_of(name, len - mark);
	if (kind == POSTA__KIND_FREE || text.data != reader->value)
		return POSTA_EFORMAT;
	size_t size;
	if (!posta__base64_decode(text.data, text.len, reader->value, &size))
		return POSTA_EFORMAT;
	return posta__kind_set(reader->envelope, kind, reader->value, size);
}

static bool is_base64_content_type(const char *name, size_t len)
{
	static const char wanted[] = "datacontenttype" BASE64;
	return len == sizeof wanted - 1 && memcmp(name, wanted, len) == 0;
}

static enum posta_err take_member(struct reader *reader, struct posta_bytes raw_name, struct posta_bytes raw)
{
	size_t len = posta__json_unescape(raw_name, reader->name);
	const char *name = reader->name;
	enum posta__kind kind = posta__kind_of(name, len);
	if (len == 4 && memcmp(name, "data", 4) == 0)
		reader->data = raw;
	else if (len == 11 && memcmp(name, "data_base64", 11) == 0)
		reader->data_base64 = raw;
	else if (kind == (enum posta__kind)POSTA_ATTR_CONTENT_TYPE || is_base64_content_type(name, len)) {
		reader->content_type = raw;
		reader->content_type_base64 = kind != (enum posta__kind)POSTA_ATTR_CONTENT_TYPE;
	} else if (!is_null(raw)) {
		struct posta_bytes text = plain_text(raw, reader->value);
		enum posta_err err = POSTA_EFORMAT;
		if (kind == (enum posta__kind)POSTA_ATTR_TOPIC && !reader->with_topic)
			return add_extension(reader, name, len, text);
		if (len == sizeof HEADERS - 1 && memcmp(name, HEADERS, len) == 0)
			return add_headers_text(reader, text);
		if (kind != POSTA__KIND_FREE)
			err = posta__kind_set(reader->envelope, kind, text.data, text.len);
		else
			err = set_base64(reader, name, len, text);
		return err == POSTA_EFORMAT ? add_extension(reader, name, len, plain_text(raw, reader->value)) : err;
	}
	return POSTA_OK;
}

/* The body from a JSON string: its text, or the bytes that are its base64. */
static enum posta_err body_from_string(struct reader *reader, struct posta_bytes string, bool base64)
{
	char *own = malloc(string.len);
	if (!own)
		return POSTA_ENOMEM;
	struct posta_bytes text = { own, posta__json_unescape(string, own) };
	if (!decode(&text, base64)) {
		free(own);
		return POSTA_EFORMAT;
	}
	return posta_envelope_wrap_body(reader->envelope, own, text.len, free, own);
}

/*
 * Data in JSON stays where it is: the new body is a part of the old one, which lives as long. Of another type a string
 * stands for the text itself.
 */
static enum posta_err take_data(struct reader *reader, struct posta_bytes content_type)
{
	bool json = !content_type.data || posta__media_type_json(content_type);
	if (reader->data_base64.data && posta__json_is_text(reader->data_base64))
		return body_from_string(reader, reader->data_base64, true);
	if (!reader->data.data)
		return posta_envelope_set_body(reader->envelope, NULL, 0);
	if (!json && posta__json_is_text(reader->data))
		return body_from_string(reader, reader->data, false);
	reader->envelope->body = reader->data;
	return POSTA_OK;
}

static enum posta_err unpack_members(struct reader *reader, struct posta_bytes object)
{
	struct posta__json_walk walk;
	enum posta_err err = POSTA_OK;
	posta__json_walk(&walk, object);
	while (!err && posta__json_next(&walk))
		err = take_member(reader, walk.name, walk.value);
	if (err)
		return err;
	struct posta_bytes content_type = { NULL, 0 };
	if (posta__json_is_text(reader->content_type))
		content_type = plain_text(reader->content_type, reader->value);
	if (!decode(&content_type, reader->content_type_base64))
		return POSTA_EFORMAT;
	if (content_type.len > POSTA_ATTRIBUTE_MAX)
		return POSTA_ETOOBIG;
	err = take_data(reader, content_type);
	if (err)
		return err;
	err = posta_envelope_set(reader->envelope, POSTA_ATTR_CONTENT_TYPE, content_type.data, content_type.len);
	posta__envelope_forget_view(reader->envelope);
	return err;
}

static enum posta_err unpack(struct posta_envelope *envelope, struct posta_bytes object, bool with_topic)
{
	struct reader reader = { .envelope = envelope,
				 .with_topic = with_topic,
				 .headers_before = envelope->header_count };
	/* A text never gets longer when its escapes are resolved. */
	reader.name = malloc(object.len * 2);
	if (!reader.name)
		return POSTA_ENOMEM;
	reader.value = reader.name + object.len;
	enum posta_err err = unpack_members(&reader, object);
	free(reader.name);
	return err;
}

static bool is_event(struct posta_bytes object)
{
	return posta__json_is_text(posta__json_member(object, "specversion", 11));
}

enum posta_err posta__structured_unpack(struct posta_envelope *envelope)
{
	struct posta_bytes body = envelope->body;
	enum posta_err err = posta__json_scan(body.data, body.len, NULL);
	if (err)
		return err;
	struct posta_bytes object = posta__json_value(body.data, body.len);
	return is_event(object) ? unpack(envelope, object, false) : POSTA_EFORMAT;
}

static enum posta_err take_over(struct posta_envelope *envelope, struct posta_bytes object, const char *name,
				unsigned kind)
{
	struct posta_bytes raw = posta__json_member(object, name, strlen(name));
	if (!posta__json_is_text(raw) || raw.len > POSTA_ATTRIBUTE_MAX)
		return POSTA_OK;
	char *text = malloc(raw.len);
	if (!text)
		return POSTA_ENOMEM;
	enum posta_err err = posta__kind_set(envelope, kind, text, posta__json_unescape(raw, text));
	free(text);
	return err == POSTA_EFORMAT ? POSTA_OK : err;
}

/* "time" after "timestamp": it is the CloudEvents name. */
static enum posta_err take_plain(struct posta_envelope *envelope, struct posta_bytes object)
{
	static const struct {
		const char *name;
		unsigned kind;
	} members[] = {
		{ "id", POSTA_ATTR_ID },           { "type", POSTA_ATTR_TYPE },       { "source", POSTA_ATTR_SOURCE },
		{ "subject", POSTA_ATTR_SUBJECT }, { "timestamp", POSTA__KIND_TIME }, { "time", POSTA__KIND_TIME },
	};
	enum posta_err err = posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	for (size_t i = 0; !err && i < sizeof members / sizeof members[0]; i++)
		err = take_over(envelope, object, members[i].name, members[i].kind);
	return err;
}

enum posta_err posta_envelope_from_json(const void *json, size_t len, struct posta_envelope **envelope,
					struct posta_error *error)
{
	enum posta_err err = posta__json_check(json, len, error);
	if (err)
		return err;
	struct posta_envelope *made = posta_envelope_new();
	if (!made)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for an envelope");
	err = posta_envelope_set_body(made, json, len);
	struct posta_bytes object = err ? (struct posta_bytes){ NULL, 0 } : posta__json_value(made->body.data, len);
	if (!err)
		err = is_event(object) ? unpack(made, object, true) : take_plain(made, object);
	if (err) {
		posta_envelope_unref(made);
		return posta_error_set(error, err,
				       err == POSTA_EFORMAT ? "data_base64 of a CloudEvent is not base64"
							    : "a CloudEvent's attributes: %s",
				       posta_strerror(err));
	}
	*envelope = made;
	return POSTA_OK;
}
