/* SPDX-License-Identifier: MIT */
#include "runtime/registry.h"
#include "runtime/cold.h"
#include "runtime/dict.h"

#include <string.h>

struct entry {
	struct posta__node node;
	posta_ref ref;
};

struct posta__names {
	pthread_mutex_t lock;
	struct posta__dict dict;
};

enum posta_err posta__names_init(struct posta_system *system)
{
	system->names = posta__zalloc(system, sizeof *system->names);
	if (!system->names)
		return POSTA_ENOMEM;
	pthread_mutex_init(&system->names->lock, NULL);
	return POSTA_OK;
}

void posta__names_fini(struct posta_system *system)
{
	if (!system->names)
		return;
	posta__dict_fini(system, &system->names->dict);
	pthread_mutex_destroy(&system->names->lock);
	posta__free(system, system->names, sizeof *system->names);
}

static bool valid(const char *name)
{
	size_t len = name ? strnlen(name, POSTA_NAME_MAX + 1) : 0;
	return len > 0 && len <= POSTA_NAME_MAX;
}

static enum posta_err take_locked(struct posta_system *system, const char *name, posta_ref ref)
{
	struct entry *entry = (struct entry *)posta__dict_find(&system->names->dict, name);
	if (entry)
		return entry->ref == ref ? POSTA_OK : POSTA_EEXISTS;
	entry = posta__dict_add(system, &system->names->dict, name, sizeof *entry);
	if (!entry)
		return POSTA_ENOMEM;
	entry->ref = ref;
	return POSTA_OK;
}

enum posta_err posta__name_take(struct posta_system *system, const char *name, posta_ref ref)
{
	if (!valid(name))
		return POSTA_EINVAL;
	pthread_mutex_lock(&system->names->lock);
	enum posta_err result = take_locked(system, name, ref);
	pthread_mutex_unlock(&system->names->lock);
	return result;
}

/* Returns: whether the name was ref's. */
static bool drop(struct posta_system *system, const char *name, posta_ref ref)
{
	pthread_mutex_lock(&system->names->lock);
	struct entry *entry = (struct entry *)posta__dict_find(&system->names->dict, name);
	bool mine = entry && entry->ref == ref;
	if (mine)
		posta__dict_remove(system, &system->names->dict, &entry->node);
	pthread_mutex_unlock(&system->names->lock);
	return mine;
}

static char *copy_of(struct posta_system *system, const char *name)
{
	size_t size = strlen(name) + 1;
	char *copy = posta__alloc(system, 1, size);
	return copy ? memcpy(copy, name, size) : NULL;
}

static bool knows(const struct posta__cold *cold, const char *name)
{
	char **names = cold->names.items;
	for (uint32_t i = 0; i < cold->names.count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

enum posta_err posta__name_note(struct posta_system *system, struct posta_actor *actor, const char *name)
{
	struct posta__cold *cold = posta__cold_get(actor);
	if (cold && knows(cold, name))
		return POSTA_OK;
	char **place = cold ? posta__list_add(actor, &cold->names, sizeof *place) : NULL;
	char *copy = place ? copy_of(system, name) : NULL;
	if (place && !copy)
		cold->names.count--;
	if (!copy)
		return POSTA_ENOMEM;
	*place = copy;
	return POSTA_OK;
}

enum posta_err posta_register(struct posta_actor *self, const char *name)
{
	struct posta_system *system = posta__worker(self)->system;
	enum posta_err result = posta__name_take(system, name, posta__self(self));
	if (result)
		return result;
	result = posta__name_note(system, self, name);
	if (result)
		drop(system, name, posta__self(self));
	return result;
}

static void forget(struct posta_actor *actor, uint32_t index)
{
	char **names = actor->cold->names.items;
	posta__free(posta__worker(actor)->system, names[index], strlen(names[index]) + 1);
	posta__list_remove(&actor->cold->names, sizeof *names, index);
}

enum posta_err posta_unregister(struct posta_actor *self, const char *name)
{
	if (!valid(name) || !drop(posta__worker(self)->system, name, posta__self(self)))
		return POSTA_ENOTFOUND;
	for (uint32_t i = 0; self->cold && i < self->cold->names.count; i++)
		if (strcmp(((char **)self->cold->names.items)[i], name) == 0)
			forget(self, i);
	return POSTA_OK;
}

void posta__names_drop(struct posta_system *system, struct posta_actor *actor)
{
	while (actor->cold->names.count) {
		drop(system, ((char **)actor->cold->names.items)[0], posta__self(actor));
		forget(actor, 0);
	}
}

posta_ref posta_lookup(struct posta_system *system, const char *name)
{
	if (!valid(name))
		return POSTA_NOBODY;
	pthread_mutex_lock(&system->names->lock);
	struct entry *entry = (struct entry *)posta__dict_find(&system->names->dict, name);
	posta_ref ref = entry ? entry->ref : POSTA_NOBODY;
	pthread_mutex_unlock(&system->names->lock);
	return ref;
}
