/* SPDX-License-Identifier: MIT */
/*
 * What stands between a socket and the library's decoder. rabbitmq-c 0.11 recurses on nested tables without a
 * bound and shifts by the number of flag words, so bytes that would make it do either are refused here.
 */
#include "bridges/amqp_frame.h"

#include <string.h>

/* A reader that can only move forward inside its bytes. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static bool skip(struct reader *reader, size_t n)
{
	if (n > reader->left)
		return false;
	reader->at += n;
	reader->left -= n;
	return true;
}

static bool skip_short_string(struct reader *reader)
{
	return reader->left && skip(reader, (size_t)reader->at[0] + 1);
}

/* Bytes behind a 32-bit length; inner (may be NULL) gets them. */
static bool skip_long(struct reader *reader, struct reader *inner)
{
	if (reader->left < 4)
		return false;
	uint32_t len = posta__amqp_get32(reader->at);

	skip(reader, 4);
	if (inner) {
		inner->at = reader->at;
		inner->left = len;
	}
	return skip(reader, len);
}

static bool values_ok(struct reader inner, bool named, unsigned depth);

/* Bytes of the kinds whose size is fixed; -1 for the others. The kinds are those that rabbitmq-c decodes. */
static int fixed_size(uint8_t kind)
{
	switch (kind) {
	case 'V':
		return 0;
	case 't':
	case 'b':
	case 'B':
		return 1;
	case 's':
	case 'u':
		return 2;
	case 'I':
	case 'i':
	case 'f':
		return 4;
	case 'l':
	case 'L':
	case 'd':
	case 'T':
		return 8;
	case 'D':
		return 5;
	default:
		return -1;
	}
}

static bool skip_value(struct reader *reader, unsigned depth)
{
	if (!reader->left)
		return false;
	uint8_t kind = reader->at[0];
	int size = fixed_size(kind);
	struct reader inner;

	skip(reader, 1);
	if (size >= 0)
		return skip(reader, (size_t)size);
	switch (kind) {
	case 'S':
	case 'x':
		return skip_long(reader, NULL);
	case 'F':
	case 'A':
		return skip_long(reader, &inner) && values_ok(inner, kind == 'F', depth + 1);
	default:
		return false;
	}
}

/* The inside of a table (named) or array. Recursion is bounded by the depth. */
static bool values_ok(struct reader inner, bool named, unsigned depth)
{
	if (depth > POSTA__AMQP_TABLE_DEPTH_MAX)
		return false;
	while (inner.left) {
		if (named && !skip_short_string(&inner))
			return false;
		if (!skip_value(&inner, depth))
			return false;
	}
	return true;
}

static bool skip_table(struct reader *reader)
{
	struct reader inner;

	return skip_long(reader, &inner) && values_ok(inner, true, 1);
}

bool posta__amqp_table_ok(const void *bytes, size_t len)
{
	struct reader reader = { .at = bytes, .left = len };

	return skip_table(&reader);
}

bool posta__amqp_properties_ok(const void *bytes, size_t len)
{
	/* From bit 15 down: string, table, octet, time stamp. */
	static const char kinds[] = "ssfoossssts" /* content_type .. type */ "sss" /* user_id, app_id, cluster_id */;
	struct reader reader = { .at = bytes, .left = len };

	if (len < 2)
		return false;
	uint16_t flags = posta__amqp_get16(reader.at);

	/* Bit 0 announces another word of flags, bit 1 is no property: class basic has neither. */
	if (flags & 3)
		return false;
	skip(&reader, 2);
	for (unsigned i = 0; kinds[i]; i++) {
		if (!(flags & 1u << (15 - i)))
			continue;
		if (!(kinds[i] == 's'   ? skip_short_string(&reader)
		      : kinds[i] == 'f' ? skip_table(&reader)
					: skip(&reader, kinds[i] == 'o' ? 1 : 8)))
			return false;
	}
	return true;
}

bool posta__amqp_header_read(const struct posta__amqp_frame *frame, struct posta__amqp_content_header *header)
{
	if (frame->size < 14 || posta__amqp_get16(frame->payload) != AMQP_BASIC_CLASS)
		return false;
	header->class_id = AMQP_BASIC_CLASS;
	header->body_size =
		(uint64_t)posta__amqp_get32(frame->payload + 4) << 32 | posta__amqp_get32(frame->payload + 8);
	header->properties.bytes = (void *)(uintptr_t)(frame->payload + 12);
	header->properties.len = frame->size - 12;
	return true;
}

