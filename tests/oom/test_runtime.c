/* SPDX-License-Identifier: MIT */
/* The runtime, each allocation failing once: nothing crashes, leaks or hangs, and the error is a clean one. */
#include "oom.h"

#include <string.h>

static posta_ref spawn(struct posta_system *system, struct oom_actor *actor, const struct posta_spawn_options *options)
{
	struct posta_error error = { .code = POSTA_OK };
	posta_ref ref = posta_system_spawn(system, &oom_actor_class, actor, options, &error);
	if (ref == POSTA_NOBODY)
		assert_false(oom_worked(error.code));
	return ref;
}

/* A system with one actor that acts, and its end. */
static void with(void (*act)(struct posta_actor *self, struct oom_actor *actor),
		 const struct posta_spawn_options *options)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor other = { 0 }, actor = { .act = act };
	actor.other = spawn(system, &other, NULL);
	if (actor.other != POSTA_NOBODY && spawn(system, &actor, options) != POSTA_NOBODY)
		posta_system_advance(system, 100);
	oom_stop(system);
}

static void start_stop(void)
{
	oom_stop(oom_system());
}

static void system__started__fails_cleanly(void **state)
{
	(void)state;
	oom_every(start_stop);
}

static void start_stop_threads(void)
{
	struct posta_system_options options = { .workers = 2, .actors_max = 1000, .name = "two" };
	struct posta_system *system = NULL;
	struct posta_error error;
	if (oom_worked(posta_system_start(&options, &system, &error)))
		oom_stop(system);
	else
		assert_true(strlen(error.text) > 0);
}

static void system__started_with_threads__fails_cleanly(void **state)
{
	(void)state;
	oom_every(start_stop_threads);
}

static void spawn_all(struct posta_actor *self, struct oom_actor *actor)
{
	static struct oom_actor child;
	(void)actor;
	struct posta_spawn_options options = {
		.name = "child",
		.trap_exit = true,
		.pinned = true,
		.mailbox = { .policy = POSTA_MAILBOX_DROP_OLDEST, .length_max = 2 },
	};
	struct posta_error error = { .code = POSTA_OK };
	for (int i = 0; i < 2; i++) {
		posta_ref ref = posta_spawn_with(self, &oom_actor_class, &child, &options, &error);
		if (ref != POSTA_NOBODY)
			break; /* else the name must be free for the second try */
		assert_false(oom_worked(error.code));
	}
}

static void spawn_options(void)
{
	static const struct posta_spawn_options options = { .name = "parent", .trap_exit = true };
	with(spawn_all, &options);
}

static void spawn__with_all_options__fails_cleanly(void **state)
{
	(void)state;
	oom_every(spawn_options);
}

static void spawn_named_from_outside(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor actor = { 0 };
	struct posta_spawn_options options = { .name = "named" };
	posta_ref ref = spawn(system, &actor, &options);
	if (ref == POSTA_NOBODY)
		ref = spawn(system, &actor, &options); /* the name is free */
	assert_true(ref != POSTA_NOBODY);
	posta_system_advance(system, 1);
	assert_true(posta_lookup(system, "named") == ref);
	oom_stop(system);
}

static void spawn__named_from_outside__can_be_tried_again(void **state)
{
	(void)state;
	oom_every(spawn_named_from_outside);
}

/* The one thread of its own that there may be did not start: the next try has it. */
static void spawn_dedicated(void)
{
	const struct posta_system_options options = { .workers = 1, .actors_max = 1000, .dedicated_max = 1 };
	struct posta_system *system = NULL;
	if (!oom_worked(posta_system_start(&options, &system, NULL)))
		return;
	static struct oom_actor actor;
	const struct posta_spawn_options dedicated = { .dedicated = true };
	struct posta_error error;
	posta_ref ref = posta_system_spawn(system, &oom_actor_class, &actor, &dedicated, &error);
	if (ref == POSTA_NOBODY)
		ref = posta_system_spawn(system, &oom_actor_class, &actor, &dedicated, &error);
	if (ref == POSTA_NOBODY)
		fail_msg("the second try: %s", error.text);
	oom_stop(system);
}

static void spawn__dedicated__can_be_tried_again(void **state)
{
	(void)state;
	oom_every(spawn_dedicated);
}

