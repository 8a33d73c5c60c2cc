/* SPDX-License-Identifier: MIT */
/* Rows of the table: start, strategies. */
#include "supervision.h"

static void start__children_in_order_each_awaited(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.members[1].fail_start = POSTA_EPENDING;
	tree_start(&tree);
	trace_is(&tree, "+a?b");
	posta_started(tree.members[1].actor, POSTA_OK);
	kit_settle(tree.system);
	trace_is(&tree, "+c");
	tree_end(&tree);
	trace_is(&tree, "-c-b-a");
}

static void start__one_fails__started_ones_stop_in_reverse_and_it_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.members[2].fail_start = POSTA_EIO;
	tree_start(&tree);
	trace_is(&tree, "+a+b!c-c-b-a");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

static void start__pending_one_fails_late__all_is_off(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.members[1].fail_start = POSTA_EPENDING;
	tree_start(&tree);
	trace_is(&tree, "+a?b");
	posta_started(tree.members[1].actor, POSTA_EIO);
	trace_is(&tree, ""); /* not under the caller's feet */
	kit_settle(tree.system);
	trace_is(&tree, "-b-a");
	assert_int_equal(tree.members[1].stop_reason, POSTA_EIO);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

static void start__one_cannot_be_made__all_is_off(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	struct kit_log log = { 0 };
	kit_spawn(tree.system, &log, &(struct posta_spawn_options){ .name = "wanted" });
	tree.specs[1].spawn.name = "wanted";
	tree_start(&tree);
	trace_is(&tree, "+a-a");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* Asked to stop while a start is awaited: it does not wait for that. */
static void start__stopped_meanwhile__ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.members[1].fail_start = POSTA_EPENDING;
	tree_start(&tree);
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	trace_is(&tree, "+a?b-b-a");
	tree_end(&tree);
}

/* A group restarts before the last has started: the supervisor's start ends all the same, and its parent hears it. */
static void start__group_restarts_meanwhile__start_is_finished(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree.options.name = NULL;
	tree.members[2].fail_start = POSTA_EPENDING;
	struct posta_child_spec top[2] = { { .id = "sub" },
					   { .id = "d", .klass = &member_class, .argument = &tree.members[3] } };
	struct posta_error error;
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &top[0], &error), POSTA_OK);
	const struct posta_supervisor_options options = { .intensity = 10, .children = top, .child_count = 2 };
	assert_true(posta_system_supervise(tree.system, &options, &error) != POSTA_NOBODY);
	kit_settle(tree.system);
	trace_is(&tree, "+a+b?c");
	fail_member(&tree, 0);
	trace_is(&tree, "-a-c-b+a+b?c");
	posta_started(tree.members[2].actor, POSTA_OK);
	kit_settle(tree.system);
	trace_is(&tree, "+d");
	tree_end(&tree);
}

static void one_for_one__only_the_failed_one_restarts(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	posta_ref before = tree.members[1].self;
	tree.trace[0] = '\0';
	fail_member(&tree, 1);
	trace_is(&tree, "-b+b");
	assert_int_equal(tree.members[1].self, before);
	assert_int_equal(tree.members[1].stop_reason, POSTA_EFAILED);
	tell(&tree, 1, KIT_NOTE);
	assert_int_equal(tree.members[1].handled, 2);
	tree_end(&tree);
}

static void one_for_all__stop_in_reverse_start_in_order(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ALL);
	tree.trace[0] = '\0';
	fail_member(&tree, 1);
	trace_is(&tree, "-b-c-a+a+b+c");
	assert_int_equal(tree.members[0].stop_reason, POSTA_ESHUTDOWN);
	tree_end(&tree);
}

static void rest_for_one__later_ones_restart(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_REST_FOR_ONE);
	tree.trace[0] = '\0';
	fail_member(&tree, 1);
	trace_is(&tree, "-b-c+b+c");
	tree_end(&tree);
}

/* The try to restart fails at b: a, which is up again before it, is left alone. */
static void rest_for_one__restart_fails__is_tried_from_there(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_REST_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	tree.trace[0] = '\0';
	tree.members[1].fail_start = POSTA_EIO;
	fail_member(&tree, 0);
	trace_is(&tree, "-a-c-b");
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "+a!b-b");
	tree.members[1].fail_start = POSTA_OK;
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "+b+c");
	tree_end(&tree);
}

/* Another of the group fails before its turn to stop has come: it restarts with the group, and counts once. */
static void one_for_all__two_fail_at_once__one_restart(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree.options.intensity = 1;
	tree_start(&tree);
	kit_send(tree.system, tree.members[0].self, KIT_FAIL);
	kit_send(tree.system, tree.members[1].self, KIT_FAIL);
	kit_settle(tree.system);
	starts_are(&tree, 2, 2, 2);
	assert_true(supervisor_lives(&tree));
	tree_end(&tree);
}

