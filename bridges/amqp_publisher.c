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
#include "bridges/amqp.h"

#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_CHANNEL 1u
#define TARGET_CHANNEL 2u
#define RING_MIN 256u
#define RING_MAX 16384u
#define PUBLISH_METHOD_MAX 1024u
#define PUMP_ROUNDS 8

enum state { WAITS, SENT, DONE };

struct entry {
	const struct posta_publication *publication; /* valid while not DONE */
	uint64_t id;
	uint64_t tag;
	size_t body_len;
	enum state state;
};

/* A basic.return in the coming: method, header, body. */
struct returned {
	enum { NOTHING, WANT_HEADER, WANT_BODY } want;
	uint64_t body_left;
	uint16_t code;
	char text[128];
	char exchange[UINT8_MAX + 1], routing_key[UINT8_MAX + 1];
	uint64_t searched; /* returns come in the order of sending: the next one is not before this counter */
};

struct posta__amqp_publisher {
	struct posta__amqp *amqp;
	struct posta__amqp_targets targets;
	bool ready;        /* the channel is in confirm mode */
	bool wants_room;   /* the core waits for posta_bridge_writable() */
	unsigned rpcs;     /* of the publishing channel */
	uint64_t tag;      /* of the last one sent */
	uint64_t probe_to; /* up to here one at a time */
	uint64_t too_big;  /* bytes that the broker does not take; 0: not known */
	uint64_t head, next, tail;
	struct entry *ring;
	size_t capacity;
	struct returned returned;
	struct posta__amqp_scratch scratch;
};

static struct entry *at(const struct posta__amqp_publisher *publisher, uint64_t counter)
{
	return &publisher->ring[counter & (publisher->capacity - 1)];
}

static struct posta__amqp_connection *wire(const struct posta__amqp_publisher *publisher)
{
	return &publisher->amqp->publishing;
}

/* -- the ring */

static bool grow(struct posta__amqp_publisher *publisher)
{
	size_t capacity = publisher->capacity ? publisher->capacity * 2 : RING_MIN;
	struct entry *ring = capacity <= RING_MAX ? malloc(capacity * sizeof *ring) : NULL;

	if (!ring)
		return false;
	for (uint64_t i = publisher->head; i < publisher->tail; i++)
		ring[i & (capacity - 1)] = *at(publisher, i);
	free(publisher->ring);
	publisher->ring = ring;
	publisher->capacity = capacity;
	return true;
}

static bool has_room(struct posta__amqp_publisher *publisher)
{
	if (posta__amqp_socket_pending(&wire(publisher)->sock) >= POSTA__AMQP_HIGH_WATER)
		return false;
	return publisher->tail - publisher->head < publisher->capacity || grow(publisher);
}

static void drop_done(struct posta__amqp_publisher *publisher)
{
	while (publisher->head < publisher->next && at(publisher, publisher->head)->state == DONE)
		publisher->head++;
}

/* The end of one. The core may call back into take(): nothing of the entry is used afterwards. */
static void end(struct posta__amqp_publisher *publisher, struct entry *entry, enum posta_err result, const char *text)
{
	uint64_t id = entry->id;

	entry->state = DONE;
	entry->publication = NULL;
	drop_done(publisher);
	posta_bridge_confirm(publisher->amqp->bridge, id, result, text);
}

