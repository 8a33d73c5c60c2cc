/* SPDX-License-Identifier: MIT */
#include "runtime/block.h"
#include "runtime/system.h"

#include <string.h>

/* What a heap copy keeps before its bytes, so that its release knows how much to free. */
struct heap_copy {
	struct posta_system *system;
	size_t size;
};

#define ARENA_FIRST (64u << 10) /* bytes */
#define SMALL_FIRST 1024u       /* small blocks for which the stack has room at first */

static_assert(sizeof(struct posta_message) == 32, "half a line of header, half of payload");
static_assert(POSTA_BIT_SLICE_ > POSTA__CLASS_MASK, "the class and the bits share a byte");

static unsigned class_of(size_t size)
{
	unsigned index = 0;
	while ((64u << index) < size + sizeof(struct posta_message))
		index++;
	return index;
}

static struct posta_message *heap_block(struct posta_system *system, unsigned index)
{
	struct posta_message *message = posta__alloc(system, POSTA__LINE, 64u << index);
	if (message) {
		message->owner_ = POSTA__OWNER_HEAP;
		message->bits_ = (uint8_t)index;
	}
	return message;
}

static size_t stack_bytes(uint32_t max)
{
	return ((size_t)POSTA__POOL_AHEAD + max) * sizeof(struct posta_message *);
}

static void push_larger(struct posta__worker *worker, struct posta_message *message, unsigned index)
{
	message->next_ = worker->pool.larger[index - 1];
	worker->pool.larger[index - 1] = message;
}

#if POSTA__POOLED

static bool arena_grow(struct posta__worker *worker, size_t need)
{
	struct posta__pool *pool = &worker->pool;
	size_t size = pool->arena_next < need + POSTA__LINE ? need + POSTA__LINE : pool->arena_next;
	struct posta__arena *arena = posta__alloc(worker->system, POSTA__LINE, size);
	if (!arena)
		return false;
	*arena = (struct posta__arena){ .next = pool->arenas, .size = size };
	pool->arenas = arena;
	pool->arena_at = (char *)arena + POSTA__LINE;
	pool->arena_end = (char *)arena + size;
	if (pool->arena_next < (2u << 20))
		pool->arena_next *= 2;
	return true;
}

/* Room in the stack for more small blocks: it grows while none is free. Returns: false when out of memory. */
static bool stack_grow(struct posta__worker *worker)
{
	struct posta__pool *pool = &worker->pool;
	uint32_t max = pool->small_max ? pool->small_max * 2 : SMALL_FIRST;
	struct posta_message **small = posta__alloc(worker->system, POSTA__LINE, stack_bytes(max));
	if (!small)
		return false;
	for (unsigned i = 0; i < POSTA__POOL_AHEAD; i++) /* what is fetched ahead of the last ones */
		small[i] = posta__pool_none(worker);
	posta__free(worker->system, pool->small, stack_bytes(pool->small_max));
	pool->small = small;
	pool->small_max = max;
	pool->top = small + POSTA__POOL_AHEAD - 1;
	return true;
}

/* Carves one more block; the blocks of a class come from one arena in order, so neighbours are neighbours. */
static struct posta_message *carve(struct posta__worker *worker, unsigned index)
{
	struct posta__pool *pool = &worker->pool;
	size_t size = (size_t)64 << index;
	if (index == 0 && pool->small_count == pool->small_max && !stack_grow(worker))
		return NULL;
	if ((size_t)(pool->arena_end - pool->arena_at) < size && !arena_grow(worker, size))
		return NULL;
	struct posta_message *message = (struct posta_message *)(void *)pool->arena_at;
	pool->arena_at += size;
	pool->small_count += index == 0;
	message->owner_ = worker->id;
	message->bits_ = (uint8_t)index;
	return message;
}

/* A few at a time: each of them is a line that comes from another CPU. Acquire: PAIRS with the release in give_back. */
static void take_back_small(struct posta__worker *worker)
{
	struct posta__pool *pool = &worker->pool;
	if (!pool->returned)
		pool->returned = atomic_exchange_explicit(&worker->returned, NULL, memory_order_acquire);
	for (unsigned i = 0; pool->returned && i < POSTA__RETURN_BATCH; i++) {
		struct posta_message *message = pool->returned;
		pool->returned = message->next_;
		posta__block_push(worker, message);
	}
}

