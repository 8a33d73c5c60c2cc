/* SPDX-License-Identifier: MIT */
/*
 * Messages put together from their frames: copied once, from the socket's buffer into the body. What can't become an
 * envelope (larger than allowed, malformed headers) is rejected to the broker, which dead-letters it by its policy:
 * given back it would come again for ever.
 */
#include "bridges/amqp_subscription.h"

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

bool posta__amqp_on_deliver(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
			    const amqp_basic_deliver_t *method)
{
	(void)amqp;
	struct posta__amqp_content *content = &subscription->content;

	if (content->want != POSTA__AMQP_NO_CONTENT || method->routing_key.len > sizeof content->routing_key)
		return false;
	content->want = POSTA__AMQP_WANT_HEADER;
	content->tag = method->delivery_tag;
	content->redelivered = method->redelivered;
	content->routing_key_len = (uint8_t)method->routing_key.len;
	if (content->routing_key_len)
		memcpy(content->routing_key, method->routing_key.bytes, method->routing_key.len);
	return true;
}

static void settle_now(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
		       enum posta_outcome outcome)
{
	posta__amqp_unsettled_settle(&subscription->unsettled, subscription->content.tag, outcome);
	posta__amqp_consumer_kick(amqp->consumer);
}

static void refuse(struct posta__amqp *amqp, const struct posta__amqp_subscription *subscription, const char *why)
{
	posta_log(posta_system_of(posta_bridge_actor(amqp->bridge)), POSTA_LOG_WARNING, "amqp.message_rejected",
		  "name=%s queue=%s reason=%s", posta_bridge_name(amqp->bridge), subscription->queue, why);
}

/* Deliveries that the core has and that are not settled. */
static uint32_t out_now(const struct posta__amqp_subscription *subscription)
{
	return subscription->unsettled.open - (subscription->held_to - subscription->held_from);
}

static bool hold(struct posta__amqp_subscription *subscription, const struct posta__amqp_held *delivery)
{
	if (subscription->held_to == subscription->held_room) {
		uint32_t count = subscription->held_to - subscription->held_from;
		uint32_t room = count < 32 ? 64 : 2 * count;
		struct posta__amqp_held *held = malloc(room * sizeof *held);

		if (!held)
			return false;
		if (count)
			memcpy(held, subscription->held + subscription->held_from, count * sizeof *held);
		free(subscription->held);
		subscription->held = held;
		subscription->held_from = 0;
		subscription->held_to = count;
		subscription->held_room = room;
	}
	subscription->held[subscription->held_to++] = *delivery;
	return true;
}

void posta__amqp_release_held(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription)
{
	while (subscription->held_from < subscription->held_to && out_now(subscription) < subscription->prefetch) {
		struct posta__amqp_held next = subscription->held[subscription->held_from++];

		posta_bridge_deliver(amqp->bridge, subscription->id, next.envelope, next.id, next.redelivered);
	}
	if (subscription->held_from == subscription->held_to)
		subscription->held_from = subscription->held_to = 0;
}

void posta__amqp_drop_held(struct posta__amqp_subscription *subscription, bool give_back)
{
	for (uint32_t i = subscription->held_from; i < subscription->held_to; i++) {
		posta_envelope_unref(subscription->held[i].envelope);
		if (give_back)
			posta__amqp_unsettled_settle(&subscription->unsettled,
						     posta__amqp_delivery_tag(subscription->held[i].id), POSTA_REQUEUE);
	}
	subscription->held_from = subscription->held_to = 0;
}

static void hand_over(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription)
{
	struct posta__amqp_content *content = &subscription->content;
	struct posta__amqp_held delivery = { content->envelope, posta__amqp_delivery_id(subscription, content->tag),
					     content->redelivered };
	bool now = subscription->held_from == subscription->held_to && out_now(subscription) <= subscription->prefetch;

	content->envelope = NULL;
	if (posta__wire_finish(&delivery.envelope, POSTA__AMQP) || (!now && !hold(subscription, &delivery))) {
		posta_envelope_unref(delivery.envelope);
		posta__amqp_fail(amqp, POSTA_ENOMEM, "out of memory for a delivery");
		return;
	}
	if (now)
		posta_bridge_deliver(amqp->bridge, subscription->id, delivery.envelope, delivery.id,
				     delivery.redelivered);
}

/* All frames are there. */
static void complete(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription)
{
	struct posta__amqp_content *content = &subscription->content;

	content->want = POSTA__AMQP_NO_CONTENT;
	if (!posta__amqp_unsettled_add(&subscription->unsettled, content->tag)) {
		posta__amqp_fail(amqp, POSTA_ENOMEM, "out of memory for a delivery");
		return;
	}
	if (content->envelope && !subscription->ending) {
		hand_over(amqp, subscription);
		return;
	}
	settle_now(amqp, subscription, subscription->ending ? POSTA_REQUEUE : POSTA_REJECT);
	posta__amqp_content_reset(content);
}

static bool decode(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
		   const struct posta__amqp_content_header *header)
{
	struct posta__amqp_content *content = &subscription->content;
	amqp_bytes_t routing_key = { content->routing_key_len, content->routing_key };
	const char *why = "larger than message_bytes_max";
	enum posta_err code = POSTA_ETOOBIG;

	if (header->body_size <= posta_bridge_get_options(amqp->bridge)->message_bytes_max)
		code = posta__amqp_properties_decode(header->properties, routing_key, posta__wall_ms(),
						     &amqp->consuming.pool, &content->envelope, &why);
	if (code == POSTA_ENOMEM) {
		posta__amqp_fail(amqp, code, "out of memory for a delivery");
		return false;
	}
	if (code)
		refuse(amqp, subscription, why);
	return true;
}

bool posta__amqp_on_header(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
			   const struct posta__amqp_content_header *header)
{
	struct posta__amqp_content *content = &subscription->content;

	if (content->want != POSTA__AMQP_WANT_HEADER)
		return false;
	content->want = POSTA__AMQP_WANT_BODY;
	content->body_len = header->body_size;
	content->body_got = 0;
	if (!decode(amqp, subscription, header))
		return true;
	if (!content->body_len) {
		if (content->envelope)
			(void)posta_envelope_set_body(content->envelope, "", 0);
		complete(amqp, subscription);
	}
	return true;
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

bool posta__amqp_on_body(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription, const uint8_t *bytes,
			 size_t len)
{
	struct posta__amqp_content *content = &subscription->content;
	bool kept = true;

	if (content->want != POSTA__AMQP_WANT_BODY || len > content->body_len - content->body_got)
		return false;
	if (content->envelope && len == content->body_len)
		kept = posta_envelope_set_body(content->envelope, bytes, len) == POSTA_OK;
	else if (content->envelope && len)
		kept = keep_part(content, bytes, len);
	content->body_got += len;
	if (!kept)
		posta__amqp_fail(amqp, POSTA_ENOMEM, "out of memory for a delivery of %zu bytes", content->body_len);
	else if (content->body_got == content->body_len)
		complete(amqp, subscription);
	return true;
}
