/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_MQTT_SCENE_H
#define POSTA_TESTS_MQTT_SCENE_H

/* What the tests of the MQTT bridge do over and over. The common part of the bridges is played by core.h. */

#include "core.h"

#include "bridges/mqtt.h"
#include "brokers.h"

#include <posta/envelope.h>

extern struct kit_broker *broker; /* of the whole program */

/* Not connected. version: 5, or 4 for 3.1.1. */
struct posta_bridge *make_at(const char *url, int version);
struct posta_bridge *connected(int version);
enum posta_err subscribe_from(struct posta_bridge *core, uint32_t id, const struct posta_source *source);
void subscribe(struct posta_bridge *core, uint32_t id, const char *filter, uint32_t credit);
struct posta_target to_topic(const char *topic);
void publish_numbers(struct posta_bridge *core, const struct posta_target *target, int from, int to);
const char *body_of(const struct posta_bridge *core, size_t index, char *text, size_t size);
int number_of(const struct posta_bridge *core, size_t index);
/* Settles each delivery as it comes, until n have come. */
void settle_as_they_come(struct posta_bridge *core, size_t n);
void settle_all(struct posta_bridge *core, enum posta_outcome outcome);
void finish(struct posta_bridge *core);
void assert_text(const char *text, const char *words);
struct posta_envelope *big(size_t size);
/* A connection that cannot be made. Frees core. */
void assert_down(struct posta_bridge *core, enum posta_err code, const char *words);

#define EACH_VERSION(version)                                                                                          \
	for (size_t v_ = 0; v_ < 2; v_++)                                                                              \
		for (int version = v_ ? 4 : 5, once_ = 1; once_; once_ = 0)

#endif
