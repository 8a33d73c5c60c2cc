/* SPDX-License-Identifier: MIT */
/*
 * While the broker is there a metric goes to the bridge at once; while it is away the last ones wait in the ring, and
 * go in their order when it is back.
 */
#include "telemetry.h"

#include "bridges/codec/cloudevents.h"
#include "bridges/codec/number.h"
#include "bridges/codec/scan.h"
#include "bridges/codec/text.h"
#include "bridges/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT 256u
#define API_TOPIC "servicios/api/"

/* -- The ring. Service's thread. */

static void push_out_oldest(struct posta_actor *self, struct posta__service *service)
{
	struct posta__publication *oldest = posta__publications_take(&service->ring);
	atomic_fetch_add_explicit(&service->dropped, 1, memory_order_relaxed);
	posta__publication_end(self, oldest, POSTA_EFULL, "the broker is away and newer metrics came");
}

static void publish(struct posta_actor *self, struct posta__service *service, struct posta__publication *publication)
{
	if (service->is_connected) {
		posta__service_hand_over(self, service, publication);
		return;
	}
	posta__publications_add(&service->ring, publication);
	while (service->ring.count > service->ring_max)
		push_out_oldest(self, service);
	atomic_store_explicit(&service->waiting, service->ring.count, memory_order_relaxed);
}

static void connected(struct posta_actor *self, struct posta__service *service)
{
	struct posta__publication *publication;
	while ((publication = posta__publications_take(&service->ring)))
		posta__service_hand_over(self, service, publication);
	atomic_store_explicit(&service->waiting, 0, memory_order_relaxed);
}

const struct posta__service_kind posta__telemetry_kind = { .name = "telemetry",
							   .publish = publish,
							   .connected = connected };

/* -- Metrics as JSON */

static void write_now(struct posta__buffer *buffer)
{
	char time[25];
	posta_time_format(posta__wall_ms(), time);
	posta__buffer_text(buffer, "\"timestamp\":\"");
	posta__buffer_text(buffer, time);
	posta__buffer_text(buffer, "\"}");
}

static bool is_text(const char *text)
{
	return text && posta__utf8_valid(text, strlen(text));
}

static void write_text(struct posta__buffer *buffer, const char *name, const char *text)
{
	posta__buffer_text(buffer, name);
	if (is_text(text))
		posta__buffer_json(buffer, text, strlen(text));
	else
		buffer->failed = true;
}

static char *finish(struct posta__buffer *buffer)
{
	return posta__buffer_finish(buffer) ? buffer->data : NULL;
}

char *posta__health_json(const char *service, enum posta_health health)
{
	static const char *const names[] = { "healthy", "degraded", "unhealthy" };
	struct posta__buffer buffer = { 0 };
	write_text(&buffer, "{\"service\":", service);
	write_text(&buffer, ",\"status\":", names[(unsigned)health <= POSTA_UNHEALTHY ? health : POSTA_UNHEALTHY]);
	posta__buffer_text(&buffer, ",");
	write_now(&buffer);
	return finish(&buffer);
}

static char *api_json(const char *service, const char *endpoint, double response_time_ms, int status_code)
{
	struct posta__buffer buffer = { 0 };
	char status[48], ms[POSTA__NUMBER_TEXT_MAX];
	snprintf(status, sizeof status, ",\"statusCode\":%d,", status_code);
	posta__number_text(response_time_ms, false, ms);
	write_text(&buffer, "{\"service\":", service);
	write_text(&buffer, ",\"endpoint\":", endpoint);
	posta__buffer_text(&buffer, ",\"responseTime\":");
	posta__buffer_text(&buffer, ms);
	posta__buffer_text(&buffer, status);
	write_now(&buffer);
	return finish(&buffer);
}

