/* SPDX-License-Identifier: MIT */
#include "conformance_world.h"

#include "brokers.h"

#include <posta/watch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 20000u
#define DO 1u

bool kit_expect(struct kit_world *world, bool holds, const char *what, const char *file, int line)
{
	if (holds || world->failed)
		return holds;
	const char *base = strrchr(file, '/');
	fprintf(stderr, "    %s: %s:%d: not true: %s\n", world->kit->name, base ? base + 1 : file, line, what);
	world->failed = true;
	return false;
}

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

/* -- The user actor -- */

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
	user->deliveries = must(calloc(KIT_RECORDS_MAX, sizeof *user->deliveries));
	user->published = must(calloc(KIT_RECORDS_MAX, sizeof *user->published));
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
	enum posta_outcome outcome;
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

/* -- The world -- */

static void keep_log(void *context, int level, const char *event, const char *text)
{
	struct kit_world *world = context;
	(void)level;
	size_t room = sizeof world->log - world->log_len;
	int n = snprintf(world->log + world->log_len, room, "%s %s\n", event, text);
	world->log_len += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

void kit_world_init(struct kit_world *world, const struct kit_bridge *kit)
{
	*world = (struct kit_world){ .kit = kit };
	const struct posta_system_options options = {
		.size = sizeof options,
		.workers = POSTA_HOST_DRIVEN,
		.log = keep_log,
		.log_context = world,
		.log_level = 3,
	};
	struct posta_error error;
	enum posta_err err = posta_system_start(&options, &world->system, &error);
	if (!err)
		err = posta_bridge_register(world->system, kit->ops, &error);
	if (err && err != POSTA_EEXISTS) { /* most are built in */
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
}

static void user_fini(struct kit_user *user)
{
	for (size_t i = 0; i < user->delivered; i++)
		posta_envelope_unref(user->deliveries[i].envelope);
	free(user->deliveries);
	free(user->published);
}

static void show(const struct kit_user *user)
{
	fprintf(stderr, "    delivered (number, + redelivered):");
	for (size_t i = 0; i < user->delivered && i < 200; i++)
		fprintf(stderr, " %ld%s", kit_number(user, i), user->deliveries[i].redelivered ? "+" : "");
	fprintf(stderr, "\n    published (cookie: result):");
	for (size_t i = 0; i < user->answered && i < 200; i++)
		fprintf(stderr, " %llu:%s", (unsigned long long)user->published[i].cookie,
			posta_err_name(user->published[i].result));
	fprintf(stderr, "\n");
}

void kit_world_fini(struct kit_world *world)
{
	kit_up(world);
	if (world->is_faulty)
		kit_fault(world, KIT_FAULT_NONE, 0);
	for (unsigned i = 0; i < world->bridge_count; i++)
		posta_bridge_close(world->bridges[i], 200);
	if (posta_system_stop(world->system, 10000, NULL))
		kit_expect(world, false, "the system stops within 10 s", __FILE__, __LINE__);
	for (unsigned i = 0; i < world->user_count && world->failed; i++)
		show(&world->users[i]);
	for (unsigned i = 0; i < world->user_count; i++)
		user_fini(&world->users[i]);
	if (world->failed)
		fprintf(stderr, "    log:\n%s", world->log);
}

struct posta_bridge_options kit_options(struct kit_world *world)
{
	struct posta_bridge_options options = {
		.size = sizeof options,
		.backoff = { .initial_ms = 50, .max_ms = 200, .factor = 2, .jitter = POSTA_JITTER_NONE },
	};
	if (world->kit->options)
		world->kit->options(&options);
	return options;
}

static struct posta_bridge *open_by(struct kit_world *world, const char *url,
				    const struct posta_bridge_options *options)
{
	struct posta_bridge_options defaults = kit_options(world);
	struct posta_bridge_options own = options ? *options : defaults;
	struct posta_error error;
	char *client_id = must(kit_unique("client"));
	own.client_id = own.client_id ? own.client_id : client_id;
	struct posta_bridge *bridge = posta_bridge_open(world->system, url, &own, &error);
	free(client_id);
	if (!bridge) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	world->fronts[world->bridge_count] = posta_bridge_ref(bridge);
	world->bridges[world->bridge_count++] = bridge;
	return bridge;
}

struct posta_bridge *kit_open(struct kit_world *world, const struct posta_bridge_options *options)
{
	return open_by(world, world->kit->url(), options);
}

struct posta_bridge *kit_open_far(struct kit_world *world, const struct posta_bridge_options *options)
{
	return open_by(world, world->kit->far_url ? world->kit->far_url() : world->kit->url(), options);
}

struct gone {
	struct kit_world *world;
	posta_ref ref;
};

static bool is_gone(void *context)
{
	const struct gone *gone = context;
	struct posta_system *system = gone->world->system;
	uint32_t nothing = 0;
	/* A message nobody understands: only whether it could be sent counts. */
	return posta_system_send(system, gone->ref, DO, &nothing, sizeof nothing) == POSTA_EDEAD;
}

bool kit_close(struct kit_world *world, struct posta_bridge *bridge, uint32_t deadline_ms)
{
	unsigned i = 0;
	while (world->bridges[i] != bridge)
		i++;
	struct gone gone = { world, world->fronts[i] };
	world->bridges[i] = NULL;
	posta_bridge_close(bridge, deadline_ms);
	return posta_system_run_until(world->system, is_gone, &gone, PATIENCE_MS);
}

void kit_down(struct kit_world *world)
{
	world->kit->down(world->system);
	world->is_down = true;
}

void kit_up(struct kit_world *world)
{
	if (world->is_down)
		world->kit->up(world->system);
	world->is_down = false;
}

void kit_fault(struct kit_world *world, enum kit_fault fault, size_t value)
{
	world->kit->fault(world->system, fault, value);
	world->is_faulty = fault != KIT_FAULT_NONE;
}

/* -- Waiting -- */

uint64_t kit_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t patience(const struct kit_world *world)
{
	return world->kit->patience_ms ? world->kit->patience_ms : PATIENCE_MS;
}

struct reach {
	const size_t *counter;
	size_t at_least;
};

static bool reached(void *context)
{
	const struct reach *reach = context;
	return *reach->counter >= reach->at_least;
}

bool kit_wait(struct kit_world *world, const size_t *counter, size_t at_least)
{
	struct reach reach = { counter, at_least };
	return posta_system_run_until(world->system, reached, &reach, patience(world));
}

struct posta_bridge_status kit_status(const struct posta_bridge *bridge)
{
	struct posta_bridge_status status = { .size = sizeof status };
	posta_bridge_status(bridge, &status);
	return status;
}

struct expected {
	struct posta_bridge *bridge;
	enum posta_bridge_state state;
	size_t offset;
	uint64_t at_least;
	int64_t lag;
};

static bool has_state(void *context)
{
	const struct expected *expected = context;
	return kit_status(expected->bridge).state == expected->state;
}

static bool has_figure(void *context)
{
	const struct expected *expected = context;
	struct posta_bridge_status status = kit_status(expected->bridge);
	uint64_t figure;
	memcpy(&figure, (const char *)&status + expected->offset, sizeof figure);
	return figure >= expected->at_least;
}

bool kit_wait_state(struct kit_world *world, struct posta_bridge *bridge, enum posta_bridge_state state)
{
	struct expected expected = { .bridge = bridge, .state = state };
	return posta_system_run_until(world->system, has_state, &expected, patience(world));
}

bool kit_wait_status(struct kit_world *world, struct posta_bridge *bridge, size_t offset, uint64_t at_least)
{
	struct expected expected = { .bridge = bridge, .offset = offset, .at_least = at_least };
	return posta_system_run_until(world->system, has_figure, &expected, patience(world));
}

static bool has_lag(void *context)
{
	const struct expected *expected = context;
	return kit_status(expected->bridge).lag == expected->lag;
}

bool kit_wait_lag(struct kit_world *world, struct posta_bridge *bridge, int64_t lag)
{
	struct expected expected = { .bridge = bridge, .lag = lag };
	return posta_system_run_until(world->system, has_lag, &expected, patience(world));
}

struct numbers {
	const struct kit_user *user;
	unsigned count;
	size_t seen_to; /* deliveries that were looked at */
	unsigned left;
	bool seen[KIT_RECORDS_MAX];
};

static bool all_there(void *context)
{
	struct numbers *numbers = context;
	while (numbers->seen_to < numbers->user->delivered) {
		long number = kit_number(numbers->user, numbers->seen_to++);
		if (number < 0 || number >= (long)numbers->count || numbers->seen[number])
			continue;
		numbers->seen[number] = true;
		numbers->left--;
	}
	return !numbers->left;
}

bool kit_wait_numbers(struct kit_world *world, struct kit_user *user, unsigned count)
{
	struct numbers numbers = { .user = user, .count = count, .left = count };
	return posta_system_run_until(world->system, all_there, &numbers, patience(world));
}

static bool never(void *context)
{
	(void)context;
	return false;
}

void kit_quiet(struct kit_world *world, uint64_t ms)
{
	posta_system_run_until(world->system, never, NULL, ms);
}

/* -- Envelopes -- */

struct posta_envelope *kit_bytes(const void *data, size_t len)
{
	struct posta_envelope *envelope = must(posta_envelope_new());
	if (posta_envelope_set_body(envelope, data, len) || posta_envelope_complete(envelope)) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return envelope;
}

struct posta_envelope *kit_text(const char *text)
{
	return kit_bytes(text, strlen(text));
}

long kit_number(const struct kit_user *user, size_t delivery)
{
	struct posta_bytes body = posta_envelope_body(user->deliveries[delivery].envelope);
	char text[16] = "";
	if (!body.len || body.len >= sizeof text)
		return -1;
	memcpy(text, body.data, body.len);
	return strtol(text, NULL, 10);
}

unsigned kit_times(const struct kit_user *user, size_t from, long number)
{
	unsigned times = 0;
	for (size_t i = from; i < user->delivered; i++)
		times += kit_number(user, i) == number;
	return times;
}

bool kit_in_order(const struct kit_user *user, size_t from, long first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (from + i >= user->delivered || kit_number(user, from + i) != first + (long)i)
			return false;
	return true;
}

/* -- The usual beginning -- */

void kit_pair(struct kit_world *world, struct kit_pair *pair, bool queue)
{
	memset(pair, 0, sizeof *pair);
	if (queue && world->kit->queue)
		world->kit->queue(pair);
	else
		world->kit->topic(pair);
}

bool kit_flow(struct kit_world *world, struct kit_flow *flow, bool queue, uint32_t credit, bool acks)
{
	kit_pair(world, &flow->pair, queue);
	flow->pair.source.credit = credit;
	flow->bridge = kit_open(world, NULL);
	flow->user = kit_user(world);
	flow->user->acks = acks;
	flow->subscription = kit_subscribe(flow->user, flow->bridge, &flow->pair.source);
	return flow->subscription;
}
