/* SPDX-License-Identifier: MIT */
/* What a turn does off its straight path: deadlines, failures by words, the stash, what a full mailbox counts, how far it goes. */
#include "kit.h"

#include <limits.h>
#include <string.h>

enum { DO_SEND_WITHIN = 50, DO_FAIL, DO_STASH, DO_UNSTASH, DO_KEEP, DO_SELF };

struct actor {
	unsigned handled;
	uint32_t types[64];
	char last[64];
	posta_ref other;
	struct posta_message *kept;
	enum posta_err reason, returned, replied;
	unsigned stops;
	uint64_t ttl_ms;
	bool stashing;
};

static enum posta_err receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct actor *actor = state;
	actor->types[actor->handled++ % 64] = message->type;
	if (posta_size(message) < sizeof actor->last)
		memcpy(actor->last, posta_data(message), posta_size(message));
	switch (message->type) {
	case DO_SEND_WITHIN:
		return posta_send_within(self, actor->other, actor->ttl_ms, 1, "sixteen letters!", 17);
	case DO_FAIL:
		posta_fail(self, POSTA_EREFUSED, "no %s", "more");
		return actor->returned;
	case DO_UNSTASH:
		actor->stashing = false;
		posta_unstash(self);
		return POSTA_OK;
	case DO_KEEP:
		actor->kept = posta_keep(self, message);
		return POSTA_OK;
	case DO_SELF:
		return posta_send(self, posta_self(self), 1, NULL, 0);
	default:
		return actor->stashing ? posta_stash(self, message) : POSTA_OK;
	}
}

static void on_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct actor *actor = state;
	actor->stops++;
	actor->reason = reason;
	actor->replied = posta_reply(self, 1, NULL, 0);
	posta_message_free(self, actor->kept);
}

static const struct posta_actor_class klass = { .name = "actor", .receive = receive, .stop = on_stop };

static posta_ref spawn(struct posta_system *system, struct actor *actor, const struct posta_spawn_options *options)
{
	struct posta_error error;
	posta_ref ref = posta_system_spawn(system, &klass, actor, options, &error);
	assert_true(ref != POSTA_NOBODY);
	return ref;
}

static void deadline__not_over__is_handled_whole(void **state)
{
	(void)state;
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	struct actor sender = { .ttl_ms = 10 }, receiver = { 0 };
	sender.other = spawn(system, &receiver, NULL);
	kit_send(system, spawn(system, &sender, NULL), DO_SEND_WITHIN);
	kit_settle(system);
	assert_int_equal(receiver.handled, 1);
	assert_string_equal(receiver.last, "sixteen letters!");
	assert_int_equal(letters.count[POSTA_DEAD_EXPIRED], 0);
	kit_stop(system);
}

/* The receiver is busy with a start that is still pending when the time is over. */
static enum posta_err start_later(struct posta_actor *self, void *state, void *argument)
{
	(void)self, (void)state, (void)argument;
	return posta_send_after(self, 20, posta_self(self), 1, NULL, 0) ? POSTA_EPENDING : POSTA_ENOMEM;
}

static struct posta_actor *pending;

static enum posta_err start_pending(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	pending = self;
	return start_later(self, state, argument);
}

static const struct posta_actor_class late_class = {
	.name = "late",
	.receive = receive,
	.start = start_pending,
	.stop = on_stop,
};

static void wait_and_start(struct posta_system *system, uint64_t ms)
{
	posta_system_advance(system, ms);
	posta_started(pending, POSTA_OK);
	kit_settle(system);
}

/* None was given back twice: no two messages share one. */
static void blocks_are_apart(struct posta_system *system)
{
	struct posta__worker *worker = posta__system_worker(system, 0);
	struct posta_message *taken[64];
	const char bytes[128] = "";
	for (int i = 0; i < 64; i++) {
		taken[i] = posta__message_copy(worker, system, 1, bytes, (size_t)(i % 8 + 1) * 16);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(taken[j], taken[i]);
	}
	for (int i = 0; i < 64; i++)
		posta__message_release(worker, system, taken[i]);
}

