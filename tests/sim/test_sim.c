/* SPDX-License-Identifier: MIT */
/* The simulation itself: a function of its seed, its clock, its faults, its links. */
#include "tests/runtime/kit.h"

#include <posta/sim.h>

#include <stdio.h>
#include <string.h>

enum { NOTE = 1, RELAY };

static struct posta_sim *begin(struct posta_sim_options options)
{
	struct posta_sim *sim = NULL;
	struct posta_error error;
	assert_int_equal(posta_sim_start(&options, &sim, &error), POSTA_OK);
	return sim;
}

/* -- Actors that send each other words, by chance -- */

struct crowd {
	struct posta_sim *sim;
	posta_ref refs[8];
	unsigned left, handled;
};

static enum posta_err crowd_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct crowd *crowd = state;
	(void)message;
	crowd->handled++;
	for (int i = 0; i < 2 && crowd->left; i++) {
		crowd->left--;
		posta_send(self, crowd->refs[posta_random(self) % 8], NOTE, NULL, 0);
		posta_sim_yield(self);
	}
	return POSTA_OK;
}

static const struct posta_actor_class crowd_class = { .name = "one of a crowd", .receive = crowd_receive };

static uint64_t run_crowd(uint64_t seed, int workers)
{
	struct crowd crowd = { .left = 500 };
	crowd.sim = begin((struct posta_sim_options){ .seed = seed, .workers = workers, .move_per_mille = 200 });
	struct posta_system *system = posta_sim_system(crowd.sim, 0);
	for (int i = 0; i < 8; i++)
		crowd.refs[i] = posta_system_spawn(system, &crowd_class, &crowd, NULL, NULL);
	for (int i = 0; i < 8; i++)
		kit_send(system, crowd.refs[i], NOTE);
	posta_sim_settle(crowd.sim);
	assert_int_equal(crowd.handled, 508);
	assert_null(posta_sim_problem(crowd.sim));
	uint64_t hash = posta_sim_hash(crowd.sim);
	assert_int_equal(posta_sim_stop(crowd.sim, NULL), POSTA_OK);
	return hash;
}

static void sim__same_seed__goes_the_same_way(void **state)
{
	(void)state;
	for (int workers = 1; workers <= 4; workers++)
		for (uint64_t seed = 1; seed <= 5; seed++)
			assert_int_equal(run_crowd(seed, workers), run_crowd(seed, workers));
}

static void sim__other_seed__goes_another_way(void **state)
{
	(void)state;
	assert_int_not_equal(run_crowd(1, 2), run_crowd(2, 2));
}

static void sim__actors_of_a_busy_worker__are_moved(void **state)
{
	(void)state;
	struct crowd crowd = { .left = 2000 };
	struct posta_metrics metrics = { .size = sizeof metrics };
	crowd.sim = begin((struct posta_sim_options){ .seed = 7, .workers = 3, .move_per_mille = 500 });
	struct posta_system *system = posta_sim_system(crowd.sim, 0);
	for (int i = 0; i < 8; i++)
		crowd.refs[i] = posta_system_spawn(system, &crowd_class, &crowd, NULL, NULL);
	kit_send(system, crowd.refs[0], NOTE);
	posta_sim_settle(crowd.sim);
	posta_system_metrics(system, &metrics);
	assert_true(metrics.moved > 0);
	assert_true(metrics.remote > 0);
	posta_sim_stop(crowd.sim, NULL);
}

/* -- The clock -- */

static enum posta_err clock_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint64_t *at = state;
	if (message->type == NOTE)
		*at = posta_now_ns(self);
	else
		posta_send_after(self, 3600000, posta_self(self), NOTE, NULL, 0);
	return POSTA_OK;
}

static const struct posta_actor_class clock_class = { .name = "clock", .receive = clock_receive };

static bool is_set(void *context)
{
	return *(uint64_t *)context != 0;
}

static void sim__an_hour__passes_when_nothing_else_is_to_do(void **state)
{
	(void)state;
	uint64_t at = 0;
	struct posta_sim *sim = begin((struct posta_sim_options){ .seed = 1, .workers = 2 });
	struct posta_system *system = posta_sim_system(sim, 0);
	posta_ref ref = posta_system_spawn(system, &clock_class, &at, NULL, NULL);
	kit_send(system, ref, RELAY);
	assert_false(posta_sim_run_until(sim, is_set, &at, 3599999));
	assert_true(posta_sim_run_until(sim, is_set, &at, 1000));
	assert_int_equal(at, UINT64_C(3600000000000));
	posta_sim_stop(sim, NULL);
}

