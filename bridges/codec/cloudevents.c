/* SPDX-License-Identifier: MIT */
/*
 * Headers of each protocol. Ours have a prefix (Kafka ce_, AMQP cloudEvents_, MQTT none); free headers go as they are,
 * unless reading them back would take them for ours: then their name is escaped, "posta~" and percent-encoded. Where a
 * protocol holds only text, a value that is none goes in base64, and ";base64" behind its name says so.
 */
#include "cloudevents.h"

#include "../envelope.h"
#include "attribute.h"
#include "structured.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE "posta~"
#define BASE64_MARK ";base64"
#define AMQP_SHORT_MAX 255u

struct literal {
	const char *text;
	size_t len;
};

static const struct literal prefixes[] = { { "ce_", 3 }, { "ce-", 3 }, { "cloudEvents_", 12 }, { "cloudEvents:", 12 } };

static bool starts_with(const char *name, size_t len, const char *prefix, size_t prefix_len)
{
	return len >= prefix_len && memcmp(name, prefix, prefix_len) == 0;
}

static bool ends_with_mark(const char *name, size_t len)
{
	size_t mark = sizeof BASE64_MARK - 1;
	return len >= mark && memcmp(name + len - mark, BASE64_MARK, mark) == 0;
}

static bool text_only(enum posta__protocol protocol)
{
	return protocol == POSTA__MQTT5 || protocol == POSTA__MQTT3;
}

static enum posta__kind not_topic(enum posta__kind kind)
{
	return kind == (enum posta__kind)POSTA_ATTR_TOPIC ? POSTA__KIND_FREE : kind;
}

/* What a received name means; the base64 mark is off already. */
static enum posta__kind meaning(enum posta__protocol protocol, const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (starts_with(name, len, prefixes[i].text, prefixes[i].len))
			return not_topic(posta__kind_of(name + prefixes[i].len, len - prefixes[i].len));
	if (len == 12 && memcmp(name, "content-type", 12) == 0)
		return (enum posta__kind)POSTA_ATTR_CONTENT_TYPE;
	enum posta__kind kind = not_topic(posta__kind_of(name, len));
	bool bare = text_only(protocol) || kind == (enum posta__kind)POSTA_ATTR_TRACEPARENT ||
		    kind == (enum posta__kind)POSTA_ATTR_TRACESTATE;
	return bare ? kind : POSTA__KIND_FREE;
}

/* -- Sending */

struct posta_bytes posta__wire_native(const struct posta_envelope *envelope, enum posta__protocol protocol,
				      enum posta_attribute attribute)
{
	static const struct posta_bytes none = { NULL, 0 };
	struct posta_bytes value = posta_envelope_get(envelope, attribute);
	bool correlation = attribute == POSTA_ATTR_CORRELATION_ID;
	bool both = correlation || attribute == POSTA_ATTR_REPLY_TO || attribute == POSTA_ATTR_CONTENT_TYPE;
	if (protocol == POSTA__KAFKA)
		return attribute == POSTA_ATTR_KEY ? value : none;
	if (!value.len)
		return none;
	if (protocol == POSTA__AMQP && (both || attribute == POSTA_ATTR_ID || attribute == POSTA_ATTR_TYPE))
		return value.len <= AMQP_SHORT_MAX ? value : none;
	if (protocol != POSTA__MQTT5 || !both || (!correlation && !posta__utf8_printable(value.data, value.len)))
		return none;
	/* Source: MQTT 5, section 3.3.2.3.5: a Response Topic has no wildcards. */
	bool wild = attribute == POSTA_ATTR_REPLY_TO &&
		    (memchr(value.data, '+', value.len) || memchr(value.data, '#', value.len));
	return wild ? none : value;
}

int64_t posta__wire_ttl_ms(const struct posta_envelope *envelope, int64_t now_ms)
{
	int64_t expiry = posta_envelope_expiry(envelope);
	if (expiry == POSTA_TIME_NONE)
		return -1;
	return expiry > now_ms ? expiry - now_ms : 0;
}

