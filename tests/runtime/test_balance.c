/* SPDX-License-Identifier: MIT */
/*
 * Who gives work to whom, and who goes to live where: three workers, each stepped by hand, at a rate of one tick a us. What
 * comes of it on threads: test_system.c.
 */
#include "kit.h"

#include "runtime/balance.h"
#include "runtime/turn.h"
#include "runtime/worker.h"

enum { WORKERS = 3, ACTORS = 16 };

struct place {
	struct posta_system *system;
	struct posta__worker *workers[WORKERS];
	struct kit_log logs[ACTORS];
	struct posta_actor *actors[ACTORS];
};

/* Until nobody has anything to do. Returns: whether there was anything. */
static bool step_all(struct place *place)
{
	bool any = false, more = true;
	while (more) {
		more = false;
		for (int i = 0; i < WORKERS; i++) {
			posta__worker_set_current(place->workers[i]);
			posta__poke(place->workers[i]);
			more = posta__worker_run(place->workers[i], 64) || more;
		}
		any = any || more;
	}
	posta__worker_set_current(NULL);
	return any;
}

/* What was measured is put as the tests want it. */
static void measure(struct place *place)
{
	for (int i = 0; i < WORKERS; i++) {
		struct posta__worker *worker = place->workers[i];
		worker->ticks_per_us = 1;
		worker->turn_ticks = 10;
		worker->dedicated = false;
		worker->sleeping = 0;
		worker->asker = NULL;
		worker->reluctance = 0;
		worker->load = 0;
		worker->talk = (struct posta__talk){ .partner = 0 };
	}
}

static void place_start(struct place *place)
{
	const struct posta_system_options options = { .workers = POSTA_HOST_DRIVEN,
						      .virtual_clock = true,
						      .actors_max = 4096,
						      .allocator = { kit_alloc, kit_free,
								     calloc(1, sizeof(struct kit_heap)) } };
	const struct posta__simulated by_hand = { .workers = WORKERS, .tag = 5 };
	struct posta_error error;
	assert_int_equal(posta__system_start_simulated(&options, &by_hand, &place->system, &error), POSTA_OK);
	for (int i = 0; i < WORKERS; i++)
		place->workers[i] = posta__system_worker(place->system, i);
	for (int i = 0; i < ACTORS; i++) {
		place->logs[i] = (struct kit_log){ .count = 0 };
		kit_spawn(place->system, &place->logs[i], NULL);
	}
	step_all(place);
	for (int i = 0; i < ACTORS; i++)
		place->actors[i] = posta__slot(place->workers[0], place->logs[i].self);
	measure(place);
}

static void place_end(struct place *place)
{
	struct kit_heap *heap = kit_heap(place->system);
	struct posta_stop_report report = { 0 };
	posta__system_begin_stop(place->system);
	step_all(place);
	posta__system_finish(place->system, &report);
	assert_int_equal(report.actors_left, 0);
	assert_int_equal(heap->blocks, 0);
	free(heap);
}

/* The first n of the actors live here and have a message: they are ready. */
static void ready(struct place *place, int home, size_t n)
{
	struct posta__worker *worker = place->workers[home];
	for (size_t i = 0; i < n; i++) {
		atomic_store(&place->actors[i]->home, (uintptr_t)worker);
		kit_send(place->system, place->logs[i].self, KIT_NOTE);
	}
	posta__worker_drain(worker);
	assert_int_equal(posta__run_count(worker, 100), n);
}

/* How many ready actors moved to this one, and they are handled there. */
static size_t arrived(struct place *place, int at)
{
	posta__worker_drain(place->workers[at]);
	size_t n = posta__run_count(place->workers[at], 100);
	step_all(place);
	measure(place);
	return n;
}