/* The first one sent with this tag or a later one. Tags ascend; one that ended without being sent has the tag before it. */
static uint64_t find_tag(const struct posta__amqp_publisher *publisher, uint64_t tag)
{
	uint64_t low = publisher->head, high = publisher->next;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (at(publisher, middle)->tag < tag)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* -- sending */

static const char *exchange_of(const struct posta_target *target)
{
	return target->queue || !target->exchange ? "" : target->exchange;
}

static const char *routing_key_of(const struct posta_target *target)
{
	const char *key = target->queue ? target->queue : target->routing_key;

	return key ? key : "";
}

/* Returns: bytes written to out, which has PUBLISH_METHOD_MAX. */
static size_t put_method(const struct posta_target *target, uint8_t *out)
{
	amqp_basic_publish_t fields = {
		.exchange = posta__amqp_text(exchange_of(target)),
		.routing_key = posta__amqp_text(routing_key_of(target)),
		.mandatory = 1,
	};
	amqp_bytes_t bytes = {PUBLISH_METHOD_MAX - POSTA__AMQP_FRAME_OVERHEAD - 4, out + POSTA__AMQP_FRAME_HEADER + 4};
	int used = amqp_encode_method(AMQP_BASIC_PUBLISH_METHOD, &fields, bytes);
	uint32_t size = 4 + (uint32_t)(used > 0 ? used : 0); /* names were checked to be short: it always fits */

	posta__amqp_put32(out + POSTA__AMQP_FRAME_HEADER, AMQP_BASIC_PUBLISH_METHOD);
	posta__amqp_frame_close(out, AMQP_FRAME_METHOD, PUBLISH_CHANNEL, size);
	return size + POSTA__AMQP_FRAME_OVERHEAD;
}

static size_t put_header(uint8_t *out, size_t properties_len, size_t body_len)
{
	uint8_t *payload = out + POSTA__AMQP_FRAME_HEADER;

	posta__amqp_put16(payload, AMQP_BASIC_CLASS);
	posta__amqp_put16(payload + 2, 0);
	posta__amqp_put32(payload + 4, (uint32_t)((uint64_t)body_len >> 32));
	posta__amqp_put32(payload + 8, (uint32_t)body_len);
	posta__amqp_frame_close(out, AMQP_FRAME_HEADER, PUBLISH_CHANNEL, (uint32_t)properties_len + 12);
	return properties_len + 12 + POSTA__AMQP_FRAME_OVERHEAD;
}

static bool put_body(struct posta__amqp_publisher *publisher, const struct posta__wire_body *body)
{
	struct posta__amqp_socket *sock = &wire(publisher)->sock;
	size_t chunk_max = wire(publisher)->limits.frame_max - POSTA__AMQP_FRAME_OVERHEAD;
	size_t frames = (body->len + chunk_max - 1) / chunk_max;
	uint8_t *out = posta__amqp_socket_reserve(sock, body->len + frames * POSTA__AMQP_FRAME_OVERHEAD);

	if (!out)
		return false;
	for (size_t done = 0; done < body->len;) {
		size_t chunk = body->len - done < chunk_max ? body->len - done : chunk_max;

		memcpy(out + POSTA__AMQP_FRAME_HEADER, (const uint8_t *)body->data + done, chunk);
		posta__amqp_frame_close(out, AMQP_FRAME_BODY, PUBLISH_CHANNEL, (uint32_t)chunk);
		out += chunk + POSTA__AMQP_FRAME_OVERHEAD;
		done += chunk;
	}
	posta__amqp_socket_commit(sock, body->len + frames * POSTA__AMQP_FRAME_OVERHEAD);
	return true;
}

static enum posta_err check_size(const struct posta__amqp_publisher *publisher, size_t body_len, const char **why)
{
	if (!publisher->too_big || body_len < publisher->too_big)
		return POSTA_OK;
	*why = "larger than the broker's max_message_size";
	return POSTA_ETOOBIG;
}

/* Puts all frames of one into the output buffer. Errors: its own, with words; nothing was put then. */
static enum posta_err put(struct posta__amqp_publisher *publisher, struct entry *entry, const char **why)
{
	const struct posta_publication *publication = entry->publication;
	struct posta__amqp_socket *sock = &wire(publisher)->sock;
	size_t frame_max = wire(publisher)->limits.frame_max, properties_len = 0;
	struct posta__wire_body body = {0};
	uint8_t *out = posta__amqp_socket_reserve(sock, PUBLISH_METHOD_MAX + frame_max);

	if (!out)
		return POSTA_OK; /* the connection has failed */
	size_t used = put_method(publication->target, out);
	enum posta_err code = posta__amqp_properties_encode(
		publication->envelope, publication->target->format, posta__wall_ms(), &publisher->scratch,
		out + used + POSTA__AMQP_FRAME_HEADER + 12, frame_max - POSTA__AMQP_FRAME_OVERHEAD - 12, &properties_len, &body, why);

	if (code)
		return code;
	code = check_size(publisher, body.len, why);
	if (!code) {
		used += put_header(out + used, properties_len, body.len);
		posta__amqp_socket_commit(sock, used);
		put_body(publisher, &body);
		entry->body_len = body.len;
	}
	posta__wire_body_fini(&body);
	return code;
}

/* Returns: whether the one at next is out of the way. */
static bool send_next(struct posta__amqp_publisher *publisher)
{
	struct entry *entry = at(publisher, publisher->next);
	const struct posta_target *target = entry->publication->target;
	const char *why = "";

	if (!posta__amqp_target_is_free(target)) {
		struct posta__amqp_target *known = posta__amqp_target_of(&publisher->targets, target);

		if (!known || known->state == POSTA__AMQP_TARGET_ASKED || known->state == POSTA__AMQP_TARGET_UNKNOWN)
			return false;
		if (known->state == POSTA__AMQP_TARGET_REFUSED) {
			entry->tag = publisher->tag;
			publisher->next++;
			end(publisher, entry, POSTA_EREFUSED, known->text);
			return true;
		}
	}
	enum posta_err code = put(publisher, entry, &why);

	if (code == POSTA_ENOMEM) {
		posta__amqp_socket_fail(&wire(publisher)->sock, code, "out of memory for a publication");
		return false;
	}
	entry->tag = code ? publisher->tag : ++publisher->tag;
	entry->state = SENT;
	publisher->next++;
	if (code)
		end(publisher, entry, code, why);
	return true;
}

static bool may_send(const struct posta__amqp_publisher *publisher)
{
	const struct posta__amqp_connection *connection = wire(publisher);

	if (!publisher->ready || publisher->next == publisher->tail || connection->blocked || connection->phase != POSTA__AMQP_OPEN)
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
	return posta__amqp_socket_pending(&wire(publisher)->sock) >= POSTA__AMQP_HIGH_WATER;
}

void posta__amqp_publisher_pump(struct posta__amqp_publisher *publisher)
{
	/* What the kernel took at once announces nothing: go on by ourselves, in bounds; then the confirms do. */
	for (int round = 0; round < PUMP_ROUNDS; round++) {
		bool more = pump(publisher);

		posta__amqp_flush(wire(publisher));
		if (!more)
			break;
	}
	if (!publisher->wants_room || publisher->amqp->failed || !has_room(publisher))
		return;
	publisher->wants_room = false;
	posta_bridge_writable(publisher->amqp->bridge);
}

size_t posta__amqp_publisher_take(struct posta__amqp_publisher *publisher, const struct posta_publication *const *batch, size_t n)
{
	size_t taken = 0;

	for (; taken < n && has_room(publisher); taken++) {
		struct entry *entry = at(publisher, publisher->tail++);

		*entry = (struct entry){.publication = batch[taken], .id = batch[taken]->id, .state = WAITS};
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
	uint64_t id = at(publisher, counter - 1)->id;

	for (uint64_t i = publisher->head; i < counter; i++)
		at(publisher, i)->state = DONE;
	drop_done(publisher);
	posta_bridge_confirm_through(publisher->amqp->bridge, id);
}

static void on_ack(struct posta__amqp_publisher *publisher, const amqp_basic_ack_t *ack)
{
	uint64_t counter = find_tag(publisher, ack->delivery_tag);

	if (ack->multiple) /* tag 0 stands for all of them */
		confirm_before(publisher, ack->delivery_tag ? find_tag(publisher, ack->delivery_tag + 1) : publisher->next);
	else if (counter < publisher->next && at(publisher, counter)->tag == ack->delivery_tag && at(publisher, counter)->state == SENT)
		end(publisher, at(publisher, counter), POSTA_OK, NULL);
}

static void on_nack(struct posta__amqp_publisher *publisher, const amqp_basic_nack_t *nack)
{
	static const char words[] = "basic.nack: the queue refused it (its length limit, or an internal error of the broker)";
	uint64_t to = find_tag(publisher, nack->delivery_tag);

	if (to >= publisher->next)
		return;
	for (uint64_t i = nack->multiple ? publisher->head : to; i <= to; i++)
		if (i >= publisher->head && at(publisher, i)->state == SENT && at(publisher, i)->tag <= nack->delivery_tag)
			end(publisher, at(publisher, i), POSTA_EREFUSED, words);
}

/* -- returns */

static void on_return(struct posta__amqp_publisher *publisher, const amqp_basic_return_t *method)
{
	struct returned *returned = &publisher->returned;

	returned->want = WANT_HEADER;
	returned->code = method->reply_code;
	posta__amqp_words(method->reply_text, returned->text, sizeof returned->text);
	posta__amqp_words(method->exchange, returned->exchange, sizeof returned->exchange);
	posta__amqp_words(method->routing_key, returned->routing_key, sizeof returned->routing_key);
}

static bool is_id(const struct entry *entry, struct posta_bytes id)
{
	if (!id.data || entry->publication->target->format == POSTA_FORMAT_RAW)
		return true;
	struct posta_bytes own = posta__wire_native(entry->publication->envelope, POSTA__AMQP, POSTA_ATTR_ID);

	return own.data && own.len == id.len && memcmp(own.data, id.data, id.len) == 0;
}

static bool is_returned(const struct entry *entry, const struct returned *returned, uint64_t body_len, struct posta_bytes id)
{
	return entry->state == SENT && entry->body_len == body_len &&
	       strcmp(exchange_of(entry->publication->target), returned->exchange) == 0 &&
	       strcmp(routing_key_of(entry->publication->target), returned->routing_key) == 0 && is_id(entry, id);
}

/* The message_id of a returned message; data NULL where it has none. Borrows: from the frame. */
static struct posta_bytes id_of(struct posta__amqp_publisher *publisher, amqp_bytes_t properties)
{
	void *decoded = NULL;

	if (!posta__amqp_properties_ok(properties.bytes, properties.len) ||
	    amqp_decode_properties(AMQP_BASIC_CLASS, &wire(publisher)->pool, properties, &decoded) < 0)
		return (struct posta_bytes){0};
	const amqp_basic_properties_t *p = decoded;

	return p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG ? (struct posta_bytes){p->message_id.bytes, p->message_id.len}
						      : (struct posta_bytes){0};
}

static void refuse_returned(struct posta__amqp_publisher *publisher, const struct posta__amqp_content_header *header)
{
	struct returned *returned = &publisher->returned;
	struct posta_bytes id = id_of(publisher, header->properties);
	uint64_t i = returned->searched > publisher->head ? returned->searched : publisher->head;
	char text[POSTA_ERROR_TEXT_MAX];

	while (i < publisher->next && !is_returned(at(publisher, i), returned, header->body_size, id))
		i++;
	if (i == publisher->next) {
		posta_log(posta_system_of(posta_bridge_actor(publisher->amqp->bridge)), POSTA_LOG_WARNING, "amqp.return_unknown",
			  "name=%s routing_key=%s", posta_bridge_name(publisher->amqp->bridge), returned->routing_key);
		return;
	}
	returned->searched = i + 1;
	posta__amqp_target_forget(&publisher->targets, at(publisher, i)->publication->target);
	snprintf(text, sizeof text, "%u %.40s: no queue for exchange '%.80s' and routing key '%.80s'", returned->code, returned->text,
		 returned->exchange, returned->routing_key);
	end(publisher, at(publisher, i), POSTA_EREFUSED, text);
}

static void on_header(struct posta__amqp *amqp, uint16_t channel, const struct posta__amqp_content_header *header)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;
	struct returned *returned = &publisher->returned;

	if (channel != PUBLISH_CHANNEL || returned->want != WANT_HEADER) {
		posta__amqp_socket_fail(&wire(publisher)->sock, POSTA_EPROTOCOL, "the broker sent content without a basic.return");
		return;
	}
	returned->body_left = header->body_size;
	returned->want = header->body_size ? WANT_BODY : NOTHING;
	refuse_returned(publisher, header);
}

static void on_body(struct posta__amqp *amqp, uint16_t channel, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	struct posta__amqp_publisher *publisher = amqp->publisher;
	struct returned *returned = &publisher->returned;

	if (channel != PUBLISH_CHANNEL || returned->want != WANT_BODY || len > returned->body_left) {
		posta__amqp_socket_fail(&wire(publisher)->sock, POSTA_EPROTOCOL, "the broker sent more content than it announced");
		return;
	}
	returned->body_left -= len;
	if (!returned->body_left)
		returned->want = NOTHING;
}

/* -- the channel */

static void open_channel(struct posta__amqp_publisher *publisher)
{
	amqp_channel_open_t open = {{0, NULL}};
	amqp_confirm_select_t select = {0};

	publisher->ready = false;
	publisher->tag = 0;
	publisher->returned = (struct returned){0};
	posta__amqp_ask(wire(publisher), PUBLISH_CHANNEL, AMQP_CHANNEL_OPEN_METHOD, &open);
	posta__amqp_ask(wire(publisher), PUBLISH_CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &select);
	publisher->rpcs = 2;
	posta__amqp_flush(wire(publisher));
}

static void on_answer(struct posta__amqp_publisher *publisher, bool ready)
{
	if (publisher->rpcs)
		publisher->rpcs--;
	posta__amqp_answered(wire(publisher), 1);
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
		struct entry *entry = at(publisher, i);

		if (entry->state != SENT)
			continue;
		bool big = limit && entry->body_len > limit;

		if (!big && !names_exchange(words, exchange_of(entry->publication->target)))
			continue;
		posta__amqp_target_forget(&publisher->targets, entry->publication->target);
		end(publisher, entry, big ? POSTA_ETOOBIG : POSTA_EREFUSED, text);
		accused++;
	}
	return accused;
}

