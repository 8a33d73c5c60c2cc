/* SPDX-License-Identifier: MIT */
/* Rows of the table: control. */
#include "supervision.h"

static void control__which_children__tells_all_of_each(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[2].backoff = (struct posta_backoff){ .initial_ms = 100000 };
	tree_start(&tree);
	fail_member(&tree, 1);
	fail_member(&tree, 2);
	struct posta_child_info infos[8];
	size_t count = 8;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
	assert_int_equal(count, 3);
	assert_string_equal(infos[0].id, "a");
	assert_false(infos[0].supervisor);
	assert_string_equal(infos[1].last_error, posta_strerror(POSTA_EFAILED));
	assert_int_equal(infos[0].restarts, 0);
	assert_int_equal(infos[1].restarts, 1);
	assert_int_equal(infos[1].last_reason, POSTA_EFAILED);
	assert_int_equal(infos[1].ref, tree.members[1].self);
	assert_true(infos[1].running);
	assert_false(infos[2].running);
	assert_true(infos[2].restarting);
	tree_end(&tree);
}

static void control__count_children(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[1].supervisor = true;
	tree_start(&tree);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	struct posta_child_count count;
	assert_int_equal(posta_system_count_children(tree.system, tree.supervisor, 1000, &count), POSTA_OK);
	assert_int_equal(count.specs, 3);
	assert_int_equal(count.active, 2);
	assert_int_equal(count.supervisors, 1);
	assert_int_equal(count.workers, 2);
	tree_end(&tree);
}

static void control__start_child__is_the_last_in_order(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct posta_child_spec spec = { .id = "d", .klass = &member_class, .argument = &tree.members[3] };
	posta_ref child = POSTA_NOBODY;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_OK);
	assert_int_equal(child, tree.members[3].self);
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_EEXISTS);
	tree.trace[0] = '\0';
	tree_end(&tree);
	trace_is(&tree, "-d-c-b-a");
}

static void control__start_child_fails__is_answered_and_forgotten(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	tree.members[3].fail_start = POSTA_EIO;
	const struct posta_child_spec spec = { .id = "d", .klass = &member_class, .argument = &tree.members[3] };
	posta_ref child = POSTA_NOBODY;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_EIO);
	tree.members[3].fail_start = POSTA_OK;
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, &child), POSTA_OK);
	tree_end(&tree);
}

static void control__stop_restart_delete(void **state)
{
	(void)state;
	struct tree tree;
	struct caller caller;
	tree_up_and_caller(&tree, POSTA_ONE_FOR_ONE, &caller);
	assert_int_equal(do_call(tree.system, &caller, CALL_DELETE), POSTA_ESTATE);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_EEXISTS);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	assert_int_equal(tree.members[1].stops, 1);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_OK);
	assert_int_equal(tree.members[1].starts, 2);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	assert_int_equal(do_call(tree.system, &caller, CALL_DELETE), POSTA_OK);
	assert_int_equal(do_call(tree.system, &caller, CALL_DELETE), POSTA_ENOTFOUND);
	tree_end(&tree);
}

/* As in OTP: the call hears the error, the child stays down, its spec stays. */
static void control__restart_child_fails__is_answered_and_stays_down(void **state)
{
	(void)state;
	struct tree tree;
	struct caller caller;
	tree_up_and_caller(&tree, POSTA_ONE_FOR_ONE, &caller);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	tree.members[1].fail_start = POSTA_EIO;
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_EIO);
	assert_int_equal(tree.members[1].starts, 2);
	tree.members[1].fail_start = POSTA_OK;
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_OK);
	tree_end(&tree);
}

/* The name it wants is another's: it cannot even be made. */
static void control__restart_child__cannot_be_made__says_why(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[1].spawn.name = "wanted";
	tree_start(&tree);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	struct kit_log log = { 0 };
	posta_ref other = kit_spawn(tree.system, &log, &(struct posta_spawn_options){ .name = "wanted" });
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_EEXISTS);
	struct posta_child_info infos[MEMBERS];
	size_t count = MEMBERS;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 50, infos, &count), POSTA_OK);
	assert_int_equal(count, MEMBERS);
	assert_int_equal(infos[1].last_reason, POSTA_EEXISTS);
	assert_non_null(strstr(infos[1].last_error, "wanted"));
	assert_false(infos[1].running || infos[1].restarting);
	assert_int_equal(do_call(tree.system, &caller, CALL_COUNT), POSTA_OK);
	assert_int_equal(caller.count.active, 2);
	posta_system_stop_actor(tree.system, other, POSTA_OK);
	kit_settle(tree.system);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_OK);
	assert_int_equal(posta_lookup(tree.system, "wanted"), tree.members[1].self);
	tree_end(&tree);
}

