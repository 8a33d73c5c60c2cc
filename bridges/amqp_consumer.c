/* SPDX-License-Identifier: MIT */
/*
 * A channel per subscription, so that an error of one (a queue with other arguments, no permission) closes that one
 * alone. All requests of a subscription go out at once, since each may only be reached when those before succeeded:
 *
 *   channel.open, queue.declare, queue.bind, basic.qos, basic.consume ──▶ consume-ok: in force
 *                                                                    └──▶ channel.close: tried again later
 *
 * Pausing cancels the consumer and keeps the channel, with what is still to be settled on it; resuming consumes again.
 * A pause because the credit is used up costs nothing: the prefetch holds the broker back, and the consumer is canceled
 * only when acknowledgements are to be written while still paused.
 */
#include "bridges/amqp_subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S 2.
#define RETRY_TICK_S .5
#define ACK_SHARE 8u /* acknowledgements of this part of the prefetch leave at once */
#define ACK_WAIT_S .001

struct posta__amqp_consumer {
	struct posta__amqp *amqp;
	struct posta__amqp_subscription **channels; /* by channel number less 1; NULL: free */
	size_t channel_count;
	struct posta__amqp_subscription *last; /* the last one looked up */
	ev_timer kick;                         /* fed by hand, or runs for acknowledgements that wait for more */
	ev_timer retry;                        /* runs while somebody waits */
	bool finishing;
};

static struct posta__amqp_connection *wire(const struct posta__amqp_consumer *consumer)
{
	return &consumer->amqp->consuming;
}

static void protocol_error(const struct posta__amqp_consumer *consumer, const char *what)
{
	posta__amqp_socket_fail(&wire(consumer)->sock, POSTA_EPROTOCOL, "the broker sent %s", what);
}

/* -- the table */

static struct posta__amqp_subscription *by_channel(const struct posta__amqp_consumer *consumer, uint16_t channel)
{
	return channel && channel <= consumer->channel_count ? consumer->channels[channel - 1] : NULL;
}

static struct posta__amqp_subscription *by_id(struct posta__amqp_consumer *consumer, uint32_t id)
{
	if (consumer->last && consumer->last->id == id)
		return consumer->last;
	for (size_t i = 0; i < consumer->channel_count; i++)
		if (consumer->channels[i] && consumer->channels[i]->id == id)
			return consumer->last = consumer->channels[i];
	return NULL;
}

static void forget(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	consumer->channels[s->channel - 1] = NULL;
	if (consumer->last == s)
		consumer->last = NULL;
	posta__amqp_subscription_free(s);
}

/* The lowest free channel. Returns: its number; 0: none, or out of memory. */
static uint16_t free_channel(struct posta__amqp_consumer *consumer)
{
	size_t i = 0;

	while (i < consumer->channel_count && consumer->channels[i])
		i++;
	if (i >= wire(consumer)->limits.channel_max)
		return 0;
	if (i == consumer->channel_count) {
		size_t count = i ? 2 * i : 8;
		struct posta__amqp_subscription **channels = realloc(consumer->channels, count * sizeof(void *));

		if (!channels)
			return 0;
		memset(channels + i, 0, (count - i) * sizeof(void *));
		consumer->channels = channels;
		consumer->channel_count = count;
	}
	return (uint16_t)(i + 1);
}

/* -- requests */

static void ask(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s, amqp_method_number_t method,
		const void *fields)
{
	posta__amqp_subscription_ask(s, wire(consumer), method, fields);
}

static amqp_bytes_t consumer_tag(const struct posta__amqp_subscription *s, char out[32])
{
	snprintf(out, 32, "posta-%u-%u", s->id, s->consumers);
	return posta__amqp_text(out);
}

static void consume(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	char tag[32];

	s->consumers++;
	s->consumer_state = POSTA__AMQP_CONSUMER_STARTING;
	amqp_basic_consume_t fields = { .queue = posta__amqp_text(s->queue), .consumer_tag = consumer_tag(s, tag) };

	ask(consumer, s, AMQP_BASIC_CONSUME_METHOD, &fields);
}

static void cancel(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	char tag[32];
	amqp_basic_cancel_t fields = { .consumer_tag = consumer_tag(s, tag) };

	s->consumer_state = POSTA__AMQP_CONSUMER_STOPPING;
	ask(consumer, s, AMQP_BASIC_CANCEL_METHOD, &fields);
}

