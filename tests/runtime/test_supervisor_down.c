/* SPDX-License-Identifier: MIT */
/* Rows of the table: the mailbox while the child is down, the failing message. */
#include "supervision.h"

#include <pthread.h>

static void down_for_a_while(struct tree *tree, enum posta_when_down when_down, uint32_t max)
{
	tree_prepare(tree, POSTA_ONE_FOR_ONE);
	tree->options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree->specs[0].when_down = when_down;
	tree->specs[0].when_down_max = max;
	tree_start(tree);
	kit_send(tree->system, tree->members[0].self, KIT_FAIL);
	kit_send(tree->system, tree->members[0].self, KIT_NOTE); /* waits behind what fails it */
	kit_settle(tree->system);
	assert_int_equal(tree->members[0].handled, 1);
}

/* Returns: how many of n were taken. */
static unsigned send_many(struct tree *tree, unsigned n)
{
	unsigned taken = 0;
	while (n--)
		taken += posta_system_send(tree->system, tree->members[0].self, KIT_NOTE, NULL, 0) == POSTA_OK;
	return taken;
}

/* It is up: everything is as it was before. */
static void is_open_again(struct tree *tree)
{
	unsigned before = tree->members[0].handled;
	assert_int_equal(send_many(tree, 100), 100);
	kit_settle(tree->system);
	assert_int_equal(tree->members[0].handled, before + 100);
	tree_end(tree);
}

static void down__kept__messages_wait(void **state)
{
	(void)state;
	struct tree tree;
	down_for_a_while(&tree, POSTA_DOWN_KEEP, 0);
	assert_int_equal(send_many(&tree, 50), 50);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].handled, 1 + 1 + 50);
	is_open_again(&tree);
}

static void down__bounded__only_so_many_wait(void **state)
{
	(void)state;
	struct tree tree;
	down_for_a_while(&tree, POSTA_DOWN_BOUNDED, 5);
	assert_int_equal(send_many(&tree, 50), 4);
	assert_int_equal(posta_system_send(tree.system, tree.members[0].self, KIT_NOTE, NULL, 0), POSTA_EFULL);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].handled, 1 + 5);
	is_open_again(&tree);
}

static void down__rejected__sender_hears_it(void **state)
{
	(void)state;
	struct tree tree;
	down_for_a_while(&tree, POSTA_DOWN_REJECT, 0);
	assert_int_equal(send_many(&tree, 50), 0);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].handled, 1 + 1);
	is_open_again(&tree);
}

static void down__dead_lettered__all_of_them(void **state)
{
	(void)state;
	struct tree tree;
	down_for_a_while(&tree, POSTA_DOWN_DEAD_LETTER, 0);
	assert_int_equal(tree.letters.count[POSTA_DEAD_STOPPED], 1);
	assert_int_equal(send_many(&tree, 50), 50);
	assert_int_equal(tree.letters.count[POSTA_DEAD_MAILBOX], 50);
	posta_system_advance(tree.system, 100);
	assert_int_equal(tree.members[0].handled, 1);
	is_open_again(&tree);
}

/* A mailbox with a limit of its own has it again afterwards. */
static void down__limited_mailbox__limit_comes_back(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.options.backoff = (struct posta_backoff){ .initial_ms = 100 };
	tree.specs[0].when_down = POSTA_DOWN_REJECT;
	tree.specs[0].spawn.mailbox = (struct posta_mailbox_options){ POSTA_MAILBOX_REJECT, 7 };
	tree_start(&tree);
	fail_member(&tree, 0);
	assert_int_equal(send_many(&tree, 20), 0);
	posta_system_advance(tree.system, 100);
	assert_int_equal(send_many(&tree, 20), 7);
	kit_settle(tree.system);
	assert_int_equal(send_many(&tree, 20), 7);
	tree_end(&tree);
}

static enum posta_err ordered_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type == MEMBER_STASH || message->type == KIT_NOTE)
		trace(state, message->type == KIT_NOTE ? 'n' : 's');
	return member_receive(self, state, message);
}

/* Before what waits in the mailbox: it came earlier. */
static void down__stash__comes_first_after_the_restart(void **state)
{
	(void)state;
	static const struct posta_actor_class ordered = {
		.name = "ordered", .receive = ordered_receive, .start = member_start, .stop = member_stop
	};
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].klass = &ordered;
	tree_start(&tree);
	tree.members[0].stashing = true;
	tell(&tree, 0, MEMBER_STASH);
	tell(&tree, 0, MEMBER_STASH);
	tree.members[0].stashing = false;
	tree.trace[0] = '\0';
	kit_send(tree.system, tree.members[0].self, KIT_FAIL);
	kit_send(tree.system, tree.members[0].self, KIT_NOTE);
	kit_settle(tree.system);
	trace_is(&tree, "-a+asasana");
	tree_end(&tree);
}

