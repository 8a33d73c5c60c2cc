/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_CHAOS_H
#define POSTA_TESTS_CHAOS_H

/*
 * Scenes of what goes wrong, on real brokers, and what came of it.
 *
 *   driver ──▶ source ──▶ posta run ──▶ sink ──▶ driver
 *
 * The driver is one actor in this process: it publishes numbers at each flow's source, and reads them at its sink.
 * Every number that it published must arrive: a number that does not is lost. It has a worker of its own (one, so that
 * all bridges share its loop); scenes run on the main thread, start and kill what they like, and look at the figures.
 */

#include "brokers.h"
#include "proxy.h"

#include <posta/bridge.h>
#include <posta/system.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHAOS_FLOWS_MAX 6
#define CHAOS_MOVERS_MAX 3
#define CHAOS_NUMBERS_MAX (1u << 21) /* of one flow */
#define CHAOS_BODY_BYTES 256
#define CHAOS_STALL_MS_MAX 50

struct chaos_flow {
	enum kit_kind from, to;
	char *from_name, *to_name;
	struct posta_route_target *target;
	uint32_t subscription, dead_subscription;
	bool subscribed;
	_Atomic unsigned published, confirmed, refused;
	_Atomic unsigned arrived, duplicates, dead, strangers;
	unsigned char *seen; /* by number: 0 no, 1 arrived, 2 as a dead letter */
};

/* A posta process that runs the routes. */
struct chaos_mover {
	pid_t pid; /* 0: none */
	char *client;
	char folder[64];
};

struct chaos {
	const char *name, *what;
	bool shortly;
	uint32_t heartbeat_ms; /* of all bridges; 0: the default */
	bool persistent;       /* Mosquitto saves each change */
	bool saved;            /* confirm_saved is on */
	bool all_proxied;      /* the driver goes through the proxies too */
	unsigned poison_every; /* each so many-th body is not what the route can read; 0: none */
	unsigned rate;         /* messages a second of each flow */
	int partitions;        /* of Kafka's topics */
	struct kit_broker *brokers[KIT_KIND_COUNT];
	struct kit_proxy *proxies[KIT_KIND_COUNT]; /* posta's way to them; NULL: direct */
	struct posta_system *system;
	struct posta_bridge *bridges[KIT_KIND_COUNT];
	struct chaos_flow flows[CHAOS_FLOWS_MAX];
	unsigned flow_count;
	char *group;
	struct chaos_mover movers[CHAOS_MOVERS_MAX];
	unsigned mover_count;
	posta_ref driver;
	_Atomic bool flowing;
	_Atomic unsigned subscribed; /* readers in force */
	/* The longest that the worker's loop did not come round, less what it waited for a CPU. */
	_Atomic uint64_t stall_us;
	_Atomic bool watching; /* stalls count */
	/* What is told in the end, beside the driver's figures. */
	unsigned kills;
	unsigned lost_by_broker; /* it had acknowledged them, which is proved */
	uint64_t mover_restarts;
	uint64_t started_ms;
	char trouble[512]; /* the first thing that went wrong, "" if none did */
	char more[1024];   /* further members of the JSON line, each with a comma before it */
};

typedef void chaos_scene(struct chaos *chaos);

/* -- scene.c: what scenes are made of */

/* Both directions between kind and each other one. */
void chaos_flows_of(struct chaos *chaos, enum kit_kind kind);
void chaos_flow(struct chaos *chaos, enum kit_kind from, enum kit_kind to);
/* Brokers that the flows need; proxied: posta goes through proxies (and to Kafka everybody). */
void chaos_brokers(struct chaos *chaos, bool proxied);
/* Of the broker, or of its proxy. */
void chaos_url(const struct chaos *chaos, enum kit_kind kind, bool proxied, char *url, size_t size);
/* Driver and movers, until all of them have subscribed; then messages flow. */
void chaos_begin(struct chaos *chaos, unsigned movers);
/* No more is published, all that was must arrive; movers and brokers end. */
void chaos_end(struct chaos *chaos);
/* Until so many more have arrived on each flow. False, with trouble, if they don't. */
bool chaos_moved(struct chaos *chaos, unsigned more, uint64_t timeout_ms);
/* Lets things go on. */
void chaos_pass(unsigned ms);
bool chaos_wait(struct chaos *chaos, bool (*done)(const struct chaos *chaos), uint64_t timeout_ms, const char *what);
/* SIGKILL at an arbitrary moment, without any courtesy, and start again. */
void chaos_kill_broker(struct chaos *chaos, enum kit_kind kind);
void chaos_trouble(struct chaos *chaos, const char *format, ...) __attribute__((format(printf, 2, 3)));
void chaos_tell(struct chaos *chaos, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t chaos_now_ms(void);
unsigned chaos_random(unsigned below);

/* -- tap.c */

struct chaos_tap;

/* Returns: owned. */
struct chaos_tap *chaos_tap_new(void);
void chaos_tap_free(struct chaos_tap *tap);
/* For kit_proxy_set_tap(). */
void chaos_tap_hear(void *context, unsigned number, bool from_broker, const void *bytes, size_t len);
/* Mosquitto has acknowledged it. When nothing goes through the proxy any more. */
bool chaos_tap_acknowledged(const struct chaos_tap *tap, unsigned flow, unsigned number);

/* -- driver.c */

void chaos_driver_start(struct chaos *chaos);
void chaos_driver_stop(struct chaos *chaos);

/* -- mover.c */

void chaos_mover_start(struct chaos *chaos, unsigned index);
void chaos_mover_kill(struct chaos *chaos, unsigned index);
/* SIGTERM, and waits; what it printed is added to the figures. */
void chaos_mover_end(struct chaos *chaos, unsigned index);
/* It has subscribed to all sources. */
bool chaos_mover_ready(struct chaos *chaos, unsigned index);
void chaos_mover_log(const struct chaos *chaos, unsigned index, char *tail, size_t size);
void chaos_mover_free(struct chaos_mover *mover);

extern const char *const chaos_kind_names[KIT_KIND_COUNT];

/* -- scenes_*.c */

chaos_scene chaos_kill_kafka, chaos_kill_rabbitmq, chaos_kill_mosquitto, chaos_kill_posta, chaos_puback_mosquitto;
chaos_scene chaos_freeze_kafka, chaos_freeze_rabbitmq, chaos_freeze_mosquitto, chaos_alarm_rabbitmq;
chaos_scene chaos_proxy_delay, chaos_proxy_throttle, chaos_proxy_hole, chaos_proxy_reset, chaos_proxy_half_close,
	chaos_proxy_cut, chaos_proxy_refuse;
chaos_scene chaos_rebalance, chaos_poison;
chaos_scene chaos_tls_expired, chaos_tls_wrong_host, chaos_tls_wrong_ca;

#endif