/* An object gets the timestamp it lacks. json has passed the scan. */
static char *stamped(const char *json, size_t len)
{
	struct posta__buffer buffer = { 0 };
	struct posta_bytes value = posta__json_value(json, len);
	struct posta__json_walk walk;
	bool stamp = posta__json_walk(&walk, value) && walk.object && !posta__json_member(value, "timestamp", 9).data;
	posta__buffer_add(&buffer, value.data, stamp ? value.len - 1 : value.len);
	if (stamp) {
		if (posta__json_next(&walk))
			posta__buffer_text(&buffer, ",");
		write_now(&buffer);
	}
	return finish(&buffer);
}

/* -- Publishing */

/* Takes: json. */
static enum posta_err prepare(struct posta_telemetry *telemetry, const char *topic, char *json,
			      const struct posta_metric_options *options, struct posta__publication **publication,
			      struct posta_error *error)
{
	struct posta_envelope *envelope = json ? posta_envelope_new() : NULL;
	enum posta_err err =
		envelope ? posta_envelope_wrap_body(envelope, json, strlen(json), free, json) : POSTA_ENOMEM;
	if (!envelope)
		free(json);
	if (!err)
		err = posta_envelope_set_text(envelope, POSTA_ATTR_CONTENT_TYPE, "application/json");
	if (err)
		posta_envelope_unref(envelope);
	*publication = err ? NULL : posta__publication_new(&telemetry->service, topic, envelope);
	if (!*publication)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for a metric");
	(*publication)->target.qos = options ? options->qos : -1;
	(*publication)->target.retain = options && options->retain;
	return POSTA_OK;
}

/* Takes: json; NULL: memory was short. */
static enum posta_err publish_json(struct posta_telemetry *telemetry, const char *prefix, const char *service,
				   char *json, bool retain, posta_done_fn *on_done, void *context)
{
	struct posta_metric_options options = { .qos = -1, .retain = retain };
	struct posta__publication *publication;
	size_t size = strlen(prefix) + strlen(service) + 1;
	char *topic = json ? malloc(size) : NULL;
	enum posta_err err = topic ? POSTA_OK : POSTA_ENOMEM;
	if (topic) {
		snprintf(topic, size, "%s%s", prefix, service);
		err = posta__name_check(POSTA__NAME_MQTT, topic, NULL);
	}
	if (err)
		free(json);
	else
		err = prepare(telemetry, topic, json, &options, &publication, NULL);
	free(topic);
	return err ? err : posta__publication_submit(publication, on_done, context);
}

enum posta_err posta_telemetry_publish_health(struct posta_telemetry *telemetry, const char *service,
					      enum posta_health health, posta_done_fn *on_done, void *context)
{
	if (!is_text(service) || !*service)
		return POSTA_EINVAL;
	return publish_json(telemetry, POSTA__HEALTH_TOPIC, service, posta__health_json(service, health), true, on_done,
			    context);
}

enum posta_err posta_telemetry_publish_api_metric(struct posta_telemetry *telemetry, const char *service,
						  const char *endpoint, double response_time_ms, int status_code,
						  posta_done_fn *on_done, void *context)
{
	if (!is_text(service) || !*service || !is_text(endpoint))
		return POSTA_EINVAL;
	char *json = api_json(service, endpoint, response_time_ms, status_code);
	return publish_json(telemetry, API_TOPIC, service, json, false, on_done, context);
}

static enum posta_err prepare_metric(struct posta_telemetry *telemetry, const char *topic, const char *json,
				     const struct posta_metric_options *options,
				     struct posta__publication **publication, struct posta_error *error)
{
	size_t offset, len = json ? strlen(json) : 0;
	if (!topic)
		return posta_error_set(error, POSTA_EINVAL, "a metric needs a topic");
	enum posta_err err = posta__name_check(POSTA__NAME_MQTT, topic, error);
	if (err)
		return err;
	err = posta__json_scan(json ? json : "", len, &offset);
	if (err)
		return posta_error_set(error, err, "a metric is not JSON, at byte %zu", offset);
	return prepare(telemetry, topic, stamped(json, len), options, publication, error);
}