/* -- Links -- */

static enum posta_err far_start(struct posta_actor *self, void *state, void *argument)
{
	(void)state, (void)argument;
	return posta_register(self, "far");
}

static enum posta_err far_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	unsigned *got = state;
	assert_int_equal(posta_sim_node(self), 1);
	got[got[0]++ + 1] = *(unsigned *)posta_data(message);
	return POSTA_OK;
}

static enum posta_err near_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	assert_int_equal(posta_sim_node(self), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(posta_sim_send(self, 1, "far", NOTE, &i, sizeof i), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class far_class = { .name = "far", .receive = far_receive, .start = far_start };
static const struct posta_actor_class near_class = { .name = "near", .receive = near_receive };

struct sent {
	unsigned got[512]; /* how many, then the numbers */
	bool in_order;
};

static void send_over(struct sent *sent, const struct posta_sim_link *link)
{
	memset(sent, 0, sizeof *sent);
	struct posta_sim *sim = begin((struct posta_sim_options){ .seed = 3, .nodes = 2 });
	posta_system_spawn(posta_sim_system(sim, 1), &far_class, sent->got, NULL, NULL);
	posta_ref near = posta_system_spawn(posta_sim_system(sim, 0), &near_class, sent, NULL, NULL);
	posta_sim_settle(sim);
	assert_int_equal(posta_sim_link(sim, 0, 1, link), POSTA_OK);
	kit_send(posta_sim_system(sim, 0), near, NOTE);
	posta_sim_advance(sim, 1000);
	sent->in_order = true;
	for (unsigned i = 2; i <= sent->got[0]; i++)
		sent->in_order &= sent->got[i - 1] < sent->got[i];
	posta_sim_stop(sim, NULL);
}

static void link__with_delays__keeps_the_order(void **state)
{
	(void)state;
	struct sent sent;
	send_over(&sent, &(struct posta_sim_link){ .delay_ms_max = 50 });
	assert_int_equal(sent.got[0], 100);
	assert_true(sent.in_order);
}

static void link__reordering__does_not(void **state)
{
	(void)state;
	struct sent sent;
	send_over(&sent, &(struct posta_sim_link){ .delay_ms_max = 50, .reorder_per_mille = 300 });
	assert_int_equal(sent.got[0], 100);
	assert_false(sent.in_order);
}

static void link__dropping_or_duplicating__changes_the_number(void **state)
{
	(void)state;
	struct sent sent;
	send_over(&sent, &(struct posta_sim_link){ .drop_per_mille = 300 });
	assert_in_range(sent.got[0], 50, 90);
	assert_true(sent.in_order);
	send_over(&sent, &(struct posta_sim_link){ .duplicate_per_mille = 300 });
	assert_in_range(sent.got[0], 110, 150);
	send_over(&sent, &(struct posta_sim_link){ .cut = true });
	assert_int_equal(sent.got[0], 0);
}

/* -- Crashes -- */

struct store {
	unsigned writes, stops;
};

static enum posta_err keeper_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct store *store = state;
	(void)self, (void)message;
	store->writes++;
	return POSTA_OK;
}

static void keeper_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct store *store = state;
	(void)self, (void)reason;
	store->stops++;
}

static const struct posta_actor_class keeper_class = { .name = "keeper",
						       .receive = keeper_receive,
						       .stop = keeper_stop };

static void node__crashed__runs_no_stop_and_starts_empty(void **state)
{
	(void)state;
	struct store store = { 0 };
	struct posta_error error;
	struct posta_metrics metrics = { .size = sizeof metrics };
	struct posta_sim *sim = begin((struct posta_sim_options){ .seed = 5, .nodes = 2, .workers = 2 });
	posta_ref ref = posta_system_spawn(posta_sim_system(sim, 1), &keeper_class, &store, NULL, NULL);
	kit_send(posta_sim_system(sim, 1), ref, NOTE);
	posta_sim_settle(sim);
	kit_send(posta_sim_system(sim, 1), ref, NOTE);
	assert_int_equal(posta_sim_crash(sim, 1), POSTA_OK);
	assert_null(posta_sim_system(sim, 1));
	assert_int_equal(posta_sim_crash(sim, 1), POSTA_ESTATE);
	posta_sim_settle(sim);
	assert_int_equal(posta_sim_restart(sim, 1, &error), POSTA_OK);
	assert_int_equal(posta_sim_restart(sim, 1, &error), POSTA_ESTATE);
	posta_system_metrics(posta_sim_system(sim, 1), &metrics);
	assert_int_equal(metrics.spawned, 0);
	assert_int_equal(store.writes, 1);
	assert_int_equal(store.stops, 0);
	assert_int_equal(posta_sim_stop(sim, NULL), POSTA_OK);
}

