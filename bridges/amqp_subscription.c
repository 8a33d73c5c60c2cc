/* SPDX-License-Identifier: MIT */
#include "bridges/amqp_subscription.h"
#include "bridges/kept_text.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* A queue of our own when none is named: its name outlives an error of the channel, the queue ends with the connection. */
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
	s->arguments = source->queue_arguments;
	char *block = s->arguments ? malloc(posta__kept_list_size(s->arguments)) : NULL;
	if (block)
		posta__kept_list_move(&s->arguments, &block);
	else
		s->arguments = NULL;
	s->priority_max = source->queue_priority_max;
	s->prefetch = (uint16_t)(credit < UINT16_MAX ? credit : UINT16_MAX);
	posta__amqp_unsettled_clear(&s->unsettled);
	if (s->queue && !s->exchange == !source->exchange && !s->routing_key == !source->routing_key &&
	    !s->exchange_type == !source->exchange_type && !s->arguments == !source->queue_arguments)
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
	free(s);
}
