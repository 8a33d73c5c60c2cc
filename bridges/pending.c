/* SPDX-License-Identifier: MIT */
/*
 * Publications without a confirmation, in the order of the calls: a ring in which an id's place is known.
 *
 *   WAITS ─offered and taken─▶ OFFERED ─confirmed─▶ its message goes back as the answer; its place leaves the ring
 *     ▲                          │                  with those before it
 *     └── the connection broke ──┘  or the broker said "later" (at most 8 times)
 */
#include "bridges/bridge.h"
#include "bridges/codec/cloudevents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 256u
#define RETRY_MS 100u
#define WARM 4u /* publications ahead */

static struct posta__pending **place(struct posta__pendings *pendings, uint64_t id)
{
	return &pendings->ring[id & (pendings->room - 1)];
}

static bool in_ring(const struct posta__pendings *pendings, uint64_t id)
{
	return id >= pendings->first_id && id - pendings->first_id < pendings->count;
}

/* Every publication, whoever makes it, is a hop of its trace: the receiver's parent is a span of its own. */
static enum posta_err next_hop(struct posta_actor *self, struct posta_envelope **envelope)
{
	struct posta_bytes parent = posta_envelope_get(*envelope, POSTA_ATTR_TRACEPARENT);
	char text[POSTA__TRACEPARENT_SIZE];
	if (!parent.len || !posta__trace_next_hop(parent, posta_random(self), text))
		return POSTA_OK;
	enum posta_err err = posta_envelope_edit(envelope);
	return err ? err : posta_envelope_set_text(*envelope, POSTA_ATTR_TRACEPARENT, text);
}

/* Room for what tells of its end: this or, of a question that was refused, a reply. */
#define MESSAGE_SIZE POSTA__PAYLOAD_OWN_SIZE(sizeof(struct posta_replied))
static_assert(MESSAGE_SIZE >= POSTA__PAYLOAD_OWN_SIZE(sizeof(struct posta__pending)), "the publication");
static_assert(MESSAGE_SIZE >= sizeof(struct posta_published), "its answer");

static void let_go(void *data, void *context)
{
	(void)context;
	struct posta__pending *pending = data;
	posta_envelope_unref(pending->publication.envelope);
	posta_target_unref(pending->target);
}

struct posta_message *posta__pending_make(struct posta_actor *self, struct posta_route_target *target,
					  struct posta_envelope *envelope, uint64_t cookie)
{
	struct posta_message *message = posta_message_new(self, POSTA__FRONT_PUBLISH, MESSAGE_SIZE);
	envelope = posta_envelope_ref(envelope);
	if (!message || next_hop(self, &envelope)) {
		posta_envelope_unref(envelope);
		posta_message_free(self, message);
		return NULL;
	}
	struct posta__pending *pending = posta__payload_own(message, sizeof *pending, let_go);
	*pending = (struct posta__pending){
		.message = message,
		.publication = { .target = &target->target, .envelope = envelope },
		.target = posta__target_ref(target),
		.publisher = posta_self(self),
		.cookie = cookie,
		.bytes = posta_envelope_size(envelope),
	};
	return message;
}

struct posta__pending *posta__pending_take(struct posta_bridge *bridge, struct posta_message *message)
{
	return posta__pending_of(posta_keep(bridge->front, message));
}

struct posta_message *posta__pending_empty(struct posta__pending *pending)
{
	struct posta_message *message = pending->message;
	let_go(pending, NULL);
	message->bits_ &= (uint8_t)~POSTA_BIT_SLICE_;
	return message;
}

static void text_copy(char to[POSTA_ERROR_TEXT_MAX], const char *text)
{
	size_t len = strnlen(text, POSTA_ERROR_TEXT_MAX - 1);
	memcpy(to, text, len);
	to[len] = '\0';
}

static void tell(struct posta_bridge *bridge, struct posta__pending *pending, enum posta_err result, const char *text)
{
	const posta_ref publisher = pending->publisher;
	const uint64_t cookie = pending->cookie;
	struct posta_message *message = posta__pending_empty(pending);
	message->type = POSTA_MSG_PUBLISHED;
	message->sender = bridge->front_ref;
	message->size_ = sizeof(struct posta_published);
	struct posta_published *published = posta_data(message);
	published->cookie = cookie;
	published->result = result;
	text_copy(published->text, !result ? "" : text ? text : posta_strerror(result));
	posta_post(bridge->front, publisher, message);
}

