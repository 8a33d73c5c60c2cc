/* SPDX-License-Identifier: MIT */
/*
 * Direct reply-to: a question names the queue "amq.rabbitmq.reply-to" for its reply, and RabbitMQ makes of that an
 * address of the channel it came by. So it is the publishing channel that consumes from it, from its first question on,
 * and replies come without a queue, a binding or an acknowledgement. They end with the channel.
 * Source: RabbitMQ, "Direct Reply-to".
 */
#include "bridges/amqp_publisher.h"

#include <string.h>

bool posta__amqp_is_question(const struct posta_publication *publication)
{
	struct posta_bytes reply_to = posta_envelope_get(publication->envelope, POSTA_ATTR_REPLY_TO);

	return reply_to.len == strlen(POSTA__AMQP_DIRECT_REPLY_TO) && publication->target->format != POSTA_FORMAT_RAW &&
	       memcmp(reply_to.data, POSTA__AMQP_DIRECT_REPLY_TO, reply_to.len) == 0;
}

void posta__amqp_hear_replies(struct posta__amqp_publisher *publisher)
{
	amqp_basic_consume_t fields = { .queue = posta__amqp_text(POSTA__AMQP_DIRECT_REPLY_TO), .no_ack = 1 };

	publisher->hears_replies = true;
	if (posta__amqp_ask(posta__amqp_publisher_wire(publisher), POSTA__AMQP_PUBLISH_CHANNEL,
			    AMQP_BASIC_CONSUME_METHOD, &fields))
		publisher->rpcs++;
}

static bool took(struct posta__amqp_publisher *publisher, enum posta__amqp_arrival arrival)
{
	struct posta_envelope *reply = NULL;

	if (arrival == POSTA__AMQP_COMPLETE && publisher->reply.envelope)
		reply = posta__amqp_content_take(&publisher->reply, posta__amqp_publisher_wire(publisher));
	if (arrival == POSTA__AMQP_COMPLETE)
		posta__amqp_content_reset(&publisher->reply);
	if (reply)
		posta_bridge_replied(publisher->amqp->bridge, reply);
	return arrival != POSTA__AMQP_OUT_OF_TURN;
}

bool posta__amqp_reply_method(struct posta__amqp_publisher *publisher, const amqp_basic_deliver_t *method)
{
	return publisher->hears_replies && publisher->returned.want == POSTA__AMQP_NO_RETURN &&
	       took(publisher, posta__amqp_content_begin(&publisher->reply, method));
}

bool posta__amqp_reply_header(struct posta__amqp_publisher *publisher, const struct posta__amqp_content_header *header)
{
	return took(publisher,
		    posta__amqp_content_header(&publisher->reply, posta__amqp_publisher_wire(publisher), header,
					       POSTA__AMQP_DIRECT_REPLY_TO));
}

bool posta__amqp_reply_body(struct posta__amqp_publisher *publisher, const uint8_t *bytes, size_t len)
{
	return took(publisher, posta__amqp_content_body(&publisher->reply, posta__amqp_publisher_wire(publisher), bytes,
							len));
}
