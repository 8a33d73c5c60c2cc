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

/* ask, reply, forward */
enum { ASK_IT = 20, QUESTION, SILENT, ANSWER, LATE };

struct asker {
	posta_ref to;
	uint32_t type;
	unsigned answers;
	enum posta_err status, sent;
	uint32_t value;
	struct posta_caller waiting;
};

static enum posta_err on_answer(struct posta_actor *self, void *state, enum posta_err status,
				struct posta_message *reply, void *context)
{
	(void)self;
	struct asker *asker = state;
	assert_ptr_equal(context, asker);
	asker->answers++;
	asker->status = status;
	if (reply)
		memcpy(&asker->value, posta_data(reply), sizeof asker->value);
	return POSTA_OK;
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct asker *asker = state;
	uint32_t value = 41;
	switch (message->type) {
	case ASK_IT:
		asker->sent = posta_ask(self, asker->to, asker->type, &value, sizeof value, 100, on_answer, asker);
		return POSTA_OK;
	case QUESTION:
		memcpy(&value, posta_data(message), sizeof value);
		value++;
		return posta_reply(self, ANSWER, &value, sizeof value);
	case SILENT:
		asker->waiting = posta_caller(message);
		return POSTA_OK;
	case LATE:
		return posta_reply_to(self, asker->waiting, ANSWER, &value, sizeof value);
	default:
		return posta_forward(self, asker->to, message);
	}
}

static const struct posta_actor_class asker_class = { .name = "asker", .receive = asker_receive };

static void ask__reply_comes_back_once(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	struct asker asker = { .to = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL),
			       .type = QUESTION };
	kit_send(system, posta_system_spawn(system, &asker_class, &asker, NULL, NULL), ASK_IT);
	posta_system_advance(system, 1000);
	assert_int_equal(asker.answers, 1);
	assert_int_equal(asker.status, POSTA_OK);
	assert_int_equal(asker.value, 42);
	kit_stop(system);
}

static void ask__forwarded__reply_goes_to_the_asker(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	struct asker middle = { .to = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL) };
	posta_ref middle_ref = posta_system_spawn(system, &asker_class, &middle, NULL, NULL);
	struct asker asker = { .to = middle_ref, .type = 77 };
	struct posta_metrics metrics = { .size = sizeof metrics };
	kit_send(system, posta_system_spawn(system, &asker_class, &asker, NULL, NULL), ASK_IT);
	/*
	 * The answerer forwards what it does not know to nobody: the question is a dead letter and the asker hears it.
	 */
	posta_system_advance(system, 1);
	assert_int_equal(asker.answers, 1);
	assert_int_equal(asker.status, POSTA_EDEAD);
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.timers, 0);
	kit_stop(system);
}

static void ask__no_reply__times_out_and_the_late_one_is_counted(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	struct asker asker = { .to = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL), .type = SILENT };
	kit_send(system, posta_system_spawn(system, &asker_class, &asker, NULL, NULL), ASK_IT);
	posta_system_advance(system, 99);
	assert_int_equal(asker.answers, 0);
	posta_system_advance(system, 1);
	assert_int_equal(asker.answers, 1);
	assert_int_equal(asker.status, POSTA_ETIMEDOUT);
	kit_send(system, asker.to, LATE);
	kit_settle(system);
	assert_int_equal(asker.answers, 1);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.late_replies, 1);
	kit_stop(system);
}

static void ask__dead_actor__fails_at_once(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker asker = { .to = POSTA_NOBODY, .type = QUESTION };
	kit_send(system, posta_system_spawn(system, &asker_class, &asker, NULL, NULL), ASK_IT);
	kit_settle(system);
	assert_int_equal(asker.sent, POSTA_EDEAD);
	assert_int_equal(asker.answers, 0);
	kit_stop(system);
}

/*
 * Many questions at once, answered from the newest to the oldest: what finding one costs must not grow with their
 * number.
 */