static void give__half_of_what_waits__if_it_is_worth_a_move(void **state)
{
	(void)state;
	static const struct {
		size_t waiting;
		double turn_ticks;
		uint32_t reluctance;
		size_t given;
	} rows[] = { { 7, 10, 0, 3 },    { 6, 10, 0, 0 },  { 8, 10, 0, 4 },	  { 1, 1000, 0, 0 },	{ 2, 35, 0, 1 },
		     { 2, 34, 0, 0 },    { 14, 10, 1, 7 }, { 13, 10, 1, 0 },	  { 7, 1280, 7, 3 },	{ 7, 1280, 9, 3 },
		     { 7, 1279, 7, 0 } };
	struct place place;
	place_start(&place);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posta__worker *from = place.workers[0], *to = place.workers[2];
		uint64_t moved = from->counters.moved;
		ready(&place, 0, rows[i].waiting);
		from->turn_ticks = rows[i].turn_ticks;
		from->reluctance = rows[i].reluctance;
		from->asker = to;
		posta__balance_serve(from);
		assert_null(from->asker);
		assert_int_equal(from->counters.moved, moved + rows[i].given);
		assert_int_equal(posta__run_count(from, 100), rows[i].waiting - rows[i].given);
		assert_int_equal(arrived(&place, 2), rows[i].given);
	}
	for (int i = 0; i < ACTORS; i++) /* each was handled where it was */
		assert_true(place.logs[i].count > 0 || i >= 14);
	place_end(&place);
}

static void give__who_cannot_move__stays_and_others_go(void **state)
{
	(void)state;
	struct place place;
	place_start(&place);
	ready(&place, 0, 10);
	place.actors[0]->pinned = true;
	place.actors[1]->status = POSTA__STARTING;
	place.actors[2]->attention |= POSTA__ATTEND_HOLD;
	place.actors[3]->timers = 1;
	place.workers[0]->asker = place.workers[1];
	posta__balance_serve(place.workers[0]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(place.actors[i]->home, (uintptr_t)place.workers[0]);
	place.actors[0]->pinned = false;
	place.actors[1]->status = POSTA__RUNNING;
	place.actors[2]->attention = 0;
	place.actors[3]->timers = 0;
	assert_int_equal(arrived(&place, 1), 5);
	ready(&place, 0, 10); /* asked by none, or by itself: nothing */
	posta__balance_give(place.workers[0], place.workers[1]);
	place.workers[0]->asker = place.workers[0];
	posta__balance_serve(place.workers[0]);
	assert_int_equal(posta__run_count(place.workers[0], 100), 10);
	place_end(&place);
}

static void ask__the_next_who_is_awake_and_was_not_asked(void **state)
{
	(void)state;
	static const struct {
		bool sleeping[WORKERS], asked[WORKERS], dedicated;
		int workers, whom; /* -1: nobody */
	} rows[] = { { { 0 }, { 0 }, false, 3, 2 },	   { { 0, 0, 1 }, { 0 }, false, 3, 0 },
		     { { 0 }, { 0, 0, 1 }, false, 3, 0 },  { { 1, 0, 1 }, { 0 }, false, 3, -1 },
		     { { 0 }, { 1, 0, 1 }, false, 3, -1 }, { { 0 }, { 0 }, true, 3, -1 },
		     { { 0 }, { 0 }, false, 2, 0 },	   { { 0 }, { 0 }, false, 1, -1 } };
	struct place place;
	place_start(&place);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		measure(&place);
		for (int w = 0; w < WORKERS; w++) {
			place.workers[w]->sleeping = rows[i].sleeping[w];
			place.workers[w]->asker = rows[i].asked[w] ? place.workers[w] : NULL;
			place.workers[w]->poked = false;
		}
		place.workers[1]->dedicated = rows[i].dedicated;
		place.system->workers = rows[i].workers;
		posta__balance_ask(place.workers[1]);
		for (int w = 0; w < WORKERS; w++) {
			assert_int_equal(place.workers[w]->asker == place.workers[1], rows[i].whom == w);
			assert_int_equal(place.workers[w]->poked, rows[i].whom == w);
		}
	}
	place.system->workers = WORKERS;
	measure(&place);
	place_end(&place);
}

static void offer__to_the_first_who_sleeps(void **state)
{
	(void)state;
	static const struct {
		bool sleeping[WORKERS], dedicated;
		int workers, to; /* -1: nobody */
		size_t waiting;
	} rows[] = { { { 0, 0, 1 }, false, 3, 2, 8 },  { { 0, 1, 1 }, false, 3, 1, 8 }, { { 0, 1, 1 }, true, 3, -1, 8 },
		     { { 0, 0, 0 }, false, 3, -1, 8 }, { { 0, 1, 0 }, false, 2, 1, 8 }, { { 0, 1, 1 }, false, 1, -1, 8 },
		     { { 0, 1, 1 }, false, 3, -1, 6 } };
	struct place place;
	place_start(&place);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ready(&place, 0, rows[i].waiting);
		for (int w = 0; w < WORKERS; w++)
			place.workers[w]->sleeping = rows[i].sleeping[w];
		place.workers[0]->dedicated = rows[i].dedicated;
		place.system->workers = rows[i].workers;
		posta__balance_offer(place.workers[0]);
		place.system->workers = WORKERS;
		size_t stay = rows[i].to < 0 ? rows[i].waiting : rows[i].waiting / 2;
		assert_int_equal(posta__run_count(place.workers[0], 100), stay);
		assert_int_equal(arrived(&place, rows[i].to < 0 ? 1 : rows[i].to), rows[i].waiting - stay);
	}
	place_end(&place);
}

