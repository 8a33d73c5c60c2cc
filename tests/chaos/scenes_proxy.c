/* SPDX-License-Identifier: MIT */
/* What networks do, between posta and all three brokers. */
#include "chaos.h"

#include <stdio.h>

static void ring(struct chaos *chaos, uint32_t heartbeat_ms)
{
	chaos->heartbeat_ms = heartbeat_ms;
	chaos_flow(chaos, KIT_KAFKA, KIT_RABBITMQ);
	chaos_flow(chaos, KIT_RABBITMQ, KIT_MOSQUITTO);
	chaos_flow(chaos, KIT_MOSQUITTO, KIT_KAFKA);
	chaos_brokers(chaos, true);
	chaos_begin(chaos, 1);
}

static void on_all(struct chaos *chaos, const char *order)
{
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		if (!kit_proxy_order(chaos->proxies[i], order))
			chaos_trouble(chaos, "the proxy has no such order: %s", order);
}

/* One broker after the other, the next one when all moves again. */
static void each_in_turn(struct chaos *chaos, const char *order, unsigned lasting_ms)
{
	unsigned rounds = chaos->shortly ? 1 : 7;

	for (unsigned i = 0; i < rounds * KIT_KIND_COUNT && chaos_moved(chaos, 200, 60000); i++) {
		kit_proxy_order(chaos->proxies[i % KIT_KIND_COUNT], order);
		chaos_pass(lasting_ms);
		kit_proxy_pass(chaos->proxies[i % KIT_KIND_COUNT]);
	}
}

static void finish(struct chaos *chaos)
{
	unsigned resets = 0;

	on_all(chaos, "pass");
	chaos_moved(chaos, 200, 60000);
	chaos_end(chaos);
	for (int i = 0; i < KIT_KIND_COUNT; i++)
		resets += kit_proxy_figures(chaos->proxies[i]).resets;
	chaos_tell(chaos, ",\"resets\":%u", resets);
}

static void for_a_while(struct chaos *chaos, const char *order)
{
	ring(chaos, 0);
	if (chaos_moved(chaos, 200, 60000)) {
		on_all(chaos, order);
		chaos_pass(chaos->shortly ? 3000 : 20000);
		chaos_moved(chaos, 200, 60000);
	}
	finish(chaos);
}

void chaos_proxy_delay(struct chaos *chaos)
{
	for_a_while(chaos, "delay 100");
}

/* Enough for one fetch of Kafka (1 MiB by default) within a heartbeat: less would stop it, see docs/RELIABILITY.md. */
void chaos_proxy_throttle(struct chaos *chaos)
{
	for_a_while(chaos, "throttle 300000");
}

void chaos_proxy_hole(struct chaos *chaos)
{
	ring(chaos, 2000);
	each_in_turn(chaos, "hole", chaos->shortly ? 4000 : 6000);
	finish(chaos);
}

void chaos_proxy_reset(struct chaos *chaos)
{
	ring(chaos, 2000);
	each_in_turn(chaos, "reset", 0);
	finish(chaos);
}

void chaos_proxy_half_close(struct chaos *chaos)
{
	ring(chaos, 2000);
	each_in_turn(chaos, "half-close", 0);
	finish(chaos);
}

void chaos_proxy_refuse(struct chaos *chaos)
{
	ring(chaos, 2000);
	for (unsigned i = 0; i < (chaos->shortly ? 3u : 20u) && chaos_moved(chaos, 200, 60000); i++) {
		on_all(chaos, "refuse");
		on_all(chaos, "reset");
		chaos_pass(chaos_random(1500));
		on_all(chaos, "pass");
	}
	finish(chaos);
}

/* From within the handshake to far behind it. */
void chaos_proxy_cut(struct chaos *chaos)
{
	char order[32];

	ring(chaos, 2000);
	for (unsigned i = 0; i < (chaos->shortly ? 5u : 40u) && chaos_moved(chaos, 200, 60000); i++) {
		snprintf(order, sizeof order, "cut %u", 1 + chaos_random(i % 2 ? 100000 : 500));
		on_all(chaos, order);
		chaos_pass(300 + chaos_random(1000));
		on_all(chaos, "pass");
	}
	finish(chaos);
}
