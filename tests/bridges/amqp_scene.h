/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_AMQP_SCENE_H
#define POSTA_TESTS_AMQP_SCENE_H

/* The AMQP bridge and a scripted broker on one loop. */

#include "amqp_peer.h"
#include "core.h"

#include "bridges/amqp.h"

struct scene {
	struct posta_bridge *core;
	struct peer *peer;
};

struct scene scene_new(void);
struct scene connected(void);
/* With subscription 1 on queue "q". */
struct scene subscribed(void);
void scene_end(struct scene scene);
void assert_down(struct scene scene, enum posta_err code, const char *words);

static const struct posta_target to_exchange = { .size = sizeof(struct posta_target), .routing_key = "k" };

#endif
