/* SPDX-License-Identifier: MIT */
/* Looking at a running system: histograms, the tree, the watchdog. */
#include "kit.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void histogram__limits_grow_and_quantiles_are_near(void **state)
{
	(void)state;
	for (unsigned i = 1; i < POSTA_HISTOGRAM_BUCKETS; i++)
		assert_true(posta_histogram_limit_ns(i) > posta_histogram_limit_ns(i - 1));
	assert_int_equal(posta_histogram_limit_ns(15), 15);
	assert_int_equal(posta_histogram_limit_ns(16), 16);
	assert_int_equal(posta_histogram_limit_ns(31), 31);
	assert_int_equal(posta_histogram_limit_ns(32), 33);
	static struct posta_histogram histogram;
	assert_int_equal(posta_histogram_quantile_ns(&histogram, 0.5), 0);
	histogram.buckets[10] = 90;
	histogram.buckets[100] = 10;
	histogram.count = 100;
	histogram.max_ns = posta_histogram_limit_ns(100) - 1;
	assert_int_equal(posta_histogram_quantile_ns(&histogram, 0.5), 10);
	assert_int_equal(posta_histogram_quantile_ns(&histogram, 0.99), histogram.max_ns);
}

/* A handler that takes the milliseconds which its message says. */
static enum posta_err slow_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	++*(unsigned *)state;
	uint64_t until = posta_now_ns(self) + message->type * UINT64_C(1000000);
	while (posta_now_ns(self) < until)
		;
	return POSTA_OK;
}

static const struct posta_actor_class slow_class = { .name = "slow", .receive = slow_receive };

static struct posta_system *by_hand(void)
{
	const struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	return system;
}

static void send_some(struct posta_system *system, posta_ref ref, unsigned n, size_t size)
{
	static const unsigned char bytes[4096];
	while (n--)
		posta_system_send(system, ref, 0, bytes, size);
	kit_settle(system);
}

static void times__off__nothing_is_measured(void **state)
{
	(void)state;
	struct posta_system *system = by_hand();
	unsigned handled = 0;
	send_some(system, posta_system_spawn(system, &slow_class, &handled, NULL, NULL), 100, 8);
	static struct posta_histogram waits, handlers;
	posta_system_histograms(system, &waits, &handlers);
	assert_int_equal(handled, 100);
	assert_int_equal(waits.count, 0);
	assert_int_equal(handlers.count, 0);
	kit_stop(system);
}

static void times__on__waits_and_handlers_are_measured(void **state)
{
	(void)state;
	struct posta_system *system = by_hand();
	unsigned handled = 0;
	posta_ref ref = posta_system_spawn(system, &slow_class, &handled, NULL, NULL);
	posta_observe(system, true);
	send_some(system, ref, 1, 8); /* the first is what marks the actor; it is measured itself */
	for (size_t size = 0; size <= 24; size += 8)
		send_some(system, ref, 25, size);
	kit_send(system, ref, 5);
	kit_send(system, ref, 0); /* waits 5 ms for the one before */
	kit_settle(system);
	static struct posta_histogram waits, handlers;
	posta_system_histograms(system, &waits, &handlers);
	assert_int_equal(handled, 103);
	assert_int_equal(handlers.count, 103);
	assert_int_equal(waits.count, 103);
	assert_true(handlers.max_ns >= 5000000 && waits.max_ns >= 5000000);
	assert_true(posta_histogram_quantile_ns(&handlers, 1) >= 5000000);
	send_some(system, ref, 10, 32); /* no room for the time in these, but in those */
	send_some(system, ref, 10, 40);
	posta_system_histograms(system, &waits, &handlers);
	assert_int_equal(handlers.count, 123);
	assert_int_equal(waits.count, 113);
	kit_stop(system);
}

static void times__off_again__as_before(void **state)
{
	(void)state;
	struct posta_system *system = by_hand();
	unsigned handled = 0;
	posta_ref ref = posta_system_spawn(system, &slow_class, &handled, NULL, NULL);
	posta_observe(system, true);
	send_some(system, ref, 10, 8);
	posta_system_send(system, ref, 0, NULL, 0); /* sent while on, handled while off */
	posta_observe(system, false);
	send_some(system, ref, 10, 8);
	static struct posta_histogram waits, handlers;
	posta_system_histograms(system, &waits, &handlers);
	assert_int_equal(handled, 21);
	assert_int_equal(handlers.count, 10);
	posta_observe(system, true);
	send_some(system, ref, 10, 8);
	posta_system_histograms(system, &waits, &handlers);
	assert_int_equal(handlers.count, 20);
	kit_stop(system);
}

