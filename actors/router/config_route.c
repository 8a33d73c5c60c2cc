/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 63u

static void read_name(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta__route_config *route = owner;
	if (!posta__read_text(reader, node, &route->name))
		return;
	route->place = posta__place(node);
	if (!*route->name || strlen(route->name) > NAME_BYTES_MAX)
		posta__wrong(reader, node, NULL, "the name of a route has 1 to %u bytes", NAME_BYTES_MAX);
}

static void read_from(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta__route_config *route = owner;
	posta__read_source(reader, node, &route->from);
	route->has_from = true;
}

static void read_to(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		    void *owner)
{
	struct posta__route_config *route = owner;
	if (!node || !fy_node_is_sequence(node)) {
		route->to_count = 1;
		posta__read_target(reader, node, "to", &route->to[0]);
		return;
	}
	void *at = NULL;
	for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at));) {
		if (route->to_count == POSTA__TARGETS_MAX) {
			posta__wrong(reader, item, NULL, "more than %u targets", POSTA__TARGETS_MAX);
			return;
		}
		posta__read_target(reader, item, "to", &route->to[route->to_count++]);
	}
}

static void read_attempts(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			  void *owner)
{
	long long value;
	if (posta__read_integer(reader, node, 1, 1000000, &value))
		((struct posta__route_config *)owner)->attempts = (uint32_t)value;
}

static void read_wait(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		      void *owner)
{
	struct posta__route_config *route = owner;
	posta__read_duration(reader, node,
			     strcmp(key, "initial") == 0 ? &route->backoff.initial_ms : &route->backoff.max_ms);
}

static void read_factor(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	posta__read_number(reader, node, 1, 1000, &((struct posta__route_config *)owner)->backoff.factor);
}

static void read_jitter(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	static const char *const names[] = { "none", "full", "equal", "decorrelated", NULL };
	int index;
	if (posta__read_choice(reader, node, names, &index))
		((struct posta__route_config *)owner)->backoff.jitter = (enum posta_jitter)index;
}

static void read_retry(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		       void *owner)
{
	static const struct posta__key keys[] = {
		{ "attempts", read_attempts, NULL }, { "initial", read_wait, NULL },  { "factor", read_factor, NULL },
		{ "max", read_wait, NULL },          { "jitter", read_jitter, NULL }, { NULL, NULL, NULL },
	};
	struct posta__route_config *route = owner;
	route->attempts = 5;
	posta__read_mapping(reader, node, "retry", keys, route);
	if (route->backoff.max_ms && route->backoff.max_ms < route->backoff.initial_ms)
		posta__wrong(reader, key_node, NULL, "retry: max is less than initial");
}

static void read_dead_letter(struct posta__reader *reader, const char *key, struct fy_node *key_node,
			     struct fy_node *node, void *owner)
{
	struct posta__route_config *route = owner;
	const char *word;
	if (node && fy_node_is_scalar(node)) {
		if (posta__read_text(reader, node, &word) && strcmp(word, "store") == 0)
			posta__wrong(reader, node, "{ broker: NAME, topic: NAME }",
				     "\"store\" is not available in this version");
		else
			posta__wrong(reader, node, "{ broker: NAME, topic: NAME }", "dead_letter must be a target");
		return;
	}
	route->has_dead_letter = posta__read_target(reader, node, "dead_letter", &route->dead_letter);
}

static const struct posta__key route_keys[] = {
	{ "name", read_name, NULL }, { "from", read_from, NULL },   { "steps", posta__read_steps, NULL },
	{ "to", read_to, NULL },     { "retry", read_retry, NULL }, { "dead_letter", read_dead_letter, NULL },
	{ NULL, NULL, NULL },
};

static uint64_t hash(uint64_t seed, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < len; i++)
		seed = (seed ^ bytes[i]) * UINT64_C(1099511628211);
	return seed;
}

/* The environment counts too: what is hashed is what was read, not the text of the file. */
static uint64_t hash_node(struct posta__reader *reader, struct fy_node *node, uint64_t seed, int depth)
{
	void *at = NULL;
	const char *text;
	if (!node || depth > 16)
		return hash(seed, "~", 1);
	if (fy_node_is_scalar(node))
		return posta__read_text(reader, node, &text) ? hash(seed, text, strlen(text) + 1) : seed;
	seed = hash(seed, fy_node_is_mapping(node) ? "{" : "[", 1);
	if (fy_node_is_mapping(node)) {
		for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at));) {
			seed = hash_node(reader, fy_node_pair_key(pair), seed, depth + 1);
			seed = hash_node(reader, fy_node_pair_value(pair), seed, depth + 1);
		}
	} else {
		for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at));)
			seed = hash_node(reader, item, seed, depth + 1);
	}
	return hash(seed, "]", 1);
}

uint64_t posta__node_hash(struct posta__reader *reader, struct fy_node *node, uint64_t seed)
{
	return hash_node(reader, node, seed ? seed : UINT64_C(14695981039346656037), 0);
}

static void read_route(struct posta__reader *reader, struct fy_node *node, struct posta__route_config *route)
{
	unsigned before = reader->errors;
	route->place = posta__place(node);
	route->attempts = 1;
	route->backoff =
		(struct posta_backoff){ .initial_ms = 1000, .factor = 2, .max_ms = 60000, .jitter = POSTA_JITTER_FULL };
	posta__read_mapping(reader, node, "a route", route_keys, route);
	if (reader->errors != before)
		return;
	if (!route->name)
		posta__wrong(reader, node, "name: NAME", "a route has no name");
	else if (!route->has_from)
		posta__wrong(reader, node, "from: { broker: NAME, topic: NAME }", "route \"%s\" has no from",
			     route->name);
	else if (!route->to_count)
		posta__wrong(reader, node, "to: { broker: NAME, topic: NAME }", "route \"%s\" has no to", route->name);
	else
		route->fingerprint = posta__node_hash(reader, node, 0);
}

void posta__read_routes(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner)
{
	struct posta_router_config *config = posta__config_of(reader);
	int count = node && fy_node_is_sequence(node) ? fy_node_sequence_item_count(node) : -1;
	if (count < 0 || count > (int)POSTA__ROUTES_MAX) {
		posta__wrong(reader, count < 0 ? node : key_node, "routes: is a list of - name: ...",
			     "routes must be a list of at most %u routes", POSTA__ROUTES_MAX);
		return;
	}
	config->routes = posta__arena_alloc(reader->arena, (size_t)(count + 1) * sizeof *config->routes);
	reader->no_memory |= !config->routes;
	void *at = NULL;
	for (struct fy_node *item; config->routes && (item = fy_node_sequence_iterate(node, &at));)
		read_route(reader, item, &config->routes[config->route_count++]);
}