enum { CROWD = 100000, CROWD_ASK = 40, CROWD_QUESTION, CROWD_ANSWER };

struct crowd {
	posta_ref to;
	unsigned answers, wrong;
	struct posta_caller callers[CROWD];
	unsigned asked;
};

static enum posta_err crowd_reply(struct posta_actor *self, void *state, enum posta_err status,
				  struct posta_message *reply, void *context)
{
	struct crowd *crowd = state;
	uint32_t number;
	(void)self;
	crowd->answers++;
	if (!status)
		memcpy(&number, posta_data(reply), sizeof number);
	crowd->wrong += status || number != (uint32_t)(uintptr_t)context;
	return POSTA_OK;
}

static enum posta_err crowd_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct crowd *crowd = state;
	if (message->type == CROWD_ASK)
		for (uint32_t i = 0; i < CROWD; i++)
			crowd->wrong += posta_ask(self, crowd->to, CROWD_QUESTION, &i, sizeof i, 60000, crowd_reply,
						  (void *)(uintptr_t)i) != POSTA_OK;
	if (message->type == CROWD_QUESTION)
		crowd->callers[crowd->asked++] = posta_caller(message);
	if (message->type == CROWD_ANSWER)
		for (uint32_t i = CROWD; i-- > 0;)
			crowd->wrong += posta_reply_to(self, crowd->callers[i], 1, &i, sizeof i) != POSTA_OK;
	return POSTA_OK;
}

static const struct posta_actor_class crowd_class = { .name = "crowd", .receive = crowd_receive };

static void ask__a_hundred_thousand_at_once__each_has_its_answer(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct crowd *both = calloc(2, sizeof *both);
	both[0].to = posta_system_spawn(system, &crowd_class, &both[1], NULL, NULL);
	posta_ref asker = posta_system_spawn(system, &crowd_class, &both[0], NULL, NULL);
	for (int round = 0; round < 2; round++) {
		both[1].asked = 0;
		kit_send(system, asker, CROWD_ASK);
		kit_settle(system);
		kit_send(system, both[0].to, CROWD_ANSWER);
		kit_settle(system);
	}
	assert_int_equal(both[0].answers, 2 * CROWD);
	assert_int_equal(both[0].wrong + both[1].wrong, 0);
	kit_stop(system);
	free(both);
}

/* Whoever gets a reply may put it aside, or pass it on: from then on it is a message like any other. */
enum { ASK_AND_PASS_ON = 30, ASK_AND_STASH, GIVE_BACK, ASK_MYSELF };

struct passer {
	posta_ref answerer, to;
	unsigned answers, handled;
	uint32_t last_type, value;
};

static enum posta_err pass_on(struct posta_actor *self, void *state, enum posta_err status, struct posta_message *reply,
			      void *context)
{
	struct passer *passer = state;
	(void)context;
	passer->answers++;
	return status ? POSTA_OK : posta_forward(self, passer->to, reply);
}

static enum posta_err put_aside(struct posta_actor *self, void *state, enum posta_err status,
				struct posta_message *reply, void *context)
{
	struct passer *passer = state;
	(void)context;
	passer->answers++;
	return status ? POSTA_OK : posta_stash(self, reply);
}

static enum posta_err passer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct passer *passer = state;
	uint32_t value = 1;
	switch (message->type) {
	case ASK_AND_PASS_ON:
		return posta_ask(self, passer->answerer, QUESTION, &value, sizeof value, 100, pass_on, NULL);
	case ASK_AND_STASH:
		return posta_ask(self, passer->answerer, QUESTION, &value, sizeof value, 100, put_aside, NULL);
	case ASK_MYSELF:
		posta_ask(self, posta_self(self), QUESTION, &value, sizeof value, 100, pass_on, NULL);
		posta_stop(self, posta_self(self), POSTA_OK);
		return POSTA_OK;
	case GIVE_BACK:
		posta_unstash(self);
		return POSTA_OK;
	default:
		passer->handled++;
		passer->last_type = message->type;
		memcpy(&passer->value, posta_data(message), sizeof passer->value);
		return POSTA_OK;
	}
}

