/* SPDX-License-Identifier: MIT */
#include "attribute.h"

#include <string.h>

const char *const posta__kind_names[POSTA__KIND_COUNT] = {
	[POSTA_ATTR_ID] = "id",
	[POSTA_ATTR_SOURCE] = "source",
	[POSTA_ATTR_TYPE] = "type",
	[POSTA_ATTR_SUBJECT] = "subject",
	[POSTA_ATTR_CONTENT_TYPE] = "datacontenttype",
	[POSTA_ATTR_DATASCHEMA] = "dataschema",
	[POSTA_ATTR_KEY] = "partitionkey",
	[POSTA_ATTR_CORRELATION_ID] = "correlationid",
	[POSTA_ATTR_REPLY_TO] = "replyto",
	[POSTA_ATTR_TRACEPARENT] = "traceparent",
	[POSTA_ATTR_TRACESTATE] = "tracestate",
	[POSTA_ATTR_TOPIC] = "topic",
	[POSTA__KIND_TIME] = "time",
	[POSTA__KIND_EXPIRY] = "expirytime",
	[POSTA__KIND_PRIORITY] = "priority",
	[POSTA__KIND_SPECVERSION] = "specversion",
};

enum posta__kind posta__kind_of(const char *name, size_t len)
{
	for (unsigned kind = 0; kind < POSTA__KIND_COUNT; kind++)
		if (len && posta__kind_names[kind][0] == name[0] && strlen(posta__kind_names[kind]) == len &&
		    memcmp(posta__kind_names[kind], name, len) == 0)
			return (enum posta__kind)kind;
	return POSTA__KIND_FREE;
}

static struct posta_bytes time_text(int64_t time_ms, char *scratch)
{
	if (time_ms == POSTA_TIME_NONE)
		return (struct posta_bytes){ NULL, 0 };
	posta_time_format(time_ms, scratch);
	return (struct posta_bytes){ scratch, 24 };
}

static bool is_event(const struct posta_envelope *envelope)
{
	return posta_envelope_get(envelope, POSTA_ATTR_ID).data &&
	       posta_envelope_get(envelope, POSTA_ATTR_SOURCE).data &&
	       posta_envelope_get(envelope, POSTA_ATTR_TYPE).data;
}

struct posta_bytes posta__kind_get(const struct posta_envelope *envelope, unsigned kind,
				   char scratch[POSTA__KIND_SCRATCH])
{
	int priority = posta_envelope_priority(envelope);
	switch (kind) {
	case POSTA__KIND_TIME:
		return time_text(posta_envelope_time(envelope), scratch);
	case POSTA__KIND_EXPIRY:
		return time_text(posta_envelope_expiry(envelope), scratch);
	case POSTA__KIND_PRIORITY:
		scratch[0] = (char)('0' + priority);
		scratch[1] = 0;
		return (struct posta_bytes){ priority < 0 ? NULL : scratch, priority < 0 ? 0 : 1 };
	case POSTA__KIND_SPECVERSION:
		return is_event(envelope) ? (struct posta_bytes){ "1.0", 3 } : (struct posta_bytes){ NULL, 0 };
	default:
		return posta_envelope_get(envelope, (enum posta_attribute)kind);
	}
}

static bool stays(unsigned kind)
{
	return kind == POSTA_ATTR_KEY || kind == POSTA_ATTR_CORRELATION_ID || kind == POSTA_ATTR_REPLY_TO ||
	       kind == POSTA_ATTR_CONTENT_TYPE || kind == POSTA_ATTR_TOPIC;
}

static enum posta_err set_time(struct posta_envelope *envelope, unsigned kind, const void *value, size_t len)
{
	int64_t time_ms;
	enum posta_err err = posta_time_parse(value, len, &time_ms);
	if (err)
		return err;
	if (kind == POSTA__KIND_TIME)
		posta_envelope_set_time(envelope, time_ms);
	else
		posta_envelope_set_expiry(envelope, time_ms);
	return POSTA_OK;
}

enum posta_err posta__kind_set(struct posta_envelope *envelope, unsigned kind, const void *value, size_t len)
{
	const char *text = value;
	switch (kind) {
	case POSTA__KIND_TIME:
	case POSTA__KIND_EXPIRY:
		return set_time(envelope, kind, value, len);
	case POSTA__KIND_PRIORITY:
		if (len != 1 || text[0] < '0' || text[0] > '9')
			return POSTA_EFORMAT;
		posta_envelope_set_priority(envelope, text[0] - '0');
		return POSTA_OK;
	case POSTA__KIND_SPECVERSION:
		return POSTA_OK;
	default:
		if (stays(kind) && posta_envelope_get(envelope, (enum posta_attribute)kind).data)
			return POSTA_OK;
		return posta_envelope_set(envelope, (enum posta_attribute)kind, value ? value : "", value ? len : 0);
	}
}
