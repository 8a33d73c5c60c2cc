/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <posta/log.h>

#include <stdio.h>
#include <string.h>

void posta__route_error(struct posta__route *route, const char *text)
{
	pthread_mutex_lock(&route->lock);
	snprintf(route->last_error, sizeof route->last_error, "%s", text);
	pthread_mutex_unlock(&route->lock);
}

static enum posta_err subscribe(struct posta__route *route, struct posta_error *error)
{
	uint32_t subscription;
	enum posta_err err =
		posta_bridge_subscribe(route->self, route->source, &route->config->from.source, &subscription, error);
	if (err)
		return err;
	route->subscription = subscription;
	route->subscribed = POSTA_EPENDING;
	return POSTA_OK;
}

static void resume(struct posta__route *route)
{
	atomic_store_explicit(&route->down, false, memory_order_relaxed);
	posta__route_count(&route->counters.restarts, 1);
	posta__flights_resume(route);
	posta_log(route->system, POSTA_LOG_WARNING, "route.restarted", "route=%s restarts=%llu error=\"%s\"",
		  route->config->name,
		  (unsigned long long)atomic_load_explicit(&route->counters.restarts, memory_order_relaxed),
		  route->last_error);
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct posta__route *route = argument;
	struct posta_error error = { POSTA_OK, false, "out of memory" };
	route->self = self;
	enum posta_err err = posta__flights_init(route);
	if (!err && !route->subscription)
		err = subscribe(route, &error);
	if (err) {
		posta__route_error(route, error.text);
		return err;
	}
	if (atomic_load_explicit(&route->down, memory_order_relaxed))
		resume(route);
	return POSTA_OK;
}

/* For good, or until its supervisor restarts it. */
static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct posta__route *route = state;
	bool for_good = reason == POSTA_OK || reason == POSTA_ESHUTDOWN; /* as TRANSIENT means it */
	if (for_good || !route->subscription) {
		posta__flights_fini(route);
		return;
	}
	posta__route_error(route, posta_strerror(reason));
	atomic_store_explicit(&route->down, true, memory_order_relaxed);
}

static void quit_if_done(struct posta__route *route)
{
	if (route->draining && !route->in_flight)
		posta_stop(route->self, posta_self(route->self), POSTA_OK);
}

static void on_delivery(struct posta__route *route, const struct posta_delivery *delivery)
{
	struct posta_error error = { POSTA_OK, false, "" };
	posta__route_count(&route->counters.received, 1);
	if (delivery->redelivered)
		posta__route_count(&route->counters.redelivered, 1);
	if (delivery->token.generation != route->generation) {
		route->generation = delivery->token.generation;
		posta__flights_stale(route);
	}
	struct posta_envelope *envelope = posta_envelope_ref(delivery->envelope);
	enum posta__verdict verdict = posta__route_steps(route, &envelope, &error);
	if (verdict == POSTA__FILTERED) {
		posta__route_count(&route->counters.filtered, 1);
		posta_envelope_unref(envelope);
		posta_settle(route->self, delivery->token, POSTA_ACK);
		return;
	}
	if (verdict == POSTA__BROKEN && error.code == POSTA_ENOMEM) { /* not the message's fault */
		posta_envelope_unref(envelope);
		posta_settle(route->self, delivery->token, POSTA_REQUEUE);
		return;
	}
	if (posta__flight_adopt(route, envelope, delivery->token)) {
		posta_envelope_unref(envelope);
		return;
	}
	if (!posta__flight_begin(route, envelope, delivery->token, verdict == POSTA__BROKEN ? error.code : POSTA_OK,
				 error.text))
		posta_settle(route->self, delivery->token, POSTA_REQUEUE);
}

/* Told once for each change: a source that is refused is tried again by its bridge. */
static void on_subscribed(struct posta__route *route, const struct posta_subscribed *answer)
{
	if (answer->result == route->subscribed)
		return;
	route->subscribed = answer->result;
	if (answer->result == POSTA_OK) {
		posta_log(route->system, POSTA_LOG_INFO, "route.subscribed", "route=%s", route->config->name);
		return;
	}
	posta__route_error(route, answer->text);
	if (answer->result != POSTA_ECLOSED)
		posta_log(route->system, POSTA_LOG_ERROR, "route.refused", "route=%s error=\"%s\"", route->config->name,
			  answer->text);
}

static void drain(struct posta__route *route)
{
	if (route->draining)
		return;
	route->draining = true;
	posta_bridge_unsubscribe(route->self, route->source, route->subscription);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta__route *route = state;
	switch (message->type) {
	case POSTA_MSG_DELIVERY:
		on_delivery(route, posta_data(message));
		break;
	case POSTA_MSG_PUBLISHED:
		posta__flight_answer(route, posta_data(message));
		break;
	case POSTA__ROUTE_RETRY:
		posta__flight_retry(route, *(const uint64_t *)posta_data(message));
		break;
	case POSTA_MSG_SUBSCRIBED:
		on_subscribed(route, posta_data(message));
		break;
	case POSTA__ROUTE_DRAIN:
		drain(route);
		break;
	default:
		return POSTA_EUNHANDLED;
	}
	quit_if_done(route);
	return POSTA_OK;
}

const struct posta_actor_class posta__route_class = {
	.size = sizeof(struct posta_actor_class),
	.name = "route",
	.receive = receive,
	.start = start,
	.stop = stop,
};
