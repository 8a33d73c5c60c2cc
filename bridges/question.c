/* SPDX-License-Identifier: MIT */
/*
 * Questions by way of a broker: publications whose reply-to is an address of this bridge, and whose correlation id is
 * the bridge's tag and a number. So a reply that comes too late, twice, to an earlier run or to another bridge is told
 * from all others: only a number that is open here ends a question, and it ends it once.
 *
 *   ask ─▶ held, until replies would come ─▶ published ─▶ replied, refused, or overdue: whatever is first
 *
 * Where replies come as deliveries, the front itself is their subscriber, from the first question on. A question that is
 * held is overtaken by publications: were they to wait in line, a refused subscription would stop all of them.
 */
#include "bridges/bridge.h"
#include "bridges/codec/cloudevents.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024u /* numbers are consecutive: they need no hash */
#define TIMEOUT_DEFAULT_MS 5000u
#define CORRELATION_SIZE 64

/* Lies in the message in which its asker is told of its end: so that no lack of memory can keep that back. */
struct posta__question {
	struct posta_message *message;
	struct posta__question *next; /* in its bucket */
	struct posta__question *next_held;
	struct posta__pending *held; /* NULL: published, or about to be */
	uint64_t number, cookie;
	posta_ref asker;
	posta_timer timer;
};

/* -- Asking, on the asker's thread -- */

/* Names and addresses of brokers: what some of them would take for a wildcard or a level becomes '_'. */
static void plain(char *text)
{
	for (; *text; text++)
		if (strchr("+#/*$%", *text) || (unsigned char)*text <= ' ')
			*text = '_';
}

void posta__questions_init(struct posta_bridge *bridge)
{
	struct posta__questions *questions = &bridge->questions;
	char name[101];
	posta_uuid7(questions->tag);
	questions->held_end = &questions->held;
	if (!bridge->ops->replies)
		return;
	snprintf(name, sizeof name, "%s", bridge->options.client_id);
	plain(name);
	snprintf(questions->address, sizeof questions->address, "posta.reply.%s", name);
	questions->source = (struct posta_source){ .size = sizeof questions->source, .qos = -1 };
	bridge->ops->replies(questions->address, &questions->source);
}

static enum posta_err prepare(struct posta_bridge *bridge, struct posta_envelope **envelope, uint32_t timeout_ms,
			      uint64_t number)
{
	char correlation[CORRELATION_SIZE];
	snprintf(correlation, sizeof correlation, "%s.%" PRIu64, bridge->questions.tag, number);
	enum posta_err result = posta_envelope_edit(envelope);
	if (!result)
		result = posta_envelope_set_text(*envelope, POSTA_ATTR_CORRELATION_ID, correlation);
	if (!result)
		result = posta_envelope_set_text(*envelope, POSTA_ATTR_REPLY_TO, bridge->questions.address);
	if (!result && posta_envelope_expiry(*envelope) == POSTA_TIME_NONE)
		posta_envelope_set_expiry(*envelope, posta__wall_ms() + timeout_ms);
	return result;
}

/* Takes: envelope. */
static enum posta_err ask(struct posta_actor *self, struct posta_bridge *bridge, struct posta_route_target *target,
			  struct posta_envelope *envelope, uint32_t timeout_ms, uint64_t cookie)
{
	/* Relaxed: it is only to be unique. */
	uint64_t number = 1 + atomic_fetch_add_explicit(&bridge->questions.last_number, 1, memory_order_relaxed);
	enum posta_err result = prepare(bridge, &envelope, timeout_ms, number);
	struct posta_message *message = result ? NULL : posta__pending_make(self, target, envelope, cookie);
	posta_envelope_unref(envelope);
	if (!message)
		return result ? result : POSTA_ENOMEM;
	struct posta__pending *pending = posta_data(message);
	pending->question = number;
	pending->timeout_ms = timeout_ms;
	return posta_post(self, bridge->public_ref, message);
}

enum posta_err posta_bridge_ask(struct posta_actor *self, struct posta_bridge *bridge,
				const struct posta_target *target, struct posta_envelope *envelope, uint32_t timeout_ms,
				uint64_t cookie)
{
	struct posta_error error;
	if (!(bridge->ops->capabilities & POSTA_CAN_ASK))
		return POSTA_EUNSUPPORTED;
	if (target->format == POSTA_FORMAT_RAW)
		return POSTA_EINVAL;
	struct posta_route_target *prepared = posta_target_prepare(bridge, target, &error);
	if (!prepared)
		return error.code;
	enum posta_err result = ask(self, bridge, prepared, posta_envelope_ref(envelope),
				    timeout_ms ? timeout_ms : TIMEOUT_DEFAULT_MS, cookie);
	posta_target_unref(prepared);
	return result;
}

