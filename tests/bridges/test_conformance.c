/* SPDX-License-Identifier: MIT */
/* test_conformance [-only PART] NAME...: each bridge named passes the suite, or is not in this build. */
#include "bridges/features.h"
#include "conformance.h"

#include <stdio.h>
#include <string.h>

static const struct kit_bridge *const bridges[] = {
	&kit_bridge_memory,
#if POSTA_HAVE_MQTT
	&kit_bridge_mqtt,   &kit_bridge_mqtt3,
#endif
#if POSTA_HAVE_AMQP
	&kit_bridge_amqp,
#endif
#if POSTA_HAVE_KAFKA
	&kit_bridge_kafka,
#endif
};

static const struct kit_bridge *find(const char *name)
{
	for (size_t i = 0; i < sizeof bridges / sizeof bridges[0]; i++)
		if (strcmp(bridges[i]->name, name) == 0)
			return bridges[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	int failed = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-only") == 0 && i + 1 < argc) {
			only = argv[++i];
			continue;
		}
		const struct kit_bridge *bridge = find(argv[i]);
		if (bridge)
			failed += kit_conformance(bridge, only);
		else
			failed += printf("%s: no such bridge in this build\n", argv[i]) > 0;
	}
	return failed > 0;
}
