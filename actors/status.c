/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "bridges/codec/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count_subscriptions(const struct posta__service *service)
{
	size_t count = 0;
	for (const struct posta_subscription *at = service->subscriptions; at; at = at->next)
		count++;
	return count;
}

/* With the lock. The list is newest first; a status shows it in the order of the calls. */
static enum posta_err copy_subscriptions(struct posta__service *service, struct posta_connection_status *status)
{
	size_t count = count_subscriptions(service);
	status->subscriptions = calloc(count + 1, sizeof *status->subscriptions);
	if (!status->subscriptions)
		return POSTA_ENOMEM;
	status->subscription_count = count;
	for (const struct posta_subscription *at = service->subscriptions; at; at = at->next) {
		char *name = strdup(at->name);
		if (!name)
			return POSTA_ENOMEM;
		status->subscriptions[--count] = name;
	}
	return POSTA_OK;
}

/* With the lock. */
static void copy_bridge(const struct posta__service *service, struct posta_connection_status *status)
{
	struct posta_bridge_status bridge = { .size = sizeof bridge, .state = POSTA_BRIDGE_CLOSED };
	if (service->bridge)
		posta_bridge_status(service->bridge, &bridge);
	status->connected = bridge.state == POSTA_BRIDGE_CONNECTED || bridge.state == POSTA_BRIDGE_BLOCKED;
	status->state = bridge.state;
	status->since_ms = bridge.since_ms;
	status->reconnects = bridge.connects ? bridge.connects - 1 : 0;
	status->published = bridge.published;
	memcpy(status->client_id, bridge.client_id, sizeof status->client_id);
	memcpy(status->broker_url, bridge.url, sizeof status->broker_url);
	memcpy(status->last_error, bridge.last_error, sizeof status->last_error);
}

enum posta_err posta__service_status(struct posta__service *service, struct posta_connection_status *status)
{
	*status = (struct posta_connection_status){ .size = sizeof *status };
	status->in_flight = atomic_load_explicit(&service->in_flight, memory_order_relaxed);
	status->handled = atomic_load_explicit(&service->handled, memory_order_relaxed);
	status->dead = atomic_load_explicit(&service->dead, memory_order_relaxed);
	status->metrics_buffered = atomic_load_explicit(&service->waiting, memory_order_relaxed);
	status->metrics_dropped = atomic_load_explicit(&service->dropped, memory_order_relaxed);
	pthread_mutex_lock(&service->lock);
	copy_bridge(service, status);
	enum posta_err err = copy_subscriptions(service, status);
	pthread_mutex_unlock(&service->lock);
	if (err)
		posta_connection_status_fini(status);
	return err;
}

void posta_connection_status_fini(struct posta_connection_status *status)
{
	if (!status)
		return;
	for (size_t i = 0; status->subscriptions && i < status->subscription_count; i++)
		free(status->subscriptions[i]);
	free(status->subscriptions);
	status->subscriptions = NULL;
	status->subscription_count = 0;
}

static void write_text(struct posta__buffer *buffer, const char *name, const char *text)
{
	posta__buffer_text(buffer, ",\"");
	posta__buffer_text(buffer, name);
	posta__buffer_text(buffer, "\":");
	if (posta__utf8_valid(text, strlen(text)))
		posta__buffer_json(buffer, text, strlen(text));
	else
		posta__buffer_text(buffer, "null");
}

static void write_number(struct posta__buffer *buffer, const char *name, uint64_t number)
{
	char text[96];
	snprintf(text, sizeof text, ",\"%s\":%" PRIu64, name, number);
	posta__buffer_text(buffer, text);
}

static void write_subscriptions(struct posta__buffer *buffer, const struct posta_connection_status *status)
{
	posta__buffer_text(buffer, ",\"subscriptions\":[");
	for (size_t i = 0; i < status->subscription_count; i++) {
		if (i)
			posta__buffer_text(buffer, ",");
		posta__buffer_json(buffer, status->subscriptions[i], strlen(status->subscriptions[i]));
	}
	posta__buffer_text(buffer, "]");
}

static void write_status(struct posta__buffer *buffer, const struct posta_connection_status *status)
{
	char since[25];
	posta_time_format(status->since_ms, since);
	posta__buffer_text(buffer, status->connected ? "{\"connected\":true" : "{\"connected\":false");
	write_text(buffer, "clientId", status->client_id);
	write_text(buffer, "brokerUrl", status->broker_url);
	write_subscriptions(buffer, status);
	write_number(buffer, "metricsBuffered", status->metrics_buffered);
	write_number(buffer, "metricsDropped", status->metrics_dropped);
	write_text(buffer, "state", posta_bridge_state_name(status->state));
	write_text(buffer, "since", since);
	write_number(buffer, "reconnects", status->reconnects);
	write_number(buffer, "published", status->published);
	write_number(buffer, "inFlight", status->in_flight);
	write_number(buffer, "handled", status->handled);
	write_number(buffer, "dead", status->dead);
	write_text(buffer, "lastError", status->last_error);
	posta__buffer_text(buffer, "}");
}

char *posta__service_status_json(struct posta__service *service)
{
	struct posta_connection_status status;
	struct posta__buffer buffer = { 0 };
	if (posta__service_status(service, &status))
		return NULL;
	write_status(&buffer, &status);
	posta_connection_status_fini(&status);
	return posta__buffer_finish(&buffer) ? buffer.data : NULL;
}
