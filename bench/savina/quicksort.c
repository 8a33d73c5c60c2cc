/* SPDX-License-Identifier: MIT */
/*
 * Quicksort of n numbers: an actor splits what it gets by a pivot, gives both sides to children, and sends its parent
 * the whole in order; below 2,048 numbers it sorts alone. Arrays go from hand to hand in messages of their own size.
 */
#include "savina.h"

#include <string.h>

enum { SORT = 1, SORTED };
enum { ALONE = 2048 };

enum side { LEFT, RIGHT, WHOLE };

static uint64_t size;
static bool right; /* the asker's, when it stops: is the result in order, and the sum as it was? */

struct sorter {
	enum side side;
	uint32_t missing;
	size_t equal;
	int64_t pivot;
	struct posta_message *sides[2];
};

/* What begins an array in a message. */
struct array {
	enum side side;
	size_t count;
	int64_t items[];
};

static enum posta_err sorter_start(struct posta_actor *self, void *state, void *argument);
static enum posta_err sorter_receive(struct posta_actor *self, void *state, struct posta_message *message);
static void sorter_stop(struct posta_actor *self, void *state, enum posta_err reason);

static const struct posta_actor_class sorter_class = { .name = "sorter",
						       .state_size = sizeof(struct sorter),
						       .start = sorter_start,
						       .receive = sorter_receive,
						       .stop = sorter_stop };

static struct posta_message *new_array(struct posta_actor *self, uint32_t type, enum side side, size_t count)
{
	/* One item more than there are: split() writes before it knows whether to keep. */
	size_t bytes = sizeof(struct array) + (count + 1) * sizeof(int64_t);
	struct posta_message *message = posta_message_new(self, type, bytes);
	if (message)
		*(struct array *)posta_data(message) = (struct array){ side, count };
	return message;
}

static void insertion_sort(int64_t *items, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int64_t item = items[i];
		size_t at = i;
		for (; at > 0 && items[at - 1] > item; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

static int64_t median(int64_t a, int64_t b, int64_t c)
{
	int64_t low = a < b ? a : b, high = a < b ? b : a;
	return c < low ? low : c > high ? high : c;
}

/* Those below the pivot first, without a branch that could be guessed wrong. Returns: how many they are. */
static size_t partition(int64_t *items, size_t count, int64_t pivot)
{
	int64_t rest[ALONE];
	size_t below = 0;
	for (size_t i = 0; i < count; i++) {
		int64_t item = items[i];
		items[below] = rest[i - below] = item;
		below += item < pivot;
	}
	memcpy(items + below, rest, (count - below) * sizeof *items);
	return below;
}

static void sort_alone(int64_t *items, size_t count)
{
	while (count > 16) {
		int64_t pivot = median(items[0], items[count / 2], items[count - 1]);
		size_t below = partition(items, count, pivot);
		if (below == 0) /* the pivot is the least: all that equal it are in place */
			below = partition(items, count, pivot + 1);
		else
			sort_alone(items, below);
		items += below, count -= below;
	}
	insertion_sort(items, count);
}

static enum posta_err sorter_start(struct posta_actor *self, void *state, void *argument)
{
	((struct sorter *)state)->side = (enum side)savina_index(argument);
	return POSTA_OK;
}

/* The sorted array goes up, and the sorter has done its work. */
static enum posta_err hand_up(struct posta_actor *self, struct posta_message *sorted)
{
	posta_post(self, posta_parent(self), sorted);
	posta_stop(self, posta_self(self), POSTA_OK);
	return POSTA_OK;
}

static enum posta_err give(struct posta_actor *self, struct posta_message *message, enum side side)
{
	return posta_post(self, posta_spawn(self, &sorter_class, savina_argument(side)), message);
}

static enum posta_err split(struct posta_actor *self, struct sorter *sorter, const struct array *array)
{
	const int64_t *restrict items = array->items;
	const size_t count = array->count;
	int64_t pivot = items[count / 2];
	size_t less = 0, equal = 0;
	for (size_t i = 0; i < count; i++) {
		less += items[i] < pivot;
		equal += items[i] == pivot;
	}
	struct posta_message *left = new_array(self, SORT, LEFT, less);
	struct posta_message *rest = new_array(self, SORT, RIGHT, count - less - equal);
	if (!left || !rest)
		return POSTA_ENOMEM;
	int64_t *below = ((struct array *)posta_data(left))->items, *above = ((struct array *)posta_data(rest))->items;
	for (size_t i = 0; i < count; i++) {
		int64_t item = items[i];
		*below = *above = item;
		below += item < pivot, above += item > pivot;
	}
	sorter->pivot = pivot, sorter->equal = equal, sorter->missing = 2;
	give(self, left, LEFT);
	return give(self, rest, RIGHT);
}

static enum posta_err join(struct posta_actor *self, struct sorter *sorter)
{
	const struct array *left = posta_data(sorter->sides[LEFT]), *rest = posta_data(sorter->sides[RIGHT]);
	size_t count = left->count + sorter->equal + rest->count;
	struct posta_message *message = new_array(self, SORTED, sorter->side, count);
	if (!message)
		return POSTA_ENOMEM;
	int64_t *items = ((struct array *)posta_data(message))->items;
	memcpy(items, left->items, left->count * sizeof *items);
	for (size_t i = 0; i < sorter->equal; i++)
		items[left->count + i] = sorter->pivot;
	memcpy(items + left->count + sorter->equal, rest->items, rest->count * sizeof *items);
	return hand_up(self, message);
}

static enum posta_err sorter_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	struct sorter *sorter = state;
	struct array *array = posta_data(message);
	if (message->type == SORTED) {
		sorter->sides[array->side] = posta_keep(self, message);
		return --sorter->missing == 0 ? join(self, sorter) : POSTA_OK;
	}
	if (array->count >= ALONE)
		return split(self, sorter, array);
	sort_alone(array->items, array->count);
	struct posta_message *sorted = posta_keep(self, message);
	sorted->type = SORTED;
	array->side = sorter->side;
	return hand_up(self, sorted);
}

static void sorter_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct sorter *sorter = state;
	posta_message_free(self, sorter->sides[LEFT]);
	posta_message_free(self, sorter->sides[RIGHT]);
}

