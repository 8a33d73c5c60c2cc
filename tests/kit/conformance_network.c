/* SPDX-License-Identifier: MIT */
/*
 * What networks do, by a proxy before the broker: whatever it was, all that was published is confirmed, and arrives. It
 * may come twice where a connection broke, and only there.
 */
#include "conformance_world.h"

#include <string.h>

#define HEARTBEAT_MS 2000u /* when silence matters */

/* A flow whose way to the broker can be broken. */
static bool far_flow(struct kit_world *world, struct kit_flow *flow, uint32_t heartbeat_ms)
{
	struct posta_bridge_options options = kit_options(world);
	options.heartbeat_ms = heartbeat_ms;
	kit_pair(world, &flow->pair, true);
	flow->bridge = kit_open_far(world, &options);
	flow->user = kit_user(world);
	flow->user->acks = true;
	flow->subscription = kit_subscribe(flow->user, flow->bridge, &flow->pair.source);
	return flow->subscription;
}

static void publish(const struct kit_flow *flow, unsigned first, unsigned count)
{
	kit_publish_numbers(flow->user, flow->bridge, &flow->pair.target, first, count);
}

static bool all_arrive(struct kit_world *world, const struct kit_flow *flow, unsigned count)
{
	return kit_wait(world, &flow->user->confirmed, count) && kit_wait_numbers(world, flow->user, count);
}

static void network__reset_in_mid_flow__nothing_is_lost(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	for (unsigned round = 0; round < 4; round++) {
		publish(&flow, round * 100, 100);
		KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, round * 100 + 1));
		kit_fault(world, KIT_FAULT_RESET, 0);
	}
	KIT_EXPECT(world, all_arrive(world, &flow, 400));
}

/* From within the handshake to behind many messages. */
static void network__cut_at_any_byte__nothing_is_lost(struct kit_world *world)
{
	static const size_t bytes[] = { 20000, 5000, 1500, 600, 200, 60, 7, 1 };
	const unsigned rounds = sizeof bytes / sizeof bytes[0];
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	for (unsigned round = 0; round < rounds; round++) {
		kit_fault(world, KIT_FAULT_CUT, bytes[round]);
		publish(&flow, round * 50, 50);
		kit_quiet(world, 100);
	}
	kit_fault(world, KIT_FAULT_NONE, 0);
	KIT_EXPECT(world, all_arrive(world, &flow, rounds * 50));
}

static void network__half_closed__is_noticed_and_nothing_is_lost(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, HEARTBEAT_MS));
	publish(&flow, 0, 50);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	kit_fault(world, KIT_FAULT_HALF_CLOSE, 0);
	publish(&flow, 50, 50);
	KIT_EXPECT(world, all_arrive(world, &flow, 100));
}

static void network__silent__is_noticed_by_the_watchdog(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, HEARTBEAT_MS));
	publish(&flow, 0, 50);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 1));
	kit_fault(world, KIT_FAULT_HOLE, 0);
	publish(&flow, 50, 50);
	KIT_EXPECT(world, kit_wait_state(world, flow.bridge, POSTA_BRIDGE_DOWN));
	KIT_EXPECT(world, kit_status(flow.bridge).last_error[0]);
	kit_fault(world, KIT_FAULT_NONE, 0);
	KIT_EXPECT(world, all_arrive(world, &flow, 100));
}

static void network__silent_for_a_moment__nothing_comes_twice(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	publish(&flow, 0, 50);
	kit_fault(world, KIT_FAULT_HOLE, 0);
	publish(&flow, 50, 50);
	kit_quiet(world, 500);
	KIT_EXPECT(world, kit_status(flow.bridge).state == POSTA_BRIDGE_CONNECTED);
	kit_fault(world, KIT_FAULT_NONE, 0);
	KIT_EXPECT(world, all_arrive(world, &flow, 100));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 100));
	KIT_EXPECT(world, kit_status(flow.bridge).restarts == 0);
}

static void network__throttled__all_comes_once_and_in_order(struct kit_world *world)
{
	struct kit_flow flow;
	char body[2000];
	memset(body, '\0', sizeof body);
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	kit_fault(world, KIT_FAULT_SLOW, 200000);
	publish(&flow, 0, 20);
	for (unsigned i = 0; i < 100; i++)
		KIT_EXPECT(world, !kit_publish(flow.user, flow.bridge, &flow.pair.target, kit_bytes(body, sizeof body),
					       i));
	publish(&flow, 20, 20);
	KIT_EXPECT(world, kit_wait(world, &flow.user->delivered, 140));
	KIT_EXPECT(world, kit_wait(world, &flow.user->confirmed, 140));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 20) && kit_in_order(flow.user, 120, 20, 20));
	KIT_EXPECT(world, kit_status(flow.bridge).redelivered == 0 && flow.user->delivered == 140);
}

static void network__far_away__all_comes_once_and_in_order(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	kit_fault(world, KIT_FAULT_FAR, 60);
	for (unsigned round = 0; round < 4; round++) {
		publish(&flow, round * 50, 50);
		kit_quiet(world, 30);
	}
	KIT_EXPECT(world, all_arrive(world, &flow, 200));
	KIT_EXPECT(world, kit_in_order(flow.user, 0, 0, 200) && flow.user->delivered == 200);
}

static void close__into_silence__ends_in_time(struct kit_world *world)
{
	struct kit_flow flow;
	KIT_EXPECT(world, far_flow(world, &flow, 0));
	kit_fault(world, KIT_FAULT_HOLE, 0);
	publish(&flow, 0, 5);
	uint64_t began = kit_now_ms();
	KIT_EXPECT(world, kit_close(world, flow.bridge, 500));
	KIT_EXPECT(world, kit_now_ms() - began < 8000); /* the deadline, 2 s to say goodbye, and a busy machine */
	KIT_EXPECT(world, kit_wait(world, &flow.user->answered, 5));
}

const struct kit_behaviour kit_network_behaviours[] = {
	{ "network__reset_in_mid_flow__nothing_is_lost", 0, KIT_LACKS_FAULTS,
	  network__reset_in_mid_flow__nothing_is_lost },
	{ "network__cut_at_any_byte__nothing_is_lost", 0, KIT_LACKS_FAULTS, network__cut_at_any_byte__nothing_is_lost },
	{ "network__half_closed__is_noticed_and_nothing_is_lost", 0, KIT_LACKS_WIRE,
	  network__half_closed__is_noticed_and_nothing_is_lost },
	{ "network__silent__is_noticed_by_the_watchdog", 0, KIT_LACKS_WIRE,
	  network__silent__is_noticed_by_the_watchdog },
	{ "network__silent_for_a_moment__nothing_comes_twice", 0, KIT_LACKS_WIRE,
	  network__silent_for_a_moment__nothing_comes_twice },
	{ "network__throttled__all_comes_once_and_in_order", 0, KIT_LACKS_WIRE,
	  network__throttled__all_comes_once_and_in_order },
	{ "network__far_away__all_comes_once_and_in_order", 0, KIT_LACKS_WIRE,
	  network__far_away__all_comes_once_and_in_order },
	{ "close__into_silence__ends_in_time", 0, KIT_LACKS_WIRE, close__into_silence__ends_in_time },
	{ NULL, 0, 0, NULL },
};
