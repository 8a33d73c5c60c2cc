/* SPDX-License-Identifier: MIT */
#include "amqp_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void peer_send_raw(struct peer_link *link, const void *bytes, size_t len)
{
	struct peer *peer = link->peer;

	if (peer->dribble) {
		assert_true(peer->queued_len + len <= sizeof peer->queued);
		for (size_t i = 0; i < len; i++)
			peer->queued_for[peer->queued_len + i] = link;
		memcpy(peer->queued + peer->queued_len, bytes, len);
		peer->queued_len += len;
		return;
	}
	ssize_t n = send(link->fd, bytes, len, MSG_NOSIGNAL);

	assert_true(n == (ssize_t)len || (n < 0 && (errno == EPIPE || errno == ECONNRESET))); /* a client may leave */
}

bool peer_dribble(struct peer *peer)
{
	if (peer->queued_sent == peer->queued_len)
		return false;
	assert_int_equal(
		send(peer->queued_for[peer->queued_sent]->fd, &peer->queued[peer->queued_sent], 1, MSG_NOSIGNAL), 1);
	peer->queued_sent++;
	return true;
}

void peer_send(struct peer_link *link, uint16_t channel, amqp_method_number_t method, const void *fields)
{
	uint8_t out[4096];
	amqp_bytes_t bytes = { sizeof out - 20, out + 11 };
	int used = amqp_encode_method(method, (void *)(uintptr_t)fields, bytes);

	assert_true(used >= 0);
	posta__amqp_put32(out + 7, method);
	posta__amqp_frame_close(out, AMQP_FRAME_METHOD, channel, (uint32_t)used + 4);
	peer_send_raw(link, out, (size_t)used + 12);
}

void peer_send_content(struct peer_link *link, uint16_t channel, const void *properties, size_t properties_len,
		       const char *body, size_t body_len)
{
	uint8_t out[4096] = { 0 };

	posta__amqp_put16(out + 7, AMQP_BASIC_CLASS);
	posta__amqp_put32(out + 15, (uint32_t)body_len);
	memcpy(out + 19, properties, properties_len);
	posta__amqp_frame_close(out, AMQP_FRAME_HEADER, channel, (uint32_t)properties_len + 12);
	peer_send_raw(link, out, properties_len + 20);
	if (!body)
		return;
	memcpy(out + 7, body, body_len);
	posta__amqp_frame_close(out, AMQP_FRAME_BODY, channel, (uint32_t)body_len);
	peer_send_raw(link, out, body_len + 8);
}

void peer_deliver(struct peer_link *link, uint64_t tag, const char *body)
{
	amqp_basic_deliver_t deliver = { .consumer_tag = amqp_cstring_bytes(link->consumer_tag),
					 .delivery_tag = tag,
					 .routing_key = amqp_cstring_bytes("q") };
	static const uint8_t none[2] = { 0, 0 };

	peer_send(link, link->consumer_channel, AMQP_BASIC_DELIVER_METHOD, &deliver);
	if (body)
		peer_send_content(link, link->consumer_channel, none, 2, body, strlen(body));
}

static void send_start(struct peer_link *link)
{
	static uint8_t nested[200000];
	amqp_connection_start_t start = { .version_minor = 9,
					  .mechanisms = amqp_cstring_bytes("PLAIN"),
					  .locales = amqp_cstring_bytes("en_US") };
	unsigned depth = link->peer->nesting;

	if (!depth) {
		peer_send(link, 0, AMQP_CONNECTION_START_METHOD, &start);
		return;
	}
	uint8_t *at = nested + 7;

	posta__amqp_put32(at, AMQP_CONNECTION_START_METHOD);
	at += 6;
	for (unsigned i = depth; i; i--) {
		posta__amqp_put32(at, 6 * (i - 1));
		at += 4;
		if (i > 1) {
			*at++ = 0;
			*at++ = 'F';
		}
	}
	memcpy(at, "\0\0\0\5PLAIN\0\0\0\0", 13); /* mechanisms, locales */
	at += 13;
	posta__amqp_frame_close(nested, AMQP_FRAME_METHOD, 0, (uint32_t)(at - nested - 7));
	peer_send_raw(link, nested, (size_t)(at - nested) + 1);
}