enum posta_err posta_telemetry_publish_metric(struct posta_telemetry *telemetry, const char *topic, const char *json,
					      const struct posta_metric_options *options, posta_done_fn *on_done,
					      void *context)
{
	struct posta__publication *publication;
	enum posta_err err = prepare_metric(telemetry, topic, json, options, &publication, NULL);
	return err ? err : posta__publication_submit(publication, on_done, context);
}

enum posta_err posta_telemetry_publish_metric_from(struct posta_actor *self, struct posta_telemetry *telemetry,
						   const char *topic, const char *json,
						   const struct posta_metric_options *options, uint64_t cookie)
{
	struct posta__publication *publication;
	enum posta_err err = prepare_metric(telemetry, topic, json, options, &publication, NULL);
	return err ? err : posta__publication_submit_from(publication, self, cookie);
}

enum posta_err posta_telemetry_publish_metric_wait(struct posta_telemetry *telemetry, const char *topic,
						   const char *json, const struct posta_metric_options *options,
						   uint64_t timeout_ms, struct posta_error *error)
{
	struct posta__publication *publication;
	enum posta_err err = prepare_metric(telemetry, topic, json, options, &publication, error);
	return err ? err : posta__publication_submit_wait(publication, timeout_ms, error);
}

/* -- Subscribing */

struct metric {
	size_t len;
	char json[];
};

static enum posta_err decode(struct posta_job *job, struct posta_error *error)
{
	struct posta_bytes body = posta_envelope_body(job->envelope);
	size_t offset;
	enum posta_err err = posta__json_scan(body.data, body.len, &offset);
	if (err)
		return posta_error_set(error, err, "a metric is not JSON, at byte %zu", offset);
	struct metric *metric = malloc(sizeof *metric + body.len + 1);
	if (!metric)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory for a metric");
	metric->len = body.len;
	memcpy(metric->json, body.data, body.len);
	metric->json[body.len] = 0;
	job->item = metric;
	job->key = posta_envelope_text(job->envelope, POSTA_ATTR_TOPIC);
	return POSTA_OK;
}

static enum posta_err handle(struct posta_subscription *subscription, struct posta_job *job)
{
	posta_metric_fn *handler = (posta_metric_fn *)subscription->handler;
	const struct metric *metric = job->item;
	return handler(subscription->context, posta_job_topic(job), metric->json, metric->len, job);
}

static const struct posta__consumer_kind by_handler = {
	.keyed = true, .decode = decode, .release = free, .handle = handle
};

struct posta_subscription *posta_telemetry_subscribe(struct posta_telemetry *telemetry, const char *filter,
						     posta_metric_fn *handler, void *context,
						     const struct posta_consume_options *options,
						     struct posta_error *error)
{
	const char *share = NULL;
	size_t share_len = 0;
	if (!filter || !handler) {
		posta_error_set(error, POSTA_EINVAL, "a subscription needs a filter and a handler");
		return NULL;
	}
	if (posta__filter_check(POSTA__NAME_MQTT, filter, error))
		return NULL;
	const char *bare = posta__filter_unshare(filter, &share, &share_len);
	char *group = share_len ? strndup(share, share_len) : NULL;
	struct posta__subscribe what = {
		.kind = &by_handler,
		.name = filter,
		.group = group,
		.options = options,
		.credit = CREDIT,
		.source = { .filter = bare, .share = group, .qos = options ? options->qos : -1 },
		.handler = (void (*)(void))handler,
		.context = context,
	};
	struct posta_subscription *subscription = NULL;
	if (share_len && !group)
		posta_error_set(error, POSTA_ENOMEM, "out of memory for a subscription");
	else
		subscription = posta__service_subscribe(&telemetry->service, &what, error);
	free(group);
	return subscription;
}

enum posta_err posta_telemetry_connection_status(struct posta_telemetry *telemetry,
						 struct posta_connection_status *status)
{
	return posta__service_status(&telemetry->service, status);
}

char *posta_telemetry_connection_status_json(struct posta_telemetry *telemetry)
{
	return posta__service_status_json(&telemetry->service);
}