/* -- The tree -- */

static const struct posta_actor_view *find(const struct posta_tree *tree, posta_ref ref)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->views[i].ref == ref)
			return &tree->views[i];
	return NULL;
}

static enum posta_err wordy_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	if (message->type == KIT_FAIL)
		posta_fail(self, POSTA_EIO, "the disk %d is gone", 7);
	return POSTA_OK;
}

static const struct posta_actor_class wordy_class = { .name = "wordy", .receive = wordy_receive };

static void tree__tells_all_of_each_actor(void **state)
{
	(void)state;
	struct posta_system *system = kit_system(NULL);
	struct kit_log pending = { .fail_start = POSTA_EPENDING };
	posta_ref held = kit_spawn(system, &pending, &(struct posta_spawn_options){ .name = "held" });
	const struct posta_child_spec specs[2] = {
		{ .id = "a", .klass = &wordy_class, .spawn = { .name = "one" } },
		{ .id = "b", .klass = &wordy_class, .spawn = { .name = "two" }, .backoff = { .initial_ms = 1000 } },
	};
	const struct posta_supervisor_options options = {
		.name = "top", .intensity = 10, .children = specs, .child_count = 2
	};
	posta_ref top = posta_system_supervise(system, &options, NULL);
	kit_settle(system);
	posta_observe(system, true);
	posta_ref one = posta_lookup(system, "one"), two = posta_lookup(system, "two");
	kit_send(system, one, KIT_NOTE);
	kit_send(system, one, KIT_FAIL);
	kit_send(system, two, KIT_FAIL);
	for (int i = 0; i < 7; i++)
		kit_send(system, held, KIT_NOTE);
	kit_settle(system);
	struct posta_tree *tree = posta_system_tree(system, 1000, NULL);
	assert_non_null(tree);
	assert_int_equal(tree->count, 5); /* and the root */
	const struct posta_actor_view *view = find(tree, one);
	assert_string_equal(view->class_name, "wordy");
	assert_string_equal(view->name, "one");
	assert_int_equal(view->parent, top);
	assert_int_equal(view->state, POSTA_ACTOR_RUNNING);
	assert_int_equal(view->worker, 1);
	assert_int_equal(view->restarts, 1);
	assert_int_equal(view->messages, 2);
	assert_int_equal(view->last_reason, POSTA_EIO);
	assert_string_equal(view->last_error, "the disk 7 is gone");
	assert_int_equal(find(tree, two)->state, POSTA_ACTOR_SUSPENDED);
	assert_int_equal(find(tree, held)->state, POSTA_ACTOR_STARTING);
	assert_int_equal(find(tree, held)->mailbox, 7);
	assert_string_equal(posta_actor_state_name(find(tree, top)->state), "running");
	posta_tree_free(system, tree);
	kit_stop(system);
}

/* Actors run, talk, come and go on two workers, while they are looked at and times are switched on and off. */
enum { TALKERS = 40 };

struct talker {
	posta_ref peer;
	_Atomic(unsigned) *handled;
};

static enum posta_err brief_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class brief_class = { .name = "brief", .receive = brief_receive };

static enum posta_err talk(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct talker *talker = state;
	if (message->type == 1)
		memcpy(&talker->peer, posta_data(message), sizeof talker->peer);
	unsigned n = ++*talker->handled;
	if (n % 16 == 0)
		posta_send(self, posta_spawn(self, &brief_class, NULL), 0, NULL, 0);
	return posta_send(self, talker->peer, 2, NULL, 0);
}

static const struct posta_actor_class talker_class = { .name = "talker", .receive = talk };

static void tree__two_workers_run__all_are_there(void **state)
{
	(void)state;
	const struct posta_system_options options = { .workers = 2 };
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	static struct talker talkers[TALKERS];
	static _Atomic(unsigned) handled;
	posta_ref refs[TALKERS];
	for (int i = 0; i < TALKERS; i++) {
		talkers[i] = (struct talker){ .handled = &handled };
		const struct posta_spawn_options pinned = { .pinned = i % 3 == 0, .worker = 1 + i % 2 };
		refs[i] = posta_system_spawn(system, &talker_class, &talkers[i], &pinned, NULL);
	}
	for (int i = 0; i < TALKERS; i++)
		posta_system_send(system, refs[i], 1, &refs[(i + 1) % TALKERS], sizeof refs[0]);
	for (int round = 0; round < 30; round++) {
		posta_observe(system, round % 3 != 2);
		struct posta_tree *tree = posta_system_tree(system, 10000, NULL);
		assert_non_null(tree);
		for (int i = 0; i < TALKERS; i++)
			assert_non_null(find(tree, refs[i]));
		posta_tree_free(system, tree);
		unsigned before = handled;
		while (handled - before < 100)
			sched_yield();
	}
	static struct posta_histogram waits, handlers;
	posta_system_histograms(system, &waits, &handlers);
	assert_true(waits.count > 0 && handlers.count > 0);
	for (int i = 0; i < TALKERS; i++)
		posta_system_stop_actor(system, refs[i], POSTA_OK);
	assert_int_equal(posta_system_stop(system, 20000, NULL), POSTA_OK);
}

