/* SPDX-License-Identifier: MIT */
/* Several of us on one source, and messages that none of us can read. */
#include "chaos.h"

static bool one_is_ready(const struct chaos *chaos)
{
	return chaos_mover_ready((struct chaos *)chaos, 0);
}

/*
 * Three processes of one group: every 5 s one of them goes, by SIGTERM or by SIGKILL, and comes back at once, so that
 * there are two rebalances each time.
 */
void chaos_rebalance(struct chaos *chaos)
{
	unsigned rounds = chaos->shortly ? 3 : 12;

	chaos->partitions = 6;
	chaos->rate = 3000;
	chaos_flow(chaos, KIT_KAFKA, KIT_RABBITMQ);
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 3);
	for (unsigned i = 0; i < rounds && chaos_moved(chaos, 200, 120000); i++) {
		unsigned index = i % 3;

		chaos_pass(chaos->shortly ? 2000 : 5000);
		if (i % 4 == 3)
			chaos_mover_kill(chaos, index);
		else
			chaos_mover_end(chaos, index);
		chaos_mover_start(chaos, index);
	}
	chaos_wait(chaos, one_is_ready, 60000, "posta has subscribed");
	chaos_moved(chaos, 200, 120000);
	chaos_end(chaos);
	chaos_tell(chaos, ",\"rebalances\":%u", rounds * 2);
}

void chaos_poison(struct chaos *chaos)
{
	chaos->poison_every = 100;
	chaos->rate = 3000;
	for (int from = 0; from < KIT_KIND_COUNT; from++)
		chaos_flow(chaos, (enum kit_kind)from, (enum kit_kind)((from + 1) % KIT_KIND_COUNT));
	chaos_brokers(chaos, false);
	chaos_begin(chaos, 1);
	chaos_moved(chaos, chaos->shortly ? 10000 : 100000, 300000);
	chaos_end(chaos);
	for (unsigned i = 0; i < chaos->flow_count; i++) {
		const struct chaos_flow *flow = &chaos->flows[i];
		unsigned expected = (flow->published + chaos->poison_every - 1) / chaos->poison_every;

		if (flow->dead != expected)
			chaos_trouble(chaos, "%u dead letters of %u", flow->dead, expected);
	}
}
