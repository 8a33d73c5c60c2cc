/* SPDX-License-Identifier: MIT */
/*
 * The product of two n x n matrices of doubles that all actors share: a master deals blocks of the result to 20
 * workers, which give the quarters of large ones back to it and compute those of 32 x 32. n: a power of two, from 32.
 */
#include "dealer.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 32 };

static double *a, *b, *c; /* kept from run to run */
static uint64_t size;

struct block {
	uint32_t row, column, size;
};

static double a_at(uint64_t row, uint64_t column)
{
	return (double)((row + column) % 7);
}

static double b_at(uint64_t row, uint64_t column)
{
	return (double)((row * 3 + column) % 5);
}

static void multiply(const struct block *block)
{
	for (uint64_t i = block->row; i < block->row + SMALL; i++) {
		double sums[SMALL] = { 0 }; /* in registers */
		for (uint64_t k = 0; k < size; k++) {
			double factor = a[i * size + k];
			const double *from = b + k * size + block->column;
			for (uint32_t j = 0; j < SMALL; j++)
				sums[j] += factor * from[j];
		}
		memcpy(c + i * size + block->column, sums, sizeof sums);
	}
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	const struct block *block = posta_data(message);
	uint32_t half = block->size / 2;
	if (block->size == SMALL) {
		multiply(block);
	} else {
		for (uint32_t i = 0; i < 4; i++) {
			struct block quarter = { block->row + i / 2 * half, block->column + i % 2 * half, half };
			savina_deal(self, &quarter, sizeof quarter);
		}
	}
	return savina_dealt(self, 0);
}

static const struct posta_actor_class worker_class = { .name = "worker",
						       .start = savina_worker_start,
						       .receive = worker_receive };

static void fill(uint64_t n)
{
	size = n;
	a = malloc(n * n * sizeof *a), b = malloc(n * n * sizeof *b), c = malloc(n * n * sizeof *c);
	if (!a || !b || !c)
		abort();
	for (uint64_t i = 0; i < n * n; i++)
		a[i] = a_at(i / n, i % n), b[i] = b_at(i / n, i % n), c[i] = 0;
}

static void setup(struct savina_run *run)
{
	if (!a)
		fill(run->n);
	savina_add_dealer(run, &worker_class, &(struct block){ 0, 0, (uint32_t)size }, sizeof(struct block));
}

/* Every seventh row, by its definition; clears the result for the next run. */
static bool verify(uint64_t n)
{
	bool right = true;
	for (uint64_t i = 0; i < n; i += 7)
		for (uint64_t j = 0; j < n; j++) {
			double expected = 0;
			for (uint64_t k = 0; k < n; k++)
				expected += a_at(i, k) * b_at(k, j);
			right = right && c[i * n + j] == expected;
		}
	for (uint64_t i = 0; i < n * n; i++)
		c[i] = -1;
	return right;
}

const struct savina_workload savina_matmul = { "matmul", "run", NULL, setup, verify };
