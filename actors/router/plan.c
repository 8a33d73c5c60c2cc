/* SPDX-License-Identifier: MIT */
#include "router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan {
	struct posta_router *router;
	struct posta_router_config *config;
	struct posta__bridge_slot *bridges[POSTA__BROKERS_MAX]; /* by index of config */
	size_t old_bridges, old_routes;                         /* what there was before */
	bool *kept;                                             /* routes, by their slot */
};

/* Grows by one slot, zeroed. Returns: borrowed; NULL when out of memory or beyond the limit. */
static void *add_slot(void ***slots, size_t *count, size_t size)
{
	if (*count >= POSTA__SLOTS_MAX)
		return NULL;
	void **grown = realloc(*slots, (*count + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	*slots = grown;
	grown[*count] = calloc(1, size);
	return grown[*count] ? grown[(*count)++] : NULL;
}

static struct posta__bridge_slot *find_bridge(struct plan *plan, const struct posta__broker *broker)
{
	for (size_t i = 0; i < plan->old_bridges; i++) {
		struct posta__bridge_slot *slot = plan->router->bridges[i];
		if (slot->state == POSTA__SLOT_RUNNING && !slot->retired && slot->fingerprint == broker->fingerprint &&
		    strcmp(slot->name, broker->name) == 0)
			return slot;
	}
	return NULL;
}

static enum posta_err open_bridge(struct plan *plan, size_t index, struct posta_error *error)
{
	const struct posta__broker *broker = &plan->config->brokers[index];
	struct posta_router *router = plan->router;
	struct posta_error why = { POSTA_OK, false, "" };
	plan->bridges[index] = find_bridge(plan, broker);
	if (plan->bridges[index] || !broker->used)
		return POSTA_OK;
	struct posta__bridge_slot *slot =
		add_slot((void ***)(void *)&router->bridges, &router->bridge_count, sizeof *slot);
	if (!slot)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory");
	snprintf(slot->name, sizeof slot->name, "%s", broker->name);
	slot->fingerprint = broker->fingerprint;
	slot->state = POSTA__SLOT_NEW;
	slot->bridge = posta_bridge_open(router->system, broker->url, &broker->options, &why);
	if (!slot->bridge)
		return posta_error_set(error, why.code ? why.code : POSTA_EINVAL, "broker %s: %s", broker->name,
				       why.text);
	slot->ref = posta_bridge_ref(slot->bridge);
	plan->bridges[index] = slot;
	return POSTA_OK;
}

static enum posta_err prepare(struct plan *plan, const struct posta__route_config *config,
			      const struct posta__endpoint *endpoint, struct posta__outlet *outlet,
			      struct posta_error *error)
{
	struct posta_error why = { POSTA_OK, false, "" };
	outlet->bridge = plan->bridges[endpoint->broker]->bridge;
	outlet->key = endpoint->key;
	outlet->target = posta_target_prepare(outlet->bridge, &endpoint->target, &why);
	if (outlet->target)
		return POSTA_OK;
	return posta_error_set(error, why.code ? why.code : POSTA_EINVAL, "route %s: %s", config->name, why.text);
}

void posta__router_free_route(struct posta__route *route)
{
	if (!route)
		return;
	for (size_t i = 0; i < POSTA__TARGETS_MAX; i++)
		posta_target_unref(route->outlets[i].target);
	posta_target_unref(route->dead_letter.target);
	posta__flights_fini(route);
	pthread_mutex_destroy(&route->lock);
	free(route);
}

static enum posta_err build_route(struct plan *plan, const struct posta__route_config *config,
				  struct posta__route *route, struct posta_error *error)
{
	enum posta_err err = POSTA_OK;
	route->config = config;
	route->system = plan->router->system;
	route->options = &plan->router->options;
	route->source = plan->bridges[config->from.broker]->bridge;
	route->source_name = plan->bridges[config->from.broker]->name;
	for (size_t i = 0; i < config->to_count && !err; i++)
		err = prepare(plan, config, &config->to[i], &route->outlets[i], error);
	if (config->has_dead_letter && !err)
		err = prepare(plan, config, &config->dead_letter, &route->dead_letter, error);
	return err;
}

static bool uses_running(const struct plan *plan, const struct posta__route_config *config)
{
	bool running = plan->bridges[config->from.broker]->state == POSTA__SLOT_RUNNING;
	for (size_t i = 0; i < config->to_count; i++)
		running &= plan->bridges[config->to[i].broker]->state == POSTA__SLOT_RUNNING;
	if (config->has_dead_letter)
		running &= plan->bridges[config->dead_letter.broker]->state == POSTA__SLOT_RUNNING;
	return running;
}

static enum posta_err add_route(struct plan *plan, const struct posta__route_config *config, struct posta_error *error)
{
	struct posta_router *router = plan->router;
	struct posta__route_slot *before = NULL;
	for (size_t i = 0; i < plan->old_routes; i++) {
		struct posta__route_slot *old = router->routes[i];
		if (old->state == POSTA__SLOT_ENDED || old->retired ||
		    strcmp(old->route->config->name, config->name) != 0)
			continue;
		before = old;
		plan->kept[i] = old->route->config->fingerprint == config->fingerprint && uses_running(plan, config);
		if (plan->kept[i])
			return POSTA_OK;
	}
	struct posta__route_slot *slot =
		add_slot((void ***)(void *)&router->routes, &router->route_count, sizeof *slot);
	struct posta__route *route = slot ? calloc(1, sizeof *route) : NULL;
	if (!route)
		return posta_error_set(error, POSTA_ENOMEM, "out of memory");
	pthread_mutex_init(&route->lock, NULL);
	slot->route = route;
	slot->before = before;
	slot->state = POSTA__SLOT_NEW;
	return build_route(plan, config, route, error);
}

static void undo(struct plan *plan)
{
	struct posta_router *router = plan->router;
	while (router->route_count > plan->old_routes) {
		struct posta__route_slot *slot = router->routes[--router->route_count];
		posta__router_free_route(slot->route);
		free(slot);
	}
	while (router->bridge_count > plan->old_bridges) {
		struct posta__bridge_slot *slot = router->bridges[--router->bridge_count];
		posta_bridge_close(slot->bridge, 0);
		free(slot);
	}
}

static void retire(struct plan *plan)
{
	struct posta_router *router = plan->router;
	for (size_t i = 0; i < plan->old_routes; i++)
		router->routes[i]->retired |= !plan->kept[i];
	for (size_t i = 0; i < plan->old_bridges; i++) {
		bool wanted = false;
		for (size_t j = 0; j < plan->config->broker_count; j++)
			wanted |= plan->bridges[j] == router->bridges[i];
		router->bridges[i]->retired |= !wanted;
	}
}

enum posta_err posta__router_plan(struct posta_router *router, struct posta_router_config *config,
				  struct posta_error *error)
{
	struct plan plan = { .router = router,
			     .config = config,
			     .old_bridges = router->bridge_count,
			     .old_routes = router->route_count };
	struct posta__router_file *file = calloc(1, sizeof *file);
	enum posta_err err = POSTA_OK;
	plan.kept = calloc(router->route_count + 1, sizeof *plan.kept);
	if (!file || !plan.kept)
		err = posta_error_set(error, POSTA_ENOMEM, "out of memory");
	for (size_t i = 0; i < config->broker_count && !err; i++)
		err = open_bridge(&plan, i, error);
	for (size_t i = 0; i < config->route_count && !err; i++)
		err = add_route(&plan, &config->routes[i], error);
	if (err) {
		undo(&plan);
		posta_router_config_free(config);
		free(file);
	} else {
		retire(&plan);
		file->config = config;
		file->next = router->files;
		router->files = file;
	}
	free(plan.kept);
	return err;
}
