/* SPDX-License-Identifier: MIT */
#include <posta/group.h>

#include "runtime/cold.h"
#include "runtime/dict.h"
#include "runtime/mailbox.h"
#include "runtime/registry.h"

#include <string.h>

#define MEMBERS_MAX 65536u

struct group {
	struct posta__node node;
	posta_ref *members;
	uint32_t count, room;
	uint32_t next; /* round robin */
	bool counted;  /* somebody wants the least loaded: the members' mailboxes are counted */
};

struct posta__groups {
	pthread_mutex_t lock;
	struct posta__dict dict;
};

enum posta_err posta__groups_init(struct posta_system *system)
{
	system->groups = posta__zalloc(system, sizeof *system->groups);
	if (!system->groups)
		return POSTA_ENOMEM;
	pthread_mutex_init(&system->groups->lock, NULL);
	return POSTA_OK;
}

static void group_free(struct posta_system *system, struct group *group)
{
	posta__free(system, group->members, group->room * sizeof *group->members);
	posta__dict_remove(system, &system->groups->dict, &group->node);
}

void posta__groups_fini(struct posta_system *system)
{
	if (!system->groups)
		return;
	struct posta__dict *dict = &system->groups->dict;
	for (uint32_t i = 0; i < dict->bucket_count; i++)
		while (dict->buckets[i])
			group_free(system, (struct group *)dict->buckets[i]);
	posta__dict_fini(system, dict);
	pthread_mutex_destroy(&system->groups->lock);
	posta__free(system, system->groups, sizeof *system->groups);
}

static struct group *find(struct posta_system *system, const char *name)
{
	return name ? (struct group *)posta__dict_find(&system->groups->dict, name) : NULL;
}

static uint32_t member_find(const struct group *group, posta_ref ref)
{
	for (uint32_t i = 0; i < group->count; i++)
		if (group->members[i] == ref)
			return i;
	return UINT32_MAX;
}

static bool grow(struct posta_system *system, struct group *group)
{
	uint32_t room = group->room ? group->room * 2 : 8;
	posta_ref *members = posta__alloc(system, 16, room * sizeof *members);
	if (!members)
		return false;
	if (group->count)
		memcpy(members, group->members, group->count * sizeof *members);
	posta__free(system, group->members, group->room * sizeof *members);
	group->members = members;
	group->room = room;
	return true;
}

static enum posta_err join_locked(struct posta_system *system, const char *name, posta_ref ref)
{
	struct group *group = find(system, name);
	if (!group)
		group = posta__dict_add(system, &system->groups->dict, name, sizeof *group);
	if (!group)
		return POSTA_ENOMEM;
	if (member_find(group, ref) != UINT32_MAX)
		return POSTA_EEXISTS;
	if (group->count == MEMBERS_MAX)
		return POSTA_EFULL;
	if (group->count == group->room && !grow(system, group))
		return POSTA_ENOMEM;
	group->members[group->count++] = ref;
	return POSTA_OK;
}

static enum posta_err leave(struct posta_system *system, const char *name, posta_ref ref)
{
	pthread_mutex_lock(&system->groups->lock);
	struct group *group = find(system, name);
	uint32_t index = group ? member_find(group, ref) : UINT32_MAX;
	if (index != UINT32_MAX) {
		memmove(&group->members[index], &group->members[index + 1],
			(--group->count - index) * sizeof(posta_ref));
		if (!group->count)
			group_free(system, group);
	}
	pthread_mutex_unlock(&system->groups->lock);
	return index == UINT32_MAX ? POSTA_ENOTFOUND : POSTA_OK;
}

/* The actor remembers its groups by name. */
static enum posta_err note(struct posta_system *system, struct posta_actor *self, const char *name)
{
	struct posta__cold *cold = posta__cold_get(self);
	char **place = cold ? posta__list_add(self, &cold->groups, sizeof *place) : NULL;
	if (!place)
		return POSTA_ENOMEM;
	size_t size = strlen(name) + 1;
	*place = posta__alloc(system, 1, size);
	if (!*place) {
		cold->groups.count--;
		return POSTA_ENOMEM;
	}
	memcpy(*place, name, size);
	return POSTA_OK;
}

static void forget(struct posta_system *system, struct posta_actor *actor, uint32_t index)
{
	char **names = actor->cold->groups.items;
	posta__free(system, names[index], strlen(names[index]) + 1);
	posta__list_remove(&actor->cold->groups, sizeof *names, index);
}

enum posta_err posta_group_join(struct posta_actor *self, const char *group)
{
	struct posta_system *system = posta__worker(self)->system;
	size_t len = group ? strnlen(group, POSTA_NAME_MAX + 1) : 0;
	if (!len || len > POSTA_NAME_MAX)
		return POSTA_EINVAL;
	pthread_mutex_lock(&system->groups->lock);
	enum posta_err result = join_locked(system, group, posta__self(self));
	if (result == POSTA_OK && find(system, group)->counted)
		posta__mailbox_count(self);
	pthread_mutex_unlock(&system->groups->lock);
	if (result == POSTA_EEXISTS)
		return POSTA_OK;
	if (result == POSTA_OK && note(system, self, group) != POSTA_OK) {
		leave(system, group, posta__self(self));
		result = POSTA_ENOMEM;
	}
	return result;
}

