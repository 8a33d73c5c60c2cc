/* SPDX-License-Identifier: MIT */
/* Pools of actors; the end in peace; how many workers there are. */
#include "kit.h"

#include "runtime/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 3, JOIN = 20, PICK, LATE_JOIN };

struct member {
	struct posta_actor *actor;
	posta_ref self;
	unsigned handled;
};

static enum posta_err member_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	struct member *member = argument;
	member->actor = self;
	member->self = posta_self(self);
	return posta_group_join(self, "pool") == POSTA_OK ? POSTA_EPENDING : POSTA_EINTERNAL;
}

static enum posta_err member_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)message;
	((struct member *)state)->handled++;
	return POSTA_OK;
}

static const struct posta_actor_class member_class = { .name = "member",
						       .receive = member_receive,
						       .start = member_start };

struct picker {
	enum posta_pick how;
	char key[8];
	posta_ref picked;
};

static enum posta_err picker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct picker *picker = state;
	picker->picked = posta_group_pick(self, "pool", picker->how, picker->key, strlen(picker->key));
	return POSTA_OK;
}

static const struct posta_actor_class picker_class = { .name = "picker", .receive = picker_receive };

struct pool {
	struct posta_system *system;
	struct member members[MEMBERS + 1];
	struct picker picker;
	posta_ref asker;
};

static void add_member(struct pool *pool, int i)
{
	posta_system_spawn(pool->system, &member_class, &pool->members[i], NULL, NULL);
	kit_settle(pool->system);
}

static void pool_start(struct pool *pool, enum posta_pick how)
{
	*pool = (struct pool){ .system = kit_system(NULL), .picker = { .how = how } };
	for (int i = 0; i < MEMBERS; i++)
		add_member(pool, i);
	pool->asker = posta_system_spawn(pool->system, &picker_class, &pool->picker, NULL, NULL);
}

static posta_ref pick(struct pool *pool)
{
	kit_send(pool->system, pool->asker, PICK);
	kit_settle(pool->system);
	return pool->picker.picked;
}

static void load(struct pool *pool, int member, unsigned messages)
{
	while (messages--)
		kit_send(pool->system, pool->members[member].self, 1);
	kit_settle(pool->system);
}

static void round_robin__each_in_turn(void **state)
{
	(void)state;
	struct pool pool;
	pool_start(&pool, POSTA_PICK_ROUND_ROBIN);
	for (int i = 0; i < 3 * MEMBERS; i++)
		assert_int_equal(pick(&pool), pool.members[i % MEMBERS].self);
	kit_stop(pool.system);
}

/* Mailboxes without a limit: their lengths are known from the first pick on, what had come before included. */
static void least_loaded__the_shortest_mailbox(void **state)
{
	(void)state;
	struct pool pool;
	pool_start(&pool, POSTA_PICK_LEAST_LOADED);
	load(&pool, 0, 3);
	load(&pool, 1, 2);
	load(&pool, 2, 4);
	pick(&pool);
	for (int i = 0; i < MEMBERS; i++) {
		posta_started(pool.members[i].actor, POSTA_OK);
	}
	kit_settle(pool.system);
	assert_int_equal(pool.members[2].handled, 4);
	kit_stop(pool.system);
	pool_start(&pool, POSTA_PICK_LEAST_LOADED);
	load(&pool, 0, 5); /* before anybody counts */
	pick(&pool);
	load(&pool, 1, 2);
	load(&pool, 2, 4);
	assert_int_equal(pick(&pool), pool.members[1].self);
	load(&pool, 1, 9);
	assert_int_equal(pick(&pool), pool.members[2].self);
	add_member(&pool, 3); /* one that comes later is counted, too */
	assert_int_equal(pick(&pool), pool.members[3].self);
	load(&pool, 3, 6);
	assert_int_equal(pick(&pool), pool.members[2].self);
	posta_started(pool.members[1].actor, POSTA_OK);
	kit_settle(pool.system);
	assert_int_equal(pick(&pool), pool.members[1].self);
	assert_int_equal(pool.members[1].handled, 11);
	kit_stop(pool.system);
}

