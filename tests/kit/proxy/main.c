/* SPDX-License-Identifier: MIT */
/*
 * kit_proxy [PORT]
 *
 * The proxy (proxy.h) as a program, for scripts: prints its port, then takes an order a line and answers each by
 * "ok CONNECTIONS OPEN RESETS BYTES-TO-BROKER BYTES-TO-CLIENT", or "what?". It ends with its input.
 */
#include "proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct kit_proxy *proxy = kit_proxy_start(argc > 1 ? atoi(argv[1]) : 0);
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%d\n", kit_proxy_port(proxy));
	while (fgets(line, sizeof line, stdin)) {
		bool known = kit_proxy_order(proxy, line) || line[0] == '\n';
		struct kit_proxy_figures now = kit_proxy_figures(proxy);

		if (known)
			printf("ok %u %u %u %" PRIu64 " %" PRIu64 "\n", now.connections, now.open, now.resets,
			       now.to_broker, now.to_client);
		else
			printf("what?\n");
	}
	kit_proxy_stop(proxy);
	return 0;
}
