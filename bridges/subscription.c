/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions, and the deliveries of each that nobody has settled yet. A token is good while its id is in the set and
 * its generation is the connection's; all else is stale: counted and ignored.
 */
#include "bridges/bridge.h"
#include "bridges/kept_text.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_FIRST 64u
#define AGAIN_MS 100u
#define RESUBSCRIBE_MS 5000u
#define CREDIT_DEFAULT 1024u

/* -- Records -- */

struct posta__subscription *posta__subscription_make(posta_ref subscriber, const struct posta_source *source)
{
	const char *const texts[] = { source->topic,    source->group,       source->queue,
				      source->exchange, source->routing_key, source->filter,
				      source->share,    source->member,      source->exchange_type };
	size_t size = posta__kept_list_size(source->queue_arguments) + posta__kept_list_size(source->bindings);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		size += posta__kept_size(texts[i]);
	struct posta__subscription *made = calloc(1, sizeof *made + size);
	uint64_t *batch = malloc(BATCH_FIRST * sizeof *batch);
	if (!made || !batch) {
		free(made);
		free(batch);
		return NULL;
	}
	made->batch = batch;
	made->batch_room = BATCH_FIRST;
	char *at = (char *)(made + 1);
	made->subscriber = subscriber;
	made->source = *source;
	made->lag = -1;
	if (!made->source.credit)
		made->source.credit = CREDIT_DEFAULT;
	posta__kept_list_move(&made->source.queue_arguments, &at);
	posta__kept_list_move(&made->source.bindings, &at);
	posta__kept_move(&made->source.topic, &at);
	posta__kept_move(&made->source.group, &at);
	posta__kept_move(&made->source.queue, &at);
	posta__kept_move(&made->source.exchange, &at);
	posta__kept_move(&made->source.routing_key, &at);
	posta__kept_move(&made->source.filter, &at);
	posta__kept_move(&made->source.share, &at);
	posta__kept_move(&made->source.member, &at);
	posta__kept_move(&made->source.exchange_type, &at);
	return made;
}

void posta__subscription_free(struct posta__subscription *subscription)
{
	if (!subscription)
		return;
	free(subscription->unsettled.slots);
	free(subscription->batch);
	free(subscription);
}

struct posta__subscription *posta__subscription_find(struct posta_bridge *bridge, uint32_t id)
{
	uint32_t mask = bridge->by_id_room - 1;
	if (!bridge->subscription_count)
		return NULL;
	uint32_t at = id & mask;
	while (bridge->by_id[at] && bridge->by_id[at]->id != id)
		at = (at + 1) & mask;
	return bridge->by_id[at];
}

/* Ids are consecutive: they need no hash. */
static void index_one(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	uint32_t mask = bridge->by_id_room - 1, at = subscription->id & mask;
	while (bridge->by_id[at])
		at = (at + 1) & mask;
	bridge->by_id[at] = subscription;
}

static void index_anew(struct posta_bridge *bridge)
{
	memset(bridge->by_id, 0, bridge->by_id_room * sizeof(struct posta__subscription *));
	for (uint32_t i = 0; i < bridge->subscription_count; i++)
		index_one(bridge, bridge->subscriptions[i]);
}

static bool index_room(struct posta_bridge *bridge, uint32_t room)
{
	struct posta__subscription **bigger = calloc(room, sizeof *bigger);
	if (!bigger)
		return false;
	free(bridge->by_id);
	bridge->by_id = bigger;
	bridge->by_id_room = room;
	index_anew(bridge);
	return true;
}

static enum posta_err room_for_one(struct posta_bridge *bridge)
{
	if (bridge->subscription_count < bridge->subscription_room)
		return POSTA_OK;
	uint32_t room = bridge->subscription_room ? bridge->subscription_room * 2 : 8;
	if (room > POSTA__SUBSCRIPTIONS_MAX)
		return POSTA_EFULL;
	if (!index_room(bridge, 2 * room))
		return POSTA_ENOMEM;
	struct posta__subscription **bigger = realloc(bridge->subscriptions, room * sizeof *bigger);
	if (!bigger)
		return POSTA_ENOMEM;
	bridge->subscriptions = bigger;
	bridge->subscription_room = room;
	return POSTA_OK;
}

