/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_DICT_H
#define POSTA_RUNTIME_DICT_H

/* A table from text to an entry that begins with this node. Its users lock it. */

#include "runtime/system.h"

struct posta__node {
	struct posta__node *next;
	uint64_t hash;
	char *name; /* behind the entry, in the same memory */
	size_t size;
};

struct posta__dict {
	struct posta__node **buckets;
	uint32_t bucket_count, count;
};

uint64_t posta__hash(const void *data, size_t len, uint64_t seed);
struct posta__node *posta__dict_find(const struct posta__dict *dict, const char *name);
/* A new zeroed entry of size bytes under a name that is not there. NULL when out of memory. */
void *posta__dict_add(struct posta_system *system, struct posta__dict *dict, const char *name, size_t size);
/* Takes it out and frees it. */
void posta__dict_remove(struct posta_system *system, struct posta__dict *dict, struct posta__node *node);
void posta__dict_fini(struct posta_system *system, struct posta__dict *dict);

#endif
