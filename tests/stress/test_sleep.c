/* SPDX-License-Identifier: MIT */
/* Falling asleep against being woken, from everywhere: a wake-up that is lost stops the game. */
#include "stress.h"

#define GAMES 4
#define STRANGERS 3

struct game {
	posta_ref other;
	uint32_t random;
	_Atomic(uint64_t) *hits;
	_Atomic(bool) *over;
};

/* The ball lies still for a while: at times the other worker falls asleep, at times just not. */
static enum posta_err player_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct game *game = state;
	if (message->type == 2) {
		memcpy(&game->other, posta_data(message), sizeof game->other);
		return POSTA_OK;
	}
	if (atomic_load(game->over))
		return POSTA_OK;
	uint32_t random = stress_random(&game->random);
	if (random % 8 == 0)
		stress_spin(random % 200000);
	atomic_fetch_add_explicit(game->hits, 1, memory_order_release);
	return posta_send(self, game->other, 1, NULL, 0);
}

static const struct posta_actor_class player_class = { .name = "player", .receive = player_receive };

static void wake__ping_pong_across_workers__never_stops(void **state)
{
	(void)state;
	struct posta_system *system = stress_system();
	_Atomic(uint64_t) hits = 0;
	_Atomic(bool) over = false;
	struct game games[2] = { { .random = 3, .hits = &hits, .over = &over },
				 { .random = 4, .hits = &hits, .over = &over } };
	posta_ref a = stress_spawn(system, &player_class, &games[0], 1),
		  b = stress_spawn(system, &player_class, &games[1], 2);
	posta_system_send(system, a, 2, &b, sizeof b);
	posta_system_send(system, b, 2, &a, sizeof a);
	posta_system_send(system, a, 1, NULL, 0);
	uint64_t until = stress_now_ms() + STRESS_MS, seen = 0;
	while (stress_now_ms() < until) {
		stress_wait(&hits, seen + 1); /* it goes on */
		seen = atomic_load(&hits);
	}
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	atomic_store(&over, true);
	stress_stop(system);
	assert_true(metrics.sleeps > 0);
	assert_true(metrics.wakes > 0);
}

/* Each stranger waits for the answer to each message: between two of them the worker is about to fall asleep. */
struct caller {
	struct posta_system *system;
	posta_ref to;
	uint32_t id;
	_Atomic(uint64_t) answered;
	struct caller *all;
};

static enum posta_err answer_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	(void)self;
	struct caller *callers = state;
	atomic_fetch_add_explicit(&callers[message->type].answered, 1, memory_order_release);
	return POSTA_OK;
}

static const struct posta_actor_class answer_class = { .name = "answer", .receive = answer_receive };

static void *call(void *argument)
{
	struct caller *caller = argument;
	uint32_t random = caller->id + 1;
	uint64_t until = stress_now_ms() + STRESS_MS;
	for (uint64_t n = 1; stress_now_ms() < until; n++) {
		posta_system_send(caller->system, caller->to, caller->id, NULL, 0);
		stress_wait(&caller->answered, n);
		if (stress_random(&random) % 4 == 0)
			stress_spin(random % 100000);
	}
	return NULL;
}

static void wake__by_strangers_one_message_at_a_time__each_is_handled(void **state)
{
	(void)state;
	struct posta_system *system = stress_system();
	struct caller callers[STRANGERS] = { 0 };
	posta_ref refs[2] = { stress_spawn(system, &answer_class, callers, 1),
			      stress_spawn(system, &answer_class, callers, 2) };
	for (uint32_t i = 0; i < STRANGERS; i++) {
		callers[i].system = system;
		callers[i].to = refs[i % 2];
		callers[i].id = i;
	}
	stress_strangers(STRANGERS, call, callers, sizeof *callers);
	struct posta_metrics metrics = { .size = sizeof metrics };
	posta_system_metrics(system, &metrics);
	stress_stop(system);
	assert_true(metrics.sleeps > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wake__ping_pong_across_workers__never_stops),
		cmocka_unit_test(wake__by_strangers_one_message_at_a_time__each_is_handled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
