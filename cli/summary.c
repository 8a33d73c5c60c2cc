/* SPDX-License-Identifier: MIT */
#include "summary.h"

#include "bridges/codec/text.h"

#include <stdio.h>
#include <string.h>

typedef unsigned long long figure;

void cli_total(struct posta_router *router, struct cli_totals *totals)
{
	struct posta_route_status route = { .size = sizeof route };
	struct posta_bridge_status bridge = { .size = sizeof bridge };
	memset(totals, 0, sizeof *totals);
	for (size_t i = 0; posta_router_route_status(router, i, &route); i++) {
		totals->received += route.received;
		totals->sent += route.sent;
		totals->filtered += route.filtered;
		totals->dead_lettered += route.dead_lettered;
		totals->in_flight += route.in_flight;
		totals->routes_ended += !route.running && !route.drained;
	}
	for (size_t i = 0; posta_router_bridge_status(router, i, &bridge); i++) {
		if (bridge.state == POSTA_BRIDGE_CLOSING || bridge.state == POSTA_BRIDGE_CLOSED)
			continue;
		totals->bridges++;
		totals->connected += bridge.state == POSTA_BRIDGE_CONNECTED;
		totals->restarts += bridge.restarts;
	}
}

/* Words of a broker, or cut in the middle of a letter: what is no UTF-8 becomes "?". */
static void print_json_text(const char *text)
{
	putchar('"');
	for (size_t left = strlen(text), len; left; text += len, left -= len) {
		unsigned char c = (unsigned char)*text;
		len = posta__utf8_sequence((const unsigned char *)text, left);
		if (!len)
			putchar('?');
		else if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			fwrite(text, 1, len, stdout);
		len = len ? len : 1;
	}
	putchar('"');
}

static void print_json_route(const struct posta_route_status *route)
{
	fputs("{\"name\":", stdout);
	print_json_text(route->name);
	printf(",\"received\":%llu,\"sent\":%llu,\"filtered\":%llu,\"dead_lettered\":%llu,\"redelivered\":%llu,"
	       "\"retried\":%llu,\"in_flight\":%llu,\"restarts\":%llu,\"last_error\":",
	       (figure)route->received, (figure)route->sent, (figure)route->filtered, (figure)route->dead_lettered,
	       (figure)route->redelivered, (figure)route->retried, (figure)route->in_flight, (figure)route->restarts);
	print_json_text(route->last_error);
	putchar('}');
}

static void print_json_bridge(const struct posta_bridge_status *bridge)
{
	fputs("{\"name\":", stdout);
	print_json_text(bridge->name);
	fputs(",\"url\":", stdout);
	print_json_text(bridge->url);
	printf(",\"state\":\"%s\",\"connects\":%llu,\"restarts\":%llu,\"published\":%llu,\"delivered\":%llu,"
	       "\"redelivered\":%llu,\"last_error\":",
	       posta_bridge_state_name(bridge->state), (figure)bridge->connects, (figure)bridge->restarts,
	       (figure)bridge->published, (figure)bridge->delivered, (figure)bridge->redelivered);
	print_json_text(bridge->last_error);
	putchar('}');
}

static void print_json(struct posta_router *router, uint64_t elapsed_ms)
{
	struct posta_route_status route = { .size = sizeof route };
	struct posta_bridge_status bridge = { .size = sizeof bridge };
	printf("{\"elapsed_ms\":%llu,\"routes\":[", (figure)elapsed_ms);
	for (size_t i = 0; posta_router_route_status(router, i, &route); i++) {
		fputs(i ? "," : "", stdout);
		print_json_route(&route);
	}
	fputs("],\"bridges\":[", stdout);
	for (size_t i = 0; posta_router_bridge_status(router, i, &bridge); i++) {
		fputs(i ? "," : "", stdout);
		print_json_bridge(&bridge);
	}
	puts("]}");
}

static void print_table(struct posta_router *router, uint64_t elapsed_ms)
{
	struct posta_route_status route = { .size = sizeof route };
	struct posta_bridge_status bridge = { .size = sizeof bridge };
	printf("%-24s %10s %10s %10s %13s %11s %8s\n", "route", "received", "sent", "filtered", "dead-lettered",
	       "redelivered", "restarts");
	for (size_t i = 0; posta_router_route_status(router, i, &route); i++)
		printf("%-24s %10llu %10llu %10llu %13llu %11llu %8llu\n", route.name, (figure)route.received,
		       (figure)route.sent, (figure)route.filtered, (figure)route.dead_lettered,
		       (figure)route.redelivered, (figure)route.restarts);
	printf("\n%-24s %-12s %8s  %s\n", "broker", "state", "restarts", "last error");
	for (size_t i = 0; posta_router_bridge_status(router, i, &bridge); i++)
		printf("%-24s %-12s %8llu  %s\n", bridge.name, posta_bridge_state_name(bridge.state),
		       (figure)bridge.restarts, bridge.last_error);
	printf("\n%llu.%03llu s\n", (figure)(elapsed_ms / 1000), (figure)(elapsed_ms % 1000));
}

void cli_summary(struct posta_router *router, bool json, uint64_t elapsed_ms)
{
	if (json)
		print_json(router, elapsed_ms);
	else
		print_table(router, elapsed_ms);
	fflush(stdout);
}
