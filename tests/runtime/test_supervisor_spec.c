/* SPDX-License-Identifier: MIT */
/* What specs are taken, at the bounds of each value; what is kept of them; who owns what when a call fails. */
#include "supervision.h"

#include "runtime/supervisor.h"

#define MS_MAX ((uint64_t)INT64_MAX / 1000000)
#define Y .id = "y", .klass = &member_class

/* word: of the refusal; NULL: it is taken */
static void try(struct posta_system *system, const struct posta_supervisor_options *options, const char *word)
{
	struct posta_error error = { .code = POSTA_OK };
	struct posta__plan *plan = posta__plan_make(system, options, &error);
	if (word) {
		assert_null(plan);
		assert_int_equal(error.code, POSTA_EINVAL);
		assert_non_null(strstr(error.text, word));
	} else {
		assert_int_equal(error.code, POSTA_OK);
		assert_non_null(plan);
		posta__plan_free(system, plan);
	}
}

static char long_id[POSTA_NAME_MAX + 2], longest_id[POSTA_NAME_MAX + 1];
static const struct posta_actor_class deaf = { .name = "deaf" };

static const struct {
	struct posta_child_spec spec;
	const char *word;
} specs[] = {
	{ { .id = NULL, .klass = &member_class }, "without id" },
	{ { .id = "", .klass = &member_class }, "without id" },
	{ { .id = long_id, .klass = &member_class }, "without id" },
	{ { .id = longest_id, .klass = &member_class }, NULL },
	{ { .id = "x", .klass = &member_class }, "\"x\"" }, /* twice */
	{ { .id = "y" }, "receive" },
	{ { .id = "y", .klass = &deaf }, "receive" },
	{ { Y, .restart = POSTA_TEMPORARY }, NULL },
	{ { Y, .restart = (enum posta_restart)(POSTA_TEMPORARY + 1) }, "restart" },
	{ { Y, .restart = (enum posta_restart)-1 }, "restart" },
	{ { Y, .significant = true }, "permanent" },
	{ { Y, .significant = true, .restart = POSTA_TRANSIENT }, "auto_shutdown" },
	{ { Y, .intensity = 65536 }, NULL },
	{ { Y, .intensity = 65537 }, "intensity" },
	{ { Y, .intensity = POSTA_INTENSITY_UNLIMITED }, NULL },
	{ { Y, .intensity = POSTA_INTENSITY_NONE }, NULL },
	{ { Y, .intensity = POSTA_INTENSITY_NONE - 1 }, "intensity" },
	{ { Y, .when_down = POSTA_DOWN_REJECT }, NULL },
	{ { Y, .when_down = (enum posta_when_down)(POSTA_DOWN_REJECT + 1) }, "when_down" },
	{ { Y, .when_down = POSTA_DOWN_BOUNDED }, "when_down_max" },
	{ { Y, .when_down = POSTA_DOWN_BOUNDED, .when_down_max = 1 }, NULL },
	{ { Y, .when_down_max = 1 }, "when_down_max" },
	{ { Y, .period_ms = MS_MAX }, NULL },
	{ { Y, .period_ms = MS_MAX + 1 }, "period_ms" },
	{ { Y, .shutdown_ms = MS_MAX }, NULL },
	{ { Y, .shutdown_ms = MS_MAX + 1 }, "shutdown_ms" },
	{ { Y, .shutdown_ms = (uint64_t)-2 }, "shutdown_ms" },
	{ { Y, .shutdown_ms = POSTA_SHUTDOWN_INFINITY }, NULL },
	{ { Y, .backoff = { .initial_ms = MS_MAX } }, NULL },
	{ { Y, .backoff = { .initial_ms = MS_MAX + 1 } }, "time of backoff" },
	{ { Y, .backoff = { .max_ms = MS_MAX } }, NULL },
	{ { Y, .backoff = { .max_ms = MS_MAX + 1 } }, "time of backoff" },
	{ { Y, .backoff = { .reset_after_ms = MS_MAX } }, NULL },
	{ { Y, .backoff = { .reset_after_ms = MS_MAX + 1 } }, "time of backoff" },
	{ { Y, .backoff = { .initial_ms = 5, .max_ms = 5 } }, NULL },
	{ { Y, .backoff = { .initial_ms = 6, .max_ms = 5 } }, "max_ms" },
	{ { Y, .backoff = { .factor = 1 } }, NULL },
	{ { Y, .backoff = { .factor = 0.99 } }, "factor" },
	{ { Y, .backoff = { .factor = -1 } }, "factor" },
	{ { Y, .backoff = { .factor = 1000 } }, NULL },
	{ { Y, .backoff = { .factor = 1000.1 } }, "factor" },
	{ { Y, .backoff = { .jitter = POSTA_JITTER_DECORRELATED } }, NULL },
	{ { Y, .backoff = { .jitter = (enum posta_jitter)(POSTA_JITTER_DECORRELATED + 1) } }, "jitter" },
};

