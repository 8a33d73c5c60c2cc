/* SPDX-License-Identifier: MIT */
#include "router.h"

#include <posta/log.h>
#include <posta/supervisor.h>
#include <posta/watch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_CLOSE_MS 2000u
#define TICK_MS 1000u

/* -- The manager. Each of these runs with the lock held. */

static void go_on(struct posta_actor *self, struct posta_router *router);

static void not_started(const struct posta_router *router, struct posta__route_slot *slot, enum posta_err reason)
{
	slot->state = posta_err_retriable(reason) ? POSTA__SLOT_WAITING : POSTA__SLOT_ENDED;
	if (!slot->route->last_error[0])
		posta__route_error(slot->route, posta_strerror(reason));
	posta_log(router->system, POSTA_LOG_ERROR, "route.failed", "route=%s error=\"%s\"", slot->route->config->name,
		  slot->route->last_error);
}

static enum posta_err on_started(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
				 void *context)
{
	struct posta_router *router = state;
	struct posta__route_slot *slot = context;
	pthread_mutex_lock(&router->lock);
	slot->ref = child;
	slot->state = POSTA__SLOT_RUNNING;
	if (result)
		not_started(router, slot, result);
	else
		slot->watched = posta_watch(self, child);
	go_on(self, router);
	pthread_mutex_unlock(&router->lock);
	return POSTA_OK;
}

static void start_route(struct posta_actor *self, struct posta_router *router, struct posta__route_slot *slot)
{
	slot->state = POSTA__SLOT_STARTING;
	enum posta_err err = posta_start_simple_child(self, router->supervisor, slot->route, on_started, slot);
	if (err)
		not_started(router, slot, err);
}

static void start_what_is_new(struct posta_actor *self, struct posta_router *router)
{
	for (size_t i = 0; i < router->bridge_count; i++) {
		struct posta__bridge_slot *slot = router->bridges[i];
		if (slot->state != POSTA__SLOT_NEW)
			continue;
		slot->state = POSTA__SLOT_RUNNING;
		slot->watched = posta_watch(self, slot->ref);
	}
	for (size_t i = 0; i < router->route_count && !router->stopping; i++) {
		struct posta__route_slot *slot = router->routes[i];
		if (slot->state == POSTA__SLOT_NEW && (!slot->before || slot->before->state == POSTA__SLOT_ENDED))
			start_route(self, router, slot);
	}
}

static void drain(struct posta_actor *self, struct posta__route_slot *slot)
{
	if (slot->state == POSTA__SLOT_NEW || slot->state == POSTA__SLOT_WAITING)
		slot->state = POSTA__SLOT_ENDED;
	if (slot->state == POSTA__SLOT_RUNNING &&
	    posta_send(self, slot->ref, POSTA__ROUTE_DRAIN, NULL, 0) != POSTA_ENOMEM)
		slot->state = POSTA__SLOT_ENDING;
}

static bool uses(const struct posta__route *route, const struct posta_bridge *bridge)
{
	bool used = route->source == bridge || route->dead_letter.bridge == bridge;
	for (size_t i = 0; i < route->config->to_count; i++)
		used |= route->outlets[i].bridge == bridge;
	return used;
}

static bool in_use(const struct posta_router *router, const struct posta_bridge *bridge)
{
	for (size_t i = 0; i < router->route_count; i++)
		if (router->routes[i]->state != POSTA__SLOT_ENDED && uses(router->routes[i]->route, bridge))
			return true;
	return false;
}

static void close_what_is_idle(struct posta_router *router)
{
	for (size_t i = 0; i < router->bridge_count; i++) {
		struct posta__bridge_slot *slot = router->bridges[i];
		if (slot->state != POSTA__SLOT_RUNNING || !(slot->retired || router->stopping) ||
		    in_use(router, slot->bridge))
			continue;
		slot->state = POSTA__SLOT_ENDING;
		slot->closed = true;
		slot->last.size = sizeof slot->last;
		posta_bridge_status(slot->bridge, &slot->last);
		posta_bridge_close(slot->bridge, router->stopping && router->deadline_ms < BRIDGE_CLOSE_MS
							 ? router->deadline_ms
							 : BRIDGE_CLOSE_MS);
	}
}

static bool all_ended(const struct posta_router *router)
{
	for (size_t i = 0; i < router->route_count; i++)
		if (router->routes[i]->state != POSTA__SLOT_ENDED)
			return false;
	for (size_t i = 0; i < router->bridge_count; i++)
		if (router->bridges[i]->state != POSTA__SLOT_ENDED)
			return false;
	return true;
}

