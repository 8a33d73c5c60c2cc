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

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct posta__route *route = argument;
	struct posta_error error = { POSTA_OK, false, "out of memory" };
	route->self = self;
	route->subscribed = POSTA_EPENDING;
	enum posta_err err = posta__flights_init(route);
	if (!err)
		err = posta_bridge_subscribe(self, route->source, &route->config->from.source, &route->subscription,
					     &error);
	if (!err)
		return POSTA_OK;
	posta__route_error(route, error.text);
	posta_log(route->system, POSTA_LOG_ERROR, "route.failed", "route=%s error=\"%s\"", route->config->name,
		  error.text);
	return err;
}

static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	posta__flights_fini(state);
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
	case POSTA__ROUTE_QUIT:
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
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
