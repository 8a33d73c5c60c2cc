/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <string.h>

enum { CHILDREN = 3 };

struct tree {
	struct posta_system *system;
	struct kit_log logs[CHILDREN];
	struct kit_letters letters;
	struct posta_child_spec specs[CHILDREN];
	struct posta_supervisor_options options;
	posta_ref supervisor;
};

static void tree_prepare(struct tree *tree, enum posta_strategy strategy)
{
	static const char *const ids[] = { "a", "b", "c" };
	memset(tree, 0, sizeof *tree);
	tree->system = kit_system(&tree->letters);
	for (int i = 0; i < CHILDREN; i++)
		tree->specs[i] =
			(struct posta_child_spec){ .id = ids[i], .klass = &kit_noter, .argument = &tree->logs[i] };
	tree->options = (struct posta_supervisor_options){
		.name = "top",
		.strategy = strategy,
		.intensity = 100,
		.children = tree->specs,
		.child_count = CHILDREN,
	};
}

static void tree_start(struct tree *tree)
{
	struct posta_error error;
	tree->supervisor = posta_system_supervise(tree->system, &tree->options, &error);
	assert_true(tree->supervisor != POSTA_NOBODY);
	kit_settle(tree->system);
}

static void fail_child(struct tree *tree, int child)
{
	kit_send(tree->system, tree->logs[child].self, KIT_FAIL);
	kit_settle(tree->system);
}

static void starts_are(const struct tree *tree, unsigned a, unsigned b, unsigned c)
{
	assert_int_equal(tree->logs[0].starts, a);
	assert_int_equal(tree->logs[1].starts, b);
	assert_int_equal(tree->logs[2].starts, c);
}

static void one_for_one__only_the_failed_one_restarts(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree_start(&tree);
	posta_ref before = tree.logs[1].self;
	fail_child(&tree, 1);
	starts_are(&tree, 1, 2, 1);
	assert_int_equal(tree.logs[1].self, before);
	assert_int_equal(tree.logs[1].stop_reason, POSTA_EFAILED);
	kit_send(tree.system, before, KIT_NOTE);
	kit_settle(tree.system);
	assert_int_equal(tree.logs[1].count, 2);
	kit_stop(tree.system);
}

static void one_for_all__all_restart(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree_start(&tree);
	fail_child(&tree, 1);
	starts_are(&tree, 2, 2, 2);
	assert_int_equal(tree.logs[0].stop_reason, POSTA_ESHUTDOWN);
	kit_stop(tree.system);
}

static void rest_for_one__later_ones_restart(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_REST_FOR_ONE);
	tree_start(&tree);
	fail_child(&tree, 1);
	starts_are(&tree, 1, 2, 2);
	kit_stop(tree.system);
}

static void permanent__restarts_also_after_a_normal_end(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree_start(&tree);
	kit_send(tree.system, tree.logs[0].self, KIT_STOP);
	kit_settle(tree.system);
	starts_are(&tree, 2, 1, 1);
	kit_stop(tree.system);
}

static void transient__restarts_only_after_a_failure(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = tree.specs[1].restart = POSTA_TRANSIENT;
	tree_start(&tree);
	kit_send(tree.system, tree.logs[0].self, KIT_STOP);
	fail_child(&tree, 1);
	starts_are(&tree, 1, 2, 1);
	kit_stop(tree.system);
}

