/* SPDX-License-Identifier: MIT */
/* Users of a bridge: actors that write down what it sends them, and do what the test wants done as them. */
#include "conformance_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000u
#define DO 1u

struct order {
	void (*run)(struct posta_actor *self, void *context);
	void *context;
};

static void note_delivery(struct posta_actor *self, struct kit_user *user, const struct posta_delivery *delivery)
{
	if (user->delivered == KIT_RECORDS_MAX)
		return;
	user->deliveries[user->delivered++] = (struct kit_delivery){
		.envelope = posta_envelope_ref(delivery->envelope),
		.token = delivery->token,
		.redelivered = delivery->redelivered,
	};
	if (user->acks)
		posta_settle(self, delivery->token, POSTA_ACK);
}

static void note_published(struct kit_user *user, const struct posta_published *published)
{
	if (user->answered == KIT_RECORDS_MAX)
		return;
	user->published[user->answered++] = *published;
	user->confirmed += published->result == POSTA_OK;
}

static void note_replied(struct kit_user *user, const struct posta_replied *replied)
{
	if (user->replied == KIT_RECORDS_MAX)
		return;
	user->replies[user->replied++] = (struct kit_reply){
		.cookie = replied->cookie,
		.result = replied->result,
		.envelope = replied->envelope ? posta_envelope_ref(replied->envelope) : NULL,
	};
}

static void note_subscribed(struct kit_user *user, const struct posta_subscribed *subscribed)
{
	user->subscribed += subscribed->result == POSTA_OK;
	user->closed += subscribed->result == POSTA_ECLOSED;
	user->refused += subscribed->result != POSTA_OK && subscribed->result != POSTA_ECLOSED;
}

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct kit_user *user = state;
	if (message->type == DO) {
		struct order order;
		memcpy(&order, posta_data(message), sizeof order);
		order.run(self, order.context);
	} else if (message->type == POSTA_MSG_DELIVERY) {
		note_delivery(self, user, posta_data(message));
	} else if (message->type == POSTA_MSG_PUBLISHED) {
		note_published(user, posta_data(message));
	} else if (message->type == POSTA_MSG_REPLIED) {
		note_replied(user, posta_data(message));
	} else if (message->type == POSTA_MSG_SUBSCRIBED) {
		note_subscribed(user, posta_data(message));
	} else if (message->type == POSTA_MSG_BRIDGE_STATE && user->state_count < KIT_STATES_MAX) {
		user->states[user->state_count++] = ((const struct posta_bridge_status *)posta_data(message))->state;
	}
	return POSTA_OK;
}

static void ended(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	((struct kit_user *)state)->ended = true;
}

static const struct posta_actor_class user_class = { .name = "user", .receive = receive, .stop = ended };

struct kit_user *kit_user(struct kit_world *world)
{
	struct kit_user *user = &world->users[world->user_count++];
	user->world = world;
	user->deliveries = kit_must(calloc(KIT_RECORDS_MAX, sizeof *user->deliveries));
	user->published = kit_must(calloc(KIT_RECORDS_MAX, sizeof *user->published));
	user->replies = kit_must(calloc(KIT_RECORDS_MAX, sizeof *user->replies));
	user->ref = posta_system_spawn(world->system, &user_class, user, NULL, NULL);
	return user;
}

static bool is_set(void *context)
{
	return *(bool *)context;
}

void kit_user_end(struct kit_user *user)
{
	posta_system_stop_actor(user->world->system, user->ref, POSTA_OK);
	posta_system_run_until(user->world->system, is_set, &user->ended, PATIENCE_MS);
}

/* What is done as a user: run in its handler, at once. */
struct deed {
	struct kit_user *user;
	struct posta_bridge *bridge;
	const struct posta_target *target;
	const struct posta_source *source;
	struct posta_envelope *envelope;
	struct posta_token token;
	struct posta_position position;
	struct posta_error *error;
	const struct posta_envelope *request;
	enum posta_outcome outcome;
	uint32_t timeout_ms;
	uint64_t cookie;
	unsigned first, count;
	uint32_t subscription;
	enum posta_err result;
	bool done;
};

static void as_user(struct deed *deed, void (*run)(struct posta_actor *self, void *deed))
{
	const struct order order = { .run = run, .context = deed };
	posta_system_send(deed->user->world->system, deed->user->ref, DO, &order, sizeof order);
	posta_system_run_until(deed->user->world->system, is_set, &deed->done, PATIENCE_MS);
}

static void do_publish(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_publish(self, deed->bridge, deed->target, deed->envelope, deed->cookie);
	posta_envelope_unref(deed->envelope);
	deed->done = true;
}

enum posta_err kit_publish(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			   struct posta_envelope *envelope, uint64_t cookie)
{
	struct deed deed = { .user = user, .bridge = bridge, .target = target, .envelope = envelope, .cookie = cookie };
	as_user(&deed, do_publish);
	return deed.result;
}

static void do_ask(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_ask(self, deed->bridge, deed->target, deed->envelope, deed->timeout_ms,
					deed->cookie);
	posta_envelope_unref(deed->envelope);
	deed->done = true;
}

