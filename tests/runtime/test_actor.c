/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

static void spawn__start_runs_first(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.starts, 1);
	assert_int_equal(log.self, ref);
	assert_int_equal(log.count, 1);
	kit_stop(system);
	assert_int_equal(log.stops, 1);
	assert_int_equal(log.stop_reason, POSTA_ESHUTDOWN);
}

struct sight {
	posta_ref other;
	bool alive[2]; /* while it lives, and when it has ended */
	void *state;
};

static enum posta_err look(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct sight *saw = state;
	saw->state = posta_state(self);
	saw->alive[message->type == KIT_STOP] = posta_alive(self, saw->other);
	return POSTA_OK;
}

static void alive__until_it_has_ended(void **state)
{
	(void)state;
	static const struct posta_actor_class looker = { .name = "looker", .receive = look };
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	struct sight saw = { .other = kit_spawn(system, &log, NULL) };
	posta_ref ref = posta_system_spawn(system, &looker, &saw, NULL, NULL);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	posta_system_stop_actor(system, saw.other, POSTA_ESHUTDOWN);
	kit_settle(system);
	kit_send(system, ref, KIT_STOP);
	kit_settle(system);
	assert_true(saw.alive[0]);
	assert_false(saw.alive[1]);
	assert_ptr_equal(saw.state, &saw);
	kit_stop(system);
}

static void start__fails__actor_ends_with_its_reason(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { .fail_start = POSTA_EIO };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.count, 0);
	assert_int_equal(log.stop_reason, POSTA_EIO);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 1);
	kit_stop(system);
}

static void spawn__bad_options__says_which(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	struct posta_error error;
	const struct posta_spawn_options bounded = { .mailbox = { .policy = POSTA_MAILBOX_REJECT } };
	assert_int_equal(posta_system_spawn(system, &kit_noter, &log, &bounded, &error), POSTA_NOBODY);
	assert_non_null(strstr(error.text, "mailbox.length_max"));
	const struct posta_spawn_options far = { .pinned = true, .worker = 9 };
	assert_int_equal(posta_system_spawn(system, &kit_noter, &log, &far, &error), POSTA_NOBODY);
	assert_non_null(strstr(error.text, "worker 9"));
	const struct posta_actor_class empty = { .name = "empty" };
	assert_int_equal(posta_system_spawn(system, &empty, &log, NULL, &error), POSTA_NOBODY);
	assert_int_equal(error.code, POSTA_EINVAL);
	kit_stop(system);
}

static void stop__leaves_the_rest_as_dead_letters(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_STOP);
	for (int i = 0; i < 5; i++)
		kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.count, 1);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 5);
	assert_int_equal(posta_system_send(system, ref, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	assert_int_equal(letters.count[POSTA_DEAD_NO_ACTOR], 1);
	kit_stop(system);
}

static void fail__without_supervisor__ends(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_FAIL);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.count, 1);
	assert_int_equal(log.stop_reason, POSTA_EFAILED);
	assert_int_equal(letters.count[POSTA_DEAD_POISON], 1);
	kit_stop(system);
}

static void unhandled__is_a_dead_letter_and_the_actor_lives(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_send(system, ref, KIT_UNHANDLED);
	kit_send(system, ref, KIT_NOTE);
	kit_settle(system);
	assert_int_equal(log.count, 2);
	assert_int_equal(letters.count[POSTA_DEAD_UNHANDLED], 1);
	assert_int_equal(letters.last_to, ref);
	kit_stop(system);
}

static void reused_slot__old_reference_stays_dead(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log first = { 0 };
	posta_ref old = kit_spawn(system, &first, NULL);
	posta_system_stop_actor(system, old, POSTA_OK);
	kit_settle(system);
	struct kit_log logs[200] = { { .count = 0 } };
	for (int i = 0; i < 200; i++)
		assert_int_not_equal(kit_spawn(system, &logs[i], NULL), old);
	assert_int_equal(posta_system_send(system, old, KIT_NOTE, NULL, 0), POSTA_EDEAD);
	kit_settle(system);
	for (int i = 0; i < 200; i++)
		assert_int_equal(logs[i].count, 0);
	kit_stop(system);
}