/* On a channel of its number that is closed. */
static void start(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	amqp_channel_open_t open = { { 0, NULL } };
	amqp_basic_qos_t qos = { .prefetch_count = s->prefetch };

	ask(consumer, s, AMQP_CHANNEL_OPEN_METHOD, &open);
	s->channel_state = POSTA__AMQP_CHANNEL_OPEN;
	posta__amqp_subscription_declare(s, wire(consumer));
	ask(consumer, s, AMQP_BASIC_QOS_METHOD, &qos);
	consume(consumer, s);
	posta__amqp_flush(wire(consumer));
}

static void close_channel(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	amqp_channel_close_t fields = { .reply_code = AMQP_REPLY_SUCCESS,
					.reply_text = posta__amqp_text("unsubscribed") };

	s->channel_state = POSTA__AMQP_CHANNEL_CLOSING;
	posta__amqp_content_reset(&s->content);
	ask(consumer, s, AMQP_CHANNEL_CLOSE_METHOD, &fields);
}

/* Brings what the broker does to what is wanted; each answer leads here again. */
static void reconcile(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	bool wanted = !s->paused && !s->ending;

	if (s->channel_state != POSTA__AMQP_CHANNEL_OPEN)
		return;
	if (s->consumer_state == POSTA__AMQP_NO_CONSUMER && wanted)
		consume(consumer, s);
	else if (s->consumer_state == POSTA__AMQP_CONSUMER_ON && !wanted)
		cancel(consumer, s);
	if (s->ending && s->consumer_state != POSTA__AMQP_CONSUMER_STARTING &&
	    s->consumer_state != POSTA__AMQP_CONSUMER_STOPPING && !s->unsettled.unacked)
		close_channel(consumer, s);
}

/* -- settlement */

struct ack_target {
	struct posta__amqp_consumer *consumer;
	uint16_t channel;
};

static bool write_ack(void *context, uint64_t tag, bool multiple, enum posta_outcome outcome)
{
	const struct ack_target *to = context;
	amqp_basic_ack_t ack = { .delivery_tag = tag, .multiple = multiple };
	amqp_basic_nack_t nack = { .delivery_tag = tag, .multiple = multiple, .requeue = outcome == POSTA_REQUEUE };

	if (outcome == POSTA_ACK)
		return posta__amqp_send(wire(to->consumer), to->channel, AMQP_BASIC_ACK_METHOD, &ack);
	return posta__amqp_send(wire(to->consumer), to->channel, AMQP_BASIC_NACK_METHOD, &nack);
}

static void write_acks(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	struct ack_target to = { consumer, s->channel };

	if (s->channel_state != POSTA__AMQP_CHANNEL_OPEN || !posta__amqp_unsettled_is_dirty(&s->unsettled))
		return;
	/* The cancel of a paused one goes first: an acknowledgement makes room for more. */
	reconcile(consumer, s);
	posta__amqp_unsettled_write(&s->unsettled, write_ack, &to);
	reconcile(consumer, s);
}

/*
 * Once the prefetch is used up, each acknowledgement brings as many deliveries as it stands for, in one go: small ones
 * would keep both sides waking each other for a handful of messages. So several settled together wait for more, for a
 * moment; the rest of the prefetch keeps the broker busy. A single one goes at once: nothing may be coming behind it.
 */
static bool acks_may_wait(const struct posta__amqp_subscription *s)
{
	uint32_t settled = s->unsettled.unacked - s->unsettled.open;

	return settled > 1 && settled < s->prefetch / ACK_SHARE && !s->paused && !s->ending;
}

static void on_kick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct posta__amqp_consumer *consumer = timer->data;
	bool some_wait = false;

	if (consumer->amqp->failed)
		return;
	for (size_t i = 0; i < consumer->channel_count; i++) {
		struct posta__amqp_subscription *s = consumer->channels[i];

		if (!s)
			continue;
		if (!(events & EV_TIMER) && acks_may_wait(s))
			some_wait = true;
		else
			write_acks(consumer, s);
		if (s->channel_state == POSTA__AMQP_CHANNEL_OPEN && !s->paused && !s->ending)
			posta__amqp_release_held(consumer->amqp, s);
	}
	posta__amqp_flush(wire(consumer));
	if (some_wait && !ev_is_active(timer)) {
		ev_timer_set(timer, ACK_WAIT_S, 0.);
		ev_timer_start(loop, timer);
	}
}