static void deadline__over_while_it_waited__is_a_dead_letter(void **state)
{
	(void)state;
	static const struct {
		uint64_t waited;
		unsigned handled, expired;
	} rows[] = { { 9, 1, 0 }, { 10, 1, 0 }, { 11, 0, 1 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct kit_letters letters = { 0 };
		struct posta_system *system = kit_system(&letters);
		struct actor sender = { .ttl_ms = 10 }, receiver = { 0 };
		struct posta_error error;
		sender.other = posta_system_spawn(system, &late_class, &receiver, NULL, &error);
		kit_settle(system);
		kit_send(system, spawn(system, &sender, NULL), DO_SEND_WITHIN);
		kit_settle(system);
		wait_and_start(system, rows[i].waited);
		assert_int_equal(receiver.handled, rows[i].handled);
		assert_int_equal(letters.count[POSTA_DEAD_EXPIRED], rows[i].expired);
		kit_send(system, sender.other, 1); /* it goes on */
		kit_settle(system);
		assert_int_equal(receiver.handled, rows[i].handled + 1);
		blocks_are_apart(system);
		kit_stop(system);
	}
}

static void fail__with_words__ends_it_whatever_it_returned(void **state)
{
	(void)state;
	static const enum posta_err returned[] = { POSTA_OK, POSTA_EUNHANDLED, POSTA_EIO };
	for (size_t i = 0; i < sizeof returned / sizeof *returned; i++) {
		struct kit_letters letters = { 0 };
		struct posta_system *system = kit_system(&letters);
		struct actor actor = { .returned = returned[i] };
		posta_ref ref = spawn(system, &actor, NULL);
		kit_send(system, ref, DO_FAIL);
		kit_send(system, ref, 1);
		kit_settle(system);
		assert_int_equal(actor.handled, 1);
		assert_int_equal(actor.stops, 1);
		assert_int_equal(actor.reason, POSTA_EREFUSED);
		assert_int_equal(actor.replied, POSTA_ESTATE); /* no message is being handled */
		assert_int_equal(letters.count[POSTA_DEAD_POISON], 1);
		assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 1);
		kit_stop(system);
	}
}

static void stash__in_a_bounded_mailbox__counts_again_when_it_comes_back(void **state)
{
	(void)state;
	const struct posta_spawn_options options = { .mailbox = { .policy = POSTA_MAILBOX_REJECT, .length_max = 3 } };
	struct posta_system *system = kit_system(NULL);
	struct actor actor = { .stashing = true };
	posta_ref ref = spawn(system, &actor, &options);
	for (uint32_t type = 1; type <= 3; type++)
		assert_int_equal(posta_system_send(system, ref, type, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, 4, NULL, 0), POSTA_EFULL);
	kit_settle(system); /* all three are put aside: there is room for three more */
	assert_int_equal(posta_system_send(system, ref, DO_UNSTASH, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, 5, NULL, 0), POSTA_OK);
	kit_settle(system);
	static const uint32_t order[] = { 1, 2, 3, DO_UNSTASH, 1, 2, 3, 5 };
	assert_int_equal(actor.handled, sizeof order / sizeof *order);
	assert_memory_equal(actor.types, order, sizeof order);
	for (uint32_t type = 1; type <= 3; type++) /* nothing of it was counted twice, or never uncounted */
		assert_int_equal(posta_system_send(system, ref, type, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, 4, NULL, 0), POSTA_EFULL);
	kit_settle(system);
	actor.stashing = true; /* a second time: the stash began empty */
	kit_send(system, ref, 7);
	kit_settle(system);
	kit_send(system, ref, DO_UNSTASH);
	kit_settle(system);
	for (uint32_t type = 1; type <= 3; type++)
		assert_int_equal(posta_system_send(system, ref, type, NULL, 0), POSTA_OK);
	assert_int_equal(posta_system_send(system, ref, 4, NULL, 0), POSTA_EFULL);
	kit_settle(system);
	kit_stop(system);
}

