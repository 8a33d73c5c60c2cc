/* SPDX-License-Identifier: MIT */
/* Timers on two workers: each fires once or was cancelled, none both. */
#include "stress.h"

#define OWNERS 4
#define SLOTS 64
#define TIMER_FIRED 2u
#define TIMER_TICK 3u

struct world {
	_Atomic(uint64_t) armed, fired, cancelled, wrong, rounds;
	_Atomic(bool) over;
	posta_ref peers[OWNERS];
};

struct owner {
	struct world *world;
	uint32_t random, id;
	posta_timer timers[SLOTS];
	uint32_t serial[SLOTS]; /* of the timer that is armed in this place; 0: none */
	uint32_t next;
};

struct due {
	uint32_t place, serial;
};

static void rearm(struct posta_actor *self, struct owner *owner, uint32_t place)
{
	if (owner->serial[place]) {
		if (posta_cancel(self, owner->timers[place])) {
			atomic_fetch_add(&owner->world->cancelled, 1);
			owner->serial[place] = 0; /* a message of it that comes now is wrong */
		}
		return; /* else it fired already, and its message is in the mailbox */
	}
	struct due due = { place, ++owner->next };
	owner->timers[place] = posta_send_after(self, stress_random(&owner->random) % 4, posta_self(self), TIMER_FIRED,
						&due, sizeof due);
	if (!owner->timers[place])
		return;
	owner->serial[place] = due.serial;
	atomic_fetch_add(&owner->world->armed, 1);
}

static enum posta_err owner_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct owner *owner = state;
	if (message->type == TIMER_FIRED) {
		const struct due *due = posta_data(message);
		if (owner->serial[due->place] != due->serial)
			atomic_fetch_add(&owner->world->wrong, 1);
		owner->serial[due->place] = 0;
		atomic_fetch_add_explicit(&owner->world->fired, 1, memory_order_release);
		return POSTA_OK;
	}
	if (message->type == TIMER_TICK || atomic_load(&owner->world->over))
		return POSTA_OK;
	for (int i = 0; i < 16; i++)
		rearm(self, owner, stress_random(&owner->random) % SLOTS);
	posta_timer tick =
		posta_send_every(self, 1, owner->world->peers[(owner->id + 1) % OWNERS], TIMER_TICK, NULL, 0);
	if (owner->random & 1)
		posta_cancel(self, tick);
	else
		posta_send_after(self, 2, owner->world->peers[(owner->id + 1) % OWNERS], TIMER_TICK, NULL, 0);
	posta_cancel(self, tick);
	atomic_fetch_add(&owner->world->rounds, 1);
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class owner_class = { .name = "owner", .receive = owner_receive };

static void timer__armed_and_cancelled_at_random__fires_once_or_not_at_all(void **state)
{
	(void)state;
	struct posta_system *system = stress_system();
	struct world world = { 0 };
	struct owner owners[OWNERS] = { 0 };
	for (uint32_t i = 0; i < OWNERS; i++) {
		owners[i] = (struct owner){ .world = &world, .random = i + 1, .id = i };
		world.peers[i] = stress_spawn(system, &owner_class, &owners[i], 1 + (int)i % 2);
	}
	for (int i = 0; i < OWNERS; i++)
		posta_system_send(system, world.peers[i], 1, NULL, 0);
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until)
		sched_yield();
	atomic_store(&world.over, true);
	until += STRESS_WAIT_MS;
	while (atomic_load(&world.fired) + atomic_load(&world.cancelled) < atomic_load(&world.armed) &&
	       stress_now_ms() < until)
		sched_yield();
	assert_int_equal(world.fired + world.cancelled, world.armed);
	stress_stop(system);
	assert_int_equal(world.fired + world.cancelled, world.armed);
	assert_int_equal(world.wrong, 0);
	assert_true(world.cancelled > 0);
	assert_true(world.fired > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer__armed_and_cancelled_at_random__fires_once_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
