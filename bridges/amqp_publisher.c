/* SPDX-License-Identifier: MIT */
/*
 * Publications in a ring, in the order of the core's ids, with three counters that only grow:
 *
 *      head              next               tail
 *       │ sent, tag known │ not yet sent      │
 *       ▼                 ▼                   ▼
 *   ─── s  s  d  s  s  s  w  w  w  w  w  w  ───        s: sent   d: done, waits for those before it   w: waits
 *
 * Confirms may come in any order and for many at once. When the broker closes the channel, next goes back to head and
 * what has no confirmation is sent again on the reopened channel, in order. Whose fault the close was is told by its
 * words (too large, no such exchange); otherwise those in flight are sent again one at a time, and the one that
 * closes the channel once more is the one. So each close refuses at least one publication: it cannot go on for ever.
 */
#include "bridges/amqp_publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 256u
#define RING_MAX 16384u
#define PUMP_ROUNDS 8

static void protocol_error(struct posta__amqp *amqp, const char *what)
{
	posta__amqp_socket_fail(&amqp->publishing.sock, POSTA_EPROTOCOL, "the broker sent %s", what);
}

/* -- the ring */

static bool grow(struct posta__amqp_publisher *publisher)
{
	size_t capacity = publisher->capacity ? publisher->capacity * 2 : RING_MIN;
	struct posta__amqp_entry *ring = capacity <= RING_MAX ? malloc(capacity * sizeof *ring) : NULL;

	if (!ring)
		return false;
	for (uint64_t i = publisher->head; i < publisher->tail; i++)
		ring[i & (capacity - 1)] = *posta__amqp_entry_at(publisher, i);
	free(publisher->ring);
	publisher->ring = ring;
	publisher->capacity = capacity;
	return true;
}

static bool has_room(struct posta__amqp_publisher *publisher)
{
	if (posta__amqp_socket_pending(&posta__amqp_publisher_wire(publisher)->sock) >= POSTA__AMQP_HIGH_WATER)
		return false;
	return publisher->tail - publisher->head < publisher->capacity || grow(publisher);
}

static void drop_done(struct posta__amqp_publisher *publisher)
{
	while (publisher->head < publisher->next &&
	       posta__amqp_entry_at(publisher, publisher->head)->state == POSTA__AMQP_DONE)
		publisher->head++;
}

void posta__amqp_entry_end(struct posta__amqp_publisher *publisher, struct posta__amqp_entry *entry,
			   enum posta_err result, const char *text)
{
	uint64_t id = entry->id;

	entry->state = POSTA__AMQP_DONE;
	entry->publication = NULL;
	drop_done(publisher);
	posta_bridge_confirm(publisher->amqp->bridge, id, result, text);
}

/*
 * The first one sent with this tag or a later one. Tags ascend; one that ended without being sent has the tag before
 * it.
 */
