/* SPDX-License-Identifier: MIT */
/* What queues get later: a binary heap by time, and by number among those of one time. */
#include "bridges/memory.h"

#include <stdlib.h>

static bool before(const struct posta__memory_delay *one, const struct posta__memory_delay *other)
{
	return one->due_ms != other->due_ms ? one->due_ms < other->due_ms : one->number < other->number;
}

/* Places delay at the hole or above it. */
static void sift_up(struct posta__memory_delays *delays, uint32_t hole, struct posta__memory_delay delay)
{
	while (hole && before(&delay, &delays->heap[(hole - 1) / 2])) {
		delays->heap[hole] = delays->heap[(hole - 1) / 2];
		hole = (hole - 1) / 2;
	}
	delays->heap[hole] = delay;
}

/* Places the last one, which has lost its place, where the first was. */
static void remove_first(struct posta__memory_delays *delays)
{
	struct posta__memory_delay last = delays->heap[--delays->count];
	uint32_t hole = 0, child;
	while ((child = 2 * hole + 1) < delays->count) {
		child += child + 1 < delays->count && before(&delays->heap[child + 1], &delays->heap[child]);
		if (!before(&delays->heap[child], &last))
			break;
		delays->heap[hole] = delays->heap[child];
		hole = child;
	}
	delays->heap[hole] = last;
}

bool posta__memory_delay(struct posta__memory_broker *broker, struct posta__memory_feed *feed,
			 struct posta__memory_item *item, uint64_t due_ms)
{
	struct posta__memory_delays *delays = &broker->delays;
	if (delays->count == delays->room) {
		uint32_t room = delays->room ? delays->room * 2 : 64;
		struct posta__memory_delay *bigger = realloc(delays->heap, room * sizeof *bigger);
		if (!bigger)
			return false;
		delays->heap = bigger;
		delays->room = room;
	}
	const struct posta__memory_delay delay = { due_ms, delays->next_number++, feed, item };
	sift_up(delays, delays->count++, delay);
	if (delays->heap[0].number == delay.number && broker->connections)
		posta__memory_poke(broker->connections);
	return true;
}

void posta__memory_delays_release(struct posta__memory_broker *broker, uint64_t now_ms)
{
	struct posta__memory_delays *delays = &broker->delays;
	while (delays->count && delays->heap[0].due_ms <= now_ms) {
		const struct posta__memory_delay due = delays->heap[0];
		remove_first(delays);
		posta__memory_feed_append(due.feed, due.item);
		posta__memory_dirty(broker, due.feed);
	}
}

void posta__memory_delays_free(struct posta__memory_delays *delays)
{
	for (uint32_t i = 0; i < delays->count; i++)
		posta__memory_item_drop(delays->heap[i].feed, delays->heap[i].item);
	free(delays->heap);
}
