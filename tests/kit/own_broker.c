/* SPDX-License-Identifier: MIT */
#include "own_broker.h"
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kit_broker *broker;
static struct kit_proxy *proxy;

void kit_own_start(enum kit_kind kind, const struct kit_broker_options *options)
{
	struct kit_broker_options own = *options;
	char advertised[96];

	proxy = kit_proxy_start(0);
	snprintf(advertised, sizeof advertised, "advertised.listeners=PLAINTEXT://127.0.0.1:%d", kit_proxy_port(proxy));
	if (kind == KIT_KAFKA)
		own.config = advertised;
	broker = kit_broker_start(kind, &own);
	kit_proxy_aim(proxy, kit_broker_port(broker));
}

void kit_own_stop(void)
{
	kit_proxy_stop(proxy);
	kit_broker_stop(broker);
	proxy = NULL;
	broker = NULL;
}

const char *kit_own_url(void)
{
	return kit_broker_url(broker);
}

const char *kit_own_far_url(void)
{
	static char url[256];
	const char *direct = kit_broker_url(broker), *port = strrchr(direct, ':');

	snprintf(url, sizeof url, "%.*s:%d", (int)(port - direct), direct, kit_proxy_port(proxy));
	return url;
}

void kit_own_fault(struct posta_system *system, enum kit_fault fault, size_t value)
{
	(void)system;
	switch (fault) {
	case KIT_FAULT_NONE:
		kit_proxy_pass(proxy);
		break;
	case KIT_FAULT_RESET:
		kit_proxy_reset(proxy);
		break;
	case KIT_FAULT_CUT:
		kit_proxy_cut(proxy, value);
		break;
	case KIT_FAULT_HALF_CLOSE:
		kit_proxy_half_close(proxy);
		break;
	case KIT_FAULT_HOLE:
		kit_proxy_hole(proxy);
		break;
	case KIT_FAULT_SLOW:
		kit_proxy_throttle(proxy, (unsigned)value);
		break;
	case KIT_FAULT_FAR:
		kit_proxy_delay(proxy, (unsigned)value);
		break;
	}
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

void kit_own_ctl(const char *const argv[])
{
	kit_broker_ctl(broker, argv);
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