static void unstash__with_nothing_put_aside__goes_on(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct actor actor = { 0 };
	posta_ref ref = spawn(system, &actor, NULL);
	kit_send(system, ref, DO_UNSTASH);
	kit_send(system, ref, 1);
	kit_settle(system);
	assert_int_equal(actor.handled, 2);
	kit_stop(system);
}

static void keep__beside_others__leaves_the_order(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct actor actor = { 0 };
	posta_ref ref = spawn(system, &actor, NULL);
	kit_send(system, ref, 1);
	kit_send(system, ref, DO_KEEP);
	kit_send(system, ref, 2);
	kit_settle(system);
	static const uint32_t order[] = { 1, DO_KEEP, 2 };
	assert_int_equal(actor.handled, 3);
	assert_memory_equal(actor.types, order, sizeof order);
	assert_int_equal(actor.kept->type, DO_KEEP);
	kit_stop(system);
}

static void slice_release(void *data, void *context)
{
	(void)data;
	++*(unsigned *)context;
}

static void slice__refused_or_to_nobody__is_released_once(void **state)
{
	(void)state;
	const struct posta_spawn_options options = { .mailbox = { .policy = POSTA_MAILBOX_REJECT, .length_max = 1 } };
	struct posta_system *system = kit_system(NULL);
	struct actor actor = { 0 };
	unsigned released = 0;
	char bytes[100] = "slice";
	const struct posta_slice slice = { bytes, sizeof bytes, slice_release, &released };
	posta_ref ref = spawn(system, &actor, &options);
	assert_int_equal(posta_system_send_slice(system, ref, 1, &slice), POSTA_OK);
	assert_int_equal(posta_system_send_slice(system, ref, 1, &slice), POSTA_EFULL);
	assert_int_equal(released, 1);
	assert_int_equal(posta_system_send_slice(system, POSTA_NOBODY, 1, &slice), POSTA_EDEAD);
	assert_int_equal(released, 2);
	kit_settle(system);
	assert_int_equal(actor.handled, 1);
	assert_int_equal(released, 3);
	kit_stop(system);
}

/*
 * Messages from outside are on their way when the receiver ends: what was for it is not for the next one in its slot.
 */
static void send__on_its_way_when_the_receiver_ends__is_a_dead_letter(void **state)
{
	(void)state;
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	struct kit_log log = { .count = 0 };
	posta_ref ref = kit_spawn(system, &log, NULL);
	kit_settle(system);
	posta_system_stop_actor(system, ref, POSTA_OK);
	kit_send(system, ref, 1);
	kit_send(system, ref, 2);
	kit_settle(system);
	assert_int_equal(log.count, 0);
	assert_int_equal(letters.count[POSTA_DEAD_NO_ACTOR] + letters.count[POSTA_DEAD_STOPPED], 2);
	kit_stop(system);
}

static void stop__from_outside__has_nobody_to_reply_to(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct actor actor = { .replied = POSTA_OK };
	posta_ref ref = spawn(system, &actor, NULL);
	kit_send(system, ref, DO_SELF);
	kit_settle(system);
	posta_system_stop_actor(system, ref, POSTA_OK);
	kit_settle(system);
	assert_int_equal(actor.stops, 1);
	assert_int_equal(actor.replied, POSTA_ESTATE); /* the last message it handled is gone */
	kit_stop(system);
}

/* -- How far one goes -- */

static uint64_t turns(struct posta_system *system)
{
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	return metrics.turns;
}

