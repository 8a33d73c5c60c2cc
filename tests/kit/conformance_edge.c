/* SPDX-License-Identifier: MIT */
/* The edges: many sizes, one credit, crossed outcomes, things done at the wrong time, several hosts. */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish__two_publishers__each_keeps_its_order(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct kit_user *other = kit_user(world);
	for (unsigned i = 0; i < 10; i++) {
		kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, i * 20, 20);
		kit_publish_numbers(other, flow.bridge, &flow.pair.target, 1000 + i * 20, 20);
	}
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 400));
	KIT_EXPECT(world, kit_wait(world, &other->confirmed, 200));
	long next[2] = { 0, 1000 };
	for (size_t i = 0; i < 400; i++) {
		long number = kit_number(flow.user, i);
		KIT_EXPECT(world, number == next[number >= 1000]++);
	}
}

static void publish__raw__only_the_body_arrives(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_target raw = flow.pair.target;
	raw.format = POSTA_FORMAT_RAW;
	struct posta_envelope *envelope = kit_text("as it is");
	posta_envelope_set_text(envelope, POSTA_ATTR_SUBJECT, "left behind");
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &raw, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	struct posta_bytes body = posta_envelope_body(flow.user->deliveries[0].envelope);
	KIT_EXPECT(world, body.len == 8 && memcmp(body.data, "as it is", 8) == 0);
	KIT_EXPECT(world, !posta_envelope_text(flow.user->deliveries[0].envelope, POSTA_ATTR_SUBJECT)[0]);
}

/* Around the lengths that protocols and their buffers are made of. */
static void body__many_sizes__arrive_whole(struct kit_world *world)
{
	static const size_t sizes[] = { 127,   128,   255,   256,    4087,   4088,  16383,
					16384, 65535, 65536, 131063, 131072, 262145 };
	const size_t count = sizeof sizes / sizeof sizes[0];
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	for (size_t n = 0; n < count; n++) {
		unsigned char *data = malloc(sizes[n]);
		KIT_EXPECT(world, data);
		for (size_t i = 0; i < sizes[n]; i++)
			data[i] = (unsigned char)(i * 7 + n);
		enum posta_err result =
			kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_bytes(data, sizes[n]), n);
		free(data);
		KIT_EXPECT(world, !result);
	}
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, count));
	for (size_t n = 0; n < count; n++) {
		struct posta_bytes body = posta_envelope_body(flow.user->deliveries[n].envelope);
		KIT_EXPECT(world, body.len == sizes[n]);
		for (size_t i = 0; i < body.len; i++)
			KIT_EXPECT(world, ((const unsigned char *)body.data)[i] == (unsigned char)(i * 7 + n));
	}
}

static void header__fifty_and_long_ones__arrive(struct kit_world *world)
{
	struct kit_flow flow;
	char name[16], value[1024];
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_envelope *envelope = kit_text("x");
	memset(value, 'v', sizeof value);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "x-n%02d", i);
		posta_envelope_add_header(envelope, name, value, (size_t)i * 20 + 1);
	}
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "x-n%02d", i);
		struct posta_bytes got = posta_envelope_header(flow.user->deliveries[0].envelope, name);
		KIT_EXPECT(world, got.len == (size_t)i * 20 + 1 && memcmp(got.data, value, got.len) == 0);
	}
}

static void header__utf8__arrives(struct kit_world *world)
{
	static const char text[] = "\u00a1ma\u00f1ana \u4f60\u597d \U0001f600";
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_envelope *envelope = kit_text("x");
	posta_envelope_add_header(envelope, "x-text", text, sizeof text - 1);
	KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, envelope, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	struct posta_bytes got = posta_envelope_header(flow.user->deliveries[0].envelope, "x-text");
	KIT_EXPECT(world, got.len == sizeof text - 1 && memcmp(got.data, text, got.len) == 0);
}

static void credit__of_one__one_at_a_time(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 1, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 5);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 5));
	for (size_t i = 0; i < 5; i++) {
		KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, i + 1));
		kit_quiet(world, 50);
		KIT_EXPECT(world, flow.user->delivered == i + 1);
		KIT_EXPECT(world, kit_number(flow.user, i) == (long)i);
		kit_settle(flow.user, i, POSTA_ACK);
	}
}

static void credit__one_is_used_up__another_subscription_goes_on(struct kit_world *world)
{
	struct kit_flow slow;
	struct kit_pair quick;
	KIT_EXPECT(world, kit_flow(world, &slow, true, 2, false));
	struct kit_user *user = kit_user(world);
	user->acks = true;
	kit_pair(world, &quick, true);
	KIT_EXPECT(world, kit_subscribe(user, slow.bridge, &quick.source));
	kit_publish_numbers(slow.user, slow.bridge, &slow.pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &slow.user->delivered, 2));
	kit_publish_numbers(user, slow.bridge, &quick.target, 0, 100);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 100));
	KIT_EXPECT(world, kit_in_order(user, 0, 0, 100));
	KIT_EXPECT(world, slow.user->delivered == 2);
}

