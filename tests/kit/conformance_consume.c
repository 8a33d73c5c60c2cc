/* SPDX-License-Identifier: MIT */
/* What comes out: settling, credit, pause, unsubscribing, groups and queues. */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void settlements_leave(struct kit_world *world)
{
	kit_quiet(world, world->kit->settle_ms ? world->kit->settle_ms : 1000);
}

static void settle__unsettled__comes_again_after_a_reconnect(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 6);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 6));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 6));
	for (size_t i = 0; i < 3; i++)
		kit_settle(flow.user, i, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 3));
	settlements_leave(world);
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	size_t before = flow.user->delivered;
	kit_up(world);
	size_t settled = world->kit->lacks & KIT_LACKS_SETTLE_APART ? 3 : 0; /* come again */
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, before + 3 + settled));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 6, 1); /* behind all that may come again */
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, before + 4 + settled));
	KIT_EXPECT(world, kit_in_order(flow.user, before + settled, 3, 4));
}

static void settle__settled__does_not_come_again_after_a_reconnect(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 6);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 6));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 6));
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 6));
	settlements_leave(world);
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	size_t before = flow.user->subscribed;
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &flow.user->subscribed, before + 1));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 6, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 7));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 7));
}

static void settle__stale_token__is_counted_and_ignored(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 1));
	kit_down(world);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	kit_up(world);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 2));
	KIT_EXPECT(world, kit_number(flow.user, 1) == 0);
	kit_settle(flow.user, 0, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, stale), 1));
	KIT_EXPECT(world, kit_status(flow.bridge).settled == 0);
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 1);
	kit_settle(flow.user, 1, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 1));
}

static void settle__twice__is_counted_as_stale(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 2);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 2));
	kit_settle(flow.user, 0, POSTA_ACK);
	kit_settle(flow.user, 0, POSTA_ACK);
	kit_settle(flow.user, 0, POSTA_REQUEUE);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, stale), 2));
	KIT_EXPECT(world, kit_status(flow.bridge).settled == 1);
	kit_settle(flow.user, 1, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 2));
	KIT_EXPECT(world, flow.user->delivered == 2);
}

static void settle__requeue__comes_again_marked(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 5, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	kit_settle(flow.user, 0, POSTA_REQUEUE);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 2));
	KIT_EXPECT(world, kit_number(flow.user, 1) == 5);
	KIT_EXPECT(world, flow.user->deliveries[1].redelivered);
	kit_settle(flow.user, 1, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 2));
}

static void settle__reject__never_comes_again(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	kit_settle(flow.user, 0, POSTA_REJECT);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, settled), 1));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 1, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 2));
	KIT_EXPECT(world, kit_number(flow.user, 1) == 1);
	kit_quiet(world, 100);
	KIT_EXPECT(world, flow.user->delivered == 2);
}

static void credit__is_the_most_unsettled(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 5, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 40);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 40));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 5));
	kit_quiet(world, 200);
	KIT_EXPECT(world, flow.user->delivered == 5);
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 5);
	for (size_t i = 0; i < 40; i++) {
		KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, i + 1));
		KIT_EXPECT(world, flow.user->delivered <= i + 5);
		kit_settle(flow.user, i, POSTA_ACK);
	}
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 40));
}

/* Without a broker that counts: the core pauses, and what is on its way still comes. All of it must come in the end. */
static void credit__settling__brings_the_rest(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 8, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 200);
	for (size_t i = 0; i < 200; i++) {
		KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, i + 1));
		kit_settle(flow.user, i, POSTA_ACK);
	}
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 200));
}

static void pause_and_resume(struct kit_world *world, int times)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 4, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	for (int i = 0; i < times; i++)
		kit_pause(flow.user, flow.bridge, flow.subscription);
	kit_quiet(world, 100);
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 1, 100);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 101));
	kit_quiet(world, 200);
	KIT_EXPECT(world, flow.user->delivered <= 1 + 2 * 4); /* at most what was on its way */
	for (int i = 0; i < times; i++)
		kit_resume(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 101));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 101));
}

static void pause__stops_and_resume_continues(struct kit_world *world)
{
	pause_and_resume(world, 1);
}

static void pause__twice__is_as_once(struct kit_world *world)
{
	pause_and_resume(world, 2);
}

