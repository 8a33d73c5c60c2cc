/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_PUBLISHER_H
#define POSTA_BRIDGES_AMQP_PUBLISHER_H

/*
 * The ring of publications: shared by amqp_publisher.c (order, confirms, channel), amqp_publish.c (frames),
 * amqp_return.c and amqp_reply.c (what comes back).
 */

#include "bridges/amqp_content.h"

#define POSTA__AMQP_PUBLISH_CHANNEL 1u
#define POSTA__AMQP_TARGET_CHANNEL 2u

enum posta__amqp_entry_state { POSTA__AMQP_WAITS, POSTA__AMQP_SENT, POSTA__AMQP_DONE };

struct posta__amqp_entry {
	const struct posta_publication *publication; /* valid while not done */
	uint64_t id;
	uint64_t tag;
	size_t body_len;
	enum posta__amqp_entry_state state;
};

/* A basic.return in the coming: method, header, body. */
struct posta__amqp_returned {
	enum { POSTA__AMQP_NO_RETURN, POSTA__AMQP_WANT_RETURN_HEADER, POSTA__AMQP_WANT_RETURN_BODY } want;
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
	struct posta__amqp_entry *ring;
	size_t capacity;
	struct posta__amqp_returned returned;
	struct posta__amqp_content reply;
	bool hears_replies; /* the channel consumes them */
	struct posta__amqp_scratch scratch;
};

static inline struct posta__amqp_entry *posta__amqp_entry_at(const struct posta__amqp_publisher *publisher,
							     uint64_t counter)
{
	return &publisher->ring[counter & (publisher->capacity - 1)];
}

static inline struct posta__amqp_connection *posta__amqp_publisher_wire(const struct posta__amqp_publisher *publisher)
{
	return &publisher->amqp->publishing;
}

static inline const char *posta__amqp_exchange_of(const struct posta_target *target)
{
	return target->queue || !target->exchange ? "" : target->exchange;
}

/* Returns: of the target, or out. */
static inline const char *posta__amqp_routing_key_of(const struct posta_target *target, char out[UINT8_MAX + 1])
{
	if (target->delay_ms)
		return posta__amqp_wait_queue(target, out);
	const char *key = target->queue ? target->queue : target->routing_key;

	return key ? key : "";
}

/* The end of one. The core may call back into take(): nothing of the entry is used afterwards. */
void posta__amqp_entry_end(struct posta__amqp_publisher *publisher, struct posta__amqp_entry *entry,
			   enum posta_err result, const char *text);

/* Puts all frames of one into the output buffer. Errors: its own, with words; nothing was put then. */
enum posta_err posta__amqp_entry_put(struct posta__amqp_publisher *publisher, struct posta__amqp_entry *entry,
				     const char **why);

/* basic.return, its header and body. False: not as they should come. */
void posta__amqp_return_method(struct posta__amqp_publisher *publisher, const amqp_basic_return_t *method);
bool posta__amqp_return_header(struct posta__amqp_publisher *publisher,
			       const struct posta__amqp_content_header *header);
bool posta__amqp_return_body(struct posta__amqp_publisher *publisher, size_t len);

/* Whether its reply is to come by the publishing channel, which must hear them before it is sent. */
bool posta__amqp_is_question(const struct posta_publication *publication);
void posta__amqp_hear_replies(struct posta__amqp_publisher *publisher);
/* basic.deliver of a reply, its header and body. False: not as they should come. */
bool posta__amqp_reply_method(struct posta__amqp_publisher *publisher, const amqp_basic_deliver_t *method);
bool posta__amqp_reply_header(struct posta__amqp_publisher *publisher, const struct posta__amqp_content_header *header);
bool posta__amqp_reply_body(struct posta__amqp_publisher *publisher, const uint8_t *bytes, size_t len);

#endif
