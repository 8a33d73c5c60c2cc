/* SPDX-License-Identifier: MIT */
/* Actors that begin and end while others write to them, watch them and link to them; systems that come and go. */
#include "stress.h"

#define ENDERS 64
#define STRANGERS 3

/*
 * -- A receiver that ends while it is written to: each message is handled or a dead letter, none both, none neither --
 */

struct town {
	struct posta_system *system;
	_Atomic(posta_ref) refs[ENDERS];
	_Atomic(uint64_t) sent, handled, dead, spawned, started, stopped;
	_Atomic(bool) over;
};

static void on_dead_letter(void *context, const struct posta_dead_letter *letter)
{
	struct town *town = context;
	if (letter->type == 1)
		atomic_fetch_add_explicit(&town->dead, 1, memory_order_release);
}

struct mortal {
	struct town *town;
	uint32_t life;
};

static enum posta_err mortal_start(struct posta_actor *self, void *state, void *argument)
{
	(void)self;
	struct mortal *mortal = state;
	mortal->town = argument;
	mortal->life = 20;
	atomic_fetch_add(&mortal->town->started, 1);
	return POSTA_OK;
}

static enum posta_err mortal_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct mortal *mortal = state;
	atomic_fetch_add_explicit(&mortal->town->handled, 1, memory_order_release);
	if (--mortal->life == 0)
		posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static void mortal_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	struct mortal *mortal = state;
	if (mortal->town) /* else the stop came before its start */
		atomic_fetch_add(&mortal->town->stopped, 1);
}

static const struct posta_actor_class mortal_class = {
	.name = "mortal",
	.state_size = sizeof(struct mortal),
	.receive = mortal_receive,
	.start = mortal_start,
	.stop = mortal_stop,
};

static void *neighbour(void *argument)
{
	struct town *town = *(struct town **)argument;
	uint32_t random = 1 + (uint32_t)(uintptr_t)&random;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		uint32_t house = stress_random(&random) % ENDERS;
		if (posta_system_send(town->system, atomic_load(&town->refs[house]), 1, NULL, 0) == POSTA_EDEAD) {
			struct posta_spawn_options options = { .pinned = random & 1,
							       .worker = 1 + (int)(random / 2 % 2) };
			posta_ref ref = posta_system_spawn(town->system, &mortal_class, town, &options, NULL);
			assert_true(ref != POSTA_NOBODY);
			atomic_fetch_add(&town->spawned, 1);
			atomic_store(&town->refs[house], ref);
		}
		atomic_fetch_add(&town->sent, 1);
	}
	return NULL;
}

static void send__while_the_receiver_ends__is_handled_or_a_dead_letter(void **state)
{
	(void)state;
	struct town town = { 0 };
	struct posta_system_options options = { .dead_letter = on_dead_letter, .dead_letter_context = &town };
	struct town *towns[STRANGERS] = { &town, &town, &town };
	town.system = stress_system_with(&options);
	stress_strangers(STRANGERS, neighbour, towns, sizeof *towns);
	uint64_t until = stress_now_ms() + STRESS_WAIT_MS;
	while (atomic_load(&town.handled) + atomic_load(&town.dead) < town.sent && stress_now_ms() < until)
		sched_yield();
	assert_int_equal(town.handled + town.dead, town.sent);
	stress_stop(town.system);
	assert_int_equal(town.handled + town.dead, town.sent);
	assert_int_equal(town.stopped, town.started);
	assert_true(town.spawned > ENDERS);
}

/* -- Trees that are made and torn down -- */

struct storm {
	_Atomic(uint64_t) started, stopped;
	_Atomic(bool) over;
};

struct branch { /* a seed's children's seed is the next one in the array */
	struct storm *storm;
	uint32_t depth;
};

static const struct posta_actor_class branch_class;

static enum posta_err branch_start(struct posta_actor *self, void *state, void *argument)
{
	struct branch *branch = state, *seed = argument;
	*branch = (struct branch){ seed->storm, seed->depth };
	atomic_fetch_add(&branch->storm->started, 1);
	for (int i = 0; branch->depth < 3 && i < 3; i++) {
		struct posta_spawn_options options = { .pinned = i > 0, .worker = i };
		if (posta_spawn_with(self, &branch_class, seed + 1, &options, NULL) == POSTA_NOBODY)
			return POSTA_ENOMEM;
	}
	return POSTA_OK;
}

static enum posta_err branch_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self, (void)state, (void)message;
	return POSTA_EFAILED;
}

static void branch_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	(void)self, (void)reason;
	struct branch *branch = state;
	if (branch->storm) /* else the stop came before its start */
		atomic_fetch_add_explicit(&branch->storm->stopped, 1, memory_order_release);
}

