/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_AMQP_PEER_H
#define POSTA_TESTS_AMQP_PEER_H

/*
 * A scripted broker on the test's own loop, for what a real one does not do. It answers requests as a broker would,
 * and sends what the test wants otherwise.
 */

#include "bridges/amqp_frame.h"

#include <ev.h>

#define PEER_SEEN_MAX 4096

struct peer_link { /* one accepted connection */
	struct peer *peer;
	int fd;
	ev_io io;
	uint8_t in[1 << 20];
	size_t in_len;
	bool consumes; /* else it publishes */
	bool open;
	int heartbeats, publishes;
	size_t body_bytes;
	char consumer_tag[64];
	uint16_t consumer_channel;
	struct {
		uint64_t tag;
		bool multiple, requeue, nack;
	} acks[PEER_SEEN_MAX];
	size_t ack_count;
	char bodies[PEER_SEEN_MAX][16]; /* of what was published, cut */
};

struct peer {
	struct ev_loop *loop;
	int fd, port;
	ev_io io;
	struct peer_link *publishing, *consuming;
	struct peer_link *links[8];
	int link_count;
	bool mute;            /* accepts and says nothing */
	bool dribble;         /* one byte a turn of the loop: see peer_dribble() */
	bool deaf;            /* reads nothing any more */
	unsigned nesting;     /* of a table in connection.start */
	const void *greeting; /* instead of connection.start */
	size_t greeting_len;
	uint16_t heartbeat;      /* seconds, in tune */
	uint8_t queued[1 << 16]; /* of dribble: for which link */
	struct peer_link *queued_for[1 << 16];
	size_t queued_len, queued_sent;
};

struct peer *peer_new(struct ev_loop *loop);
void peer_free(struct peer *peer);
/* Sends what dribble holds, one byte. Returns: whether there was one. */
bool peer_dribble(struct peer *peer);
void peer_send_raw(struct peer_link *link, const void *bytes, size_t len);
void peer_send(struct peer_link *link, uint16_t channel, amqp_method_number_t method, const void *fields);
void peer_send_content(struct peer_link *link, uint16_t channel, const void *properties, size_t properties_len,
		       const char *body, size_t body_len);
void peer_deliver(struct peer_link *link, uint64_t tag, const char *body);

#endif
