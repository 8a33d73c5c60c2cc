/* SPDX-License-Identifier: MIT */
/*
 * The front actor of a bridge. It gathers what its users ask in a turn and hands it down at the turn's end, so that
 * many publications and settlements become one call of the broker's file.
 *
 *   open ─▶ (CONNECTING ◀─▶ CONNECTED ◀─▶ BLOCKED, DOWN) ─close─▶ CLOSING: intake stopped, waits for settlements and
 *   confirmations ─▶ finish() ─▶ CLOSED: the actor ends
 */
#include "bridges/bridge.h"
#include "bridges/codec/cloudevents.h"
#include "runtime/neighbour.h"

#include <posta/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINISH_MS 2000u
#define WATCHERS_MAX 1024u
#define AGAIN_MS 100u

static const char *const state_names[] = { "connecting", "connected", "blocked", "down", "closing", "closed" };

const char *posta_bridge_state_name(enum posta_bridge_state state)
{
	return state >= POSTA_BRIDGE_CONNECTING && state <= POSTA_BRIDGE_CLOSED ? state_names[state] : "?";
}

/* -- State -- */

/* Returns: whether it changed. */
static bool state_set(struct posta_bridge *bridge, enum posta_bridge_state state, const char *text)
{
	pthread_mutex_lock(&bridge->lock);
	bool changed = bridge->public_state != state;
	if (changed)
		bridge->since_ms = posta__wall_ms();
	bridge->public_state = state;
	if (text)
		snprintf(bridge->last_error, sizeof bridge->last_error, "%s", text);
	pthread_mutex_unlock(&bridge->lock);
	return changed;
}

static void tell_watcher(struct posta_bridge *bridge, posta_ref watcher)
{
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(bridge, &status);
	posta_send(bridge->front, watcher, POSTA_MSG_BRIDGE_STATE, &status, sizeof status);
}

static void log_state(struct posta_bridge *bridge, enum posta_bridge_state state, const char *text)
{
	char url[256], event[32];
	bool bad = state == POSTA_BRIDGE_DOWN || state == POSTA_BRIDGE_BLOCKED;
	snprintf(event, sizeof event, "bridge.%s", posta_bridge_state_name(state));
	posta_log(bridge->system, bad ? POSTA_LOG_WARNING : POSTA_LOG_INFO, event, "name=%s url=%s%s%s",
		  bridge->options.name, posta_url_redact(bridge->url, url, sizeof url), text ? " error=" : "",
		  text ? text : "");
}

void posta__front_state(struct posta_bridge *bridge, enum posta_bridge_state state, const char *text)
{
	if (bridge->closing && state < POSTA_BRIDGE_CLOSING)
		return;
	if (!state_set(bridge, state, text))
		return;
	log_state(bridge, state, text);
	for (uint32_t i = 0; bridge->front && i < bridge->watcher_count; i++)
		tell_watcher(bridge, bridge->watchers[i]);
}

static void watch(struct posta_bridge *bridge, posta_ref watcher)
{
	if (bridge->watcher_count == bridge->watcher_room) {
		uint32_t room = bridge->watcher_room ? bridge->watcher_room * 2 : 4;
		posta_ref *bigger = room <= WATCHERS_MAX ? realloc(bridge->watchers, room * sizeof *bigger) : NULL;
		if (!bigger)
			return;
		bridge->watchers = bigger;
		bridge->watcher_room = room;
	}
	bridge->watchers[bridge->watcher_count++] = watcher;
	posta_watch(bridge->front, watcher);
	tell_watcher(bridge, watcher);
}

static void watcher_ended(struct posta_bridge *bridge, posta_ref watcher)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < bridge->watcher_count; i++)
		if (bridge->watchers[i] != watcher)
			bridge->watchers[kept++] = bridge->watchers[i];
	bridge->watcher_count = kept;
}

/* -- Neighbours -- */

struct posta_bridge *posta__front_near(struct posta_actor *self, posta_ref front)
{
	return posta__neighbour(self, front, &posta__front_class, POSTA__FRONT_FLUSH);
}

/* -- The end of a turn -- */

void posta__front_schedule_flush(struct posta_bridge *bridge)
{
	struct posta_message *message = bridge->flush_message;
	if (!message || !bridge->front)
		return;
	bridge->flush_message = NULL;
	posta_post(bridge->front, bridge->front_ref, message);
}

static void flush(struct posta_bridge *bridge)
{
	posta__settle_flush(bridge);
	posta__subscriptions_reap(bridge);
	posta__pending_offer(bridge);
	posta__front_progress(bridge);
}

/* -- Closing -- */

void posta__front_end(struct posta_bridge *bridge)
{
	posta__pending_fail_all(bridge, POSTA_ECLOSED);
	posta_stop(bridge->front, bridge->front_ref, POSTA_OK);
}

