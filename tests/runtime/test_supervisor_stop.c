/* SPDX-License-Identifier: MIT */
/* Rows of the table: shutdown, significant and auto_shutdown, never blocks. */
#include "supervision.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static void shutdown__children_in_reverse(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	tree.trace[0] = '\0';
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	trace_is(&tree, "-c-b-a");
	assert_int_equal(tree.members[0].stop_reason, POSTA_ESHUTDOWN);
	tree_end(&tree);
}

static void shutdown__brutal__is_told_as_a_kill(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[1].shutdown_ms = POSTA_SHUTDOWN_BRUTAL;
	tree_start(&tree);
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	assert_int_equal(tree.members[0].stop_reason, POSTA_ESHUTDOWN);
	assert_int_equal(tree.members[1].stop_reason, POSTA_EKILLED);
	tree_end(&tree);
}

static void shutdown__while_a_child_waits_for_its_restart__ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100000 };
	tree_start(&tree);
	fail_member(&tree, 2);
	tree.trace[0] = '\0';
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	trace_is(&tree, "-b-a");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* It is stopped in the midst of restarting a child, whose start is awaited. */
static void shutdown__while_a_child_restarts__ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ALL);
	tree.members[1].fail_start = POSTA_EPENDING;
	fail_member(&tree, 0);
	tree.trace[0] = '\0';
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	trace_is(&tree, "-b-a");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* A child in its handler on a thread of its own, which no stop can reach. */
static _Atomic(bool) entered, released;

static enum posta_err stuck_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	entered = true;
	while (!released)
		sched_yield();
	return POSTA_OK;
}

static const struct posta_actor_class stuck_class = { .name = "stuck", .receive = stuck_receive };

struct log_lines {
	_Atomic(unsigned) stuck;
};

static void on_log(void *context, int level, const char *event, const char *text)
{
	(void)level, (void)text;
	struct log_lines *lines = context;
	if (strcmp(event, "supervisor.child_stuck") == 0)
		lines->stuck++;
}

/*
 * Its time is over: it is named, and the others do not wait for it. The same whether it or a supervisor above it has
 * the time.
 */
static void stuck(bool below, uint64_t shutdown_ms)
{
	struct log_lines lines = { 0 };
	const struct posta_system_options system_options = {
		.workers = 1, .log = on_log, .log_context = &lines, .log_level = POSTA_LOG_ERROR
	};
	struct posta_system *system;
	entered = released = false;
	assert_int_equal(posta_system_start(&system_options, &system, NULL), POSTA_OK);
	struct kit_log *log = calloc(1, sizeof *log);
	struct posta_child_spec stuck_spec = {
		.id = "stuck", .klass = &stuck_class, .spawn = { .dedicated = true, .name = "stuck" }
	};
	struct posta_child_spec first = { .id = "first", .klass = &kit_noter, .argument = log };
	struct posta_child_spec under[2] = { first, stuck_spec };
	under[1].shutdown_ms = below ? POSTA_SHUTDOWN_INFINITY : shutdown_ms;
	const struct posta_supervisor_options sub = { .children = under, .child_count = 2 };
	struct posta_child_spec top = { .id = "sub" };
	assert_int_equal(posta_supervisor_spec(system, &sub, &top, NULL), POSTA_OK);
	top.shutdown_ms = below ? shutdown_ms : 0;
	const struct posta_supervisor_options options = { .children = &top, .child_count = 1 };
	posta_ref supervisor = posta_system_supervise(system, &options, NULL);
	posta_ref ref;
	while ((ref = posta_lookup(system, "stuck")) == POSTA_NOBODY)
		sched_yield();
	posta_system_send(system, ref, 1, NULL, 0);
	while (!entered)
		sched_yield();
	posta_system_stop_actor(system, supervisor, POSTA_ESHUTDOWN);
	posta_ref noter = log->self;
	while (posta_system_send(system, noter, KIT_NOTE, NULL, 0) == POSTA_OK) /* "first" ends behind the stuck one */
		sched_yield();
	assert_true(lines.stuck >= 1);
	released = true;
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	free(log);
}

static void shutdown__time_is_over__others_do_not_wait(void **state)
{
	(void)state;
	stuck(false, 20);
	stuck(false, POSTA_SHUTDOWN_BRUTAL);
}

static void shutdown__time_of_a_subtree_is_over__all_below_are_killed(void **state)
{
	(void)state;
	stuck(true, 20);
	stuck(true, POSTA_SHUTDOWN_BRUTAL);
}