static bool usable(const struct posta_bridge *bridge)
{
	return bridge->up && !bridge->failing;
}

/* Its settlements or its credit have changed: the next flush looks at it. */
static void touch(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	if (!subscription->touched) {
		subscription->touched = true;
		subscription->next_touched = bridge->touched;
		bridge->touched = subscription;
	}
	posta__front_schedule_flush(bridge);
}

static void untouch(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	struct posta__subscription **at = &bridge->touched;
	while (*at && *at != subscription)
		at = &(*at)->next_touched;
	if (*at)
		*at = subscription->next_touched;
	subscription->touched = false;
}

static void forget_unsettled(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	posta__bump(&bridge->unsettled, -(int64_t)subscription->unsettled.count);
	if (subscription->unsettled.count)
		touch(bridge, subscription);
	posta__ids_clear(&subscription->unsettled);
	subscription->batch_count = 0;
}

void posta__subscription_answer(struct posta_bridge *bridge, struct posta__subscription *subscription,
				enum posta_err result, const char *text)
{
	struct posta_subscribed subscribed = { .subscription = subscription->id, .result = result };
	if (result)
		strncpy(subscribed.text, text ? text : posta_strerror(result), sizeof subscribed.text - 1);
	posta_send(bridge->front, subscription->subscriber, POSTA_MSG_SUBSCRIBED, &subscribed, sizeof subscribed);
}

static void activate(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	subscription->active = true;
	subscription->paused_by_credit = false;
	bridge->ops->subscribe(bridge, bridge->state, subscription->id, &subscription->source);
	if (subscription->paused_by_user && subscription->active && usable(bridge))
		bridge->ops->pause(bridge, bridge->state, subscription->id);
}

/* Notices the subscriber's end; soon, if there is no memory for it now. False: there is none for that either. */
static bool watch(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	subscription->monitor = posta_watch(bridge->front, subscription->subscriber);
	return subscription->monitor ||
	       posta_send_after(bridge->front, AGAIN_MS, bridge->front_ref, POSTA__FRONT_WATCH_SUBSCRIBER,
				&subscription->id, sizeof subscription->id);
}

void posta__subscription_watch(struct posta_bridge *bridge, uint32_t id)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription || subscription->monitor || watch(bridge, subscription))
		return;
	posta__subscription_answer(bridge, subscription, POSTA_ECLOSED, "bridge: no memory to watch its subscriber");
	posta__subscription_end(bridge, subscription);
}

bool posta__subscription_watch_again(struct posta_bridge *bridge, posta_monitor monitor)
{
	for (uint32_t i = 0; i < bridge->subscription_count; i++) {
		struct posta__subscription *subscription = bridge->subscriptions[i];
		if (subscription->monitor != monitor)
			continue;
		subscription->monitor = 0;
		posta__subscription_watch(bridge, subscription->id);
		return true;
	}
	return false;
}

void posta__subscription_add(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	enum posta_err result = bridge->closing ? POSTA_ECLOSED : room_for_one(bridge);
	if (!result && !watch(bridge, subscription))
		result = POSTA_ENOMEM;
	if (result) {
		posta__subscription_answer(bridge, subscription, result, NULL);
		posta__subscription_free(subscription);
		return;
	}
	bridge->subscriptions[bridge->subscription_count++] = subscription;
	index_one(bridge, subscription);
	atomic_store_explicit(&bridge->subscribed, bridge->subscription_count, memory_order_relaxed);
	if (usable(bridge))
		activate(bridge, subscription);
}