static uint64_t find_tag(const struct posta__amqp_publisher *publisher, uint64_t tag)
{
	uint64_t low = publisher->head, high = publisher->next;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (posta__amqp_entry_at(publisher, middle)->tag < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* -- sending */

/* Returns: whether the one at next is out of the way. */
static bool send_next(struct posta__amqp_publisher *publisher)
{
	struct posta__amqp_entry *entry = posta__amqp_entry_at(publisher, publisher->next);
	const struct posta_target *target = entry->publication->target;
	const char *why = "";

	if (!posta__amqp_target_is_free(target)) {
		struct posta__amqp_target *known = posta__amqp_target_of(&publisher->targets, target);

		if (!known || known->state == POSTA__AMQP_TARGET_ASKED || known->state == POSTA__AMQP_TARGET_UNKNOWN)
			return false;
		if (known->state == POSTA__AMQP_TARGET_REFUSED) {
			entry->tag = publisher->tag;
			publisher->next++;
			posta__amqp_entry_end(publisher, entry, POSTA_EREFUSED, known->text);
			return true;
		}
	}
	if (!publisher->hears_replies && posta__amqp_is_question(entry->publication))
		posta__amqp_hear_replies(publisher);
	enum posta_err code = posta__amqp_entry_put(publisher, entry, &why);

	if (code == POSTA_ENOMEM) {
		posta__amqp_socket_fail(&posta__amqp_publisher_wire(publisher)->sock, code,
					"out of memory for a publication");
		return false;
	}
	entry->tag = code ? publisher->tag : ++publisher->tag;
	entry->state = POSTA__AMQP_SENT;
	publisher->next++;
	if (code)
		posta__amqp_entry_end(publisher, entry, code, why);
	return true;
}

static bool may_send(const struct posta__amqp_publisher *publisher)
{
	const struct posta__amqp_connection *connection = posta__amqp_publisher_wire(publisher);

	if (!publisher->ready || publisher->next == publisher->tail || connection->blocked ||
	    connection->phase != POSTA__AMQP_OPEN)
		return false;
	if (publisher->head < publisher->probe_to && publisher->next > publisher->head)
		return false;
	return posta__amqp_socket_pending(&connection->sock) < POSTA__AMQP_HIGH_WATER;
}

/* Returns: whether only the high-water mark ended it. */
static bool pump(struct posta__amqp_publisher *publisher)
{
	while (may_send(publisher))
		if (!send_next(publisher))
			return false;
	return posta__amqp_socket_pending(&posta__amqp_publisher_wire(publisher)->sock) >= POSTA__AMQP_HIGH_WATER;
}

void posta__amqp_publisher_pump(struct posta__amqp_publisher *publisher)
{
	/* What the kernel took at once announces nothing: go on by ourselves, in bounds; then the confirms do. */
	for (int round = 0; round < PUMP_ROUNDS; round++) {
		bool more = pump(publisher);

		posta__amqp_flush(posta__amqp_publisher_wire(publisher));
		if (!more)
			break;
	}
	if (!publisher->wants_room || publisher->amqp->failed || !has_room(publisher))
		return;
	publisher->wants_room = false;
	posta_bridge_writable(publisher->amqp->bridge);
}

size_t posta__amqp_publisher_take(struct posta__amqp_publisher *publisher, const struct posta_publication *const *batch,
				  size_t n)
{
	size_t taken = 0;

	for (; taken < n && has_room(publisher); taken++) {
		struct posta__amqp_entry *entry = posta__amqp_entry_at(publisher, publisher->tail++);

		*entry = (struct posta__amqp_entry){ .publication = batch[taken],
						     .id = batch[taken]->id,
						     .state = POSTA__AMQP_WAITS };
	}
	if (taken < n)
		publisher->wants_room = true;
	return taken;
}

/* -- confirms */

/* All before that counter. Those that were returned had their end by themselves. */
static void confirm_before(struct posta__amqp_publisher *publisher, uint64_t counter)
{
	if (counter == publisher->head)
		return;
	uint64_t id = posta__amqp_entry_at(publisher, counter - 1)->id;

	for (uint64_t i = publisher->head; i < counter; i++)
		posta__amqp_entry_at(publisher, i)->state = POSTA__AMQP_DONE;
	drop_done(publisher);
	posta_bridge_confirm_through(publisher->amqp->bridge, id);
}

static void on_ack(struct posta__amqp_publisher *publisher, const amqp_basic_ack_t *ack)
{
	uint64_t counter = find_tag(publisher, ack->delivery_tag);

	if (ack->multiple) /* tag 0 stands for all of them */
		confirm_before(publisher,
			       ack->delivery_tag ? find_tag(publisher, ack->delivery_tag + 1) : publisher->next);
	else if (counter < publisher->next && posta__amqp_entry_at(publisher, counter)->tag == ack->delivery_tag &&
		 posta__amqp_entry_at(publisher, counter)->state == POSTA__AMQP_SENT)
		posta__amqp_entry_end(publisher, posta__amqp_entry_at(publisher, counter), POSTA_OK, NULL);
}

static void on_nack(struct posta__amqp_publisher *publisher, const amqp_basic_nack_t *nack)
{
	static const char words[] =
		"basic.nack: the queue refused it (its length limit, or an internal error of the broker)";
	uint64_t to = find_tag(publisher, nack->delivery_tag);

	if (to >= publisher->next)
		return;
	for (uint64_t i = nack->multiple ? publisher->head : to; i <= to; i++)
		if (i >= publisher->head && posta__amqp_entry_at(publisher, i)->state == POSTA__AMQP_SENT &&
		    posta__amqp_entry_at(publisher, i)->tag <= nack->delivery_tag)
			posta__amqp_entry_end(publisher, posta__amqp_entry_at(publisher, i), POSTA_EREFUSED, words);
}

/* -- the channel */

static void open_channel(struct posta__amqp_publisher *publisher)
{
	amqp_channel_open_t open = { { 0, NULL } };
	amqp_confirm_select_t select = { 0 };

	publisher->ready = false;
	publisher->tag = 0;
	publisher->returned = (struct posta__amqp_returned){ 0 };
	posta__amqp_content_reset(&publisher->reply);
	publisher->hears_replies = false;
	posta__amqp_ask(posta__amqp_publisher_wire(publisher), POSTA__AMQP_PUBLISH_CHANNEL, AMQP_CHANNEL_OPEN_METHOD,
			&open);
	posta__amqp_ask(posta__amqp_publisher_wire(publisher), POSTA__AMQP_PUBLISH_CHANNEL, AMQP_CONFIRM_SELECT_METHOD,
			&select);
	publisher->rpcs = 2;
	posta__amqp_flush(posta__amqp_publisher_wire(publisher));
}

static void on_answer(struct posta__amqp_publisher *publisher, bool ready)
{
	if (publisher->rpcs)
		publisher->rpcs--;
	posta__amqp_answered(posta__amqp_publisher_wire(publisher), 1);
	if (!ready)
		return;
	publisher->ready = true;
	posta__amqp_on_ready(publisher->amqp);
}

/* "message size 2097153 larger than configured max size 2097152": the limit; 0 when it says something else. */
static uint64_t limit_in(const char *words)
{
	const char *at_max = strstr(words, "message size ") ? strstr(words, "max size ") : NULL;

	return at_max ? strtoull(at_max + strlen("max size "), NULL, 10) : 0;
}

static bool names_exchange(const char *words, const char *exchange)
{
	const char *name = strstr(words, "exchange '");
	size_t len = strlen(exchange);

	if (!name || !len)
		return false;
	name += strlen("exchange '");
	return strncmp(name, exchange, len) == 0 && name[len] == '\'';
}

/* Ends those in flight that the words accuse. Returns: how many. */
static unsigned refuse_accused(struct posta__amqp_publisher *publisher, const char *words, const char *text)
{
	uint64_t limit = limit_in(words);
	unsigned accused = 0;

	if (limit)
		publisher->too_big = limit + 1;
	for (uint64_t i = publisher->head; i < publisher->next; i++) {
		struct posta__amqp_entry *entry = posta__amqp_entry_at(publisher, i);

		if (entry->state != POSTA__AMQP_SENT)
			continue;
		bool big = limit && entry->body_len > limit;

		if (!big && !names_exchange(words, posta__amqp_exchange_of(entry->publication->target)))
			continue;
		posta__amqp_target_forget(&publisher->targets, entry->publication->target);
		posta__amqp_entry_end(publisher, entry, big ? POSTA_ETOOBIG : POSTA_EREFUSED, text);
		accused++;
	}
	return accused;
}

/* What has no confirmation waits again, in order. */
static void rewind_ring(struct posta__amqp_publisher *publisher)
{
	uint64_t kept = publisher->tail;

	for (uint64_t i = publisher->tail; i > publisher->head; i--) {
		if (posta__amqp_entry_at(publisher, i - 1)->state == POSTA__AMQP_DONE)
			continue;
		*posta__amqp_entry_at(publisher, --kept) = *posta__amqp_entry_at(publisher, i - 1);
		posta__amqp_entry_at(publisher, kept)->state = POSTA__AMQP_WAITS;
		posta__amqp_entry_at(publisher, kept)->tag = 0;
	}
	publisher->head = publisher->next = kept;
}

static void on_channel_close(struct posta__amqp_publisher *publisher, const amqp_channel_close_t *close)
{
	static const amqp_channel_close_ok_t close_ok = { 0 };
	uint64_t sent_to = publisher->next;
	bool probing = publisher->head < publisher->probe_to && publisher->next == publisher->head + 1;
	char words[160], text[POSTA_ERROR_TEXT_MAX];

	posta__amqp_words(close->reply_text, words, sizeof words);
	snprintf(text, sizeof text, "%u %s", close->reply_code, words);
	publisher->ready = false;
	posta__amqp_answered(posta__amqp_publisher_wire(publisher), publisher->rpcs);
	posta__amqp_send(posta__amqp_publisher_wire(publisher), POSTA__AMQP_PUBLISH_CHANNEL,
			 AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
	if (!refuse_accused(publisher, words, text)) {
		if (probing)
			posta__amqp_entry_end(publisher, posta__amqp_entry_at(publisher, publisher->head),
					      POSTA_EREFUSED, text);
		else
			publisher->probe_to = sent_to;
	}
	rewind_ring(publisher);
	open_channel(publisher);
}

static void take_method(struct posta__amqp_publisher *publisher, amqp_method_number_t method, const void *decoded)
{
	switch (method) {
	case AMQP_CHANNEL_OPEN_OK_METHOD:
	case AMQP_CONFIRM_SELECT_OK_METHOD:
	case AMQP_BASIC_CONSUME_OK_METHOD:
		on_answer(publisher, method == AMQP_CONFIRM_SELECT_OK_METHOD);
		return;
	case AMQP_BASIC_ACK_METHOD:
		on_ack(publisher, decoded);
		return;
	case AMQP_BASIC_NACK_METHOD:
		on_nack(publisher, decoded);
		return;
	case AMQP_BASIC_RETURN_METHOD:
		posta__amqp_return_method(publisher, decoded);
		return;
	case AMQP_BASIC_DELIVER_METHOD:
		if (!posta__amqp_reply_method(publisher, decoded))
			protocol_error(publisher->amqp, "a delivery that nobody waits for");
		return;
	case AMQP_BASIC_CANCEL_METHOD:
		publisher->hears_replies = false;
		return;
	case AMQP_CHANNEL_CLOSE_METHOD:
		on_channel_close(publisher, decoded);
		return;
	case AMQP_CHANNEL_FLOW_METHOD:
		posta__amqp_send(posta__amqp_publisher_wire(publisher), POSTA__AMQP_PUBLISH_CHANNEL,
				 AMQP_CHANNEL_FLOW_OK_METHOD, decoded);
		return;
	default:
		protocol_error(publisher->amqp, "a method that means nothing to a publisher");
	}
}

static void on_method(struct posta__amqp *amqp, uint16_t channel, amqp_method_number_t method, const void *decoded)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;

	if (channel == POSTA__AMQP_TARGET_CHANNEL)
		posta__amqp_targets_method(&publisher->targets, method, decoded);
	else if (channel == POSTA__AMQP_PUBLISH_CHANNEL)
		take_method(publisher, method, decoded);
	else
		protocol_error(amqp, "a method on a channel that is not open");
}

static bool is_return(const struct posta__amqp_publisher *publisher)
{
	return publisher->returned.want != POSTA__AMQP_NO_RETURN;
}

static void on_header(struct posta__amqp *amqp, uint16_t channel, const struct posta__amqp_content_header *header)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;

	if (channel != POSTA__AMQP_PUBLISH_CHANNEL || !(is_return(publisher)
								? posta__amqp_return_header(publisher, header)
								: posta__amqp_reply_header(publisher, header)))
		protocol_error(amqp, "a content header out of its turn");
}

static void on_body(struct posta__amqp *amqp, uint16_t channel, const uint8_t *bytes, size_t len)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;

	if (channel != POSTA__AMQP_PUBLISH_CHANNEL || !(is_return(publisher)
								? posta__amqp_return_body(publisher, len)
								: posta__amqp_reply_body(publisher, bytes, len)))
		protocol_error(amqp, "content out of its turn, or more than announced");
}

