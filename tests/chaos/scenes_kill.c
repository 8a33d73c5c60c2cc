/* SPDX-License-Identifier: MIT */
/* kill -9: of each broker, and of ourselves. */
#include "chaos.h"

#define KILLS 20u
#define KILLS_SHORT 3u

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
	chaos->saved = kind == KIT_MOSQUITTO;
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