/* Ten at once are one turn: those just handled, those kept or not understood, and in each round as in the first. */
static void turn__takes_all_that_waits(void **state)
{
	(void)state;
	static const uint32_t types[] = { KIT_NOTE, KIT_UNHANDLED };
	for (size_t t = 0; t < 2; t++) {
		struct posta_system *system = kit_system(NULL);
		struct kit_log log = { .count = 0 };
		posta_ref ref = kit_spawn(system, &log, NULL);
		kit_settle(system);
		for (unsigned round = 1; round <= 3; round++) {
			uint64_t before = turns(system);
			for (int i = 0; i < 10; i++)
				kit_send(system, ref, types[t]);
			kit_settle(system);
			assert_int_equal(log.count, 10 * round);
			assert_int_equal(turns(system), before + 1);
		}
		kit_stop(system);
	}
}

/* It answers itself so often: blocks that were handled serve again. */
static enum posta_err echo_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	unsigned *left = state;
	return (*left)-- ? posta_send(self, posta_self(self), message->type, "payload", 8) : POSTA_OK;
}

static void turn__handled_blocks__serve_again(void **state)
{
	(void)state;
	static const struct posta_actor_class echo = { .name = "echo", .receive = echo_receive };
	struct posta_system *system = kit_system(NULL);
	unsigned left = 1000;
	posta_ref ref = posta_system_spawn(system, &echo, &left, NULL, NULL);
	kit_send(system, ref, 1);
	kit_settle(system);
	long blocks = kit_heap(system)->blocks;
	left = 100000;
	kit_send(system, ref, 1);
	kit_settle(system);
	assert_int_equal(left, UINT_MAX);
	assert_int_equal(kit_heap(system)->blocks, blocks);
	kit_stop(system);
}

/* -- A mailbox that keeps the newest -- */

struct bonds {
	posta_ref watched[2], linked;
	unsigned news, notes;
};

/* When it hears of an end it sends itself notes, but for the last: too many, and behind the news still in hand. */
static enum posta_err bonds_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct bonds *bonds = state;
	if (message->type == KIT_STOP) {
		for (int i = 0; i < 2; i++)
			posta_watch(self, bonds->watched[i]);
		return posta_link(self, bonds->linked);
	}
	if (message->type == KIT_NOTE)
		bonds->notes++;
	else
		for (unsigned i = bonds->news++; i < 2; i++)
			posta_send(self, posta_self(self), KIT_NOTE, NULL, 0);
	return POSTA_OK;
}

static void drop_oldest__news_of_ends__stays_whatever_the_limit(void **state)
{
	(void)state;
	static const struct posta_actor_class klass_of_bonds = { .name = "bonds", .receive = bonds_receive };
	const struct posta_spawn_options options = { .mailbox = { POSTA_MAILBOX_DROP_OLDEST, 1 }, .trap_exit = true };
	static struct kit_log logs[3];
	struct kit_letters letters = { 0 };
	struct posta_system *system = kit_system(&letters);
	struct bonds bonds = { .watched = { kit_spawn(system, &logs[0], NULL), kit_spawn(system, &logs[1], NULL) },
			       .linked = kit_spawn(system, &logs[2], NULL) };
	posta_ref ref = posta_system_spawn(system, &klass_of_bonds, &bonds, &options, NULL);
	kit_send(system, ref, KIT_STOP);
	kit_settle(system);
	posta_system_stop_actor(system, bonds.watched[0], POSTA_OK);
	posta_system_stop_actor(system, bonds.watched[1], POSTA_OK);
	posta_system_stop_actor(system, bonds.linked, POSTA_OK);
	kit_settle(system);
	assert_int_equal(bonds.news, 3);
	assert_int_equal(bonds.notes, 0);
	assert_int_equal(letters.count[POSTA_DEAD_MAILBOX], 3);
	kit_send(system, ref, KIT_NOTE); /* the list has its end where it was */
	kit_settle(system);
	assert_int_equal(bonds.notes, 1);
	kit_stop(system);
}

/* A tree of 15 by its numbers: 1 has 2 and 3, which have 4 to 7 .. */
static struct {
	size_t started[15];
	unsigned count;
} tree;

