/* SPDX-License-Identifier: MIT */
/*
 * basic.return: the broker had no queue for a mandatory publication. It names no delivery tag; it is told by where it
 * went, how long it is and its message_id, and returns come in the order of sending. Its basic.ack comes after it.
 */
#include "bridges/amqp_publisher.h"

#include <posta/log.h>

#include <stdio.h>
#include <string.h>

void posta__amqp_return_method(struct posta__amqp_publisher *publisher, const amqp_basic_return_t *method)
{
	struct posta__amqp_returned *returned = &publisher->returned;

	returned->want = POSTA__AMQP_WANT_RETURN_HEADER;
	returned->code = method->reply_code;
	posta__amqp_words(method->reply_text, returned->text, sizeof returned->text);
	posta__amqp_words(method->exchange, returned->exchange, sizeof returned->exchange);
	posta__amqp_words(method->routing_key, returned->routing_key, sizeof returned->routing_key);
}

static bool is_id(const struct posta__amqp_entry *entry, struct posta_bytes id)
{
	if (!id.data || entry->publication->target->format == POSTA_FORMAT_RAW)
		return true;
	struct posta_bytes own = posta__wire_native(entry->publication->envelope, POSTA__AMQP, POSTA_ATTR_ID);

	return own.data && own.len == id.len && memcmp(own.data, id.data, id.len) == 0;
}

static bool is_returned(const struct posta__amqp_entry *entry, const struct posta__amqp_returned *returned,
			uint64_t body_len, struct posta_bytes id)
{
	char wait_queue[UINT8_MAX + 1];

	return entry->state == POSTA__AMQP_SENT && entry->body_len == body_len &&
	       strcmp(posta__amqp_exchange_of(entry->publication->target), returned->exchange) == 0 &&
	       strcmp(posta__amqp_routing_key_of(entry->publication->target, wait_queue), returned->routing_key) == 0 &&
	       is_id(entry, id);
}

/* The message_id of a returned message; data NULL where it has none. Borrows: from the frame. */
static struct posta_bytes id_of(struct posta__amqp_publisher *publisher, amqp_bytes_t properties)
{
	void *decoded = NULL;

	if (!posta__amqp_properties_ok(properties.bytes, properties.len) ||
	    amqp_decode_properties(AMQP_BASIC_CLASS, &posta__amqp_publisher_wire(publisher)->pool, properties,
				   &decoded) < 0)
		return (struct posta_bytes){ 0 };
	const amqp_basic_properties_t *p = decoded;

	return p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG ? (struct posta_bytes){ p->message_id.bytes, p->message_id.len }
						      : (struct posta_bytes){ 0 };
}

static void refuse_returned(struct posta__amqp_publisher *publisher, const struct posta__amqp_content_header *header)
{
	struct posta__amqp_returned *returned = &publisher->returned;
	struct posta_bytes id = id_of(publisher, header->properties);
	uint64_t i = returned->searched > publisher->head ? returned->searched : publisher->head;
	char text[POSTA_ERROR_TEXT_MAX];

	while (i < publisher->next && !is_returned(posta__amqp_entry_at(publisher, i), returned, header->body_size, id))
		i++;
	if (i == publisher->next) {
		posta_log(posta_system_of(posta_bridge_actor(publisher->amqp->bridge)), POSTA_LOG_WARNING,
			  "amqp.return_unknown", "name=%s routing_key=%s", posta_bridge_name(publisher->amqp->bridge),
			  returned->routing_key);
		return;
	}
	returned->searched = i + 1;
	posta__amqp_target_forget(&publisher->targets, posta__amqp_entry_at(publisher, i)->publication->target);
	snprintf(text, sizeof text, "%u %.40s: no queue for exchange '%.80s' and routing key '%.80s'", returned->code,
		 returned->text, returned->exchange, returned->routing_key);
	posta__amqp_entry_end(publisher, posta__amqp_entry_at(publisher, i), POSTA_EREFUSED, text);
}

bool posta__amqp_return_header(struct posta__amqp_publisher *publisher, const struct posta__amqp_content_header *header)
{
	struct posta__amqp_returned *returned = &publisher->returned;

	if (returned->want != POSTA__AMQP_WANT_RETURN_HEADER)
		return false;
	returned->body_left = header->body_size;
	returned->want = header->body_size ? POSTA__AMQP_WANT_RETURN_BODY : POSTA__AMQP_NO_RETURN;
	refuse_returned(publisher, header);
	return true;
}

bool posta__amqp_return_body(struct posta__amqp_publisher *publisher, size_t len)
{
	struct posta__amqp_returned *returned = &publisher->returned;

	if (returned->want != POSTA__AMQP_WANT_RETURN_BODY || len > returned->body_left)
		return false;
	returned->body_left -= len;
	if (!returned->body_left)
		returned->want = POSTA__AMQP_NO_RETURN;
	return true;
}
