/* SPDX-License-Identifier: MIT */
/* When a message is read, if not at once and once: positions in a log, how far there is to go, delays of a queue. */
#include "conformance_world.h"

#include <time.h>

static int64_t wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void replay__new_group__begins_at_the_beginning(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	kit_pair(world, &pair, false);
	kit_publish_numbers(user, bridge, &pair.target, 0, 20);
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 20));
	KIT_EXPECT(world, kit_subscribe(user, bridge, &pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 20));
	KIT_EXPECT(world, kit_in_order(user, 0, 0, 20));
}

/* Subscribed before the user reads from elsewhere: 0..7, delivered once. */
static bool log_of_eight(struct kit_world *world, struct kit_flow *flow, bool acks)
{
	if (!kit_flow(world, flow, false, 0, acks))
		return false;
	kit_publish_numbers(flow->user, flow->bridge, &flow->pair.target, 0, 8);
	return kit_wait(world, &flow->user->delivered, 8) && kit_in_order(flow->user, 0, 0, 8);
}

static enum posta_err go_to(const struct kit_flow *flow, enum posta_start start, int64_t at)
{
	const struct posta_position position = { start, at };
	return kit_seek(flow->user, flow->bridge, flow->subscription, position);
}

static void seek__back__comes_again_where_there_is_a_log(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, log_of_eight(world, &flow, true));
	enum posta_err result = go_to(&flow, POSTA_START_BEGINNING, 0);
	if (!world->kit->ops->seek) {
		KIT_EXPECT(world, result == POSTA_EUNSUPPORTED);
		return;
	}
	KIT_EXPECT(world, !result);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 16));
	KIT_EXPECT(world, kit_in_order(flow.user, 8, 0, 8));
}

static void seek__to_an_offset__goes_on_from_there(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, log_of_eight(world, &flow, true));
	KIT_EXPECT(world, !go_to(&flow, POSTA_START_OFFSET, 5));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 11));
	KIT_EXPECT(world, kit_in_order(flow.user, 8, 5, 3));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 8, 2);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 13));
	KIT_EXPECT(world, kit_in_order(flow.user, 8, 5, 5));
}

/* 0..7 are older than *between, which is a time in which nothing is published; 8..11 are not. */
static void publish_later(struct kit_world *world, const struct kit_flow *flow, int64_t *between)
{
	int64_t last = wall_ms();
	while (wall_ms() < last + 4)
		kit_quiet(world, 2);
	*between = last + 2;
	kit_publish_numbers(flow->user, flow->bridge, &flow->pair.target, 8, 4);
}

static void seek__to_a_time__goes_on_from_there(struct kit_world *world)
{
	struct kit_flow flow;
	int64_t between;
	KIT_EXPECT(world, log_of_eight(world, &flow, true));
	publish_later(world, &flow, &between);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 12));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 12));
	KIT_EXPECT(world, !go_to(&flow, POSTA_START_TIME, between));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 16));
	KIT_EXPECT(world, kit_in_order(flow.user, 12, 8, 4));
}

static void seek__unsettled__are_void(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, log_of_eight(world, &flow, false));
	KIT_EXPECT(world, !go_to(&flow, POSTA_START_OFFSET, 6));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 10));
	KIT_EXPECT(world, kit_in_order(flow.user, 8, 6, 2));
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 2);
	kit_settle(flow.user, 0, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_status(world, flow.bridge, offsetof(struct posta_bridge_status, stale), 1));
	KIT_EXPECT(world, kit_status(flow.bridge).unsettled == 2);
}

static void subscribe__at_a_position__begins_there(struct kit_world *world)
{
	struct kit_flow flow;
	int64_t between;
	KIT_EXPECT(world, log_of_eight(world, &flow, true));
	publish_later(world, &flow, &between);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 12));
	struct kit_user *by_offset = kit_user(world), *by_time = kit_user(world);
	struct posta_source source = flow.pair.source;
	source.position = (struct posta_position){ POSTA_START_OFFSET, 3 };
	KIT_EXPECT(world, kit_subscribe(by_offset, flow.bridge, &source));
	source.position = (struct posta_position){ POSTA_START_TIME, between };
	KIT_EXPECT(world, kit_subscribe(by_time, flow.bridge, &source));
	KIT_EXPECT(world, kit_wait(world, &by_offset->delivered, 9));
	KIT_EXPECT(world, kit_in_order(by_offset, 0, 3, 9));
	KIT_EXPECT(world, kit_wait(world, &by_time->delivered, 4));
	KIT_EXPECT(world, kit_in_order(by_time, 0, 8, 4));
}

static void subscribe__at_a_position_without_a_log__is_unsupported(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_error error;
	uint32_t subscription;
	kit_pair(world, &pair, true);
	pair.source.position = (struct posta_position){ POSTA_START_BEGINNING, 0 };
	struct posta_bridge *bridge = kit_open(world, NULL);
	enum posta_err result = kit_try_subscribe(kit_user(world), bridge, &pair.source, &subscription, &error);
	if (world->kit->ops->seek && !pair.source.queue)
		KIT_EXPECT(world, !result);
	else
		KIT_EXPECT(world, result == POSTA_EUNSUPPORTED && error.text[0]);
}

