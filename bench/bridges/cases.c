/* SPDX-License-Identifier: MIT */
#include "bridges.h"

#define KAFKA_WINDOW 50000u
#define WINDOW 1000u

#define KAFKA_PRODUCE(bytes, count)                                                                                    \
	{                                                                                                              \
		.name = "kafka-produce-" #bytes, .broker = KIT_KAFKA, .messages = count, .size = bytes,                \
		.window = KAFKA_WINDOW, .run_names = true, .bare = bare_kafka_produce, .ours = ours_publish,           \
		.metric = "throughput",                                                                                \
	}
#define KAFKA_CONSUME(how, side, bytes, count)                                                                         \
	{                                                                                                              \
		.name = "kafka-" how "-" #bytes, .broker = KIT_KAFKA, .messages = count, .size = bytes,                \
		.window = KAFKA_WINDOW, .prepare = fill_kafka, .bare = side, .ours = ours_consume,                     \
		.metric = "throughput",                                                                                \
	}
#define MQTT_PUBLISH(level, count)                                                                                     \
	{                                                                                                              \
		.name = "mqtt-publish-qos" #level, .broker = KIT_MOSQUITTO, .messages = count, .size = 100,            \
		.qos = level, .window = WINDOW, .run_names = true, .bare = bare_mqtt_publish, .ours = ours_publish,    \
		.metric = "throughput",                                                                                \
	}
#define MQTT_SUBSCRIBE(level, count)                                                                                   \
	{                                                                                                              \
		.name = "mqtt-subscribe-qos" #level, .broker = KIT_MOSQUITTO, .messages = count, .size = 100,          \
		.qos = level, .window = WINDOW, .run_names = true, .feed = feed_mqtt, .bare = bare_mqtt_subscribe,     \
		.ours = ours_consume, .metric = "throughput",                                                          \
	}
#define AMQP_PUBLISH(how, bare_batch, count)                                                                           \
	{                                                                                                              \
		.name = "amqp-publish" how, .broker = KIT_RABBITMQ, .messages = count, .size = 100, .window = WINDOW,  \
		.batch = bare_batch, .run_names = true, .bare = bare_amqp_publish, .ours = ours_publish,               \
		.metric = "throughput",                                                                                \
	}
#define LATENCY(protocol, kind, side)                                                                                  \
	{                                                                                                              \
		.name = protocol "-latency", .broker = kind, .messages = SAMPLES_MAX, .size = 100, .qos = 1,           \
		.window = WINDOW, .run_names = true, .bare = side, .ours = ours_latency, .metric = "latency",          \
	}
#define MILLION 1000000u

const struct bench_case bench_cases[] = {
	KAFKA_PRODUCE(100, 500000),
	KAFKA_PRODUCE(1024, 200000),
	KAFKA_CONSUME("consume", bare_kafka_consume, 100, 2000000),
	KAFKA_CONSUME("consume", bare_kafka_consume, 1024, 600000),
	KAFKA_CONSUME("batches", bare_kafka_batches, 100, 2000000),
	KAFKA_CONSUME("batches", bare_kafka_batches, 1024, 600000),
	MQTT_PUBLISH(0, 400000),
	MQTT_PUBLISH(1, 150000),
	MQTT_SUBSCRIBE(0, 200000),
	MQTT_SUBSCRIBE(1, 100000),
	AMQP_PUBLISH("", 1, 20000),
	AMQP_PUBLISH("-batches", 100, 100000),
	AMQP_PUBLISH("-window", 0, 100000),
	{
		.name = "amqp-consume",
		.broker = KIT_RABBITMQ,
		.messages = 100000,
		.size = 100,
		.window = WINDOW,
		.run_names = true,
		.prepare = fill_amqp,
		.bare = bare_amqp_consume,
		.ours = ours_consume,
		.metric = "throughput",
	},
	LATENCY("kafka", KIT_KAFKA, bare_kafka_latency),
	LATENCY("mqtt", KIT_MOSQUITTO, bare_mqtt_latency),
	LATENCY("amqp", KIT_RABBITMQ, bare_amqp_latency),
	{
		.name = "kafka-sink-away",
		.broker = KIT_KAFKA,
		.messages = MILLION,
		.size = 100,
		.window = WINDOW,
		.prepare = fill_kafka,
		.ours = ours_memory,
		.metric = "memory",
	},
	{
		.name = "mqtt-sink-away",
		.broker = KIT_MOSQUITTO,
		.messages = MILLION,
		.size = 100,
		.qos = 1,
		.window = WINDOW,
		.run_names = true,
		.feed = feed_mqtt,
		.ours = ours_memory,
		.metric = "memory",
	},
	{
		.name = "amqp-sink-away",
		.broker = KIT_RABBITMQ,
		.messages = MILLION,
		.size = 100,
		.window = WINDOW,
		.run_names = true,
		.prepare = fill_amqp,
		.ours = ours_memory,
		.metric = "memory",
	},
};
const unsigned bench_case_count = sizeof bench_cases / sizeof bench_cases[0];