/* Also one that waits to be restarted. */
static void cut_off(struct posta_actor *self, struct posta_router *router)
{
	for (size_t i = 0; i < router->route_count; i++)
		if (router->routes[i]->state == POSTA__SLOT_ENDING)
			posta_stop_simple_child(self, router->supervisor, router->routes[i]->ref, NULL, NULL);
}

static void go_on(struct posta_actor *self, struct posta_router *router)
{
	for (size_t i = 0; i < router->route_count; i++)
		if (router->routes[i]->retired || router->stopping)
			drain(self, router->routes[i]);
	if (router->overdue)
		cut_off(self, router);
	start_what_is_new(self, router);
	close_what_is_idle(router);
	if (!router->stopping || !all_ended(router))
		return;
	/* PAIRS with posta_router_stopped: whoever sees it may free the router. */
	atomic_store_explicit(&router->stopped, true, memory_order_release);
	posta_stop(self, posta_self(self), POSTA_OK);
}

/* ENOMEM: it may live, and had no memory to note that it is watched. If it does not, another watch says so at once. */
static void on_down(struct posta_router *router, const struct posta_down *down)
{
	const bool lacked_memory = down->reason == POSTA_ENOMEM;
	for (size_t i = 0; i < router->route_count; i++) {
		struct posta__route_slot *slot = router->routes[i];
		if (slot->ref != down->ref)
			continue;
		slot->watched = !lacked_memory;
		if (lacked_memory)
			continue;
		slot->state = POSTA__SLOT_ENDED;
		if (down->reason && down->reason != POSTA_ESHUTDOWN)
			posta_log(router->system, POSTA_LOG_ERROR, "route.ended", "route=%s reason=%s",
				  slot->route->config->name, posta_err_name(down->reason));
	}
	for (size_t i = 0; i < router->bridge_count; i++) {
		struct posta__bridge_slot *slot = router->bridges[i];
		if (slot->ref != down->ref)
			continue;
		slot->watched = !lacked_memory;
		if (lacked_memory)
			continue;
		slot->state = POSTA__SLOT_ENDED;
		slot->last.state = POSTA_BRIDGE_CLOSED;
	}
}

static bool lives(enum posta__slot_state state)
{
	return state == POSTA__SLOT_RUNNING || state == POSTA__SLOT_ENDING;
}

static void watch_again(struct posta_actor *self, struct posta_router *router)
{
	for (size_t i = 0; i < router->route_count; i++) {
		struct posta__route_slot *slot = router->routes[i];
		if (lives(slot->state) && !slot->watched)
			slot->watched = posta_watch(self, slot->ref);
	}
	for (size_t i = 0; i < router->bridge_count; i++) {
		struct posta__bridge_slot *slot = router->bridges[i];
		if (lives(slot->state) && !slot->watched)
			slot->watched = posta_watch(self, slot->ref);
	}
}

static void on_stop(struct posta_actor *self, struct posta_router *router, uint32_t deadline_ms)
{
	const uint64_t at_ns = posta_now_ns(self) + (uint64_t)deadline_ms * 1000000;
	if (!router->stopping || at_ns < router->overdue_at_ns)
		router->overdue_at_ns = at_ns;
	router->stopping = true;
	router->deadline_ms = deadline_ms;
	/* Where there is no memory for it, a tick looks at the time. */
	posta_send_after(self, deadline_ms, posta_self(self), POSTA__ROUTER_DEADLINE, NULL, 0);
}

static void on_tick(struct posta_actor *self, struct posta_router *router)
{
	/* Acquire: PAIRS with posta_router_stop. */
	uint64_t unsent = atomic_exchange_explicit(&router->stop_unsent, 0, memory_order_acquire);
	if (unsent)
		on_stop(self, router, (uint32_t)(unsent - 1));
	if (router->stopping && posta_now_ns(self) >= router->overdue_at_ns)
		router->overdue = true;
	router->changing = false;
	watch_again(self, router);
	for (size_t i = 0; i < router->route_count; i++)
		if (router->routes[i]->state == POSTA__SLOT_WAITING)
			router->routes[i]->state = POSTA__SLOT_NEW;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta_router *router = state;
	pthread_mutex_lock(&router->lock);
	bool over = atomic_load_explicit(&router->stopped, memory_order_relaxed);
	if (message->type == POSTA_MSG_DOWN)
		on_down(router, posta_data(message));
	else if (message->type == POSTA__ROUTER_STOP)
		on_stop(self, router, *(const uint32_t *)posta_data(message));
	else if (message->type == POSTA__ROUTER_DEADLINE)
		router->overdue = true;
	else if (message->type == POSTA__ROUTER_TICK)
		on_tick(self, router);
	else if (message->type == POSTA__ROUTER_CHANGE)
		router->changing = false;
	if (!over)
		go_on(self, router);
	pthread_mutex_unlock(&router->lock);
	return POSTA_OK;
}

