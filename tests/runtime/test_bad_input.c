/* SPDX-License-Identifier: MIT */
/* What comes of misuse: a defined result each, and the others go on. Specs: test_supervisor_spec.c. */
#include "kit.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void refs__dead_stale_null_foreign__are_told_apart(void **state)
{
	(void)state;
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters), *other = kit_system(NULL);
	struct kit_log log = { 0 }, second = { 0 };
	posta_ref dead = kit_spawn(system, &log, NULL), foreign = kit_spawn(other, &log, NULL);
	kit_send(system, dead, KIT_STOP);
	kit_settle(system);
	posta_ref next = dead;
	for (int i = 0; i < 1000 && (uint32_t)next << 4 != (uint32_t)dead << 4;
	     i++) { /* until the slot is used again */
		next = kit_spawn(system, &second, NULL);
		kit_settle(system);
	}
	assert_int_equal(posta_system_send(system, dead, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	assert_int_equal(posta_system_send(system, POSTA_NOBODY, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	assert_int_equal(posta_system_send(system, foreign, KIT_NOTE, NULL, 0), POSTA_EFOREIGN);
	assert_int_equal(posta_system_send(system, UINT64_MAX, KIT_NOTE, NULL, 0), POSTA_EFOREIGN);
	assert_int_equal(letters.count[POSTA_DEAD_NO_ACTOR], 4);
	uint32_t type;
	assert_int_equal(posta_system_ask(system, dead, 1, NULL, 0, 1000, &type, NULL, NULL), POSTA_EDEAD);
	posta_system_stop_actor(system, dead, POSTA_OK); /* nobody is there: nothing happens */
	kit_settle(system);
	assert_int_equal(second.count, 0);
	kit_stop(system);
	kit_stop(other);
}

/* Stops itself, twice, and goes on in its handler: the handler ends as it wants, then the actor does. */
static enum posta_err stop_inside(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	posta_stop(self, posta_self(self), POSTA_OK);
	posta_send(self, posta_self(self), 1, NULL, 0);
	++*(unsigned *)state;
	return POSTA_OK;
}

static void stop__inside_a_handler__after_it(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .name = "stopper", .receive = stop_inside };
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	unsigned handled = 0;
	posta_ref ref = posta_system_spawn(system, &klass, &handled, NULL, NULL);
	kit_send(system, ref, 1);
	kit_send(system, ref, 1);
	kit_settle(system);
	assert_int_equal(handled, 1);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 2); /* what waited, and what it sent itself */
	assert_int_equal(posta_system_send(system, ref, 1, NULL, 0), POSTA_EDEAD);
	kit_stop(system);
}

/* Sends to itself without end. Others on the same worker get their turns. */
static enum posta_err endless(struct posta_actor *self, void *state, struct posta_message *message)
{
	++*(_Atomic(unsigned) *)state;
	for (int i = 0; i < 3; i++) /* its limit refuses what is too much */
		posta_send(self, posta_self(self), message->type, NULL, 0);
	return POSTA_OK;
}

static void handler__sends_to_itself_without_end__others_run(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .name = "endless", .receive = endless };
	const struct posta_system_options options = { .workers = 1 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	static _Atomic(unsigned) rounds;
	const struct posta_spawn_options limited = { .mailbox = { POSTA_MAILBOX_REJECT, 100 } };
	posta_ref ref = posta_system_spawn(system, &klass, &rounds, &limited, NULL);
	posta_system_send(system, ref, 1, NULL, 0);
	while (rounds < 1000)
		sched_yield();
	struct kit_log *log = calloc(1, sizeof *log);
	posta_ref other = kit_spawn(system, log, NULL);
	uint32_t type;
	for (int i = 0; i < 100; i++) /* "not understood" is an answer, too */
		assert_int_equal(posta_system_ask(system, other, KIT_UNHANDLED, NULL, 0, 10000, &type, NULL, NULL),
				 POSTA_EDEAD);
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(log);
}

/* Memory that ends: the handler hears it, fails, and is restarted; the system goes on. */
struct budget {
	_Atomic(long) left;
};

static void *budget_alloc(void *context, size_t alignment, size_t size)
{
	struct budget *budget = context;
	if (atomic_fetch_sub(&budget->left, (long)size) < (long)size) {
		atomic_fetch_add(&budget->left, (long)size);
		return NULL;
	}
	return aligned_alloc(alignment < 64 ? 64 : alignment, (size + 63) & ~(size_t)63);
}

static void budget_free(void *context, void *memory, size_t size)
{
	if (memory)
		atomic_fetch_add(&((struct budget *)context)->left, (long)size);
	free(memory);
}

struct greedy {
	unsigned starts, failures;
	struct posta_message *kept;
};

static enum posta_err greedy_start(struct posta_actor *self, void *state, void *argument)
{
	(void)self, (void)state;
	((struct greedy *)argument)->starts++;
	return POSTA_OK;
}

static enum posta_err greedy_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct greedy *greedy = state;
	(void)message;
	for (;;) {
		struct posta_message *more = posta_message_new(self, 1, 100000);
		if (!more) {
			greedy->failures++;
			return POSTA_ENOMEM;
		}
		memcpy(posta_data(more), &greedy->kept, sizeof greedy->kept);
		greedy->kept = more;
	}
}

