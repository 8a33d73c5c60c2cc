/* SPDX-License-Identifier: MIT */
#include "runtime/system.h"

#include <sys/mman.h>

#define ACTORS_MAX_DEFAULT (1u << 24)
#define ACTORS_MAX_LEAST (1u << 16) /* of the default, where addresses are scarce */

static size_t bytes_of(const struct posta__slots *slots)
{
	return ((size_t)slots->mask + 1) * sizeof(struct posta_actor);
}

static bool reserve(struct posta__slots *slots, uint32_t actors_max)
{
	slots->max = actors_max + POSTA__SLOT_BATCH;
	slots->mask = 1;
	while (slots->mask < slots->max && slots->mask < POSTA__INDEX_MASK)
		slots->mask = slots->mask << 1 | 1;
	void *table =
		mmap(NULL, bytes_of(slots), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	slots->table = table == MAP_FAILED ? NULL : table;
	return slots->table;
}

enum posta_err posta__slots_init(struct posta_system *system, uint32_t actors_max)
{
	struct posta__slots *slots = &system->slots;
	slots->used = POSTA__SLOT_BATCH; /* slot 0 is nobody's: its batch stays empty */
	if (actors_max > POSTA__INDEX_MASK - POSTA__SLOT_BATCH)
		actors_max = POSTA__INDEX_MASK - POSTA__SLOT_BATCH;
	if (actors_max)
		return reserve(slots, actors_max) ? POSTA_OK : POSTA_ENOMEM;
	for (actors_max = ACTORS_MAX_DEFAULT - POSTA__SLOT_BATCH; actors_max >= ACTORS_MAX_LEAST; actors_max /= 2)
		if (reserve(slots, actors_max))
			return POSTA_OK;
	return POSTA_ENOMEM;
}

void posta__slots_fini(struct posta_system *system)
{
	if (system->slots.table)
		munmap(system->slots.table, bytes_of(&system->slots));
}

static struct posta_actor *take_locked(struct posta_system *system)
{
	struct posta__slots *slots = &system->slots;
	if (slots->used + POSTA__SLOT_BATCH > slots->max)
		return NULL;
	struct posta_actor *first = &slots->table[slots->used];
	for (uint32_t i = 0; i < POSTA__SLOT_BATCH; i++) {
		first[i].index = slots->used + i;
		first[i].generation = 1;
		first[i].tail = &first[i].head;
		first[i].next_sibling = i + 1 < POSTA__SLOT_BATCH ? &first[i + 1] : NULL;
	}
	slots->used += POSTA__SLOT_BATCH;
	return first;
}

struct posta_actor *posta__slots_take(struct posta_system *system)
{
	pthread_mutex_lock(&system->lock);
	struct posta_actor *batch = take_locked(system);
	pthread_mutex_unlock(&system->lock);
	return batch;
}

static void set_home(struct posta_actor *batch, struct posta__worker *worker)
{
	for (; batch; batch = batch->next_sibling)
		atomic_store_explicit(&batch->home, (uintptr_t)worker, memory_order_relaxed);
}

/* Slots whose parents lived elsewhere. Acquire: PAIRS with the release in posta__slot_free. */
static struct posta_actor *reclaim(struct posta__worker *worker)
{
	struct posta_actor *list = atomic_exchange_explicit(&worker->reclaim, NULL, memory_order_acquire), *free = NULL;
	while (list) {
		struct posta_actor *next = list->adopt_next;
		list->next_sibling = free;
		free = list;
		list = next;
	}
	return free;
}

static struct posta_actor *slot_of_worker(struct posta_system *system, struct posta__worker *worker)
{
	if (POSTA__UNLIKELY(!worker->free_slots)) {
		worker->free_slots = reclaim(worker);
		if (!worker->free_slots) {
			worker->free_slots = posta__slots_take(system);
			set_home(worker->free_slots, worker);
		}
	}
	struct posta_actor *actor = worker->free_slots;
	if (actor)
		worker->free_slots = actor->next_sibling;
	return actor;
}

/* Foreign threads share a batch, so that what they spawn one after the other stands side by side. */
static struct posta_actor *slot_of_stranger(struct posta_system *system)
{
	struct posta__slots *slots = &system->slots;
	pthread_mutex_lock(&system->lock);
	if (!slots->strangers)
		slots->strangers = take_locked(system);
	struct posta_actor *actor = slots->strangers;
	if (actor)
		slots->strangers = actor->next_sibling;
	pthread_mutex_unlock(&system->lock);
	if (actor)
		atomic_store_explicit(&actor->home, (uintptr_t)posta__system_worker(system, 0), memory_order_relaxed);
	return actor;
}

struct posta_actor *posta__slot_new(struct posta_system *system, struct posta__worker *worker)
{
	return worker ? slot_of_worker(system, worker) : slot_of_stranger(system);
}

void posta__slot_free(struct posta__worker *worker, struct posta_actor *actor)
{
	if (actor->generation == POSTA__GENERATION_MASK)
		return; /* its generations are used up: the slot is retired, so that no old reference ever fits again */
	struct posta__worker *home = posta__worker(actor);
	if (home == worker) {
		actor->next_sibling = worker->free_slots;
		worker->free_slots = actor;
		return;
	}
	struct posta_actor *old = atomic_load_explicit(&home->reclaim, memory_order_relaxed);
	do
		actor->adopt_next = old;
	while (!atomic_compare_exchange_weak_explicit(&home->reclaim, &old, actor, memory_order_release,
						      memory_order_relaxed));
}