/* What has no confirmation waits again, in order. */
static void rewind_ring(struct posta__amqp_publisher *publisher)
{
	uint64_t kept = publisher->tail;

	for (uint64_t i = publisher->tail; i > publisher->head; i--) {
		if (at(publisher, i - 1)->state == DONE)
			continue;
		*at(publisher, --kept) = *at(publisher, i - 1);
		at(publisher, kept)->state = WAITS;
		at(publisher, kept)->tag = 0;
	}
	publisher->head = publisher->next = kept;
}

static void on_channel_close(struct posta__amqp_publisher *publisher, const amqp_channel_close_t *close)
{
	static const amqp_channel_close_ok_t close_ok = {0};
	uint64_t sent_to = publisher->next;
	bool probing = publisher->head < publisher->probe_to && publisher->next == publisher->head + 1;
	char words[160], text[POSTA_ERROR_TEXT_MAX];

	posta__amqp_words(close->reply_text, words, sizeof words);
	snprintf(text, sizeof text, "%u %s", close->reply_code, words);
	publisher->ready = false;
	posta__amqp_answered(wire(publisher), publisher->rpcs);
	posta__amqp_send(wire(publisher), PUBLISH_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
	if (!refuse_accused(publisher, words, text)) {
		if (probing)
			end(publisher, at(publisher, publisher->head), POSTA_EREFUSED, text);
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
		on_answer(publisher, method == AMQP_CONFIRM_SELECT_OK_METHOD);
		return;
	case AMQP_BASIC_ACK_METHOD:
		on_ack(publisher, decoded);
		return;
	case AMQP_BASIC_NACK_METHOD:
		on_nack(publisher, decoded);
		return;
	case AMQP_BASIC_RETURN_METHOD:
		on_return(publisher, decoded);
		return;
	case AMQP_CHANNEL_CLOSE_METHOD:
		on_channel_close(publisher, decoded);
		return;
	case AMQP_CHANNEL_FLOW_METHOD:
		posta__amqp_send(wire(publisher), PUBLISH_CHANNEL, AMQP_CHANNEL_FLOW_OK_METHOD, decoded);
		return;
	default:
		posta__amqp_socket_fail(&wire(publisher)->sock, POSTA_EPROTOCOL, "the broker sent a method that means nothing to a publisher");
	}
}

static void on_method(struct posta__amqp *amqp, uint16_t channel, amqp_method_number_t method, const void *decoded)
{
	struct posta__amqp_publisher *publisher = amqp->publisher;

	if (channel == TARGET_CHANNEL)
		posta__amqp_targets_method(&publisher->targets, method, decoded);
	else if (channel == PUBLISH_CHANNEL)
		take_method(publisher, method, decoded);
	else
		posta__amqp_socket_fail(&wire(publisher)->sock, POSTA_EPROTOCOL, "the broker used a channel that is not open");
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
	posta__amqp_targets_open(&publisher->targets, amqp, TARGET_CHANNEL);
	return publisher;
}

void posta__amqp_publisher_free(struct posta__amqp_publisher *publisher)
{
	if (!publisher)
		return;
	posta__amqp_targets_fini(&publisher->targets);
	free(publisher->scratch.bytes);
	free(publisher->ring);
	free(publisher);
}

bool posta__amqp_publisher_ready(const struct posta__amqp_publisher *publisher)
{
	return publisher->ready;
}