static const struct posta_actor_class branch_class = {
	.name = "branch",
	.state_size = sizeof(struct branch),
	.receive = branch_receive,
	.start = branch_start,
	.stop = branch_stop,
};

struct logger {
	struct posta_system *system;
	struct branch *seeds;
};

/* Half of the trees are felled at once, some fail, while they still grow. */
static void *fell(void *argument)
{
	struct logger *logger = argument;
	uint32_t random = 1 + (uint32_t)(uintptr_t)&random;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		posta_ref root = posta_system_spawn(logger->system, &branch_class, logger->seeds, NULL, NULL);
		assert_true(root != POSTA_NOBODY);
		if (stress_random(&random) % 2)
			stress_spin(random % 20000);
		if (random % 3)
			posta_system_stop_actor(logger->system, root, POSTA_ESHUTDOWN);
		else
			posta_system_send(logger->system, root, 1, NULL, 0);
	}
	return NULL;
}

static void stop__of_trees_that_still_grow__ends_each_actor_once(void **state)
{
	(void)state;
	struct posta_system *system = stress_system();
	struct storm storm = { 0 };
	struct branch seeds[4] = { { &storm, 0 }, { &storm, 1 }, { &storm, 2 }, { &storm, 3 } };
	struct logger loggers[2] = { { system, seeds }, { system, seeds } };
	stress_strangers(2, fell, loggers, sizeof *loggers);
	stress_stop(system);
	assert_int_equal(storm.started, storm.stopped);
	assert_true(storm.started > 40);
}

/* -- Watching across workers -- */

struct watch_world {
	_Atomic(uint64_t) watched, down;
	_Atomic(bool) over;
};

static enum posta_err brief_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class brief_class = { .name = "brief", .receive = brief_receive };

static enum posta_err watcher_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct watch_world *world = state;
	if (message->type == POSTA_MSG_DOWN) {
		atomic_fetch_add_explicit(&world->down, 1, memory_order_release);
		return POSTA_OK;
	}
	if (atomic_load(&world->over))
		return POSTA_OK;
	for (int i = 0; i < 8; i++) {
		struct posta_spawn_options options = { .pinned = true, .worker = 1 + i % 2 };
		posta_ref ref = posta_spawn_with(self, &brief_class, NULL, &options, NULL);
		if (i & 4)
			posta_send(self, ref, 1, NULL, 0);
		posta_monitor once = posta_watch(self, ref), twice = posta_watch(self, ref);
		if (!once || !twice)
			return POSTA_ENOMEM;
		posta_unwatch(self, twice);
		atomic_fetch_add(&world->watched, 1);
		if (!(i & 4))
			posta_send(self, ref, 1, NULL, 0);
	}
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class watcher_class = { .name = "watcher", .receive = watcher_receive };

static void watch__of_actors_that_end_elsewhere__is_told_once(void **state)
{
	(void)state;
	struct posta_system *system = stress_system();
	struct watch_world world = { 0 };
	for (int i = 1; i <= 2; i++)
		posta_system_send(system, stress_spawn(system, &watcher_class, &world, i), 1, NULL, 0);
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until)
		sched_yield();
	atomic_store(&world.over, true);
	uint64_t watched;
	do {
		watched = atomic_load(&world.watched);
		stress_wait(&world.down, watched);
	} while (watched != atomic_load(&world.watched));
	stress_stop(system);
	assert_int_equal(world.down, world.watched);
}

/* -- Systems -- */

static void *come_and_go(void *argument)
{
	(void)argument;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		struct town town = { .system = stress_system() };
		for (int i = 0; i < 8; i++) {
			struct posta_spawn_options options = { .pinned = i & 1,
							       .worker = 1 + i / 2 % 2,
							       .dedicated = i == 7 };
			posta_ref ref = posta_system_spawn(town.system, &mortal_class, &town, &options, NULL);
			assert_true(ref != POSTA_NOBODY);
			for (int j = 0; j < 30; j++)
				posta_system_send(town.system, ref, 1, NULL, 0);
		}
		stress_stop(town.system);
		assert_int_equal(town.stopped, town.started);
	}
	return NULL;
}

static void system__started_and_stopped_by_several__leaves_nothing(void **state)
{
	(void)state;
	int nothing[2];
	stress_strangers(2, come_and_go, nothing, sizeof *nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send__while_the_receiver_ends__is_handled_or_a_dead_letter),
		cmocka_unit_test(stop__of_trees_that_still_grow__ends_each_actor_once),
		cmocka_unit_test(watch__of_actors_that_end_elsewhere__is_told_once),
		cmocka_unit_test(system__started_and_stopped_by_several__leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