static void control__start_child__supervisor_ends_meanwhile__says_so(void **state)
{
	(void)state;
	struct tree tree;
	struct caller caller;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	start_pending(&tree, &caller);
	supervisor_ends_meanwhile(&tree, &caller);
}

/* A child that waits for its restart can be stopped; it does not come back. */
static void control__stop_child__waits_for_its_restart__stays_down(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	fail_member(&tree, 1);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_ESTATE);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(tree.system, &metrics);
	assert_int_equal(metrics.timers, 0);
	posta_system_advance(tree.system, 1000);
	starts_are(&tree, 1, 1, 1);
	tree_end(&tree);
}

static void control__supervisor_is_dead__call_says_so(void **state)
{
	(void)state;
	struct tree tree;
	struct caller caller;
	tree_up_and_caller(&tree, POSTA_ONE_FOR_ONE, &caller);
	posta_system_stop_actor(tree.system, tree.supervisor, POSTA_OK);
	kit_settle(tree.system);
	struct posta_child_info infos[1];
	size_t count = 1;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_EDEAD);
	tree_end(&tree);
}

/* A supervisor may be added while the tree runs; it goes with it, and its plan too (leaks show under ASan). */
static void control__start_child__a_supervisor__brings_its_children(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	const struct posta_child_spec leaf = { .id = "leaf", .klass = &member_class, .argument = &tree.members[4] };
	const struct posta_supervisor_options sub = { .children = &leaf, .child_count = 1 };
	struct posta_child_spec spec = { .id = "sub" };
	assert_int_equal(posta_supervisor_spec(tree.system, &sub, &spec, NULL), POSTA_OK);
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, NULL), POSTA_OK);
	assert_int_equal(tree.members[4].starts, 1);
	assert_int_equal(posta_system_start_child(tree.system, tree.supervisor, &spec, 1000, NULL), POSTA_EINVAL);
	tree_end(&tree);
	assert_int_equal(tree.members[4].stops, 1);
}

/* Asks, and is gone before the answers come: that is no fault of the supervisor's. */
static enum posta_err hasty_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	const posta_ref supervisor = *(posta_ref *)state;
	(void)message;
	posta_count_children(self, supervisor, NULL, NULL);
	posta_which_children(self, supervisor, NULL, NULL);
	posta_stop_child(self, supervisor, "nobody", NULL, NULL);
	posta_restart_child(self, supervisor, "a", NULL, NULL);
	posta_stop_child(self, supervisor, "b", NULL, NULL);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static void control__caller_ends_before_its_answer__supervisor_goes_on(void **state)
{
	(void)state;
	static const struct posta_actor_class hasty = { .name = "hasty", .receive = hasty_receive };
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	kit_send(tree.system, posta_system_spawn(tree.system, &hasty, &tree.supervisor, NULL, NULL), 1);
	kit_settle(tree.system);
	assert_true(supervisor_lives(&tree));
	starts_are(&tree, 1, 1, 1);
	assert_int_equal(tree.members[1].stops, 1);
	tree_end(&tree);
}

/* All of a group wait for the restart of one. */
static void control__which_children__a_group_waits__are_restarting(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	fail_member(&tree, 1);
	struct posta_child_info infos[MEMBERS];
	size_t count = MEMBERS;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 50, infos, &count), POSTA_OK);
	for (int i = 0; i < MEMBERS; i++) {
		assert_true(infos[i].restarting);
		assert_false(infos[i].running);
	}
	tree_end(&tree);
}

static void control__of_the_other_kind_of_supervisor__is_refused(void **state)
{
	(void)state;
	struct tree tree;
	struct caller caller;
	tree_up_and_caller(&tree, POSTA_ONE_FOR_ONE, &caller);
	caller.child = tree.members[0].self;
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP_SIMPLE), POSTA_EINVAL);
	assert_int_equal(do_call(tree.system, &caller, CALL_SIMPLE), POSTA_EINVAL);
	assert_int_equal(tree.members[0].stops, 0);
	tree_end(&tree);
}