void posta__subscription_end(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	posta__settle_flush(bridge);
	if (subscription->active && usable(bridge))
		bridge->ops->unsubscribe(bridge, bridge->state, subscription->id);
	posta_bridge_lag(bridge, subscription->id, -1);
	forget_unsettled(bridge, subscription);
	posta_unwatch(bridge->front, subscription->monitor);
	posta_cancel(bridge->front, subscription->retry);
	uint32_t i = 0;
	while (bridge->subscriptions[i] != subscription)
		i++;
	memmove(&bridge->subscriptions[i], &bridge->subscriptions[i + 1],
		(--bridge->subscription_count - i) * sizeof(struct posta__subscription *));
	index_anew(bridge);
	untouch(bridge, subscription);
	bridge->ending_count -= subscription->ending;
	atomic_store_explicit(&bridge->subscribed, bridge->subscription_count, memory_order_relaxed);
	posta__subscription_free(subscription);
}

void posta__subscription_end_later(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	posta__subscription_pause(bridge, subscription->id, true);
	bridge->ending_count += !subscription->ending;
	subscription->ending = true;
}

static void hand_down(struct posta_bridge *bridge, struct posta__subscription *subscription);
static void gather(struct posta_bridge *bridge, struct posta__subscription *subscription, uint64_t id,
		   enum posta_outcome outcome);

/* What the subscriber had not settled goes back to the broker, for others. */
static void give_back(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	for (uint32_t i = 0; i < subscription->unsettled.room; i++)
		if (subscription->unsettled.slots[i])
			gather(bridge, subscription, subscription->unsettled.slots[i] - 1, POSTA_REQUEUE);
	hand_down(bridge, subscription);
	forget_unsettled(bridge, subscription);
}

void posta__subscriber_ended(struct posta_bridge *bridge, posta_ref subscriber)
{
	for (uint32_t i = bridge->subscription_count; i-- > 0;) {
		struct posta__subscription *subscription = bridge->subscriptions[i];
		if (subscription->subscriber != subscriber)
			continue;
		posta__settle_flush(bridge);
		give_back(bridge, subscription);
		posta__subscription_end(bridge, subscription);
	}
}

void posta__subscription_pause(struct posta_bridge *bridge, uint32_t id, bool pause)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription || subscription->paused_by_user == pause)
		return;
	subscription->paused_by_user = pause;
	if (!subscription->active || !usable(bridge) || subscription->paused_by_credit)
		return;
	if (pause)
		bridge->ops->pause(bridge, bridge->state, id);
	else
		bridge->ops->resume(bridge, bridge->state, id);
}

/* Kept until a connection has it: a position that was reached once is not begun at again. */
void posta__subscription_seek(struct posta_bridge *bridge, uint32_t id, struct posta_position position)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription || subscription->ending)
		return;
	posta__settle_flush(bridge);
	forget_unsettled(bridge, subscription);
	if (subscription->active && usable(bridge))
		bridge->ops->seek(bridge, bridge->state, id, position);
	else
		subscription->source.position = position;
}

void posta__subscriptions_up(struct posta_bridge *bridge)
{
	for (uint32_t i = 0; i < bridge->subscription_count && usable(bridge); i++)
		if (!bridge->subscriptions[i]->active && !bridge->subscriptions[i]->ending)
			activate(bridge, bridge->subscriptions[i]);
}

void posta__subscriptions_down(struct posta_bridge *bridge)
{
	for (uint32_t i = 0; i < bridge->subscription_count; i++) {
		bridge->subscriptions[i]->active = false;
		forget_unsettled(bridge, bridge->subscriptions[i]);
	}
}

void posta__subscriptions_stop_intake(struct posta_bridge *bridge)
{
	for (uint32_t i = 0; i < bridge->subscription_count; i++)
		posta__subscription_pause(bridge, bridge->subscriptions[i]->id, true);
}