static void spec__each_value_at_its_bounds__is_taken_or_refused_with_words(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	memset(long_id, 'i', sizeof long_id - 1);
	memset(longest_id, 'i', sizeof longest_id - 1);
	for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
		const struct posta_child_spec good = { .id = "x", .klass = &member_class };
		const struct posta_child_spec two[2] = { good, specs[i].spec }, reversed[2] = { specs[i].spec, good };
		try(system, &(struct posta_supervisor_options){ .children = two, .child_count = 2 }, specs[i].word);
		try(system, &(struct posta_supervisor_options){ .children = reversed, .child_count = 2 },
		    specs[i].word);
	}
	kit_stop(system);
}

/* Beyond the count there is a bad one: nobody looks there. */
static const struct posta_child_spec one[3] = { { Y }, { .id = "", .klass = &member_class } }, no_id = { .klass = &member_class };
static const struct posta_child_spec apart[3] = { { Y }, { .id = "x", .klass = &member_class }, { Y } };
static const struct posta_child_spec weighty = { Y, .significant = true, .restart = POSTA_TRANSIENT };

static const struct {
	struct posta_supervisor_options options;
	const char *word;
} supervisors[] = {
	{ { .child_count = 0 }, NULL },
	{ { .children = one, .child_count = 1 }, NULL },
	{ { .child_count = 1 }, "children is NULL" },
	{ { .children = apart, .child_count = 3 }, "two children have the id \"y\"" },
	{ { .strategy = POSTA_REST_FOR_ONE }, NULL },
	{ { .strategy = (enum posta_strategy)(POSTA_SIMPLE_ONE_FOR_ONE + 1) }, "strategy" },
	{ { .strategy = POSTA_SIMPLE_ONE_FOR_ONE }, "exactly one template" },
	{ { .strategy = POSTA_SIMPLE_ONE_FOR_ONE, .children = &no_id, .child_count = 1 }, NULL },
	{ { .strategy = POSTA_SIMPLE_ONE_FOR_ONE, .children = apart, .child_count = 2 }, "exactly one template" },
	{ { .intensity = 65536 }, NULL },
	{ { .intensity = 65537 }, "intensity" },
	{ { .auto_shutdown = POSTA_SHUTDOWN_ALL_SIGNIFICANT }, NULL },
	{ { .auto_shutdown = (enum posta_auto_shutdown)(POSTA_SHUTDOWN_ALL_SIGNIFICANT + 1) }, "auto_shutdown" },
	{ { .auto_shutdown = POSTA_SHUTDOWN_ANY_SIGNIFICANT, .children = &weighty, .child_count = 1 }, NULL },
	{ { .auto_shutdown = POSTA_SHUTDOWN_ANY_SIGNIFICANT, .children = one, .child_count = 1 }, NULL },
	{ { .period_ms = MS_MAX }, NULL },
	{ { .period_ms = MS_MAX + 1 }, "period_ms" },
	{ { .backoff = { .max_ms = MS_MAX + 1 } }, "(backoff of all)" },
	{ { .backoff = { .max_ms = MS_MAX + 1 }, .children = one, .child_count = 1 }, "(backoff of all)" },
};

static void spec__of_a_supervisor_at_its_bounds__is_taken_or_refused_with_words(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	for (size_t i = 0; i < sizeof supervisors / sizeof supervisors[0]; i++)
		try(system, &supervisors[i].options, supervisors[i].word);
	try(system, NULL, NULL);
	kit_stop(system);
}