static enum posta_err start_supervisor(struct posta_actor *self, struct posta_router *router)
{
	const struct posta_child_spec route = {
		.size = sizeof route,
		.klass = &posta__route_class,
		.restart = POSTA_TRANSIENT,
	};
	const struct posta_supervisor_options options = {
		.size = sizeof options,
		.strategy = POSTA_SIMPLE_ONE_FOR_ONE,
		.intensity = POSTA_INTENSITY_UNLIMITED,
		.backoff = { .initial_ms = 100, .max_ms = 30000, .factor = 2, .jitter = POSTA_JITTER_EQUAL },
		.children_max = POSTA__SLOTS_MAX,
		.children = &route,
		.child_count = 1,
	};
	struct posta_error error;
	router->supervisor = posta_supervise(self, &options, &error);
	return router->supervisor ? POSTA_OK : error.code;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_router *router = argument;
	pthread_mutex_lock(&router->lock);
	enum posta_err err = start_supervisor(self, router);
	if (!err && !posta_send_every(self, TICK_MS, posta_self(self), POSTA__ROUTER_TICK, NULL, 0))
		err = POSTA_ENOMEM;
	if (err)
		atomic_store_explicit(&router->stopped, true, memory_order_release); /* PAIRS as in go_on */
	else
		go_on(self, router);
	pthread_mutex_unlock(&router->lock);
	return err;
}

static const struct posta_actor_class router_class = {
	.size = sizeof(struct posta_actor_class),
	.name = "router",
	.receive = receive,
	.start = start,
};

/* -- The caller's side */

static void free_route_slot(struct posta__route_slot *slot)
{
	posta__router_free_route(slot->route);
	free(slot);
}

static void free_bridge_slot(struct posta__bridge_slot *slot)
{
	if (!slot->closed) /* also one that ended by itself */
		posta_bridge_close(slot->bridge, 0);
	free(slot);
}

struct posta_router *posta_router_start(struct posta_system *system, struct posta_router_config *config,
					const struct posta_router_options *options, struct posta_error *error)
{
	struct posta_router *router = calloc(1, sizeof *router);
	if (!router) {
		posta_router_config_free(config);
		posta_error_set(error, POSTA_ENOMEM, "out of memory");
		return NULL;
	}
	router->system = system;
	if (options)
		router->options = *options;
	atomic_init(&router->stopped, false);
	pthread_mutex_init(&router->lock, NULL);
	pthread_mutex_lock(&router->lock);
	enum posta_err err = posta__router_plan(router, config, error);
	if (!err)
		router->manager = posta_system_spawn(system, &router_class, router, NULL, error);
	pthread_mutex_unlock(&router->lock);
	if (router->manager)
		return router;
	posta_router_free(router);
	return NULL;
}

static void sweep_routes(struct posta_router *router)
{
	size_t kept = 0;
	for (size_t i = 0; i < router->route_count; i++) {
		struct posta__route_slot *slot = router->routes[i];
		if (slot->before && slot->before->state == POSTA__SLOT_ENDED)
			slot->before = NULL;
	}
	for (size_t i = 0; i < router->route_count; i++) {
		struct posta__route_slot *slot = router->routes[i];
		if (slot->state == POSTA__SLOT_ENDED)
			free_route_slot(slot);
		else
			router->routes[kept++] = slot;
	}
	router->route_count = kept;
}

static void sweep_bridges(struct posta_router *router)
{
	size_t kept = 0;
	for (size_t i = 0; i < router->bridge_count; i++) {
		struct posta__bridge_slot *slot = router->bridges[i];
		if (slot->state == POSTA__SLOT_ENDED && !in_use(router, slot->bridge))
			free_bridge_slot(slot);
		else
			router->bridges[kept++] = slot;
	}
	router->bridge_count = kept;
}

static bool file_in_use(const struct posta_router *router, const struct posta_router_config *config)
{
	for (size_t i = 0; i < router->route_count; i++) {
		const struct posta__route_config *route = router->routes[i]->route->config;
		if (route >= config->routes && route < config->routes + config->route_count)
			return true;
	}
	return false;
}

