/* SPDX-License-Identifier: MIT */
/* Bridges, routes and services on memory brokers, each allocation failing once: nothing crashes, leaks or hangs. */
#include "oom.h"

#include <posta/bridge.h>
#include <posta/messaging.h>
#include <posta/router.h>

#include <string.h>

/* -- A bridge -- */

struct user {
	struct posta_bridge *bridge;
	bool publishes;
	bool subscribed, published; /* as the calls said */
	unsigned confirmed, refused, delivered;
};

static struct posta_envelope *envelope_make(const char *body)
{
	struct posta_envelope *envelope = posta_envelope_new();
	if (!envelope)
		return NULL;
	if (oom_worked(posta_envelope_set_text(envelope, POSTA_ATTR_TYPE, "t")) &&
	    oom_worked(posta_envelope_set_body(envelope, body, strlen(body))))
		return envelope;
	posta_envelope_unref(envelope);
	return NULL;
}

static enum posta_err user_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct user *user = state;
	struct posta_error error = { .code = POSTA_OK };
	const struct posta_source source = { .topic = "topic", .group = "group" };
	const struct posta_target target = { .topic = "topic" };
	uint32_t subscription;
	user->subscribed = oom_worked(posta_bridge_subscribe(self, user->bridge, &source, &subscription, &error));
	struct posta_envelope *envelope = user->publishes ? envelope_make("body") : NULL;
	if (envelope)
		user->published = oom_worked(posta_bridge_publish(self, user->bridge, &target, envelope, 1));
	posta_envelope_unref(envelope);
	return POSTA_OK;
}

static enum posta_err user_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct user *user = state;
	if (message->type == POSTA_MSG_PUBLISHED) {
		const struct posta_published *published = posta_data(message);
		user->confirmed += published->result == POSTA_OK;
		user->refused += published->result != POSTA_OK;
	}
	if (message->type == POSTA_MSG_SUBSCRIBED)
		user->refused += ((const struct posta_subscribed *)posta_data(message))->result != POSTA_OK;
	if (message->type != POSTA_MSG_DELIVERY)
		return POSTA_OK;
	user->delivered++;
	posta_settle(self, ((struct posta_delivery *)posta_data(message))->token, POSTA_ACK);
	return POSTA_OK;
}

static const struct posta_actor_class user_class = { .name = "user", .receive = user_receive, .start = user_start };

#define READERS 6 /* beside the user: so many that the front's lists grow */

static enum posta_err reader_start(struct posta_actor *self, void *state, void *argument)
{
	const struct posta_source source = { .topic = "other", .group = "group" };
	struct posta_error error;
	uint32_t subscription;
	(void)argument;
	oom_worked(posta_bridge_subscribe(self, ((struct user *)state)->bridge, &source, &subscription, &error));
	return POSTA_OK;
}

static const struct posta_actor_class reader_class = { .name = "reader",
						       .receive = user_receive,
						       .start = reader_start };

static void use(struct posta_system *system, struct user *user)
{
	struct posta_error error = { .code = POSTA_OK };
	struct user reader = { 0 };
	posta_ref readers[READERS];
	user->bridge = posta_bridge_open(system, "memory:a", NULL, &error);
	if (!user->bridge) {
		assert_false(oom_worked(error.code));
		return;
	}
	posta_ref ref = posta_system_spawn(system, &user_class, user, NULL, &error);
	reader.bridge = user->bridge;
	for (int i = 0; i < READERS; i++)
		readers[i] = posta_system_spawn(system, &reader_class, &reader, NULL, &error);
	posta_system_advance(system, 60000);
	/* Whatever lacked memory once was tried again: the bridge lives, is subscribed, and has handed on. */
	if (user->subscribed && user->published && !user->refused)
		assert_true(user->delivered > 0);
	posta_system_stop_actor(system, ref, POSTA_OK);
	for (int i = 0; i < READERS; i++)
		posta_system_stop_actor(system, readers[i], POSTA_OK);
	posta_system_advance(system, 1000);
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(user->bridge, &status);
	assert_int_equal(status.subscriptions, 0);
	assert_int_equal(status.unsettled, 0);
	posta_bridge_close(user->bridge, 0);
	posta_system_advance(system, 1000);
}

/* What was confirmed comes to the user or, if that one could not subscribe, to the next one of its group. */
static void bridge(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct posta_error error;
	struct user first = { .publishes = true }, second = { .publishes = false };
	struct posta_bridge *keeper = posta_bridge_open(system, "memory:a", NULL, &error); /* the broker stays */
	if (keeper) {
		use(system, &first);
		use(system, &second);
		if (first.confirmed)
			assert_true(first.delivered + second.delivered > 0);
	}
	posta_bridge_close(keeper, 0);
	posta_system_advance(system, 1000);
	oom_stop(system);
}

static void bridge__used__loses_nothing_that_was_confirmed(void **state)
{
	(void)state;
	oom_every(bridge);
}

/* -- What a bridge tells -- */

#define MANY 300 /* answers at a time: more than the pool's blocks that are there already */

struct teller {
	struct posta_bridge *bridge;
	struct posta_envelope *envelope;
	bool asks;
	unsigned taken; /* as the calls said */
	unsigned published, replied;
};

static enum posta_err teller_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct teller *t = state;
	const struct posta_target target = { .topic = "topic" };
	for (int i = 0; i < MANY; i++)
		t->taken += oom_worked(t->asks ? posta_bridge_ask(self, t->bridge, &target, t->envelope, 100, 1)
					       : posta_bridge_publish(self, t->bridge, &target, t->envelope, 1));
	return POSTA_OK;
}

