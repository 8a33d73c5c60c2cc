/* SPDX-License-Identifier: MIT */
/* Questions from strangers and between workers: each gets one answer, its own. */
#include "stress.h"

#define STRANGERS 4
#define ASKERS 4

struct world {
	struct posta_system *system;
	posta_ref echo[2];
	_Atomic(posta_ref) brief;
	_Atomic(uint64_t) asked, answered, wrong;
	_Atomic(bool) over;
};

static enum posta_err echo_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	return posta_reply(self, message->type + 1, posta_data(message), posta_size(message));
}

static const struct posta_actor_class echo_class = { .name = "echo", .receive = echo_receive };

static enum posta_err brief_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)state;
	posta_stop(self, posta_self(self), POSTA_OK);
	return message->type & 1 ? POSTA_OK
				 : posta_reply(self, message->type + 1, posta_data(message), posta_size(message));
}

static const struct posta_actor_class brief_class = { .name = "brief", .receive = brief_receive };

static void check(struct world *world, enum posta_err result, uint32_t type, uint32_t sent, const uint64_t *back,
		  uint64_t expected)
{
	if (result == POSTA_OK && (type != sent + 1 || *back != expected))
		atomic_fetch_add(&world->wrong, 1);
}

static void *stranger(void *argument)
{
	struct world *world = *(struct world **)argument;
	uint32_t random = 1 + (uint32_t)(uintptr_t)&random;
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until) {
		uint32_t type = stress_random(&random) % 1000 * 2, got = 0;
		uint64_t number = random, back = 0;
		size_t size = sizeof back;
		enum posta_err result = posta_system_ask(world->system, world->echo[random & 1], type, &number,
							 sizeof number, STRESS_WAIT_MS, &got, &back, &size);
		if (result != POSTA_OK)
			atomic_fetch_add(&world->wrong, 1);
		check(world, result, got, type, &back, number);
		/* One that ends at the first question, and answers it only sometimes. */
		size = sizeof back;
		result = posta_system_ask(world->system, atomic_load(&world->brief), type + random / 8 % 2, &number,
					  sizeof number, 2, &got, &back, &size);
		if (result == POSTA_EDEAD)
			atomic_store(&world->brief, posta_system_spawn(world->system, &brief_class, NULL, NULL, NULL));
		check(world, result, got, type, &back, number);
		atomic_fetch_add(&world->asked, 1);
	}
	return NULL;
}

static void ask__from_many_strangers__gets_its_own_answer(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct world *worlds[STRANGERS] = { &world, &world, &world, &world };
	for (int i = 0; i < 2; i++)
		world.echo[i] = stress_spawn(world.system, &echo_class, NULL, i + 1);
	stress_strangers(STRANGERS, stranger, worlds, sizeof *worlds);
	stress_stop(world.system);
	assert_int_equal(world.wrong, 0);
	assert_true(world.asked > 10);
}

struct asker {
	struct world *world;
	uint64_t number;
	uint32_t id;
};

static enum posta_err on_reply(struct posta_actor *self, void *state, enum posta_err status,
			       struct posta_message *reply, void *context)
{
	(void)self;
	struct asker *asker = state;
	uint64_t expected = (uint64_t)(uintptr_t)context;
	if (status != POSTA_OK || memcmp(posta_data(reply), &expected, sizeof expected) != 0)
		atomic_fetch_add(&asker->world->wrong, 1);
	atomic_fetch_add_explicit(&asker->world->answered, 1, memory_order_release);
	return POSTA_OK;
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)message;
	struct asker *asker = state;
	if (atomic_load(&asker->world->over))
		return POSTA_OK;
	for (int i = 0; i < 4; i++) {
		uint64_t number = ++asker->number;
		if (posta_ask(self, asker->world->echo[i & 1], 2, &number, sizeof number, STRESS_WAIT_MS, on_reply,
			      (void *)(uintptr_t)number) != POSTA_OK)
			return POSTA_EFAILED;
		atomic_fetch_add(&asker->world->asked, 1);
	}
	/* Not faster than the answers come: what it tells itself is behind them. */
	return posta_send_after(self, 1, posta_self(self), 1, NULL, 0) ? POSTA_OK : POSTA_ENOMEM;
}

static const struct posta_actor_class asker_class = { .name = "asker", .receive = asker_receive };

static void ask__between_workers__each_question_is_answered(void **state)
{
	(void)state;
	struct world world = { .system = stress_system() };
	struct asker askers[ASKERS];
	for (int i = 0; i < 2; i++)
		world.echo[i] = stress_spawn(world.system, &echo_class, NULL, i + 1);
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){ .world = &world, .id = (uint32_t)i };
		posta_system_send(world.system, stress_spawn(world.system, &asker_class, &askers[i], 1 + i % 2), 1,
				  NULL, 0);
	}
	uint64_t until = stress_now_ms() + STRESS_MS;
	while (stress_now_ms() < until)
		sched_yield();
	atomic_store(&world.over, true);
	uint64_t asked;
	do {
		asked = atomic_load(&world.asked);
		stress_wait(&world.answered, asked);
	} while (asked != atomic_load(&world.asked));
	stress_stop(world.system);
	assert_int_equal(world.answered, world.asked);
	assert_int_equal(world.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ask__from_many_strangers__gets_its_own_answer),
		cmocka_unit_test(ask__between_workers__each_question_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
