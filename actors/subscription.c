/* SPDX-License-Identifier: MIT */
/* What any thread may do with a subscription; its actor is in consumer.c. */
#include "service.h"

#include <posta/ask.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 3u
#define WAIT_DEFAULT_MS 5000u

static void waiters_free(struct posta__waiter *waiters)
{
	while (waiters) {
		struct posta__waiter *next = waiters->next;
		free(waiters);
		waiters = next;
	}
}

void posta__subscription_unref(struct posta_subscription *subscription)
{
	if (atomic_fetch_sub_explicit(&subscription->refs, 1, memory_order_acq_rel) != 1)
		return;
	waiters_free(subscription->waiters);
	free(subscription->name);
	free(subscription->dead_letter);
	free(subscription->group);
	free(subscription->lanes);
	free(subscription);
}

static bool duplicate(const char *text, char **out)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

static void set_options(struct posta_subscription *subscription, const struct posta__subscribe *what)
{
	struct posta_consume_options *options = &subscription->options;
	if (what->options)
		*options = *what->options;
	if (!options->credit)
		options->credit = what->credit;
	if (!options->attempts_max)
		options->attempts_max = ATTEMPTS;
	if (!options->backoff.initial_ms && !options->backoff.max_ms && options->backoff.factor == 0)
		options->backoff = (struct posta_backoff){ .initial_ms = 1000, .factor = 2, .max_ms = 60000 };
}

/* Strings of the source that are the name or the group point to our copies. */
static void set_source(struct posta_subscription *subscription, const struct posta__subscribe *what)
{
	struct posta_source *source = &subscription->source;
	*source = what->source;
	if (source->topic)
		source->topic = subscription->name;
	if (source->queue)
		source->queue = subscription->name;
	if (source->filter) /* behind "$share/<group>/" */
		source->filter = subscription->name + (what->source.filter - what->name);
	if (source->share)
		source->share = subscription->group;
	if (source->group)
		source->group = subscription->group;
	source->credit = subscription->options.credit;
	source->from_latest = subscription->options.from_latest;
}

static bool fill(struct posta_subscription *subscription, const struct posta__subscribe *what)
{
	set_options(subscription, what);
	const char *dead = subscription->options.no_dead_letters ? NULL
			   : subscription->options.dead_letter   ? subscription->options.dead_letter
								 : what->dead_letter;
	if (!duplicate(what->name, &subscription->name) || !duplicate(what->group, &subscription->group) ||
	    !duplicate(dead, &subscription->dead_letter))
		return false;
	subscription->options.dead_letter = subscription->dead_letter;
	set_source(subscription, what);
	if (what->kind->keyed)
		subscription->lanes = calloc(POSTA__LANES, sizeof *subscription->lanes);
	return !what->kind->keyed || subscription->lanes;
}

struct posta_subscription *posta__service_subscribe(struct posta__service *service, const struct posta__subscribe *what,
						    struct posta_error *error)
{
	struct posta_subscription *subscription = calloc(1, sizeof *subscription);
	if (subscription)
		atomic_init(&subscription->refs, 1);
	if (!subscription || !fill(subscription, what)) {
		if (subscription)
			posta__subscription_unref(subscription);
		posta_error_set(error, POSTA_ENOMEM, "out of memory for a subscription");
		return NULL;
	}
	subscription->system = service->system;
	subscription->service = service;
	subscription->kind = what->kind;
	subscription->handler = what->handler;
	subscription->context = what->context;
	subscription->actor = what->actor;
	atomic_init(&subscription->state, POSTA_EPENDING);
	pthread_mutex_lock(&service->lock);
	subscription->next = service->subscriptions;
	service->subscriptions = subscription;
	pthread_mutex_unlock(&service->lock);
	enum posta_err err = atomic_load_explicit(&service->closed, memory_order_acquire)
				     ? POSTA_ECLOSED
				     : posta_system_send(service->system, service->ref, POSTA__SERVICE_SUBSCRIBE,
							 &subscription, sizeof subscription);
	if (!err)
		return subscription;
	atomic_store_explicit(&subscription->state, err, memory_order_release); /* freed with the service */
	posta_error_set(error, err, "%s: %s", service->kind->name, posta_strerror(err));
	return NULL;
}

void posta__subscription_result(struct posta_actor *self, struct posta_subscription *subscription,
				enum posta_err result, const char *text)
{
	struct posta__service *service = subscription->service;
	struct posta_subscribed answer = { .subscription = subscription->number, .result = result };
	pthread_mutex_lock(&service->lock);
	if (text)
		snprintf(subscription->text, sizeof subscription->text, "%s", text);
	memcpy(answer.text, subscription->text, sizeof answer.text);
	atomic_store_explicit(&subscription->state, result, memory_order_release);
	struct posta__waiter *waiters = subscription->waiters;
	subscription->waiters = NULL;
	pthread_mutex_unlock(&service->lock);
	for (const struct posta__waiter *at = waiters; at; at = at->next)
		posta_reply_to(self, at->caller, POSTA_MSG_SUBSCRIBED, &answer, sizeof answer);
	waiters_free(waiters);
}

enum posta_err posta_subscription_wait(struct posta_subscription *subscription, uint64_t timeout_ms,
				       struct posta_error *error)
{
	struct posta_subscribed answer = { 0 };
	size_t size = sizeof answer;
	struct posta__service *service = subscription->service;
	const uint64_t wait_ms = timeout_ms ? timeout_ms : WAIT_DEFAULT_MS;
	const uint64_t now_ns = posta_system_now_ns(service->system);
	const struct posta__await await = {
		.subscription = subscription,
		.until_ns = wait_ms < (UINT64_MAX - now_ns) / 1000000 ? now_ns + wait_ms * 1000000 : UINT64_MAX,
	};
	enum posta_err err = posta_system_ask(service->system, service->ref, POSTA__SERVICE_AWAIT_SUBSCRIBED, &await,
					      sizeof await, wait_ms, NULL, &answer, &size);
	if (!err)
		err = answer.result;
	if (err)
		posta_error_set(error, err, "%s: no subscription to %s: %s", service->kind->name, subscription->name,
				answer.text[0] ? answer.text : posta_strerror(err));
	return err;
}

bool posta_subscription_ready(const struct posta_subscription *subscription)
{
	return atomic_load_explicit(&subscription->state, memory_order_acquire) == POSTA_OK;
}

void posta_subscription_cancel(struct posta_subscription *subscription)
{
	if (subscription)
		posta_system_send(subscription->service->system, subscription->service->ref, POSTA__SERVICE_CANCEL,
				  &subscription, sizeof subscription);
}