static struct posta_message *refill_small(struct posta__worker *worker)
{
	if (*worker->pool.top == posta__pool_none(worker))
		take_back_small(worker);
	struct posta_message *message = *worker->pool.top;
	if (message == posta__pool_none(worker))
		return carve(worker, 0);
	posta__pool_pop(worker);
	return message;
}

/* Acquire: as above. */
static void take_back_larger(struct posta__worker *worker)
{
	struct posta_message *larger = atomic_exchange_explicit(&worker->returned_large, NULL, memory_order_acquire);
	while (larger) {
		struct posta_message *next = larger->next_;
		push_larger(worker, larger, larger->bits_ & POSTA__CLASS_MASK);
		larger = next;
	}
}

static struct posta_message *refill_larger(struct posta__worker *worker, unsigned index)
{
	struct posta_message **free = &worker->pool.larger[index - 1];
	if (!*free)
		take_back_larger(worker);
	struct posta_message *message = *free;
	if (!message)
		return carve(worker, index);
	*free = message->next_;
	return message;
}

struct posta_message *posta__pool_refill(struct posta__worker *worker, unsigned index)
{
	return index ? refill_larger(worker, index) : refill_small(worker);
}

#else

struct posta_message *posta__pool_refill(struct posta__worker *worker, unsigned index)
{
	return heap_block(worker->system, index);
}

#endif

/* Release: PAIRS with the acquire in take_back_small and take_back_larger; publishes the links of the blocks. */
static void give_back(_Atomic(struct posta_message *) *returned, struct posta_message *first,
		      struct posta_message *last)
{
	struct posta_message *old = atomic_load_explicit(returned, memory_order_relaxed);
	do
		last->next_ = old;
	while (!atomic_compare_exchange_weak_explicit(returned, &old, first, memory_order_release,
						      memory_order_relaxed));
}

void posta__pool_flush(struct posta__worker *worker)
{
	struct posta__pool *pool = &worker->pool;
	if (!pool->returning)
		return;
	struct posta__worker *owner = posta__system_worker(worker->system, pool->returning->owner_);
	give_back(&owner->returned, pool->returning, pool->returning_last);
	pool->returning = NULL;
	pool->returning_count = 0;
}

static void gather(struct posta__worker *worker, struct posta_message *message)
{
	struct posta__pool *pool = &worker->pool;
	if (pool->returning && pool->returning->owner_ != message->owner_)
		posta__pool_flush(worker);
	if (!pool->returning)
		pool->returning_last = message;
	message->next_ = pool->returning;
	pool->returning = message;
	if (++pool->returning_count >= POSTA__RETURN_BATCH)
		posta__pool_flush(worker);
}

static void block_free(struct posta__worker *worker, struct posta_system *system, struct posta_message *message)
{
	unsigned index = message->bits_ & POSTA__CLASS_MASK;
	if (message->owner_ == POSTA__OWNER_HEAP) {
		posta__free(system, message, 64u << index);
		return;
	}
	message->bits_ = (uint8_t)index;
	if (worker && message->owner_ == worker->id && index == 0) {
		posta__block_push(worker, message);
	} else if (worker && message->owner_ == worker->id) {
		push_larger(worker, message, index);
	} else if (worker && index == 0) {
		gather(worker, message);
	} else {
		struct posta__worker *owner = posta__system_worker(system, message->owner_);
		give_back(index ? &owner->returned_large : &owner->returned, message, message);
	}
}

void posta__message_release(struct posta__worker *worker, struct posta_system *system, struct posta_message *message)
{
	if (message->bits_ & POSTA_BIT_SLICE_) {
		struct posta_slice *slice = (struct posta_slice *)(void *)message->payload_;
		if (slice->release)
			slice->release(slice->data, slice->context);
	}
	block_free(worker, system, message);
}

void posta__pool_free_slow(struct posta__worker *worker, struct posta_message *message)
{
	posta__message_release(worker, worker->system, message);
}

void posta__pool_init(struct posta__worker *worker)
{
	worker->pool.none = posta__pool_none(worker);
	worker->pool.top = &worker->pool.none;
	worker->pool.arena_next = ARENA_FIRST;
}

