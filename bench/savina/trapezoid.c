/* SPDX-License-Identifier: MIT */
/* The integral of a function from 1 to 5 by n trapezoids, dealt to 100 actors. */
#include "savina.h"

#include <math.h>

enum { RANGE = 1, AREA };
enum { WORKERS = 100 };

static posta_ref workers[WORKERS];
static double area; /* the master's */

struct range {
	double left, width;
	uint64_t pieces;
};

static double f(double x)
{
	double root = sqrt(1 + exp(sqrt(2 * x)));
	return 1 / (x + 1) * root * sin(x * x * x - 1);
}

static double integrate(const struct range *range)
{
	double sum = 0;
	for (uint64_t i = 0; i < range->pieces; i++) {
		double x = range->left + (double)i * range->width;
		sum += (f(x) + f(x + range->width)) / 2 * range->width;
	}
	return sum;
}

static enum posta_err worker_start(struct posta_actor *self, void *state, void *argument)
{
	workers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	double result = integrate(posta_data(message));
	return posta_send(self, message->sender, AREA, &result, sizeof result);
}

static struct range share(uint64_t n, size_t index)
{
	uint64_t pieces = n / WORKERS;
	double width = 4.0 / (double)(pieces * WORKERS);
	return (struct range){ 1 + (double)(index * pieces) * width, width, pieces };
}

static enum posta_err master_start(struct posta_actor *self, void *state, void *argument)
{
	area = 0;
	for (size_t i = 0; i < WORKERS; i++) {
		struct range range = share(savina_index(argument), i);
		posta_send(self, workers[i], RANGE, &range, sizeof range);
	}
	return POSTA_OK;
}

static enum posta_err master_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	uint32_t *finished = state;
	area += *(const double *)posta_data(message);
	if (++*finished == WORKERS)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class worker_class = { .name = "worker",
						       .start = worker_start,
						       .receive = worker_receive };
static const struct posta_actor_class master_class = {
	.name = "master", .state_size = sizeof(uint32_t), .start = master_start, .receive = master_receive
};

static void setup(struct savina_run *run)
{
	for (size_t i = 0; i < WORKERS; i++)
		savina_add(run, &worker_class, savina_argument(i));
	savina_add(run, &master_class, savina_argument(run->n));
}

static bool verify(uint64_t n)
{
	double expected = 0;
	for (size_t i = 0; i < WORKERS; i++) {
		struct range range = share(n, i);
		expected += integrate(&range);
	}
	return fabs(area - expected) < 1e-9;
}

const struct savina_workload savina_trapezoid = { "trapezoid", "run", NULL, setup, verify };
