/* SPDX-License-Identifier: MIT */
/* The connection actor: one life of it is one connection. Its supervisor restarts it after its back-off. */
#include "bridges/bridge.h"

#include <posta/log.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum posta_err connect_now(struct posta_bridge *bridge)
{
	struct posta_error error = { 0 };
	bridge->state = calloc(1, bridge->ops->state_size ? bridge->ops->state_size : 1);
	if (!bridge->state)
		return POSTA_ENOMEM;
	enum posta_err result = bridge->ops->connect(bridge, bridge->state, &error);
	if (result)
		posta_bridge_down(bridge, result, "%s", error.text[0] ? error.text : posta_strerror(result));
	return POSTA_OK;
}

/*
 * Connecting is its first message, not its start: a broker that is down must fail the connection, not the supervisor.
 */
static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct posta_bridge *bridge = state;
	bridge->connection = self;
	bridge->failing = bridge->up = false;
	bridge->generation++;
	/* While the broker stays away the state is DOWN, however many tries: told and logged once. */
	if (bridge->generation == 1)
		posta__front_state(bridge, POSTA_BRIDGE_CONNECTING, NULL);
	pthread_mutex_lock(&bridge->lock);
	bridge->restarts = bridge->generation - 1;
	pthread_mutex_unlock(&bridge->lock);
	if (!bridge->permanent)
		return posta_send(self, posta_self(self), POSTA__CONNECTION_CONNECT, NULL, 0);
	/* Only a person can cure it: the broker is not to be asked, nor its log filled, at the pace of the back-off. */
	bridge->permanent = false;
	return posta_send_after(self, bridge->options.permanent_retry_ms, posta_self(self), POSTA__CONNECTION_CONNECT,
				NULL, 0)
		       ? POSTA_OK
		       : POSTA_ENOMEM;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct posta_bridge *bridge = state;
	switch (message->type) {
	case POSTA__CONNECTION_CONNECT:
		return bridge->state ? POSTA_OK : connect_now(bridge);
	case POSTA__CONNECTION_TIMER:
		if (bridge->state && !bridge->failing)
			bridge->ops->timer(bridge, bridge->state);
		return POSTA_OK;
	default:
		return POSTA_EUNHANDLED;
	}
}

static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	struct posta_bridge *bridge = state;
	if (bridge->state)
		bridge->ops->close(bridge, bridge->state);
	free(bridge->state);
	bridge->state = NULL;
	bridge->up = false;
	bridge->connection = NULL;
	posta__subscriptions_down(bridge);
	posta__questions_down(bridge);
	posta__pending_reset(bridge);
}

const struct posta_actor_class posta__connection_class = {
	.name = "connection",
	.receive = receive,
	.start = start,
	.stop = stop,
};

/* -- What a broker's file asks -- */

const char *posta_bridge_url(const struct posta_bridge *bridge)
{
	return bridge->url;
}

const struct posta_bridge_options *posta_bridge_get_options(const struct posta_bridge *bridge)
{
	return &bridge->options;
}

const char *posta_bridge_client_id(const struct posta_bridge *bridge)
{
	return bridge->options.client_id;
}

const char *posta_bridge_name(const struct posta_bridge *bridge)
{
	return bridge->options.name;
}

struct posta_actor *posta_bridge_actor(const struct posta_bridge *bridge)
{
	return bridge->connection;
}

struct ev_loop *posta_bridge_loop(const struct posta_bridge *bridge)
{
	return posta_loop(bridge->front);
}

uint64_t posta_bridge_now_ms(const struct posta_bridge *bridge)
{
	return posta_now_ns(bridge->front) / 1000000u;
}

bool posta_bridge_timer(struct posta_bridge *bridge, uint64_t ms)
{
	struct posta_actor *self = bridge->connection;
	posta_cancel(self, bridge->timer);
	bridge->timer = posta_send_after(self, ms, posta_self(self), POSTA__CONNECTION_TIMER, NULL, 0);
	return bridge->timer;
}

uint32_t posta_bridge_attempt(const struct posta_bridge *bridge)
{
	return bridge->generation - 1;
}

static void permanent_set(struct posta_bridge *bridge, bool permanent)
{
	bridge->permanent = permanent;
	pthread_mutex_lock(&bridge->lock);
	bridge->public_permanent = permanent;
	pthread_mutex_unlock(&bridge->lock);
}

void posta_bridge_up(struct posta_bridge *bridge)
{
	if (bridge->up || bridge->failing || !bridge->connection)
		return;
	bridge->up = true;
	permanent_set(bridge, false);
	posta__bump(&bridge->connects, 1);
	posta__front_state(bridge, POSTA_BRIDGE_CONNECTED, NULL);
	posta__subscriptions_up(bridge);
	posta__front_schedule_flush(bridge);
	posta__front_progress(bridge);
}

void posta_bridge_down(struct posta_bridge *bridge, enum posta_err code, const char *format, ...)
{
	if (bridge->failing || !bridge->connection)
		return;
	char text[POSTA_ERROR_TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	bridge->failing = true;
	permanent_set(bridge, code == POSTA_EAUTH || code == POSTA_EREFUSED || code == POSTA_EINVAL);
	posta__front_state(bridge, bridge->closing ? POSTA_BRIDGE_CLOSING : POSTA_BRIDGE_DOWN, text);
	if (bridge->finishing)
		posta__front_end(bridge);
	posta_fail(bridge->connection, code == POSTA_OK ? POSTA_ECONNECTION : code, "%s", text);
}

void posta_bridge_blocked(struct posta_bridge *bridge, bool blocked, const char *why)
{
	if (!bridge->up || bridge->failing || bridge->pendings.held == blocked)
		return;
	bridge->pendings.held = blocked;
	if (!bridge->closing)
		posta__front_state(bridge, blocked ? POSTA_BRIDGE_BLOCKED : POSTA_BRIDGE_CONNECTED, why);
	posta__front_schedule_flush(bridge);
}

void posta_bridge_writable(struct posta_bridge *bridge)
{
	bridge->pendings.full = false;
	posta__front_schedule_flush(bridge);
}

void posta_bridge_confirm(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text)
{
	posta__pending_confirm(bridge, id, result, text);
}

void posta_bridge_confirm_through(struct posta_bridge *bridge, uint64_t id)
{
	posta__pending_confirm_through(bridge, id);
}

void posta_bridge_ended(struct posta_bridge *bridge)
{
	if (bridge->finishing)
		posta__front_end(bridge);
}