static void temporary__sibling_fails__goes_with_the_group_for_good(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree.specs[2].restart = POSTA_TEMPORARY;
	tree_start(&tree);
	fail_member(&tree, 0);
	starts_are(&tree, 2, 2, 1);
	struct posta_child_info infos[4];
	size_t count = 4;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
	assert_int_equal(count, 2);
	tree_end(&tree);
}

static void simple_one_for_one__children_come_and_go(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_SIMPLE_ONE_FOR_ONE);
	tree.specs[0] = (struct posta_child_spec){ .klass = &member_class };
	tree.options.child_count = 1;
	tree.options.children_max = 1;
	tree_start(&tree);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller.argument = &tree.members[0];
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
	assert_int_equal(caller.child, tree.members[0].self);
	posta_ref child = caller.child;
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_EFULL);
	fail_member(&tree, 0);
	assert_int_equal(tree.members[0].starts, 2);
	caller.child = child;
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP_SIMPLE), POSTA_OK);
	assert_int_equal(tree.members[0].stops, 2);
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
	tree_end(&tree);
}

/*
 * The template is a supervisor: each child is one of its own, with the same children; an argument has no meaning there.
 */
static void simple_one_for_one__of_supervisors__each_has_its_children(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.name = NULL;
	struct posta_child_spec sub = { .size = sizeof sub };
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &sub, NULL), POSTA_OK);
	const struct posta_supervisor_options many = {
		.strategy = POSTA_SIMPLE_ONE_FOR_ONE, .children = &sub, .child_count = 1, .children_max = 2
	};
	posta_ref top = posta_system_supervise(tree.system, &many, NULL);
	struct caller caller;
	caller_spawn(&caller, tree.system, top);
	caller.argument = &tree;
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
	posta_ref first = caller.child;
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_EFULL);
	starts_are(&tree, 2, 2, 2);
	caller.child = first;
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP_SIMPLE), POSTA_OK);
	assert_int_equal(tree.members[0].stops, 1);
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
	starts_are(&tree, 3, 3, 3);
	const struct posta_supervisor_options twice = { .children = &sub, .child_count = 1 };
	assert_true(posta_system_supervise(tree.system, &twice, NULL) == POSTA_NOBODY); /* it has its place still */
	tree_end(&tree);
	assert_int_equal(tree.members[0].stops, 3);
}

/* What finding a child costs must not grow with their number: linear, this takes minutes. */
static void simple_one_for_one__a_hundred_thousand__come_fail_and_go(void **state)
{
	(void)state;
	enum { MANY = 100000 };
	struct tree tree;
	tree_prepare(&tree, POSTA_SIMPLE_ONE_FOR_ONE);
	tree.specs[0] = (struct posta_child_spec){ .klass = &kit_noter, .restart = POSTA_TRANSIENT };
	tree.options.child_count = 1;
	tree.options.intensity = POSTA_INTENSITY_UNLIMITED;
	tree_start(&tree);
	struct kit_log *log = calloc(1, sizeof *log);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller.argument = log;
	posta_ref *children = malloc(MANY * sizeof *children);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_OK);
		children[i] = caller.child;
	}
	for (unsigned i = 0; i < MANY; i++)
		kit_send(tree.system, children[i], i % 2 ? KIT_FAIL : KIT_STOP);
	kit_settle(tree.system);
	assert_int_equal(log->starts, MANY + MANY / 2);
	assert_int_equal(do_call(tree.system, &caller, CALL_COUNT), POSTA_OK);
	assert_int_equal(caller.count.active, MANY / 2);
	tree_end(&tree);
	assert_int_equal(log->stops, log->starts);
	free(children);
	free(log);
}

/* A child that starts well and fails in the very turn of its start: it has been up, so it is restarted. */
static enum posta_err hasty_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	++*(unsigned *)state;
	return posta_send(self, posta_self(self), KIT_FAIL, NULL, 0);
}

static enum posta_err hasty_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_ECONNECTION;
}

static void start__first_turn_fails__is_a_restart_not_a_failed_start(void **state)
{
	(void)state;
	static const struct posta_actor_class hasty = { .name = "hasty",
							.receive = hasty_receive,
							.start = hasty_start };
	struct posta_system *system = kit_system(NULL);
	unsigned starts = 0;
	const struct posta_child_spec spec = { .id = "hasty", .klass = &hasty, .argument = &starts };
	const struct posta_supervisor_options options = {
		.intensity = POSTA_INTENSITY_UNLIMITED,
		.children = &spec,
		.child_count = 1,
		.backoff = { .initial_ms = 100, .max_ms = 100 },
	};
	assert_true(posta_system_supervise(system, &options, NULL) != POSTA_NOBODY);
	posta_system_advance(system, 950);
	assert_int_equal(starts, 10);
	kit_stop(system);
}

