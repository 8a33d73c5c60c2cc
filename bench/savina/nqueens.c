/* SPDX-License-Identifier: MIT */
/*
 * N queens on a board of n x n: a master deals boards to 20 workers, which give boards with one queen more back to it
 * until four stand; from there they count alone.
 */
#include "dealer.h"

enum { THRESHOLD = 4 };

static uint32_t all; /* a bit for each column */

struct board {
	uint32_t columns, left, right, queens; /* columns and diagonals that are taken */
};

static struct board with_queen(const struct board *board, uint32_t bit)
{
	return (struct board){ board->columns | bit, (board->left | bit) << 1, (board->right | bit) >> 1,
			       board->queens + 1 };
}

static uint32_t free_columns(const struct board *board)
{
	return all & ~(board->columns | board->left | board->right);
}

static uint64_t count(uint32_t columns, uint32_t left, uint32_t right)
{
	uint64_t found = 0;
	if (columns == all)
		return 1;
	for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
		uint32_t bit = free & -free;
		found += count(columns | bit, (left | bit) << 1, (right | bit) >> 1);
	}
	return found;
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	const struct board *board = posta_data(message);
	if (board->queens >= THRESHOLD)
		return savina_dealt(self, count(board->columns, board->left, board->right));
	for (uint32_t free = free_columns(board); free; free &= free - 1) {
		struct board next = with_queen(board, free & -free);
		savina_deal(self, &next, sizeof next);
	}
	return savina_dealt(self, 0);
}

static const struct posta_actor_class worker_class = { .name = "worker",
						       .start = savina_worker_start,
						       .receive = worker_receive };

static void setup(struct savina_run *run)
{
	all = (UINT32_C(1) << run->n) - 1;
	savina_add_dealer(run, &worker_class, &(struct board){ 0 }, sizeof(struct board));
}

static bool verify(uint64_t n)
{
	static const uint64_t known[] = { 1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596 };
	return n < sizeof known / sizeof known[0] && savina_dealer_sum() == known[n];
}

const struct savina_workload savina_nqueens = { "nqueens", "run", NULL, setup, verify };
