/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ROUTER_H
#define POSTA_ROUTER_H

/*
 * Routes between brokers, from a file: load and check it, start its routes on a system, watch them, drain them.
 * docs/guides/routes.md describes the file. A route settles a delivery at its source only when every target has
 * confirmed it: at least once from end to end, order kept per key.
 */

#include <posta/bridge.h>
#include <posta/error.h>
#include <posta/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct posta_router;
struct posta_router_config;

/* One finding about a file. Lines and columns count from 1. Borrowed for the call. */
struct posta_diagnostic {
	const char *file;
	int line;
	int column;
	bool warning;     /* else it is an error */
	const char *text; /* never a credential */
	const char *hint; /* what to do; NULL: nothing to say */
};
typedef void posta_diagnostic_fn(void *context, const struct posta_diagnostic *diagnostic);

/*
 * Reads a file, with ${VAR} and ${VAR:-default} from the environment, and tells all that is wrong in one pass. report
 * may be NULL. Thread: any. Returns: owned; NULL with error (EIO: can't be read; EFORMAT: the first finding; ENOMEM).
 */
struct posta_router_config *posta_router_config_load(const char *file, posta_diagnostic_fn *report, void *context,
						     struct posta_error *error);
/* The same from memory; file is its name in findings. Files that it names are relative to the current folder. */
struct posta_router_config *posta_router_config_parse(const char *text, size_t len, const char *file,
						      posta_diagnostic_fn *report, void *context,
						      struct posta_error *error);
/* For one that was not given to a router. NULL is allowed. */
void posta_router_config_free(struct posta_router_config *config);
/* How many there are. */
size_t posta_router_config_routes(const struct posta_router_config *config);
size_t posta_router_config_brokers(const struct posta_router_config *config);

/* A message that a route gave up. Borrowed for the call. */
struct posta_route_letter {
	const char *route;
	const struct posta_envelope *envelope;
	enum posta_err reason;
	const char *text; /* the broker's own words, or ours */
	uint32_t attempts;
	bool kept; /* the route's dead-letter target has it; else it was rejected at its source */
};

struct posta_router_options {
	size_t size;
	/* Called by the route's worker; must not block. It is logged ("route.dead_letter") either way. */
	void (*dead_letter)(void *context, const struct posta_route_letter *letter);
	void *dead_letter_context;
};

/*
 * Opens the bridges and starts the routes; returns at once. Takes: config, also on an error. options may be NULL.
 * Thread: any. Returns: owned; NULL with error (EINVAL: a broker or an endpoint it cannot do; EUNSUPPORTED; ENOMEM).
 */
struct posta_router *posta_router_start(struct posta_system *system, struct posta_router_config *config,
					const struct posta_router_options *options, struct posta_error *error);
/*
 * Changes to another file: new and changed routes start, those that are gone drain, the others go on untouched.
 * Takes: config, also on an error, which leaves everything as it was (ESTATE: it is stopping). Thread: one at a time.
 */
enum posta_err posta_router_reload(struct posta_router *router, struct posta_router_config *config,
				   struct posta_error *error);
/*
 * Begins to drain: no new deliveries, those on their way are finished within deadline_ms, the rest is left to its
 * broker; then the bridges close. A second call can only shorten it. Never blocks. Thread: any.
 */
void posta_router_stop(struct posta_router *router, uint32_t deadline_ms);
/* Whether all of it has ended. Thread: any. */
bool posta_router_stopped(const struct posta_router *router);
/* Only once it is stopped, or its system is. NULL is allowed. */
void posta_router_free(struct posta_router *router);

struct posta_route_status {
	size_t size;
	uint64_t received;
	uint64_t sent; /* publications confirmed, one for each target */
	uint64_t filtered;
	uint64_t dead_lettered; /* given up, kept or not */
	uint64_t redelivered;   /* deliveries that may have been seen before */
	uint64_t retried;
	uint64_t in_flight;
	uint64_t restarts; /* by its supervisor, after a failure of its own */
	bool restarting;   /* it waits for the back-off */
	bool running;      /* also while it drains or is restarted */
	bool drained;      /* it was told to end, by a stop or another file; false: it could not go on */
	char name[64];
	char source[64]; /* the broker's name */
	char last_error[POSTA_ERROR_TEXT_MAX];
};

/* index from 0. Returns: false beyond the last one. Thread: any. */
bool posta_router_route_status(struct posta_router *router, size_t index, struct posta_route_status *status);
/* The same for its bridges. */
bool posta_router_bridge_status(struct posta_router *router, size_t index, struct posta_bridge_status *status);

#ifdef __cplusplus
}
#endif
#endif
