/* SPDX-License-Identifier: MIT */
/* rabbitmq-c by its ordinary calls: amqp_basic_publish with confirm.select; amqp_consume_message and amqp_basic_ack. */
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

/* What came of confirmations; waits for the first one if told so. Returns: how many. */
static uint64_t take_confirms(amqp_connection_state_t connection, bool wait, uint64_t *last)
{
	struct timeval none = { 0, 0 }, long_time = { 30, 0 };
	uint64_t before = *last;
	amqp_frame_t frame;
	while (amqp_simple_wait_frame_noblock(connection, &frame, wait ? &long_time : &none) == AMQP_STATUS_OK) {
		wait = false;
		amqp_maybe_release_buffers(connection);
		if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
			bench_give_up("amqp", "something else than a confirmation");
		uint64_t tag = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
		*last = tag > *last ? tag : *last;
	}
	return *last - before;
}

static void publish_one(amqp_connection_state_t connection, const struct job *job, void *body)
{
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2 };
	int rc = amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(job->name), 1, 0,
				    &properties, (amqp_bytes_t){ job->what->size, body });
	if (rc)
		bench_give_up("amqp", amqp_error_string2(rc));
}

/* RabbitMQ confirms single ones in order, and several at once by the last of them: the highest tag tells how many. */
static void publish(amqp_connection_state_t connection, const struct job *job, uint64_t count, uint64_t *last)
{
	char body[SIZE_MAX_];
	memset(body, 'x', sizeof body);
	for (uint64_t sent = 0, done = 0; done < count;) {
		while (sent < count && sent - done < job->what->window) {
			publish_one(connection, job, body);
			if (++sent % 64 == 0)
				done += take_confirms(connection, false, last);
		}
		done += take_confirms(connection, true, last);
	}
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
	uint64_t last = 0;
	char body[SIZE_MAX_] = "";
	amqp_confirm_select(connection, CHANNEL);
	for (;;) {
		const struct timespec pause = { .tv_nsec = 1000000 };
		nanosleep(&pause, NULL);
		uint64_t stamp = bench_now_ns();
		memcpy(body, &stamp, sizeof stamp);
		publish_one(connection, job, body);
		take_confirms(connection, false, &last);
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
