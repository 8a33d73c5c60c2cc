/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_CONFIG_H
#define POSTA_ACTORS_ROUTER_CONFIG_H

/*
 * A file of routes as the router runs it. Texts live in the arena; the whole is read-only once it is loaded.
 */

#include "expression.h"
#include "template.h"
#include "yaml.h"

#include <posta/router.h>

#define POSTA__BROKERS_MAX 64u
#define POSTA__ROUTES_MAX 1024u
#define POSTA__TARGETS_MAX 16u
#define POSTA__STEPS_MAX 64u
#define POSTA__CREDIT_DEFAULT 1024u

enum posta__broker_kind { POSTA__KAFKA = 1 << 0, POSTA__AMQP = 1 << 1, POSTA__MQTT = 1 << 2, POSTA__MEMORY = 1 << 3 };

struct posta__broker {
	const char *name;
	const char *url; /* with credentials: never log it */
	enum posta__broker_kind kind;
	struct posta_bridge_options options;
	const char **extra; /* what options.extra points to */
	struct posta__place place;
	bool used;
	uint64_t fingerprint; /* equal ones are opened alike */
};

struct posta__endpoint {
	size_t broker; /* index */
	struct posta__place place;
	struct posta_source source;
	struct posta_target target;
	struct posta__template *key; /* owned; NULL: the envelope's */
};

enum posta__step_kind { POSTA__STEP_FILTER, POSTA__STEP_SET, POSTA__STEP_DROP, POSTA__STEP_RENAME };

/* A field that a step writes: an attribute, the priority, or a header. */
struct posta__field {
	enum { POSTA__FIELD_ATTRIBUTE, POSTA__FIELD_PRIORITY, POSTA__FIELD_HEADER } kind;
	enum posta_attribute attribute;
	const char *header;
	const char *path;
};

struct posta__change {
	struct posta__change *next;
	struct posta__field field;
	struct posta__field to;        /* RENAME */
	struct posta__template *value; /* SET: owned */
};

struct posta__step {
	enum posta__step_kind kind;
	struct posta__expression *filter; /* owned */
	struct posta__change *changes;
};

struct posta__route_config {
	const char *name;
	struct posta__place place;
	struct posta__endpoint from;
	struct posta__endpoint to[POSTA__TARGETS_MAX];
	size_t to_count;
	struct posta__endpoint dead_letter;
	bool has_from;
	bool has_dead_letter;
	struct posta__step *steps;
	size_t step_count;
	uint32_t attempts; /* 1: none after the first */
	struct posta_backoff backoff;
	uint64_t fingerprint; /* of its text and its brokers: equal ones run alike */
};

struct posta_router_config {
	struct posta__arena arena;
	struct posta__broker *brokers;
	size_t broker_count;
	struct posta__route_config *routes;
	size_t route_count;
};

struct posta__loader {
	struct posta__reader reader; /* first: a reader is its loader */
	struct posta_router_config *config;
};

static inline struct posta_router_config *posta__config_of(struct posta__reader *reader)
{
	return ((struct posta__loader *)(void *)reader)->config;
}

/* -- config_broker.c */
void posta__read_brokers(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			 void *owner);
/* Returns: its index, or SIZE_MAX, reported. */
size_t posta__find_broker(struct posta__reader *reader, struct fy_node *node);

/* -- config_endpoint.c. what: "from", for the words. */
bool posta__read_source(struct posta__reader *reader, struct fy_node *node, struct posta__endpoint *endpoint);
bool posta__read_target(struct posta__reader *reader, struct fy_node *node, const char *what,
			struct posta__endpoint *endpoint);

/* -- config_step.c */
void posta__read_steps(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
		       void *owner);

/* -- config_route.c */
/* Of what was read, the environment filled in: equal nodes have equal ones. seed: 0, or an earlier result. */
uint64_t posta__node_hash(struct posta__reader *reader, struct fy_node *node, uint64_t seed);
void posta__read_routes(struct posta__reader *reader, const char *key, struct fy_node *key_node, struct fy_node *node,
			void *owner);

/* -- config_check.c: what is wrong with the whole: equal names, loops, brokers that nobody uses. */
void posta__config_check(struct posta__reader *reader);

#endif