/* While one child is stuck in its start or waits for years, the supervisor answers and sees to the others. */
static void never_blocks__one_child_starts_for_ever__others_are_restarted(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	tree.members[0].fail_start = POSTA_EPENDING;
	fail_member(&tree, 0);
	fail_member(&tree, 1);
	starts_are(&tree, 2, 2, 1);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_COUNT), POSTA_OK);
	assert_int_equal(caller.count.active, 3);
	tree_end(&tree);
}

static void auto_shutdown_prepare(struct tree *tree, enum posta_auto_shutdown rule)
{
	tree_prepare(tree, POSTA_ONE_FOR_ONE);
	for (int i = 0; i < 2; i++) {
		tree->specs[i].restart = POSTA_TRANSIENT;
		tree->specs[i].significant = true;
	}
	tree->options.auto_shutdown = rule;
	tree->options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(tree);
	tree->trace[0] = '\0';
}

static void significant__any__supervisor_shuts_down(void **state)
{
	(void)state;
	struct tree tree;
	auto_shutdown_prepare(&tree, POSTA_SHUTDOWN_ANY_SIGNIFICANT);
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "-a+a"); /* a failure of a transient one is no end */
	tell(&tree, 2, KIT_STOP);
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "-c+c"); /* nor is one of a child that is not significant */
	tell(&tree, 0, KIT_STOP);
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "-a-c-b");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

static void significant__all__last_one_shuts_down(void **state)
{
	(void)state;
	struct tree tree;
	auto_shutdown_prepare(&tree, POSTA_SHUTDOWN_ALL_SIGNIFICANT);
	tell(&tree, 0, KIT_STOP);
	assert_true(supervisor_lives(&tree));
	tell(&tree, 1, KIT_STOP);
	trace_is(&tree, "-a-b-c");
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* Both at once: one is on its way out, and counts as ended, when the other ends. */
static void significant__all__two_end_at_once__shuts_down(void **state)
{
	(void)state;
	struct tree tree;
	auto_shutdown_prepare(&tree, POSTA_SHUTDOWN_ALL_SIGNIFICANT);
	kit_send(tree.system, tree.members[0].self, KIT_STOP);
	kit_send(tree.system, tree.members[1].self, KIT_STOP);
	kit_settle(tree.system);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* One that waits for its restart is no one that ended. */
static void significant__all__one_waits_for_its_restart__goes_on(void **state)
{
	(void)state;
	struct tree tree;
	auto_shutdown_prepare(&tree, POSTA_SHUTDOWN_ALL_SIGNIFICANT);
	fail_member(&tree, 0);
	tell(&tree, 1, KIT_STOP);
	assert_true(supervisor_lives(&tree));
	posta_system_advance(tree.system, 100);
	trace_is(&tree, "-a-b+a");
	tree_end(&tree);
}

static void significant__stopped_by_the_supervisor__goes_on(void **state)
{
	(void)state;
	struct tree tree;
	auto_shutdown_prepare(&tree, POSTA_SHUTDOWN_ANY_SIGNIFICANT);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	assert_true(supervisor_lives(&tree));
	tree_end(&tree);
}

static void significant__temporary_fails__any__shuts_down(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = POSTA_TEMPORARY;
	tree.specs[0].significant = true;
	tree.options.auto_shutdown = POSTA_SHUTDOWN_ANY_SIGNIFICANT;
	tree_start(&tree);
	fail_member(&tree, 0);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shutdown__children_in_reverse),
		cmocka_unit_test(shutdown__brutal__is_told_as_a_kill),
		cmocka_unit_test(shutdown__while_a_child_waits_for_its_restart__ends),
		cmocka_unit_test(shutdown__while_a_child_restarts__ends),
		cmocka_unit_test(shutdown__time_is_over__others_do_not_wait),
		cmocka_unit_test(shutdown__time_of_a_subtree_is_over__all_below_are_killed),
		cmocka_unit_test(never_blocks__one_child_starts_for_ever__others_are_restarted),
		cmocka_unit_test(significant__any__supervisor_shuts_down),
		cmocka_unit_test(significant__all__last_one_shuts_down),
		cmocka_unit_test(significant__all__one_waits_for_its_restart__goes_on),
		cmocka_unit_test(significant__stopped_by_the_supervisor__goes_on),
		cmocka_unit_test(significant__temporary_fails__any__shuts_down),
		cmocka_unit_test(significant__all__two_end_at_once__shuts_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
