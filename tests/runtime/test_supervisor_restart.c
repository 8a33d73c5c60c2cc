/* SPDX-License-Identifier: MIT */
/* Rows of the table: restart types, intensity and period, escalation, back-off. */
#include "supervision.h"

static void permanent__restarts_also_after_a_normal_end(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	tell(&tree, 0, KIT_STOP);
	posta_system_stop_actor(tree.system, tree.members[1].self, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	starts_are(&tree, 2, 2, 1);
	tree_end(&tree);
}

static void transient__restarts_only_after_a_failure(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	for (int i = 0; i < MEMBERS; i++)
		tree.specs[i].restart = POSTA_TRANSIENT;
	tree_start(&tree);
	tell(&tree, 0, KIT_STOP);
	fail_member(&tree, 1);
	posta_system_stop_actor(tree.system, tree.members[2].self, POSTA_ESHUTDOWN);
	kit_settle(tree.system);
	starts_are(&tree, 1, 2, 1);
	tree_end(&tree);
}

static void temporary__never_restarts(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = POSTA_TEMPORARY;
	tree_start(&tree);
	posta_ref ref = tree.members[0].self;
	fail_member(&tree, 0);
	starts_are(&tree, 1, 1, 1);
	assert_int_equal(posta_system_send(tree.system, ref, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	tree_end(&tree);
}

/* The try to restart it fails with a reason that would be a normal end: it is tried again, as OTP does. */
static void transient__restart_fails__is_tried_again(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].restart = POSTA_TRANSIENT;
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100, .max_ms = 100 };
	tree_start(&tree);
	tree.members[0].fail_start = POSTA_ESHUTDOWN;
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 250);
	assert_int_equal(tree.members[0].starts, 3);
	tree.members[0].fail_start = POSTA_OK;
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].starts, 4);
	tell(&tree, 0, KIT_NOTE);
	assert_int_equal(tree.members[0].handled, 2);
	tree_end(&tree);
}

static void intensity__exceeded__all_stop_and_it_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = 3;
	tree.options.period_ms = 1000;
	tree_start(&tree);
	for (int i = 0; i < 3; i++)
		fail_member(&tree, 0);
	tree.trace[0] = '\0';
	fail_member(&tree, 0);
	trace_is(&tree, "-a-c-b");
	starts_are(&tree, 4, 1, 1);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
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
		fail_member(&tree, 0);
		posta_system_advance(tree.system, 400);
	}
	starts_are(&tree, 21, 1, 1);
	tree_end(&tree);
}

/* Tumbling windows would allow six in a moment, three on each side of their border; a sliding one does not. */
static void intensity__around_a_border__window_slides(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = 3;
	tree.options.period_ms = 1000;
	tree_start(&tree);
	posta_system_advance(tree.system, 900);
	for (int i = 0; i < 3; i++)
		fail_member(&tree, 0);
	posta_system_advance(tree.system, 200);
	assert_true(supervisor_lives(&tree));
	fail_member(&tree, 0);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

static void intensity__none__first_failure_ends_it(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = POSTA_INTENSITY_NONE;
	tree_start(&tree);
	fail_member(&tree, 2);
	starts_are(&tree, 1, 1, 1);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

/* It has given up, and does not restart one that fails before it comes to stop it. */
static void intensity__exceeded__another_fails_at_once__is_not_restarted(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].intensity = POSTA_INTENSITY_NONE;
	tree_start(&tree);
	kit_send(tree.system, tree.members[1].self, KIT_FAIL);
	kit_send(tree.system, tree.members[0].self, KIT_FAIL); /* whoever is told last runs first */
	kit_settle(tree.system);
	assert_false(supervisor_lives(&tree));
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(tree.members[i].stops, 1);
	starts_are(&tree, 1, 1, 1);
	tree_end(&tree);
}

static void intensity__failed_tries_to_restart__count(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = 3;
	tree.options.period_ms = 1000;
	tree_start(&tree);
	tree.members[0].fail_start = POSTA_EIO;
	fail_member(&tree, 0);
	assert_int_equal(tree.members[0].starts, 4);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
}

static void intensity__of_a_child_exceeded__supervisor_ends(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].intensity = 1;
	tree.specs[0].period_ms = 1000;
	tree_start(&tree);
	for (int i = 0; i < 5; i++)
		fail_member(&tree, 1);
	fail_member(&tree, 0);
	assert_true(supervisor_lives(&tree));
	posta_system_advance(tree.system, 1500);
	fail_member(&tree, 0);
	assert_true(supervisor_lives(&tree));
	fail_member(&tree, 0);
	assert_false(supervisor_lives(&tree));
	tree_end(&tree);
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
	fail_member(&tree, 0);
	starts_are(&tree, 2, 1, 1);
	fail_member(&tree, 0);
	starts_are(&tree, 3, 2, 2);
	tree_end(&tree);
}