static void unsubscribe__stops(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 1));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 1, 5);
	KIT_EXPECT(world, kit_wait(world, &flow.user->answered, 6));
	kit_quiet(world, 100);
	KIT_EXPECT(world, flow.user->delivered == 1);
	KIT_EXPECT(world, kit_status(flow.bridge).subscriptions == 0);
}

static void unsubscribe__unsettled__may_still_be_settled(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 3));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	for (size_t i = 0; i < 3; i++)
		kit_settle(flow.user, i, POSTA_ACK);
	KIT_EXPECT(world, kit_wait(world, &flow.user->closed, 1));
	KIT_EXPECT(world, kit_status(flow.bridge).settled == 3);
	KIT_EXPECT(world, kit_status(flow.bridge).stale == 0);
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 0);
}

static void topic__two_subscribers__each_gets_all(struct kit_world *world)
{
	struct kit_pair pair;
	struct kit_user *users[2];
	struct posta_bridge *bridges[2];
	kit_pair(world, &pair, false);
	for (int i = 0; i < 2; i++) {
		bridges[i] = kit_open(world, NULL);
		users[i] = kit_user(world);
		users[i]->acks = true;
		KIT_EXPECT(world, kit_subscribe(users[i], bridges[i], &pair.source));
	}
	kit_publish_numbers(users[0], bridges[0], &pair.target, 0, 50);
	for (int i = 0; i < 2; i++) {
		KIT_EXPECT(world, kit_wait(world, &users[i]->delivered, 50));
		KIT_EXPECT(world, kit_in_order(users[i], 0, 0, 50));
	}
}

static bool both_have(void *context)
{
	const struct kit_world *world = context;
	return world->users[0].delivered + world->users[1].delivered >= 60;
}

/* Each number once in all; each consumer's own in order. */
static void shared(struct kit_world *world, const struct kit_pair *pair, const char *group, bool both)
{
	struct posta_source source = pair->source;
	source.credit = 10;
	source.group = group ? group : source.group;
	for (int i = 0; i < 2; i++) {
		kit_open(world, NULL);
		kit_user(world)->acks = true;
		KIT_EXPECT(world, kit_subscribe(&world->users[i], world->bridges[i], &source));
	}
	kit_publish_numbers(&world->users[0], world->bridges[0], &pair->target, 0, 60);
	KIT_EXPECT(world, posta_system_run_until(world->system, both_have, world, 40000));
	kit_quiet(world, 100);
	KIT_EXPECT(world, world->users[0].delivered + world->users[1].delivered == 60);
	for (long number = 0; number < 60; number++)
		KIT_EXPECT(world, kit_times(&world->users[0], 0, number) + kit_times(&world->users[1], 0, number) == 1);
	KIT_EXPECT(world, !both || (world->users[0].delivered && world->users[1].delivered));
}

static void queue__two_consumers__share(struct kit_world *world)
{
	struct kit_pair pair;
	kit_pair(world, &pair, true);
	shared(world, &pair, NULL, pair.source.queue); /* partitions of a log may all be one consumer's */
}

static void group__two_consumers__each_message_once(struct kit_world *world)
{
	struct kit_pair pair;
	kit_pair(world, &pair, false);
	shared(world, &pair, pair.names[0], false);
}

static void group__comes_back__goes_on_where_it_was(struct kit_world *world)
{
	struct kit_flow flow;
	kit_pair(world, &flow.pair, false);
	flow.pair.source.group = flow.pair.names[0];
	flow.bridge = kit_open(world, NULL);
	flow.user = kit_user(world);
	flow.user->acks = true;
	KIT_EXPECT(world, kit_subscribe(flow.user, flow.bridge, &flow.pair.source));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 10));
	KIT_EXPECT(world, kit_close(world, flow.bridge, 5000));
	struct posta_bridge *later = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	user->acks = true;
	kit_publish_numbers(user, later, &flow.pair.target, 10, 1);
	KIT_EXPECT(world, kit_subscribe(user, later, &flow.pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 1));
	KIT_EXPECT(world, kit_number(user, 0) == 10);
}