static enum posta_err teller_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct teller *teller = state;
	(void)self;
	teller->published += message->type == POSTA_MSG_PUBLISHED;
	teller->replied += message->type == POSTA_MSG_REPLIED;
	return POSTA_OK;
}

static const struct posta_actor_class teller_class = { .name = "teller",
						       .receive = teller_receive,
						       .start = teller_start };

static void tell(bool asks)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct posta_error error = { .code = POSTA_OK };
	struct teller teller = { .bridge = posta_bridge_open(system, "memory:a", NULL, &error),
				 .envelope = envelope_make("body"),
				 .asks = asks };
	if (teller.bridge && teller.envelope)
		posta_system_spawn(system, &teller_class, &teller, NULL, &error);
	posta_system_advance(system, 60000);
	posta_bridge_close(teller.bridge, 0);
	posta_system_advance(system, 1000);
	assert_int_equal(teller.published, asks ? 0 : teller.taken);
	assert_int_equal(teller.replied, asks ? teller.taken : 0);
	posta_envelope_unref(teller.envelope);
	oom_stop(system);
}

static void publications(void)
{
	tell(false);
}

static void bridge__many_publications__tells_of_each_it_took(void **state)
{
	(void)state;
	oom_every(publications);
}

static void questions(void)
{
	tell(true);
}

static void bridge__many_questions__tells_of_each_it_took(void **state)
{
	(void)state;
	oom_every(questions);
}

/* -- A route -- */

#define BROKERS "brokers: { a: 'memory:a', b: 'memory:b' }\n"
#define ROUTE(name)                                                                                                    \
	"routes:\n  - name: " name "\n    from: { broker: a, topic: in, group: route }\n"                             \
	"    to: { broker: b, topic: out }\n"

static struct posta_router_config *config_of(const char *text, struct posta_error *error)
{
	return posta_router_config_parse(text, strlen(text), "f", NULL, NULL, error);
}

/* Returns: whether there was memory for it; one whose news were lost would not have finished ever. */
static bool reload(struct posta_system *system, struct posta_router *router, const char *text)
{
	struct posta_error error = { .code = POSTA_OK };
	struct posta_router_config *config = config_of(text, &error);
	bool worked = config && oom_worked(posta_router_reload(router, config, &error));
	posta_system_advance(system, 60000);
	return worked;
}

static bool runs(struct posta_router *router, const char *name)
{
	struct posta_route_status status;
	for (size_t i = 0; posta_router_route_status(router, i, &status); i++)
		if (!strcmp(status.name, name) && status.running && !status.drained)
			return true;
	return false;
}

static void route(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct posta_error error = { .code = POSTA_OK };
	struct posta_router_config *config = config_of(BROKERS ROUTE("first"), &error);
	struct posta_router *router = config ? posta_router_start(system, config, NULL, &error) : NULL;
	if (!router)
		assert_false(oom_worked(error.code));
	posta_system_advance(system, 60000);
	if (router && !posta_router_stopped(router)) { /* else its manager lacked memory to begin */
		bool changed = reload(system, router, BROKERS ROUTE("second"));
		assert_true(runs(router, changed ? "second" : "first"));
		changed |= reload(system, router, BROKERS ROUTE("second"));
		assert_true(changed);
	}
	if (router)
		posta_router_stop(router, 100);
	posta_system_advance(system, 10000);
	if (router)
		assert_true(posta_router_stopped(router));
	oom_stop(system);
	posta_router_free(router);
}

static void router__started_changed_and_stopped__does_all_it_said(void **state)
{
	(void)state;
	oom_every(route);
}

/* -- The services -- */

static void services(void)
{
	struct posta_system *system = oom_system_in_time();
	if (!system)
		return;
	struct posta_error error = { .code = POSTA_OK };
	const struct posta_messaging_options options = {
		.system = system,
		.kafka_brokers = "memory:bus",
		.rabbitmq_url = "memory:work",
		.mqtt_broker_url = "memory:field",
		.service_name = "oom",
	};
	struct posta_messaging *messaging = NULL;
	enum posta_err started = posta_messaging_start(&options, &messaging, &error);
	if (started != POSTA_ETIMEDOUT && oom_worked(started)) { /* a service that lacked memory is not ready in time */
		struct posta_event *event = posta_event_create(POSTA_EVENT_RESERVA_CREADA, "{}", "test");
		if (event)
			oom_worked(
				posta_event_bus_publish(posta_messaging_event_bus(messaging), "t", event, NULL, NULL));
		posta_event_unref(event);
		kit_settle(system);
		oom_worked(posta_messaging_stop(messaging, 30000, NULL)); /* it is told its end, whatever lacks */
	}
	posta_messaging_free(messaging);
	kit_settle(system);
	oom_stop(system);
}

static void messaging__started_and_stopped__fails_cleanly(void **state)
{
	(void)state;
	oom_every(services);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge__used__loses_nothing_that_was_confirmed),
		cmocka_unit_test(bridge__many_publications__tells_of_each_it_took),
		cmocka_unit_test(bridge__many_questions__tells_of_each_it_took),
		cmocka_unit_test(router__started_changed_and_stopped__does_all_it_said),
		cmocka_unit_test(messaging__started_and_stopped__fails_cleanly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
