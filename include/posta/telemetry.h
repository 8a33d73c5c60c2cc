/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TELEMETRY_H
#define POSTA_TELEMETRY_H

/*
 * Telemetry over MQTT (or any bridge with topics and filters): health, API and free metrics, each a JSON object with a
 * "timestamp". While the broker is away the last metrics wait in a ring (100 unless the options say otherwise): a new
 * one pushes the oldest out, which ends with EFULL and is counted. Thread: any.
 */

#include <posta/service.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_telemetry;

enum posta_health { POSTA_HEALTHY, POSTA_DEGRADED, POSTA_UNHEALTHY };

/* Retained on servicios/health/<service>: {"service", "status": "healthy" | "degraded" | "unhealthy", "timestamp"}. */
enum posta_err posta_telemetry_publish_health(struct posta_telemetry *telemetry, const char *service,
					      enum posta_health health, posta_done_fn *on_done, void *context);
/* On servicios/api/<service>: {"service", "endpoint", "responseTime" (ms), "statusCode", "timestamp"}. */
enum posta_err posta_telemetry_publish_api_metric(struct posta_telemetry *telemetry, const char *service,
						  const char *endpoint, double response_time_ms, int status_code,
						  posta_done_fn *on_done, void *context);

struct posta_metric_options {
	size_t size;
	int qos; /* 0, 1, 2; -1: 1. With NULL options: 1 */
	bool retain;
};
/*
 * json: one JSON value; an object without "timestamp" gets one. Errors: EINVAL (topic), EFORMAT (json), ECLOSED,
 * ENOMEM.
 */
enum posta_err posta_telemetry_publish_metric(struct posta_telemetry *telemetry, const char *topic, const char *json,
					      const struct posta_metric_options *options, posta_done_fn *on_done,
					      void *context);
/* For an actor: the end arrives as POSTA_MSG_PUBLISHED with this cookie. */
enum posta_err posta_telemetry_publish_metric_from(struct posta_actor *self, struct posta_telemetry *telemetry,
						   const char *topic, const char *json,
						   const struct posta_metric_options *options, uint64_t cookie);
/* Blocks, as posta_event_bus_publish_wait does. */
enum posta_err posta_telemetry_publish_metric_wait(struct posta_telemetry *telemetry, const char *topic,
						   const char *json, const struct posta_metric_options *options,
						   uint64_t timeout_ms, struct posta_error *error);

/* json: len bytes and a zero, borrowed for the call. Returns as every handler does. */
typedef enum posta_err posta_metric_fn(void *context, const char *topic, const char *json, size_t len,
				       struct posta_job *job);

/*
 * filter: + is one level, # all below; $share/<group>/ shares them among the members. Overlapping filters of several
 * subscriptions: each handler gets the metric. Errors: EINVAL names the bad place of a filter.
 */
struct posta_subscription *posta_telemetry_subscribe(struct posta_telemetry *telemetry, const char *filter,
						     posta_metric_fn *handler, void *context,
						     const struct posta_consume_options *options,
						     struct posta_error *error);

/* As of the event bus. */
enum posta_err posta_telemetry_connection_status(struct posta_telemetry *telemetry,
						 struct posta_connection_status *status);
char *posta_telemetry_connection_status_json(struct posta_telemetry *telemetry);

#ifdef __cplusplus
}
#endif
#endif