static void note_ack(struct peer_link *link, uint64_t tag, bool multiple, bool nack, bool requeue)
{
	assert_true(link->ack_count < PEER_SEEN_MAX);
	link->acks[link->ack_count].tag = tag;
	link->acks[link->ack_count].multiple = multiple;
	link->acks[link->ack_count].nack = nack;
	link->acks[link->ack_count++].requeue = requeue;
}

static void answer_connection(struct peer_link *link, amqp_method_number_t method,
			      const struct posta__amqp_frame *frame)
{
	static const amqp_connection_open_ok_t open_ok = { { 0, NULL } };
	static const amqp_connection_close_ok_t close_ok = { 0 };
	amqp_connection_tune_t tune = { 2047, 131072, link->peer->heartbeat };

	if (method == AMQP_CONNECTION_START_OK_METHOD) {
		link->consumes = memmem(frame->payload, frame->size, "(consume)", 9) != NULL;
		*(link->consumes ? &link->peer->consuming : &link->peer->publishing) = link;
		peer_send(link, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	} else if (method == AMQP_CONNECTION_OPEN_METHOD) {
		link->open = true;
		peer_send(link, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &open_ok);
	} else if (method == AMQP_CONNECTION_CLOSE_METHOD) {
		peer_send(link, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok);
	}
}

static void answer_consume(struct peer_link *link, uint16_t channel, const amqp_basic_consume_t *consume)
{
	amqp_basic_consume_ok_t ok = { consume->consumer_tag };

	link->consumer_channel = channel;
	snprintf(link->consumer_tag, sizeof link->consumer_tag, "%.*s", (int)consume->consumer_tag.len,
		 (char *)consume->consumer_tag.bytes);
	peer_send(link, channel, AMQP_BASIC_CONSUME_OK_METHOD, &ok);
}

static void answer_channel(struct peer_link *link, uint16_t channel, amqp_method_number_t method, const void *decoded)
{
	static const amqp_channel_open_ok_t open_ok = { { 0, NULL } };
	static const amqp_channel_close_ok_t close_ok = { 0 };
	static const amqp_confirm_select_ok_t select_ok = { 0 };
	static const amqp_queue_declare_ok_t declare_ok = { { 0, NULL }, 0, 0 };
	static const amqp_basic_qos_ok_t qos_ok = { 0 };
	const amqp_basic_ack_t *ack = decoded;
	const amqp_basic_nack_t *nack = decoded;

	if (method == AMQP_CHANNEL_OPEN_METHOD)
		peer_send(link, channel, AMQP_CHANNEL_OPEN_OK_METHOD, &open_ok);
	else if (method == AMQP_CHANNEL_CLOSE_METHOD)
		peer_send(link, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
	else if (method == AMQP_CONFIRM_SELECT_METHOD)
		peer_send(link, channel, AMQP_CONFIRM_SELECT_OK_METHOD, &select_ok);
	else if (method == AMQP_QUEUE_DECLARE_METHOD)
		peer_send(link, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &declare_ok);
	else if (method == AMQP_BASIC_QOS_METHOD)
		peer_send(link, channel, AMQP_BASIC_QOS_OK_METHOD, &qos_ok);
	else if (method == AMQP_BASIC_CONSUME_METHOD)
		answer_consume(link, channel, decoded);
	else if (method == AMQP_BASIC_CANCEL_METHOD)
		peer_send(link, channel, AMQP_BASIC_CANCEL_OK_METHOD, decoded);
	else if (method == AMQP_BASIC_ACK_METHOD)
		note_ack(link, ack->delivery_tag, ack->multiple, false, false);
	else if (method == AMQP_BASIC_NACK_METHOD)
		note_ack(link, nack->delivery_tag, nack->multiple, true, nack->requeue);
	else if (method == AMQP_BASIC_PUBLISH_METHOD)
		link->publishes++;
}

static void take_frame(struct peer_link *link, const struct posta__amqp_frame *frame)
{
	amqp_pool_t pool;
	void *decoded = NULL;

	link->heartbeats += frame->type == AMQP_FRAME_HEARTBEAT;
	if (frame->type == AMQP_FRAME_BODY) {
		link->body_bytes += frame->size;
		snprintf(link->bodies[link->publishes - 1], 16, "%.*s", (int)(frame->size < 15 ? frame->size : 15),
			 (const char *)frame->payload);
	}
	if (frame->type != AMQP_FRAME_METHOD)
		return;
	amqp_method_number_t method = posta__amqp_get32(frame->payload);

	init_amqp_pool(&pool, 4096);
	assert_true(amqp_decode_method(method, &pool,
				       (amqp_bytes_t){ frame->size - 4, (void *)(uintptr_t)(frame->payload + 4) },
				       &decoded) >= 0);
	if (frame->channel == 0)
		answer_connection(link, method, frame);
	else
		answer_channel(link, frame->channel, method, decoded);
	empty_amqp_pool(&pool);
}

static void take_bytes(struct peer_link *link)
{
	static const struct posta__amqp_limits limits = { 131072, 2047 };
	struct posta__amqp_frame frame;
	const char *why;
	size_t used = 0;

	if (link->in_len >= 8 && memcmp(link->in, "AMQP", 4) == 0) {
		used = 8;
		if (link->peer->greeting)
			peer_send_raw(link, link->peer->greeting, link->peer->greeting_len);
		else
			send_start(link);
	}
	while (posta__amqp_frame_cut(link->in + used, link->in_len - used, &limits, &frame, &why) ==
	       POSTA__AMQP_CUT_FRAME) {
		take_frame(link, &frame);
		used += frame.size + POSTA__AMQP_FRAME_OVERHEAD;
	}
	memmove(link->in, link->in + used, link->in_len - used);
	link->in_len -= used;
}

static void on_link(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct peer_link *link = io->data;
	ssize_t n = link->peer->deaf ? -1 : recv(link->fd, link->in + link->in_len, sizeof link->in - link->in_len, 0);

	if (n <= 0) {
		ev_io_stop(loop, io);
		return;
	}
	link->in_len += (size_t)n;
	if (!link->peer->mute)
		take_bytes(link);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct peer *peer = io->data;
	struct peer_link *link = calloc(1, sizeof *link);

	assert_non_null(link);
	assert_true(peer->link_count < 8);
	link->fd = accept4(peer->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(link->fd >= 0);
	link->peer = peer;
	peer->links[peer->link_count++] = link;
	ev_io_init(&link->io, on_link, link->fd, EV_READ);
	link->io.data = link;
	ev_io_start(loop, &link->io);
}

struct peer *peer_new(struct ev_loop *loop)
{
	struct peer *peer = calloc(1, sizeof *peer);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	assert_non_null(peer);
	peer->loop = loop;
	peer->heartbeat = 60;
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(peer->fd, 8), 0);
	assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &size), 0);
	peer->port = ntohs(address.sin_port);
	ev_io_init(&peer->io, on_accept, peer->fd, EV_READ);
	peer->io.data = peer;
	ev_io_start(loop, &peer->io);
	return peer;
}

void peer_free(struct peer *peer)
{
	ev_io_stop(peer->loop, &peer->io);
	close(peer->fd);
	for (int i = 0; i < peer->link_count; i++) {
		ev_io_stop(peer->loop, &peer->links[i]->io);
		close(peer->links[i]->fd);
		free(peer->links[i]);
	}
	free(peer);
}
