/* SPDX-License-Identifier: MIT */
/*
 * Messages laid by for what must be told also when memory has run out: that an actor ends, is to end, or is watched no
 * more. Without them a parent would wait for ever for a child whose last words could not be written. They are made with
 * the system and replaced as soon as there is memory again.
 */
#include "runtime/block.h"
#include "runtime/system.h"

#include <string.h>

#define RESERVE 64u

static bool lay_by(struct posta_system *system)
{
	struct posta_message *message = posta__message_heap(system, 0, POSTA_INLINE_MAX);
	if (!message)
		return false;
	pthread_mutex_lock(&system->lock);
	message->next_ = system->reserve;
	system->reserve = message;
	pthread_mutex_unlock(&system->lock);
	atomic_fetch_sub_explicit(&system->reserve_missing, 1, memory_order_relaxed);
	return true;
}

enum posta_err posta__reserve_init(struct posta_system *system)
{
	atomic_store_explicit(&system->reserve_missing, RESERVE, memory_order_relaxed);
	for (uint32_t i = 0; i < RESERVE; i++)
		if (!lay_by(system))
			return POSTA_ENOMEM;
	return POSTA_OK;
}

void posta__reserve_fini(struct posta_system *system)
{
	while (system->reserve) {
		struct posta_message *next = system->reserve->next_;
		posta__message_release(NULL, system, system->reserve);
		system->reserve = next;
	}
}

static struct posta_message *take(struct posta_system *system, uint32_t type, const void *data, size_t size)
{
	pthread_mutex_lock(&system->lock);
	struct posta_message *message = system->reserve;
	if (message)
		system->reserve = message->next_;
	pthread_mutex_unlock(&system->lock);
	if (!message)
		return NULL;
	atomic_fetch_add_explicit(&system->reserve_missing, 1, memory_order_relaxed);
	message->type = type;
	message->size_ = (uint16_t)size;
	if (size)
		memcpy(message->payload_, data, size);
	return message;
}

struct posta_message *posta__message_spare(struct posta_system *system, uint32_t type, const void *data, size_t size)
{
	/* Relaxed: a hint; one more or less does no harm. */
	uint32_t missing = atomic_load_explicit(&system->reserve_missing, memory_order_relaxed);
	return size <= POSTA_INLINE_MAX && missing < RESERVE / 2 ? take(system, type, data, size) : NULL;
}

struct posta_message *posta__message_sure(struct posta__worker *worker, struct posta_system *system, uint32_t type,
					  const void *data, size_t size)
{
	assert(size <= POSTA_INLINE_MAX);
	struct posta_message *message = posta__message_copy(worker, system, type, data, size);
	if (POSTA__UNLIKELY(!message))
		return take(system, type, data, size);
	/* Relaxed: a hint; one more or less does no harm. */
	if (POSTA__UNLIKELY(atomic_load_explicit(&system->reserve_missing, memory_order_relaxed)))
		lay_by(system);
	return message;
}
