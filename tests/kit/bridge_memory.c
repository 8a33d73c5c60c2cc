/* SPDX-License-Identifier: MIT */
/* The memory bridge in the conformance suite: its broker goes away by dropping and refusing connections. */
#include "own_broker.h"

#include "bridges/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME "conformance"

static const char *url(void)
{
	return "memory:" NAME;
}

static void queue(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "queue");
	pair->target = (struct posta_target){ .size = sizeof pair->target, .queue = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .queue = pair->names[0] };
}

static void topic(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "topic");
	pair->target = (struct posta_target){ .size = sizeof pair->target, .topic = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .topic = pair->names[0] };
}

static void wildcard(struct kit_pair *first, struct kit_pair *second, struct posta_source *source,
		     char name[KIT_NAME_MAX])
{
	char *root = kit_unique("root");
	topic(first);
	topic(second);
	snprintf(first->names[0], KIT_NAME_MAX, "%s/one/x", root);
	snprintf(second->names[0], KIT_NAME_MAX, "%s/two/x", root);
	snprintf(name, KIT_NAME_MAX, "%s/+/x", root);
	*source = (struct posta_source){ .size = sizeof *source, .filter = name };
	free(root);
}

/* A queue that is not to be declared. */
static void no_such(struct kit_pair *pair)
{
	queue(pair);
	pair->target.passive = pair->source.passive = true;
}

static void down(struct posta_system *system)
{
	posta__memory_refuse(system, NAME, UINT32_MAX);
	posta__memory_drop(system, NAME);
}

static void up(struct posta_system *system)
{
	posta__memory_refuse(system, NAME, 0);
}

/* What it publishes is stored, and the confirmation cut off. */
static void fault(struct posta_system *system, enum kit_fault fault, size_t value)
{
	(void)value;
	posta__memory_lose_confirmations(system, NAME, fault == KIT_FAULT_CUT);
	if (fault == KIT_FAULT_RESET)
		posta__memory_drop(system, NAME);
}

const struct kit_bridge kit_bridge_memory = {
	.name = "memory",
	.lacks = KIT_LACKS_HOSTS | KIT_LACKS_WIRE,
	.ops = &posta__memory_ops,
	.patience_ms = 5000,
	.settle_ms = 1,
	.url = url,
	.queue = queue,
	.topic = topic,
	.wildcard = wildcard,
	.no_such = no_such,
	.down = down,
	.up = up,
	.fault = fault,
};
