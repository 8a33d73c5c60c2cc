/* SPDX-License-Identifier: MIT */
#include "own_broker.h"

#include <stdio.h>
#include <stdlib.h>

static struct kit_broker *broker;

void kit_own_start(enum kit_kind kind, const struct kit_broker_options *options)
{
	broker = kit_broker_start(kind, options);
}

void kit_own_stop(void)
{
	kit_broker_stop(broker);
	broker = NULL;
}

const char *kit_own_url(void)
{
	return kit_broker_url(broker);
}

void kit_own_patience(struct posta_bridge_options *options)
{
	options->connect_timeout_ms = 20000;
}

void kit_own_kill(struct posta_system *system)
{
	(void)system;
	kit_broker_kill9(broker);
}

void kit_own_shutdown(struct posta_system *system)
{
	(void)system;
	kit_broker_shutdown(broker);
}

void kit_own_up(struct posta_system *system)
{
	(void)system;
	kit_broker_start_again(broker);
}

void kit_fresh(char name[KIT_NAME_MAX], const char *prefix)
{
	char *unique = kit_unique(prefix);

	snprintf(name, KIT_NAME_MAX, "%s", unique);
	free(unique);
}