void posta__amqp_consumer_kick(struct posta__amqp_consumer *consumer)
{
	ev_feed_event(consumer->amqp->loop, &consumer->kick, EV_CUSTOM);
}

void posta__amqp_consumer_settle(struct posta__amqp_consumer *consumer, uint32_t subscription, const uint64_t *ids,
				 size_t n, enum posta_outcome outcome)
{
	struct posta__amqp_subscription *s = by_id(consumer, subscription);

	for (size_t i = 0; s && i < n; i++)
		if (ids[i] >> 48 == s->incarnation)
			posta__amqp_unsettled_settle(&s->unsettled, posta__amqp_delivery_tag(ids[i]), outcome);
	if (s)
		posta__amqp_consumer_kick(consumer);
}

/* -- what the broker says */

static void retry_later(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	s->retry_at = ev_now(consumer->amqp->loop) + RETRY_S;
	if (!ev_is_active(&consumer->retry)) {
		ev_timer_set(&consumer->retry, RETRY_TICK_S, RETRY_TICK_S);
		ev_timer_start(consumer->amqp->loop, &consumer->retry);
	}
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct posta__amqp_consumer *consumer = timer->data;
	bool somebody = false;

	for (size_t i = 0; i < consumer->channel_count; i++) {
		struct posta__amqp_subscription *s = consumer->channels[i];

		if (!s || s->ending || s->channel_state != POSTA__AMQP_CHANNEL_WAITS)
			continue;
		if (ev_now(loop) >= s->retry_at)
			start(consumer, s);
		else
			somebody = true;
	}
	if (!somebody)
		ev_timer_stop(loop, timer);
}

static void on_consuming(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	bool first = !s->reported;

	s->consumer_state = POSTA__AMQP_CONSUMER_ON;
	s->reported = true;
	reconcile(consumer, s);
	if (first && !s->ending)
		posta_bridge_subscribed(consumer->amqp->bridge, s->id, POSTA_OK, NULL);
}

static void on_canceled(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	s->consumer_state = POSTA__AMQP_NO_CONSUMER;
	reconcile(consumer, s);
}

static bool every_one(uint64_t id, void *context)
{
	(void)id;
	(void)context;
	return true;
}

/*
 * basic.cancel from the broker: the queue is gone, or its node. The channel is closed too, so that what is out and
 * still there goes back to the queue.
 */
static void on_lost(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s,
		    const amqp_basic_cancel_t *lost)
{
	char tag[32];
	amqp_bytes_t present = consumer_tag(s, tag);

	if (lost->consumer_tag.len != present.len || memcmp(lost->consumer_tag.bytes, present.bytes, present.len) != 0)
		return;
	if (s->consumer_state != POSTA__AMQP_CONSUMER_ON && s->consumer_state != POSTA__AMQP_CONSUMER_STARTING)
		return;
	s->consumer_state = POSTA__AMQP_NO_CONSUMER;
	if (s->ending) {
		reconcile(consumer, s);
		return;
	}
	s->reopen = true;
	close_channel(consumer, s);
	posta_bridge_revoke(consumer->amqp->bridge, s->id, every_one, NULL);
	posta_bridge_subscribed(
		consumer->amqp->bridge, s->id, POSTA_EREFUSED,
		"basic.cancel: the broker ended the consumer (its queue was deleted or its node stopped)");
}

static void finish_if_done(struct posta__amqp_consumer *consumer)
{
	for (size_t i = 0; i < consumer->channel_count; i++)
		if (consumer->channels[i])
			return;
	if (consumer->finishing)
		posta__amqp_on_consumer_done(consumer->amqp);
}

static void on_channel_gone(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	posta__amqp_answered(wire(consumer), s->rpcs);
	s->rpcs = 0;
	posta__amqp_content_reset(&s->content);
	posta__amqp_drop_held(s, false);
	posta__amqp_unsettled_clear(&s->unsettled);
	s->reopen = false;
	s->channel_state = POSTA__AMQP_CHANNEL_WAITS;
	s->consumer_state = POSTA__AMQP_NO_CONSUMER;
	s->reported = false;
	s->incarnation++;
}