static void temporary__never_restarts(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = POSTA_TEMPORARY;
	tree_start(&tree);
	posta_ref ref = tree.logs[0].self;
	fail_child(&tree, 0);
	starts_are(&tree, 1, 1, 1);
	assert_int_equal(posta_system_send(tree.system, ref, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_stop(tree.system);
}

static void backoff__waits_double_and_reset_when_healthy(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff =
		(struct posta_backoff){ .initial_ms = 100, .factor = 2, .max_ms = 1000, .reset_after_ms = 5000 };
	tree_start(&tree);
	for (unsigned i = 0; i < 3; i++) {
		fail_child(&tree, 0);
		posta_system_advance(tree.system, (100u << i) - 1);
		assert_int_equal(tree.logs[0].starts, i + 1);
		posta_system_advance(tree.system, 1);
		assert_int_equal(tree.logs[0].starts, i + 2);
	}
	posta_system_advance(tree.system, 5000);
	fail_child(&tree, 0);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.logs[0].starts, 5);
	kit_stop(tree.system);
}

static void down__mailbox_is_kept(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	fail_child(&tree, 0);
	for (int i = 0; i < 5; i++)
		kit_send(tree.system, tree.logs[0].self, KIT_NOTE);
	kit_settle(tree.system);
	assert_int_equal(tree.logs[0].count, 1);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.logs[0].count, 6);
	assert_int_equal(tree.letters.count[POSTA_DEAD_STOPPED], 0);
	kit_stop(tree.system);
}

static void poison__is_redelivered_then_buried(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].redeliver_max = 2;
	tree_start(&tree);
	fail_child(&tree, 0);
	assert_int_equal(tree.logs[0].count, 3);
	assert_int_equal(tree.letters.count[POSTA_DEAD_POISON], 1);
	assert_int_equal(tree.letters.last_type, KIT_FAIL);
	kit_stop(tree.system);
}

static void intensity__exceeded__supervisor_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = 3;
	tree.options.period_ms = 1000;
	tree_start(&tree);
	for (int i = 0; i < 4; i++)
		fail_child(&tree, 0);
	starts_are(&tree, 4, 1, 1);
	assert_int_equal(tree.logs[1].stops, 1);
	assert_int_equal(posta_system_send(tree.system, tree.supervisor, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_stop(tree.system);
}

static void intensity__spread_over_time__goes_on(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = 3;
	tree.options.period_ms = 1000;
	tree_start(&tree);
	for (int i = 0; i < 20; i++) {
		fail_child(&tree, 0);
		posta_system_advance(tree.system, 400);
	}
	starts_are(&tree, 21, 1, 1);
	kit_stop(tree.system);
}

static void child_intensity__exceeded__supervisor_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].intensity = 1;
	tree.specs[0].period_ms = 1000;
	tree_start(&tree);
	fail_child(&tree, 1);
	fail_child(&tree, 0);
	assert_int_equal(tree.logs[2].stops, 0);
	fail_child(&tree, 0);
	assert_int_equal(tree.logs[2].stops, 1);
	kit_stop(tree.system);
}

static void escalation__parent_restarts_the_subtree(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.name = NULL;
	tree.options.intensity = 1;
	struct posta_child_spec sub = { .id = "sub" };
	struct posta_error error;
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &sub, &error), POSTA_OK);
	const struct posta_supervisor_options top = { .intensity = 10, .children = &sub, .child_count = 1 };
	assert_true(posta_system_supervise(tree.system, &top, &error) != POSTA_NOBODY);
	kit_settle(tree.system);
	fail_child(&tree, 0);
	starts_are(&tree, 2, 1, 1);
	fail_child(&tree, 0);
	starts_are(&tree, 3, 2, 2);
	kit_stop(tree.system);
}

