/* SPDX-License-Identifier: MIT */
/*
 * N queens on a board of n x n: a master deals boards to 20 workers, which give boards with one queen more back to it until
 * four stand; from there they count alone.
 */
#include "savina.h"

enum { BOARD = 1, DONE };
enum { WORKERS = 20, THRESHOLD = 4 };

static posta_ref workers[WORKERS], master;
static uint32_t all;       /* a bit for each column */
static uint64_t solutions; /* the master's */

struct board {
	uint32_t columns, left, right, queens; /* columns and diagonals that are taken */
};

struct master {
	uint64_t missing, dealt;
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

static enum posta_err worker_start(struct posta_actor *self, void *state, void *argument)
{
	workers[savina_index(argument)] = posta_self(self);
	return POSTA_OK;
}

static enum posta_err worker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	const struct board *board = posta_data(message);
	if (board->queens >= THRESHOLD)
		return savina_send(self, master, DONE, count(board->columns, board->left, board->right));
	for (uint32_t free = free_columns(board); free; free &= free - 1) {
		struct board next = with_queen(board, free & -free);
		posta_send(self, master, BOARD, &next, sizeof next);
	}
	return savina_send(self, master, DONE, 0);
}

static enum posta_err deal(struct posta_actor *self, struct master *here, const struct board *board)
{
	here->missing++;
	return posta_send(self, workers[here->dealt++ % WORKERS], BOARD, board, sizeof *board);
}

static enum posta_err master_start(struct posta_actor *self, void *state, void *argument)
{
	const struct board empty = { 0 };
	master = posta_self(self);
	solutions = 0;
	return deal(self, state, &empty);
}

static enum posta_err master_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct master *here = state;
	if (message->type == BOARD)
		return deal(self, here, posta_data(message));
	solutions += savina_value(message);
	if (--here->missing == 0)
		savina_done();
	return POSTA_OK;
}

static const struct posta_actor_class worker_class = { .name = "worker",
						       .start = worker_start,
						       .receive = worker_receive };
static const struct posta_actor_class master_class = {
	.name = "master", .state_size = sizeof(struct master), .start = master_start, .receive = master_receive
};

static void setup(struct savina_run *run)
{
	all = (UINT32_C(1) << run->n) - 1;
	for (size_t i = 0; i < WORKERS; i++)
		savina_add(run, &worker_class, savina_argument(i));
	savina_add(run, &master_class, NULL);
}

static bool verify(uint64_t n)
{
	static const uint64_t known[] = { 1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596 };
	return n < sizeof known / sizeof known[0] && solutions == known[n];
}

const struct savina_workload savina_nqueens = { "nqueens", "run", NULL, setup, verify };
