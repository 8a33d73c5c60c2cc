/* SPDX-License-Identifier: MIT */
/* The suite that every bridge passes, on this one. */
#include "own_broker.h"
#include "pipe.h"

static const char *url(void)
{
	return "pipe:";
}

static void topic(struct kit_pair *pair)
{
	kit_fresh(pair->names[0], "topic");
	pair->target = (struct posta_target){ .size = sizeof pair->target, .topic = pair->names[0] };
	pair->source = (struct posta_source){ .size = sizeof pair->source, .topic = pair->names[0] };
}

static void down(struct posta_system *system)
{
	(void)system;
	pipe_set_away(true);
}

static void up(struct posta_system *system)
{
	(void)system;
	pipe_set_away(false);
}

static const struct kit_bridge bridge = {
	.name = "pipe",
	.ops = &pipe_ops,
	.lacks = KIT_LACKS_DURABLE | KIT_LACKS_REJECT_APART | KIT_LACKS_BAD_TARGET | KIT_LACKS_HANDOVER |
		 KIT_LACKS_HOSTS | KIT_LACKS_FAULTS | KIT_LACKS_WIRE,
	.patience_ms = 5000,
	.settle_ms = 1,
	.url = url,
	.queue = topic,
	.topic = topic,
	.down = down,
	.up = up,
};

int main(int argc, char **argv)
{
	return kit_conformance(&bridge, argc > 1 ? argv[1] : 0) > 0;
}