static void strategies__other_workers__children_restart_there(void **state)
{
	(void)state;
	struct posta_system_options system_options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&system_options, &system, NULL), POSTA_OK);
	static struct kit_log logs[2];
	memset(logs, 0, sizeof logs);
	const struct posta_child_spec specs[2] = {
		{ .id = "one", .klass = &kit_noter, .argument = &logs[0], .spawn = { .pinned = true, .worker = 1 } },
		{ .id = "two", .klass = &kit_noter, .argument = &logs[1], .spawn = { .pinned = true, .worker = 2 } },
	};
	const struct posta_supervisor_options options = {
		.strategy = POSTA_ONE_FOR_ALL,
		.intensity = 100,
		.children = specs,
		.child_count = 2,
		.name = "both",
	};
	posta_ref supervisor = posta_system_supervise(system, &options, NULL);
	struct posta_child_info infos[2];
	for (unsigned round = 0; round < 50; round++) {
		size_t count = 2;
		do
			assert_int_equal(posta_system_which_children(system, supervisor, 5000, infos, &count),
					 POSTA_OK);
		while (count < 2 || !infos[0].running || !infos[1].running || infos[0].restarts < round ||
		       infos[1].restarts < round);
		posta_system_send(system, infos[round % 2].ref, KIT_FAIL, NULL, 0);
	}
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	assert_true(logs[0].starts >= 50);
	/* The stop of the system may overtake the last restart: then stop runs for a start that did not. */
	assert_in_range(logs[0].stops, logs[0].starts, logs[0].starts + 1);
}

/* It is asked to end, and does so without an error: it has not started all the same. */
static void start_child__ends_well_before_it_has_started__is_canceled(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct caller caller;
	start_pending(&tree, &caller);
	posta_system_stop_actor(tree.system, tree.members[3].self, POSTA_OK);
	kit_settle(tree.system);
	assert_int_equal(caller.answers, 1);
	assert_int_equal(caller.result, POSTA_ECANCELED);
	assert_int_equal(caller.child, POSTA_NOBODY);
	tree_end(&tree);
}

static void start_child__cannot_be_made__is_forgotten(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct kit_log log = { 0 };
	kit_spawn(tree.system, &log, &(struct posta_spawn_options){ .name = "wanted" });
	struct posta_child_spec spec = {
		.id = "d", .klass = &member_class, .argument = &tree.members[3], .spawn = { .name = "wanted" }
	};
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, NULL), POSTA_EEXISTS);
	struct posta_child_count count;
	assert_int_equal(posta_system_count_children(tree.system, tree.supervisor, 1000, &count), POSTA_OK);
	assert_int_equal(count.specs, MEMBERS);
	spec.spawn.name = "unwanted";
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, NULL), POSTA_OK);
	tree_end(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start__children_in_order_each_awaited),
		cmocka_unit_test(start__one_fails__started_ones_stop_in_reverse_and_it_ends),
		cmocka_unit_test(start__pending_one_fails_late__all_is_off),
		cmocka_unit_test(start__stopped_meanwhile__ends),
		cmocka_unit_test(start__group_restarts_meanwhile__start_is_finished),
		cmocka_unit_test(start__first_turn_fails__is_a_restart_not_a_failed_start),
		cmocka_unit_test(one_for_one__only_the_failed_one_restarts),
		cmocka_unit_test(one_for_all__stop_in_reverse_start_in_order),
		cmocka_unit_test(one_for_all__two_fail_at_once__one_restart),
		cmocka_unit_test(rest_for_one__later_ones_restart),
		cmocka_unit_test(rest_for_one__restart_fails__is_tried_from_there),
		cmocka_unit_test(temporary__sibling_fails__goes_with_the_group_for_good),
		cmocka_unit_test(simple_one_for_one__children_come_and_go),
		cmocka_unit_test(simple_one_for_one__a_hundred_thousand__come_fail_and_go),
		cmocka_unit_test(strategies__other_workers__children_restart_there),
		cmocka_unit_test(simple_one_for_one__of_supervisors__each_has_its_children),
		cmocka_unit_test(start__one_cannot_be_made__all_is_off),
		cmocka_unit_test(start_child__ends_well_before_it_has_started__is_canceled),
		cmocka_unit_test(start_child__cannot_be_made__is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
