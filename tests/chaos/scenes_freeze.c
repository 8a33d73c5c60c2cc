/* SPDX-License-Identifier: MIT */
/* Brokers that are there and do nothing: frozen, or out of memory. */
#include "chaos.h"

static void freeze(struct chaos *chaos, enum kit_kind kind)
{
	chaos->heartbeat_ms = chaos->shortly ? 3000 : 10000;
	chaos_flows_of(chaos, kind);
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 1);
	if (chaos_moved(chaos, 500, 120000)) {
		chaos->watching = true;
		kit_broker_pause(chaos->brokers[kind]);
		chaos_pass(chaos->shortly ? 10000 : 60000);
		kit_broker_cont(chaos->brokers[kind]);
		chaos_moved(chaos, 500, 120000);
		chaos->watching = false;
	}
	chaos_end(chaos);
	if (chaos->stall_us > CHAOS_STALL_MS_MAX * 1000)
		chaos_trouble(chaos, "the loop stood still for %.1f ms", (double)chaos->stall_us / 1000.);
}

void chaos_freeze_kafka(struct chaos *chaos)
{
	freeze(chaos, KIT_KAFKA);
}

void chaos_freeze_rabbitmq(struct chaos *chaos)
{
	freeze(chaos, KIT_RABBITMQ);
}

void chaos_freeze_mosquitto(struct chaos *chaos)
{
	freeze(chaos, KIT_MOSQUITTO);
}

static bool blocked(const struct chaos *chaos)
{
	struct posta_bridge_status status = { .size = sizeof status };

	posta_bridge_status(chaos->bridges[KIT_RABBITMQ], &status);
	return status.state == POSTA_BRIDGE_BLOCKED;
}

/* What was in the queues when publishing was stopped has been read: everything else goes on. */
static bool drained(const struct chaos *chaos)
{
	const struct chaos_flow *flow = &chaos->flows[1];

	return flow->arrived >= flow->confirmed;
}

void chaos_alarm_rabbitmq(struct chaos *chaos)
{
	static const char *const low[] = { "set_vm_memory_high_watermark", "absolute", "1MB", NULL };
	static const char *const normal[] = { "set_vm_memory_high_watermark", "0.4", NULL };

	chaos_flow(chaos, KIT_KAFKA, KIT_RABBITMQ);
	chaos_flow(chaos, KIT_RABBITMQ, KIT_KAFKA);
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 1);
	for (unsigned i = 0; i < (chaos->shortly ? 1u : 5u) && chaos_moved(chaos, 500, 120000); i++) {
		kit_broker_ctl(chaos->brokers[KIT_RABBITMQ], low);
		chaos_wait(chaos, blocked, 30000, "the bridge says that it is blocked");
		chaos_wait(chaos, drained, 30000, "consumers go on while publishers are blocked");
		unsigned before = chaos->flows[0].arrived;
		chaos_pass(chaos->shortly ? 2000 : 10000);
		chaos_tell(chaos, ",\"arrived_while_blocked_%u\":%u", i, chaos->flows[0].arrived - before);
		kit_broker_ctl(chaos->brokers[KIT_RABBITMQ], normal);
	}
	chaos_moved(chaos, 500, 120000);
	chaos_end(chaos);
}