static int64_t draw(uint32_t *seed)
{
	uint32_t high = savina_random(seed) & 0x7FFF;
	return (int64_t)(high << 15 | (savina_random(seed) & 0x7FFF));
}

static enum posta_err asker_start(struct posta_actor *self, void *state, void *argument)
{
	struct posta_message *message = new_array(self, SORT, WHOLE, size);
	uint32_t seed = 1;
	if (!message)
		return POSTA_ENOMEM;
	for (size_t i = 0; i < size; i++)
		((struct array *)posta_data(message))->items[i] = draw(&seed);
	return give(self, message, WHOLE);
}

static enum posta_err asker_receive(struct posta_actor *self, void *state, struct posta_message *message)
{
	*(struct posta_message **)state = posta_keep(self, message);
	savina_done();
	return POSTA_OK;
}

static bool in_order(const struct array *array)
{
	int64_t sum = array->items[0], expected = 0;
	uint32_t seed = 1;
	for (size_t i = 1; i < array->count; i++) {
		if (array->items[i] < array->items[i - 1])
			return false;
		sum += array->items[i];
	}
	for (size_t i = 0; i < size; i++)
		expected += draw(&seed);
	return array->count == size && sum == expected;
}

/* Untimed. */
static void asker_stop(struct posta_actor *self, void *state, enum posta_err reason)
{
	struct posta_message *sorted = *(struct posta_message **)state;
	right = sorted && in_order(posta_data(sorted));
	posta_message_free(self, sorted);
}

static const struct posta_actor_class asker_class = { .name = "asker",
						      .state_size = sizeof(struct posta_message *),
						      .start = asker_start,
						      .receive = asker_receive,
						      .stop = asker_stop };

static void setup(struct savina_run *run)
{
	size = run->n;
	savina_add(run, &asker_class, NULL);
}

static bool verify(uint64_t n)
{
	return right;
}

const struct savina_workload savina_quicksort = { "quicksort", "run", NULL, setup, verify };
