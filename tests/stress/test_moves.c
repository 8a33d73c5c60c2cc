/* SPDX-License-Identifier: MIT */
/*
 * Actors that move between workers under load: nothing is lost, each pair keeps its order, nobody runs twice at once.
 */
#include "stress.h"

#define ACTORS 12
#define STRANGERS 2
#define LAPS 40

struct world {
	struct posta_system *system;
	posta_ref refs[ACTORS];
	_Atomic(uint64_t) handled, sent, disorder, twice;
	_Atomic(bool) over;
};

struct mover {
	struct world *world;
	uint32_t id, random;
	uint32_t out[ACTORS];            /* numbers of what it sends */
	uint32_t in[ACTORS + STRANGERS]; /* numbers it expects */
	_Atomic(uint32_t) inside;
};

struct note {
	uint32_t sender, number, laps;
};

static void pass_on(struct posta_actor *self, struct mover *mover, uint32_t laps)
{
	uint32_t to = stress_random(&mover->random) % ACTORS;
	struct note note = { mover->id, mover->out[to], laps };
	if (posta_send(self, mover->world->refs[to], 1, &note, sizeof note) != POSTA_OK)
		return;
	mover->out[to]++;
	atomic_fetch_add(&mover->world->sent, 1);
}

static enum posta_err mover_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct mover *mover = state;
	const struct note *note = posta_data(message);
	if (atomic_exchange_explicit(&mover->inside, 1, memory_order_relaxed))
		atomic_fetch_add(&mover->world->twice, 1);
	if (mover->in[note->sender]++ != note->number)
		atomic_fetch_add(&mover->world->disorder, 1);
	stress_spin(2000 + stress_random(&mover->random) % 8000);
	if (note->laps)
		pass_on(self, mover, note->laps - 1);
	atomic_store_explicit(&mover->inside, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&mover->world->handled, 1, memory_order_release);
	return POSTA_OK;
}

static const struct posta_actor_class mover_class = { .name = "mover", .receive = mover_receive };

struct stranger {
	struct world *world;
	uint32_t id, random;
};

static void *stranger(void *argument)
{
	struct stranger *stranger = argument;
	struct world *world = stranger->world;
	uint32_t numbers[ACTORS] = { 0 };
	uint64_t until = stress_now_ms() + 2 * STRESS_MS;
	while (stress_now_ms() < until) {
		uint32_t to = stress_random(&stranger->random) % ACTORS;
		struct note note = { stranger->id, numbers[to], LAPS };
		assert_int_equal(posta_system_send(world->system, world->refs[to], 1, &note, sizeof note), POSTA_OK);
		numbers[to]++;
		atomic_fetch_add(&world->sent, 1);
		while (atomic_load(&world->sent) - atomic_load(&world->handled) > 400 && stress_now_ms() < until)
			sched_yield();
	}
	return NULL;
}

static void move__under_load__loses_nothing_and_keeps_order(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct mover movers[ACTORS] = { 0 };
	struct stranger strangers[STRANGERS];
	for (uint32_t i = 0; i < ACTORS; i++) {
		movers[i] = (struct mover){ .world = &world, .id = i, .random = i + 1 };
		world.refs[i] = stress_spawn(world.system, &mover_class, &movers[i], 0);
	}
	for (uint32_t i = 0; i < STRANGERS; i++)
		strangers[i] = (struct stranger){ .world = &world, .id = ACTORS + i, .random = i + 77 };
	stress_strangers(STRANGERS, stranger, strangers, sizeof *strangers);
	uint64_t sent;
	do {
		sent = atomic_load(&world.sent);
		stress_wait(&world.handled, sent);
	} while (sent != atomic_load(&world.sent));
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(world.system, &metrics);
	stress_stop(world.system);
	assert_int_equal(world.handled, world.sent);
	assert_int_equal(world.disorder, 0);
	assert_int_equal(world.twice, 0);
	assert_true(metrics.moved > 0);
}

/*
 * A slot that a late message has brought into its run queue is used again for an actor that lives elsewhere. The
 * spawner's thread has many of them: children that end at once while strangers still write to them.
 */
#define KNOWN 64

struct nursery {
	struct posta_system *system;
	_Atomic(posta_ref) known[KNOWN];
	_Atomic(uint64_t) spawned, ended, greeted;
	_Atomic(bool) over;
};

static enum posta_err child_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct nursery *nursery = state;
	atomic_fetch_add_explicit(&nursery->greeted, 1, memory_order_relaxed);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static void child_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	struct nursery *nursery = state;
	atomic_fetch_add_explicit(&nursery->ended, 1, memory_order_release);
}

static const struct posta_actor_class child_class = {
	.name = "child",
	.receive = child_receive,
	.stop = child_stop,
};

static enum posta_err nurse_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct nursery *nursery = state;
	if (atomic_load(&nursery->over))
		return POSTA_OK;
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t n = atomic_load_explicit(&nursery->spawned, memory_order_relaxed);
		struct posta_spawn_options options = { .pinned = true, .worker = 1 + (int)(n % 2) };
		posta_ref ref = posta_spawn_with(self, &child_class, nursery, &options, NULL);
		if (ref == POSTA_NOBODY)
			return POSTA_ENOMEM;
		atomic_fetch_add(&nursery->spawned, 1);
		atomic_store(&nursery->known[n % KNOWN], ref);
		posta_send(self, ref, 1, NULL, 0);
	}
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class nurse_class = { .name = "nurse", .receive = nurse_receive };

static void *pesterer(void *argument)
{
	struct nursery *nursery = *(struct nursery **)argument;
	uint64_t until = stress_now_ms() + STRESS_MS;
	uint32_t random = 5;
	while (stress_now_ms() < until)
		for (int i = 0; i < 32; i++)
			posta_system_send(nursery->system, atomic_load(&nursery->known[stress_random(&random) % KNOWN]),
					  1, NULL, 0);
	atomic_store(&nursery->over, true);
	return NULL;
}

static void spawn__in_a_slot_with_late_messages__lives_on_one_worker(void **state)
{
	(void)state;
	struct nursery nursery = { .system = stress_system() };
	struct nursery *arguments[STRANGERS] = { &nursery, &nursery };
	posta_ref nurse = stress_spawn(nursery.system, &nurse_class, &nursery, 1);
	posta_system_send(nursery.system, nurse, 1, NULL, 0);
	stress_strangers(STRANGERS, pesterer, arguments, sizeof *arguments);
	stress_wait(&nursery.ended, atomic_load(&nursery.spawned));
	stress_stop(nursery.system);
	assert_int_equal(nursery.ended, nursery.spawned);
	assert_true(nursery.spawned > KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(move__under_load__loses_nothing_and_keeps_order),
		cmocka_unit_test(spawn__in_a_slot_with_late_messages__lives_on_one_worker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
