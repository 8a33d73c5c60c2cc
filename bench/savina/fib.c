/* SPDX-License-Identifier: MIT */
/* The n-th Fibonacci number, an actor for each call of the recursion. Figures are per actor. */
#include "savina.h"

enum { RESULT = 1 };

static uint64_t result;

struct fib {
	uint64_t sum;
	uint32_t missing;
};

static enum posta_err fib_start(struct posta_actor *self, void *state, void *argument);
static enum posta_err fib_receive(struct posta_actor *self, void *state, struct posta_message *message);

static const struct posta_actor_class fib_class = {
	.name = "fib", .state_size = sizeof(struct fib), .start = fib_start, .receive = fib_receive
};

static enum posta_err finish(struct posta_actor *self, uint64_t value)
{
	savina_send(self, posta_parent(self), RESULT, value);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static enum posta_err fib_start(struct posta_actor *self, void *state, void *argument)
{
	struct fib *fib = state;
	size_t n = savina_index(argument);
	if (n <= 2)
		return finish(self, 1);
	fib->missing = 2;
	posta_spawn(self, &fib_class, savina_argument(n - 1));
	posta_spawn(self, &fib_class, savina_argument(n - 2));
	return POSTA_OK;
}

static enum posta_err fib_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct fib *fib = state;
	fib->sum += savina_value(message);
	return --fib->missing == 0 ? finish(self, fib->sum) : POSTA_OK;
}

static enum posta_err asker_start(struct posta_actor *self, void *state, void *argument)
{
	posta_spawn(self, &fib_class, argument);
	return POSTA_OK;
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	result = savina_value(message);
	savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class asker_class = { .name = "asker", .start = asker_start, .receive = asker_receive };

static void setup(struct savina_run *run)
{
	result = 0;
	savina_add(run, &asker_class, savina_argument(run->n));
}

static uint64_t fibonacci(uint64_t n)
{
	uint64_t a = 0, b = 1;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t next = a + b;
		a = b, b = next;
	}
	return a;
}

static uint64_t actors(uint64_t n)
{
	return 2 * fibonacci(n) - 1;
}

static bool verify(uint64_t n)
{
	return result == fibonacci(n);
}

const struct savina_workload savina_fib = { "fib", "actor", actors, setup, verify };
