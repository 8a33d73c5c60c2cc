/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_IDS_H
#define POSTA_BRIDGES_IDS_H

/* A set of delivery ids: open addressing with linear probing, at most half full. One thread. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define POSTA__IDS_FIRST 64u

struct posta__ids {
	uint64_t *slots; /* id + 1; 0: free */
	uint32_t room, count;
};

static inline uint32_t posta__ids_slot(const struct posta__ids *ids, uint64_t id)
{
	return (uint32_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (ids->room - 1);
}

static inline bool posta__ids_grow(struct posta__ids *ids);

static inline bool posta__ids_add(struct posta__ids *ids, uint64_t id)
{
	if (ids->count * 2 >= ids->room && !posta__ids_grow(ids))
		return false;
	uint32_t at = posta__ids_slot(ids, id);
	while (ids->slots[at])
		at = (at + 1) & (ids->room - 1);
	ids->slots[at] = id + 1;
	ids->count++;
	return true;
}

static inline bool posta__ids_grow(struct posta__ids *ids)
{
	struct posta__ids bigger = { .room = ids->room ? ids->room * 2 : POSTA__IDS_FIRST };
	bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
	if (!bigger.slots)
		return false;
	for (uint32_t i = 0; i < ids->room; i++)
		if (ids->slots[i])
			posta__ids_add(&bigger, ids->slots[i] - 1);
	free(ids->slots);
	*ids = bigger;
	return true;
}

/* Entries behind the hole that probed over it move into it. */
static inline void posta__ids_close_hole(struct posta__ids *ids, uint32_t hole)
{
	uint32_t mask = ids->room - 1;
	for (uint32_t at = (hole + 1) & mask; ids->slots[at]; at = (at + 1) & mask) {
		uint32_t home = posta__ids_slot(ids, ids->slots[at] - 1);
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		ids->slots[hole] = ids->slots[at];
		hole = at;
	}
	ids->slots[hole] = 0;
}

static inline bool posta__ids_remove(struct posta__ids *ids, uint64_t id)
{
	if (!ids->count)
		return false;
	uint32_t at = posta__ids_slot(ids, id);
	while (ids->slots[at] && ids->slots[at] != id + 1)
		at = (at + 1) & (ids->room - 1);
	if (!ids->slots[at])
		return false;
	posta__ids_close_hole(ids, at);
	ids->count--;
	return true;
}

/* Returns: how many it removed. */
static inline uint32_t posta__ids_remove_if(struct posta__ids *ids, bool (*is_void)(uint64_t id, void *context),
					    void *context)
{
	uint32_t before = ids->count;
	for (uint32_t i = 0; i < ids->room; i++)
		while (ids->slots[i] && is_void(ids->slots[i] - 1, context)) { /* another one may move into its place */
			posta__ids_close_hole(ids, i);
			ids->count--;
		}
	return before - ids->count;
}

static inline void posta__ids_clear(struct posta__ids *ids)
{
	if (ids->count)
		memset(ids->slots, 0, ids->room * sizeof *ids->slots);
	ids->count = 0;
}

#endif
