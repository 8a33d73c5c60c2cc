/* SPDX-License-Identifier: MIT */
/* libmosquitto with a loop of one's own: publish, and mosquitto_loop() whenever the window is full. */
#include "bridges.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EAGER 64 /* publications between two looks at the socket */

struct client {
	struct mosquitto *mosq;
	struct job *job;
	uint64_t answered, received;
	bool up, subscribed, over;
	struct samples *samples;
};

static void on_connect(struct mosquitto *mosq, void *context, int rc)
{
	(void)mosq;
	((struct client *)context)->up = !rc;
}

static void on_publish(struct mosquitto *mosq, void *context, int mid)
{
	(void)mosq, (void)mid;
	((struct client *)context)->answered++;
}

static void on_subscribe(struct mosquitto *mosq, void *context, int mid, int count, const int *granted)
{
	(void)mosq, (void)mid, (void)count, (void)granted;
	((struct client *)context)->subscribed = true;
}

static void loop(struct client *client, int timeout_ms)
{
	int rc = mosquitto_loop(client->mosq, timeout_ms, 1);
	if (rc)
		bench_give_up("mqtt", mosquitto_strerror(rc));
}

static void open_client(struct client *client, struct job *job)
{
	mosquitto_lib_init();
	client->job = job;
	client->mosq = mosquitto_new(NULL, true, client);
	mosquitto_int_option(client->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(client->mosq, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(client->mosq, MOSQ_OPT_SEND_MAXIMUM, 0);
	mosquitto_connect_callback_set(client->mosq, on_connect);
	mosquitto_publish_callback_set(client->mosq, on_publish);
	mosquitto_subscribe_callback_set(client->mosq, on_subscribe);
	if (mosquitto_connect(client->mosq, "127.0.0.1", job->port, 60))
		bench_give_up("mqtt", "no connection");
	while (!client->up)
		loop(client, 100);
}

static void publish_one(struct client *client, const void *body, int qos)
{
	int rc = mosquitto_publish(client->mosq, NULL, client->job->name, (int)client->job->what->size, body, qos,
				   false);
	if (rc)
		bench_give_up("mqtt", mosquitto_strerror(rc));
}

/* The last one at QoS 1: when that is answered the broker has had them all. */
static void publish(struct client *client, uint64_t count)
{
	const struct bench_case *what = client->job->what;
	char body[SIZE_MAX_];
	memset(body, 'x', sizeof body);
	client->answered = 0;
	for (uint64_t sent = 0; client->answered < count;) {
		for (int i = 0; i < EAGER && sent < count && sent - client->answered < what->window; i++)
			publish_one(client, body, ++sent == count ? 1 : what->qos);
		loop(client, sent < count && sent - client->answered < what->window ? 0 : 100);
	}
}

void bare_mqtt_publish(struct job *job)
{
	struct client client = { 0 };
	open_client(&client, job);
	publish(&client, WARM_UP);
	bench_begin(job);
	publish(&client, job->what->messages);
	bench_end(job, job->what->messages);
}

void feed_mqtt(struct job *job)
{
	struct client client = { 0 };
	open_client(&client, job);
	publish(&client, job->what->messages);
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message)
{
	(void)mosq;
	struct client *client = context;
	uint64_t stamp;
	if (!client->samples) {
		bench_look(client->job, message->payload, (size_t)message->payloadlen);
		if (!client->received++)
			bench_begin(client->job);
		return;
	}
	memcpy(&stamp, message->payload, sizeof stamp);
	client->over = bench_sample(client->samples, stamp);
}

static void subscribe(struct client *client)
{
	mosquitto_message_callback_set(client->mosq, on_message);
	mosquitto_subscribe(client->mosq, NULL, client->job->name, client->job->what->qos);
	while (!client->subscribed)
		loop(client, 100);
}

void bare_mqtt_subscribe(struct job *job)
{
	struct client client = { 0 };
	open_client(&client, job);
	subscribe(&client);
	bench_go(job);
	while (client.received < job->what->messages)
		loop(&client, 1000);
	bench_end(job, job->what->messages - 1);
}

static void *publish_paced(void *argument)
{
	struct client *client = argument;
	char body[SIZE_MAX_] = "";
	uint64_t at = 0;
	for (;;) {
		uint64_t stamp = bench_tick(&at);
		memcpy(body, &stamp, sizeof stamp);
		publish_one(client, body, client->job->what->qos);
		loop(client, 0);
	}
	return NULL;
}

void bare_mqtt_latency(struct job *job)
{
	static struct samples samples;
	struct client reader = { .samples = &samples }, writer = { 0 };
	pthread_t thread;
	open_client(&reader, job);
	subscribe(&reader);
	open_client(&writer, job);
	pthread_create(&thread, NULL, publish_paced, &writer);
	while (!reader.over)
		loop(&reader, 1000);
	bench_summary(job, &samples);
	bench_end(job, samples.count);
}
