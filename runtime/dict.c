/* SPDX-License-Identifier: MIT */
#include "runtime/dict.h"

#include <string.h>

#define BUCKETS_FIRST 64u

/* FNV-1a with a final mix: short keys, not hostile ones. */
uint64_t posta__hash(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *bytes = data;
	uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ seed;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ hash >> 29;
}

static uint64_t hash_of(const char *name)
{
	return posta__hash(name, strlen(name), 0);
}

struct posta__node *posta__dict_find(const struct posta__dict *dict, const char *name)
{
	if (!dict->bucket_count)
		return NULL;
	uint64_t hash = hash_of(name);
	struct posta__node *node = dict->buckets[hash % dict->bucket_count];
	while (node && (node->hash != hash || strcmp(node->name, name) != 0))
		node = node->next;
	return node;
}

static bool grow(struct posta_system *system, struct posta__dict *dict)
{
	uint32_t count = dict->bucket_count ? dict->bucket_count * 2 : BUCKETS_FIRST;
	struct posta__node **buckets = posta__zalloc(system, count * sizeof(struct posta__node *));
	if (!buckets)
		return dict->bucket_count > 0; /* longer chains serve as well */
	for (uint32_t i = 0; i < dict->bucket_count; i++)
		for (struct posta__node *node = dict->buckets[i], *next; node; node = next) {
			next = node->next;
			node->next = buckets[node->hash % count];
			buckets[node->hash % count] = node;
		}
	posta__free(system, dict->buckets, dict->bucket_count * sizeof(struct posta__node *));
	dict->buckets = buckets;
	dict->bucket_count = count;
	return true;
}

void *posta__dict_add(struct posta_system *system, struct posta__dict *dict, const char *name, size_t size)
{
	if (dict->count >= dict->bucket_count && !grow(system, dict))
		return NULL;
	size_t len = strlen(name) + 1;
	struct posta__node *node = posta__zalloc(system, size + len);
	if (!node)
		return NULL;
	node->size = size + len;
	node->name = (char *)node + size;
	memcpy(node->name, name, len);
	node->hash = hash_of(name);
	struct posta__node **bucket = &dict->buckets[node->hash % dict->bucket_count];
	node->next = *bucket;
	*bucket = node;
	dict->count++;
	return node;
}

void posta__dict_remove(struct posta_system *system, struct posta__dict *dict, struct posta__node *node)
{
	struct posta__node **link = &dict->buckets[node->hash % dict->bucket_count];
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	dict->count--;
	posta__free(system, node, node->size);
}

void posta__dict_fini(struct posta_system *system, struct posta__dict *dict)
{
	for (uint32_t i = 0; i < dict->bucket_count; i++)
		while (dict->buckets[i])
			posta__dict_remove(system, dict, dict->buckets[i]);
	posta__free(system, dict->buckets, dict->bucket_count * sizeof(struct posta__node *));
}
