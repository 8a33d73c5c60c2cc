/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_AMQP_RABBIT_H
#define POSTA_TESTS_AMQP_RABBIT_H

/* One RabbitMQ for a test program, and what its tests do again and again. */

#include "core.h"

#include "bridges/amqp.h"
#include "brokers.h"

#define MESSAGE_MAX 1000000 /* bytes that this broker takes */

extern struct kit_broker *broker;

int start_broker(void **state);
int stop_broker(void **state);

/* A new connection that is up. */
struct posta_bridge *connected(void);
/* The orderly end, which must come without a failure. */
void finish(struct posta_bridge *core);
void subscribe(struct posta_bridge *core, uint32_t id, const char *queue, uint32_t credit);
struct posta_target to_queue(const char *queue);
/* The numbers as id and body; waits for their confirms. */
void publish_numbers(struct posta_bridge *core, const struct posta_target *target, int from, int to);
void assert_confirm(const struct posta_bridge *core, uint64_t id, enum posta_err result, const char *words);
/* All settled for good: a new consumer gets nothing. */
void assert_empty(const char *queue);

#endif
