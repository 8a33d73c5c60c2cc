/* SPDX-License-Identifier: MIT */
#ifndef POSTA_ACTORS_ROUTER_EXPRESSION_NODE_H
#define POSTA_ACTORS_ROUTER_EXPRESSION_NODE_H

/* What the compiler of expressions leaves to their evaluation: nodes in one array, children before parents. */

#include "expression.h"

enum posta__node_kind {
	POSTA__NODE_VALUE,
	POSTA__NODE_PATH,
	POSTA__NODE_EXISTS,
	POSTA__NODE_NOT,
	POSTA__NODE_AND,
	POSTA__NODE_OR,
	POSTA__NODE_EQ,
	POSTA__NODE_NE,
	POSTA__NODE_LT,
	POSTA__NODE_LE,
	POSTA__NODE_GT,
	POSTA__NODE_GE,
	POSTA__NODE_MATCH,
	POSTA__NODE_IN /* right: the first of a list of values, linked by next */
};

struct posta__node {
	enum posta__node_kind kind;
	uint32_t left;
	uint32_t right;
	uint32_t next; /* of a list; 0: the last */
	struct posta_value value;
	const char *path;
};

struct posta__expression {
	struct posta__node *nodes; /* nodes[0] is not used: 0 means none */
	uint32_t count;
	uint32_t root;
	char *texts; /* what values and paths point to */
};

#endif
