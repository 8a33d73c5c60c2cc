/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_CONTENT_H
#define POSTA_BRIDGES_AMQP_CONTENT_H

/* A message in the coming on one channel: basic.deliver, header, body frames. */

#include "bridges/amqp.h"

struct posta__amqp_content {
	enum { POSTA__AMQP_NO_CONTENT, POSTA__AMQP_WANT_HEADER, POSTA__AMQP_WANT_BODY } want;
	uint64_t tag;
	bool redelivered;
	uint8_t routing_key_len;
	char routing_key[UINT8_MAX];
	struct posta_envelope *envelope; /* NULL: refused, the body is skipped */
	uint8_t *body;                   /* NULL while it may come in one frame */
	size_t body_len, body_got;
};

enum posta__amqp_arrival {
	POSTA__AMQP_OUT_OF_TURN, /* not as frames should come */
	POSTA__AMQP_MORE_TO_COME,
	POSTA__AMQP_COMPLETE /* envelope is the caller's to take; NULL: what came can't become one */
};

enum posta__amqp_arrival posta__amqp_content_begin(struct posta__amqp_content *content,
						   const amqp_basic_deliver_t *method);
/* from: for the log, where it was read. Out of memory fails the connection. */
enum posta__amqp_arrival posta__amqp_content_header(struct posta__amqp_content *content,
						    struct posta__amqp_connection *connection,
						    const struct posta__amqp_content_header *header, const char *from);
enum posta__amqp_arrival posta__amqp_content_body(struct posta__amqp_content *content,
						  struct posta__amqp_connection *connection, const uint8_t *bytes,
						  size_t len);
/* The whole envelope of a complete one; NULL: out of memory, and the connection has failed. Returns: owned. */
struct posta_envelope *posta__amqp_content_take(struct posta__amqp_content *content,
						struct posta__amqp_connection *connection);
void posta__amqp_content_reset(struct posta__amqp_content *content);

#endif