/* Worker 2 talked with a worker of a lower number for 100 us: does it go there? work: per mille of its time. */
static void gather__to_whom_most_is_said__if_there_is_room(void **state)
{
	(void)state;
	static const struct {
		uint64_t window, idle;
		uint32_t messages, votes, load_there;
		uint8_t partner;
		bool dedicated, clock;
		int workers;
		bool goes;
		uint32_t work; /* UINT32_MAX: the window is not over */
	} rows[] = {
		{ 100, 0, 1000, 1, 0, 0, false, true, 3, true, 0 },
		{ 100, 0, 1000, 1, 0, 1, false, true, 3, true, 0 },
		{ 99, 0, 1000, 1, 0, 0, false, true, 3, false, UINT32_MAX },
		{ 100, 0, 1000, 1, 0, 0, false, true, 1, false, UINT32_MAX },
		{ 100, 0, 1000, 1, 0, 0, false, false, 3, false, UINT32_MAX },
		{ 100, 0, 1000, 1, 0, 0, true, true, 3, false, 0 },
		{ 100, 0, 1000, 0, 0, 0, false, true, 3, false, 0 },
		{ 100, 0, 1000, 1, 0, 2, false, true, 3, false, 0 },
		{ 100, 0, 1000, 1, 0, 3, false, true, 3, false, 0 },
		{ 1000, 0, 5000, 1, 0, 0, false, true, 3, true, 500 },
		{ 1000, 0, 4990, 1, 0, 0, false, true, 3, false, 501 },
		{ 1000, 0, 7500, 1, 600, 0, false, true, 3, true, 250 },
		{ 1000, 0, 7500, 1, 700, 0, false, true, 3, false, 250 },
		{ 1000, 250, 5000, 1, 0, 0, false, true, 3, true, 250 },
		{ 1000, 900, 4000, 1, 0, 0, false, true, 3, true, 0 },
	};
	struct place place;
	place_start(&place);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct posta__worker *worker = place.workers[2], *to = place.workers[rows[i].partner % WORKERS];
		ready(&place, 2, 4);
		to->load = rows[i].load_there;
		worker->load = 777;
		worker->polled_ticks = 1000000 + rows[i].window;
		worker->talk = (struct posta__talk){ .since_ticks = 1000000,
						     .idle_ticks = rows[i].idle,
						     .messages = rows[i].messages,
						     .votes = rows[i].votes,
						     .partner = rows[i].partner,
						     .relented_ticks = 1000000 };
		worker->dedicated = rows[i].dedicated;
		place.system->workers = rows[i].workers;
		place.system->options.virtual_clock = !rows[i].clock;
		posta__balance_gather(worker);
		place.system->workers = WORKERS;
		place.system->options.virtual_clock = true;
		bool over = rows[i].work != UINT32_MAX;
		assert_in_range(worker->load, over ? rows[i].work : 777, over ? rows[i].work : 777);
		assert_ptr_equal(worker->talk.gather_to, rows[i].goes ? to : NULL);
		assert_int_equal(worker->talk.messages, over ? 0 : rows[i].messages);
		assert_int_equal(worker->talk.since_ticks, over ? worker->polled_ticks : 1000000);
		assert_int_equal(worker->talk.partner, rows[i].partner);
		assert_int_equal(to->reluctance, rows[i].goes ? 1 : 0);
		assert_int_equal(posta__run_count(worker, 100), rows[i].goes ? 0 : 4);
		assert_int_equal(arrived(&place, rows[i].goes ? rows[i].partner : 2), 4);
	}
	place_end(&place);
}

/* By a clock: where time is virtual nothing is gathered. */
static void gather(struct place *place, struct posta__worker *worker)
{
	place->system->options.virtual_clock = false;
	posta__balance_gather(worker);
	place->system->options.virtual_clock = true;
}