static void settle__backwards__all_are_settled(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 30);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 30));
	for (size_t i = 30; i-- > 0;)
		kit_settle(flow.user, i, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 30));
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 0);
	KIT_EXPECT(world, kit_close(world, flow.bridge, 5000));
	struct posta_bridge *next = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	KIT_EXPECT(world, kit_subscribe(user, next, &flow.pair.source));
	kit_publish_numbers(user, next, &flow.pair.target, 30, 1);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 1));
	KIT_EXPECT(world, kit_number(user, 0) == 30);
}

static void settle__mixed_outcomes__only_the_requeued_come_again(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 12);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 12));
	for (size_t i = 0; i < 12; i++)
		kit_settle(flow.user, i, i % 3 == 0 ? POSTA_ACK : i % 3 == 1 ? POSTA_REJECT : POSTA_REQUEUE);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 16));
	kit_quiet(world, 150);
	KIT_EXPECT(world, flow.user->delivered == 16);
	for (long number = 0; number < 12; number++)
		KIT_EXPECT(world, kit_times(flow.user, 12, number) == (number % 3 == 2));
}

static void settle__token_that_never_was__is_counted_and_ignored(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	struct posta_token good = flow.user->deliveries[0].token, bad = good;
	bad.id += 7777;
	kit_settle_token(flow.user, bad, POSTA_ACK);
	bad = good;
	bad.subscription += 50;
	kit_settle_token(flow.user, bad, POSTA_REQUEUE);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, stale), 2));
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 1);
	kit_settle_token(flow.user, good, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 1));
}

static void pause__before_a_reconnect__holds_behind_it(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_pause(flow.user, flow.bridge, flow.subscription);
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	size_t before = flow.user->subscribed;
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &flow.user->subscribed, before + 1));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 5);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 5));
	kit_quiet(world, 300);
	KIT_EXPECT(world, flow.user->delivered == 0);
	kit_resume(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 5));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 5));
}

static void resume__without_a_pause__changes_nothing(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 3, false));
	kit_resume(flow.user, flow.bridge, flow.subscription);
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 6);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	kit_resume(flow.user, flow.bridge, flow.subscription);
	kit_quiet(world, 150);
	KIT_EXPECT(world, flow.user->delivered == 3);
}

static void subscribe__twice_by_one_user__each_delivers(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	user->acks = true;
	kit_pair(world, &pair, false);
	uint32_t first = kit_subscribe(user, bridge, &pair.source), second = kit_subscribe(user, bridge, &pair.source);
	KIT_EXPECT(world, first && second && first != second);
	kit_publish_numbers(user, bridge, &pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 20));
	for (long number = 0; number < 10; number++)
		KIT_EXPECT(world, kit_times(user, 0, number) == 2);
}

/* The first consumer leaves in the middle of the flow: what it does not settle is the second one's. */
static void unsubscribe__while_busy__nothing_is_lost(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 10, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 300);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 20));
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *heir = kit_user(world);
	heir->acks = true;
	uint32_t subscription;
	struct posta_error error;
	KIT_EXPECT(world, !kit_try_subscribe(heir, bridge, &flow.pair.source, &subscription, &error));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 300));
	size_t left = 300 - flow.user->delivered;
	KIT_EXPECT(world, kit_wait(world, &heir->delivered, left));
	for (long number = 0; number < 300; number++)
		KIT_EXPECT(world, kit_times(flow.user, 0, number) + kit_times(heir, 0, number) >= 1);
}

static void unsubscribe__unknown_or_twice__is_ignored(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription + 100);
	kit_pause(flow.user, flow.bridge, flow.subscription + 100);
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
	kit_quiet(world, 100);
	KIT_EXPECT(world, flow.user->closed == 1);
	KIT_EXPECT(world, kit_status(flow.bridge).subscriptions == 0);
}

static void subscriber__ends__its_subscription_does_too(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	KIT_EXPECT(world, kit_status(flow.bridge).subscriptions == 1);
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	kit_user_end(flow.user);
	kit_quiet(world, 100);
	KIT_EXPECT(world, kit_status(flow.bridge).subscriptions == 0);
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 0);
	KIT_EXPECT(world, kit_status(flow.bridge).state == POSTA_BRIDGE_CONNECTED);
}

static void state__watcher_ends__the_others_are_told_on(struct kit_world *world)
{
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *first = kit_user(world), *second = kit_user(world);
	kit_watch(first, bridge);
	kit_watch(second, bridge);
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_CONNECTED));
	KIT_EXPECT(world, kit_wait(world, &second->state_count, 1));
	kit_user_end(first);
	KIT_EXPECT(world, kit_close(world, bridge, 1000));
	KIT_EXPECT(world, second->states[second->state_count - 1] == POSTA_BRIDGE_CLOSED);
}