static void actor__crashed_by_chance__is_restarted_and_loses_no_message(void **state)
{
	(void)state;
	struct store store = { 0 };
	struct posta_child_spec child = { .id = "keeper", .klass = &keeper_class, .argument = &store };
	struct posta_supervisor_options options = { .intensity = POSTA_INTENSITY_UNLIMITED,
						    .children = &child,
						    .child_count = 1 };
	struct posta_child_info info;
	size_t count = 1;
	struct posta_sim *sim = begin((struct posta_sim_options){ .seed = 9, .workers = 2, .crash_per_mille = 300 });
	struct posta_system *system = posta_sim_system(sim, 0);
	posta_ref supervisor = posta_system_supervise(system, &options, NULL);
	posta_sim_settle(sim);
	assert_int_equal(posta_system_which_children(system, supervisor, 1000, &info, &count), POSTA_OK);
	for (int i = 0; i < 100; i++) {
		kit_send(system, info.ref, NOTE);
		posta_sim_step(sim);
	}
	posta_sim_settle(sim);
	assert_int_equal(store.writes, 100);
	assert_true(store.stops > 0);
	posta_sim_stop(sim, NULL);
}

/* Found by a seed: the stop crossed the news of the end, and the child was never restarted. */
static void stop__of_a_child_that_waits_for_its_restart__is_not_its_end(void **state)
{
	(void)state;
	struct store store = { 0 };
	struct posta_child_spec child = { .id = "keeper", .klass = &keeper_class, .argument = &store };
	struct posta_supervisor_options options = {
		.intensity = 5, .children = &child, .child_count = 1, .backoff = { .initial_ms = 100, .max_ms = 100 }
	};
	struct posta_child_info info;
	size_t count = 1;
	struct posta_sim *sim = begin((struct posta_sim_options){ .seed = 2, .workers = 2 });
	struct posta_system *system = posta_sim_system(sim, 0);
	posta_ref supervisor = posta_system_supervise(system, &options, NULL);
	posta_sim_settle(sim);
	assert_int_equal(posta_system_which_children(system, supervisor, 1000, &info, &count), POSTA_OK);
	posta_system_stop_actor(system, info.ref, POSTA_EFAILED);
	posta_sim_settle(sim);
	assert_int_equal(store.stops, 1);
	posta_system_stop_actor(system, info.ref, POSTA_OK);
	kit_send(system, info.ref, NOTE);
	posta_sim_advance(sim, 100);
	assert_int_equal(store.writes, 1);
	posta_sim_stop(sim, NULL);
}

static void options__out_of_range__are_named(void **state)
{
	(void)state;
	struct posta_sim *sim = NULL;
	struct posta_error error;
	assert_int_equal(posta_sim_start(&(struct posta_sim_options){ .workers = 17 }, &sim, &error), POSTA_EINVAL);
	assert_non_null(strstr(error.text, "workers"));
	assert_int_equal(posta_sim_start(&(struct posta_sim_options){ .nodes = -1 }, &sim, &error), POSTA_EINVAL);
	assert_non_null(strstr(error.text, "nodes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__same_seed__goes_the_same_way),
		cmocka_unit_test(sim__other_seed__goes_another_way),
		cmocka_unit_test(sim__actors_of_a_busy_worker__are_moved),
		cmocka_unit_test(sim__an_hour__passes_when_nothing_else_is_to_do),
		cmocka_unit_test(link__with_delays__keeps_the_order),
		cmocka_unit_test(link__reordering__does_not),
		cmocka_unit_test(link__dropping_or_duplicating__changes_the_number),
		cmocka_unit_test(node__crashed__runs_no_stop_and_starts_empty),
		cmocka_unit_test(actor__crashed_by_chance__is_restarted_and_loses_no_message),
		cmocka_unit_test(stop__of_a_child_that_waits_for_its_restart__is_not_its_end),
		cmocka_unit_test(options__out_of_range__are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