static void start__one_fails__started_ones_stop_and_it_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.logs[1].fail_start = POSTA_EIO;
	tree_start(&tree);
	starts_are(&tree, 1, 1, 0);
	assert_int_equal(tree.logs[0].stops, 1);
	assert_int_equal(posta_system_send(tree.system, tree.supervisor, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_stop(tree.system);
}

static void significant__any__supervisor_shuts_down(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = POSTA_TRANSIENT;
	tree.specs[0].significant = true;
	tree.options.auto_shutdown = POSTA_SHUTDOWN_ANY_SIGNIFICANT;
	tree_start(&tree);
	kit_send(tree.system, tree.logs[0].self, KIT_STOP);
	kit_settle(tree.system);
	assert_int_equal(tree.logs[1].stops, 1);
	assert_int_equal(posta_system_send(tree.system, tree.supervisor, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_stop(tree.system);
}

static void spec__bad__is_refused_with_words(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	struct posta_error error;
	struct posta_child_spec specs[2] = {
		{ .id = "x", .klass = &kit_noter, .argument = &log },
		{ .id = "x", .klass = &kit_noter, .argument = &log },
	};
	struct posta_supervisor_options options = { .children = specs, .child_count = 2 };
	assert_int_equal(posta_system_supervise(system, &options, &error), POSTA_NOBODY);
	assert_non_null(strstr(error.text, "\"x\""));
	specs[1].id = NULL;
	assert_int_equal(posta_system_supervise(system, &options, &error), POSTA_NOBODY);
	specs[1].id = "y";
	specs[1].significant = true;
	assert_int_equal(posta_system_supervise(system, &options, &error), POSTA_NOBODY);
	assert_non_null(strstr(error.text, "significant"));
	specs[1].significant = false;
	specs[1].backoff.factor = 0.5;
	assert_int_equal(posta_system_supervise(system, &options, &error), POSTA_NOBODY);
	assert_non_null(strstr(error.text, "factor"));
	kit_stop(system);
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

static void first_turn__fails__is_a_restart_not_a_failed_start(void **state)
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

/* Control calls, from a thread that is none of the system's. */
static void control__children_are_listed_and_added(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree_start(&tree);
	struct kit_log more = { 0 };
	const struct posta_child_spec spec = { .id = "d", .klass = &kit_noter, .argument = &more };
	posta_ref child = POSTA_NOBODY;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_OK);
	assert_int_equal(child, more.self);
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_EEXISTS);
	fail_child(&tree, 1);
	struct posta_child_info infos[8];
	size_t count = 8;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
	assert_int_equal(count, 4);
	assert_string_equal(infos[0].id, "a");
	assert_string_equal(infos[3].id, "d");
	assert_int_equal(infos[1].restarts, 1);
	assert_int_equal(infos[1].last_reason, POSTA_EFAILED);
	assert_true(infos[1].running);
	kit_stop(tree.system);
}

static void control__failed_start__is_answered_and_forgotten(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree_start(&tree);
	struct kit_log more = { .fail_start = POSTA_EIO };
	const struct posta_child_spec spec = { .id = "d", .klass = &kit_noter, .argument = &more };
	posta_ref child = POSTA_NOBODY;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_EIO);
	more.fail_start = POSTA_OK;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_OK);
	kit_stop(tree.system);
}

/* And from an actor. */
enum { CALL_STOP = 50, CALL_RESTART, CALL_DELETE, CALL_SIMPLE, CALL_STOP_SIMPLE };

struct caller {
	posta_ref supervisor, child;
	void *argument;
	enum posta_err result;
	unsigned answers;
};

static enum posta_err on_done(struct posta_actor *self, void *state, enum posta_err result, posta_ref child,
			      void *context)
{
	(void)self, (void)context;
	struct caller *caller = state;
	caller->answers++;
	caller->result = result;
	caller->child = child;
	return POSTA_OK;
}

static enum posta_err call(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct caller *caller = state;
	switch (message->type) {
	case CALL_STOP:
		return posta_stop_child(self, caller->supervisor, "b", on_done, NULL);
	case CALL_RESTART:
		return posta_restart_child(self, caller->supervisor, "b", on_done, NULL);
	case CALL_DELETE:
		return posta_delete_child(self, caller->supervisor, "b", on_done, NULL);
	case CALL_SIMPLE:
		return posta_start_simple_child(self, caller->supervisor, caller->argument, on_done, NULL);
	default:
		return posta_stop_simple_child(self, caller->supervisor, caller->child, on_done, NULL);
	}
}

static const struct posta_actor_class caller_class = { .name = "caller", .receive = call };

static enum posta_err do_call(struct posta_system *system, posta_ref ref, struct caller *caller, uint32_t type)
{
	unsigned before = caller->answers;
	kit_send(system, ref, type);
	kit_settle(system);
	assert_int_equal(caller->answers, before + 1);
	return caller->result;
}