static void status__refused_publications__are_counted_apart(struct kit_world *world)
{
	struct posta_bridge_options options = kit_options(world);
	struct kit_pair pair;
	options.message_bytes_max = 1000;
	struct posta_bridge *bridge = kit_open(world, &options);
	struct kit_user *user = kit_user(world);
	char large[1001] = { 0 };
	kit_pair(world, &pair, true);
	KIT_EXPECT(world, !kit_publish(user, bridge, &pair.target, kit_bytes(large, sizeof large), 1));
	KIT_EXPECT(world, !kit_publish(user, bridge, &pair.target, kit_bytes(large, sizeof large - 1), 2));
	KIT_EXPECT(world, kit_wait(world, &user->answered, 2));
	struct posta_bridge_status status = kit_status(bridge);
	KIT_EXPECT(world, status.published == 1 && status.publish_failed == 1 && status.pending == 0);
}

static void close__while_paused__gives_back_and_ends(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 3));
	kit_pause(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_close(world, flow.bridge, 200));
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
}

static void close__while_down__tells_its_subscribers(struct kit_world *world)
{
	struct kit_pair pair;
	uint32_t subscription;
	struct posta_error error;
	kit_down(world);
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, true);
	KIT_EXPECT(world, !kit_try_subscribe(user, bridge, &pair.source, &subscription, &error));
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_DOWN));
	KIT_EXPECT(world, kit_close(world, bridge, 5000));
	KIT_EXPECT(world, kit_wait(world, &user->closed, 1));
}

/* The first of two is a port where nobody listens. */
static void open__one_of_two_hosts_is_dead__connects_to_the_other(struct kit_world *world)
{
	const char *url = world->kit->url(), *authority = strstr(url, "://");
	char both[256];
	struct posta_error error = { 0 };
	struct posta_bridge_options options = kit_options(world);
	KIT_EXPECT(world, authority);
	const char *at = strrchr(authority, '@'), *hosts = at ? at + 1 : authority + 3;
	snprintf(both, sizeof both, "%.*s127.0.0.1:1,%s", (int)(hosts - url), url, hosts);
	options.client_id = "two-hosts";
	struct posta_bridge *bridge = posta_bridge_open(world->system, both, &options, &error);
	KIT_EXPECT(world, bridge);
	world->fronts[world->bridge_count] = posta_bridge_ref(bridge);
	world->bridges[world->bridge_count++] = bridge;
	KIT_EXPECT(world, kit_wait_state(world, bridge, POSTA_BRIDGE_CONNECTED));
	struct kit_pair pair;
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, true);
	kit_publish_numbers(user, bridge, &pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 3));
}

const struct kit_behaviour kit_edge_behaviours[] = {
	{ "publish__two_publishers__each_keeps_its_order", 0, 0, publish__two_publishers__each_keeps_its_order },
	{ "publish__raw__only_the_body_arrives", 0, 0, publish__raw__only_the_body_arrives },
	{ "body__many_sizes__arrive_whole", 0, 0, body__many_sizes__arrive_whole },
	{ "header__fifty_and_long_ones__arrive", POSTA_CAN_HEADERS, 0, header__fifty_and_long_ones__arrive },
	{ "header__utf8__arrives", POSTA_CAN_HEADERS, 0, header__utf8__arrives },
	{ "credit__of_one__one_at_a_time", POSTA_CAN_CREDIT, 0, credit__of_one__one_at_a_time },
	{ "credit__one_is_used_up__another_subscription_goes_on", 0, 0,
	  credit__one_is_used_up__another_subscription_goes_on },
	{ "settle__backwards__all_are_settled", 0, 0, settle__backwards__all_are_settled },
	{ "settle__mixed_outcomes__only_the_requeued_come_again", POSTA_CAN_REQUEUE, KIT_LACKS_REJECT_APART,
	  settle__mixed_outcomes__only_the_requeued_come_again },
	{ "settle__token_that_never_was__is_counted_and_ignored", 0, 0,
	  settle__token_that_never_was__is_counted_and_ignored },
	{ "pause__before_a_reconnect__holds_behind_it", 0, 0, pause__before_a_reconnect__holds_behind_it },
	{ "resume__without_a_pause__changes_nothing", POSTA_CAN_CREDIT, 0, resume__without_a_pause__changes_nothing },
	{ "subscribe__twice_by_one_user__each_delivers", 0, 0, subscribe__twice_by_one_user__each_delivers },
	{ "unsubscribe__while_busy__nothing_is_lost", 0, KIT_LACKS_HANDOVER, unsubscribe__while_busy__nothing_is_lost },
	{ "unsubscribe__unknown_or_twice__is_ignored", 0, 0, unsubscribe__unknown_or_twice__is_ignored },
	{ "subscriber__ends__its_subscription_does_too", 0, 0, subscriber__ends__its_subscription_does_too },
	{ "state__watcher_ends__the_others_are_told_on", 0, 0, state__watcher_ends__the_others_are_told_on },
	{ "status__refused_publications__are_counted_apart", 0, 0, status__refused_publications__are_counted_apart },
	{ "close__while_paused__gives_back_and_ends", 0, 0, close__while_paused__gives_back_and_ends },
	{ "close__while_down__tells_its_subscribers", 0, 0, close__while_down__tells_its_subscribers },
	{ "open__one_of_two_hosts_is_dead__connects_to_the_other", 0, KIT_LACKS_HOSTS,
	  open__one_of_two_hosts_is_dead__connects_to_the_other },
	{ NULL, 0, 0, NULL },
};