static void on_opened(struct posta__amqp *amqp)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;

	publisher->scratch.size = amqp->publishing.limits.frame_max;
	publisher->scratch.bytes = malloc(publisher->scratch.size);
	if (!publisher->scratch.bytes) {
		posta__amqp_socket_fail(&amqp->publishing.sock, POSTA_ENOMEM, "out of memory for a frame");
		return;
	}
	open_channel(publisher);
}

static void on_read(struct posta__amqp *amqp)
{
	posta__amqp_publisher_pump(amqp->publisher);
}

const struct posta__amqp_role posta__amqp_publisher_role = {
	.name = "publish",
	.opened = on_opened,
	.method = on_method,
	.header = on_header,
	.body = on_body,
	.read = on_read,
	.drained = on_read,
};

struct posta__amqp_publisher *posta__amqp_publisher_new(struct posta__amqp *amqp)
{
	struct posta__amqp_publisher *publisher = calloc(1, sizeof *publisher);

	if (!publisher)
		return NULL;
	publisher->amqp = amqp;
	posta__amqp_targets_open(&publisher->targets, amqp, POSTA__AMQP_TARGET_CHANNEL);
	return publisher;
}

void posta__amqp_publisher_free(struct posta__amqp_publisher *publisher)
{
	if (!publisher)
		return;
	posta__amqp_targets_fini(&publisher->targets);
	posta__amqp_content_reset(&publisher->reply);
	free(publisher->scratch.bytes);
	free(publisher->ring);
	free(publisher);
}

bool posta__amqp_publisher_ready(const struct posta__amqp_publisher *publisher)
{
	return publisher->ready;
}
