/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_SUBSCRIPTION_H
#define POSTA_BRIDGES_AMQP_SUBSCRIPTION_H

/* One subscription on its channel: shared by amqp_consumer.c (channels) and amqp_delivery.c (messages). */

#include "bridges/amqp_content.h"

/* A delivery that would be more than the credit: a resumed consumer has its whole prefetch, whatever is still out. */
struct posta__amqp_held {
	struct posta_envelope *envelope;
	uint64_t id;
	bool redelivered;
};

struct posta__amqp_subscription {
	uint32_t id;
	uint16_t channel;
	/* The source. Strings are owned; queue is never NULL. */
	char *queue, *exchange, *routing_key, *exchange_type;
	const char *const *arguments, *const *bindings; /* each in a block of its own */
	bool declare, exclusive;
	int priority_max;
	uint16_t prefetch; /* the credit, as far as 16 bits go */

	enum {
		POSTA__AMQP_CHANNEL_WAITS,  /* closed by the broker, until retry_at */
		POSTA__AMQP_CHANNEL_OPEN,   /* or on the way to it */
		POSTA__AMQP_CHANNEL_CLOSING /* by us */
	} channel_state;
	enum {
		POSTA__AMQP_NO_CONSUMER,
		POSTA__AMQP_CONSUMER_STARTING,
		POSTA__AMQP_CONSUMER_ON,
		POSTA__AMQP_CONSUMER_STOPPING
	} consumer_state;
	bool paused;
	bool ending;   /* unsubscribed: what comes goes back, what is out may still be settled */
	bool reopen;   /* closing only to begin anew */
	bool reported; /* the core knows that it is in force */
	unsigned rpcs;
	uint16_t incarnation; /* of the channel: part of the delivery ids */
	uint32_t consumers;   /* started so far: part of the consumer tag */
	double retry_at;
	struct posta__amqp_unsettled unsettled;
	struct posta__amqp_content content;
	struct posta__amqp_held *held; /* held[held_from..held_to), oldest first; at most one prefetch */
	uint32_t held_from, held_to, held_room;
};

/* Returns: owned, with copies of the source's strings; NULL when out of memory. */
struct posta__amqp_subscription *posta__amqp_subscription_new(uint32_t id, const struct posta_source *source);
void posta__amqp_subscription_free(struct posta__amqp_subscription *s);
/* A request on its channel. */
void posta__amqp_subscription_ask(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection,
				  amqp_method_number_t method, const void *fields);
/* The requests that make its queue, exchange and bindings what the source says. */
void posta__amqp_subscription_declare(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection);

/* A delivery's name in the core: tags begin anew with each channel. */
static inline uint64_t posta__amqp_delivery_id(const struct posta__amqp_subscription *subscription, uint64_t tag)
{
	return (uint64_t)subscription->incarnation << 48 | tag;
}

static inline uint64_t posta__amqp_delivery_tag(uint64_t id)
{
	return id & ((UINT64_C(1) << 48) - 1);
}

/* The frames of a delivery. False: not as they should come. */
bool posta__amqp_on_deliver(struct posta__amqp_subscription *subscription, const amqp_basic_deliver_t *method);
bool posta__amqp_on_header(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription,
			   const struct posta__amqp_content_header *header);
bool posta__amqp_on_body(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription, const uint8_t *bytes,
			 size_t len);
/* Hands over what was held, as far as the credit goes. */
void posta__amqp_release_held(struct posta__amqp *amqp, struct posta__amqp_subscription *subscription);
/* Gives it back to the broker, or, when the channel is gone, only forgets it. */
void posta__amqp_drop_held(struct posta__amqp_subscription *subscription, bool give_back);

/* Something was settled: acknowledgements are written at the end of this round of the loop. */
void posta__amqp_consumer_kick(struct posta__amqp_consumer *consumer);

#endif
