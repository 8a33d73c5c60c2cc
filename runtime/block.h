/* SPDX-License-Identifier: MIT */
#ifndef POSTA_RUNTIME_BLOCK_H
#define POSTA_RUNTIME_BLOCK_H

/* The straight path of message blocks: small enough to be compiled into every sender. */

#include "runtime/worker.h"

static inline struct posta_message *posta__block_label(struct posta_message *message, uint32_t type, size_t size)
{
	message->type = type;
	message->ask_ = 0;
	message->size_ = (uint16_t)size; /* owner and bits are the block's own: a free one has them as it needs them */
	return message;
}

/* What is on top when no small block is free: a line that may be fetched at any time. */
static inline struct posta_message *posta__pool_none(struct posta__worker *worker)
{
	return (struct posta_message *)(void *)worker;
}

/* Takes the top off the stack, and fetches one that will be on top soon. */
static inline void posta__pool_pop(struct posta__worker *worker)
{
	struct posta_message **top = worker->pool.top;
	worker->pool.top = top - 1;
	__builtin_prefetch(top[-POSTA__POOL_AHEAD], 1);
}

/* The topmost free block of this worker, header set. NULL: there is none, or it is too small for size bytes. */
static inline struct posta_message *posta__block_at_hand(struct posta__worker *worker, uint32_t type, size_t size)
{
	struct posta_message *message = *worker->pool.top;
	if (POSTA__UNLIKELY(size > POSTA_INLINE_MAX || message == posta__pool_none(worker)))
		return NULL;
	posta__pool_pop(worker);
	return posta__block_label(message, type, size);
}

/* A small block of this worker, header set. NULL when out of memory. */
static inline struct posta_message *posta__block_small(struct posta__worker *worker, uint32_t type, size_t size)
{
	struct posta_message *message = posta__block_at_hand(worker, type, size);
	if (POSTA__LIKELY(message != NULL))
		return message;
	message = posta__pool_refill(worker, 0);
	return message ? posta__block_label(message, type, size) : NULL;
}

/* A plain small block of this worker: owner and bits in one look. */
static inline bool posta__block_is_own(const struct posta__worker *worker, const struct posta_message *message)
{
	uint16_t block;
	__builtin_memcpy(&block, &message->owner_, sizeof block);
	return POSTA__POOLED && block == worker->own_block;
}

/* A plain small block of this worker, which is free now. */
static inline void posta__block_push(struct posta__worker *worker, struct posta_message *message)
{
	*++worker->pool.top = message;
}

static inline void posta__block_free(struct posta__worker *worker, struct posta_message *message)
{
#if POSTA__POOLED
	if (POSTA__LIKELY(posta__block_is_own(worker, message))) {
		posta__block_push(worker, message);
		return;
	}
#endif
	posta__pool_free_slow(worker, message);
}

/* A payload of at most POSTA_INLINE_MAX bytes, without a call. */
static inline void posta__copy_small(void *to, const void *from, size_t size)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	if (size >= 16) {
		__builtin_memcpy(d, s, 16);
		__builtin_memcpy(d + size - 16, s + size - 16, 16);
	} else if (size >= 8) {
		__builtin_memcpy(d, s, 8);
		__builtin_memcpy(d + size - 8, s + size - 8, 8);
	} else if (size >= 4) {
		__builtin_memcpy(d, s, 4);
		__builtin_memcpy(d + size - 4, s + size - 4, 4);
	} else if (size) {
		d[0] = s[0];
		d[size / 2] = s[size / 2];
		d[size - 1] = s[size - 1];
	}
}

#endif