enum posta_err posta_group_leave(struct posta_actor *self, const char *group)
{
	struct posta_system *system = posta__worker(self)->system;
	for (uint32_t i = 0; group && self->cold && i < self->cold->groups.count; i++)
		if (strcmp(((char **)self->cold->groups.items)[i], group) == 0) {
			forget(system, self, i);
			return leave(system, group, posta__self(self));
		}
	return POSTA_ENOTFOUND;
}

void posta__groups_drop(struct posta_system *system, struct posta_actor *actor)
{
	while (actor->cold->groups.count) {
		leave(system, ((char **)actor->cold->groups.items)[0], posta__self(actor));
		forget(system, actor, 0);
	}
}

/* A copy of the members, so that sending happens outside the lock. Returns: owned; *count and *room in members. */
static posta_ref *members_of(struct posta_system *system, const char *name, uint32_t *count)
{
	pthread_mutex_lock(&system->groups->lock);
	struct group *group = find(system, name);
	*count = group ? group->count : 0;
	posta_ref *copy = *count ? posta__alloc(system, 16, *count * sizeof *copy) : NULL;
	if (copy)
		memcpy(copy, group->members, *count * sizeof *copy);
	pthread_mutex_unlock(&system->groups->lock);
	return copy;
}

size_t posta_group_publish(struct posta_actor *self, const char *group, uint32_t type, const void *data, size_t size)
{
	struct posta_system *system = posta__worker(self)->system;
	uint32_t count;
	posta_ref *members = members_of(system, group, &count);
	size_t sent = 0;
	for (uint32_t i = 0; members && i < count; i++)
		sent += posta_send(self, members[i], type, data, size) == POSTA_OK;
	posta__free(system, members, count * sizeof *members);
	return sent;
}

/* Their own threads do it: until then a mailbox without a limit counts as empty. */
static void count_member(struct posta_system *system, posta_ref member)
{
	struct posta__signal_data data = { .ref = member };
	posta__signal_send(system, posta__worker_current(), member, POSTA__SIGNAL_COUNT, &data);
}

static void count_members(struct posta_system *system, struct group *group)
{
	group->counted = true;
	for (uint32_t i = 0; i < group->count; i++)
		count_member(system, group->members[i]);
}

static uint32_t least_loaded(struct posta_system *system, const struct group *group)
{
	uint32_t best = 0, best_length = UINT32_MAX;
	for (uint32_t i = 0; i < group->count; i++) {
		struct posta_actor *actor = posta__slot(posta__system_worker(system, 0), group->members[i]);
		/* Below 0: a sender on another thread had not seen yet that it is counted. */
		int32_t counted = (int32_t)atomic_load_explicit(&actor->length, memory_order_relaxed);
		bool known = atomic_load_explicit(&actor->bounded, memory_order_relaxed) && counted > 0;
		uint32_t length = known ? (uint32_t)counted : 0;
		if (length < best_length) {
			best = i;
			best_length = length;
		}
	}
	return best;
}

/* Rendezvous hashing: the member with the highest weight for this key; others stay where they are when one leaves. */
static uint32_t by_hash(const struct group *group, const void *key, size_t key_len)
{
	uint32_t best = 0;
	uint64_t best_weight = 0;
	for (uint32_t i = 0; i < group->count; i++) {
		uint64_t weight = posta__hash(key, key_len, group->members[i]);
		if (weight >= best_weight) {
			best = i;
			best_weight = weight;
		}
	}
	return best;
}

static posta_ref pick_locked(struct posta_system *system, struct group *group, enum posta_pick pick, const void *key,
			     size_t key_len)
{
	if (!group || !group->count)
		return POSTA_NOBODY;
	if (pick == POSTA_PICK_LEAST_LOADED && !group->counted)
		count_members(system, group);
	if (pick == POSTA_PICK_LEAST_LOADED)
		return group->members[least_loaded(system, group)];
	if (pick == POSTA_PICK_HASH)
		return group->members[by_hash(group, key, key_len)];
	return group->members[group->next++ % group->count];
}

posta_ref posta_group_pick(struct posta_actor *self, const char *group, enum posta_pick pick, const void *key,
			   size_t key_len)
{
	struct posta_system *system = posta__worker(self)->system;
	pthread_mutex_lock(&system->groups->lock);
	posta_ref ref = pick_locked(system, find(system, group), pick, key, key_len);
	pthread_mutex_unlock(&system->groups->lock);
	return ref;
}

size_t posta_group_size(struct posta_system *system, const char *group)
{
	pthread_mutex_lock(&system->groups->lock);
	struct group *found = find(system, group);
	size_t count = found ? found->count : 0;
	pthread_mutex_unlock(&system->groups->lock);
	return count;
}