/* What ended before this reload: else a program that reloads for months would only ever grow. */
static void sweep(struct posta_router *router)
{
	sweep_routes(router);
	sweep_bridges(router);
	for (struct posta__router_file **at = &router->files; *at;) {
		struct posta__router_file *file = *at;
		if (file_in_use(router, file->config)) {
			at = &file->next;
			continue;
		}
		*at = file->next;
		posta_router_config_free(file->config);
		free(file);
	}
}

enum posta_err posta_router_reload(struct posta_router *router, struct posta_router_config *config,
				   struct posta_error *error)
{
	pthread_mutex_lock(&router->lock);
	enum posta_err err = POSTA_OK;
	if (router->stopping || router->changing) {
		err = posta_error_set(error, POSTA_ESTATE,
				      router->stopping ? "the router is stopping" : "another reload has not finished");
		posta_router_config_free(config);
	} else {
		err = posta__router_plan(router, config, error);
	}
	if (!err) {
		router->changing = true;
		sweep(router);
	}
	pthread_mutex_unlock(&router->lock);
	if (!err)
		/* Where there is no memory for it, a tick finds what is new. */
		posta_system_send(router->system, router->manager, POSTA__ROUTER_CHANGE, NULL, 0);
	return err;
}

void posta_router_stop(struct posta_router *router, uint32_t deadline_ms)
{
	if (posta_system_send(router->system, router->manager, POSTA__ROUTER_STOP, &deadline_ms, sizeof deadline_ms) ==
	    POSTA_ENOMEM)
		/* Release: PAIRS with on_tick. */
		atomic_store_explicit(&router->stop_unsent, (uint64_t)deadline_ms + 1, memory_order_release);
}

bool posta_router_stopped(const struct posta_router *router)
{
	/* PAIRS with go_on. */
	return atomic_load_explicit(&router->stopped, memory_order_acquire);
}

void posta_router_free(struct posta_router *router)
{
	if (!router)
		return;
	/* The manager may hold the lock still, on its way out of the turn in which it said that it stopped. */
	pthread_mutex_lock(&router->lock);
	pthread_mutex_unlock(&router->lock);
	for (size_t i = 0; i < router->route_count; i++)
		free_route_slot(router->routes[i]);
	for (size_t i = 0; i < router->bridge_count; i++)
		free_bridge_slot(router->bridges[i]);
	while (router->files) {
		struct posta__router_file *next = router->files->next;
		posta_router_config_free(router->files->config);
		free(router->files);
		router->files = next;
	}
	free(router->routes);
	free(router->bridges);
	pthread_mutex_destroy(&router->lock);
	free(router);
}

static uint64_t read_counter(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

bool posta_router_route_status(struct posta_router *router, size_t index, struct posta_route_status *status)
{
	pthread_mutex_lock(&router->lock);
	struct posta__route_slot *slot = index < router->route_count ? router->routes[index] : NULL;
	if (slot) {
		struct posta__route *route = slot->route;
		memset(status, 0, sizeof *status);
		status->size = sizeof *status;
		status->received = read_counter(&route->counters.received);
		status->sent = read_counter(&route->counters.sent);
		status->filtered = read_counter(&route->counters.filtered);
		status->dead_lettered = read_counter(&route->counters.dead_lettered);
		status->redelivered = read_counter(&route->counters.redelivered);
		status->retried = read_counter(&route->counters.retried);
		status->in_flight = read_counter(&route->counters.in_flight);
		status->restarts = read_counter(&route->counters.restarts);
		status->restarting =
			atomic_load_explicit(&route->down, memory_order_relaxed) && slot->state != POSTA__SLOT_ENDED;
		status->drained = slot->retired || router->stopping;
		status->running = slot->state != POSTA__SLOT_ENDED;
		snprintf(status->name, sizeof status->name, "%s", route->config->name);
		snprintf(status->source, sizeof status->source, "%s", route->source_name);
		pthread_mutex_lock(&route->lock);
		memcpy(status->last_error, route->last_error, sizeof status->last_error);
		pthread_mutex_unlock(&route->lock);
	}
	pthread_mutex_unlock(&router->lock);
	return slot != NULL;
}

bool posta_router_bridge_status(struct posta_router *router, size_t index, struct posta_bridge_status *status)
{
	pthread_mutex_lock(&router->lock);
	struct posta__bridge_slot *slot = index < router->bridge_count ? router->bridges[index] : NULL;
	if (slot && (slot->state == POSTA__SLOT_NEW || slot->state == POSTA__SLOT_RUNNING))
		posta_bridge_status(slot->bridge, status);
	else if (slot)
		*status = slot->last;
	pthread_mutex_unlock(&router->lock);
	return slot != NULL;
}
