/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "bridges/names.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* list: "a,b,c" */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, name, len) == 0 && (list[len] == ',' || !list[len]))
			return true;
	return false;
}

static bool binds(const char *exchange, const char *routing_key, const struct posta_target *to)
{
	return same_text(to->exchange, exchange) &&
	       (!routing_key || posta__amqp_match(routing_key, to->routing_key ? to->routing_key : ""));
}

static bool bound(const struct posta_source *from, const struct posta_target *to)
{
	bool is_bound = binds(from->exchange, from->routing_key, to);
	for (const char *const *at = from->bindings; at && at[0] && !is_bound; at += 2)
		is_bound = binds(at[0], at[1], to);
	return is_bound;
}

/* Whether what is written to target comes out of source. A pattern of Kafka is not followed. */
static bool feeds(const struct posta_router_config *config, const struct posta__endpoint *target,
		  const struct posta__endpoint *source)
{
	const struct posta_target *to = &target->target;
	const struct posta_source *from = &source->source;
	if (strcmp(config->brokers[target->broker].url, config->brokers[source->broker].url) != 0)
		return false;
	if (to->queue && from->queue)
		return same_text(to->queue, from->queue);
	if (to->exchange)
		return bound(from, to);
	if (!to->topic)
		return false;
	const char *filter = from->filter ? from->filter : from->topic;
	if (!filter)
		return false;
	if (from->filter || config->brokers[source->broker].kind == POSTA__MQTT)
		return posta__mqtt_match(filter, to->topic);
	return listed(filter, to->topic);
}

static bool leads(const struct posta_router_config *config, size_t from, size_t to)
{
	for (size_t i = 0; i < config->routes[from].to_count; i++)
		if (feeds(config, &config->routes[from].to[i], &config->routes[to].from))
			return true;
	return false;
}

struct graph {
	size_t n;
	bool *leads;   /* n x n: what the one writes the other reads */
	size_t *queue; /* of a search */
	bool *seen;
};

static bool comes_back(struct graph *graph, size_t start)
{
	size_t head = 0, tail = 0;
	memset(graph->seen, 0, graph->n * sizeof *graph->seen);
	graph->queue[tail++] = start;
	while (head < tail && !graph->seen[start]) {
		const bool *leads = graph->leads + graph->queue[head++] * graph->n;
		for (size_t next = 0; next < graph->n; next++) {
			if (!leads[next] || graph->seen[next])
				continue;
			graph->seen[next] = true;
			graph->queue[tail++] = next;
		}
	}
	return graph->seen[start];
}

static void search(struct posta__reader *reader, const struct posta_router_config *config, struct graph *graph)
{
	for (size_t i = 0; i < graph->n * graph->n; i++)
		graph->leads[i] = leads(config, i / graph->n, i % graph->n);
	for (size_t i = 0; i < graph->n; i++)
		if (comes_back(graph, i))
			posta__report(reader, config->routes[i].place, true,
				      "a message goes round for ever unless a filter ends it",
				      "route \"%s\" leads back to its own source", config->routes[i].name);
}

/* Warns of each route from which its own source is reached again. */
static void check_loops(struct posta__reader *reader, const struct posta_router_config *config)
{
	size_t n = config->route_count;
	struct graph graph = {
		.n = n,
		.leads = calloc(n * n + 1, sizeof *graph.leads),
		.queue = calloc(n + 1, sizeof *graph.queue),
		.seen = calloc(n + 1, sizeof *graph.seen),
	};
	if (graph.leads && graph.queue && graph.seen)
		search(reader, config, &graph);
	else
		reader->no_memory = true;
	free(graph.leads);
	free(graph.queue);
	free(graph.seen);
}

static void check_names(struct posta__reader *reader, const struct posta_router_config *config)
{
	for (size_t i = 0; i < config->route_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (same_text(config->routes[i].name, config->routes[j].name)) {
				posta__report(reader, config->routes[i].place, false, "names of routes are unique",
					      "another route is called \"%s\", in line %d", config->routes[i].name,
					      config->routes[j].place.line);
				break;
			}
		}
	}
}

void posta__config_check(struct posta__reader *reader)
{
	const struct posta_router_config *config = posta__config_of(reader);
	check_names(reader, config);
	check_loops(reader, config);
	for (size_t i = 0; i < config->broker_count; i++)
		if (!config->brokers[i].used)
			posta__report(reader, config->brokers[i].place, true, NULL, "no route uses broker \"%s\"",
				      config->brokers[i].name);
}