static void lag__what_is_not_settled__is_told(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, false, 6, false));
	KIT_EXPECT(world, kit_wait_lag(world, flow.bridge, 0));
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 10);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 6));
	KIT_EXPECT(world, kit_wait_lag(world, flow.bridge, 10));
	for (size_t i = 0; i < 4; i++)
		kit_settle(flow.user, i, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_lag(world, flow.bridge, 6));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 10));
	for (size_t i = 4; i < 10; i++)
		kit_settle(flow.user, i, POSTA_ACK);
	KIT_EXPECT(world, kit_wait_lag(world, flow.bridge, 0));
	kit_unsubscribe(flow.user, flow.bridge, flow.subscription);
	KIT_EXPECT(world, kit_wait_lag(world, flow.bridge, -1));
}

static void delay__into_a_queue__comes_when_it_is_due(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, kit_flow(world, &flow, true, 0, true));
	struct posta_target late = flow.pair.target, soon = flow.pair.target;
	late.delay_ms = 1500;
	soon.delay_ms = 500;
	uint64_t began = kit_now_ms();
	kit_publish_numbers(flow.user, flow.bridge, &late, 3, 2);
	kit_publish_numbers(flow.user, flow.bridge, &soon, 1, 2);
	kit_publish_numbers(flow.user, flow.bridge, &flow.pair.target, 0, 1);
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 5));
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 2));
	KIT_EXPECT(world, kit_now_ms() - began >= 500);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 5));
	KIT_EXPECT(world, kit_now_ms() - began >= 1500);
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 5));
}

static void delay__nobody_is_there__waits_in_the_queue(struct kit_world *world)
{
	struct kit_pair pair;
	kit_pair(world, &pair, true);
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct kit_user *user = kit_user(world);
	user->acks = true;
	pair.target.delay_ms = 100;
	kit_publish_numbers(user, bridge, &pair.target, 0, 3);
	KIT_EXPECT(world, kit_wait(world, &user->confirmed, 3));
	KIT_EXPECT(world, kit_close(world, bridge, 1000));
	struct posta_bridge *later = kit_open(world, NULL);
	KIT_EXPECT(world, kit_subscribe(user, later, &pair.source));
	KIT_EXPECT(world, kit_wait(world, &user->delivered, 3));
	KIT_EXPECT(world, kit_in_order(user, 0, 0, 3));
}

static void delay__where_there_is_none__is_unsupported(struct kit_world *world)
{
	struct kit_pair pair;
	struct posta_bridge *bridge = kit_open(world, NULL);
	struct posta_error error;
	kit_pair(world, &pair, true);
	pair.target.delay_ms = 100;
	struct posta_route_target *target = posta_target_prepare(bridge, &pair.target, &error);
	bool delays = world->kit->ops->capabilities & POSTA_CAN_DELAY;
	posta_target_unref(target);
	KIT_EXPECT(world, delays == (target != NULL));
	KIT_EXPECT(world, target || (error.code == POSTA_EUNSUPPORTED && error.text[0]));
}

const struct kit_behaviour kit_log_behaviours[] = {
	{ "replay__new_group__begins_at_the_beginning", POSTA_CAN_REPLAY, 0,
	  replay__new_group__begins_at_the_beginning },
	{ "seek__back__comes_again_where_there_is_a_log", 0, 0, seek__back__comes_again_where_there_is_a_log },
	{ "seek__to_an_offset__goes_on_from_there", POSTA_CAN_REPLAY, 0, seek__to_an_offset__goes_on_from_there },
	{ "seek__to_a_time__goes_on_from_there", POSTA_CAN_REPLAY, 0, seek__to_a_time__goes_on_from_there },
	{ "seek__unsettled__are_void", POSTA_CAN_REPLAY, 0, seek__unsettled__are_void },
	{ "subscribe__at_a_position__begins_there", POSTA_CAN_REPLAY, 0, subscribe__at_a_position__begins_there },
	{ "subscribe__at_a_position_without_a_log__is_unsupported", 0, 0,
	  subscribe__at_a_position_without_a_log__is_unsupported },
	{ "lag__what_is_not_settled__is_told", POSTA_CAN_REPLAY, 0, lag__what_is_not_settled__is_told },
	{ "delay__into_a_queue__comes_when_it_is_due", POSTA_CAN_DELAY, 0, delay__into_a_queue__comes_when_it_is_due },
	{ "delay__nobody_is_there__waits_in_the_queue", POSTA_CAN_DELAY, 0,
	  delay__nobody_is_there__waits_in_the_queue },
	{ "delay__where_there_is_none__is_unsupported", 0, 0, delay__where_there_is_none__is_unsupported },
	{ NULL, 0, 0, NULL },
};
