/* SPDX-License-Identifier: MIT */
/* kill -9: of each broker, and of ourselves. */
#include "chaos.h"

#define KILLS 20u
#define KILLS_SHORT 2u

static unsigned kills(const struct chaos *chaos)
{
	return chaos->shortly ? KILLS_SHORT : KILLS;
}

/* All flows move again, and it happens somewhere within the next third of a second. */
static bool in_mid_flow(struct chaos *chaos)
{
	if (!chaos_moved(chaos, 200, 120000))
		return false;
	chaos_pass(chaos_random(300));
	return true;
}

static void kill_broker(struct chaos *chaos, enum kit_kind kind)
{
	chaos->saved = chaos->persistent = kind == KIT_MOSQUITTO;
	chaos->rate = kind == KIT_MOSQUITTO ? 10000 : 1000; /* as fast as it can: more is under way when it is killed */
	chaos_flows_of(chaos, kind);
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 1);
	for (unsigned i = 0; i < kills(chaos) && in_mid_flow(chaos); i++)
		chaos_kill_broker(chaos, kind);
	chaos_moved(chaos, 200, 120000);
	chaos_end(chaos);
}

void chaos_kill_kafka(struct chaos *chaos)
{
	kill_broker(chaos, KIT_KAFKA);
}

void chaos_kill_rabbitmq(struct chaos *chaos)
{
	kill_broker(chaos, KIT_RABBITMQ);
}

void chaos_kill_mosquitto(struct chaos *chaos)
{
	kill_broker(chaos, KIT_MOSQUITTO);
}

void chaos_kill_posta(struct chaos *chaos)
{
	for (int from = 0; from < KIT_KIND_COUNT; from++)
		for (int to = 0; to < KIT_KIND_COUNT; to++)
			if (from != to)
				chaos_flow(chaos, (enum kit_kind)from, (enum kit_kind)to);
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 1);
	for (unsigned i = 0; i < kills(chaos) && in_mid_flow(chaos); i++) {
		chaos_mover_kill(chaos, 0);
		chaos_mover_start(chaos, 0);
	}
	chaos_moved(chaos, 200, 120000);
	chaos_end(chaos);
}

/* -- What Mosquitto's acknowledgement is worth by itself: not a scene of --all, because it does lose. */

static unsigned arrived(const struct chaos *chaos)
{
	unsigned all = 0;

	for (unsigned i = 0; i < chaos->flow_count; i++)
		all += chaos->flows[i].arrived;
	return all;
}

static void wait_until_quiet(const struct chaos *chaos)
{
	unsigned before;

	do {
		before = arrived(chaos);
		chaos_pass(10000);
	} while (arrived(chaos) != before);
}

void chaos_puback_mosquitto(struct chaos *chaos)
{
	struct chaos_tap *tap = chaos_tap_new();

	chaos->persistent = chaos->all_proxied = true;
	chaos->rate = 10000;
	chaos_flows_of(chaos, KIT_MOSQUITTO);
	chaos_brokers(chaos, true);
	kit_proxy_set_tap(chaos->proxies[KIT_MOSQUITTO], chaos_tap_hear, tap);
	chaos_begin(chaos, 1);
	for (unsigned i = 0; i < kills(chaos) && in_mid_flow(chaos); i++)
		chaos_kill_broker(chaos, KIT_MOSQUITTO);
	chaos_moved(chaos, 200, 120000);
	chaos->flowing = false;
	wait_until_quiet(chaos);
	for (unsigned i = 0; i < chaos->mover_count; i++)
		chaos_mover_end(chaos, i);
	chaos_driver_stop(chaos);
	for (unsigned i = 0; i < chaos->flow_count; i++)
		for (unsigned n = 0; n < chaos->flows[i].published; n++)
			chaos->lost_by_broker += !chaos->flows[i].seen[n] && chaos_tap_acknowledged(tap, i, n);
	chaos_tell(chaos, ",\"acknowledged_and_lost\":%u", chaos->lost_by_broker);
	kit_proxy_stop(chaos->proxies[KIT_MOSQUITTO]);
	chaos->proxies[KIT_MOSQUITTO] = NULL;
	chaos_tap_free(tap);
}