/* Joins in its first message, and ends that turn, with the others still before it. */
static enum posta_err joiner_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type != LATE_JOIN)
		return member_receive(self, state, message);
	posta_unstash(self);
	return posta_group_join(self, "pool");
}

static const struct posta_actor_class joiner_class = { .name = "joiner", .receive = joiner_receive };

static void least_loaded__joins_with_messages_in_hand__they_count(void **state)
{
	(void)state;
	struct pool pool;
	pool_start(&pool, POSTA_PICK_LEAST_LOADED);
	pick(&pool); /* from now on lengths are known */
	for (int i = 0; i < MEMBERS; i++)
		load(&pool, i, 2);
	struct member *joiner = &pool.members[MEMBERS];
	posta_ref ref = posta_system_spawn(pool.system, &joiner_class, joiner, NULL, NULL);
	kit_send(pool.system, ref, LATE_JOIN);
	for (int i = 0; i < 5; i++)
		kit_send(pool.system, ref, 1);
	kit_settle(pool.system);
	assert_int_equal(joiner->handled, 5);
	for (int i = 0; i < 3; i++)
		kit_send(pool.system, ref, 1);
	assert_int_not_equal(pick(&pool), ref); /* whoever is told last runs first: these three still wait */
	assert_int_equal(joiner->handled, 8);
	kit_stop(pool.system);
}

/* The first time it joins and is up, then its start never ends: its messages wait. */
static enum posta_err supervised_start(struct posta_actor *self, void *state, void *argument)
{
	struct member *member = argument;
	enum posta_err result = member_start(self, state, argument);
	return member->handled++ ? result : POSTA_OK;
}

static enum posta_err supervised_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state;
	return message->type == KIT_FAIL ? POSTA_EFAILED : POSTA_OK;
}

static const struct posta_actor_class supervised_class = { .name = "supervised",
							   .receive = supervised_receive,
							   .start = supervised_start };

/* Counting begins while one of the members is down: it is counted as well, from when it is up again. */
static void least_loaded__counting_begins_while_one_is_down__it_counts(void **state)
{
	(void)state;
	static const enum posta_when_down rules[] = { POSTA_DOWN_KEEP, POSTA_DOWN_REJECT, POSTA_DOWN_DEAD_LETTER };
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		struct pool pool = { .system = kit_system(NULL), .picker = { .how = POSTA_PICK_LEAST_LOADED } };
		pool.asker = posta_system_spawn(pool.system, &picker_class, &pool.picker, NULL, NULL);
		const struct posta_child_spec specs[2] = {
			{ .id = "a", .klass = &supervised_class, .argument = &pool.members[0], .when_down = rules[i] },
			{ .id = "b", .klass = &supervised_class, .argument = &pool.members[1] },
		};
		const struct posta_supervisor_options options = {
			.children = specs, .child_count = 2, .backoff = { .initial_ms = 100 }
		};
		posta_system_supervise(pool.system, &options, NULL);
		kit_settle(pool.system);
		kit_send(pool.system, pool.members[0].self, KIT_FAIL);
		kit_settle(pool.system);
		pick(&pool);
		posta_system_advance(pool.system, 100);
		load(&pool, 0, 3);
		assert_int_equal(pick(&pool), pool.members[1].self);
		kit_stop(pool.system);
	}
}

static void hash__key_keeps_its_member__few_move(void **state)
{
	(void)state;
	struct pool pool;
	pool_start(&pool, POSTA_PICK_HASH);
	posta_ref before[300];
	unsigned of_first = 0, moved = 0;
	for (int i = 0; i < 300; i++) {
		snprintf(pool.picker.key, sizeof pool.picker.key, "k%d", i);
		before[i] = pick(&pool);
		assert_int_equal(pick(&pool), before[i]);
		of_first += before[i] == pool.members[0].self;
	}
	assert_in_range(of_first, 60, 140);
	posta_system_stop_actor(pool.system, pool.members[0].self, POSTA_OK);
	kit_settle(pool.system);
	for (int i = 0; i < 300; i++) {
		snprintf(pool.picker.key, sizeof pool.picker.key, "k%d", i);
		moved += pick(&pool) != before[i];
	}
	assert_int_equal(moved, of_first);
	kit_stop(pool.system);
}