/* Takes: pending. */
static void answer(struct posta_bridge *bridge, struct posta__pending *pending, enum posta_err result, const char *text)
{
	posta__bump(result ? &bridge->publish_failed : &bridge->published, 1);
	if (!pending->question) {
		tell(bridge, pending, result, text);
		return;
	}
	posta__question_published(bridge, pending->question, result, text);
	posta_message_free(bridge->front, pending->message);
}

static bool grow(struct posta__pendings *pendings)
{
	uint32_t room = pendings->room ? pendings->room * 2 : RING_FIRST;
	struct posta__pending **ring = malloc(room * sizeof *ring);
	if (!ring)
		return false;
	for (uint32_t i = 0; i < pendings->count; i++) {
		uint64_t id = pendings->first_id + i;
		ring[id & (room - 1)] = *place(pendings, id);
	}
	free(pendings->ring);
	pendings->ring = ring;
	pendings->room = room;
	return true;
}

static enum posta_err admit(struct posta_bridge *bridge, const struct posta__pending *pending)
{
	const struct posta__pendings *pendings = &bridge->pendings;
	if (bridge->closing)
		return POSTA_ECLOSED;
	if (posta_envelope_body(pending->publication.envelope).len > bridge->options.message_bytes_max)
		return POSTA_ETOOBIG;
	if (pendings->count >= bridge->options.pending_max ||
	    pendings->bytes + pending->bytes > bridge->options.pending_bytes_max)
		return POSTA_EFULL;
	return POSTA_OK;
}

void posta__pending_accept(struct posta_bridge *bridge, struct posta__pending *pending)
{
	struct posta__pendings *pendings = &bridge->pendings;
	enum posta_err result = admit(bridge, pending);
	if (result == POSTA_OK && pendings->count == pendings->room && !grow(pendings))
		result = POSTA_ENOMEM;
	if (result) {
		answer(bridge, pending, result, NULL);
		return;
	}
	if (!pendings->count)
		pendings->first_id = pendings->next_offer = bridge->next_id;
	pending->publication.id = bridge->next_id++;
	*place(pendings, pending->publication.id) = pending;
	pendings->count++;
	pendings->bytes += pending->bytes;
	posta__bump(&bridge->pending_count, 1);
	posta__front_schedule_flush(bridge);
}

static bool expired(const struct posta__pending *pending, int64_t *now_ms)
{
	int64_t expiry = posta_envelope_expiry(pending->publication.envelope);
	if (expiry == POSTA_TIME_NONE)
		return false;
	if (!*now_ms)
		*now_ms = posta__wall_ms();
	return expiry <= *now_ms;
}

/* The next that wait, marked as offered: a confirmation may come from within the call. Returns: how many. */
static size_t gather(struct posta_bridge *bridge, struct posta__pending **batch)
{
	struct posta__pendings *pendings = &bridge->pendings;
	size_t n = 0;
	int64_t now_ms = 0;
	for (; n < POSTA__OFFER_MAX && in_ring(pendings, pendings->next_offer); pendings->next_offer++) {
		struct posta__pending *pending = *place(pendings, pendings->next_offer);
		if (!pending || pending->state != POSTA__PENDING_WAITS)
			continue;
		pending->state = POSTA__PENDING_OFFERED;
		if (expired(pending, &now_ms))
			posta__pending_confirm(bridge, pending->publication.id, POSTA_EEXPIRED, NULL);
		else
			batch[n++] = pending;
	}
	return n;
}

static size_t offer_batch(struct posta_bridge *bridge)
{
	struct posta__pending *batch[POSTA__OFFER_MAX];
	const struct posta_publication *publications[POSTA__OFFER_MAX];
	uint64_t ids[POSTA__OFFER_MAX];
	size_t n = gather(bridge, batch);
	for (size_t i = 0; i < n; i++) {
		publications[i] = &batch[i]->publication;
		ids[i] = batch[i]->publication.id;
	}
	size_t taken = n ? bridge->ops->publish(bridge, bridge->state, publications, n) : 0;
	for (size_t i = taken; i < n; i++)
		(*place(&bridge->pendings, ids[i]))->state = POSTA__PENDING_WAITS;
	if (taken < n) {
		bridge->pendings.full = true;
		bridge->pendings.next_offer = ids[taken];
	}
	return n;
}

