/* SPDX-License-Identifier: MIT */
/*
 * The AMQP bridge in the conformance suite: a RabbitMQ of its own, killed and started again where the broker goes away.
 */
#include "own_broker.h"

#include "bridges/amqp.h"

#include <stdio.h>
#include <stdlib.h>

static void start(void)
{
	struct kit_broker_options options = { .message_bytes_max = 4 << 20 };

	kit_own_start(KIT_RABBITMQ, &options);
}

static void queue(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "queue");
	pair->target = (struct posta_target){ .size = sizeof pair->target, .queue = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .queue = pair->names[0] };
}

/* A topic exchange of the broker's own; each source without a queue's name has an exclusive one. */
static void aim(struct kit_pair *pair)
{
	pair->target = (struct posta_target){ .size = sizeof pair->target,
					      .exchange = "amq.topic",
					      .routing_key = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source,
					      .exchange = "amq.topic",
					      .routing_key = pair->names[0] };
}

static void topic(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "topic");
	aim(pair);
}

static void wildcard(struct kit_pair *first, struct kit_pair *second, struct posta_source *source,
		     char name[KIT_NAME_MAX])
{
	char *root = kit_unique("root");

	snprintf(first->names[0], KIT_NAME_MAX, "%s.one.x", root);
	snprintf(second->names[0], KIT_NAME_MAX, "%s.two.x", root);
	snprintf(name, KIT_NAME_MAX, "%s.*.x", root);
	free(root);
	aim(first);
	aim(second);
	*source = (struct posta_source){ .size = sizeof *source, .exchange = "amq.topic", .routing_key = name };
}

static void no_such(struct kit_pair *pair)
{
	queue(pair);
	kit_fresh(pair->names[1], "missing");
	pair->target =
		(struct posta_target){ .size = sizeof pair->target, .exchange = pair->names[1], .routing_key = "k" };
}

/*
 * RabbitMQ 3.10 answers a declaration before its log of them is on disk. Killed on a busy machine in the moment after,
 * it starts again without the queue and what was confirmed in it.
 */
static void down(struct posta_system *system)
{
	kit_own_ctl((const char *const[]){ "eval", "mnesia:sync_log().", NULL });
	kit_own_kill(system);
}

const struct kit_bridge kit_bridge_amqp = {
	.name = "amqp",
	.ops = &posta__amqp_ops,
	.patience_ms = 40000,
	.start = start,
	.stop = kit_own_stop,
	.url = kit_own_url,
	.far_url = kit_own_far_url,
	.fault = kit_own_fault,
	.options = kit_own_patience,
	.queue = queue,
	.topic = topic,
	.wildcard = wildcard,
	.no_such = no_such,
	.down = down,
	.up = kit_own_up,
};
