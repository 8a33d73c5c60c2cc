/* SPDX-License-Identifier: MIT */
/*
 * rabbitmq-c by its ordinary calls: amqp_basic_publish with confirm.select; amqp_consume_message and amqp_basic_ack.
 *
 * The library has nothing for confirms. Its author tells whoever asks to wait for basic.ack after each publication
 * (rabbitmq-c, issue 766), as his SimpleAmqpClient does; RabbitMQ's guide lets blocking clients wait after each batch,
 * of 100 in its tutorial. A window of publications in flight, with the accounting that it takes, is what a user could
 * write for himself.
 */
#include "bridges.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define CHANNEL 1
#define EAGER 64 /* publications between two looks at the socket */
#define WAIT_S 30

static amqp_connection_state_t open_connection(const struct job *job)
{
	amqp_connection_state_t connection = amqp_new_connection();
	amqp_socket_t *sock = amqp_tcp_socket_new(connection);
	if (!sock || amqp_socket_open(sock, "127.0.0.1", job->port))
		bench_give_up("amqp", "no connection");
	if (amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type !=
	    AMQP_RESPONSE_NORMAL)
		bench_give_up("amqp", "no login");
	amqp_channel_open(connection, CHANNEL);
	amqp_queue_declare(connection, CHANNEL, amqp_cstring_bytes(job->name), 0, 1, 0, 0, amqp_empty_table);
	if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL)
		bench_give_up("amqp", "the queue was refused");
	return connection;
}

/* One confirmation. Returns: whether there was one in that time. */
static bool take_confirm(amqp_connection_state_t connection, time_t wait_s, uint64_t *last)
{
	const struct timeval wait = { wait_s, 0 };
	amqp_frame_t frame;
	if (amqp_simple_wait_frame_noblock(connection, &frame, &wait) != AMQP_STATUS_OK)
		return false;
	amqp_maybe_release_buffers(connection);
	if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		bench_give_up("amqp", "something else than a confirmation");
	uint64_t tag = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
	*last = tag > *last ? tag : *last;
	return true;
}

static void publish_one(amqp_connection_state_t connection, const struct job *job, void *body)
{
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2 };
	int rc = amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(job->name), 1, 0,
				    &properties, (amqp_bytes_t){ job->what->size, body });
	if (rc)
		bench_give_up("amqp", amqp_error_string2(rc));
}

/* A batch, and then until it is confirmed. Its tags end at last + so many. */
static void publish_batch(amqp_connection_state_t connection, const struct job *job, void *body, uint64_t count,
			  uint64_t *last)
{
	uint64_t end = *last + count;
	for (uint64_t i = 0; i < count; i++)
		publish_one(connection, job, body);
	while (*last < end)
		if (!take_confirm(connection, WAIT_S, last))
			bench_give_up("amqp", "no confirmation");
}

/* As many in flight as ours has. The socket is looked at now and then, and waited for when the window is full. */
static void publish_window(amqp_connection_state_t connection, const struct job *job, void *body, uint64_t count,
			   uint64_t *last)
{
	uint64_t sent = *last, end = *last + count;
	while (*last < end) {
		while (sent < end && sent - *last < job->what->window) {
			publish_one(connection, job, body);
			sent++;
			while (sent % EAGER == 0 && take_confirm(connection, 0, last))
				;
		}
		time_t wait_s = WAIT_S;
		while (take_confirm(connection, wait_s, last))
			wait_s = 0;
	}
}

/* RabbitMQ confirms single ones in order, and several at once by the last of them: the highest tag tells how many. */
static void publish(amqp_connection_state_t connection, const struct job *job, uint64_t count, uint64_t *last)
{
	uint64_t end = *last + count, batch = job->what->batch;
	char body[SIZE_MAX_];
	memset(body, 'x', sizeof body);
	if (!batch)
		publish_window(connection, job, body, count, last);
	while (*last < end)
		publish_batch(connection, job, body, end - *last < batch ? end - *last : batch, last);
}

static void delete_queue(amqp_connection_state_t connection, const struct job *job)
{
	amqp_queue_delete(connection, CHANNEL, amqp_cstring_bytes(job->name), 0, 0);
}

void bare_amqp_publish(struct job *job)
{
	amqp_connection_state_t connection = open_connection(job);
	uint64_t last = 0;
	amqp_confirm_select(connection, CHANNEL);
	publish(connection, job, WARM_UP, &last);
	bench_begin(job);
	publish(connection, job, job->what->messages, &last);
	bench_end(job, job->what->messages);
	delete_queue(connection, job);
}

void fill_amqp(struct job *job)
{
	amqp_connection_state_t connection = open_connection(job);
	uint64_t last = 0;
	amqp_confirm_select(connection, CHANNEL);
	publish(connection, job, job->what->messages, &last);
	job->lap->ok = true;
}

static void consume(amqp_connection_state_t connection, const struct job *job)
{
	amqp_basic_qos(connection, CHANNEL, 0, (uint16_t)job->what->window, 0);
	amqp_basic_consume(connection, CHANNEL, amqp_cstring_bytes(job->name), amqp_empty_bytes, 0, 0, 0,
			   amqp_empty_table);
	if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL)
		bench_give_up("amqp", "basic.consume was refused");
}

static void take_one(amqp_connection_state_t connection, amqp_envelope_t *envelope)
{
	amqp_maybe_release_buffers(connection);
	if (amqp_consume_message(connection, envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL)
		bench_give_up("amqp", "no delivery");
	amqp_basic_ack(connection, CHANNEL, envelope->delivery_tag, 0);
}

void bare_amqp_consume(struct job *job)
{
	amqp_connection_state_t connection = open_connection(job);
	amqp_envelope_t envelope;
	consume(connection, job);
	for (uint64_t got = 0; got < job->what->messages; got++) {
		take_one(connection, &envelope);
		bench_look(job, envelope.message.body.bytes, envelope.message.body.len);
		amqp_destroy_envelope(&envelope);
		if (!got)
			bench_begin(job);
	}
	bench_end(job, job->what->messages - 1);
	delete_queue(connection, job);
}

static void *publish_paced(void *argument)
{
	struct job *job = argument;
	amqp_connection_state_t connection = open_connection(job);
	uint64_t at = 0, last = 0;
	char body[SIZE_MAX_] = "";
	amqp_confirm_select(connection, CHANNEL);
	for (;;) {
		uint64_t stamp = bench_tick(&at);
		memcpy(body, &stamp, sizeof stamp);
		publish_one(connection, job, body);
		while (take_confirm(connection, 0, &last))
			;
	}
	return NULL;
}

void bare_amqp_latency(struct job *job)
{
	static struct samples samples;
	amqp_connection_state_t connection = open_connection(job);
	amqp_envelope_t envelope;
	pthread_t thread;
	bool over = false;
	consume(connection, job);
	pthread_create(&thread, NULL, publish_paced, job);
	while (!over) {
		uint64_t stamp;
		take_one(connection, &envelope);
		memcpy(&stamp, envelope.message.body.bytes, sizeof stamp);
		over = bench_sample(&samples, stamp);
		amqp_destroy_envelope(&envelope);
	}
	bench_summary(job, &samples);
	bench_end(job, samples.count);
}