static enum posta_err node_start(struct posta_actor *self, void *state, void *argument);

static enum posta_err node_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_OK;
}

static const struct posta_actor_class node_class = { .name = "node", .receive = node_receive, .start = node_start };

static enum posta_err node_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state;
	size_t number = (uintptr_t)argument;
	tree.started[tree.count++] = number;
	for (size_t child = 2 * number; child <= 15 && child < 2 * number + 2; child++)
		posta_spawn(self, &node_class, (void *)child);
	return POSTA_OK;
}

static void born__a_tree__grows_branch_by_branch(void **state)
{
	(void)state;
	static const size_t expected[15] = { 1, 2, 4, 8, 9, 5, 10, 11, 3, 6, 12, 13, 7, 14, 15 };
	struct posta_system *system = kit_system(NULL);
	tree.count = 0;
	posta_system_spawn(system, &node_class, (void *)1, NULL, NULL);
	kit_settle(system);
	assert_int_equal(tree.count, 15);
	assert_memory_equal(tree.started, expected, sizeof expected);
	kit_stop(system);
}

/* Each has one child, until their elder, who was spawned before them and comes after them, has been started. */
static struct {
	unsigned births, births_at_note;
	bool elder, noted;
} line;

static enum posta_err elder_start(struct posta_actor *self, void *state, void *argument)
{
	(void)self, (void)state, (void)argument;
	line.elder = true;
	return POSTA_OK;
}

static const struct posta_actor_class elder_class = { .name = "elder", .receive = node_receive, .start = elder_start };

static enum posta_err heir_start(struct posta_actor *self, void *state, void *argument);
static const struct posta_actor_class heir_class = { .name = "heir", .receive = node_receive, .start = heir_start };

static enum posta_err heir_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	if (!line.elder && ++line.births < 200000)
		posta_spawn(self, &heir_class, NULL);
	return POSTA_OK;
}

static enum posta_err founder_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	if (message->type == KIT_NOTE) {
		line.noted = true;
		line.births_at_note = line.births;
		return POSTA_OK;
	}
	posta_spawn(self, &heir_class, NULL);
	posta_spawn(self, &elder_class, NULL);
	return posta_send(self, posta_self(self), KIT_NOTE, NULL, 0);
}

static const struct posta_actor_class founder_class = { .name = "founder", .receive = founder_receive };

static void born__without_end__others_and_elder_ones_have_their_turn(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	memset(&line, 0, sizeof line);
	kit_send(system, posta_system_spawn(system, &founder_class, NULL, NULL, NULL), DO_SELF);
	kit_settle(system);
	assert_true(line.noted && line.births_at_note < 8);
	assert_true(line.elder);
	assert_in_range(line.births, 1000, 199999);
	kit_stop(system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadline__not_over__is_handled_whole),
		cmocka_unit_test(deadline__over_while_it_waited__is_a_dead_letter),
		cmocka_unit_test(fail__with_words__ends_it_whatever_it_returned),
		cmocka_unit_test(stash__in_a_bounded_mailbox__counts_again_when_it_comes_back),
		cmocka_unit_test(unstash__with_nothing_put_aside__goes_on),
		cmocka_unit_test(keep__beside_others__leaves_the_order),
		cmocka_unit_test(slice__refused_or_to_nobody__is_released_once),
		cmocka_unit_test(send__on_its_way_when_the_receiver_ends__is_a_dead_letter),
		cmocka_unit_test(stop__from_outside__has_nobody_to_reply_to),
		cmocka_unit_test(turn__takes_all_that_waits),
		cmocka_unit_test(turn__handled_blocks__serve_again),
		cmocka_unit_test(drop_oldest__news_of_ends__stays_whatever_the_limit),
		cmocka_unit_test(born__a_tree__grows_branch_by_branch),
		cmocka_unit_test(born__without_end__others_and_elder_ones_have_their_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
