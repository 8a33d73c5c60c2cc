/* SPDX-License-Identifier: MIT */
/* How it begins, breaks, comes back and ends; and what it says about itself. */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reconnect__subscription__is_in_force_again(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	size_t before = flow.user->subscribed;
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &flow.user->subscribed, before + 1));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 10));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 10));
	KIT_EXPECT(world, kit_status(flow.bridge).connects >= 2);
	KIT_EXPECT(world, kit_status(flow.bridge).restarts >= 1);
}

/* Those that were under way when it broke may come twice; the first of each come in order. */
static bool first_ones_in_order(const struct kit_user *user, long count)
{
	long next = 0;
	for (size_t i = 0; i < user->delivered; i++) {
		long number = kit_number(user, i);
		if (number > next)
			return false;
		next += number == next;
	}
	return next == count;
}

static void publish__while_down__is_kept_in_order(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 10));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 10));
	kit_publish_and_down(flow.user, flow.bridge, &flow.pair.target, 10, 40);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 50, 50);
	kit_quiet(world, 100);
	KIT_EXPECT(world, flow.user->answered == 10);
	KIT_EXPECT(world, kit_status(flow.bridge).pending == 90);
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 100));
	for (size_t i = 0; i < 100; i++)
		KIT_EXPECT(world, flow.user->published[i].cookie == i);
	size_t at_least = 100;
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, at_least));
	kit_quiet(world, 100);
	KIT_EXPECT(world, first_ones_in_order(flow.user, 100));
}

static void open__broker_is_down__connects_when_it_is_up(struct kit_world *world)
{
	struct kit_pair pair;
	kit_down(world);
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	uint32_t subscription;
	struct posta_error error;
	user->acks = true;
	kit_pair(world, &pair, true);
	KIT_EXPECT(world, !kit_try_subscribe(user, bridge, &pair.source, &subscription, &error));
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_DOWN));
	KIT_EXPECT(world, kit_status(bridge).last_error[0]);
	KIT_EXPECT(world, kit_status(bridge).connects == 0);
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &user->subscribed, 1));
	KIT_EXPECT(world, kit_status(bridge).connects == 1);
	kit_publish_numbers(user, bridge, &pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 3));
}

static void state__watched__tells_each_change(struct kit_world *world)
{
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_watch(user, bridge);
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_CONNECTED));
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_DOWN));
	kit_up(world);
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_CONNECTED));
	KIT_EXPECT(world, kit_close(world, bridge, 1000));
	KIT_EXPECT(world, user->state_count >= 6);
	size_t downs = 0, connects = 0;
	for (size_t i = 0; i < user->state_count; i++) {
		KIT_EXPECT(world, i == 0 || user->states[i] != user->states[i - 1]);
		downs += user->states[i] == POSTA_BRIDGE_DOWN;
		connects += user->states[i] == POSTA_BRIDGE_CONNECTED;
	}
	KIT_EXPECT(world, downs >= 1 && connects == 2);
	KIT_EXPECT(world, user->states[user->state_count - 2] == POSTA_BRIDGE_CLOSING);
	KIT_EXPECT(world, user->states[user->state_count - 1] == POSTA_BRIDGE_CLOSED);
}

static void close__confirms_what_is_pending(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 100);
	KIT_EXPECT(world, kit_close(world, flow.bridge, 10000));
	KIT_EXPECT(world, kit_wait(world, &flow.user->answered, 100));
	KIT_EXPECT(world, flow.user->confirmed == 100);
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
}

static void close__while_down__reports_what_is_pending(struct kit_world *world)
{
	struct kit_pair pair;
	kit_down(world);
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, true);
	kit_publish_numbers(user, bridge, &pair.target, 0, 3);
	KIT_EXPECT(world, kit_close(world, bridge, 100));
	KIT_EXPECT(world, kit_wait(world, &user->answered, 3));
	for (size_t i = 0; i < 3; i++)
		KIT_EXPECT(world, user->published[i].result == POSTA_ECLOSED);
}

static void close__while_connecting__ends(struct kit_world *world)
{
	struct posta_bridge *bridge = kit_open(world, NULL);
	posta_system_step(world->system, 0);
	KIT_EXPECT(world, kit_close(world, bridge, 100));
}

static void close__at_once__ends(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 5);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 5));
	KIT_EXPECT(world, kit_close(world, flow.bridge, 0));
	kit_settle(flow.user, 0, POSTA_ACK); /* to nobody */
}