void posta__subscriptions_fini(struct posta_bridge *bridge)
{
	for (uint32_t i = 0; i < bridge->subscription_count; i++) {
		posta__subscription_answer(bridge, bridge->subscriptions[i], POSTA_ECLOSED, NULL);
		posta__subscription_free(bridge->subscriptions[i]);
	}
	free(bridge->subscriptions);
	free(bridge->by_id);
	bridge->subscriptions = bridge->by_id = NULL;
	bridge->touched = NULL;
	bridge->subscription_count = bridge->subscription_room = 0;
}

/* -- Deliveries -- */

static void delivery_release(void *data, void *context)
{
	(void)context;
	struct posta_delivery *delivery = data;
	posta_envelope_unref(delivery->envelope);
}

/* Takes: envelope, on success. */
static struct posta_message *delivery_make(struct posta_actor *front, const struct posta_delivery *delivery)
{
	struct posta_message *message =
		posta_message_new(front, POSTA_MSG_DELIVERY, POSTA__PAYLOAD_OWN_SIZE(sizeof *delivery));
	if (message)
		memcpy(posta__payload_own(message, sizeof *delivery, delivery_release), delivery, sizeof *delivery);
	return message;
}

/* Takes: envelope, on success. Returns: false when there is no memory for it. */
static bool deliver(struct posta_bridge *bridge, struct posta__subscription *subscription,
		    struct posta_envelope *envelope, uint64_t id, bool redelivered)
{
	const struct posta_delivery delivery = {
		.envelope = envelope,
		.redelivered = redelivered,
		.token = { .bridge = bridge->front_ref,
			   .subscription = subscription->id,
			   .generation = bridge->generation,
			   .id = id },
	};
	if (!posta__ids_add(&subscription->unsettled, id))
		return false;
	struct posta_message *message = delivery_make(bridge->front, &delivery);
	if (!message) {
		posta__ids_remove(&subscription->unsettled, id);
		return false;
	}
	posta__bump(&bridge->unsettled, 1);
	posta__bump(&bridge->delivered, 1);
	posta__bump(&bridge->redelivered, redelivered);
	if (posta_post(bridge->front, subscription->subscriber, message))
		posta__settle_one(bridge, &delivery.token, POSTA_REQUEUE);
	return true;
}

/* What cannot be handed on, or comes when nobody wants it any more, goes back to the broker from a later turn. */
bool posta_bridge_deliver(struct posta_bridge *bridge, uint32_t id, struct posta_envelope *envelope, uint64_t delivery,
			  bool redelivered)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription || !usable(bridge)) {
		posta_envelope_unref(envelope);
		return false;
	}
	if (subscription->ending || !deliver(bridge, subscription, envelope, delivery, redelivered)) {
		posta_envelope_unref(envelope);
		gather(bridge, subscription, delivery, POSTA_REQUEUE);
	}
	if (!subscription->ending && subscription->unsettled.count < subscription->source.credit)
		return true;
	subscription->spent = true;
	touch(bridge, subscription);
	return false;
}

void posta_bridge_revoke(struct posta_bridge *bridge, uint32_t id, bool (*is_void)(uint64_t id, void *context),
			 void *context)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription)
		return;
	uint32_t removed = posta__ids_remove_if(&subscription->unsettled, is_void, context);
	posta__bump(&bridge->unsettled, -(int64_t)removed);
	touch(bridge, subscription);
}

/* -- Settling -- */

static void hand_down(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	uint32_t n = subscription->batch_count;
	subscription->batch_count = 0;
	if (n && usable(bridge) && subscription->active)
		bridge->ops->settle(bridge, bridge->state, subscription->id, subscription->batch, n,
				    subscription->batch_outcome);
}

static bool batch_room(struct posta__subscription *subscription)
{
	if (subscription->batch_count < subscription->batch_room)
		return true;
	uint32_t room = subscription->batch_room * 2;
	uint64_t *bigger = realloc(subscription->batch, room * sizeof *bigger);
	if (!bigger)
		return false;
	subscription->batch = bigger;
	subscription->batch_room = room;
	return true;
}

