/* SPDX-License-Identifier: MIT */
/* One publication as its frames: basic.publish, content header, body. Many of them leave in one write. */
#include "bridges/amqp_publisher.h"

#include <string.h>

#define PUBLISH_METHOD_MAX 1024u

/* RabbitMQ returns a mandatory message to an address of direct reply-to, which is no queue, though it delivers it. */
static bool is_direct_reply(const char *routing_key)
{
	return strncmp(routing_key, POSTA__AMQP_DIRECT_REPLY_TO, strlen(POSTA__AMQP_DIRECT_REPLY_TO)) == 0;
}

/* Returns: bytes written to out, which has PUBLISH_METHOD_MAX. */
static size_t put_method(const struct posta_target *target, uint8_t *out)
{
	char wait_queue[UINT8_MAX + 1];
	const char *routing_key = posta__amqp_routing_key_of(target, wait_queue);
	amqp_basic_publish_t fields = {
		.exchange = posta__amqp_text(posta__amqp_exchange_of(target)),
		.routing_key = posta__amqp_text(routing_key),
		.mandatory = !is_direct_reply(routing_key),
	};
	amqp_bytes_t bytes = { PUBLISH_METHOD_MAX - POSTA__AMQP_FRAME_OVERHEAD - 4,
			       out + POSTA__AMQP_FRAME_HEADER + 4 };
	int used = amqp_encode_method(AMQP_BASIC_PUBLISH_METHOD, &fields, bytes);
	uint32_t size = 4 + (uint32_t)(used > 0 ? used : 0); /* names were checked to be short: it always fits */

	posta__amqp_put32(out + POSTA__AMQP_FRAME_HEADER, AMQP_BASIC_PUBLISH_METHOD);
	posta__amqp_frame_close(out, AMQP_FRAME_METHOD, POSTA__AMQP_PUBLISH_CHANNEL, size);
	return size + POSTA__AMQP_FRAME_OVERHEAD;
}

static size_t put_header(uint8_t *out, size_t properties_len, size_t body_len)
{
	uint8_t *payload = out + POSTA__AMQP_FRAME_HEADER;

	posta__amqp_put16(payload, AMQP_BASIC_CLASS);
	posta__amqp_put16(payload + 2, 0);
	posta__amqp_put32(payload + 4, (uint32_t)((uint64_t)body_len >> 32));
	posta__amqp_put32(payload + 8, (uint32_t)body_len);
	posta__amqp_frame_close(out, AMQP_FRAME_HEADER, POSTA__AMQP_PUBLISH_CHANNEL, (uint32_t)properties_len + 12);
	return properties_len + 12 + POSTA__AMQP_FRAME_OVERHEAD;
}

static bool put_body(struct posta__amqp_publisher *publisher, const struct posta__wire_body *body)
{
	struct posta__amqp_socket *sock = &posta__amqp_publisher_wire(publisher)->sock;
	size_t chunk_max = posta__amqp_publisher_wire(publisher)->limits.frame_max - POSTA__AMQP_FRAME_OVERHEAD;
	size_t frames = (body->len + chunk_max - 1) / chunk_max;
	uint8_t *out = posta__amqp_socket_reserve(sock, body->len + frames * POSTA__AMQP_FRAME_OVERHEAD);

	if (!out)
		return false;
	for (size_t done = 0; done < body->len;) {
		size_t chunk = body->len - done < chunk_max ? body->len - done : chunk_max;

		memcpy(out + POSTA__AMQP_FRAME_HEADER, (const uint8_t *)body->data + done, chunk);
		posta__amqp_frame_close(out, AMQP_FRAME_BODY, POSTA__AMQP_PUBLISH_CHANNEL, (uint32_t)chunk);
		out += chunk + POSTA__AMQP_FRAME_OVERHEAD;
		done += chunk;
	}
	posta__amqp_socket_commit(sock, body->len + frames * POSTA__AMQP_FRAME_OVERHEAD);
	return true;
}

static enum posta_err check_size(const struct posta__amqp_publisher *publisher, size_t body_len, const char **why)
{
	if (!publisher->too_big || body_len < publisher->too_big)
		return POSTA_OK;
	*why = "larger than the broker's max_message_size";
	return POSTA_ETOOBIG;
}

enum posta_err posta__amqp_entry_put(struct posta__amqp_publisher *publisher, struct posta__amqp_entry *entry,
				     const char **why)
{
	const struct posta_publication *publication = entry->publication;
	struct posta__amqp_socket *sock = &posta__amqp_publisher_wire(publisher)->sock;
	size_t frame_max = posta__amqp_publisher_wire(publisher)->limits.frame_max, properties_len = 0;
	struct posta__wire_body body = { 0 };
	uint8_t *out = posta__amqp_socket_reserve(sock, PUBLISH_METHOD_MAX + frame_max);

	if (!out)
		return POSTA_OK; /* the connection has failed */
	size_t used = put_method(publication->target, out);
	enum posta_err code =
		posta__amqp_properties_encode(publication->envelope, publication->target->format, posta__wall_ms(),
					      &publisher->scratch, out + used + POSTA__AMQP_FRAME_HEADER + 12,
					      frame_max - POSTA__AMQP_FRAME_OVERHEAD - 12, &properties_len, &body, why);

	if (code)
		return code;
	code = check_size(publisher, body.len, why);
	if (!code) {
		used += put_header(out + used, properties_len, body.len);
		posta__amqp_socket_commit(sock, used);
		put_body(publisher, &body);
		entry->body_len = body.len;
	}
	posta__wire_body_fini(&body);
	return code;
}