/* An actor that answers whatever it is asked, with data of its own. */
static enum posta_err parrot_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (*(const bool *)state) /* just what it hears */
		return posta_reply(self, message->type, posta_data(message), posta_size(message));
	return posta_reply(self, KIT_NOTE, "I am no supervisor", 18);
}

static void control__asked_of_no_supervisor__is_refused(void **state)
{
	(void)state;
	static const struct posta_actor_class parrot = { .name = "parrot", .receive = parrot_receive };
	struct posta_system *system = kit_system(NULL);
	for (int echo = 0; echo < 2; echo++) {
		bool echoes = echo;
		posta_ref ref = posta_system_spawn(system, &parrot, &echoes, NULL, NULL), child = 7;
		struct caller caller;
		caller_spawn(&caller, system, ref);
		assert_int_equal(do_call(system, &caller, CALL_STOP), POSTA_EINVAL);
		assert_int_equal(do_call(system, &caller, CALL_COUNT), POSTA_EINVAL);
		assert_int_equal(do_call(system, &caller, CALL_WHICH), POSTA_EINVAL);
		struct posta_child_info infos[1];
		struct posta_child_count sum = { .specs = 7 };
		size_t count = 1;
		const struct posta_child_spec spec = { .id = "x", .klass = &kit_noter };
		assert_int_equal(posta_system_which_children(system, ref, 1000, infos, &count), POSTA_EINVAL);
		assert_int_equal(posta_system_count_children(system, ref, 1000, &sum), POSTA_EINVAL);
		assert_int_equal(posta_system_count_children(system, POSTA_NOBODY, 1000, &sum), POSTA_EDEAD);
		assert_int_equal(posta_system_start_child(system, ref, &spec, 1000, &child), POSTA_EINVAL);
		assert_int_equal(count, 1);
		assert_int_equal(sum.specs, 7);
		assert_int_equal(child, 7);
	}
	kit_stop(system);
}

/* Wherever the call ends without having reached a supervisor, the spec's own supervisor is the caller's again. */
static enum posta_err wrong_thread(struct posta_actor *self, void *state, struct posta_message *message)
{
	const struct posta_child_spec *spec = state;
	(void)message;
	return posta_system_start_child(posta_system_of(self), posta_self(self), spec, 1000, NULL) == POSTA_EWRONGTHREAD
		       ? POSTA_OK
		       : POSTA_EINTERNAL;
}

static void control__start_child_reaches_nobody__a_supervisor_can_be_given_again(void **state)
{
	(void)state;
	static const struct posta_actor_class wrong = { .name = "wrong", .receive = wrong_thread };
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	struct posta_system *other = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref foreign = kit_spawn(other, &log, NULL);
	tree.options.name = NULL;
	struct posta_child_spec sub = { .id = "sub" };
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &sub, NULL), POSTA_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(posta_system_start_child(tree.system, POSTA_NOBODY, &sub, 1000, NULL), POSTA_EDEAD);
		assert_int_equal(posta_system_start_child(tree.system, foreign, &sub, 1000, NULL), POSTA_EFOREIGN);
	}
	posta_ref ref = posta_system_spawn(tree.system, &wrong, &sub, NULL, NULL);
	kit_send(tree.system, ref, 1);
	kit_settle(tree.system);
	assert_int_equal(posta_system_send(tree.system, ref, 1, NULL, 0), POSTA_OK); /* it had the error it expects */
	const struct posta_supervisor_options top = { .children = &sub, .child_count = 1 };
	assert_true(posta_system_supervise(tree.system, &top, NULL) != POSTA_NOBODY);
	kit_settle(tree.system);
	starts_are(&tree, 1, 1, 1);
	kit_stop(other);
	tree_end(&tree);
}

/* -- Names -- */

/* A caller's strings are its own again as soon as the call returns. */
static enum posta_err hurried_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	char id[] = "i", name[] = "n";
	struct caller *caller = state;
	const struct posta_child_spec spec = {
		.id = id, .klass = &member_class, .argument = caller->argument, .spawn = { .name = name }
	};
	(void)message;
	caller->result = posta_start_child(self, caller->supervisor, &spec, caller_done, NULL);
	id[0] = name[0] = 'x';
	return POSTA_OK;
}