static void backoff__none__waits_double_and_reset_when_healthy(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff =
		(struct posta_backoff){ .initial_ms = 100, .factor = 2, .max_ms = 1000, .reset_after_ms = 5000 };
	tree_start(&tree);
	for (unsigned i = 0; i < 3; i++) {
		posta_system_advance(tree.system, 4999); /* up, but not long enough */
		fail_member(&tree, 0);
		posta_system_advance(tree.system, (100u << i) - 1);
		assert_int_equal(tree.members[0].starts, i + 1);
		posta_system_advance(tree.system, 1);
		assert_int_equal(tree.members[0].starts, i + 2);
	}
	posta_system_advance(tree.system, 5000);
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].starts, 5);
	tree_end(&tree);
}

/* An outage longer than the healthy time: no try came up, so nothing was healthy and the wait stays at its cap. */
static void backoff__long_outage__is_not_reset(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.intensity = POSTA_INTENSITY_UNLIMITED;
	tree.options.backoff =
		(struct posta_backoff){ .initial_ms = 100, .factor = 2, .max_ms = 1600, .reset_after_ms = 2000 };
	tree_start(&tree);
	tree.members[0].fail_start = POSTA_ECONNECTION;
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 100 + 200 + 400 + 800);
	assert_int_equal(tree.members[0].starts, 5);
	posta_system_advance(tree.system, 16000);
	assert_int_equal(tree.members[0].starts, 15);
	tree_end(&tree);
}

/* Without a cap and a healthy time, healthy is to be up longer than the last wait. */
static void backoff__no_cap__grows_and_is_reset(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(&tree);
	for (unsigned i = 0; i < 5; i++) {
		fail_member(&tree, 0);
		posta_system_advance(tree.system, (100u << i) - 1);
		assert_int_equal(tree.members[0].starts, i + 1);
		posta_system_advance(tree.system, 1);
		assert_int_equal(tree.members[0].starts, i + 2);
	}
	posta_system_advance(tree.system, 1600);
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].starts, 7);
	tree_end(&tree);
}

/* When the n-th restart came, in ms since its failure. */
static uint64_t waited(struct tree *tree)
{
	unsigned before = tree->members[0].starts;
	fail_member(tree, 0);
	uint64_t ms = 0;
	for (; tree->members[0].starts == before && ms <= 2000; ms++)
		posta_system_advance(tree->system, 1);
	return ms;
}

static void jitter(enum posta_jitter jitter, uint64_t least, bool varied)
{
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff =
		(struct posta_backoff){ .initial_ms = 100, .max_ms = 800, .reset_after_ms = 1000000, .jitter = jitter };
	tree_start(&tree);
	uint64_t low = UINT64_MAX, high = 0;
	for (int i = 0; i < 40; i++) {
		uint64_t ms = waited(&tree);
		if (i < 3)
			continue; /* until the cap is reached */
		low = ms < low ? ms : low;
		high = ms > high ? ms : high;
	}
	assert_true(low >= least);
	assert_true(high <= 800);
	assert_int_equal(varied, high - low > 50);
	tree_end(&tree);
}

static void backoff__full_jitter__from_nothing_to_the_cap(void **state)
{
	(void)state;
	jitter(POSTA_JITTER_FULL, 0, true);
}

static void backoff__equal_jitter__from_half_to_the_cap(void **state)
{
	(void)state;
	jitter(POSTA_JITTER_EQUAL, 400, true);
}

static void backoff__decorrelated_jitter__from_the_first_to_the_cap(void **state)
{
	(void)state;
	jitter(POSTA_JITTER_DECORRELATED, 100, true);
}

/* Healthy each time: the wait is the first one again, which is up to three times the initial one. */
static void backoff__decorrelated_jitter__after_a_reset__is_a_first_one(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){
		.initial_ms = 100, .max_ms = 800, .reset_after_ms = 1000, .jitter = POSTA_JITTER_DECORRELATED
	};
	tree_start(&tree);
	uint64_t low = UINT64_MAX, high = 0;
	for (int i = 0; i < 40; i++) {
		uint64_t ms = waited(&tree);
		low = ms < low ? ms : low;
		high = ms > high ? ms : high;
		posta_system_advance(tree.system, 1000);
	}
	assert_in_range(low, 100, 150);
	assert_in_range(high, 250, 300);
	tree_end(&tree);
}

static void backoff__no_jitter__is_the_cap(void **state)
{
	(void)state;
	jitter(POSTA_JITTER_NONE, 800, false);
}

/* The last of the group has failed and waits for 5 s; the others would wait for 100 ms. */
static void last_waits_long(struct tree *tree)
{
	tree_prepare(tree, POSTA_REST_FOR_ONE);
	tree->specs[2].backoff = (struct posta_backoff){ .initial_ms = 5000 };
	tree->options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree_start(tree);
	fail_member(tree, 2);
}

/* A group waits for the one that failed, not for what another waited long ago. */
static void backoff__of_a_group__is_the_failed_ones(void **state)
{
	(void)state;
	struct tree tree;
	last_waits_long(&tree);
	posta_system_advance(tree.system, 5000);
	starts_are(&tree, 1, 1, 2);
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 100);
	starts_are(&tree, 2, 2, 3);
	tree_end(&tree);
}