static void down__dead_lettered__stash_goes_too_and_begins_anew(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].when_down = POSTA_DOWN_DEAD_LETTER;
	tree_start(&tree);
	for (unsigned round = 1; round <= 3; round++) {
		tree.members[0].stashing = true;
		tell(&tree, 0, MEMBER_STASH);
		tell(&tree, 0, MEMBER_STASH);
		fail_member(&tree, 0);
		assert_int_equal(tree.letters.count[POSTA_DEAD_STOPPED], 2 * round);
	}
	unsigned before = tree.members[0].handled;
	tell(&tree, 0, MEMBER_STASH);
	tell(&tree, 0, MEMBER_STASH);
	tell(&tree, 0, MEMBER_UNSTASH);
	assert_int_equal(tree.members[0].handled, before + 3 + 2);
	is_open_again(&tree);
}

/* Two from a thread that is none of posta's, while it is in its handler; then it fails. */
static void *send_two(void *argument)
{
	struct member *member = argument;
	for (int i = 0; i < 2; i++)
		kit_send(member->tree->system, member->self, KIT_NOTE);
	return NULL;
}

static enum posta_err crossed_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	if (message->type != KIT_FAIL)
		return member_receive(self, state, message);
	pthread_t thread;
	if (pthread_create(&thread, NULL, send_two, state) == 0)
		pthread_join(thread, NULL);
	return POSTA_EFAILED;
}

/* What was on its way when it went down keeps its place in the count: else its mailbox would be full for ever. */
static void down__dead_lettered__two_on_their_way__limit_comes_back(void **state)
{
	(void)state;
	static const struct posta_actor_class crossed = {
		.name = "crossed", .receive = crossed_receive, .start = member_start, .stop = member_stop
	};
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].klass = &crossed;
	tree.specs[0].when_down = POSTA_DOWN_DEAD_LETTER;
	tree.specs[0].spawn.mailbox = (struct posta_mailbox_options){ POSTA_MAILBOX_REJECT, 7 };
	tree_start(&tree);
	kit_send(tree.system, tree.members[0].self, KIT_FAIL);
	kit_send(tree.system, tree.members[0].self, KIT_NOTE);
	kit_settle(tree.system);
	assert_int_equal(tree.members[0].starts, 2);
	assert_int_equal(tree.members[0].handled, 2); /* they, and not what had waited */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send_many(&tree, 20), 7);
		kit_settle(tree.system);
	}
	tree_end(&tree);
}

/* Fails as long as it is weak. */
static unsigned weakness;

static enum posta_err weak_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)message;
	struct member *member = state;
	member->handled++;
	return weakness && weakness-- ? POSTA_EFAILED : POSTA_OK;
}

static const struct posta_actor_class weak_class = {
	.name = "weak", .receive = weak_receive, .start = member_start, .stop = member_stop
};

static void failing_message__is_redelivered_then_buried(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].redeliver_max = 2;
	tree_start(&tree);
	fail_member(&tree, 0);
	assert_int_equal(tree.members[0].handled, 3);
	assert_int_equal(tree.letters.count[POSTA_DEAD_POISON], 1);
	assert_int_equal(tree.letters.last_type, KIT_FAIL);
	assert_int_equal(tree.letters.last_to, tree.members[0].self);
	tree_end(&tree);
}

/* Each message has its own tries: that another one was handled at the second does not cost this one any. */
static void failing_message__after_one_that_was_handled_at_last__has_all_its_tries(void **state)
{
	(void)state;
	struct tree tree;
	tree_prepare(&tree, POSTA_ONE_FOR_ONE);
	tree.specs[0].klass = &weak_class;
	tree.specs[0].redeliver_max = 2;
	tree_start(&tree);
	for (unsigned i = 0; i < 3; i++) {
		weakness = 1; /* handled at the second try */
		tell(&tree, 0, KIT_FAIL);
	}
	assert_int_equal(tree.members[0].handled, 3 * 2);
	weakness = 2;
	tell(&tree, 0, KIT_FAIL);
	assert_int_equal(tree.members[0].handled, 3 * 2 + 3);
	assert_int_equal(tree.letters.count[POSTA_DEAD_POISON], 0);
	weakness = 100;
	tell(&tree, 0, KIT_FAIL);
	assert_int_equal(tree.members[0].handled, 3 * 2 + 3 + 3);
	assert_int_equal(tree.letters.count[POSTA_DEAD_POISON], 1);
	tree_end(&tree);
}

static void failing_message__by_default__is_a_dead_letter_at_once(void **state)
{
	(void)state;
	struct tree tree;
	tree_up(&tree, POSTA_ONE_FOR_ONE);
	fail_member(&tree, 0);
	assert_int_equal(tree.members[0].handled, 1);
	assert_int_equal(tree.letters.count[POSTA_DEAD_POISON], 1);
	tree_end(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down__kept__messages_wait),
		cmocka_unit_test(down__bounded__only_so_many_wait),
		cmocka_unit_test(down__rejected__sender_hears_it),
		cmocka_unit_test(down__dead_lettered__all_of_them),
		cmocka_unit_test(down__limited_mailbox__limit_comes_back),
		cmocka_unit_test(down__stash__comes_first_after_the_restart),
		cmocka_unit_test(failing_message__is_redelivered_then_buried),
		cmocka_unit_test(failing_message__by_default__is_a_dead_letter_at_once),
		cmocka_unit_test(down__dead_lettered__stash_goes_too_and_begins_anew),
		cmocka_unit_test(down__dead_lettered__two_on_their_way__limit_comes_back),
		cmocka_unit_test(failing_message__after_one_that_was_handled_at_last__has_all_its_tries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
