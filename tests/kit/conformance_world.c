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

void *kit_must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
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

static void show(const struct kit_user *user)
{
	fprintf(stderr, "    subscribed %zu, refused %zu, replied %zu\n", user->subscribed, user->refused,
		user->replied);
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
		kit_user_fini(&world->users[i]);
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
	char *client_id = kit_must(kit_unique("client"));
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
	struct posta_envelope *envelope = kit_must(posta_envelope_new());
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
