/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- the common part's side of the contract */

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
	return bridge->client_id ? bridge->client_id : "test-client";
}

const char *posta_bridge_name(const struct posta_bridge *bridge)
{
	(void)bridge;
	return "test";
}

uint32_t posta_bridge_attempt(const struct posta_bridge *bridge)
{
	return bridge->attempt;
}

void posta_bridge_lag(struct posta_bridge *bridge, uint32_t subscription, int64_t lag)
{
	(void)subscription;
	bridge->lag = lag;
}

struct posta_actor *posta_bridge_actor(const struct posta_bridge *bridge)
{
	return bridge->actor;
}

struct ev_loop *posta_bridge_loop(const struct posta_bridge *bridge)
{
	return bridge->loop;
}

uint64_t posta_bridge_now_ms(const struct posta_bridge *bridge)
{
	return posta_system_now_ns(bridge->system) / 1000000;
}

void posta_bridge_up(struct posta_bridge *bridge)
{
	bridge->ups++;
}

void posta_bridge_down(struct posta_bridge *bridge, enum posta_err code, const char *format, ...)
{
	va_list arguments;

	bridge->downs++;
	bridge->down_code = code;
	va_start(arguments, format);
	vsnprintf(bridge->down_text, sizeof bridge->down_text, format, arguments);
	va_end(arguments);
}

void posta_bridge_blocked(struct posta_bridge *bridge, bool blocked, const char *why)
{
	(void)why;
	if (blocked)
		bridge->blocked++;
	else
		bridge->unblocked++;
}

void posta_bridge_writable(struct posta_bridge *bridge)
{
	bridge->writables++;
}

static void note(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text)
{
	assert_true(bridge->confirm_count < CORE_EVENTS_MAX && id < CORE_EVENTS_MAX);
	struct core_confirm *confirm = &bridge->confirms[bridge->confirm_count++];

	assert_false(bridge->confirmed[id]);
	bridge->confirmed[id] = true;
	confirm->id = id;
	confirm->result = result;
	snprintf(confirm->text, sizeof confirm->text, "%s", text ? text : "");
	posta_envelope_unref(bridge->publications[id].envelope);
	bridge->publications[id].envelope = NULL;
}

void posta_bridge_confirm(struct posta_bridge *bridge, uint64_t id, enum posta_err result, const char *text)
{
	note(bridge, id, result, text);
}

void posta_bridge_confirm_through(struct posta_bridge *bridge, uint64_t id)
{
	for (uint64_t i = bridge->confirmed_through; i <= id; i++)
		if (!bridge->confirmed[i])
			note(bridge, i, POSTA_OK, NULL);
	bridge->confirmed_through = id;
}

void posta_bridge_replied(struct posta_bridge *bridge, struct posta_envelope *envelope)
{
	posta_envelope_unref(bridge->reply);
	bridge->reply = envelope;
	bridge->replied++;
}

bool posta_bridge_deliver(struct posta_bridge *bridge, uint32_t subscription, struct posta_envelope *envelope,
			  uint64_t id, bool redelivered)
{
	assert_true(bridge->delivery_count < CORE_EVENTS_MAX);
	bridge->deliveries[bridge->delivery_count++] =
		(struct core_delivery){ subscription, id, redelivered, envelope };
	return true;
}

void posta_bridge_subscribed(struct posta_bridge *bridge, uint32_t subscription, enum posta_err result,
			     const char *text)
{
	(void)subscription;
	bridge->subscribed_count++;
	bridge->subscribed_result = result;
	snprintf(bridge->subscribed_text, sizeof bridge->subscribed_text, "%s", text ? text : "");
}

void posta_bridge_revoke(struct posta_bridge *bridge, uint32_t subscription,
			 bool (*is_void)(uint64_t id, void *context), void *context)
{
	(void)subscription;
	(void)is_void;
	(void)context;
	bridge->revoked++;
}

void posta_bridge_ended(struct posta_bridge *bridge)
{
	bridge->ended++;
}

/* -- the test's side */

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	((struct posta_bridge *)argument)->actor = self;
	return POSTA_OK;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	(void)state;
	(void)message;
	return POSTA_EUNHANDLED;
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

/* Ends after some events, or a moment: a condition that no event brings about is looked at all the same. */
void core_run_once(struct posta_bridge *core)
{
	ev_timer pause;

	ev_timer_init(&pause, on_pause, .02, 0.);
	ev_timer_start(core->loop, &pause);
	ev_run(core->loop, EVRUN_ONCE);
	ev_timer_stop(core->loop, &pause);
}

