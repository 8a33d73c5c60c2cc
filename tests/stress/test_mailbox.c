/* SPDX-License-Identifier: MIT */
/* Many senders on all kinds of threads, few receivers: nothing is lost, and each pair keeps its order. */
#include "stress.h"

#define RECEIVERS 4
#define STRANGERS 3
#define ACTORS 4
#define BURST 64

struct world {
	struct posta_system *system;
	struct stress_receiver receivers[RECEIVERS];
	posta_ref refs[RECEIVERS];
	_Atomic(uint64_t) handled, disorder, sent, full;
	_Atomic(bool) over;
};

struct sender {
	struct world *world;
	uint32_t id, random;
	uint32_t numbers[RECEIVERS];
};

static void world_fill(struct world *world, struct posta_spawn_options *options)
{
	struct posta_error error;
	for (int i = 0; i < RECEIVERS; i++) {
		world->receivers[i].handled = &world->handled;
		world->receivers[i].disorder = &world->disorder;
		options->pinned = true;
		options->worker = 1 + i % 2;
		world->refs[i] = posta_system_spawn(world->system, &stress_receiver_class, &world->receivers[i],
						    options, &error);
		assert_true(world->refs[i] != POSTA_NOBODY);
	}
}

static void world_end(struct world *world)
{
	stress_wait(&world->handled, atomic_load(&world->sent));
	stress_stop(world->system);
	assert_int_equal(world->handled, world->sent);
	assert_int_equal(world->disorder, 0);
}

static bool room(struct world *world)
{
	return atomic_load(&world->sent) - atomic_load(&world->handled) < 20000;
}

static void *stranger(void *argument)
{
	struct sender *sender = argument;
	struct world *world = sender->world;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		for (int i = 0; i < BURST; i++) {
			uint32_t to = stress_random(&sender->random) % RECEIVERS;
			struct stress_number number = { sender->id, sender->numbers[to] };
			enum posta_err result =
				posta_system_send(world->system, world->refs[to], 1, &number, sizeof number);
			if (result == POSTA_OK) {
				sender->numbers[to]++;
				atomic_fetch_add(&world->sent, 1);
			} else if (result == POSTA_EFULL) {
				atomic_fetch_add(&world->full, 1);
			}
		}
		while (!room(world) && stress_now_ms() < until)
			sched_yield();
	}
	return NULL;
}

static void strangers_send(struct world *world)
{
	struct sender senders[STRANGERS] = { 0 };
	for (uint32_t i = 0; i < STRANGERS; i++)
		senders[i] = (struct sender){ .world = world, .id = i, .random = i + 1 };
	stress_strangers(STRANGERS, stranger, senders, sizeof *senders);
}

static void send__from_many_strangers__is_handled_in_order(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct posta_spawn_options options = { 0 };
	world_fill(&world, &options);
	strangers_send(&world);
	world_end(&world);
}

/* An actor that sends a burst whenever it is told, and tells itself until all is over. */
static enum posta_err sender_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct sender *sender = state;
	struct world *world = sender->world;
	if (atomic_load(&world->over))
		return POSTA_OK;
	uint32_t to = 0;
	for (int i = 0; i < BURST && room(world); i++) {
		if (i == 0 || stress_random(&sender->random) % 16 == 0) /* else one more for the same: they are chained */
			to = stress_random(&sender->random) % RECEIVERS;
		struct stress_number number = { sender->id, sender->numbers[to] };
		if (posta_send(self, world->refs[to], 1, &number, sizeof number) == POSTA_OK) {
			sender->numbers[to]++;
			atomic_fetch_add(&world->sent, 1);
		}
	}
	return posta_send(self, posta_self(self), 1, NULL, 0);
}

static const struct posta_actor_class sender_class = { .name = "sender", .receive = sender_receive };

static void send__from_actors_and_strangers__is_handled_in_order(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct posta_spawn_options options = { 0 };
	struct sender actors[ACTORS];
	world_fill(&world, &options);
	for (uint32_t i = 0; i < ACTORS; i++) {
		actors[i] = (struct sender){ .world = &world, .id = STRANGERS + i, .random = i + 9 };
		posta_ref ref = stress_spawn(world.system, &sender_class, &actors[i], 1 + (int)i % 2);
		posta_system_send(world.system, ref, 1, NULL, 0);
	}
	strangers_send(&world);
	atomic_store(&world.over, true);
	/* An actor may be in the midst of its last burst: two looks at what was sent that agree. */
	uint64_t sent;
	do {
		sent = atomic_load(&world.sent);
		stress_wait(&world.handled, sent);
	} while (sent != atomic_load(&world.sent));
	stress_stop(world.system);
	assert_int_equal(world.handled, world.sent);
	assert_int_equal(world.disorder, 0);
}

static void send__to_a_bounded_mailbox__counts_exactly(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct posta_spawn_options options = { .mailbox = { .policy = POSTA_MAILBOX_REJECT, .length_max = 32 } };
	for (int i = 0; i < RECEIVERS; i++)
		world.receivers[i].spin = 200;
	world_fill(&world, &options);
	strangers_send(&world);
	world_end(&world);
	assert_true(world.full > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send__from_many_strangers__is_handled_in_order),
		cmocka_unit_test(send__from_actors_and_strangers__is_handled_in_order),
		cmocka_unit_test(send__to_a_bounded_mailbox__counts_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