static void finish(struct posta_bridge *bridge)
{
	bridge->finishing = true;
	posta__questions_unsubscribe(bridge);
	posta__settle_flush(bridge);
	if (!bridge->up || bridge->failing) {
		posta__front_end(bridge);
		return;
	}
	posta_send_after(bridge->front, FINISH_MS, bridge->front_ref, POSTA__FRONT_DEADLINE, NULL, 0);
	bridge->ops->finish(bridge, bridge->state);
}

static uint64_t unsettled(const struct posta_bridge *bridge)
{
	return atomic_load_explicit(&bridge->unsettled, memory_order_relaxed);
}

void posta__front_progress(struct posta_bridge *bridge)
{
	if (bridge->closing && !bridge->finishing && !bridge->pendings.count && !unsettled(bridge))
		finish(bridge);
}

static void on_deadline(struct posta_bridge *bridge)
{
	if (bridge->finishing)
		posta__front_end(bridge);
	else
		finish(bridge);
}

static void close_by(struct posta_bridge *bridge, uint32_t deadline_ms)
{
	if (bridge->closing)
		return;
	posta__front_state(bridge, POSTA_BRIDGE_CLOSING, NULL);
	bridge->closing = true;
	posta__subscriptions_stop_intake(bridge);
	if (deadline_ms)
		posta_send_after(bridge->front, deadline_ms, bridge->front_ref, POSTA__FRONT_DEADLINE, NULL, 0);
	else
		finish(bridge);
	posta__front_progress(bridge);
}

/* -- The actor -- */

static struct posta_child_spec connection_spec(struct posta_bridge *bridge)
{
	return (struct posta_child_spec){
		.id = bridge->options.name,
		.klass = &posta__connection_class,
		.argument = bridge,
		.spawn = { .pinned = true },
		.restart = POSTA_PERMANENT,
		.backoff = bridge->options.backoff,
	};
}

/* Memory may be short only for a moment, and a bridge without a connection would be dead for good: tried again. */
static enum posta_err begin_later(struct posta_bridge *bridge)
{
	posta_stop(bridge->front, bridge->supervisor, POSTA_OK);
	bridge->supervisor = POSTA_NOBODY;
	return posta_send_after(bridge->front, AGAIN_MS, bridge->front_ref, POSTA__FRONT_BEGIN, NULL, 0) ? POSTA_OK
													 : POSTA_ENOMEM;
}

static enum posta_err begin(struct posta_bridge *bridge)
{
	const struct posta_child_spec child = connection_spec(bridge);
	const struct posta_supervisor_options options = {
		.intensity = POSTA_INTENSITY_UNLIMITED,
		.children = &child,
		.child_count = 1,
		.pinned = true,
	};
	struct posta_error error = { .code = POSTA_ENOMEM };
	if (!bridge->flush_message)
		bridge->flush_message = posta_message_new(bridge->front, POSTA__FRONT_FLUSH, 0);
	if (bridge->flush_message)
		bridge->supervisor = posta_supervise(bridge->front, &options, &error);
	if (bridge->supervisor != POSTA_NOBODY && posta_watch(bridge->front, bridge->supervisor))
		return POSTA_OK;
	return error.code == POSTA_ENOMEM ? begin_later(bridge) : error.code;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct posta_bridge *bridge = state;
	bridge->front = self;
	bridge->front_ref = posta_self(self);
	return begin(bridge);
}

/* Takes what a message carries out of it: its release is no longer the message's. */
static void *take(struct posta_message *message)
{
	struct posta_slice *slice = (struct posta_slice *)(void *)message->payload_;
	slice->release = NULL;
	return slice->data;
}

static uint32_t number_of(const struct posta_message *message)
{
	uint32_t number;
	memcpy(&number, posta_data(message), sizeof number);
	return number;
}

static void publish(struct posta_bridge *bridge, struct posta__pending *pending)
{
	if (!pending->question || posta__question_open(bridge, pending))
		posta__pending_accept(bridge, pending);
}

static void overdue(struct posta_bridge *bridge, const struct posta_message *message)
{
	uint64_t number;
	memcpy(&number, posta_data(message), sizeof number);
	posta__question_overdue(bridge, number);
}

static void settle(struct posta_bridge *bridge, const struct posta_message *message)
{
	struct posta__settlement settlement;
	memcpy(&settlement, posta_data(message), sizeof settlement);
	const struct posta_token token = { .subscription = settlement.subscription,
					   .generation = settlement.generation,
					   .id = settlement.id };
	posta__settle_one(bridge, &token, (enum posta_outcome)settlement.outcome);
}