static void control__start_child__its_strings_are_copied(void **state)
{
	(void)state;
	static const struct posta_actor_class hurried = { .name = "hurried", .receive = hurried_receive };
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct caller caller = { .supervisor = tree.supervisor, .argument = &tree.members[3] };
	kit_send(tree.system, posta_system_spawn(tree.system, &hurried, &caller, NULL, NULL), 1);
	kit_settle(tree.system);
	assert_int_equal(caller.answers, 1);
	assert_int_equal(caller.child, tree.members[3].self);
	assert_int_equal(posta_lookup(tree.system, "n"), caller.child);
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller.id = "i";
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_EEXISTS);
	tree_end(&tree);
}

static void control__ids_and_names__have_a_longest(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	char longest[POSTA_NAME_MAX + 1] = "", too_long[POSTA_NAME_MAX + 2] = "";
	memset(longest, 'l', POSTA_NAME_MAX);
	memset(too_long, 'l', POSTA_NAME_MAX + 1);
	struct posta_child_spec spec = { .id = longest, .klass = &member_class, .argument = &tree.members[3] };
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller.spec = &spec;
	spec.spawn.name = too_long;
	assert_int_equal(do_call(tree.system, &caller, CALL_START), POSTA_EINVAL);
	spec.spawn.name = longest;
	spec.id = too_long;
	assert_int_equal(do_call(tree.system, &caller, CALL_START), POSTA_EINVAL);
	spec.id = longest;
	assert_int_equal(do_call(tree.system, &caller, CALL_START), POSTA_OK);
	assert_int_equal(posta_lookup(tree.system, longest), tree.members[3].self);
	static const enum call by_id[] = { CALL_STOP, CALL_RESTART, CALL_STOP, CALL_DELETE };
	for (size_t i = 0; i < sizeof by_id / sizeof by_id[0]; i++) {
		caller.id = NULL;
		assert_int_equal(do_call(tree.system, &caller, by_id[i]), POSTA_EINVAL);
		caller.id = too_long;
		assert_int_equal(do_call(tree.system, &caller, by_id[i]), POSTA_EINVAL);
		caller.id = longest;
		assert_int_equal(do_call(tree.system, &caller, by_id[i]), POSTA_OK);
	}
	tree_end(&tree);
}

/* -- Each state has its answer -- */

static void control__stopped_already_or_just_now__is_no_error_or_one_at_a_time(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct caller caller, second;
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller_spawn(&second, tree.system, tree.supervisor);
	kit_send(tree.system, caller.self, CALL_STOP);
	kit_send(tree.system, second.self, CALL_STOP);
	kit_settle(tree.system);
	assert_int_equal(caller.answers + second.answers, 2);
	assert_int_equal(caller.result + second.result, POSTA_ESTATE);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	assert_int_equal(tree.members[1].stops, 1);
	caller.id = "nobody";
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_ENOTFOUND);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_ENOTFOUND);
	tree_end(&tree);
}

static void control__restart_child__supervisor_ends_meanwhile__says_so(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	struct caller caller, second;
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller_spawn(&second, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	tree.members[1].fail_start = POSTA_EPENDING;
	kit_send(tree.system, caller.self, CALL_RESTART);
	kit_settle(tree.system);
	assert_int_equal(do_call(tree.system, &second, CALL_RESTART), POSTA_ESTATE);
	assert_int_equal(caller.answers, 1);
	supervisor_ends_meanwhile(&tree, &caller);
}

/* It fails by itself while the supervisor ends: whoever had it stopped before is not answered a second time with that. */
static void control__restart_child__fails_while_the_supervisor_ends__says_so(void **state)
{
	(void)state;
	struct caller caller;
	struct tree tree;
	tree_up_and_caller(&tree, POSTA_ONE_FOR_ONE, &caller);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	tree.members[1].fail_start = POSTA_EPENDING;
	kit_send(tree.system, caller.self, CALL_RESTART);
	kit_settle(tree.system);
	posta_started(tree.members[1].actor, POSTA_EIO);
	supervisor_ends_meanwhile(&tree, &caller);
}

/* b was stopped, the others wait for their restart as a group: neither can be started from outside now. */
static void control__restart_child__a_group_waits__is_refused(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ALL);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	struct caller caller;
	caller_spawn(&caller, tree.system, tree.supervisor);
	assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
	fail_member(&tree, 0);
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_ESTATE);
	caller.id = "c";
	assert_int_equal(do_call(tree.system, &caller, CALL_RESTART), POSTA_ESTATE);
	posta_system_advance(tree.system, 100);
	starts_are(&tree, 2, 1, 2);
	tree_end(&tree);
}

