/* SPDX-License-Identifier: MIT */
/* 20 philosophers ask an arbitrator for two forks each, again at once when they are denied. n: meals. */
#include "savina.h"

enum { HUNGRY = 1, DENIED, EAT, DONE, LEAVE };
enum { PHILOSOPHERS = 20 };

static posta_ref philosophers[PHILOSOPHERS], arbitrator;
static uint64_t share; /* meals of each */
static uint64_t meals; /* the arbitrator's */

struct philosopher {
	size_t seat;
	uint64_t left;
};

struct arbitrator {
	bool used[PHILOSOPHERS];
	uint32_t gone;
};

static enum posta_err philosopher_start(struct posta_actor *self, void *state, void *argument)
{
	struct philosopher *philosopher = state;
	*philosopher = (struct philosopher){ savina_index(argument), share };
	philosophers[philosopher->seat] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err philosopher_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct philosopher *philosopher = state;
	if (message->type == EAT) {
		savina_send(self, arbitrator, DONE, philosopher->seat);
		if (--philosopher->left == 0)
			return savina_send(self, arbitrator, LEAVE, 0);
	}
	return savina_send(self, arbitrator, HUNGRY, philosopher->seat);
}

static enum posta_err arbitrator_start(struct posta_actor *self, void *state, void *argument)
{
	arbitrator = posta_self(self);
	meals = 0;
	for (size_t i = 0; i < PHILOSOPHERS; i++)
		savina_send(self, philosophers[i], DENIED, 0);
	return POSTA_OK;
}

static enum posta_err arbitrator_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct arbitrator *here = state;
	size_t left = savina_value(message), right = (left + 1) % PHILOSOPHERS;
	if (message->type == HUNGRY) {
		bool denied = here->used[left] || here->used[right];
		if (!denied)
			here->used[left] = here->used[right] = true;
		return savina_send(self, message->sender, denied ? DENIED : EAT, 0);
	}
	if (message->type == DONE) {
		here->used[left] = here->used[right] = false;
		meals++;
	} else if (++here->gone == PHILOSOPHERS) {
		savina_done();
	}
	return POSTA_OK;
}

static const struct posta_actor_class philosopher_class = { .name = "philosopher",
							    .state_size = sizeof(struct philosopher),
							    .start = philosopher_start,
							    .receive = philosopher_receive };
static const struct posta_actor_class arbitrator_class = { .name = "arbitrator",
							   .state_size = sizeof(struct arbitrator),
							   .start = arbitrator_start,
							   .receive = arbitrator_receive };

static void setup(struct savina_run *run)
{
	share = run->n / PHILOSOPHERS;
	for (size_t i = 0; i < PHILOSOPHERS; i++)
		savina_add(run, &philosopher_class, savina_argument(i));
	savina_add(run, &arbitrator_class, NULL);
}

static uint64_t all_meals(uint64_t n)
{
	return n / PHILOSOPHERS * PHILOSOPHERS;
}

static bool verify(uint64_t n)
{
	return meals == all_meals(n);
}

const struct savina_workload savina_philosophers = { "philosophers", "meal", all_meals, setup, verify };