static void greedy_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)reason;
	struct greedy *greedy = state;
	while (greedy->kept) {
		struct posta_message *next;
		memcpy(&next, posta_data(greedy->kept), sizeof next);
		posta_message_free(self, greedy->kept);
		greedy->kept = next;
	}
}

static void handler__allocates_until_it_fails__is_restarted(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = {
		.name = "greedy", .receive = greedy_receive, .start = greedy_start, .stop = greedy_stop
	};
	struct budget budget = { 8 << 20 };
	const long whole = budget.left;
	const struct posta_system_options options = {
		.workers = POSTA_HOST_DRIVEN,
		.virtual_clock = true,
		.actors_max = 1024,
		.allocator = { budget_alloc, budget_free, &budget },
	};
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	struct greedy greedy = { 0 };
	struct kit_log log = { 0 };
	const struct posta_child_spec specs[2] = {
		{ .id = "greedy", .klass = &klass, .argument = &greedy, .spawn = { .name = "greedy" } },
		{ .id = "modest", .klass = &kit_noter, .argument = &log },
	};
	const struct posta_supervisor_options tree = { .intensity = 10, .children = specs, .child_count = 2 };
	assert_true(posta_system_supervise(system, &tree, NULL) != POSTA_NOBODY);
	kit_settle(system);
	for (int i = 0; i < 3; i++) {
		kit_send(system, posta_lookup(system, "greedy"), 1);
		kit_settle(system);
	}
	assert_int_equal(greedy.failures, 3);
	assert_int_equal(greedy.starts, 4);
	kit_send(system, log.self, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.count, 1);
	kit_stop(system);
	assert_int_equal(budget.left, whole);
}

/* Names of nothing, of none, and too long ones. */
static enum posta_err name_badly(struct posta_actor *self, void *state, struct posta_message *message)
{
	static char long_name[POSTA_NAME_MAX + 2];
	memset(long_name, 'x', sizeof long_name - 1);
	const char *const bad[] = { NULL, "", long_name };
	(void)message;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(posta_register(self, bad[i]), POSTA_EINVAL);
		assert_int_equal(posta_unregister(self, bad[i]), POSTA_ENOTFOUND);
		assert_int_equal(posta_lookup(posta_system_of(self), bad[i]), POSTA_NOBODY);
		assert_int_equal(posta_group_join(self, bad[i]), POSTA_EINVAL);
		assert_int_equal(posta_group_leave(self, bad[i]), POSTA_ENOTFOUND);
		assert_int_equal(posta_group_size(posta_system_of(self), bad[i]), 0);
		assert_int_equal(posta_group_publish(self, bad[i], 1, NULL, 0), 0);
		assert_int_equal(posta_group_pick(self, bad[i], POSTA_PICK_HASH, "key", 3), POSTA_NOBODY);
	}
	++*(unsigned *)state;
	return posta_group_join(self, "a good one");
}

static void names__null_empty_or_too_long__are_refused(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .name = "namer", .receive = name_badly };
	struct posta_system *system = kit_system(NULL);
	unsigned handled = 0;
	posta_ref ref = posta_system_spawn(system, &klass, &handled, NULL, NULL);
	kit_send(system, ref, 1);
	kit_send(system, ref, 1); /* now with a group of its own */
	kit_settle(system);
	assert_int_equal(handled, 2);
	assert_int_equal(posta_group_size(system, "a good one"), 1);
	kit_stop(system);
}

/*
 * A handler that blocks holds its own worker and no other; who blocks by design has a thread of its own
 * (test_system.c).
 */
static _Atomic(bool) entered, released;

static enum posta_err block(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	entered = true;
	while (!released)
		sched_yield();
	return POSTA_OK;
}

static void handler__blocks__other_workers_run(void **state)
{
	(void)state;
	static const struct posta_actor_class klass = { .name = "blocker", .receive = block };
	const struct posta_system_options options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	entered = released = false;
	const struct posta_spawn_options second = { .pinned = true, .worker = 2 };
	posta_system_send(system, posta_system_spawn(system, &klass, NULL, &second, NULL), 1, NULL, 0);
	while (!entered)
		sched_yield();
	struct kit_log *log = calloc(1, sizeof *log);
	posta_ref other = kit_spawn(system, log, &(struct posta_spawn_options){ .pinned = true, .worker = 1 });
	uint32_t type;
	assert_int_equal(posta_system_ask(system, other, KIT_UNHANDLED, NULL, 0, 10000, &type, NULL, NULL),
			 POSTA_EDEAD);
	released = true;
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs__dead_stale_null_foreign__are_told_apart),
		cmocka_unit_test(stop__inside_a_handler__after_it),
		cmocka_unit_test(handler__sends_to_itself_without_end__others_run),
		cmocka_unit_test(handler__allocates_until_it_fails__is_restarted),
		cmocka_unit_test(handler__blocks__other_workers_run),
		cmocka_unit_test(names__null_empty_or_too_long__are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