void posta__pool_fini(struct posta__worker *worker)
{
	struct posta__arena *arena = worker->pool.arenas;
	while (arena) {
		struct posta__arena *next = arena->next;
		posta__free(worker->system, arena, arena->size);
		arena = next;
	}
	posta__free(worker->system, worker->pool.small, stack_bytes(worker->pool.small_max));
}

struct posta_message *posta__message_heap(struct posta_system *system, uint32_t type, size_t size)
{
	struct posta_message *message = heap_block(system, class_of(size));
	if (message) {
		message->type = type;
		message->ask_ = 0;
		message->size_ = (uint16_t)size;
		message->sender = POSTA_NOBODY;
	}
	return message;
}

static void heap_copy_release(void *data, void *context)
{
	(void)context;
	struct heap_copy *copy = (struct heap_copy *)data - 1;
	posta__free(copy->system, copy, sizeof *copy + copy->size);
}

/* The size classes end; the bytes go to the heap and the block carries a slice. */
static bool slice_make(struct posta_system *system, size_t size, struct posta_slice *slice)
{
	if (size > POSTA_COPY_MAX)
		return false;
	struct heap_copy *copy = posta__alloc(system, POSTA__LINE, sizeof *copy + size);
	if (!copy)
		return false;
	*copy = (struct heap_copy){ .system = system, .size = size };
	*slice = (struct posta_slice){ .data = copy + 1, .size = size, .release = heap_copy_release };
	return true;
}

struct posta_message *posta__block_new(struct posta__worker *worker, struct posta_system *system, uint32_t type,
				       size_t size)
{
	if (!worker)
		return posta__message_heap(system, type, size);
	if (size <= POSTA_INLINE_MAX)
		return posta__block_small(worker, type, size);
	struct posta_message *message = posta__pool_refill(worker, class_of(size));
	if (message) {
		message->type = type;
		message->ask_ = 0;
		message->size_ = (uint16_t)size;
	}
	return message;
}

static struct posta_message *message_wrap(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					  const struct posta_slice *slice)
{
	struct posta_message *message = posta__block_new(worker, system, type, sizeof *slice);
	if (!message) {
		if (slice->release)
			slice->release(slice->data, slice->context);
		return NULL;
	}
	memcpy(message->payload_, slice, sizeof *slice);
	message->bits_ |= POSTA_BIT_SLICE_;
	return message;
}

static struct posta_message *message_new(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					 size_t size)
{
	if (size <= POSTA__BLOCK_MAX - sizeof(struct posta_message))
		return posta__block_new(worker, system, type, size);
	struct posta_slice slice;
	return slice_make(system, size, &slice) ? message_wrap(worker, system, type, &slice) : NULL;
}

struct posta_message *posta__message_copy(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					  const void *data, size_t size)
{
	struct posta_message *message = message_new(worker, system, type, size);
	if (message && size)
		memcpy(posta_data(message), data, size);
	if (message)
		message->sender = POSTA_NOBODY;
	return message;
}

struct posta_message *posta_message_new(struct posta_actor *self, uint32_t type, size_t size)
{
	struct posta__worker *worker = posta__worker_running(self);
	struct posta_message *message = POSTA__LIKELY(size <= POSTA_INLINE_MAX)
						? posta__block_small(worker, type, size)
						: message_new(worker, worker->system, type, size);
	if (POSTA__LIKELY(message != NULL))
		message->sender = posta__self(self);
	return message;
}

struct posta_message *posta_message_wrap(struct posta_actor *self, uint32_t type, const struct posta_slice *slice)
{
	struct posta__worker *worker = posta__worker(self);
	struct posta_message *message = message_wrap(worker, worker->system, type, slice);
	if (message)
		message->sender = posta__self(self);
	return message;
}

void posta_message_free(struct posta_actor *self, struct posta_message *message)
{
	if (message)
		posta__block_free(posta__worker(self), message);
}

struct posta_message *posta_keep(struct posta_actor *self, struct posta_message *message)
{
	struct posta__worker *worker = posta__worker(self);
	if (worker->current == message)
		worker->current = NULL;
	if (message->bits_ & POSTA__BIT_REPLY) { /* it answered its question: whoever gets it next asked another one */
		message->bits_ &= (uint8_t)~POSTA__BIT_REPLY;
		message->ask_ = 0;
	}
	return message;
}