static void close__unsettled__goes_back(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 3));
	KIT_EXPECT(world, kit_close(world, flow.bridge, 100));
	struct posta_bridge *next = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	KIT_EXPECT(world, kit_subscribe(user, next, &flow.pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 3));
	KIT_EXPECT(world, kit_in_order(user, 0, 0, 3));
}

static void close__null__is_allowed(struct kit_world *world)
{
	posta_bridge_close(NULL, 100);
	KIT_EXPECT(world, world->bridge_count == 0);
}

static void publish__after_close__is_dead(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	posta_ref front = posta_bridge_ref(flow.bridge);
	KIT_EXPECT(world, kit_close(world, flow.bridge, 1000));
	uint32_t nothing = 0;
	KIT_EXPECT(world, posta_system_send(world->system, front, 1, &nothing, sizeof nothing) == POSTA_EDEAD);
}

static void status__counts(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 20);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 20));
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 20));
	struct posta_bridge_status status = kit_status(flow.bridge);
	KIT_EXPECT(world, status.state == POSTA_BRIDGE_CONNECTED);
	KIT_EXPECT(world, status.connects == 1 && status.restarts == 0);
	KIT_EXPECT(world, status.published == 20 && status.publish_failed == 0 && status.pending == 0);
	KIT_EXPECT(world, status.delivered == 20 && status.settled == 20 && status.unsettled == 0 && status.stale == 0);
	KIT_EXPECT(world, status.subscriptions == 1);
	KIT_EXPECT(world, status.since_ms > 1700000000000);
	KIT_EXPECT(world, strcmp(status.name, world->kit->ops->name) == 0);
	KIT_EXPECT(world, status.client_id[0]);
}

/* To a port where nobody listens, with a password that must be nowhere. */
static void credentials__are_redacted(struct kit_world *world)
{
	char url[128];
	struct posta_error error = { 0 };
	struct posta_bridge_options options = kit_options(world);
	snprintf(url, sizeof url, "%s://someone:s3cr3t@127.0.0.1:1", world->kit->ops->schemes[0]);
	options.client_id = "redacted";
	struct posta_bridge *bridge = posta_bridge_open(world->system, url, &options, &error);
	if (!bridge) { /* it takes no passwords there: the refusal must not repeat it */
		KIT_EXPECT(world, error.text[0] && !strstr(error.text, "s3cr3t"));
		return;
	}
	world->fronts[world->bridge_count] = posta_bridge_ref(bridge);
	world->bridges[world->bridge_count++] = bridge;
	kit_quiet(world, 700);
	struct posta_bridge_status status = kit_status(bridge);
	KIT_EXPECT(world, status.url[0] && !strstr(status.url, "s3cr3t"));
	KIT_EXPECT(world, !strstr(status.last_error, "s3cr3t"));
	KIT_EXPECT(world, !strstr(world->log, "s3cr3t"));
}

static void open__bad_url__says_so(struct kit_world *world)
{
	struct posta_error error = { 0 };
	KIT_EXPECT(world, !posta_bridge_open(world->system, "no url", NULL, &error));
	KIT_EXPECT(world, error.code == POSTA_EINVAL && error.text[0]);
	KIT_EXPECT(world, !posta_bridge_open(world->system, "gopher://x", NULL, &error));
	KIT_EXPECT(world, error.code == POSTA_EUNSUPPORTED && error.text[0]);
}

const struct kit_behaviour kit_life_behaviours[] = {
	{ "reconnect__subscription__is_in_force_again", 0, 0, reconnect__subscription__is_in_force_again },
	{ "publish__while_down__is_kept_in_order", 0, 0, publish__while_down__is_kept_in_order },
	{ "open__broker_is_down__connects_when_it_is_up", 0, 0, open__broker_is_down__connects_when_it_is_up },
	{ "state__watched__tells_each_change", 0, 0, state__watched__tells_each_change },
	{ "close__confirms_what_is_pending", 0, 0, close__confirms_what_is_pending },
	{ "close__while_down__reports_what_is_pending", 0, 0, close__while_down__reports_what_is_pending },
	{ "close__while_connecting__ends", 0, 0, close__while_connecting__ends },
	{ "close__at_once__ends", 0, 0, close__at_once__ends },
	{ "close__unsettled__goes_back", POSTA_CAN_QUEUES, 0, close__unsettled__goes_back },
	{ "close__null__is_allowed", 0, 0, close__null__is_allowed },
	{ "publish__after_close__is_dead", 0, 0, publish__after_close__is_dead },
	{ "status__counts", 0, 0, status__counts },
	{ "credentials__are_redacted", 0, 0, credentials__are_redacted },
	{ "open__bad_url__says_so", 0, 0, open__bad_url__says_so },
	{ NULL, 0, 0, NULL },
};
