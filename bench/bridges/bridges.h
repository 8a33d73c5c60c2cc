/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BENCH_BRIDGES_H
#define POSTA_BENCH_BRIDGES_H

/*
 * Each case is run twice a round against the same real broker: by a bare loop on the client library and by posta's
 * bridge, with the same settings, the same bytes on the wire and the same number of messages in flight. Every run is a
 * process of its own, so that its CPU time and memory are the client's alone.
 */

#include "brokers.h"

#include <posta/posta.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WARM_UP 100u
#define SIZE_MAX_ 1024u
#define SAMPLES_MAX 5000u

/* What a run tells. */
struct lap {
	uint64_t messages;
	double wall_s, cpu_s;
	double p50_us, p99_us; /* latency cases */
	double grown_mib;      /* memory cases */
	_Atomic(bool) fed;     /* the feeder has published all */
	bool ok;
};

struct job {
	const struct bench_case *what;
	const char *url;
	int port;
	const char *name; /* topic or queue; of the case, or of the run with run_names */
	const char *group;
	unsigned run;
	int go; /* a byte written here starts the feeder */
	struct lap *lap;
};

typedef void bench_side(struct job *job);

struct bench_case {
	const char *name;
	enum kit_kind broker;
	uint32_t messages;
	uint32_t size;
	int qos; /* MQTT */
	uint32_t window;
	uint32_t batch;      /* AMQP: bare waits for the confirms of so many; 0: it has a window, too */
	bool run_names;      /* every run has a topic or queue of its own */
	bench_side *prepare; /* before each run, in a process of its own */
	bench_side *feed;    /* beside the run, in a process of its own, from bench_go() on */
	bench_side *bare, *ours;
	const char *metric; /* "throughput", "latency", "memory" */
};

extern const struct bench_case bench_cases[];
extern const unsigned bench_case_count;

/* -- lap.c -- */

uint64_t bench_now_ns(void);
/* Sleeps until a millisecond after *at (0: from now on), which is kept; without drift. Returns: the time then. */
uint64_t bench_tick(uint64_t *at);
/* The messages after it are counted, and the process's CPU time from it on. */
void bench_begin(struct job *job);
void bench_end(struct job *job, uint64_t messages);
void bench_go(const struct job *job);
/* Whoever consumes looks at what came: it is whole. */
void bench_look(const struct job *job, const void *body, size_t len);
/* One line on stderr, and the run has failed. */
_Noreturn void bench_give_up(const char *what, const char *why);
/* A process for it. Returns: what it told; ok is false when it failed. */
struct lap bench_fork(struct job *job, bench_side *side, bench_side *feed);

struct samples {
	uint32_t count, skipped;
	double us[SAMPLES_MAX];
};
/* A message made at stamp_ns has arrived. Returns: whether that was the last one needed. */
bool bench_sample(struct samples *samples, uint64_t stamp_ns);
void bench_summary(struct job *job, struct samples *samples);
double bench_rss_mib(void);

/* -- Sides -- */

bench_side bare_kafka_produce, bare_kafka_consume, bare_kafka_batches, bare_kafka_latency, fill_kafka;
bench_side bare_mqtt_publish, bare_mqtt_subscribe, bare_mqtt_latency, feed_mqtt;
bench_side bare_amqp_publish, bare_amqp_consume, bare_amqp_latency, fill_amqp;
bench_side ours_publish, ours_consume, ours_latency, ours_memory;

#endif