struct encoder {
	const struct posta_envelope *envelope;
	enum posta__protocol protocol;
	posta__wire_put *put;
	void *context;
};

static enum posta_err put_base64(const struct encoder *encoder, const char *name, struct posta_bytes value)
{
	struct posta__buffer buffer = { 0 };
	size_t len = posta__base64_size(value.len);
	size_t name_len = strlen(name);
	if (len > POSTA_ATTRIBUTE_MAX || name_len + sizeof BASE64_MARK > POSTA_ATTRIBUTE_MAX)
		return POSTA_ETOOBIG;
	char *text = posta__buffer_space(&buffer, len + 1 + name_len);
	if (text) {
		posta__base64_encode(value.data, value.len, text);
		text[len] = 0;
		memcpy(text + len + 1, name, name_len);
	}
	posta__buffer_text(&buffer, BASE64_MARK);
	if (!posta__buffer_finish(&buffer))
		return POSTA_ENOMEM;
	struct posta_bytes encoded = { buffer.data, len };
	enum posta_err err = encoder->put(encoder->context, buffer.data + len + 1, &encoded, 1);
	free(buffer.data);
	return err;
}

static enum posta_err put(const struct encoder *encoder, const char *name, const struct posta_bytes *values,
			  size_t count)
{
	if (encoder->protocol == POSTA__AMQP && strlen(name) > AMQP_SHORT_MAX)
		return POSTA_ETOOBIG;
	if (text_only(encoder->protocol) && !posta__utf8_printable(values->data, values->len))
		return put_base64(encoder, name, *values);
	return encoder->put(encoder->context, name, values, count);
}

/* The name of ours in this protocol, with its prefix. */
static const char *own_name(enum posta__protocol protocol, unsigned kind)
{
#define NAMES(prefix)                                                                                                  \
	{                                                                                                              \
		[POSTA_ATTR_ID] = prefix "id", [POSTA_ATTR_SOURCE] = prefix "source",                                  \
		[POSTA_ATTR_TYPE] = prefix "type", [POSTA_ATTR_SUBJECT] = prefix "subject",                            \
		[POSTA_ATTR_CONTENT_TYPE] = prefix "datacontenttype", [POSTA_ATTR_DATASCHEMA] = prefix "dataschema",   \
		[POSTA_ATTR_KEY] = prefix "partitionkey", [POSTA_ATTR_CORRELATION_ID] = prefix "correlationid",        \
		[POSTA_ATTR_REPLY_TO] = prefix "replyto", [POSTA_ATTR_TRACEPARENT] = "traceparent",                    \
		[POSTA_ATTR_TRACESTATE] = "tracestate", [POSTA__KIND_TIME] = prefix "time",                            \
		[POSTA__KIND_EXPIRY] = prefix "expirytime", [POSTA__KIND_PRIORITY] = prefix "priority",                \
		[POSTA__KIND_SPECVERSION] = prefix "specversion",                                                      \
	}
	static const char *const kafka[POSTA__KIND_COUNT] = NAMES("ce_");
	static const char *const amqp[POSTA__KIND_COUNT] = NAMES("cloudEvents_");
	if (protocol == POSTA__KAFKA)
		return kind == POSTA_ATTR_CONTENT_TYPE ? "content-type" : kafka[kind];
	return protocol == POSTA__AMQP ? amqp[kind] : posta__kind_names[kind];
}

/* Whether the protocol's own field says it all, so that no header is needed. */
static bool is_native(const struct encoder *encoder, unsigned kind, struct posta_bytes value)
{
	if (kind == POSTA__KIND_PRIORITY)
		return encoder->protocol == POSTA__AMQP;
	if (kind != POSTA_ATTR_CONTENT_TYPE && kind != POSTA_ATTR_CORRELATION_ID && kind != POSTA_ATTR_REPLY_TO)
		/* Bindings want id and type as headers too; Kafka's key has a readable echo, if it is text. */
		return encoder->protocol == POSTA__KAFKA && kind == POSTA_ATTR_KEY &&
		       !posta__utf8_valid(value.data, value.len);
	return posta__wire_native(encoder->envelope, encoder->protocol, (enum posta_attribute)kind).data != NULL;
}