static void seek(struct posta_bridge *bridge, const struct posta_message *message)
{
	struct posta__seek where;
	memcpy(&where, posta_data(message), sizeof where);
	posta__subscription_seek(bridge, where.subscription, where.position);
}

static void unsubscribe(struct posta_bridge *bridge, uint32_t id)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription)
		return;
	if (!subscription->unsettled.count) {
		posta__subscription_answer(bridge, subscription, POSTA_ECLOSED, NULL);
		posta__subscription_end(bridge, subscription);
		return;
	}
	posta__subscription_end_later(bridge, subscription);
}

static void resubscribe(struct posta_bridge *bridge, uint32_t id)
{
	struct posta__subscription *subscription = posta__subscription_find(bridge, id);
	if (!subscription)
		return;
	subscription->retry = 0;
	posta__subscriptions_up(bridge);
}

/* ENOMEM: it may live, and had no memory to note that it is watched. If it does not, another watch says so at once. */
static enum posta_err on_down(struct posta_bridge *bridge, const struct posta_message *message)
{
	struct posta_down down;
	memcpy(&down, posta_data(message), sizeof down);
	if (down.ref == bridge->supervisor)
		return begin_later(bridge);
	if (down.reason != POSTA_ENOMEM) {
		watcher_ended(bridge, down.ref);
		posta__subscriber_ended(bridge, down.ref);
	} else if (!posta__subscription_watch_again(bridge, down.monitor)) {
		posta_watch(bridge->front, down.ref); /* a watcher of states */
	}
	return POSTA_OK;
}

static enum posta_err on_subscription(struct posta_bridge *bridge, struct posta_message *message)
{
	switch (message->type) {
	case POSTA__FRONT_SUBSCRIBE:
		posta__subscription_add(bridge, take(message));
		break;
	case POSTA__FRONT_UNSUBSCRIBE:
		unsubscribe(bridge, number_of(message));
		break;
	case POSTA__FRONT_PAUSE:
		posta__subscription_pause(bridge, number_of(message), true);
		break;
	case POSTA__FRONT_RESUME:
		posta__subscription_pause(bridge, number_of(message), false);
		break;
	case POSTA__FRONT_SEEK:
		seek(bridge, message);
		break;
	case POSTA__FRONT_RESUBSCRIBE:
		resubscribe(bridge, number_of(message));
		break;
	case POSTA__FRONT_WATCH_SUBSCRIBER:
		posta__subscription_watch(bridge, number_of(message));
		break;
	default:
		return POSTA_EUNHANDLED;
	}
	return POSTA_OK;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta_bridge *bridge = state;
	switch (message->type) {
	case POSTA__FRONT_BEGIN:
		return begin(bridge);
	case POSTA__FRONT_PUBLISH:
		publish(bridge, posta__pending_take(bridge, message));
		break;
	case POSTA__FRONT_SETTLE:
		settle(bridge, message);
		break;
	case POSTA__FRONT_FLUSH:
		bridge->flush_message = posta_keep(self, message);
		flush(bridge);
		break;
	case POSTA__FRONT_OFFER:
		bridge->pendings.retry = 0;
		posta__pending_offer(bridge);
		break;
	case POSTA__FRONT_OVERDUE:
		overdue(bridge, message);
		break;
	case POSTA_MSG_SUBSCRIBED:
		posta__questions_subscribed(bridge, posta_data(message));
		break;
	case POSTA_MSG_DELIVERY:
		posta__questions_delivered(bridge, posta_data(message));
		break;
	case POSTA__FRONT_WATCH:
		watch(bridge, message->sender);
		break;
	case POSTA__FRONT_CLOSE:
		close_by(bridge, number_of(message));
		break;
	case POSTA__FRONT_DEADLINE:
		on_deadline(bridge);
		break;
	case POSTA_MSG_DOWN:
		return on_down(bridge, message);
	default:
		return on_subscription(bridge, message);
	}
	return POSTA_OK;
}

static void stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct posta_bridge *bridge = state;
	bridge->closing = bridge->finishing = true;
	posta__pending_fini(bridge);
	posta__questions_fini(bridge);
	posta__subscriptions_fini(bridge);
	posta__front_state(bridge, POSTA_BRIDGE_CLOSED, reason ? posta_strerror(reason) : NULL);
	posta_message_free(self, bridge->flush_message);
	bridge->flush_message = NULL;
	free(bridge->watchers);
	bridge->watchers = NULL;
	bridge->watcher_count = 0;
	bridge->front = NULL;
	atomic_store_explicit(&bridge->ended, true, memory_order_release);
	posta__bridge_unref(bridge);
}

const struct posta_actor_class posta__front_class = {
	.name = "bridge",
	.receive = receive,
	.start = start,
	.stop = stop,
};