enum posta_err posta_bridge_reply(struct posta_actor *self, struct posta_bridge *bridge,
				  const struct posta_envelope *request, struct posta_envelope *envelope,
				  uint64_t cookie)
{
	const char *address = posta_envelope_text(request, POSTA_ATTR_REPLY_TO);
	struct posta_bytes correlation = posta_envelope_get(request, POSTA_ATTR_CORRELATION_ID);
	struct posta_target target = { .size = sizeof target, .qos = -1 };
	if (!*address)
		return POSTA_EINVAL;
	if (bridge->ops->reply_target)
		bridge->ops->reply_target(address, &target);
	else
		target.topic = address;
	struct posta_envelope *reply = posta_envelope_ref(envelope);
	enum posta_err result = posta_envelope_edit(&reply);
	if (!result)
		result = posta_envelope_set(reply, POSTA_ATTR_CORRELATION_ID, correlation.data, correlation.len);
	if (!result)
		result = posta_bridge_publish(self, bridge, &target, reply, cookie);
	posta_envelope_unref(reply);
	return result;
}

/* -- Those that are open, on the bridge's worker -- */

static struct posta__question **place(const struct posta__questions *questions, uint64_t number)
{
	struct posta__question **at = &questions->buckets[number % BUCKETS];
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void let_held_go(struct posta__questions *questions, struct posta__question *question)
{
	struct posta__question **at = &questions->held;
	while (*at != question)
		at = &(*at)->next_held;
	*at = question->next_held;
	if (questions->held_end == &question->next_held)
		questions->held_end = at;
}

/* Out of the set, with what it held. Returns: owned; NULL where it is not open. */
static struct posta__question *close_one(struct posta_bridge *bridge, uint64_t number)
{
	struct posta__questions *questions = &bridge->questions;
	struct posta__question **at = questions->buckets ? place(questions, number) : NULL;
	struct posta__question *question = at ? *at : NULL;
	if (!question)
		return NULL;
	*at = question->next;
	questions->count--;
	posta_cancel(bridge->front, question->timer);
	if (question->held) {
		let_held_go(questions, question);
		posta_message_free(bridge->front, question->held->message);
	}
	return question;
}

static void let_go(void *data, void *context)
{
	(void)context;
	posta_envelope_unref(((struct posta_replied *)data)->envelope);
}

/* Takes: message, which has room for it; envelope, which is NULL unless result is OK. */
static void tell(struct posta_bridge *bridge, struct posta_message *message, posta_ref asker, uint64_t cookie,
		 enum posta_err result, struct posta_envelope *envelope, const char *text)
{
	message->type = POSTA_MSG_REPLIED;
	message->sender = bridge->front_ref;
	struct posta_replied *replied = posta__payload_own(message, sizeof *replied, let_go);
	*replied = (struct posta_replied){ .cookie = cookie, .result = result, .envelope = envelope };
	if (result)
		snprintf(replied->text, sizeof replied->text, "%s", text ? text : posta_strerror(result));
	posta_post(bridge->front, asker, message);
}

/* Takes: question. */
static void end(struct posta_bridge *bridge, const struct posta__question *question, enum posta_err result,
		struct posta_envelope *envelope, const char *text)
{
	tell(bridge, question->message, question->asker, question->cookie, result, envelope, text);
}

#define MESSAGE_SIZE POSTA__PAYLOAD_OWN_SIZE(sizeof(struct posta_replied))
static_assert(MESSAGE_SIZE >= sizeof(struct posta__question), "the question, and what tells of its end");

/* Returns: NULL when out of memory. */
static struct posta__question *make(struct posta_bridge *bridge, const struct posta__pending *pending)
{
	struct posta_message *message = posta_message_new(bridge->front, POSTA_MSG_REPLIED, MESSAGE_SIZE);
	if (!message)
		return NULL;
	struct posta__question *question = posta_data(message);
	*question = (struct posta__question){
		.message = message,
		.number = pending->question,
		.cookie = pending->cookie,
		.asker = pending->publisher,
		.timer = posta_send_after(bridge->front, pending->timeout_ms, bridge->front_ref, POSTA__FRONT_OVERDUE,
					  &pending->question, sizeof pending->question),
	};
	if (question->timer)
		return question;
	posta_message_free(bridge->front, message);
	return NULL;
}

static enum posta_err add(struct posta_bridge *bridge, const struct posta__pending *pending)
{
	struct posta__questions *questions = &bridge->questions;
	if (questions->count >= bridge->options.pending_max)
		return POSTA_EFULL;
	if (!questions->buckets)
		questions->buckets = calloc(BUCKETS, sizeof *questions->buckets);
	struct posta__question *question = questions->buckets ? make(bridge, pending) : NULL;
	if (!question)
		return POSTA_ENOMEM;
	*place(questions, question->number) = question;
	questions->count++;
	return POSTA_OK;
}

static bool needs_subscription(const struct posta_source *source)
{
	return source->topic || source->queue || source->filter;
}

static void subscribe(struct posta_bridge *bridge)
{
	struct posta__questions *questions = &bridge->questions;
	struct posta__subscription *made = posta__subscription_make(bridge->front_ref, &questions->source);
	if (!made)
		return;
	made->id = atomic_fetch_add_explicit(&bridge->next_subscription, 1, memory_order_relaxed) + 1;
	questions->subscription = made->id;
	posta__subscription_add(bridge, made);
}

static void hold(struct posta_bridge *bridge, struct posta__pending *pending)
{
	struct posta__questions *questions = &bridge->questions;
	struct posta__question *question = *place(questions, pending->question);
	question->held = pending;
	*questions->held_end = question;
	questions->held_end = &question->next_held;
	if (!questions->subscription)
		subscribe(bridge);
}

bool posta__question_open(struct posta_bridge *bridge, struct posta__pending *pending)
{
	const struct posta__questions *questions = &bridge->questions;
	enum posta_err result = bridge->closing ? POSTA_ECLOSED : add(bridge, pending);
	if (result) {
		const posta_ref asker = pending->publisher;
		const uint64_t cookie = pending->cookie;
		tell(bridge, posta__pending_empty(pending), asker, cookie, result, NULL, NULL);
		return false;
	}
	if (questions->heard || !needs_subscription(&questions->source))
		return true;
	hold(bridge, pending);
	return false;
}

void posta__question_published(struct posta_bridge *bridge, uint64_t number, enum posta_err result, const char *text)
{
	/* An expired one is overdue, now or soon. */
	struct posta__question *question = result && result != POSTA_EEXPIRED ? close_one(bridge, number) : NULL;
	if (question)
		end(bridge, question, result, NULL, text);
}

void posta__question_overdue(struct posta_bridge *bridge, uint64_t number)
{
	struct posta__question *question = close_one(bridge, number);
	if (question)
		end(bridge, question, POSTA_ETIMEDOUT, NULL, NULL);
}

/* Returns: 0 where it is none of ours. */
static uint64_t number_of(const struct posta__questions *questions, const struct posta_envelope *envelope)
{
	size_t tag_len = strlen(questions->tag);
	const char *text = posta_envelope_text(envelope, POSTA_ATTR_CORRELATION_ID);
	if (strncmp(text, questions->tag, tag_len) != 0 || text[tag_len] != '.')
		return 0;
	return strtoull(text + tag_len + 1, NULL, 10);
}

void posta_bridge_replied(struct posta_bridge *bridge, struct posta_envelope *envelope)
{
	uint64_t number = number_of(&bridge->questions, envelope);
	struct posta__question *question = number ? close_one(bridge, number) : NULL;
	if (question) {
		end(bridge, question, POSTA_OK, envelope, NULL);
		return;
	}
	posta__bump(&bridge->late_replies, 1);
	posta_envelope_unref(envelope);
}

/* -- Replies that come as deliveries -- */

static void release_held(struct posta_bridge *bridge)
{
	struct posta__questions *questions = &bridge->questions;
	while (questions->held) {
		struct posta__question *question = questions->held;
		struct posta__pending *pending = question->held;
		let_held_go(questions, question);
		question->held = NULL;
		posta__pending_accept(bridge, pending);
	}
}

static void refuse_held(struct posta_bridge *bridge, enum posta_err result, const char *text)
{
	while (bridge->questions.held)
		end(bridge, close_one(bridge, bridge->questions.held->number), result, NULL, text);
}

void posta__questions_subscribed(struct posta_bridge *bridge, const struct posta_subscribed *subscribed)
{
	struct posta__questions *questions = &bridge->questions;
	if (subscribed->subscription != questions->subscription)
		return;
	questions->heard = subscribed->result == POSTA_OK;
	if (questions->heard) {
		release_held(bridge);
		return;
	}
	if (!posta__subscription_find(bridge, questions->subscription))
		questions->subscription = 0; /* not taken in: the next question tries it again */
	refuse_held(bridge, subscribed->result, subscribed->text);
}

void posta__questions_delivered(struct posta_bridge *bridge, const struct posta_delivery *delivery)
{
	posta__settle_one(bridge, &delivery->token, POSTA_ACK);
	posta_bridge_replied(bridge, posta_envelope_ref(delivery->envelope));
}

void posta__questions_down(struct posta_bridge *bridge)
{
	bridge->questions.heard = false;
}

void posta__questions_unsubscribe(struct posta_bridge *bridge)
{
	struct posta__questions *questions = &bridge->questions;
	struct posta__subscription *subscription =
		questions->subscription ? posta__subscription_find(bridge, questions->subscription) : NULL;
	if (subscription)
		posta__subscription_end(bridge, subscription);
	questions->subscription = 0;
	questions->heard = false;
}

void posta__questions_fini(struct posta_bridge *bridge)
{
	struct posta__questions *questions = &bridge->questions;
	for (unsigned i = 0; questions->buckets && i < BUCKETS; i++)
		while (questions->buckets[i])
			end(bridge, close_one(bridge, questions->buckets[i]->number), POSTA_ECLOSED, NULL, NULL);
	free(questions->buckets);
	questions->buckets = NULL;
}