/* For the next flush; what is gathered goes at once if it ends otherwise, or if there is no memory to gather more. */
static void gather(struct posta_bridge *bridge, struct posta__subscription *subscription, uint64_t id,
		   enum posta_outcome outcome)
{
	touch(bridge, subscription);
	if ((subscription->batch_count && subscription->batch_outcome != outcome) || !batch_room(subscription))
		hand_down(bridge, subscription);
	subscription->batch_outcome = outcome;
	subscription->batch[subscription->batch_count++] = id;
}

void posta__settle_one(struct posta_bridge *bridge, const struct posta_token *token, enum posta_outcome outcome)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, token->subscription);
	if (!subscription || token->generation != bridge->generation ||
	    !posta__ids_remove(&subscription->unsettled, token->id)) {
		posta__bump(&bridge->stale, 1);
		return;
	}
	posta__bump(&bridge->unsettled, -1);
	posta__bump(&bridge->settled, 1);
	gather(bridge, subscription, token->id, outcome);
}

/*
 * Pauses at the end of the credit and resumes at its half; brokers that keep to it themselves need neither. Whoever was
 * told that it is at its end waits for both, though all may be settled by now.
 */
static void by_credit(struct posta_bridge *bridge, struct posta__subscription *subscription)
{
	uint32_t credit = subscription->source.credit, count = subscription->unsettled.count;
	if (bridge->ops->capabilities & POSTA_CAN_CREDIT || !subscription->active || !usable(bridge))
		return;
	if (!subscription->paused_by_credit && (count >= credit || subscription->spent)) {
		subscription->paused_by_credit = true;
		if (!subscription->paused_by_user)
			bridge->ops->pause(bridge, bridge->state, subscription->id);
	}
	subscription->spent = false;
	if (subscription->paused_by_credit && count <= credit / 2) {
		subscription->paused_by_credit = false;
		if (!subscription->paused_by_user)
			bridge->ops->resume(bridge, bridge->state, subscription->id);
	}
}

void posta__settle_flush(struct posta_bridge *bridge)
{
	while (bridge->touched) {
		struct posta__subscription *subscription = bridge->touched;
		bridge->touched = subscription->next_touched;
		subscription->touched = false;
		hand_down(bridge, subscription);
		by_credit(bridge, subscription);
	}
}

void posta__subscriptions_reap(struct posta_bridge *bridge)
{
	for (uint32_t i = bridge->ending_count ? bridge->subscription_count : 0; i-- > 0;) {
		struct posta__subscription *subscription = bridge->subscriptions[i];
		if (!subscription->ending || subscription->unsettled.count)
			continue;
		posta__subscription_answer(bridge, subscription, POSTA_ECLOSED, NULL);
		posta__subscription_end(bridge, subscription);
	}
}

/* -- The broker's answers -- */

void posta_bridge_lag(struct posta_bridge *bridge, uint32_t id, int64_t lag)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription || subscription->lag == lag)
		return;
	bridge->lags_known += (lag >= 0) - (subscription->lag >= 0);
	bridge->lag_sum += (lag >= 0 ? lag : 0) - (subscription->lag >= 0 ? subscription->lag : 0);
	subscription->lag = lag;
	/* Relaxed: one writer, the bridge's worker; a figure for itself. */
	atomic_store_explicit(&bridge->lag, bridge->lags_known ? bridge->lag_sum : -1, memory_order_relaxed);
}

void posta_bridge_subscribed(struct posta_bridge *bridge, uint32_t id, enum posta_err result, const char *text)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription)
		return;
	posta__subscription_answer(bridge, subscription, result, text);
	if (!result)
		subscription->source.position = (struct posta_position){ 0 };
	subscription->active = !result; /* the broker's file may have tried again by itself */
	if (!result)
		return;
	forget_unsettled(bridge, subscription);
	posta_cancel(bridge->front, subscription->retry);
	subscription->retry = posta_send_after(bridge->front, RESUBSCRIBE_MS, bridge->front_ref,
					       POSTA__FRONT_RESUBSCRIBE, &id, sizeof id);
}
