/* SPDX-License-Identifier: MIT */
/* Names and groups, used from all threads at once. */
#include "stress.h"

#include <stdio.h>

#define NAMES 16
#define OWNERS 4

struct world {
	struct posta_system *system;
	_Atomic(uint64_t) owned[NAMES]; /* who has the name: at most one */
	_Atomic(uint64_t) rounds, shared, greeted;
	_Atomic(bool) over;
};

struct owner {
	struct world *world;
	uint32_t random;
};

static void own(struct posta_actor *self, struct owner *owner, uint32_t n)
{
	char name[16];
	snprintf(name, sizeof name, "name-%u", n);
	if (posta_register(self, name) != POSTA_OK)
		return;
	if (atomic_fetch_add(&owner->world->owned[n], 1) != 0)
		atomic_fetch_add(&owner->world->shared, 1);
	stress_spin(stress_random(&owner->random) % 500);
	if (posta_lookup(owner->world->system, name) != posta_self(self))
		atomic_fetch_add(&owner->world->shared, 1);
	atomic_fetch_sub(&owner->world->owned[n], 1);
	if (posta_unregister(self, name) != POSTA_OK)
		atomic_fetch_add(&owner->world->shared, 1);
}

static enum posta_err owner_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct owner *owner = state;
	if (message->type == 2) {
		atomic_fetch_add(&owner->world->greeted, 1);
		return POSTA_OK;
	}
	if (atomic_load(&owner->world->over))
		return POSTA_OK;
	for (int i = 0; i < 8; i++)
		own(self, owner, stress_random(&owner->random) % NAMES);
	char group[16];
	snprintf(group, sizeof group, "group-%u", stress_random(&owner->random) % 4);
	if (posta_group_join(self, group) == POSTA_OK) {
		posta_group_publish(self, group, 2, NULL, 0);
		posta_ref member = posta_group_pick(self, group, POSTA_PICK_ROUND_ROBIN, NULL, 0);
		posta_send(self, member, 2, NULL, 0);
		if (owner->random & 1)
			posta_group_leave(self, group);
	}
	atomic_fetch_add_explicit(&owner->world->rounds, 1, memory_order_release);
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class owner_class = { .name = "owner", .receive = owner_receive };

static void *stranger(void *argument)
{
	struct world *world = *(struct world **)argument;
	uint64_t until = stress_now_ms() + STRESS_MS;
	for (uint32_t n = 0; stress_now_ms() < until; n++) {
		char name[16];
		snprintf(name, sizeof name, "name-%u", n % NAMES);
		posta_ref ref = posta_lookup(world->system, name);
		if (ref != POSTA_NOBODY)
			posta_system_send(world->system, ref, 2, NULL, 0);
		posta_group_size(world->system, "group-1");
		sched_yield();
	}
	return NULL;
}

static void name__wanted_by_many__is_had_by_one(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct owner owners[OWNERS];
	struct world *worlds[2] = { &world, &world };
	for (int i = 0; i < OWNERS; i++) {
		owners[i] = (struct owner){ &world, (uint32_t)i + 1 };
		posta_system_send(world.system, stress_spawn(world.system, &owner_class, &owners[i], 1 + i % 2), 1,
				  NULL, 0);
	}
	stress_strangers(2, stranger, worlds, sizeof *worlds);
	atomic_store(&world.over, true);
	stress_stop(world.system);
	assert_int_equal(world.shared, 0);
	assert_true(world.rounds > 10);
}

/* An actor's name ends with it, whoever looks it up meanwhile. */
static enum posta_err brief_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state, (void)message;
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class brief_class = { .name = "brief", .receive = brief_receive };

static void *namer(void *argument)
{
	struct world *world = *(struct world **)argument;
	uint32_t random = 1 + (uint32_t)(uintptr_t)&random;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		char name[16];
		snprintf(name, sizeof name, "brief-%u", stress_random(&random) % 4);
		struct posta_spawn_options options = { .name = name };
		struct posta_error error = { .code = POSTA_OK };
		posta_ref ref = posta_system_spawn(world->system, &brief_class, NULL, &options, &error);
		if (ref == POSTA_NOBODY)
			assert_int_equal(error.code, POSTA_EEXISTS);
		posta_system_send(world->system, posta_lookup(world->system, name), 2, NULL, 0);
		atomic_fetch_add(&world->rounds, ref != POSTA_NOBODY);
	}
	return NULL;
}

static void name__of_actors_that_come_and_go__is_free_again(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct world *worlds[3] = { &world, &world, &world };
	stress_strangers(3, namer, worlds, sizeof *worlds);
	assert_true(world.rounds > 10);
	stress_stop(world.system);
}

/* Whoever finds a name can send to its actor, from the first moment on. */
static enum posta_err welcome_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct world *world = state;
	(void)message;
	atomic_fetch_add_explicit(&world->greeted, 1, memory_order_release);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static const struct posta_actor_class welcome_class = { .name = "welcome", .receive = welcome_receive };

static void *welcomer(void *argument)
{
	struct world *world = *(struct world **)argument;
	const struct posta_spawn_options options = { .name = "welcome", .pinned = true, .worker = 2 };
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		uint64_t before = atomic_load_explicit(&world->greeted, memory_order_acquire);
		while (posta_system_spawn(world->system, &welcome_class, world, &options, NULL) == POSTA_NOBODY)
			sched_yield(); /* its name is the last one's still */
		stress_wait(&world->greeted, before + 1);
	}
	atomic_store(&world->over, true);
	return NULL;
}

static void *greeter(void *argument)
{
	struct world *world = *(struct world **)argument;
	posta_ref greeted = POSTA_NOBODY;
	while (!atomic_load(&world->over)) {
		posta_ref ref = posta_lookup(world->system, "welcome");
		if (ref == POSTA_NOBODY || ref == greeted)
			continue;
		if (posta_system_send(world->system, ref, 1, NULL, 0) != POSTA_OK)
			atomic_fetch_add(&world->shared, 1);
		greeted = ref;
	}
	return NULL;
}

static void *welcomer_or_greeter(void *argument)
{
	struct world *world = *(struct world **)argument;
	return atomic_fetch_add(&world->rounds, 1) ? greeter(argument) : welcomer(argument);
}

static void name__just_taken__can_be_sent_to(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct world *worlds[2] = { &world, &world };
	stress_strangers(2, welcomer_or_greeter, worlds, sizeof *worlds);
	assert_int_equal(world.shared, 0);
	stress_stop(world.system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name__wanted_by_many__is_had_by_one),
		cmocka_unit_test(name__of_actors_that_come_and_go__is_free_again),
		cmocka_unit_test(name__just_taken__can_be_sent_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
