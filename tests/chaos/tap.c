/* SPDX-License-Identifier: MIT */
/*
 * Listens at the proxy before Mosquitto: which number was published under which packet identifier, and which of them
 * the broker has acknowledged. Connections of both the driver and posta; a number of a flow goes to Mosquitto once.
 */
#include "chaos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 4096u
#define STREAM_MAX (1u << 20)
#define PUBLISH 3
#define PUBACK 4

struct stream {
	unsigned char *bytes;
	size_t len;
};

struct connection {
	struct stream streams[2]; /* from the client, from the broker */
	struct {
		unsigned flow, number;
	} * published; /* by packet identifier */
};

struct chaos_tap {
	struct connection connections[CONNECTIONS_MAX];
	unsigned char *acknowledged[CHAOS_FLOWS_MAX];
};

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct chaos_tap *chaos_tap_new(void)
{
	struct chaos_tap *tap = must(calloc(1, sizeof *tap));

	for (unsigned i = 0; i < CHAOS_FLOWS_MAX; i++)
		tap->acknowledged[i] = must(calloc(1, CHAOS_NUMBERS_MAX));
	return tap;
}

void chaos_tap_free(struct chaos_tap *tap)
{
	for (unsigned i = 0; tap && i < CONNECTIONS_MAX; i++) {
		free(tap->connections[i].published);
		free(tap->connections[i].streams[0].bytes);
		free(tap->connections[i].streams[1].bytes);
	}
	for (unsigned i = 0; tap && i < CHAOS_FLOWS_MAX; i++)
		free(tap->acknowledged[i]);
	free(tap);
}

bool chaos_tap_acknowledged(const struct chaos_tap *tap, unsigned flow, unsigned number)
{
	return tap->acknowledged[flow][number];
}

/* QoS 1: the topic, the identifier, properties, and the body, in which the number is. */
static void on_publish(struct connection *connection, const unsigned char *packet, size_t len)
{
	static const char mark[] = "{\"flow\":";
	size_t topic = len >= 2 ? (size_t)packet[0] << 8 | packet[1] : len;
	unsigned flow, number;

	if (topic + 4 > len)
		return;
	const char *body = memmem(packet + topic + 4, len - topic - 4, mark, sizeof mark - 1);
	if (!body || sscanf(body, "{\"flow\":%u,\"number\":%u", &flow, &number) != 2 || flow >= CHAOS_FLOWS_MAX)
		return;
	if (!connection->published)
		connection->published = must(calloc(65536, sizeof *connection->published));
	unsigned id = (unsigned)packet[topic + 2] << 8 | packet[topic + 3];
	connection->published[id].flow = flow + 1;
	connection->published[id].number = number;
}

static void on_puback(struct chaos_tap *tap, const struct connection *connection, const unsigned char *packet,
		      size_t len)
{
	unsigned id = len >= 2 ? (unsigned)packet[0] << 8 | packet[1] : 0;
	bool accepted = len < 3 || packet[2] < 0x80;

	if (accepted && connection->published && connection->published[id].flow)
		tap->acknowledged[connection->published[id].flow - 1][connection->published[id].number] = 1;
}

/* One whole packet at the front. Returns: its bytes; 0: not whole yet. */
static size_t one_packet(struct chaos_tap *tap, struct connection *connection, bool from_broker,
			 const struct stream *stream)
{
	size_t len = 0, at = 1;
	unsigned shift = 0;

	do {
		if (at >= stream->len || shift > 21)
			return 0;
		len |= (size_t)(stream->bytes[at] & 0x7F) << shift;
		shift += 7;
	} while (stream->bytes[at++] & 0x80);
	if (at + len > stream->len)
		return 0;
	if (!from_broker && stream->bytes[0] >> 4 == PUBLISH && stream->bytes[0] & 0x06)
		on_publish(connection, stream->bytes + at, len);
	if (from_broker && stream->bytes[0] >> 4 == PUBACK)
		on_puback(tap, connection, stream->bytes + at, len);
	return at + len;
}

void chaos_tap_hear(void *context, unsigned number, bool from_broker, const void *bytes, size_t len)
{
	struct chaos_tap *tap = context;
	struct connection *connection = &tap->connections[number % CONNECTIONS_MAX];
	struct stream *stream = &connection->streams[from_broker];
	size_t done = 0, n;

	if (!stream->bytes)
		stream->bytes = must(malloc(STREAM_MAX));
	if (stream->len + len > STREAM_MAX)
		abort();
	memcpy(stream->bytes + stream->len, bytes, len);
	stream->len += len;
	do {
		struct stream rest = { stream->bytes + done, stream->len - done };

		n = rest.len ? one_packet(tap, connection, from_broker, &rest) : 0;
		done += n;
	} while (n);
	memmove(stream->bytes, stream->bytes + done, stream->len - done);
	stream->len -= done;
}
