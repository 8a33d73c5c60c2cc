/* SPDX-License-Identifier: MIT */
/*
 * The records of a supervisor's children: a list in start order, and two tables of chains over it, by slot and by id,
 * so that a child of a million is found, added and removed in constant time.
 */
#include "runtime/dict.h"
#include "runtime/supervisor.h"

#include <string.h>

#define BUCKETS_FIRST 8u

static struct posta_system *system_of(const struct posta_actor *self)
{
	return posta__worker(self)->system;
}

static struct posta__child **slot_bucket(const struct posta__children *children, posta_ref ref)
{
	return &children->by_slot[posta__ref_index(ref) & (children->buckets - 1)];
}

static struct posta__child **id_bucket(const struct posta__children *children, uint64_t hash)
{
	return &children->by_id[hash & (children->buckets - 1)];
}

static void chain_id(struct posta__children *children, struct posta__child *child)
{
	if (!child->spec.id)
		return;
	struct posta__child **bucket = id_bucket(children, child->id_hash);
	child->id_next = *bucket;
	*bucket = child;
}

static void unchain_id(struct posta__children *children, struct posta__child *child)
{
	if (!child->spec.id)
		return;
	struct posta__child **at = id_bucket(children, child->id_hash);
	while (*at != child)
		at = &(*at)->id_next;
	*at = child->id_next;
}

static void chain_slot(struct posta__children *children, struct posta__child *child)
{
	struct posta__child **bucket = slot_bucket(children, child->ref);
	child->slot_next = *bucket;
	*bucket = child;
}

void posta__child_set_slot(struct posta__children *children, struct posta__child *child, struct posta_actor *slot)
{
	child->slot = slot;
	child->ref = posta__self(slot);
	chain_slot(children, child);
}

void posta__child_clear_slot(struct posta__children *children, struct posta__child *child)
{
	struct posta__child **at = slot_bucket(children, child->ref);
	while (*at != child)
		at = &(*at)->slot_next;
	*at = child->slot_next;
	child->slot = NULL;
	child->ref = POSTA_NOBODY;
}

static bool rehash(struct posta_system *system, struct posta__children *children)
{
	uint32_t buckets = children->buckets ? children->buckets * 2 : BUCKETS_FIRST;
	struct posta__child **tables = posta__zalloc(system, 2 * buckets * sizeof(struct posta__child *));
	if (!tables)
		return false;
	posta__free(system, children->by_slot, 2 * children->buckets * sizeof(struct posta__child *));
	children->by_slot = tables;
	children->by_id = tables + buckets;
	children->buckets = buckets;
	for (struct posta__child *child = children->first; child; child = child->next) {
		chain_id(children, child);
		if (child->slot)
			chain_slot(children, child);
	}
	return true;
}

struct posta__child *posta__child_by_id(const struct posta__children *children, const char *id)
{
	uint64_t hash = posta__hash(id, strlen(id), 0);
	struct posta__child *child = children->buckets ? *id_bucket(children, hash) : NULL;
	while (child && (child->id_hash != hash || strcmp(child->spec.id, id) != 0))
		child = child->id_next;
	return child;
}

struct posta__child *posta__child_by_slot(const struct posta__children *children, const struct posta_actor *slot)
{
	struct posta__child *child =
		children->buckets ? children->by_slot[slot->index & (children->buckets - 1)] : NULL;
	while (child && child->slot != slot)
		child = child->slot_next;
	return child;
}

struct posta__child *posta__child_by_ref(const struct posta__children *children, posta_ref ref)
{
	struct posta__child *child = children->buckets ? *slot_bucket(children, ref) : NULL;
	while (child && child->ref != ref)
		child = child->slot_next;
	return child;
}

static void child_free(struct posta_system *system, struct posta__child *child)
{
	if (child->owns_argument)
		posta__plan_free(system, child->spec.argument);
	posta__spec_free(system, &child->spec);
	posta__window_free(system, &child->window);
	posta__free(system, child, sizeof *child);
}

struct posta__child *posta__child_add(struct posta_actor *self, struct posta__children *children,
				      const struct posta_child_spec *spec)
{
	struct posta_system *system = system_of(self);
	if (children->count >= children->buckets && !rehash(system, children))
		return NULL;
	struct posta__child *child = posta__zalloc(system, sizeof *child);
	if (!child)
		return NULL;
	if (!posta__spec_copy(system, &child->spec, spec)) {
		child_free(system, child);
		return NULL;
	}
	if (spec->id)
		child->id_hash = posta__hash(spec->id, strlen(spec->id), 0);
	child->serial = ++children->next_serial;
	child->prev = children->last;
	if (children->last)
		children->last->next = child;
	else
		children->first = child;
	children->last = child;
	children->count++;
	chain_id(children, child);
	return child;
}

void posta__child_remove(struct posta_actor *self, struct posta__children *children, struct posta__child *child)
{
	posta_cancel(self, child->timer);
	if (child->slot)
		posta__child_clear_slot(children, child);
	unchain_id(children, child);
	if (child->prev)
		child->prev->next = child->next;
	else
		children->first = child->next;
	if (child->next)
		child->next->prev = child->prev;
	else
		children->last = child->prev;
	if (children->cursor == child)
		children->cursor = child->next;
	children->count--;
	child_free(system_of(self), child);
}

void posta__children_free(struct posta_actor *self, struct posta__children *children)
{
	while (children->last)
		posta__child_remove(self, children, children->last);
	posta__free(system_of(self), children->by_slot, 2 * children->buckets * sizeof(struct posta__child *));
	*children = (struct posta__children){ .first = NULL };
}