static _Atomic(bool) entered, released;

static enum posta_err stuck_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state;
	if (message->type == 77) {
		entered = true;
		while (!released)
			sched_yield();
	}
	return POSTA_OK;
}

static const struct posta_actor_class stuck_class = { .name = "stuck", .receive = stuck_receive };

struct dog {
	_Atomic(unsigned) told, logged;
	struct posta_stuck stuck;
};

static void on_stuck(void *context, const struct posta_stuck *stuck)
{
	struct dog *dog = context;
	dog->stuck = *stuck;
	dog->told++;
}

static void on_log(void *context, int level, const char *event, const char *text)
{
	(void)level;
	struct dog *dog = context;
	if (strcmp(event, "actor.stuck") == 0 && strstr(text, "class=stuck") && strstr(text, "message_type=77"))
		dog->logged++;
}

static struct posta_system *with_a_stuck_one(struct dog *dog, uint64_t watchdog_ms, posta_ref *ref)
{
	const struct posta_system_options options = {
		.workers = 1,
		.watchdog_ms = watchdog_ms,
		.stuck = on_stuck,
		.log = on_log,
		.log_level = POSTA_LOG_WARNING,
		.stuck_context = dog,
		.log_context = dog,
	};
	struct posta_system *system;
	entered = released = false;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	*ref = posta_system_spawn(system, &stuck_class, NULL, NULL, NULL);
	for (int i = 0; i < 100; i++)
		posta_system_send(system, *ref, 3, NULL, 0);
	posta_system_send(system, *ref, 77, NULL, 0);
	while (!entered)
		sched_yield();
	return system;
}

static void watchdog__handler_does_not_return__is_named_once(void **state)
{
	(void)state;
	struct dog dog = { 0 };
	posta_ref ref;
	struct posta_system *system = with_a_stuck_one(&dog, 20, &ref);
	while (!dog.told)
		sched_yield();
	struct posta_tree *tree = posta_system_tree(system, 60, NULL); /* three times as long: it is not told again */
	assert_non_null(tree);
	assert_int_equal(find(tree, ref)->state, POSTA_ACTOR_UNKNOWN);
	assert_int_equal(find(tree, ref)->worker, 1);
	posta_tree_free(system, tree);
	released = true;
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	assert_int_equal(dog.told, 1);
	assert_int_equal(dog.logged, 1);
	assert_string_equal(dog.stuck.class_name, "stuck");
	assert_int_equal(dog.stuck.ref, ref);
	assert_int_equal(dog.stuck.type, 77);
	assert_int_equal(dog.stuck.worker, 1);
	assert_true(dog.stuck.ms >= 20);
}

static void watchdog__busy_but_well__says_nothing(void **state)
{
	(void)state;
	struct dog dog = { 0 };
	const struct posta_system_options options = {
		.workers = 1, .watchdog_ms = 500, .stuck = on_stuck, .stuck_context = &dog
	};
	struct posta_system *system;
	assert_int_equal(posta_system_start(&options, &system, NULL), POSTA_OK);
	unsigned handled = 0;
	posta_ref ref = posta_system_spawn(system, &slow_class, &handled, NULL, NULL);
	for (int i = 0; i < 200; i++)
		posta_system_send(system, ref, 5, NULL, 0); /* twice 500 ms in all */
	uint32_t type;
	posta_system_ask(system, ref, 0, NULL, 0, 3000, &type, NULL, NULL); /* never answered: the time passes */
	assert_int_equal(posta_system_stop(system, 10000, NULL), POSTA_OK);
	assert_int_equal(dog.told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histogram__limits_grow_and_quantiles_are_near),
		cmocka_unit_test(times__off__nothing_is_measured),
		cmocka_unit_test(times__on__waits_and_handlers_are_measured),
		cmocka_unit_test(times__off_again__as_before),
		cmocka_unit_test(tree__tells_all_of_each_actor),
		cmocka_unit_test(tree__two_workers_run__all_are_there),
		cmocka_unit_test(watchdog__handler_does_not_return__is_named_once),
		cmocka_unit_test(watchdog__busy_but_well__says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