/* The first three run; d starts for the first time, then again, and is stopped. */
static void control__which_and_count__in_each_phase(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[2].supervisor = true;
	tree_start(&tree);
	struct caller caller, starter;
	start_pending(&tree, &starter);
	caller_spawn(&caller, tree.system, tree.supervisor);
	caller.id = "d";
	static const struct {
		bool running, restarting;
		unsigned active;
	} phases[] = { { false, false, 4 }, { true, false, 4 }, { false, true, 4 }, { false, false, 3 } };
	for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
		if (i == 1)
			posta_started(tree.members[3].actor, POSTA_OK);
		if (i == 2)
			fail_member(&tree, 3);
		if (i == 3)
			assert_int_equal(do_call(tree.system, &caller, CALL_STOP), POSTA_OK);
		kit_settle(tree.system);
		assert_int_equal(do_call(tree.system, &caller, CALL_WHICH), POSTA_OK);
		assert_int_equal(caller.children, 4);
		assert_true(caller.infos[0].running && !caller.infos[0].restarting && !caller.infos[0].supervisor);
		assert_int_equal(caller.infos[3].running, phases[i].running);
		assert_int_equal(caller.infos[3].restarting, phases[i].restarting);
		assert_true(caller.infos[2].supervisor);
		assert_int_equal(caller.infos[3].ref, i == 3 ? POSTA_NOBODY : tree.members[3].self);
		assert_int_equal(do_call(tree.system, &caller, CALL_COUNT), POSTA_OK);
		assert_int_equal(caller.count.active, phases[i].active);
		assert_int_equal(caller.count.specs, 4);
		assert_int_equal(caller.count.supervisors, 1);
		assert_int_equal(caller.count.workers, 3);
	}
	tree_end(&tree);
}

static void control__which__none_or_more_than_there_is_room_for(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.child_count = 0;
	tree_start(&tree);
	struct posta_child_info infos[2] = { { .restarts = 7 }, { .restarts = 7 } };
	size_t count = 2;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
	assert_int_equal(count, 0);
	for (int i = 0; i < 2; i++) {
		tree.specs[i].argument = &tree.members[i];
		assert_int_equal(
			posta_system_start_child(tree.system, tree.supervisor, &tree.specs[i], 1000, NULL), POSTA_OK);
	}
	count = 1;
	assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
	assert_int_equal(count, 2);
	assert_int_equal(infos[0].restarts, 0);
	assert_int_equal(infos[1].restarts, 7); /* there was no room for it */
	tree_end(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control__which_children__tells_all_of_each),
		cmocka_unit_test(control__count_children),
		cmocka_unit_test(control__start_child__is_the_last_in_order),
		cmocka_unit_test(control__start_child_fails__is_answered_and_forgotten),
		cmocka_unit_test(control__start_child__a_supervisor__brings_its_children),
		cmocka_unit_test(control__stop_restart_delete),
		cmocka_unit_test(control__restart_child_fails__is_answered_and_stays_down),
		cmocka_unit_test(control__stop_child__waits_for_its_restart__stays_down),
		cmocka_unit_test(control__supervisor_is_dead__call_says_so),
		cmocka_unit_test(control__caller_ends_before_its_answer__supervisor_goes_on),
		cmocka_unit_test(control__which_children__a_group_waits__are_restarting),
		cmocka_unit_test(control__of_the_other_kind_of_supervisor__is_refused),
		cmocka_unit_test(control__asked_of_no_supervisor__is_refused),
		cmocka_unit_test(control__start_child_reaches_nobody__a_supervisor_can_be_given_again),
		cmocka_unit_test(control__restart_child__cannot_be_made__says_why),
		cmocka_unit_test(control__start_child__supervisor_ends_meanwhile__says_so),
		cmocka_unit_test(control__start_child__its_strings_are_copied),
		cmocka_unit_test(control__ids_and_names__have_a_longest),
		cmocka_unit_test(control__stopped_already_or_just_now__is_no_error_or_one_at_a_time),
		cmocka_unit_test(control__restart_child__supervisor_ends_meanwhile__says_so),
		cmocka_unit_test(control__restart_child__fails_while_the_supervisor_ends__says_so),
		cmocka_unit_test(control__restart_child__a_group_waits__is_refused),
		cmocka_unit_test(control__which_and_count__in_each_phase),
		cmocka_unit_test(control__which__none_or_more_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
