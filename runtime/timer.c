/* SPDX-License-Identifier: MIT */
#include "runtime/block.h"
#include "runtime/mailbox.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define ROOM_FIRST 16u
#define ROOM_MAX (1u << 26)
#define NOT_IN_HEAP UINT32_MAX

/*
 * Generation, worker, place + 1. The worker is in it because an actor without timers moves: an old name must not fit a
 * timer that the same actor has in the same place elsewhere.
 */
#define PLACE_BITS 27
#define WORKER_BITS 8

static posta_timer timer_id(const struct posta__worker *worker, const struct posta__timer *timer, uint32_t index)
{
	return (uint64_t)timer->generation << (PLACE_BITS + WORKER_BITS) | (uint64_t)worker->id << PLACE_BITS |
	       (index + 1);
}

/* -- The heap: children of i are 4i+1 .. 4i+4 -- */

static bool before(const struct posta__timer *a, const struct posta__timer *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void place(struct posta__timers *timers, uint32_t at, uint32_t index)
{
	timers->heap[at] = index;
	timers->table[index].heap_at = at;
}

static void sift_up(struct posta__timers *timers, uint32_t at)
{
	uint32_t index = timers->heap[at];
	while (at > 0 && before(&timers->table[index], &timers->table[timers->heap[(at - 1) / 4]])) {
		place(timers, at, timers->heap[(at - 1) / 4]);
		at = (at - 1) / 4;
	}
	place(timers, at, index);
}

static uint32_t first_child(const struct posta__timers *timers, uint32_t at)
{
	uint32_t best = 4 * at + 1;
	for (uint32_t i = best + 1; i < timers->count && i <= 4 * at + 4; i++)
		if (before(&timers->table[timers->heap[i]], &timers->table[timers->heap[best]]))
			best = i;
	return best;
}

static void sift_down(struct posta__timers *timers, uint32_t at)
{
	uint32_t index = timers->heap[at];
	while (4 * at + 1 < timers->count) {
		uint32_t child = first_child(timers, at);
		if (!before(&timers->table[timers->heap[child]], &timers->table[index]))
			break;
		place(timers, at, timers->heap[child]);
		at = child;
	}
	place(timers, at, index);
}

static void heap_remove(struct posta__timers *timers, uint32_t at)
{
	timers->table[timers->heap[at]].heap_at = NOT_IN_HEAP;
	uint32_t last = timers->heap[--timers->count];
	if (at == timers->count)
		return;
	place(timers, at, last);
	sift_down(timers, at);
	sift_up(timers, timers->table[last].heap_at);
}

/* -- Records -- */

static bool grow(struct posta__worker *worker)
{
	struct posta__timers *timers = &worker->timers;
	uint32_t room = timers->room ? timers->room * 2 : ROOM_FIRST;
	if (room > ROOM_MAX)
		return false;
	struct posta__timer *table = posta__alloc(worker->system, 16, room * sizeof *table);
	uint32_t *heap = posta__alloc(worker->system, 16, room * sizeof *heap);
	if (!table || !heap) {
		posta__free(worker->system, table, room * sizeof *table);
		posta__free(worker->system, heap, room * sizeof *heap);
		return false;
	}
	if (timers->room) {
		memcpy(table, timers->table, timers->used * sizeof *table);
		memcpy(heap, timers->heap, timers->count * sizeof *heap);
		posta__free(worker->system, timers->table, timers->room * sizeof *table);
		posta__free(worker->system, timers->heap, timers->room * sizeof *heap);
	}
	timers->table = table;
	timers->heap = heap;
	timers->room = room;
	return true;
}

/* Returns: an index; UINT32_MAX when out of memory. */
static uint32_t record_new(struct posta__worker *worker)
{
	struct posta__timers *timers = &worker->timers;
	if (timers->free) {
		uint32_t index = timers->free - 1;
		timers->free = timers->table[index].next;
		return index;
	}
	if (timers->used == timers->room && !grow(worker))
		return UINT32_MAX;
	timers->table[timers->used] = (struct posta__timer){ .generation = 1 };
	return timers->used++;
}

static void record_free(struct posta__timers *timers, uint32_t index)
{
	struct posta__timer *timer = &timers->table[index];
	timer->generation++;
	timer->owner = NULL;
	timer->message = NULL;
	timer->next = timers->free;
	timers->free = index + 1;
}

/* -- Those of an owner: a list, so that its end costs what it has armed, not what all have -- */

static void chain(struct posta__timers *timers, uint32_t index)
{
	struct posta__timer *timer = &timers->table[index];
	timer->before = 0;
	timer->next = timer->owner->timers;
	if (timer->next)
		timers->table[timer->next - 1].before = index + 1;
	timer->owner->timers = index + 1;
}

static void unchain(struct posta__timers *timers, uint32_t index)
{
	const struct posta__timer *timer = &timers->table[index];
	if (timer->before)
		timers->table[timer->before - 1].next = timer->next;
	else
		timer->owner->timers = timer->next;
	if (timer->next)
		timers->table[timer->next - 1].before = timer->before;
}

/* Out of the heap and the table; its message, if any, is freed. */
static void disarm(struct posta__worker *worker, uint32_t index)
{
	struct posta__timer *timer = &worker->timers.table[index];
	heap_remove(&worker->timers, timer->heap_at);
	unchain(&worker->timers, index);
	posta__count(&worker->counters.timers, UINT64_MAX); /* one less */
	if (timer->message)
		posta__block_free(worker, timer->message);
	record_free(&worker->timers, index);
}

posta_timer posta__timer_arm(struct posta_actor *owner, uint64_t delay_ns, uint64_t period_ns, posta_ref to,
			     struct posta_message *message)
{
	struct posta__worker *worker = posta__worker(owner);
	uint32_t index = record_new(worker);
	if (index == UINT32_MAX) {
		posta__block_free(worker, message);
		return 0;
	}
	struct posta__timers *timers = &worker->timers;
	struct posta__timer *timer = &timers->table[index];
	uint64_t now = posta__worker_now(worker);
	timer->due_ns = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
	timer->period_ns = period_ns;
	timer->order = timers->order++;
	timer->owner = owner;
	timer->to = to;
	timer->message = message;
	chain(timers, index);
	posta__count(&worker->counters.timers, 1);
	timers->heap[timers->count] = index;
	sift_up(timers, timers->count++);
	return timer_id(worker, timer, index);
}

/* -- Firing -- */

uint64_t posta__timers_due_ns(const struct posta__worker *worker)
{
	const struct posta__timers *timers = &worker->timers;
	return timers->count ? timers->table[timers->heap[0]].due_ns : UINT64_MAX;
}

uint64_t posta__timers_wait_ns(const struct posta__worker *worker)
{
	uint64_t due = posta__timers_due_ns(worker);
	if (due == UINT64_MAX)
		return UINT64_MAX;
	uint64_t now = posta__worker_now((struct posta__worker *)(uintptr_t)worker);
	return due > now ? due - now : 0;
}

static struct posta_message *copy_of(struct posta__worker *worker, const struct posta_message *message)
{
	struct posta_message *copy =
		posta__message_copy(worker, worker->system, message->type, posta_data(message), posta_size(message));
	if (copy)
		copy->sender = message->sender;
	return copy;
}

/* The next of a periodic one keeps to the first's raster: no drift, and periods that were missed are skipped. */
static struct posta_message *tick(struct posta__worker *worker, struct posta__timer *timer)
{
	struct posta_message *message = copy_of(worker, timer->message);
	uint64_t late = worker->now_ns - timer->due_ns;
	timer->due_ns += (late / timer->period_ns + 1) * timer->period_ns;
	sift_down(&worker->timers, timer->heap_at);
	return message;
}

static void fire(struct posta__worker *worker, uint32_t index)
{
	struct posta__timer *timer = &worker->timers.table[index];
	posta_ref to = timer->to;
	struct posta_message *message = timer->message;
	if (timer->period_ns) {
		message = tick(worker, timer);
	} else {
		timer->message = NULL;
		disarm(worker, index);
	}
	if (message && message->bits_ & POSTA__BIT_SYSTEM)
		posta__send_any(worker->system, worker, to, message);
	else if (message)
		posta__post(worker, to, message);
}

void posta__timers_fire(struct posta__worker *worker)
{
	while (posta__timers_due_ns(worker) <= worker->now_ns)
		fire(worker, worker->timers.heap[0]);
}

void posta__timers_drop(struct posta__worker *worker, struct posta_actor *owner)
{
	while (owner->timers)
		disarm(worker, owner->timers - 1);
}

void posta__timers_fini(struct posta__worker *worker)
{
	struct posta__timers *timers = &worker->timers;
	for (uint32_t i = 0; i < timers->used; i++)
		if (timers->table[i].owner && timers->table[i].message)
			posta__message_release(worker, worker->system, timers->table[i].message);
	posta__free(worker->system, timers->table, timers->room * sizeof *timers->table);
	posta__free(worker->system, timers->heap, timers->room * sizeof *timers->heap);
}

/* -- Public -- */

static posta_timer arm(struct posta_actor *self, uint64_t delay_ms, uint64_t period_ms, posta_ref to, uint32_t type,
		       const void *data, size_t size)
{
	struct posta__worker *worker = posta__worker(self);
	struct posta_message *message = posta__message_copy(worker, worker->system, type, data, size);
	if (!message)
		return 0;
	message->sender = posta__self(self);
	uint64_t ms_max = UINT64_MAX / NS_PER_MS;
	return posta__timer_arm(self, (delay_ms < ms_max ? delay_ms : ms_max) * NS_PER_MS,
				(period_ms < ms_max ? period_ms : ms_max) * NS_PER_MS, to, message);
}

posta_timer posta_send_after(struct posta_actor *self, uint64_t delay_ms, posta_ref to, uint32_t type, const void *data,
			     size_t size)
{
	return arm(self, delay_ms, 0, to, type, data, size);
}

posta_timer posta_send_every(struct posta_actor *self, uint64_t period_ms, posta_ref to, uint32_t type,
			     const void *data, size_t size)
{
	return period_ms ? arm(self, period_ms, period_ms, to, type, data, size) : 0;
}

bool posta_cancel(struct posta_actor *self, posta_timer timer)
{
	struct posta__worker *worker = posta__worker(self);
	uint32_t index = ((uint32_t)timer & ((UINT32_C(1) << PLACE_BITS) - 1)) - 1;
	if (!timer || index >= worker->timers.used)
		return false;
	struct posta__timer *record = &worker->timers.table[index];
	if (record->owner != self || timer_id(worker, record, index) != timer)
		return false;
	disarm(worker, index);
	return true;
}