static void spec__nothing_said__has_the_defaults(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	const struct posta_supervisor_options said = { .intensity = 2, .period_ms = 3, .children_max = 4 };
	struct posta__plan *plan = posta__plan_make(system, NULL, NULL);
	assert_int_equal(plan->options.intensity, 1);
	assert_int_equal(plan->options.period_ms, 5000);
	assert_int_equal(plan->options.children_max, 1000000);
	posta__plan_free(system, plan);
	plan = posta__plan_make(system, &said, NULL);
	assert_int_equal(plan->options.intensity, 2);
	assert_int_equal(plan->options.period_ms, 3);
	assert_int_equal(plan->options.children_max, 4);
	posta__plan_free(system, plan);
	kit_stop(system);
}

/* A caller built with an older header has fewer fields than we look for, one with a newer has more than we know. */
static void spec__of_another_version__what_both_know_is_read(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct {
		struct posta_supervisor_options options;
		char more[4096];
	} newer = { { .size = sizeof newer, .children = one, .child_count = 1, .worker = 7 }, { 1 } };
	struct posta_supervisor_options older = newer.options;
	older.size = offsetof(struct posta_supervisor_options, worker);
	struct posta__plan *plan = posta__plan_make(system, &newer.options, NULL);
	assert_int_equal(plan->options.worker, 7);
	posta__plan_free(system, plan);
	plan = posta__plan_make(system, &older, NULL);
	assert_int_equal(plan->options.worker, 0);
	assert_int_equal(plan->options.child_count, 1);
	posta__plan_free(system, plan);
	const struct posta_child_spec child = { Y, .size = offsetof(struct posta_child_spec, restart),
						.restart = POSTA_TEMPORARY };
	assert_int_equal(posta__spec_read(&child).restart, POSTA_PERMANENT);
	assert_ptr_equal(posta__spec_read(&child).klass, &member_class);
	kit_stop(system);
}

/* A supervisor has one place in one tree: given twice, or inside itself, it is refused, and nothing is freed twice. */
static void spec__a_cycle__is_refused_with_words(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.name = NULL;
	struct posta_child_spec subs[3] = { { .id = "one" }, { Y }, { .id = "two" } };
	struct posta_error error;
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &subs[0], &error), POSTA_OK);
	assert_true(subs[0].supervisor);
	subs[2] = subs[0];
	subs[2].id = "two";
	const struct posta_supervisor_options twice = { .children = subs, .child_count = 3 };
	try(tree.system, &twice, "cycle");
	const struct posta_supervisor_options once = { .children = subs, .child_count = 1 };
	posta_ref top = posta_system_supervise(tree.system, &once, &error); /* the refusal took nothing */
	assert_true(top != POSTA_NOBODY);
	kit_settle(tree.system);
	starts_are(&tree, 1, 1, 1);
	try(tree.system, &once, "cycle");
	assert_int_equal(posta_system_start_child(tree.system, top, &subs[2], 1000, NULL), POSTA_EINVAL);
	posta_supervisor_spec_free(tree.system, &subs[0]); /* it has its place: nothing to free */
	tree_end(&tree);
}

static void spec__never_used__can_be_freed_and_is_none_any_more(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	struct posta_child_spec spec = { .id = "sub" };
	assert_int_equal(posta_supervisor_spec(tree.system, &tree.options, &spec, NULL), POSTA_OK);
	posta_supervisor_spec_free(tree.system, &spec);
	posta_supervisor_spec_free(tree.system, &spec);
	assert_null(spec.argument);
	try(tree.system, &(struct posta_supervisor_options){ .children = &spec, .child_count = 1 }, "receive");
	assert_int_equal(posta_supervisor_spec(tree.system, &supervisors[2].options, &spec, NULL), POSTA_EINVAL);
	assert_null(spec.klass);
	tree_end(&tree);
}

/* -- The call fails: a supervisor among the children is the giver's again -- */

struct giver {
	struct tree tree;
	struct posta_child_spec children[3];
	struct posta_supervisor_options options;
	enum posta_err result;
};

