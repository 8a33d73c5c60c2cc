/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KAFKA_SCENE_H
#define POSTA_TESTS_KAFKA_SCENE_H

/* What the tests of the Kafka bridge do over and over. The common part of the bridges is played by core.h. */

#include "core.h"

#include "brokers.h"

#include <posta/envelope.h>

/* Not connected. */
struct posta_bridge *kafka_at(const char *url);
struct posta_bridge *kafka_connected(const char *url);
/* Publishes in transactions of that id. partitions: topic_partitions. */
struct posta_bridge *kafka_transactional(const char *url, const char *id, int partitions);
/*
 * What the common part does when the connection was lost: a new one, and the publications that have no confirmation
 * once more, in their order. It may be down again.
 */
void kafka_again(struct posta_bridge *core);
/* Ends by the rules: commits, leaves. */
void kafka_finish(struct posta_bridge *core);
/* Of the whole test program; prefix-unique, to be freed by nobody before it ends. */
const char *kafka_name(const char *prefix);
/* Waits until it is in force. group NULL: one of its own. */
void kafka_subscribe(struct posta_bridge *core, uint32_t id, const char *topic, const char *group);
enum posta_err kafka_subscribe_from(struct posta_bridge *core, uint32_t id, const struct posta_source *source);
struct posta_target kafka_to(const char *topic);
/* Bodies "from" .. "to - 1", one after the other, without waiting. key may be NULL. */
void kafka_send(struct posta_bridge *core, const struct posta_target *target, int from, int to, const char *key);
/* The same, all with one key, and waits until all are confirmed. */
void kafka_publish(struct posta_bridge *core, const char *topic, int from, int to);
int kafka_number(const struct posta_bridge *core, size_t delivery);
/* Waits until there are so many deliveries from that one on: the numbers from first on, in order, and no more. */
void kafka_assert_numbers(struct posta_bridge *core, size_t delivery, int first, int count);
void kafka_settle_from(struct posta_bridge *core, size_t delivery, enum posta_outcome outcome);
/* Whether all of from .. to - 1 are among the deliveries. */
bool kafka_has_all(const struct posta_bridge *core, int from, int to);
void kafka_assert_text(const char *text, const char *words);
/* The connection cannot be made. Frees core. */
void kafka_assert_down(struct posta_bridge *core, enum posta_err code, const char *words);
/* All clients of the library that were let go have been destroyed. */
void kafka_assert_nothing_left(void);

#endif
