/* SPDX-License-Identifier: MIT */
#ifndef POSTA_MESSAGING_H
#define POSTA_MESSAGING_H

/*
 * All of it by one call: an actor system, supervised bridges to Kafka, RabbitMQ and MQTT, and the three services under
 * a supervisor. A broker that is down does not stop the rest: its bridge tries again with back-off, for ever.
 *
 * Where a broker is: the option, else the environment (KAFKA_BROKERS, RABBITMQ_URL, MQTT_BROKER_URL), else the embedded
 * broker "memory:", so that a program runs on a machine without any server. use_local_brokers makes localhost at the
 * usual ports the last resort instead. KAFKA_CLIENT_ID, MQTT_CLIENT_ID and DEBUG are read too. An MQTT client id gets a
 * suffix per instance, for two clients of one id evict each other; fixed_client_id leaves it as it is. Thread: any.
 */

#include <posta/event_bus.h>
#include <posta/log.h>
#include <posta/system.h>
#include <posta/task_queue.h>
#include <posta/telemetry.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_messaging;

struct posta_messaging_options {
	size_t size;
	struct posta_system
		*system; /* the caller's, also a host-driven one; it must outlive this. NULL: a system of its own */
	int workers;     /* of its own system; 0: one per CPU */
	const char *kafka_brokers;   /* "h:p,h:p", kafka://…, memory: */
	const char *rabbitmq_url;    /* amqp://…, memory: */
	const char *mqtt_broker_url; /* mqtt://…, memory: */
	bool use_local_brokers;      /* instead of memory: where nothing is said */
	const char *kafka_client_id;
	const char *mqtt_client_id;
	bool fixed_client_id;
	const struct posta_bridge_options *kafka; /* the rest of a connection: name and client_id are set here */
	const struct posta_bridge_options *rabbitmq;
	const struct posta_bridge_options *mqtt;
	const char *service_name; /* Last Will: servicios/health/<service_name> says unhealthy when the process dies */
	uint32_t metric_buffer_max;  /* 0: 100 */
	uint32_t in_flight_max;      /* unconfirmed publications a service takes. 0: 65,536 */
	bool strict_types;           /* events of unregistered types are refused */
	bool require_brokers;        /* start waits until all three are connected, or fails */
	uint64_t require_timeout_ms; /* 0: 10,000 */
	posta_log_fn *log;           /* of its own system */
	void *log_context;
	int log_level; /* enum posta_log_level; DEBUG raises it */
};

/*
 * options NULL: all by the environment. Thread: none of posta's own. Errors: EINVAL (a URL, by name), EUNSUPPORTED (a
 * bridge that this build lacks), ENOMEM; with require_brokers: ETIMEDOUT names the broker and its last error.
 */
enum posta_err posta_messaging_start(const struct posta_messaging_options *options, struct posta_messaging **messaging,
				     struct posta_error *error);

struct posta_messaging_report {
	uint64_t unsent;    /* publications without a confirmation: they ended with ECLOSED */
	uint64_t unsettled; /* deliveries in work: given back to their broker */
	uint64_t actors_left;
};
/*
 * Takes nothing new, finishes what is in work, waits for confirmations, ends the connections; at deadline_ms it gives
 * up. A second call and NULL are allowed and do nothing; one at a time. Thread: none of posta's own. report may be
 * NULL. Errors: ETIMEDOUT (what was left is in report), EWRONGTHREAD. Where a handler did not return, what it may still
 * look at is left alone for good, and publications on their way are not told their end.
 */
enum posta_err posta_messaging_stop(struct posta_messaging *messaging, uint64_t deadline_ms,
				    struct posta_messaging_report *report);
/* Frees it; stops it first if nobody did (5 s). NULL is allowed. */
void posta_messaging_free(struct posta_messaging *messaging);

/*
 * One for the process, started by the first call from the environment; concurrent first calls all wait for that one
 * start. Returns: borrowed; NULL with error. After posta_messaging_default_stop() the next call starts a new one.
 */
struct posta_messaging *posta_messaging_default(struct posta_error *error);
/* Stops and frees it, as posta_messaging_stop; nothing if there is none. */
enum posta_err posta_messaging_default_stop(uint64_t deadline_ms, struct posta_messaging_report *report);

/* Borrows: until posta_messaging_free(). */
struct posta_event_bus *posta_messaging_event_bus(struct posta_messaging *messaging);
struct posta_task_queue *posta_messaging_task_queue(struct posta_messaging *messaging);
struct posta_telemetry *posta_messaging_telemetry(struct posta_messaging *messaging);
struct posta_system *posta_messaging_system(struct posta_messaging *messaging);
enum posta_messaging_bridge { POSTA_MESSAGING_KAFKA, POSTA_MESSAGING_RABBITMQ, POSTA_MESSAGING_MQTT };
/* For actors that want more of a connection than its service gives. Borrows: until posta_messaging_stop(). */
struct posta_bridge *posta_messaging_bridge(struct posta_messaging *messaging, enum posta_messaging_bridge which);

/* {"eventBus": {...}, "messageQueue": {...}, "telemetry": {...}}. Returns: owned, free(); NULL when out of memory. */
char *posta_messaging_connection_status_json(struct posta_messaging *messaging);

#ifdef __cplusplus
}
#endif
#endif