static void send_sizes(struct posta_actor *self, struct oom_actor *actor)
{
	static char bytes[20000];
	static const size_t sizes[] = { 0, 32, 33, 1000, 4000, 5000, 20000 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		oom_worked(posta_send(self, actor->other, 1, bytes, sizes[i]));
	oom_worked(posta_send_within(self, actor->other, 5, 1, bytes, 100));
	struct posta_slice slice = { .data = bytes, .size = 10 };
	struct posta_message *message = posta_message_wrap(self, 1, &slice);
	if (message)
		oom_worked(posta_post(self, actor->other, message));
}

static void sends(void)
{
	with(send_sizes, NULL);
}

static void send__of_all_sizes__fails_cleanly(void **state)
{
	(void)state;
	oom_every(sends);
}

static void arm(struct posta_actor *self, struct oom_actor *actor)
{
	for (uint64_t i = 0; i < 40; i++)
		posta_send_after(self, i, actor->other, 1, "x", 1);
	posta_timer every = posta_send_every(self, 7, posta_self(self), 1, NULL, 0);
	posta_send_every(self, 9, posta_self(self), 1, NULL, 0);
	posta_cancel(self, every);
}

static void timers(void)
{
	with(arm, NULL);
}

static void timer__armed__fails_cleanly(void **state)
{
	(void)state;
	oom_every(timers);
}

static enum posta_err answered(struct posta_actor *self, void *state, enum posta_err status,
			       struct posta_message *reply, void *context)
{
	(void)self, (void)state, (void)reply;
	assert_true(status == POSTA_OK || status == POSTA_ETIMEDOUT || status == POSTA_EDEAD);
	++*(unsigned *)context;
	return POSTA_OK;
}

static unsigned asked, answers;

static void ask(struct posta_actor *self, struct oom_actor *actor)
{
	asked = answers = 0;
	for (int i = 0; i < 10; i++)
		asked += oom_worked(posta_ask(self, actor->other, 1, "x", 1, 20, answered, &answers));
}

static void asks(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor other = { 0 }, actor = { .act = ask };
	asked = answers = 0;
	actor.other = spawn(system, &other, NULL);
	if (actor.other != POSTA_NOBODY && spawn(system, &actor, NULL) != POSTA_NOBODY)
		posta_system_advance(system, 100);
	assert_int_equal(answers, asked); /* by their time-out, if not otherwise */
	oom_stop(system);
}

static void ask__always_ends(void **state)
{
	(void)state;
	oom_every(asks);
}

static void blocking_ask(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor other = { 0 };
	posta_ref ref = spawn(system, &other, NULL);
	uint32_t type;
	char reply[8];
	size_t size = sizeof reply;
	if (ref != POSTA_NOBODY) {
		enum posta_err result = posta_system_ask(system, ref, 7, "abc", 3, 50, &type, reply, &size);
		assert_true(result == POSTA_OK || result == POSTA_ENOMEM); /* an answer is never what lacks */
	}
	oom_stop(system);
}

static void watch(struct posta_actor *self, struct oom_actor *actor)
{
	posta_monitor monitor = posta_watch(self, actor->other);
	posta_watch(self, actor->other);
	posta_unwatch(self, monitor);
	oom_worked(posta_link(self, actor->other));
	posta_watch(self, 12345); /* nobody */
	posta_stop(self, actor->other, POSTA_OK);
}

static void watches(void)
{
	with(watch, NULL);
}

static void watch__and_link__fail_cleanly(void **state)
{
	(void)state;
	oom_every(watches);
}

enum { NAMES = 9 };

static const char *const names_of_all[NAMES] = { "one", "two",   "three", "four", "five",
						 "six", "seven", "eight", "nine" };

static void join(struct posta_actor *self, struct oom_actor *actor)
{
	(void)actor;
	const char *const *names = names_of_all;
	for (size_t i = 0; i < NAMES; i++) {
		bool registered = oom_worked(posta_register(self, names[i]));
		assert_true((posta_lookup(posta_system_of(self), names[i]) == posta_self(self)) == registered);
		bool joined = oom_worked(posta_group_join(self, names[i]));
		assert_int_equal(posta_group_size(posta_system_of(self), names[i]), joined);
		posta_group_publish(self, names[i], 1, "x", 1);
		posta_group_pick(self, names[i], POSTA_PICK_HASH, "key", 3);
		if (joined && i % 2)
			posta_group_leave(self, names[i]);
		if (registered && i % 3 == 0)
			assert_int_equal(posta_unregister(self, names[i]), POSTA_OK);
	}
}

static void names(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor actor = { .act = join };
	posta_ref ref = spawn(system, &actor, NULL);
	if (ref != POSTA_NOBODY) {
		posta_system_advance(system, 100);
		posta_system_stop_actor(system, ref, POSTA_OK);
		posta_system_advance(system, 100);
	}
	for (size_t i = 0; i < NAMES; i++) /* whatever failed: it belongs to none any more */
		assert_int_equal(posta_group_size(system, names_of_all[i]), 0);
	oom_stop(system);
}

static void names__and_groups__fail_cleanly(void **state)
{
	(void)state;
	oom_every(names);
}

static void supervise(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor members[3] = { 0 };
	struct posta_child_spec inner_children[] = {
		{ .id = "c", .klass = &oom_actor_class, .argument = &members[2], .restart = POSTA_TRANSIENT },
	};
	struct posta_supervisor_options inner = { .children = inner_children, .child_count = 1 };
	struct posta_child_spec children[3] = {
		{ .id = "a", .klass = &oom_actor_class, .argument = &members[0], .redeliver_max = 1 },
		{ .id = "b", .klass = &oom_actor_class, .argument = &members[1], .backoff = { .initial_ms = 5 } },
	};
	struct posta_error error = { .code = POSTA_OK };
	size_t count = 2;
	if (oom_worked(posta_supervisor_spec(system, &inner, &children[2], &error))) {
		children[2].id = "inner";
		count = 3;
	}
	struct posta_supervisor_options options = {
		.name = "top",
		.strategy = POSTA_ONE_FOR_ALL,
		.intensity = 10,
		.children = children,
		.child_count = count,
	};
	posta_ref top = posta_system_supervise(system, &options, &error);
	if (top == POSTA_NOBODY) {
		assert_false(oom_worked(error.code));
		top = posta_system_supervise(system, &options, &error); /* nothing of the first try is in its way */
	}
	if (top == POSTA_NOBODY)
		fail_msg("the second try: %s", error.text);
	posta_system_advance(system, 10);
	members[0].fail_once = true;
	posta_system_send(system, members[0].self, 1, NULL, 0);
	posta_system_advance(system, 100);
	oom_stop(system);
}

static void supervisor__of_a_tree__fails_cleanly(void **state)
{
	(void)state;
	oom_every(supervise);
}

static enum posta_err controlled(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
				 void *context)
{
	(void)self, (void)state, (void)child, (void)context;
	assert_true(result != POSTA_EINVAL);
	answers++;
	return POSTA_OK;
}

static enum posta_err listed(struct posta_actor *self, void *state, enum posta_err result,
			     const struct posta_child_info *children, size_t count, void *context)
{
	(void)self, (void)state, (void)result, (void)children, (void)count, (void)context;
	answers++;
	return POSTA_OK;
}

static void control(struct posta_actor *self, struct oom_actor *actor)
{
	static struct oom_actor child;
	(void)actor;
	struct posta_supervisor_options options = { .intensity = 5 };
	struct posta_error error = { .code = POSTA_OK };
	posta_ref supervisor = posta_supervise(self, &options, &error);
	if (supervisor == POSTA_NOBODY) {
		assert_false(oom_worked(error.code));
		return;
	}
	struct posta_child_spec spec = { .id = "late", .klass = &oom_actor_class, .argument = &child };
	asked += oom_worked(posta_start_child(self, supervisor, &spec, controlled, NULL));
	asked += oom_worked(posta_which_children(self, supervisor, listed, NULL));
	asked += oom_worked(posta_stop_child(self, supervisor, "late", controlled, NULL));
	asked += oom_worked(posta_restart_child(self, supervisor, "late", controlled, NULL));
	asked += oom_worked(posta_stop_child(self, supervisor, "late", controlled, NULL));
	asked += oom_worked(posta_delete_child(self, supervisor, "late", controlled, NULL));
}

static void controls(void)
{
	struct posta_system *system = oom_system();
	if (!system)
		return;
	struct oom_actor actor = { .act = control };
	asked = answers = 0;
	if (spawn(system, &actor, NULL) != POSTA_NOBODY)
		posta_system_advance(system, 100);
	assert_int_equal(answers, asked); /* they have no time-out */
	oom_stop(system);
}

static void supervisor__controlled__fails_cleanly(void **state)
{
	(void)state;
	oom_every(controls);
}

static void stash(struct posta_actor *self, struct oom_actor *actor)
{
	(void)actor;
	posta_fail(self, POSTA_EFAILED, "with %s", "words");
}

static void fails_with_words(void)
{
	with(stash, NULL);
}

static void fail__with_words__ends_the_actor(void **state)
{
	(void)state;
	oom_every(fails_with_words);
}

static void ask__that_blocks__always_ends(void **state)
{
	(void)state;
	oom_every(blocking_ask);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system__started__fails_cleanly),
		cmocka_unit_test(system__started_with_threads__fails_cleanly),
		cmocka_unit_test(spawn__with_all_options__fails_cleanly),
		cmocka_unit_test(spawn__named_from_outside__can_be_tried_again),
		cmocka_unit_test(spawn__dedicated__can_be_tried_again),
		cmocka_unit_test(send__of_all_sizes__fails_cleanly),
		cmocka_unit_test(timer__armed__fails_cleanly),
		cmocka_unit_test(ask__always_ends),
		cmocka_unit_test(ask__that_blocks__always_ends),
		cmocka_unit_test(watch__and_link__fail_cleanly),
		cmocka_unit_test(names__and_groups__fail_cleanly),
		cmocka_unit_test(supervisor__of_a_tree__fails_cleanly),
		cmocka_unit_test(supervisor__controlled__fails_cleanly),
		cmocka_unit_test(fail__with_words__ends_the_actor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