static enum posta_err put_own(const struct encoder *encoder)
{
	char scratch[POSTA__KIND_SCRATCH];
	for (unsigned kind = 0; kind < POSTA__KIND_COUNT; kind++) {
		struct posta_bytes value = posta__kind_get(encoder->envelope, kind, scratch);
		if (!value.data || kind == POSTA_ATTR_TOPIC || is_native(encoder, kind, value))
			continue;
		enum posta_err err = put(encoder, own_name(encoder->protocol, kind), &value, 1);
		if (err)
			return err;
	}
	return POSTA_OK;
}

static bool needs_escape(enum posta__protocol protocol, const struct posta__header *header)
{
	const char *name = header->name;
	size_t len = header->name_len;
	if (text_only(protocol) && (ends_with_mark(name, len) || !posta__utf8_printable(name, len)))
		return true;
	return starts_with(name, len, ESCAPE, sizeof ESCAPE - 1) || meaning(protocol, name, len) != POSTA__KIND_FREE;
}

/* Returns: owned, free(); NULL when out of memory. */
static char *escape_name(const struct posta__header *header)
{
	struct posta__buffer buffer = { 0 };
	char hex[4];
	posta__buffer_text(&buffer, ESCAPE);
	for (size_t i = 0; i < header->name_len; i++) {
		unsigned char c = (unsigned char)header->name[i];
		if (c > 0x20 && c < 0x7F && c != '%' && c != ';') {
			posta__buffer_add(&buffer, &header->name[i], 1);
			continue;
		}
		snprintf(hex, sizeof hex, "%%%02X", c);
		posta__buffer_add(&buffer, hex, 3);
	}
	return posta__buffer_finish(&buffer) ? buffer.data : NULL;
}

static enum posta_err put_free(const struct encoder *encoder, const struct posta__header *header,
			       const struct posta_bytes *values, size_t count)
{
	if (!needs_escape(encoder->protocol, header))
		return put(encoder, header->name, values, count);
	char *name = escape_name(header);
	if (!name)
		return POSTA_ENOMEM;
	enum posta_err err = strlen(name) > POSTA_ATTRIBUTE_MAX ? POSTA_ETOOBIG : put(encoder, name, values, count);
	free(name);
	return err;
}

