/* SPDX-License-Identifier: MIT */
/*
 * Messages put together from their frames: copied once, from the socket's buffer into the body. What can't become an
 * envelope (larger than allowed, malformed headers) is logged, and left to its reader to reject.
 */
#include "bridges/amqp_content.h"

#include <posta/log.h>

#include <stdlib.h>
#include <string.h>

void posta__amqp_content_reset(struct posta__amqp_content *content)
{
	posta_envelope_unref(content->envelope);
	free(content->body);
	content->envelope = NULL;
	content->body = NULL;
	content->want = POSTA__AMQP_NO_CONTENT;
}

enum posta__amqp_arrival posta__amqp_content_begin(struct posta__amqp_content *content,
						   const amqp_basic_deliver_t *method)
{
	if (content->want != POSTA__AMQP_NO_CONTENT || method->routing_key.len > sizeof content->routing_key)
		return POSTA__AMQP_OUT_OF_TURN;
	content->want = POSTA__AMQP_WANT_HEADER;
	content->tag = method->delivery_tag;
	content->redelivered = method->redelivered;
	content->routing_key_len = (uint8_t)method->routing_key.len;
	if (content->routing_key_len)
		memcpy(content->routing_key, method->routing_key.bytes, method->routing_key.len);
	return POSTA__AMQP_MORE_TO_COME;
}

static void refuse(struct posta_bridge *bridge, const char *from, const char *why)
{
	posta_log(posta_system_of(posta_bridge_actor(bridge)), POSTA_LOG_WARNING, "amqp.message_rejected",
		  "name=%s queue=%s reason=%s", posta_bridge_name(bridge), from, why);
}

static void no_memory(struct posta__amqp_connection *connection, size_t body_len)
{
	posta__amqp_fail(connection->amqp, POSTA_ENOMEM, "out of memory for a delivery of %zu bytes", body_len);
}

/* False: out of memory. */
static bool decode(struct posta__amqp_content *content, struct posta__amqp_connection *connection,
		   const struct posta__amqp_content_header *header, const char *from)
{
	struct posta_bridge *bridge = connection->amqp->bridge;
	amqp_bytes_t routing_key = { content->routing_key_len, content->routing_key };
	const char *why = "larger than message_bytes_max";
	enum posta_err code = POSTA_ETOOBIG;

	if (header->body_size <= posta_bridge_get_options(bridge)->message_bytes_max)
		code = posta__amqp_properties_decode(header->properties, routing_key, posta__wall_ms(),
						     &connection->pool, &content->envelope, &why);
	if (code && code != POSTA_ENOMEM)
		refuse(bridge, from, why);
	return code != POSTA_ENOMEM;
}

static enum posta__amqp_arrival complete(struct posta__amqp_content *content)
{
	content->want = POSTA__AMQP_NO_CONTENT;
	return POSTA__AMQP_COMPLETE;
}

enum posta__amqp_arrival posta__amqp_content_header(struct posta__amqp_content *content,
						    struct posta__amqp_connection *connection,
						    const struct posta__amqp_content_header *header, const char *from)
{
	if (content->want != POSTA__AMQP_WANT_HEADER)
		return POSTA__AMQP_OUT_OF_TURN;
	content->want = POSTA__AMQP_WANT_BODY;
	content->body_len = header->body_size;
	content->body_got = 0;
	if (!decode(content, connection, header, from)) {
		no_memory(connection, content->body_len);
		return POSTA__AMQP_MORE_TO_COME;
	}
	if (content->body_len)
		return POSTA__AMQP_MORE_TO_COME;
	if (content->envelope)
		(void)posta_envelope_set_body(content->envelope, "", 0);
	return complete(content);
}

/* False: out of memory. */
static bool keep_part(struct posta__amqp_content *content, const uint8_t *bytes, size_t len)
{
	if (!content->body)
		content->body = malloc(content->body_len);
	if (!content->body)
		return false;
	memcpy(content->body + content->body_got, bytes, len);
	if (content->body_got + len < content->body_len)
		return true;
	uint8_t *body = content->body;

	content->body = NULL; /* the envelope's from here on, also on failure */
	return posta_envelope_wrap_body(content->envelope, body, content->body_len, free, body) == POSTA_OK;
}

enum posta__amqp_arrival posta__amqp_content_body(struct posta__amqp_content *content,
						  struct posta__amqp_connection *connection, const uint8_t *bytes,
						  size_t len)
{
	bool kept = true;

	if (content->want != POSTA__AMQP_WANT_BODY || len > content->body_len - content->body_got)
		return POSTA__AMQP_OUT_OF_TURN;
	if (content->envelope && len == content->body_len)
		kept = posta_envelope_set_body(content->envelope, bytes, len) == POSTA_OK;
	else if (content->envelope && len)
		kept = keep_part(content, bytes, len);
	content->body_got += len;
	if (!kept)
		no_memory(connection, content->body_len);
	return kept && content->body_got == content->body_len ? complete(content) : POSTA__AMQP_MORE_TO_COME;
}

struct posta_envelope *posta__amqp_content_take(struct posta__amqp_content *content,
						struct posta__amqp_connection *connection)
{
	struct posta_envelope *envelope = content->envelope;

	content->envelope = NULL;
	if (!posta__wire_finish(&envelope, POSTA__AMQP))
		return envelope;
	posta_envelope_unref(envelope);
	no_memory(connection, content->body_len);
	return NULL;
}