struct posta_bridge *core_new(const struct posta_bridge_ops *ops, const char *url)
{
	static const struct posta_actor_class klass = {
		.size = sizeof klass, .name = "core", .state_size = 8, .receive = receive, .start = start
	};
	struct posta_bridge *core = calloc(1, sizeof *core);
	struct posta_system_options options = { .size = sizeof options, .workers = POSTA_HOST_DRIVEN };
	struct posta_error error = { 0 };

	assert_non_null(core);
	core->loop = ev_loop_new(EVFLAG_AUTO);
	options.loop = core->loop;
	assert_int_equal(posta_system_start(&options, &core->system, &error), POSTA_OK);
	posta_system_spawn(core->system, &klass, core, NULL, NULL);
	core->next_id = core->confirmed_through = 1;
	core->ops = ops;
	core->options = (struct posta_bridge_options){ .size = sizeof core->options,
						       .message_bytes_max = 16u << 20,
						       .heartbeat_ms = 10000,
						       .connect_timeout_ms = 15000,
						       .pending_max = 65536 };
	snprintf(core->url, sizeof core->url, "%s", url);
	core_wait(core, core->actor);
	return core;
}

enum posta_err core_connect(struct posta_bridge *core, struct posta_error *error)
{
	core->state = calloc(1, core->ops->state_size);
	assert_non_null(core->state);
	return core->ops->connect(core, core->state, error);
}

void core_connected(struct posta_bridge *core)
{
	int ups = core->ups;
	struct posta_error error = { 0 };

	assert_int_equal(core_connect(core, &error), POSTA_OK);
	core_wait(core, core->ups > ups || core->downs);
	if (core->downs)
		fail_msg("down: %s", core->down_text);
}

void core_close(struct posta_bridge *core)
{
	if (!core->state)
		return;
	core->ops->close(core, core->state);
	free(core->state);
	core->state = NULL;
}

void core_free(struct posta_bridge *core)
{
	core_close(core);
	for (size_t i = 0; i < core->delivery_count; i++)
		posta_envelope_unref(core->deliveries[i].envelope);
	for (uint64_t i = 0; i < core->next_id; i++)
		posta_envelope_unref(core->publications[i].envelope);
	posta_envelope_unref(core->reply);
	posta_system_stop(core->system, 1000, NULL);
	ev_loop_destroy(core->loop);
	free(core);
}

void core_run_for(struct posta_bridge *core, double seconds)
{
	for (ev_tstamp until = ev_time() + seconds; ev_time() < until;)
		core_run_once(core);
}

void core_give_up(struct posta_bridge *core, const char *condition, const char *file, int line)
{
	fail_msg("%s:%d: never came: %s (down %d: %s; subscribed: %s; %zu confirms, %zu deliveries)", file, line,
		 condition, core->downs, core->down_text, core->subscribed_text, core->confirm_count,
		 core->delivery_count);
}

static void flush(struct posta_bridge *core)
{
	if (core->ops->flush)
		core->ops->flush(core, core->state);
}

uint64_t core_publish(struct posta_bridge *core, const struct posta_target *target, struct posta_envelope *envelope,
		      bool more)
{
	assert_true(core->next_id < CORE_EVENTS_MAX);
	struct posta_publication *publication = &core->publications[core->next_id];
	const struct posta_publication *batch[1] = { publication };

	publication->id = core->next_id++;
	publication->target = target;
	publication->envelope = envelope;
	while (!core->downs && core->ops->publish(core, core->state, batch, 1) == 0) {
		flush(core);
		core_run_once(core);
	}
	if (!more)
		flush(core);
	return publication->id;
}

struct posta_envelope *core_text(const char *id, const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();

	assert_non_null(envelope);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_ID, id), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_SOURCE, "test"), POSTA_OK);
	assert_int_equal(posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "test.made"), POSTA_OK);
	assert_int_equal(posta_envelope_set_body(envelope, body, strlen(body)), POSTA_OK);
	return envelope;
}

const struct core_confirm *core_confirm_of(const struct posta_bridge *core, uint64_t id)
{
	for (size_t i = 0; i < core->confirm_count; i++)
		if (core->confirms[i].id == id)
			return &core->confirms[i];
	return NULL;
}

void core_settle(struct posta_bridge *core, const struct core_delivery *delivery, enum posta_outcome outcome)
{
	core->ops->settle(core, core->state, delivery->subscription, &delivery->id, 1, outcome);
}
