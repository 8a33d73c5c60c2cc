/* SPDX-License-Identifier: MIT */
#include "bridges/bridge.h"
#include "bridges/kept_text.h"

#include <stdlib.h>
#include <string.h>

struct posta_route_target *posta__target_ref(struct posta_route_target *target)
{
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

void posta_target_unref(struct posta_route_target *target)
{
	if (target && atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) == 1)
		free(target);
}

static enum posta_err check(const struct posta_bridge_ops *ops, const struct posta_target *target,
			    struct posta_error *error)
{
	if (!target->topic && !target->queue && !target->exchange)
		return posta_error_set(error, POSTA_EINVAL, "%s: a target needs a topic, a queue or an exchange",
				       ops->name);
	if ((target->topic && !*target->topic) || (target->queue && !*target->queue))
		return posta_error_set(error, POSTA_EINVAL, "%s: the target's name is empty", ops->name);
	if (target->qos < -1 || target->qos > 2)
		return posta_error_set(error, POSTA_EINVAL, "%s: qos is %d: 0, 1, 2, or -1 for the default", ops->name,
				       target->qos);
	if (!(ops->capabilities & POSTA_CAN_DECLARE) && (target->exchange_type || target->queue_arguments))
		return posta_error_set(error, POSTA_EUNSUPPORTED, "%s: nothing is declared here", ops->name);
	if (!(ops->capabilities & POSTA_CAN_DELAY) && target->delay_ms)
		return posta_error_set(error, POSTA_EUNSUPPORTED, "%s: nothing is delayed here", ops->name);
	return ops->check_target ? ops->check_target(target, error) : POSTA_OK;
}

struct posta_route_target *posta__target_make(const struct posta_bridge_ops *ops, const struct posta_target *target,
					      struct posta_error *error)
{
	if (check(ops, target, error))
		return NULL;
	size_t size = posta__kept_list_size(target->queue_arguments) + posta__kept_size(target->topic) +
		      posta__kept_size(target->queue) + posta__kept_size(target->exchange) +
		      posta__kept_size(target->routing_key) + posta__kept_size(target->exchange_type);
	struct posta_route_target *made = malloc(sizeof *made + size);
	if (!made) {
		posta_error_set(error, POSTA_ENOMEM, "%s: out of memory for a target", ops->name);
		return NULL;
	}
	char *at = (char *)(made + 1);
	atomic_init(&made->refs, 1);
	made->target = *target;
	posta__kept_list_move(&made->target.queue_arguments, &at);
	posta__kept_move(&made->target.exchange_type, &at);
	posta__kept_move(&made->target.topic, &at);
	posta__kept_move(&made->target.queue, &at);
	posta__kept_move(&made->target.exchange, &at);
	posta__kept_move(&made->target.routing_key, &at);
	return made;
}

struct posta_route_target *posta_target_prepare(struct posta_bridge *bridge, const struct posta_target *target,
						struct posta_error *error)
{
	return posta__target_make(bridge->ops, target, error);
}