static void control__stop_restart_delete(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree_start(&tree);
	struct caller caller = { .supervisor = tree.supervisor };
	posta_ref ref = posta_system_spawn(tree.system, &caller_class, &caller, NULL, NULL);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_DELETE), POSTA_ESTATE);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_RESTART), POSTA_EEXISTS);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_STOP), POSTA_OK);
	assert_int_equal(tree.logs[1].stops, 1);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_RESTART), POSTA_OK);
	assert_int_equal(tree.logs[1].starts, 2);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_STOP), POSTA_OK);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_DELETE), POSTA_OK);
	assert_int_equal(do_call(tree.system, ref, &caller, CALL_DELETE), POSTA_ENOTFOUND);
	kit_stop(tree.system);
}

static void simple_one_for_one__children_come_and_go(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	const struct posta_child_spec spec = { .klass = &kit_noter };
	const struct posta_supervisor_options options = {
		.strategy = POSTA_SIMPLE_ONE_FOR_ONE,
		.children = &spec,
		.child_count = 1,
		.children_max = 1,
		.intensity = 5,
	};
	struct caller caller = { .supervisor = posta_system_supervise(system, &options, NULL), .argument = &log };
	posta_ref ref = posta_system_spawn(system, &caller_class, &caller, NULL, NULL);
	assert_int_equal(do_call(system, ref, &caller, CALL_SIMPLE), POSTA_OK);
	assert_int_equal(caller.child, log.self);
	posta_ref child = caller.child;
	assert_int_equal(do_call(system, ref, &caller, CALL_SIMPLE), POSTA_EFULL);
	kit_send(system, child, KIT_FAIL);
	kit_settle(system);
	assert_int_equal(log.starts, 2);
	caller.child = child;
	assert_int_equal(do_call(system, ref, &caller, CALL_STOP_SIMPLE), POSTA_OK);
	assert_int_equal(log.stops, 2);
	kit_stop(system);
}

static void stop__while_a_child_waits_for_its_restart__ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100000 };
	tree_start(&tree);
	fail_child(&tree, 2);
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	assert_int_equal(tree.logs[0].stops, 1);
	assert_int_equal(posta_system_send(tree.system, tree.supervisor, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_stop(tree.system);
}

static void other_workers__children_restart_there(void **state)
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
	assert_int_equal(logs[0].starts, logs[0].stops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_for_one__only_the_failed_one_restarts),
		cmocka_unit_test(one_for_all__all_restart),
		cmocka_unit_test(rest_for_one__later_ones_restart),
		cmocka_unit_test(permanent__restarts_also_after_a_normal_end),
		cmocka_unit_test(transient__restarts_only_after_a_failure),
		cmocka_unit_test(temporary__never_restarts),
		cmocka_unit_test(backoff__waits_double_and_reset_when_healthy),
		cmocka_unit_test(down__mailbox_is_kept),
		cmocka_unit_test(poison__is_redelivered_then_buried),
		cmocka_unit_test(intensity__exceeded__supervisor_ends),
		cmocka_unit_test(intensity__spread_over_time__goes_on),
		cmocka_unit_test(child_intensity__exceeded__supervisor_ends),
		cmocka_unit_test(escalation__parent_restarts_the_subtree),
		cmocka_unit_test(start__one_fails__started_ones_stop_and_it_ends),
		cmocka_unit_test(significant__any__supervisor_shuts_down),
		cmocka_unit_test(spec__bad__is_refused_with_words),
		cmocka_unit_test(first_turn__fails__is_a_restart_not_a_failed_start),
		cmocka_unit_test(control__children_are_listed_and_added),
		cmocka_unit_test(control__failed_start__is_answered_and_forgotten),
		cmocka_unit_test(control__stop_restart_delete),
		cmocka_unit_test(simple_one_for_one__children_come_and_go),
		cmocka_unit_test(stop__while_a_child_waits_for_its_restart__ends),
		cmocka_unit_test(other_workers__children_restart_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