/* What a broker may send. All others could carry tables of their own, or mean nothing to a client. */
static bool is_expected(amqp_method_number_t method)
{
	switch (method) {
	case AMQP_CONNECTION_START_METHOD:
	case AMQP_CONNECTION_TUNE_METHOD:
	case AMQP_CONNECTION_OPEN_OK_METHOD:
	case AMQP_CONNECTION_CLOSE_METHOD:
	case AMQP_CONNECTION_CLOSE_OK_METHOD:
	case AMQP_CONNECTION_BLOCKED_METHOD:
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
	case AMQP_CHANNEL_OPEN_OK_METHOD:
	case AMQP_CHANNEL_FLOW_METHOD:
	case AMQP_CHANNEL_CLOSE_METHOD:
	case AMQP_CHANNEL_CLOSE_OK_METHOD:
	case AMQP_EXCHANGE_DECLARE_OK_METHOD:
	case AMQP_QUEUE_DECLARE_OK_METHOD:
	case AMQP_QUEUE_BIND_OK_METHOD:
	case AMQP_BASIC_QOS_OK_METHOD:
	case AMQP_BASIC_CONSUME_OK_METHOD:
	case AMQP_BASIC_CANCEL_METHOD:
	case AMQP_BASIC_CANCEL_OK_METHOD:
	case AMQP_BASIC_RETURN_METHOD:
	case AMQP_BASIC_DELIVER_METHOD:
	case AMQP_BASIC_ACK_METHOD:
	case AMQP_BASIC_NACK_METHOD:
	case AMQP_CONFIRM_SELECT_OK_METHOD:
		return true;
	default:
		return false;
	}
}

bool posta__amqp_method_ok(const struct posta__amqp_frame *frame, amqp_method_number_t *method)
{
	if (frame->size < 4)
		return false;
	*method = posta__amqp_get32(frame->payload);
	if (*method == AMQP_CONNECTION_START_METHOD)
		return frame->size >= 10 && posta__amqp_table_ok(frame->payload + 6, frame->size - 6);
	return is_expected(*method);
}

static const char *head_error(uint8_t type, uint16_t channel, uint32_t size, const struct posta__amqp_limits *limits)
{
	if (type != AMQP_FRAME_METHOD && type != AMQP_FRAME_HEADER && type != AMQP_FRAME_BODY &&
	    type != AMQP_FRAME_HEARTBEAT)
		return "a frame of unknown type";
	if (channel > limits->channel_max)
		return "a frame of a channel above channel-max";
	if (size > limits->frame_max - POSTA__AMQP_FRAME_OVERHEAD)
		return "a frame larger than frame-max";
	if (type == AMQP_FRAME_HEARTBEAT && (channel || size))
		return "a heartbeat with a channel or content";
	return NULL;
}

enum posta__amqp_cut posta__amqp_frame_cut(const uint8_t *bytes, size_t len, const struct posta__amqp_limits *limits,
					   struct posta__amqp_frame *frame, const char **why)
{
	if (len >= 4 && memcmp(bytes, "AMQP", 4) == 0) {
		*why = "the broker does not speak AMQP 0-9-1: it answered with its own protocol header";
		return POSTA__AMQP_CUT_BAD;
	}
	if (len < POSTA__AMQP_FRAME_HEADER)
		return POSTA__AMQP_CUT_MORE;
	frame->type = bytes[0];
	frame->channel = posta__amqp_get16(bytes + 1);
	frame->size = posta__amqp_get32(bytes + 3);
	frame->payload = bytes + POSTA__AMQP_FRAME_HEADER;
	*why = head_error(frame->type, frame->channel, frame->size, limits);
	if (*why)
		return POSTA__AMQP_CUT_BAD;
	if (len < (size_t)frame->size + POSTA__AMQP_FRAME_OVERHEAD)
		return POSTA__AMQP_CUT_MORE;
	if (frame->payload[frame->size] == AMQP_FRAME_END)
		return POSTA__AMQP_CUT_FRAME;
	*why = "a frame without its end byte";
	return POSTA__AMQP_CUT_BAD;
}

void posta__amqp_frame_close(uint8_t *out, uint8_t type, uint16_t channel, uint32_t size)
{
	out[0] = type;
	posta__amqp_put16(out + 1, channel);
	posta__amqp_put32(out + 3, size);
	out[POSTA__AMQP_FRAME_HEADER + size] = AMQP_FRAME_END;
}