static const struct posta_actor_class passer_class = { .name = "passer", .receive = passer_receive };

static void reply__passed_on__is_no_answer_to_the_next_ones_question(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	struct passer last = { 0 }, first = { 0 };
	first.answerer = last.answerer = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL);
	first.to = posta_system_spawn(system, &passer_class, &last, NULL, NULL);
	kit_send(system, posta_system_spawn(system, &passer_class, &first, NULL, NULL), ASK_AND_PASS_ON);
	kit_settle(system);
	assert_int_equal(first.answers, 1);
	assert_int_equal(last.handled, 1);
	assert_int_equal(last.last_type, ANSWER);
	assert_int_equal(last.value, 2);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.late_replies, 0);
	kit_stop(system);
}

static void reply__stashed__comes_back_as_a_message(void **state)
{
	(void)state;
	const struct posta_spawn_options bounded = { .mailbox = { .policy = POSTA_MAILBOX_REJECT, .length_max = 2 } };
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	struct passer passer = { .answerer = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL) };
	posta_ref ref = posta_system_spawn(system, &passer_class, &passer, &bounded, NULL);
	for (unsigned i = 1; i <= 5; i++) {
		kit_send(system, ref, ASK_AND_STASH);
		kit_settle(system);
		assert_int_equal(posta_system_send(system, ref, GIVE_BACK, NULL, 0), POSTA_OK);
		kit_settle(system);
		assert_int_equal(passer.answers, i);
		assert_int_equal(passer.handled, i);
		assert_int_equal(passer.last_type, ANSWER);
	}
	kit_stop(system);
}

/* Its own question is in its mailbox when it ends; what answers it finds nobody (leaks show under ASan). */
static void ask__of_itself__ends_before__nothing_is_left(void **state)
{
	(void)state;
	struct kit_letters letters = { .last_type = 0 };
	struct posta_system *system = kit_system(&letters);
	struct passer passer = { 0 };
	posta_ref ref = posta_system_spawn(system, &passer_class, &passer, NULL, NULL);
	kit_send(system, ref, ASK_MYSELF);
	kit_settle(system);
	assert_int_equal(passer.answers, 0);
	assert_int_equal(letters.count[POSTA_DEAD_STOPPED], 1);
	struct passer next[200] = { { .handled = 0 } }; /* one of them in its slot */
	for (int i = 0; i < 200; i++)
		posta_system_spawn(system, &passer_class, &next[i], NULL, NULL);
	kit_settle(system);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	assert_int_equal(metrics.late_replies, 0);
	kit_stop(system);
}

static void system_ask__foreign_thread__gets_the_reply(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct asker answerer = { 0 };
	posta_ref ref = posta_system_spawn(system, &asker_class, &answerer, NULL, NULL);
	uint32_t question = 1, answer = 0, type = 0;
	size_t size = sizeof answer;
	assert_int_equal(
		posta_system_ask(system, ref, QUESTION, &question, sizeof question, 1000, &type, &answer, &size),
		POSTA_OK);
	assert_int_equal(answer, 2);
	assert_int_equal(type, ANSWER);
	assert_int_equal(size, sizeof answer);
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
		cmocka_unit_test(ask__reply_comes_back_once),
		cmocka_unit_test(ask__forwarded__reply_goes_to_the_asker),
		cmocka_unit_test(ask__no_reply__times_out_and_the_late_one_is_counted),
		cmocka_unit_test(ask__dead_actor__fails_at_once),
		cmocka_unit_test(ask__a_hundred_thousand_at_once__each_has_its_answer),
		cmocka_unit_test(system_ask__foreign_thread__gets_the_reply),
		cmocka_unit_test(reply__passed_on__is_no_answer_to_the_next_ones_question),
		cmocka_unit_test(reply__stashed__comes_back_as_a_message),
		cmocka_unit_test(ask__of_itself__ends_before__nothing_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