/* While they are gathered whoever is notified follows, but for those that cannot; the reluctance grows once, and fades. */
static void gather__goes_on__reluctance_grows_once_and_fades(void **state)
{
	(void)state;
	struct place place;
	place_start(&place);
	struct posta__worker *worker = place.workers[1], *to = place.workers[0];
	uint64_t ticks = 1000000;
	for (int round = 0; round < 3; round++, ticks += 100) {
		worker->polled_ticks = ticks + 100;
		worker->talk = (struct posta__talk){ .since_ticks = ticks,
						     .relented_ticks = ticks,
						     .messages = 1000,
						     .votes = 1,
						     .gather_to = worker->talk.gather_to };
		gather(&place, worker);
		assert_int_equal(to->reluctance, 1);
	}
	atomic_store(&place.actors[0]->home, (uintptr_t)worker);
	place.actors[1]->pinned = true;
	assert_false(posta__balance_gathers(worker, place.actors[1]));
	place.actors[1]->pinned = false;
	place.actors[1]->queued = true;
	assert_false(posta__balance_gathers(worker, place.actors[1]));
	place.actors[1]->queued = false;
	kit_send(place.system, place.logs[0].self, KIT_NOTE);
	posta__worker_drain(worker);
	assert_int_equal(posta__run_count(worker, 100), 0);
	posta__worker_drain(to);
	assert_int_equal(posta__run_count(to, 100), 1);
	assert_null(to->talk.gather_to);
	worker->talk.gather_to = NULL;
	assert_false(posta__balance_gathers(worker, place.actors[0]));
	static const struct {
		uint64_t passed;
		uint32_t reluctance, then;
	} rows[] = { { 49999, 3, 3 }, { 50000, 3, 2 }, { 60000, 0, 0 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		worker->talk = (struct posta__talk){ .since_ticks = ticks, .relented_ticks = ticks };
		worker->polled_ticks = ticks + rows[i].passed;
		worker->reluctance = rows[i].reluctance;
		gather(&place, worker);
		assert_int_equal(worker->reluctance, rows[i].then);
		assert_int_equal(worker->talk.relented_ticks,
				 rows[i].passed < 50000 ? ticks : ticks + rows[i].passed);
	}
	place_end(&place);
}

/* -- What crosses is noted on both sides -- */

static enum posta_err pass_on(struct posta_actor *self, void *state, struct posta_message *message)
{
	return posta_send(self, *(posta_ref *)state, message->type, NULL, 0);
}

static void talk__a_message_that_crosses__is_noted_by_both(void **state)
{
	(void)state;
	static const struct posta_actor_class passer = { .name = "passer", .receive = pass_on };
	struct place place;
	place_start(&place);
	posta_ref to = place.logs[0].self;
	/* Told by the block; under the address sanitizer each is the heap's. */
	struct posta_message *block = posta__message_copy(place.workers[1], place.system, KIT_NOTE, NULL, 0);
	const unsigned owner = block->owner_;
	posta__message_release(place.workers[1], place.system, block);
	const struct posta_spawn_options there = { .pinned = true, .worker = 2 };
	posta_ref ref = posta_system_spawn(place.system, &passer, &to, &there, NULL);
	step_all(&place);
	atomic_store(&place.actors[0]->home, (uintptr_t)place.workers[2]);
	kit_send(place.system, ref, KIT_NOTE); /* home: only what came from outside crosses */
	step_all(&place);
	measure(&place);
	atomic_store(&place.actors[0]->home, (uintptr_t)place.workers[0]);
	for (int i = 0; i < 3; i++)
		kit_send(place.system, ref, KIT_NOTE);
	step_all(&place);
	assert_int_equal(place.logs[0].count, 4);
	assert_int_equal(place.workers[1]->talk.messages, 3 + 3); /* from outside, and on */
	assert_int_equal(place.workers[0]->talk.messages, 3);
	assert_int_equal(place.workers[0]->talk.partner, owner);
	assert_int_equal(place.workers[0]->talk.votes, 3);
	measure(&place);
	place_end(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(give__half_of_what_waits__if_it_is_worth_a_move),
		cmocka_unit_test(give__who_cannot_move__stays_and_others_go),
		cmocka_unit_test(ask__the_next_who_is_awake_and_was_not_asked),
		cmocka_unit_test(offer__to_the_first_who_sleeps),
		cmocka_unit_test(gather__to_whom_most_is_said__if_there_is_room),
		cmocka_unit_test(gather__goes_on__reluctance_grows_once_and_fades),
		cmocka_unit_test(talk__a_message_that_crosses__is_noted_by_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