static void on_channel_close(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s,
			     const amqp_channel_close_t *close)
{
	static const amqp_channel_close_ok_t close_ok = { 0 };
	struct posta_bridge *bridge = consumer->amqp->bridge;
	uint32_t id = s->id;
	bool ending = s->ending || consumer->finishing;
	char words[200], text[POSTA_ERROR_TEXT_MAX];

	snprintf(text, sizeof text, "%u %s", close->reply_code,
		 posta__amqp_words(close->reply_text, words, sizeof words));
	posta__amqp_send(wire(consumer), s->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
	on_channel_gone(consumer, s);
	if (ending)
		forget(consumer, s);
	else
		retry_later(consumer, s);
	posta_bridge_revoke(bridge, id, every_one, NULL);
	if (!ending)
		posta_bridge_subscribed(bridge, id, POSTA_EREFUSED, text);
	finish_if_done(consumer);
}

/* Ours was answered. */
static void on_channel_closed(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s)
{
	bool again = s->reopen && !s->ending && !consumer->finishing;

	on_channel_gone(consumer, s);
	if (again)
		retry_later(consumer, s);
	else
		forget(consumer, s);
	finish_if_done(consumer);
}

static void on_answer(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s,
		      amqp_method_number_t method)
{
	posta__amqp_answered(wire(consumer), 1);
	if (s->rpcs)
		s->rpcs--;
	if (method == AMQP_BASIC_CONSUME_OK_METHOD && s->consumer_state == POSTA__AMQP_CONSUMER_STARTING)
		on_consuming(consumer, s);
	else if (method == AMQP_BASIC_CANCEL_OK_METHOD && s->consumer_state == POSTA__AMQP_CONSUMER_STOPPING)
		on_canceled(consumer, s);
}

static void take_method(struct posta__amqp_consumer *consumer, struct posta__amqp_subscription *s,
			amqp_method_number_t method, const void *decoded)
{
	switch (method) {
	case AMQP_BASIC_DELIVER_METHOD:
		if (!posta__amqp_on_deliver(s, decoded))
			protocol_error(consumer, "a delivery within a delivery");
		return;
	case AMQP_BASIC_CANCEL_METHOD:
		on_lost(consumer, s, decoded);
		return;
	case AMQP_CHANNEL_OPEN_OK_METHOD:
	case AMQP_QUEUE_DECLARE_OK_METHOD:
	case AMQP_EXCHANGE_DECLARE_OK_METHOD:
	case AMQP_QUEUE_BIND_OK_METHOD:
	case AMQP_BASIC_QOS_OK_METHOD:
	case AMQP_BASIC_CONSUME_OK_METHOD:
	case AMQP_BASIC_CANCEL_OK_METHOD:
		on_answer(consumer, s, method);
		return;
	case AMQP_CHANNEL_FLOW_METHOD:
		posta__amqp_send(wire(consumer), s->channel, AMQP_CHANNEL_FLOW_OK_METHOD, decoded);
		return;
	default:
		protocol_error(consumer, "a method that means nothing to a consumer");
	}
}

static void on_method(struct posta__amqp *amqp, uint16_t channel, amqp_method_number_t method, const void *decoded)
{
	struct posta__amqp_consumer *consumer = amqp->consumer;
	struct posta__amqp_subscription *s = by_channel(consumer, channel);

	if (!s || s->channel_state == POSTA__AMQP_CHANNEL_WAITS)
		protocol_error(consumer, "a method on a channel that is not open");
	else if (method == AMQP_CHANNEL_CLOSE_METHOD)
		on_channel_close(consumer, s, decoded);
	else if (s->channel_state == POSTA__AMQP_CHANNEL_OPEN)
		take_method(consumer, s, method, decoded);
	else if (method == AMQP_CHANNEL_CLOSE_OK_METHOD)
		on_channel_closed(consumer, s);
}

static void on_header(struct posta__amqp *amqp, uint16_t channel, const struct posta__amqp_content_header *header)
{
	struct posta__amqp_subscription *s = by_channel(amqp->consumer, channel);

	if (s && s->channel_state == POSTA__AMQP_CHANNEL_CLOSING)
		return;
	if (!s || !posta__amqp_on_header(amqp, s, header))
		protocol_error(amqp->consumer, "a content header out of its turn");
}

static void on_body(struct posta__amqp *amqp, uint16_t channel, const uint8_t *bytes, size_t len)
{
	struct posta__amqp_subscription *s = by_channel(amqp->consumer, channel);

	if (s && s->channel_state == POSTA__AMQP_CHANNEL_CLOSING)
		return;
	if (!s || !posta__amqp_on_body(amqp, s, bytes, len))
		protocol_error(amqp->consumer, "content out of its turn, or more than announced");
}

static void on_opened(struct posta__amqp *amqp)
{
	posta__amqp_on_ready(amqp);
}

static void on_read(struct posta__amqp *amqp)
{
	posta__amqp_flush(&amqp->consuming);
}

const struct posta__amqp_role posta__amqp_consumer_role = {
	.name = "consume",
	.opened = on_opened,
	.method = on_method,
	.header = on_header,
	.body = on_body,
	.read = on_read,
	.drained = on_read,
};

/* -- what the core asks for */

void posta__amqp_consumer_subscribe(struct posta__amqp_consumer *consumer, uint32_t subscription,
				    const struct posta_source *source)
{
	struct posta__amqp_subscription *s = by_id(consumer, subscription);

	if (s && !s->ending) { /* asked for again while it is tried already */
		if (s->channel_state == POSTA__AMQP_CHANNEL_WAITS)
			start(consumer, s);
		return;
	}
	uint16_t channel = free_channel(consumer);

	if (!channel) {
		posta_bridge_subscribed(consumer->amqp->bridge, subscription, POSTA_EREFUSED,
					"no channel left on this connection: channel-max is reached");
		return;
	}
	s = posta__amqp_subscription_new(subscription, source);
	if (!s) {
		posta__amqp_fail(consumer->amqp, POSTA_ENOMEM, "out of memory for a subscription");
		return;
	}
	s->channel = channel;
	consumer->channels[channel - 1] = s;
	start(consumer, s);
}

void posta__amqp_consumer_unsubscribe(struct posta__amqp_consumer *consumer, uint32_t subscription)
{
	struct posta__amqp_subscription *s = by_id(consumer, subscription);

	if (!s || s->ending)
		return;
	s->ending = true;
	if (s->channel_state == POSTA__AMQP_CHANNEL_WAITS) {
		forget(consumer, s);
		return;
	}
	posta__amqp_drop_held(s, true);
	posta__amqp_consumer_kick(consumer);
	reconcile(consumer, s);
	posta__amqp_flush(wire(consumer));
}

void posta__amqp_consumer_pause(struct posta__amqp_consumer *consumer, uint32_t subscription, bool paused)
{
	struct posta__amqp_subscription *s = by_id(consumer, subscription);

	if (!s || s->paused == paused)
		return;
	s->paused = paused;
	if (!paused || s->unsettled.unacked < s->prefetch)
		reconcile(consumer, s);
	posta__amqp_consumer_kick(consumer); /* for what is held */
	posta__amqp_flush(wire(consumer));
}

void posta__amqp_consumer_finish(struct posta__amqp_consumer *consumer)
{
	consumer->finishing = true;
	ev_timer_stop(consumer->amqp->loop, &consumer->retry);
	for (size_t i = 0; i < consumer->channel_count; i++) {
		struct posta__amqp_subscription *s = consumer->channels[i];

		if (!s)
			continue;
		s->ending = true;
		if (s->channel_state == POSTA__AMQP_CHANNEL_WAITS) {
			forget(consumer, s);
			continue;
		}
		write_acks(consumer, s);
		if (s->channel_state == POSTA__AMQP_CHANNEL_OPEN)
			close_channel(consumer, s);
	}
	posta__amqp_flush(wire(consumer));
	finish_if_done(consumer);
}

struct posta__amqp_consumer *posta__amqp_consumer_new(struct posta__amqp *amqp)
{
	struct posta__amqp_consumer *consumer = calloc(1, sizeof *consumer);

	if (!consumer)
		return NULL;
	consumer->amqp = amqp;
	ev_init(&consumer->kick, on_kick);
	ev_init(&consumer->retry, on_retry);
	consumer->kick.data = consumer->retry.data = consumer;
	return consumer;
}

void posta__amqp_consumer_free(struct posta__amqp_consumer *consumer)
{
	if (!consumer)
		return;
	ev_timer_stop(consumer->amqp->loop, &consumer->retry);
	ev_timer_stop(consumer->amqp->loop, &consumer->kick);
	for (size_t i = 0; i < consumer->channel_count; i++)
		if (consumer->channels[i])
			forget(consumer, consumer->channels[i]);
	free(consumer->channels);
	free(consumer);
}