/* -- Drain -- */

/* Each message makes another, until its number is 0. */
static enum posta_err count_down(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t number;
	memcpy(&number, posta_data(message), sizeof number);
	++*(unsigned *)state;
	return number-- ? posta_send(self, posta_self(self), 1, &number, sizeof number) : POSTA_OK;
}

static const struct posta_actor_class counter_class = { .name = "counter", .receive = count_down };

static void drain(int workers)
{
	enum { ACTORS = 8, EACH = 20000 };
	const struct posta_system_options options = { .workers = workers };
	struct posta_system *system;
	struct posta_stop_report report;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	static unsigned handled[ACTORS];
	memset(handled, 0, sizeof handled);
	uint32_t number = EACH - 1;
	for (int i = 0; i < ACTORS; i++)
		posta_system_send(system, posta_system_spawn(system, &counter_class, &handled[i], NULL, NULL), 1,
				  &number, sizeof number);
	assert_int_equal(posta_system_drain(system, 60000, &report), POSTA_OK);
	for (int i = 0; i < ACTORS; i++)
		assert_int_equal(handled[i], EACH);
	assert_int_equal(report.messages_left, 0);
	assert_int_equal(report.actors_left, 0);
}

static void drain__everything_is_handled_first(void **state)
{
	(void)state;
	drain(POSTA_HOST_DRIVEN);
	drain(2);
}

static void drain__never_quiet__stops_at_the_deadline_and_reports(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 1 };
	struct posta_system *system;
	struct posta_stop_report report;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	static unsigned handled;
	uint32_t number = UINT32_MAX;
	posta_ref ref = posta_system_spawn(system, &counter_class, &handled, NULL, NULL);
	posta_system_send(system, ref, 1, &number, sizeof number);
	enum posta_err result = posta_system_drain(system, 100, &report);
	assert_true(result == POSTA_OK || result == POSTA_ETIMEDOUT);
	assert_true(report.messages_left >= 1);
}

static void stop__at_once__reports_what_was_not_handled(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { .fail_start = POSTA_EPENDING };
	posta_ref ref = kit_spawn(system, &log, NULL);
	for (int i = 0; i < 5; i++)
		kit_send(system, ref, KIT_NOTE);
	struct posta_stop_report report;
	struct kit_heap *heap = kit_heap(system);
	assert_int_equal(posta_system_stop(system, 1000, &report), POSTA_OK);
	assert_int_equal(report.messages_left, 5);
	free(heap);
}

static void cpus__quota_of_the_control_group(void **state)
{
	(void)state;
	assert_int_equal(posta__cpus_of_quota("max 100000\n"), 0);
	assert_int_equal(posta__cpus_of_quota("200000 100000\n"), 2);
	assert_int_equal(posta__cpus_of_quota("150000 100000"), 2);
	assert_int_equal(posta__cpus_of_quota("50000 100000"), 1);
	assert_int_equal(posta__cpus_of_quota("-1 100000"), 0);
	assert_int_equal(posta__cpus_of_quota("nonsense"), 0);
	assert_int_equal(posta__cpus_of_quota("100000 0"), 0);
	assert_true(posta__cpus_usable() >= 1);
	struct posta_system *system;
	assert_int_equal(posta_system_start(NULL, &system, NULL), POSTA_OK);
	assert_int_equal(posta_system_workers(system), posta__cpus_usable());
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_robin__each_in_turn),
		cmocka_unit_test(least_loaded__the_shortest_mailbox),
		cmocka_unit_test(least_loaded__joins_with_messages_in_hand__they_count),
		cmocka_unit_test(hash__key_keeps_its_member__few_move),
		cmocka_unit_test(drain__everything_is_handled_first),
		cmocka_unit_test(drain__never_quiet__stops_at_the_deadline_and_reports),
		cmocka_unit_test(stop__at_once__reports_what_was_not_handled),
		cmocka_unit_test(cpus__quota_of_the_control_group),
		cmocka_unit_test(least_loaded__counting_begins_while_one_is_down__it_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