void posta__pending_offer(struct posta_bridge *bridge)
{
	struct posta__pendings *pendings = &bridge->pendings;
	size_t offered = 0, n = 1;
	while (n && bridge->up && !bridge->failing && !pendings->full && !pendings->held && !pendings->retry)
		offered += n = offer_batch(bridge);
	if (offered && bridge->up && !bridge->failing && bridge->ops->flush)
		bridge->ops->flush(bridge, bridge->state);
}

/* The oldest that are confirmed leave the ring. */
static void shrink(struct posta__pendings *pendings)
{
	while (pendings->count && !*place(pendings, pendings->first_id)) {
		pendings->first_id++;
		pendings->count--;
	}
	if (pendings->next_offer < pendings->first_id)
		pendings->next_offer = pendings->first_id;
}

/* The broker says "later": once more, from the first that waits, so that the order stays. */
static bool again(struct posta_bridge *bridge, struct posta__pending *pending, enum posta_err result)
{
	if (!posta_err_retriable(result) || ++pending->attempts >= POSTA__OFFER_ATTEMPTS_MAX || bridge->finishing)
		return false;
	pending->state = POSTA__PENDING_WAITS;
	if (pending->publication.id < bridge->pendings.next_offer)
		bridge->pendings.next_offer = pending->publication.id;
	if (!bridge->pendings.retry)
		bridge->pendings.retry = posta_send_after(bridge->front, RETRY_MS * pending->attempts,
							  bridge->front_ref, POSTA__FRONT_OFFER, NULL, 0);
	return true;
}

/* Takes: pending. */
static void done(struct posta_bridge *bridge, struct posta__pending *pending, enum posta_err result, const char *text)
{
	*place(&bridge->pendings, pending->publication.id) = NULL;
	bridge->pendings.bytes -= pending->bytes;
	posta__bump(&bridge->pending_count, -1);
	answer(bridge, pending, result, text);
}

/* Confirmations come in their order, long after everybody else has used the caches. */
static void warm(struct posta__pendings *pendings, uint64_t id)
{
	struct posta__pending *soon = in_ring(pendings, id + WARM) ? *place(pendings, id + WARM) : NULL;
	if (soon)
		__builtin_prefetch(soon->publication.envelope);
	if (in_ring(pendings, id + 2 * WARM))
		__builtin_prefetch(*place(pendings, id + 2 * WARM));
}

void posta__pending_confirm(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text)
{
	if (!in_ring(&bridge->pendings, id))
		return;
	warm(&bridge->pendings, id);
	struct posta__pending *pending = *place(&bridge->pendings, id);
	if (!pending || pending->state != POSTA__PENDING_OFFERED || (result && again(bridge, pending, result)))
		return;
	done(bridge, pending, result, text);
	shrink(&bridge->pendings);
	posta__front_progress(bridge);
}

void posta__pending_confirm_through(struct posta_bridge *bridge, uint64_t id)
{
	struct posta__pendings *pendings = &bridge->pendings;
	for (uint64_t at = pendings->first_id; in_ring(pendings, at) && at <= id; at++) {
		struct posta__pending *pending = *place(pendings, at);
		if (pending && pending->state == POSTA__PENDING_OFFERED)
			done(bridge, pending, POSTA_OK, NULL);
	}
	shrink(&bridge->pendings);
	posta__front_progress(bridge);
}

void posta__pending_reset(struct posta_bridge *bridge)
{
	struct posta__pendings *pendings = &bridge->pendings;
	for (uint64_t id = pendings->first_id; in_ring(pendings, id); id++) {
		struct posta__pending *pending = *place(pendings, id);
		if (pending && pending->state == POSTA__PENDING_OFFERED)
			pending->state = POSTA__PENDING_WAITS;
	}
	pendings->next_offer = pendings->first_id;
	pendings->full = pendings->held = false;
}

void posta__pending_fail_all(struct posta_bridge *bridge, enum posta_err result)
{
	struct posta__pendings *pendings = &bridge->pendings;
	for (uint64_t id = pendings->first_id; in_ring(pendings, id); id++) {
		struct posta__pending *pending = *place(pendings, id);
		if (pending)
			done(bridge, pending, result, NULL);
	}
	shrink(&bridge->pendings);
}

void posta__pending_fini(struct posta_bridge *bridge)
{
	posta__pending_fail_all(bridge, POSTA_ECLOSED);
	free(bridge->pendings.ring);
	bridge->pendings = (struct posta__pendings){ 0 };
}
