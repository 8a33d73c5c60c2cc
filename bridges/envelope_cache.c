/* SPDX-License-Identifier: MIT */
/*
 * Memory of envelopes. They are larger than what malloc serves fast, and every message is one: a thread keeps those it
 * freed, up to a bound, for its next ones. Whatever thread frees one has it; nothing is shared, so nothing is locked.
 */
#include "envelope.h"

#include "runtime/pool.h"

#include <pthread.h>
#include <stdlib.h>

#define KEPT_MAX 8192u /* a broker confirms as many at once */

#if POSTA__POOLED

struct free_envelope {
	struct free_envelope *next;
};

struct cache {
	struct free_envelope *first;
	unsigned count;
	enum { CACHE_NEW, CACHE_OPEN, CACHE_CLOSED } state;
};

static _Thread_local struct cache cache;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

/* The thread ends: what it keeps goes, and nothing is kept any more. */
static void close_cache(void *memory)
{
	struct cache *ending = memory;
	ending->state = CACHE_CLOSED;
	while (ending->first) {
		struct free_envelope *next = ending->first->next;
		free(ending->first);
		ending->first = next;
	}
	ending->count = 0;
}

static void make_key(void)
{
	has_key = pthread_key_create(&key, close_cache) == 0;
}

/* The library may be unloaded before the threads that used it end. */
__attribute__((destructor)) static void delete_key(void)
{
	if (has_key)
		pthread_key_delete(key);
	has_key = false;
}

static void open_cache(void)
{
	pthread_once(&once, make_key);
	cache.state = has_key && pthread_setspecific(key, &cache) == 0 ? CACHE_OPEN : CACHE_CLOSED;
}

void *posta__envelope_memory(void)
{
	struct free_envelope *memory = cache.first;
	if (!memory)
		return malloc(sizeof(struct posta_envelope));
	cache.first = memory->next;
	cache.count--;
	return memory;
}

void posta__envelope_memory_free(void *memory)
{
	struct free_envelope *freed = memory;
	if (cache.state == CACHE_NEW)
		open_cache();
	if (cache.state == CACHE_CLOSED || cache.count >= KEPT_MAX) {
		free(memory);
		return;
	}
	freed->next = cache.first;
	cache.first = freed;
	cache.count++;
}

#else

void *posta__envelope_memory(void)
{
	return malloc(sizeof(struct posta_envelope));
}

void posta__envelope_memory_free(void *memory)
{
	free(memory);
}

#endif
