/* SPDX-License-Identifier: MIT */
#include "bridges/amqp_subscription.h"
#include "bridges/kept_text.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* False: out of memory. */
static bool keep_list(const char *const *list, const char *const **kept)
{
	char *block = list ? malloc(posta__kept_list_size(list)) : NULL;

	if (!block)
		return !list;
	*kept = list;
	posta__kept_list_move(kept, &block);
	return true;
}

/*
 * A queue of our own when none is named: its name outlives an error of the channel, the queue ends with the connection.
 */
static char *own_queue(void)
{
	char name[6 + 37] = "posta.";

	posta_uuid7(name + 6);
	return strdup(name);
}

struct posta__amqp_subscription *posta__amqp_subscription_new(uint32_t id, const struct posta_source *source)
{
	struct posta__amqp_subscription *s = calloc(1, sizeof *s);
	uint32_t credit = source->credit ? source->credit : 1024;

	if (!s)
		return NULL;
	s->id = id;
	s->exclusive = !source->queue;
	s->declare = s->exclusive || !source->passive;
	s->queue = source->queue ? strdup(source->queue) : own_queue();
	s->exchange = copy(source->exchange);
	s->routing_key = copy(source->routing_key);
	s->exchange_type = copy(source->exchange_type);
	bool kept = keep_list(source->queue_arguments, &s->arguments) && keep_list(source->bindings, &s->bindings);
	s->priority_max = source->queue_priority_max;
	s->prefetch = (uint16_t)(credit < UINT16_MAX ? credit : UINT16_MAX);
	posta__amqp_unsettled_clear(&s->unsettled);
	if (kept && s->queue && !s->exchange == !source->exchange && !s->routing_key == !source->routing_key &&
	    !s->exchange_type == !source->exchange_type)
		return s;
	posta__amqp_subscription_free(s);
	return NULL;
}

void posta__amqp_subscription_free(struct posta__amqp_subscription *s)
{
	posta__amqp_content_reset(&s->content);
	posta__amqp_drop_held(s, false);
	free(s->held);
	posta__amqp_unsettled_fini(&s->unsettled);
	free(s->queue);
	free(s->exchange);
	free(s->routing_key);
	free(s->exchange_type);
	free((void *)(uintptr_t)s->arguments);
	free((void *)(uintptr_t)s->bindings);
	free(s);
}

void posta__amqp_subscription_ask(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection,
				  amqp_method_number_t method, const void *fields)
{
	if (posta__amqp_ask(connection, s->channel, method, fields))
		s->rpcs++;
}

static void declare_queue(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection)
{
	struct posta__amqp_arguments room;
	amqp_queue_declare_t fields = {
		.queue = posta__amqp_text(s->queue),
		.durable = !s->exclusive,
		.exclusive = s->exclusive,
		.arguments = posta__amqp_arguments(s->arguments, s->priority_max, &room),
	};

	posta__amqp_subscription_ask(s, connection, AMQP_QUEUE_DECLARE_METHOD, &fields);
}

static void declare_exchange(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection)
{
	amqp_exchange_declare_t fields = {
		.exchange = posta__amqp_text(s->exchange),
		.type = posta__amqp_text(s->exchange_type),
		.durable = 1,
	};

	posta__amqp_subscription_ask(s, connection, AMQP_EXCHANGE_DECLARE_METHOD, &fields);
}

static void bind_queue(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection,
		       const char *exchange, const char *routing_key)
{
	amqp_queue_bind_t fields = {
		.queue = posta__amqp_text(s->queue),
		.exchange = posta__amqp_text(exchange),
		.routing_key = posta__amqp_text(routing_key),
	};

	posta__amqp_subscription_ask(s, connection, AMQP_QUEUE_BIND_METHOD, &fields);
}

void posta__amqp_subscription_declare(struct posta__amqp_subscription *s, struct posta__amqp_connection *connection)
{
	if (s->declare)
		declare_queue(s, connection);
	if (s->exchange_type)
		declare_exchange(s, connection);
	if (s->exchange)
		bind_queue(s, connection, s->exchange, s->routing_key);
	for (const char *const *at = s->bindings; at && at[0]; at += 2)
		bind_queue(s, connection, at[0], at[1]);
}
