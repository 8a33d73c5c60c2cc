/* SPDX-License-Identifier: MIT */
/*
 * The actor of a service. A publication is on its way in three steps, each with an owner: in the message that brings
 * it, in the service's list while the bridge has it, ended. A message that is never handled ends it, too: who published
 * always hears of it.
 */
#include "service.h"

#include <posta/ask.h>
#include <posta/log.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 64

/* -- Publications */

struct posta__publication *posta__publication_new(struct posta__service *service, const char *name,
						  struct posta_envelope *envelope)
{
	size_t len = strlen(name);
	struct posta__publication *publication = calloc(1, sizeof *publication + len + 1);
	if (!publication) {
		posta_envelope_unref(envelope);
		return NULL;
	}
	memcpy(publication->name, name, len + 1);
	atomic_init(&publication->refs, 1);
	publication->service = service;
	publication->envelope = envelope;
	publication->target.qos = -1;
	publication->target.format = POSTA_FORMAT_RAW;
	*(service->kind->queue ? &publication->target.queue : &publication->target.topic) = publication->name;
	return publication;
}

static void publication_unref(struct posta__publication *publication)
{
	if (atomic_fetch_sub_explicit(&publication->refs, 1, memory_order_acq_rel) != 1)
		return;
	posta_envelope_unref(publication->envelope);
	free(publication);
}

void posta__publications_add(struct posta__publications *list, struct posta__publication *publication)
{
	publication->next = NULL;
	publication->previous = list->last;
	*(list->last ? &list->last->next : &list->first) = publication;
	list->last = publication;
	list->count++;
}

static void remove_from(struct posta__publications *list, struct posta__publication *publication)
{
	*(publication->previous ? &publication->previous->next : &list->first) = publication->next;
	*(publication->next ? &publication->next->previous : &list->last) = publication->previous;
	list->count--;
}

struct posta__publication *posta__publications_take(struct posta__publications *list)
{
	struct posta__publication *first = list->first;
	if (first)
		remove_from(list, first);
	return first;
}

static void tell(struct posta_actor *self, const struct posta__publication *publication, enum posta_err result,
		 const char *text)
{
	struct posta_published published = { .cookie = publication->cookie, .result = result };
	if (publication->on_done)
		publication->on_done(publication->context, result, text);
	if (publication->actor == POSTA_NOBODY && !publication->asked)
		return;
	snprintf(published.text, sizeof published.text, "%s", text);
	if (publication->actor != POSTA_NOBODY)
		posta_system_send(publication->service->system, publication->actor, POSTA_MSG_PUBLISHED, &published,
				  sizeof published);
	if (publication->asked && self)
		posta_reply_to(self, publication->caller, POSTA_MSG_PUBLISHED, &published, sizeof published);
}

void posta__publication_end(struct posta_actor *self, struct posta__publication *publication, enum posta_err result,
			    const char *text)
{
	struct posta__service *service = publication->service;
	if (publication->linked)
		remove_from(&service->flying, publication);
	publication->linked = false;
	atomic_fetch_sub_explicit(&service->in_flight, 1, memory_order_acq_rel);
	tell(self, publication, result, text ? text : "");
	publication_unref(publication);
}

/* The message that brought it is freed. One which nobody looked at ends here. */
static void release(void *data, void *context)
{
	struct posta__publication *publication = data;
	(void)context;
	if (atomic_load_explicit(&publication->taken, memory_order_acquire))
		publication_unref(publication);
	else
		posta__publication_end(NULL, publication, POSTA_ECLOSED, "the service has ended");
}

static enum posta_err enter(struct posta__service *service)
{
	if (atomic_load_explicit(&service->closed, memory_order_acquire))
		return POSTA_ECLOSED;
	if (atomic_fetch_add_explicit(&service->in_flight, 1, memory_order_acq_rel) < service->in_flight_max)
		return POSTA_OK;
	atomic_fetch_sub_explicit(&service->in_flight, 1, memory_order_acq_rel);
	return POSTA_EFULL;
}

static void quiet(struct posta__publication *publication)
{
	publication->on_done = NULL;
	publication->actor = POSTA_NOBODY;
	publication->asked = false;
}

static enum posta_err submit(struct posta__publication *publication)
{
	struct posta__service *service = publication->service;
	enum posta_err err = enter(service);
	if (err) {
		publication_unref(publication);
		return err;
	}
	struct posta_slice slice = { publication, sizeof *publication, release, NULL };
	/* A failed send has ended it already, and told so: that is the answer, not a second one here. */
	posta_system_send_slice(service->system, service->ref, POSTA__SERVICE_PUBLISH, &slice);
	return POSTA_OK;
}

