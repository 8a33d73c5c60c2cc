/* SPDX-License-Identifier: MIT */
/*
 * Deliveries on their way from a channel to the core. What can't become an envelope is rejected to the broker, which
 * dead-letters it by its policy: given back it would come again for ever.
 */
#include "bridges/amqp_subscription.h"

#include <stdlib.h>
#include <string.h>

static void settle_now(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
		       enum posta_outcome outcome)
{
	posta__amqp_unsettled_settle(&subscription->unsettled, subscription->content.tag, outcome);
	posta__amqp_consumer_kick(amqp->consumer);
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
	struct posta__amqp_held delivery = { posta__amqp_content_take(content, &amqp->consuming),
					     posta__amqp_delivery_id(subscription, content->tag),
					     content->redelivered };
	bool now = subscription->held_from == subscription->held_to && out_now(subscription) <= subscription->prefetch;

	if (!delivery.envelope)
		return;
	if (now) {
		posta_bridge_deliver(amqp->bridge, subscription->id, delivery.envelope, delivery.id,
				     delivery.redelivered);
	} else if (!hold(subscription, &delivery)) {
		posta_envelope_unref(delivery.envelope);
		posta__amqp_fail(amqp, POSTA_ENOMEM, "out of memory for a delivery");
	}
}

/* All frames are there. */
static void complete(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription)
{
	struct posta__amqp_content *content = &subscription->content;

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

static bool took(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
		 enum posta__amqp_arrival arrival)
{
	if (arrival == POSTA__AMQP_COMPLETE)
		complete(amqp, subscription);
	return arrival != POSTA__AMQP_OUT_OF_TURN;
}

bool posta__amqp_on_deliver(struct posta__amqp_subscription *subscription, const amqp_basic_deliver_t *method)
{
	return posta__amqp_content_begin(&subscription->content, method) != POSTA__AMQP_OUT_OF_TURN;
}

bool posta__amqp_on_header(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
			   const struct posta__amqp_content_header *header)
{
	return took(amqp, subscription,
		    posta__amqp_content_header(&subscription->content, &amqp->consuming, header, subscription->queue));
}

bool posta__amqp_on_body(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription, const uint8_t *bytes,
			 size_t len)
{
	return took(amqp, subscription,
		    posta__amqp_content_body(&subscription->content, &amqp->consuming, bytes, len));
}