static void subscriber__ends__its_messages_go_to_another(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, false));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 4);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 4));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 4));
	kit_user_end(flow.user);
	struct kit_user *heir = kit_user(world);
	KIT_EXPECT(world, kit_subscribe(heir, flow.bridge, &flow.pair.source));
	KIT_EXPECT(world, kit_wait(world, &heir->delivered, 4));
	KIT_EXPECT(world, kit_in_order(heir, 0, 0, 4));
}

static void wildcard__matches_several_topics(struct kit_world *world)
{
	struct kit_pair first, second, other;
	struct posta_source source;
	char name[KIT_NAME_MAX];
	memset(&first, 0, sizeof first);
	memset(&second, 0, sizeof second);
	world->kit->wildcard(&first, &second, &source, name);
	kit_pair(world, &other, false);
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	KIT_EXPECT(world, kit_subscribe(user, bridge, &source));
	kit_publish_numbers(user, bridge, &first.target, 1, 1);
	kit_publish_numbers(user, bridge, &other.target, 2, 1);
	kit_publish_numbers(user, bridge, &second.target, 3, 1);
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 2));
	kit_quiet(world, 100);
	KIT_EXPECT(world, user->delivered == 2);
	KIT_EXPECT(world, kit_times(user, 0, 1) == 1 && kit_times(user, 0, 3) == 1);
}

static void subscribe__no_source__is_invalid(struct kit_world *world)
{
	const struct posta_source nowhere = { .size = sizeof nowhere };
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	struct posta_error error = { 0 };
	uint32_t subscription;
	KIT_EXPECT(world, kit_try_subscribe(user, bridge, &nowhere, &subscription, &error) == POSTA_EINVAL);
	KIT_EXPECT(world, error.text[0]);
}

const struct kit_behaviour kit_consume_behaviours[] = {
	{ "settle__unsettled__comes_again_after_a_reconnect", 0, KIT_LACKS_DURABLE,
	  settle__unsettled__comes_again_after_a_reconnect },
	{ "settle__settled__does_not_come_again_after_a_reconnect", 0, KIT_LACKS_DURABLE,
	  settle__settled__does_not_come_again_after_a_reconnect },
	{ "settle__stale_token__is_counted_and_ignored", 0, KIT_LACKS_DURABLE,
	  settle__stale_token__is_counted_and_ignored },
	{ "settle__twice__is_counted_as_stale", 0, 0, settle__twice__is_counted_as_stale },
	{ "settle__requeue__comes_again_marked", POSTA_CAN_REQUEUE, 0, settle__requeue__comes_again_marked },
	{ "settle__reject__never_comes_again", 0, KIT_LACKS_REJECT_APART, settle__reject__never_comes_again },
	{ "credit__is_the_most_unsettled", POSTA_CAN_CREDIT, 0, credit__is_the_most_unsettled },
	{ "credit__settling__brings_the_rest", 0, 0, credit__settling__brings_the_rest },
	{ "pause__stops_and_resume_continues", 0, 0, pause__stops_and_resume_continues },
	{ "pause__twice__is_as_once", 0, 0, pause__twice__is_as_once },
	{ "unsubscribe__stops", 0, 0, unsubscribe__stops },
	{ "unsubscribe__unsettled__may_still_be_settled", 0, 0, unsubscribe__unsettled__may_still_be_settled },
	{ "topic__two_subscribers__each_gets_all", 0, 0, topic__two_subscribers__each_gets_all },
	{ "queue__two_consumers__share", POSTA_CAN_QUEUES, 0, queue__two_consumers__share },
	{ "group__two_consumers__each_message_once", POSTA_CAN_GROUPS, 0, group__two_consumers__each_message_once },
	{ "group__comes_back__goes_on_where_it_was", POSTA_CAN_GROUPS, 0, group__comes_back__goes_on_where_it_was },
	{ "subscriber__ends__its_messages_go_to_another", POSTA_CAN_QUEUES | POSTA_CAN_REQUEUE, 0,
	  subscriber__ends__its_messages_go_to_another },
	{ "wildcard__matches_several_topics", POSTA_CAN_WILDCARDS, 0, wildcard__matches_several_topics },
	{ "subscribe__no_source__is_invalid", 0, 0, subscribe__no_source__is_invalid },
	{ NULL, 0, 0, NULL },
};
