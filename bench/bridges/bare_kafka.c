/* SPDX-License-Identifier: MIT */
/*
 * librdkafka by its own rules: producev and a poll loop with callbacks; consumer_poll, or consume_batch_queue. The
 * settings are posta's.
 */
#include "bridges.h"

#include "bridges/kafka.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wgnu-statement-expression"
#endif

#define BATCH 1000

static uint64_t confirmed;

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void)rk, (void)opaque;
	if (message->err)
		bench_give_up("kafka", rd_kafka_err2str(message->err));
	confirmed++;
}

static rd_kafka_conf_t *conf_of(const struct job *job, enum posta__kafka_role role)
{
	static const char *const no_linger[] = { "linger.ms", "0", NULL };
	struct posta_bridge_options options = { .size = sizeof options };
	struct posta_error error = { 0 };
	if (role == POSTA__KAFKA_PRODUCER && strcmp(job->what->metric, "latency") == 0)
		options.extra = no_linger;
	rd_kafka_conf_t *conf = posta__kafka_conf(job->url, &options, role, &error);
	if (!conf)
		bench_give_up("kafka", error.text);
	return conf;
}

static rd_kafka_t *producer(const struct job *job)
{
	char words[256];
	rd_kafka_conf_t *conf = conf_of(job, POSTA__KAFKA_PRODUCER);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
	if (!rk)
		bench_give_up("kafka", words);
	return rk;
}

static void produce_one(rd_kafka_t *rk, const struct job *job, void *body)
{
	rd_kafka_resp_err_t err;
	while ((err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(job->name), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					RD_KAFKA_V_VALUE(body, job->what->size), RD_KAFKA_V_END)) ==
	       RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_poll(rk, 10);
	if (err)
		bench_give_up("kafka", rd_kafka_err2str(err));
}

static void produce(rd_kafka_t *rk, const struct job *job, uint64_t count)
{
	char body[SIZE_MAX_];
	memset(body, 'x', sizeof body);
	confirmed = 0;
	for (uint64_t sent = 0; confirmed < count;) {
		while (sent < count && sent - confirmed < job->what->window) {
			produce_one(rk, job, body);
			if (++sent % BATCH == 0)
				rd_kafka_poll(rk, 0);
		}
		rd_kafka_poll(rk, 100);
	}
}

void bare_kafka_produce(struct job *job)
{
	rd_kafka_t *rk = producer(job);
	produce(rk, job, WARM_UP);
	bench_begin(job);
	produce(rk, job, job->what->messages);
	bench_end(job, job->what->messages);
}

void fill_kafka(struct job *job)
{
	struct bench_case fill = *job->what;
	job->lap->ok = true;
	if (job->run) /* each run reads it anew, in a group of its own */
		return;
	fill.window = 50000;
	job->what = &fill;
	produce(producer(job), job, fill.messages);
}

static rd_kafka_t *consumer(const struct job *job)
{
	char words[256];
	rd_kafka_conf_t *conf = conf_of(job, POSTA__KAFKA_CONSUMER);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_set(conf, "group.id", job->group, words, sizeof words);
	rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", words, sizeof words);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
	if (!rk)
		bench_give_up("kafka", words);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(topics, job->name, RD_KAFKA_PARTITION_UA);
	if (rd_kafka_subscribe(rk, topics))
		bench_give_up("kafka", "subscribe failed");
	rd_kafka_topic_partition_list_destroy(topics);
	return rk;
}

/* As every guide has it; each message is done with when its offset is stored. */
void bare_kafka_consume(struct job *job)
{
	rd_kafka_t *rk = consumer(job);
	for (uint64_t got = 0; got < job->what->messages;) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1000);
		if (!message)
			continue;
		if (!message->err) {
			bench_look(job, message->payload, message->len);
			if (!got++)
				bench_begin(job);
			rd_kafka_offset_store(message->rkt, message->partition, message->offset);
		}
		rd_kafka_message_destroy(message);
	}
	bench_end(job, job->what->messages - 1);
}

/* The least that can be done: many at once, of which only the last is stored. */
void bare_kafka_batches(struct job *job)
{
	rd_kafka_t *rk = consumer(job);
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
	rd_kafka_message_t *batch[BATCH];
	for (uint64_t got = 0; got < job->what->messages;) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 1000, batch, BATCH);
		for (ssize_t i = 0; i < n; i++) {
			if (!batch[i]->err)
				bench_look(job, batch[i]->payload, batch[i]->len);
			if (!batch[i]->err && !got++)
				bench_begin(job);
			if (!batch[i]->err && i == n - 1)
				rd_kafka_offset_store(batch[i]->rkt, batch[i]->partition, batch[i]->offset);
			rd_kafka_message_destroy(batch[i]);
		}
	}
	bench_end(job, job->what->messages - 1);
}

struct pacer {
	const struct job *job;
	rd_kafka_t *rk;
};

static void *publish_paced(void *argument)
{
	const struct pacer *pacer = argument;
	char body[SIZE_MAX_] = "";
	uint64_t at = 0;
	for (;;) {
		uint64_t stamp = bench_tick(&at);
		memcpy(body, &stamp, sizeof stamp);
		produce_one(pacer->rk, pacer->job, body);
		rd_kafka_poll(pacer->rk, 0);
	}
	return NULL;
}

static bool assigned(rd_kafka_t *rk)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	rd_kafka_assignment(rk, &list);
	bool some = list && list->cnt;
	if (list)
		rd_kafka_topic_partition_list_destroy(list);
	return some;
}

void bare_kafka_latency(struct job *job)
{
	static struct samples samples;
	struct pacer pacer = { job, producer(job) };
	pthread_t thread;
	bool started = false, over = false;
	produce(pacer.rk, job, 1); /* the topic is there */
	rd_kafka_t *rk = consumer(job);
	while (!over) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
		uint64_t stamp;
		if (!started && assigned(rk))
			started = !pthread_create(&thread, NULL, publish_paced, &pacer);
		if (!message)
			continue;
		if (!message->err && started) {
			memcpy(&stamp, message->payload, sizeof stamp);
			over = bench_sample(&samples, stamp);
		}
		rd_kafka_message_destroy(message);
	}
	bench_summary(job, &samples);
	bench_end(job, samples.count);
}