enum posta_err kit_ask(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
		       const char *text, uint32_t timeout_ms, uint64_t cookie)
{
	struct deed deed = { .user = user,
			     .bridge = bridge,
			     .target = target,
			     .envelope = kit_text(text),
			     .timeout_ms = timeout_ms,
			     .cookie = cookie };
	as_user(&deed, do_ask);
	return deed.result;
}

static void do_reply(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_reply(self, deed->bridge, deed->request, deed->envelope, 0);
	posta_envelope_unref(deed->envelope);
	deed->done = true;
}

enum posta_err kit_reply(struct kit_user *user, struct posta_bridge *bridge, size_t delivery, const char *text)
{
	struct deed deed = { .user = user,
			     .bridge = bridge,
			     .request = user->deliveries[delivery].envelope,
			     .envelope = kit_text(text) };
	as_user(&deed, do_reply);
	return deed.result;
}

static void do_numbers(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	for (unsigned i = 0; i < deed->count; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", deed->first + i);
		struct posta_envelope *envelope = kit_text(text);
		deed->result = posta_bridge_publish(self, deed->bridge, deed->target, envelope, deed->first + i);
		posta_envelope_unref(envelope);
	}
	deed->done = true;
}

void kit_publish_numbers(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			 unsigned first, unsigned count)
{
	struct deed deed = { .user = user, .bridge = bridge, .target = target, .first = first, .count = count };
	as_user(&deed, do_numbers);
}

static void do_numbers_and_down(struct posta_actor *self, void *context)
{
	do_numbers(self, context);
	kit_down(((struct deed *)context)->user->world);
}

void kit_publish_and_down(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			  unsigned first, unsigned count)
{
	struct deed deed = { .user = user, .bridge = bridge, .target = target, .first = first, .count = count };
	as_user(&deed, do_numbers_and_down);
}

static void do_subscribe(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_subscribe(self, deed->bridge, deed->source, &deed->subscription, deed->error);
	deed->done = true;
}

enum posta_err kit_try_subscribe(struct kit_user *user, struct posta_bridge *bridge, const struct posta_source *source,
				 uint32_t *subscription, struct posta_error *error)
{
	struct deed deed = { .user = user, .bridge = bridge, .source = source, .error = error };
	as_user(&deed, do_subscribe);
	*subscription = deed.subscription;
	return deed.result;
}

uint32_t kit_subscribe(struct kit_user *user, struct posta_bridge *bridge, const struct posta_source *source)
{
	uint32_t subscription = 0;
	size_t before = user->subscribed;
	struct posta_error error;
	if (kit_try_subscribe(user, bridge, source, &subscription, &error)) {
		fprintf(stderr, "    %s\n", error.text);
		return 0;
	}
	return kit_wait(user->world, &user->subscribed, before + 1) ? subscription : 0;
}

static void do_unsubscribe(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_unsubscribe(self, deed->bridge, deed->subscription);
	deed->done = true;
}

static void do_pause(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_pause(self, deed->bridge, deed->subscription);
	deed->done = true;
}

static void do_resume(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_resume(self, deed->bridge, deed->subscription);
	deed->done = true;
}

static void do_watch(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_watch(self, deed->bridge);
	deed->done = true;
}

static void do_settle(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_settle(self, deed->token, deed->outcome);
	deed->done = true;
}

void kit_unsubscribe(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription)
{
	struct deed deed = { .user = user, .bridge = bridge, .subscription = subscription };
	as_user(&deed, do_unsubscribe);
}

void kit_pause(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription)
{
	struct deed deed = { .user = user, .bridge = bridge, .subscription = subscription };
	as_user(&deed, do_pause);
}

void kit_resume(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription)
{
	struct deed deed = { .user = user, .bridge = bridge, .subscription = subscription };
	as_user(&deed, do_resume);
}

void kit_watch(struct kit_user *user, struct posta_bridge *bridge)
{
	struct deed deed = { .user = user, .bridge = bridge };
	as_user(&deed, do_watch);
}

void kit_settle_token(struct kit_user *user, struct posta_token token, enum posta_outcome outcome)
{
	struct deed deed = { .user = user, .token = token, .outcome = outcome };
	as_user(&deed, do_settle);
}

void kit_settle(struct kit_user *user, size_t delivery, enum posta_outcome outcome)
{
	kit_settle_token(user, user->deliveries[delivery].token, outcome);
}

static void do_seek(struct posta_actor *self, void *context)
{
	struct deed *deed = context;
	deed->result = posta_bridge_seek(self, deed->bridge, deed->subscription, deed->position);
	deed->done = true;
}

enum posta_err kit_seek(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription,
			struct posta_position position)
{
	struct deed deed = { .user = user, .bridge = bridge, .subscription = subscription, .position = position };
	as_user(&deed, do_seek);
	return deed.result;
}

void kit_user_fini(struct kit_user *user)
{
	for (size_t i = 0; i < user->delivered; i++)
		posta_envelope_unref(user->deliveries[i].envelope);
	for (size_t i = 0; i < user->replied; i++)
		posta_envelope_unref(user->replies[i].envelope);
	free(user->replies);
	free(user->deliveries);
	free(user->published);
}