/* The last of them waits for long when the first fails, which would not: together they wait for the longer. */
static void backoff__of_a_group__another_fails_meanwhile__is_the_longer_one(void **state)
{
	(void)state;
	struct tree tree;
	last_waits_long(&tree);
	fail_member(&tree, 0);
	posta_system_advance(tree.system, 4999);
	starts_are(&tree, 1, 1, 1);
	posta_system_advance(tree.system, 1);
	starts_are(&tree, 2, 2, 2);
	tree_end(&tree);
}

/* -- What is said of it -- */

enum { SAY_WHY = 300, SAY_LITTLE };

static enum posta_err talkative_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type < SAY_WHY)
		return member_receive(self, state, message);
	posta_fail(self, POSTA_EREFUSED, message->type == SAY_WHY ? "no %s" : "%.1s", "more");
	return POSTA_OK;
}

static void last_error__its_words_or_those_of_the_reason(void **state)
{
	(void)state;
	static const struct posta_actor_class talkative = {
		.name = "talkative", .receive = talkative_receive, .start = member_start, .stop = member_stop
	};
	static const struct {
		uint32_t type;
		enum posta_err reason;
		const char *words;
	} ends[] = { { SAY_WHY, POSTA_EREFUSED, "no more" },
		     { KIT_STOP, POSTA_OK, NULL },
		     { SAY_LITTLE, POSTA_EREFUSED, "m" },
		     { KIT_FAIL, POSTA_EFAILED, NULL } };
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].klass = &talkative;
	tree_start(&tree);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct posta_child_info infos[MEMBERS];
		size_t count = MEMBERS;
		tell(&tree, 0, ends[i].type);
		assert_int_equal(posta_system_which_children(tree.system, tree.supervisor, 1000, infos, &count), POSTA_OK);
		assert_int_equal(infos[0].last_reason, ends[i].reason);
		assert_string_equal(infos[0].last_error, ends[i].words ? ends[i].words : posta_strerror(ends[i].reason));
	}
	tree_end(&tree);
}

static void on_log(void *context, int level, const char *event, const char *text)
{
	(void)level;
	if (strcmp(event, "supervisor.restart") == 0)
		snprintf(context, 256, "%s", text);
}

static void restart__is_logged_with_its_number_and_wait(void **state)
{
	(void)state;
	char line[256] = "";
	const struct posta_system_options system_options = { .workers = POSTA_HOST_DRIVEN,
							     .virtual_clock = true,
							     .log = on_log,
							     .log_context = line,
							     .log_level = POSTA_LOG_INFO };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&system_options, &system, NULL), POSTA_OK);
	struct kit_log log = { 0 };
	const struct posta_child_spec child = { .id = "child", .klass = &kit_noter, .argument = &log };
	const struct posta_supervisor_options options = {
		.name = "top", .intensity = 5, .children = &child, .child_count = 1, .backoff = { .initial_ms = 100 }
	};
	posta_system_supervise(system, &options, NULL);
	kit_settle(system);
	kit_send(system, log.self, KIT_FAIL);
	kit_settle(system);
	assert_string_equal(line, "supervisor=top child=child reason=EFAILED wait_ms=100 restarts=1");
	posta_system_advance(system, 100);
	kit_send(system, log.self, KIT_FAIL);
	kit_settle(system);
	assert_string_equal(line, "supervisor=top child=child reason=EFAILED wait_ms=200 restarts=2");
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permanent__restarts_also_after_a_normal_end),
		cmocka_unit_test(transient__restarts_only_after_a_failure),
		cmocka_unit_test(transient__restart_fails__is_tried_again),
		cmocka_unit_test(temporary__never_restarts),
		cmocka_unit_test(intensity__exceeded__all_stop_and_it_ends),
		cmocka_unit_test(intensity__spread_over_time__goes_on),
		cmocka_unit_test(intensity__around_a_border__window_slides),
		cmocka_unit_test(intensity__none__first_failure_ends_it),
		cmocka_unit_test(intensity__failed_tries_to_restart__count),
		cmocka_unit_test(intensity__of_a_child_exceeded__supervisor_ends),
		cmocka_unit_test(escalation__parent_restarts_the_subtree),
		cmocka_unit_test(backoff__none__waits_double_and_reset_when_healthy),
		cmocka_unit_test(backoff__long_outage__is_not_reset),
		cmocka_unit_test(backoff__no_jitter__is_the_cap),
		cmocka_unit_test(backoff__full_jitter__from_nothing_to_the_cap),
		cmocka_unit_test(backoff__equal_jitter__from_half_to_the_cap),
		cmocka_unit_test(backoff__decorrelated_jitter__from_the_first_to_the_cap),
		cmocka_unit_test(backoff__decorrelated_jitter__after_a_reset__is_a_first_one),
		cmocka_unit_test(backoff__of_a_group__is_the_failed_ones),
		cmocka_unit_test(backoff__no_cap__grows_and_is_reset),
		cmocka_unit_test(intensity__exceeded__another_fails_at_once__is_not_restarted),
		cmocka_unit_test(backoff__of_a_group__another_fails_meanwhile__is_the_longer_one),
		cmocka_unit_test(last_error__its_words_or_those_of_the_reason),
		cmocka_unit_test(restart__is_logged_with_its_number_and_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