static bool same_name(const struct posta__header *a, const struct posta__header *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* All values of the header at index, when it is the first of its name; else 0. */
static size_t gather(const struct posta_envelope *envelope, size_t index, struct posta_bytes *values)
{
	size_t count = 0;
	for (size_t i = 0; i < envelope->header_count; i++) {
		const struct posta__header *header = &envelope->headers[i];
		if (!same_name(header, &envelope->headers[index]))
			continue;
		if (i < index)
			return 0;
		values[count++] = (struct posta_bytes){ header->value, header->value_len };
	}
	return count;
}

static enum posta_err put_headers(const struct encoder *encoder)
{
	const struct posta_envelope *envelope = encoder->envelope;
	struct posta_bytes values[POSTA_HEADERS_MAX];
	for (size_t i = 0; i < envelope->header_count; i++) {
		const struct posta__header *header = &envelope->headers[i];
		size_t count = 1;
		if (encoder->protocol == POSTA__AMQP)
			count = gather(envelope, i, values);
		else
			values[0] = (struct posta_bytes){ header->value, header->value_len };
		enum posta_err err = count ? put_free(encoder, header, values, count) : POSTA_OK;
		if (err)
			return err;
	}
	return POSTA_OK;
}

static bool is_structured(struct posta_bytes content_type)
{
	return posta__media_type_is(content_type, POSTA__CONTENT_TYPE_CLOUDEVENT) ||
	       posta__media_type_is(content_type, POSTA__CONTENT_TYPE_BATCH);
}

/* The trace goes as headers too: what watches the wire looks there. */
static enum posta_err put_structured(const struct encoder *encoder, const struct posta__wire_body *body)
{
	enum posta_err err = POSTA_OK;
	if (encoder->protocol == POSTA__KAFKA)
		err = put(encoder, "content-type", &body->content_type, 1);
	for (unsigned kind = POSTA_ATTR_TRACEPARENT; !err && kind <= POSTA_ATTR_TRACESTATE; kind++) {
		struct posta_bytes value = posta_envelope_get(encoder->envelope, (enum posta_attribute)kind);
		if (value.data && encoder->protocol != POSTA__MQTT3)
			err = put(encoder, posta__kind_names[kind], &value, 1);
	}
	return err;
}

static enum posta_err encode_structured(const struct encoder *encoder, struct posta__wire_body *body)
{
	const struct posta_envelope *envelope = encoder->envelope;
	struct posta_bytes content_type = posta_envelope_get(envelope, POSTA_ATTR_CONTENT_TYPE);
	if (is_structured(content_type) && envelope->body.data) {
		*body = (struct posta__wire_body){ envelope->body.data, envelope->body.len, content_type, NULL };
	} else {
		static const char event[] = POSTA__CONTENT_TYPE_CLOUDEVENT;
		struct posta__buffer buffer = { 0 };
		enum posta_err err = posta__structured_write(envelope, false, &buffer);
		if (err)
			return err;
		*body = (struct posta__wire_body){ buffer.data, buffer.len, { event, sizeof event - 1 }, buffer.data };
	}
	return encoder->protocol == POSTA__MEMORY ? POSTA_OK : put_structured(encoder, body);
}

static enum posta_err encode_binary(const struct encoder *encoder, struct posta__wire_body *body)
{
	const struct posta_envelope *envelope = encoder->envelope;
	*body = (struct posta__wire_body){ envelope->body.data, envelope->body.len,
					   posta__wire_native(envelope, encoder->protocol, POSTA_ATTR_CONTENT_TYPE),
					   NULL };
	if (encoder->protocol == POSTA__MEMORY)
		return POSTA_OK;
	enum posta_err err = put_own(encoder);
	return err ? err : put_headers(encoder);
}

enum posta_err posta__wire_encode(const struct posta_envelope *envelope, enum posta__protocol protocol,
				  enum posta_format format, posta__wire_put *put_header, void *context,
				  struct posta__wire_body *body)
{
	struct encoder encoder = { envelope, protocol, put_header, context };
	enum posta_err err = POSTA_OK;
	*body = (struct posta__wire_body){ .data = NULL };
	if (format == POSTA_FORMAT_RAW)
		*body = (struct posta__wire_body){ .data = envelope->body.data, .len = envelope->body.len };
	else if (format == POSTA_FORMAT_STRUCTURED || protocol == POSTA__MQTT3)
		err = encode_structured(&encoder, body);
	else
		err = encode_binary(&encoder, body);
	if (err)
		posta__wire_body_fini(body);
	return err;
}

void posta__wire_body_fini(struct posta__wire_body *body)
{
	free(body->owned);
	*body = (struct posta__wire_body){ .data = NULL };
}

/* -- Receiving */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A name that is no escape of ours is taken as it came. out has room for len bytes. */
static size_t unescape_name(const char *name, size_t len, char *out)
{
	size_t to = 0;
	for (size_t i = sizeof ESCAPE - 1; i < len; i++) {
		if (name[i] == '%' && i + 2 < len && hex(name[i + 1]) >= 0 && hex(name[i + 2]) >= 0) {
			out[to++] = (char)(hex(name[i + 1]) << 4 | hex(name[i + 2]));
			i += 2;
		} else {
			out[to++] = name[i];
		}
	}
	return to;
}

static enum posta_err take_named(struct posta_envelope *envelope, enum posta__protocol protocol, const char *name,
				 size_t name_len, const void *value, size_t len)
{
	if (starts_with(name, name_len, ESCAPE, sizeof ESCAPE - 1)) {
		char *plain = malloc(name_len);
		if (!plain)
			return POSTA_ENOMEM;
		size_t plain_len = unescape_name(name, name_len, plain);
		enum posta_err err = posta__envelope_add_header(envelope, plain, plain_len, value, len);
		free(plain);
		return err;
	}
	enum posta__kind kind = meaning(protocol, name, name_len);
	enum posta_err err = kind == POSTA__KIND_FREE ? POSTA_EFORMAT : posta__kind_set(envelope, kind, value, len);
	return err == POSTA_EFORMAT ? posta__envelope_add_header(envelope, name, name_len, value, len) : err;
}

static enum posta_err take_base64(struct posta_envelope *envelope, enum posta__protocol protocol, const char *name,
				  size_t name_len, const char *text, size_t len)
{
	size_t size;
	char *value = malloc(len / 4 * 3 + 1);
	if (!value)
		return POSTA_ENOMEM;
	enum posta_err err;
	if (posta__base64_decode(text, len, value, &size))
		err = take_named(envelope, protocol, name, name_len - (sizeof BASE64_MARK - 1), value, size);
	else
		err = posta__envelope_add_header(envelope, name, name_len, text, len);
	free(value);
	return err;
}

enum posta_err posta__wire_header_in(struct posta_envelope *envelope, enum posta__protocol protocol, const char *name,
				     size_t name_len, const void *value, size_t len)
{
	if (name_len > POSTA_ATTRIBUTE_MAX || (value && len > POSTA_ATTRIBUTE_MAX))
		return POSTA_ETOOBIG;
	len = value ? len : 0;
	if (text_only(protocol) && ends_with_mark(name, name_len))
		return take_base64(envelope, protocol, name, name_len, value ? value : "", len);
	return take_named(envelope, protocol, name, name_len, value, len);
}

enum posta_err posta__wire_finish(struct posta_envelope **envelope, enum posta__protocol protocol)
{
	struct posta_bytes body = (*envelope)->body;
	bool structured = posta__media_type_is(posta_envelope_get(*envelope, POSTA_ATTR_CONTENT_TYPE),
					       POSTA__CONTENT_TYPE_CLOUDEVENT);
	/* MQTT 3.1.1 has no place for a content type. */
	if (protocol == POSTA__MQTT3)
		structured = body.len && *(const char *)body.data == '{' &&
			     memmem(body.data, body.len, "\"specversion\"", 13);
	if (!structured || !body.data)
		return POSTA_OK;
	enum posta_err err = posta__structured_unpack(*envelope);
	return err == POSTA_ENOMEM ? err : POSTA_OK;
}

/* -- Trace */

static bool lower_hex(const char *text, size_t len, bool *zero)
{
	*zero = true;
	for (size_t i = 0; i < len; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		*zero &= text[i] == '0';
	}
	return true;
}

/* version-traceid-parentid-flags: 00-32-16-02; later versions may carry more behind. */
bool posta__trace_next_hop(struct posta_bytes parent, uint64_t random, char out[POSTA__TRACEPARENT_SIZE])
{
	const char *text = parent.data;
	bool zero;
	bool zero_trace;
	bool zero_span;
	if (!text || parent.len < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
	    !lower_hex(text, 2, &zero) || memcmp(text, "ff", 2) == 0 || (zero && parent.len != 55) ||
	    !lower_hex(text + 3, 32, &zero_trace) || zero_trace || !lower_hex(text + 36, 16, &zero_span) || zero_span ||
	    !lower_hex(text + 53, 2, &zero))
		return false;
	snprintf(out, POSTA__TRACEPARENT_SIZE, "00-%.32s-%016llx-%.2s", text + 3,
		 (unsigned long long)(random ? random : 1), text + 53);
	return true;
}