enum posta_err posta__publication_submit(struct posta__publication *publication, posta_done_fn *on_done, void *context)
{
	publication->on_done = on_done;
	publication->context = context;
	return submit(publication);
}

enum posta_err posta__publication_submit_from(struct posta__publication *publication, const struct posta_actor *self,
					      uint64_t cookie)
{
	publication->actor = posta_self(self);
	publication->cookie = cookie;
	return submit(publication);
}

/* Nobody will answer any more: the service may still have it, or will never see it. */
static void give_up(struct posta__publication *publication, enum posta_err result)
{
	atomic_store_explicit(&publication->abandoned, true, memory_order_release);
	bool seen = atomic_load_explicit(&publication->taken, memory_order_acquire);
	if (!seen && result != POSTA_ETIMEDOUT) {
		quiet(publication);
		posta__publication_end(NULL, publication, result, NULL);
	}
}

enum posta_err posta__publication_submit_wait(struct posta__publication *publication, uint64_t timeout_ms,
					      struct posta_error *error)
{
	struct posta__service *service = publication->service;
	struct posta_published published = { 0 };
	size_t size = sizeof published;
	enum posta_err err = enter(service);
	if (err) {
		publication_unref(publication);
		return posta_error_set(error, err, "%s: %s", service->kind->name, posta_strerror(err));
	}
	atomic_fetch_add_explicit(&publication->refs, 1, memory_order_relaxed);
	publication->asked = true;
	err = posta_system_ask(service->system, service->ref, POSTA__SERVICE_PUBLISH_ASK, &publication,
			       sizeof publication, timeout_ms, NULL, &published, &size);
	if (err)
		give_up(publication, err);
	publication_unref(publication);
	if (err)
		return posta_error_set(error, err, "%s: no confirmation: %s", service->kind->name, posta_strerror(err));
	if (published.result)
		posta_error_set(error, published.result, "%s: %s", service->kind->name,
				published.text[0] ? published.text : posta_strerror(published.result));
	return published.result;
}

void posta__service_hand_over(struct posta_actor *self, struct posta__service *service,
			      struct posta__publication *publication)
{
	posta__publications_add(&service->flying, publication);
	publication->linked = true;
	enum posta_err err = posta_bridge_publish(self, service->bridge, &publication->target, publication->envelope,
						  (uint64_t)(uintptr_t)publication);
	if (err)
		posta__publication_end(self, publication, err, posta_strerror(err));
}

static void publish(struct posta_actor *self, struct posta__service *service, struct posta__publication *publication)
{
	atomic_store_explicit(&publication->taken, true, memory_order_release);
	if (service->kind->publish)
		service->kind->publish(self, service, publication);
	else
		posta__service_hand_over(self, service, publication);
}

static void publish_asked(struct posta_actor *self, struct posta__service *service, struct posta_message *message)
{
	struct posta__publication *publication = *(struct posta__publication **)posta_data(message);
	publication->caller = posta_caller(message);
	if (atomic_load_explicit(&publication->abandoned, memory_order_acquire)) {
		quiet(publication);
		posta__publication_end(self, publication, POSTA_ETIMEDOUT, NULL);
		return;
	}
	publish(self, service, publication);
}

/* -- Subscriptions */

static void stop_one(struct posta_actor *self, const struct posta_subscription *subscription, bool cancel)
{
	posta_ref ref = atomic_load_explicit(&subscription->ref, memory_order_acquire);
	posta_send(self, ref, POSTA__CONSUMER_STOP, &cancel, sizeof cancel);
}

static void child_id(const struct posta_subscription *subscription, char id[ID_MAX])
{
	snprintf(id, ID_MAX, "%s-%" PRIu32, subscription->service->kind->name, subscription->serial);
}

static void unlink_subscription(struct posta__service *service, const struct posta_subscription *subscription)
{
	pthread_mutex_lock(&service->lock);
	for (struct posta_subscription **at = &service->subscriptions; *at; at = &(*at)->next) {
		if (*at == subscription) {
			*at = subscription->next;
			break;
		}
	}
	pthread_mutex_unlock(&service->lock);
}

static enum posta_err on_deleted(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
				 void *context)
{
	(void)self, (void)child, (void)result;
	unlink_subscription(state, context);
	posta__subscription_unref(context);
	return POSTA_OK;
}

/* Its actor is gone now, whatever the supervisor had to say. */
static enum posta_err on_stopped(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
				 void *context)
{
	const struct posta__service *service = state;
	char id[ID_MAX];
	(void)child, (void)result;
	child_id(context, id);
	posta_delete_child(self, service->supervisor, id, on_deleted, context);
	return POSTA_OK;
}