static void send__null_garbage_or_foreign__has_its_error(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL), *other = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref foreign = kit_spawn(other, &log, NULL);
	assert_int_equal(posta_system_send(system, POSTA_NOBODY, 1, NULL, 0), POSTA_EDEAD);
	assert_int_equal(posta_system_send(system, foreign, 1, NULL, 0), POSTA_EFOREIGN);
	uint64_t garbage = 88172645463325252u;
	for (int i = 0; i < 10000; i++) {
		garbage ^= garbage << 13, garbage ^= garbage >> 7, garbage ^= garbage << 17;
		assert_int_not_equal(posta_system_send(system, garbage, 1, NULL, 0), POSTA_OK);
	}
	assert_int_equal(posta_system_send(system, foreign, 1, NULL, (size_t)POSTA_COPY_MAX + 1), POSTA_EINVAL);
	kit_stop(other);
	kit_stop(system);
}

/* A tree of three levels: whoever stops, its children have stopped before. */
struct tree {
	int depth;
	struct order *order;
};

struct order {
	int stopped[64];
	unsigned count;
	struct tree nodes[64];
	unsigned used;
};

static enum posta_err tree_start(struct posta_actor *self, void *state, void *argument);
static void tree_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	struct tree *tree = state;
	tree->order->stopped[tree->order->count++] = tree->depth;
}
static enum posta_err tree_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}
static const struct posta_actor_class tree_class = { .receive = tree_receive, .start = tree_start, .stop = tree_stop };

static enum posta_err tree_start(struct posta_actor *self, void *state, void *argument)
{
	(void)argument;
	struct tree *tree = state;
	for (int i = 0; i < 3 && tree->depth < 3; i++) {
		struct tree *child = &tree->order->nodes[tree->order->used++];
		*child = (struct tree){ .depth = tree->depth + 1, .order = tree->order };
		posta_spawn(self, &tree_class, child);
	}
	return POSTA_OK;
}

static void stop__children_end_before_parents(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct order order = { .used = 1 };
	order.nodes[0] = (struct tree){ .depth = 1, .order = &order };
	posta_ref top = posta_system_spawn(system, &tree_class, &order.nodes[0], NULL, NULL);
	kit_settle(system);
	posta_system_stop_actor(system, top, POSTA_OK);
	kit_settle(system);
	assert_int_equal(order.count, 13);
	assert_int_equal(order.stopped[12], 1);
	unsigned leaves = 0;
	for (unsigned i = 0; i < order.count; i++)
		leaves += order.stopped[i] == 3;
	assert_int_equal(leaves, 9);
	kit_stop(system);
}

/* become, stash and unstash: a gate that keeps what comes before it is opened. */
enum { OPEN = 10 };

static enum posta_err opened(struct posta_actor *self, void *state, struct posta_message *message)
{
	return kit_receive(self, state, message);
}

static enum posta_err closed(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	if (message->type != OPEN)
		return posta_stash(self, message);
	posta_become(self, opened);
	posta_unstash(self);
	return POSTA_OK;
}

static const struct posta_actor_class gate = { .name = "gate", .receive = closed };

static void unstash__gives_back_in_order_before_newer_ones(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log log = { 0 };
	posta_ref ref = posta_system_spawn(system, &gate, &log, NULL, NULL);
	for (uint32_t type = 1; type <= 5; type++)
		kit_send(system, ref, type);
	kit_send(system, ref, OPEN);
	kit_send(system, ref, 6);
	kit_settle(system);
	assert_int_equal(log.count, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(log.types[i], i + 1);
	kit_stop(system);
}

static void stop__stashed_messages_are_dead_letters(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { 0 };
	posta_ref ref = posta_system_spawn(system, &gate, &log, NULL, NULL);
	kit_send(system, ref, 1);
	kit_settle(system);
	posta_system_stop_actor(system, ref, POSTA_OK);
	kit_settle(system);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 1);
	kit_stop(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawn__start_runs_first),
		cmocka_unit_test(start__fails__actor_ends_with_its_reason),
		cmocka_unit_test(spawn__bad_options__says_which),
		cmocka_unit_test(alive__until_it_has_ended),
		cmocka_unit_test(stop__leaves_the_rest_as_dead_letters),
		cmocka_unit_test(fail__without_supervisor__ends),
		cmocka_unit_test(unhandled__is_a_dead_letter_and_the_actor_lives),
		cmocka_unit_test(reused_slot__old_reference_stays_dead),
		cmocka_unit_test(send__null_garbage_or_foreign__has_its_error),
		cmocka_unit_test(stop__children_end_before_parents),
		cmocka_unit_test(unstash__gives_back_in_order_before_newer_ones),
		cmocka_unit_test(stop__stashed_messages_are_dead_letters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
