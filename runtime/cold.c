/* SPDX-License-Identifier: MIT */
#include "runtime/cold.h"
#include "runtime/system.h"

#include <string.h>

static struct posta_system *system_of(const struct posta_actor *actor)
{
	return posta__worker(actor)->system;
}

struct posta__cold *posta__cold_get(struct posta_actor *actor)
{
	if (!actor->cold) {
		actor->cold = posta__zalloc(system_of(actor), sizeof *actor->cold);
		if (actor->cold)
			actor->cold->stash_tail = &actor->cold->stash_head;
	}
	return actor->cold;
}

void posta__cold_free(struct posta_actor *actor)
{
	struct posta__cold *cold = actor->cold;
	if (!cold)
		return;
	posta__list_free(actor, &cold->watchers, sizeof(struct posta__watcher));
	posta__list_free(actor, &cold->watched, sizeof(struct posta__watched));
	posta__list_free(actor, &cold->links, sizeof(posta_ref));
	posta__list_free(actor, &cold->questions, sizeof(struct posta__question));
	posta__list_free(actor, &cold->names, sizeof(void *));
	posta__list_free(actor, &cold->groups, sizeof(void *));
	posta__list_free(actor, &cold->waiters, sizeof(posta_ref));
	posta__free(system_of(actor), cold, sizeof *cold);
	actor->cold = NULL;
}

static bool grow(struct posta_actor *actor, struct posta__list *list, size_t item_size)
{
	uint32_t room = list->room ? list->room * 2 : 4;
	void *items = posta__alloc(system_of(actor), 16, room * item_size);
	if (!items)
		return false;
	if (list->items) {
		memcpy(items, list->items, list->count * item_size);
		posta__free(system_of(actor), list->items, list->room * item_size);
	}
	list->items = items;
	list->room = room;
	return true;
}

void *posta__list_add(struct posta_actor *actor, struct posta__list *list, size_t item_size)
{
	if (list->count == list->room && !grow(actor, list, item_size))
		return NULL;
	return memset((char *)list->items + list->count++ * item_size, 0, item_size);
}

void posta__list_remove(struct posta__list *list, size_t item_size, uint32_t index)
{
	char *at = (char *)list->items + index * item_size;
	memmove(at, at + item_size, (--list->count - index) * item_size);
}

void posta__list_free(struct posta_actor *actor, struct posta__list *list, size_t item_size)
{
	if (list->items)
		posta__free(system_of(actor), list->items, list->room * item_size);
	*list = (struct posta__list){ 0 };
}