/* Where memory is short for it, it is freed with the service. */
static void canceled(struct posta_actor *self, struct posta__service *service, struct posta_subscription *subscription)
{
	char id[ID_MAX];
	child_id(subscription, id);
	posta_stop_child(self, service->supervisor, id, on_stopped, subscription);
}

/* Wants to end that came before it had begun. */
static void began(struct posta_actor *self, struct posta__service *service, struct posta_subscription *subscription)
{
	subscription->started = true;
	if (service->draining) {
		atomic_fetch_add_explicit(&service->stopping, 1, memory_order_acq_rel);
		stop_one(self, subscription, false);
	}
	if (subscription->cancel_wanted)
		stop_one(self, subscription, true);
}

static void did_not_begin(struct posta_actor *self, struct posta__service *service,
			  struct posta_subscription *subscription, enum posta_err result)
{
	posta_log(service->system, POSTA_LOG_ERROR, "service.subscribe", "service=%s name=%s error=%s",
		  service->kind->name, subscription->name, posta_strerror(result));
	posta__subscription_result(self, subscription, result, NULL);
	if (subscription->cancel_wanted)
		canceled(self, service, subscription);
}

static enum posta_err on_child(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
			       void *context)
{
	(void)child;
	if (result)
		did_not_begin(self, state, context, result);
	else
		began(self, state, context);
	return POSTA_OK;
}

static void subscribe(struct posta_actor *self, struct posta__service *service, struct posta_subscription *subscription)
{
	char id[ID_MAX];
	subscription->serial = ++service->next_serial;
	child_id(subscription, id);
	struct posta_child_spec spec = posta__consumer_spec(subscription, id);
	enum posta_err err = posta_start_child(self, service->supervisor, &spec, on_child, subscription);
	if (err)
		on_child(self, service, err, POSTA_NOBODY, subscription);
}

static void cancel(struct posta_actor *self, struct posta__service *service, struct posta_subscription *subscription)
{
	int state = atomic_load_explicit(&subscription->state, memory_order_acquire);
	if (subscription->started)
		stop_one(self, subscription, true);
	else if (state != POSTA_OK && state != POSTA_EPENDING)
		canceled(self, service, subscription);
	else
		subscription->cancel_wanted = true;
}

/* Those who gave up go first: else whoever looks again and again would leave more of them each time. */
static bool add_waiter(struct posta_subscription *subscription, struct posta__waiter waiter, uint64_t now_ns)
{
	for (struct posta__waiter **at = &subscription->waiters; *at;) {
		struct posta__waiter *old = *at;
		if (old->until_ns > now_ns) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		free(old);
	}
	struct posta__waiter *made = malloc(sizeof *made);
	if (!made)
		return false;
	*made = waiter;
	made->next = subscription->waiters;
	subscription->waiters = made;
	return true;
}

static void await_subscribed(struct posta_actor *self, struct posta__service *service,
			     const struct posta_message *message)
{
	const struct posta__await *await = posta_data(message);
	struct posta_subscription *subscription = await->subscription;
	const struct posta__waiter waiter = { .caller = posta_caller(message), .until_ns = await->until_ns };
	struct posta_subscribed answer = { 0 };
	pthread_mutex_lock(&service->lock);
	answer.result = (enum posta_err)atomic_load_explicit(&subscription->state, memory_order_acquire);
	snprintf(answer.text, sizeof answer.text, "%s", subscription->text);
	bool waits = answer.result == POSTA_EPENDING;
	if (waits && !add_waiter(subscription, waiter, posta_now_ns(self))) {
		answer.result = POSTA_ENOMEM;
		waits = false;
	}
	pthread_mutex_unlock(&service->lock);
	if (!waits)
		posta_reply(self, POSTA_MSG_SUBSCRIBED, &answer, sizeof answer);
}

/* -- Connection, and the end */

static void on_state(struct posta_actor *self, struct posta__service *service, const struct posta_bridge_status *status)
{
	service->is_connected = status->state == POSTA_BRIDGE_CONNECTED;
	if (!service->is_connected)
		return;
	if (service->connect_asked)
		posta_reply_to(self, service->connect_caller, POSTA__SERVICE_AWAIT_CONNECTED, NULL, 0);
	service->connect_asked = false;
	if (service->kind->connected)
		service->kind->connected(self, service);
}

static void await_connected(struct posta_actor *self, struct posta__service *service,
			    const struct posta_message *message)
{
	if (service->is_connected) {
		posta_reply(self, POSTA__SERVICE_AWAIT_CONNECTED, NULL, 0);
		return;
	}
	service->connect_caller = posta_caller(message);
	service->connect_asked = true;
}