static void giver_prepare(struct giver *giver)
{
	tree_prepare(&giver->tree, POSTA_ONE_FOR_ONE);
	giver->tree.options.name = NULL;
	giver->children[0] = (struct posta_child_spec){ .id = "first" };
	giver->children[1] = (struct posta_child_spec){ Y, .argument = &giver->tree.members[4], .spawn.name = "why" };
	giver->children[2] = (struct posta_child_spec){ .id = "last" };
	for (int i = 0; i < 3; i += 2)
		assert_int_equal(
			posta_supervisor_spec(giver->tree.system, &giver->tree.options, &giver->children[i], NULL),
			POSTA_OK);
	giver->options = (struct posta_supervisor_options){ .name = "top", .children = giver->children, .child_count = 3 };
}

/* Both can be given again, and end with the tree. */
static void giver_end(struct giver *giver)
{
	assert_true(posta_system_supervise(giver->tree.system, &giver->options, NULL) != POSTA_NOBODY);
	kit_settle(giver->tree.system);
	starts_are(&giver->tree, 2, 2, 2);
	tree_end(&giver->tree);
}

static void supervise__no_memory__takes_nothing(void **state)
{
	(void)state;
	struct giver giver;
	giver_prepare(&giver);
	struct kit_heap *heap = kit_heap(giver.tree.system);
	long blocks = heap->blocks;
	for (long fails = 0; fails < 7; fails++) { /* the ids in order, the plan, the name, two ids, a name, an id */
		struct posta_error error;
		struct posta_child_spec spec = { .id = "sub" };
		heap->left = fails;
		heap->counted = true;
		assert_null(posta__plan_make(giver.tree.system, &giver.options, &error));
		assert_int_equal(error.code, POSTA_ENOMEM);
		heap->left = fails;
		assert_int_equal(posta_supervisor_spec(giver.tree.system, &giver.options, &spec, NULL), POSTA_ENOMEM);
		heap->counted = false;
		assert_int_equal(heap->blocks, blocks);
	}
	giver_end(&giver);
}

static void supervise__its_name_is_taken__takes_nothing(void **state)
{
	(void)state;
	struct giver giver;
	giver_prepare(&giver);
	struct kit_log log = { 0 };
	posta_ref other = kit_spawn(giver.tree.system, &log, &(struct posta_spawn_options){ .name = "top" });
	struct posta_error error;
	assert_int_equal(posta_system_supervise(giver.tree.system, &giver.options, &error), POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EEXISTS);
	posta_system_stop_actor(giver.tree.system, other, POSTA_OK);
	kit_settle(giver.tree.system);
	giver_end(&giver);
}

static enum posta_err boss_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct giver *giver = state;
	struct posta_error error = { .code = POSTA_OK };
	giver->tree.supervisor = posta_supervise(self, &giver->options, &error);
	giver->result = error.code;
	return POSTA_OK;
}

static void supervise__by_an_actor__bad_or_its_name_is_taken__takes_nothing(void **state)
{
	(void)state;
	static const struct posta_actor_class boss = { .name = "boss", .receive = boss_receive };
	static const enum posta_err ends[] = { POSTA_EINVAL, POSTA_EEXISTS };
	struct giver giver;
	giver_prepare(&giver);
	struct kit_log log = { 0 };
	posta_ref other = kit_spawn(giver.tree.system, &log, &(struct posta_spawn_options){ .name = "top" });
	for (int i = 0; i < 2; i++) {
		giver.options.strategy = i ? POSTA_ONE_FOR_ONE : POSTA_SIMPLE_ONE_FOR_ONE;
		giver.tree.supervisor = 1;
		kit_send(giver.tree.system, posta_system_spawn(giver.tree.system, &boss, &giver, NULL, NULL), 1);
		kit_settle(giver.tree.system);
		assert_int_equal(giver.result, ends[i]);
		assert_int_equal(giver.tree.supervisor, POSTA_NOBODY);
	}
	posta_system_stop_actor(giver.tree.system, other, POSTA_OK);
	kit_settle(giver.tree.system);
	giver_end(&giver);
}

static enum posta_err deaf_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_EUNHANDLED;
}