static void look_whether_drained(struct posta_actor *self, struct posta__service *service)
{
	if (!service->drain_asked || atomic_load_explicit(&service->in_flight, memory_order_acquire) ||
	    atomic_load_explicit(&service->unsettled, memory_order_acquire) ||
	    atomic_load_explicit(&service->stopping, memory_order_acquire))
		return;
	service->drain_asked = false;
	posta_reply_to(self, service->drain_caller, POSTA__SERVICE_DRAIN, NULL, 0);
}

static void drain(struct posta_actor *self, struct posta__service *service, const struct posta_message *message)
{
	service->drain_caller = posta_caller(message);
	service->drain_asked = true;
	if (!service->draining) {
		service->draining = true;
		pthread_mutex_lock(&service->lock);
		for (struct posta_subscription *at = service->subscriptions; at; at = at->next) {
			if (!at->started)
				continue;
			atomic_fetch_add_explicit(&service->stopping, 1, memory_order_acq_rel);
			stop_one(self, at, false);
		}
		pthread_mutex_unlock(&service->lock);
	}
}

/* -- The actor */

static void *pointer(const struct posta_message *message)
{
	return *(void **)posta_data(message);
}

static void on_published(struct posta_actor *self, const struct posta_published *published)
{
	posta__publication_end(self, (struct posta__publication *)(uintptr_t)published->cookie, published->result,
			       published->text);
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct posta__service *service = state;
	switch (message->type) {
	case POSTA__SERVICE_PUBLISH:
		atomic_fetch_add_explicit(&((struct posta__publication *)posta_data(message))->refs, 1,
					  memory_order_relaxed);
		publish(self, service, posta_data(message));
		break;
	case POSTA_MSG_PUBLISHED:
		on_published(self, posta_data(message));
		break;
	case POSTA_MSG_BRIDGE_STATE:
		on_state(self, service, posta_data(message));
		break;
	case POSTA__SERVICE_PUBLISH_ASK:
		publish_asked(self, service, message);
		break;
	case POSTA__SERVICE_SUBSCRIBE:
		subscribe(self, service, pointer(message));
		break;
	case POSTA__SERVICE_CANCEL:
		cancel(self, service, pointer(message));
		break;
	case POSTA__SERVICE_CANCELED:
		canceled(self, service, pointer(message));
		break;
	case POSTA__SERVICE_AWAIT_SUBSCRIBED:
		await_subscribed(self, service, message);
		break;
	case POSTA__SERVICE_AWAIT_CONNECTED:
		await_connected(self, service, message);
		break;
	case POSTA__SERVICE_DRAIN:
		drain(self, service, message);
		break;
	case POSTA__SERVICE_PROGRESS:
		break;
	default:
		return POSTA_EUNHANDLED;
	}
	look_whether_drained(self, service);
	return POSTA_OK;
}

static enum posta_err start(struct posta_actor *self, void *state, void *argument)
{
	struct posta__service *service = state;
	(void)argument;
	return posta_bridge_watch(self, service->bridge);
}

static const struct posta_actor_class service_class = { .name = "service", .receive = receive, .start = start };

enum posta_err posta__service_init(struct posta__service *service, const struct posta__service_kind *kind,
				   struct posta_system *system, struct posta_bridge *bridge, posta_ref supervisor,
				   uint32_t in_flight_max)
{
	service->kind = kind;
	service->system = system;
	service->bridge = bridge;
	service->supervisor = supervisor;
	service->in_flight_max = in_flight_max ? in_flight_max : 65536;
	return pthread_mutex_init(&service->lock, NULL) ? POSTA_ENOMEM : POSTA_OK;
}

enum posta_err posta__service_start(struct posta__service *service, uint64_t timeout_ms)
{
	struct posta_child_spec spec = { .id = service->kind->name, .klass = &service_class, .argument = service };
	return posta_system_start_child(service->system, service->supervisor, &spec, timeout_ms, &service->ref);
}

void posta__service_end(struct posta__service *service)
{
	struct posta__publication *publication;
	atomic_store_explicit(&service->closed, true, memory_order_release);
	while ((publication = posta__publications_take(&service->ring)))
		posta__publication_end(NULL, publication, POSTA_ECLOSED, "stopped before it was sent");
	while (service->flying.first)
		posta__publication_end(NULL, service->flying.first, POSTA_ECLOSED, "stopped before it was confirmed");
}

void posta__service_fini(struct posta__service *service)
{
	if (!service->kind)
		return;
	while (service->subscriptions) {
		struct posta_subscription *next = service->subscriptions->next;
		posta__subscription_unref(service->subscriptions);
		service->subscriptions = next;
	}
	pthread_mutex_destroy(&service->lock);
	service->kind = NULL;
}