/* Refused by a supervisor for each reason there is, and by who is none: it can be given again and again. */
static void start_child__refused__takes_nothing(void **state)
{
	(void)state;
	static const struct posta_actor_class all_deaf = { .name = "deaf", .receive = deaf_receive };
	static const struct posta_child_spec down = { .id = "down", .klass = &member_class };
	struct giver giver;
	giver_prepare(&giver);
	struct posta_system *system = giver.tree.system;
	struct posta_child_spec child = down;
	child.argument = &giver.tree.members[3];
	child.backoff = (struct posta_backoff){ .initial_ms = 1000000 };
	child.when_down = POSTA_DOWN_REJECT;
	const struct posta_supervisor_options full = { .children = &child, .child_count = 1, .children_max = 1 };
	const struct posta_supervisor_options simple = { .strategy = POSTA_SIMPLE_ONE_FOR_ONE,
							 .children = &no_id,
							 .child_count = 1 };
	posta_ref full_one = posta_system_supervise(system, &full, NULL);
	posta_ref simple_one = posta_system_supervise(system, &simple, NULL);
	posta_ref deaf_one = posta_system_spawn(system, &all_deaf, NULL, NULL, NULL);
	kit_settle(system);
	fail_member(&giver.tree, 3);
	const struct {
		posta_ref to;
		const char *id;
		enum posta_err result;
	} cases[] = { { full_one, "down", POSTA_EEXISTS },
		      { full_one, "first", POSTA_EFULL },
		      { simple_one, "first", POSTA_EINVAL },
		      { giver.tree.members[3].self, "first", POSTA_EFULL },
		      { deaf_one, "first", POSTA_EDEAD },
		      { POSTA_NOBODY, "first", POSTA_EDEAD } };
	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		const size_t n = i / 2;
		struct posta_child_spec spec = giver.children[0];
		struct caller caller;
		caller_spawn(&caller, system, cases[n].to);
		caller.spec = &spec;
		spec.id = cases[n].id;
		assert_int_equal(do_call(system, &caller, CALL_START), cases[n].result);
		assert_int_equal(posta_system_start_child(system, cases[n].to, &spec, 1000, NULL), cases[n].result);
	}
	giver_end(&giver);
}

/* Once it is started it has its place, and so it has when nobody waited for that. */
static void start_child__done_or_out_of_time__is_taken(void **state)
{
	(void)state;
	struct giver giver;
	giver_prepare(&giver);
	struct posta_system *system = giver.tree.system;
	giver.tree.members[0].fail_start = POSTA_EPENDING;
	struct caller caller;
	caller_spawn(&caller, system, posta_system_supervise(system, NULL, NULL));
	assert_int_equal(posta_system_start_child(system, caller.supervisor, &giver.children[0], 50, NULL),
			 POSTA_ETIMEDOUT);
	assert_int_equal(posta_system_start_child(system, caller.supervisor, &giver.children[0], 50, NULL), POSTA_EINVAL);
	giver.tree.members[0].fail_start = POSTA_OK;
	caller.spec = &giver.children[2];
	assert_int_equal(do_call(system, &caller, CALL_START), POSTA_OK);
	assert_int_equal(do_call(system, &caller, CALL_START), POSTA_EINVAL);
	tree_end(&giver.tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec__each_value_at_its_bounds__is_taken_or_refused_with_words),
		cmocka_unit_test(spec__of_a_supervisor_at_its_bounds__is_taken_or_refused_with_words),
		cmocka_unit_test(spec__nothing_said__has_the_defaults),
		cmocka_unit_test(spec__of_another_version__what_both_know_is_read),
		cmocka_unit_test(spec__a_cycle__is_refused_with_words),
		cmocka_unit_test(spec__never_used__can_be_freed_and_is_none_any_more),
		cmocka_unit_test(supervise__no_memory__takes_nothing),
		cmocka_unit_test(supervise__its_name_is_taken__takes_nothing),
		cmocka_unit_test(supervise__by_an_actor__bad_or_its_name_is_taken__takes_nothing),
		cmocka_unit_test(start_child__refused__takes_nothing),
		cmocka_unit_test(start_child__done_or_out_of_time__is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
